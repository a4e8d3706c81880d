//! Tasks and entry points in `pyproject.toml` and `setup.cfg`: poe, PDM, taskipy, hatch, rye, `[project.scripts]`.

use super::super::shell::Variables;
use super::super::text;
use super::{File, Gathered, Origin, Place, is_likely_app};
use std::ops::Range;
use std::path::Path;
use toml_edit::{Document, Item, TableLike};

/// Tables whose values are shell lines, or tables with one under these keys.
const TASKS: &[&[&str]] = &[
    &["tool", "poe", "tasks"],
    &["tool", "pdm", "scripts"],
    &["tool", "taskipy", "tasks"],
    &["tool", "rye", "scripts"],
    &["tool", "pixi", "tasks"],
];
const LINES: &[&str] = &["cmd", "shell", "script", "composite", "chain", "sequence"];

/// Tables of `name = "module:function"`.
const ENTRY_POINTS: &[&[&str]] = &[&["project", "scripts"], &["tool", "poetry", "scripts"]];

/// Reads a `pyproject.toml`.
pub(super) fn read(file: &File<'_>, content: &str, found: &mut Gathered) {
    let document = match Document::parse(content) {
        Ok(document) => document,
        Err(error) => {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            found
                .notes
                .push(text::clean(&format!("`{}` was not understood: {first}", file.path.display())));
            return;
        }
    };
    for path in TASKS {
        if let Some(tasks) = table(document.as_item(), path) {
            each_task(file, content, tasks, found);
        }
    }
    if let Some(environments) = table(document.as_item(), &["tool", "hatch", "envs"]) {
        for (_, environment) in environments.iter() {
            if let Some(scripts) = table(environment, &["scripts"]) {
                each_task(file, content, scripts, found);
            }
        }
    }
    for path in ENTRY_POINTS {
        for (name, item) in table(document.as_item(), path).into_iter().flat_map(TableLike::iter) {
            if let Some(target) = item.as_str() {
                entry_point(file, name, target, line(content, item.span()), found);
            }
        }
    }
}

/// `[scripts]` of a `Pipfile`.
pub(super) fn pipfile(file: &File<'_>, content: &str, found: &mut Gathered) {
    if let Ok(document) = Document::parse(content)
        && let Some(scripts) = table(document.as_item(), &["scripts"])
    {
        each_task(file, content, scripts, found);
    }
}

fn table<'a>(mut item: &'a Item, path: &[&str]) -> Option<&'a dyn TableLike> {
    for key in path {
        item = item.as_table_like()?.get(key)?;
    }
    item.as_table_like()
}

fn each_task(file: &File<'_>, content: &str, tasks: &dyn TableLike, found: &mut Gathered) {
    for (_, task) in tasks.iter() {
        let mut lines: Vec<(&str, Option<Range<usize>>)> = Vec::new();
        if let Some(text) = task.as_str() {
            lines.push((text, task.span()));
        } else if let Some(list) = task.as_array() {
            lines.extend(list.iter().filter_map(|value| Some((value.as_str()?, value.span()))));
        } else if let Some(table) = task.as_table_like() {
            let given = LINES.iter().filter_map(|key| table.get(key));
            lines.extend(given.filter_map(|item| Some((item.as_str()?, item.span()))));
        }
        for (text, span) in lines {
            let before = found.commands.len();
            let mut place = Place {
                variables: file.dotenv.clone(),
                directory: file.folder(),
            };
            found.shell_line(Origin::Script, text, &mut place, &file.at(line(content, span)));
            let new = found.commands.split_off(before);
            let likely = new
                .into_iter()
                .filter(|raw| is_likely_app(&raw.words, &raw.directory, file.project));
            found.commands.extend(likely);
        }
    }
}

/// A script of the package itself counts when its module starts a server.
fn entry_point(file: &File<'_>, name: &str, target: &str, line: usize, found: &mut Gathered) {
    let module = target.split(':').next().unwrap_or_default().trim();
    if module.is_empty() || !module.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) {
        return;
    }
    let inner = module.replace('.', "/");
    let path = [".", "src"]
        .iter()
        .map(|root| file.folder().join(root).join(&inner))
        .flat_map(|path| [path.with_extension("py"), path.join("__init__.py")])
        .find(|path| path.is_file());
    let Some(source) = path.and_then(|path| text::read(&path).ok()) else {
        return;
    };
    if ["uvicorn.run(", ".run(", "serve(", "run_app("]
        .iter()
        .any(|call| source.contains(call))
    {
        let place = Place {
            variables: Variables::new(),
            directory: file.folder(),
        };
        // `python -m` starts the same code wherever the script itself was installed.
        let words = vec!["python".to_owned(), "-m".to_owned(), module.to_owned()];
        if super::module_file(&place.directory, module).is_some_and(|path| has_main(&path)) {
            found.command(Origin::Script, words, &place, file.at(line), &format!("{name} = \"{target}\""));
        }
    }
}

fn has_main(path: &Path) -> bool {
    path.ends_with("__main__.py") || text::read(path).is_ok_and(|content| content.contains("__main__"))
}

fn line(content: &str, span: Option<Range<usize>>) -> usize {
    span.and_then(|span| content.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1)
}

/// `console_scripts` of a `setup.cfg`.
pub(super) fn setup_cfg(file: &File<'_>, content: &str, found: &mut Gathered) {
    let mut inside = false;
    for (number, line) in content.lines().enumerate() {
        if !line.starts_with([' ', '\t']) {
            inside = line.trim_start().starts_with("console_scripts");
            continue;
        }
        if inside && let Some((name, target)) = line.split_once('=') {
            entry_point(file, name.trim(), target.trim(), number + 1, found);
        }
    }
}
