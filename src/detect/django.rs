//! `DJANGO_SETTINGS_MODULE`: instrumentation touches Django's settings before `manage.py` or `wsgi.py` sets it, so it has to be known.

use super::source::{Source, Value};
use super::sources::Setting;
use super::text::{self, evidence};
use super::walk::{Kind, Tree, is_aside};
use crate::domain::detection::{DjangoSettings, Evidence, Server, ServerKind};
use crate::system::System;
use std::path::Path;

const NAME: &str = "DJANGO_SETTINGS_MODULE";

/// A place that names the settings module.
struct Named {
    module: String,
    file: String,
    because: Evidence,
    /// Shared leading folders with the likeliest start command.
    near: bool,
}

/// Finds the module. What is set around the likeliest start wins; then the file that this start goes through.
pub(super) fn find(
    system: &System,
    project: &Path,
    tree: &Tree,
    servers: &[&Server],
    settings: &[Setting],
    notes: &mut Vec<String>,
) -> Option<DjangoSettings> {
    let mut named = in_files(project, tree, servers);
    let first = servers.first();
    let preferred: &[&str] = match first.map(|server| server.kind) {
        Some(ServerKind::DjangoRunserver) => &["manage.py", "wsgi.py", "asgi.py", "celery.py"],
        Some(ServerKind::Celery) => &["celery.py", "manage.py", "wsgi.py", "asgi.py"],
        Some(ServerKind::Uvicorn | ServerKind::Daphne | ServerKind::Hypercorn) => &["asgi.py", "wsgi.py", "manage.py", "celery.py"],
        Some(_) => &["wsgi.py", "asgi.py", "manage.py", "celery.py"],
        None => &["manage.py", "wsgi.py", "asgi.py", "celery.py"],
    };
    let rank = |file: &str| preferred.iter().position(|name| *name == file).unwrap_or(preferred.len());
    named.sort_by_key(|found| (!found.near, rank(&found.file)));
    let mut because = Vec::new();
    let mut module = None;
    if let Some(value) = system.var(NAME) {
        module = Some(text::clean(value));
        because.push(evidence(NAME, value));
    }
    let prefixed = first.and_then(|server| {
        let (_, value) = server.variables.iter().find(|(name, _)| name == NAME)?;
        Some((value.clone(), server.because.first()?.clone()))
    });
    if let Some((value, place)) = prefixed {
        module.get_or_insert(value);
        because.push(place);
    }
    for setting in settings.iter().filter(|setting| setting.name == NAME && !setting.value.is_empty()) {
        module.get_or_insert_with(|| text::clean(&setting.value));
        because.push(evidence(&setting.source, format!("{NAME}={}", setting.value)));
    }
    if let Some(found) = named.first() {
        module.get_or_insert_with(|| found.module.clone());
    }
    let module = module?;
    let others: Vec<_> = named
        .iter()
        .filter(|found| found.module != module)
        .map(|found| format!("{} in `{}`", found.module, found.because.source))
        .collect();
    if !others.is_empty() {
        notes.push(format!(
            "{NAME} is {module} for the likeliest start, but also {}",
            others.join(", ")
        ));
    }
    because.extend(named.into_iter().filter(|found| found.module == module).map(|found| found.because));
    Some(DjangoSettings { module, because })
}

fn in_files(project: &Path, tree: &Tree, servers: &[&Server]) -> Vec<Named> {
    let folder = servers
        .first()
        .map(|server| server.directory.as_path())
        .filter(|folder| *folder != Path::new("."));
    let mut found = Vec::new();
    for path in tree.of(Kind::Entry).filter(|path| !is_aside(path)).take(300) {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !matches!(file, "manage.py" | "wsgi.py" | "asgi.py" | "celery.py") {
            continue;
        }
        let Ok(content) = text::read(&project.join(path)) else { continue };
        if !content.contains(NAME) {
            continue;
        }
        let Some(source) = Source::parse(&content) else { continue };
        if let Some((module, line)) = set_in(&source) {
            let fact = content.lines().nth(line - 1).unwrap_or_default().trim();
            found.push(Named {
                module: text::clean(&module),
                file: file.to_owned(),
                because: evidence(format!("{}:{line}", path.display()), fact),
                near: folder.is_none_or(|folder| path.starts_with(folder)),
            });
        }
    }
    found
}

/// `os.environ.setdefault(NAME, "x.settings")` or `os.environ[NAME] = "x.settings"`.
fn set_in(source: &Source) -> Option<(String, usize)> {
    let none = super::shell::Variables::new();
    let calls = source
        .calls
        .iter()
        .filter(|call| matches!(call.callee.as_str(), "os.environ.setdefault" | "environ.setdefault"));
    let by_call = calls.filter_map(|call| match call.positional.as_slice() {
        [Value::Text(name), value, ..] if name == NAME => Some((value.text(&none)?, call.line)),
        _ => None,
    });
    let by_item = source
        .assignments
        .iter()
        .filter(|assignment| assignment.key.as_deref() == Some(NAME))
        .filter_map(|assignment| Some((assignment.value.text(&none)?, assignment.line)));
    by_call.chain(by_item).next()
}
