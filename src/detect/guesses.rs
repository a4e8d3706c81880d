//! Start commands that nobody wrote down: what the code itself offers, and a gunicorn config without a command. Ranked last.

use super::commands::find_run;
use super::shell::Variables;
use super::source::{Call, Source, Value};
use super::sources::{Origin, Raw};
use super::text;
use super::walk::{Kind, Tree, is_aside};
use std::path::{Path, PathBuf};

/// Entry files that are read.
const MOST: usize = 300;

/// What makes an entry file worth parsing.
const MARKS: &[&str] = &[
    "Flask(",
    "FastAPI(",
    "Starlette(",
    "Quart(",
    "Litestar(",
    "Celery(",
    ".run(",
    "serve(",
    "run_simple(",
    "run_app(",
    "get_wsgi_application",
    "get_asgi_application",
    "execute_from_command_line",
];

/// Which servers the environment or the project's requirements hold.
pub(super) struct Available<'a>(pub(super) &'a dyn Fn(&str) -> bool);

/// A module: where it is imported from and what it is called there.
struct Module {
    root: PathBuf,
    name: String,
    file: PathBuf,
}

/// Offers commands for what the code holds.
pub(super) fn offer(project: &Path, tree: &Tree, available: &Available<'_>) -> Vec<Raw> {
    let mut found = Vec::new();
    let configs = configs(project, tree, &mut found);
    for path in tree.of(Kind::Entry).filter(|path| !is_aside(path)).take(MOST) {
        let Ok(content) = text::read(&project.join(path)) else { continue };
        if !MARKS.iter().any(|mark| content.contains(mark)) {
            continue;
        }
        let Some(source) = Source::parse(&content) else { continue };
        let offers = Offers {
            module: module(project, path),
            path,
            content: &content,
            gunicorn: (available.0)("gunicorn") || !configs.is_empty(),
            uvicorn: !(available.0)("hypercorn") || (available.0)("uvicorn"),
            configs: &configs,
        };
        offers.give(&source, &mut found);
    }
    found
}

/// Gunicorn configs of the project: (folder, file name); one that names its app is a command by itself.
fn configs(project: &Path, tree: &Tree, found: &mut Vec<Raw>) -> Vec<(PathBuf, String)> {
    let mut configs = Vec::new();
    for path in tree.of(Kind::Python).filter(|path| !is_aside(path)) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !matches!(
            name,
            "gunicorn.conf.py" | "gunicorn_conf.py" | "gunicorn_config.py" | "gunicorn-conf.py"
        ) {
            continue;
        }
        let folder = project.join(path.parent().unwrap_or(Path::new("")));
        configs.push((folder.clone(), name.to_owned()));
        let Some((content, source)) = text::read(&project.join(path))
            .ok()
            .and_then(|text| Source::parse(&text).map(|source| (text, source)))
        else {
            continue;
        };
        if let Some(app) = source.top("wsgi_app") {
            let mut words = vec!["gunicorn".to_owned()];
            if name != "gunicorn.conf.py" {
                words.extend(["-c".to_owned(), name.to_owned()]);
            }
            found.push(Raw {
                origin: Origin::Script,
                words,
                variables: Variables::new(),
                directory: folder,
                source: format!("{}:{}", path.display(), app.line),
                fact: content.lines().nth(app.line - 1).unwrap_or_default().to_owned(),
                interpreter: None,
            });
        }
    }
    configs
}

struct Offers<'a> {
    module: Module,
    path: &'a Path,
    content: &'a str,
    gunicorn: bool,
    uvicorn: bool,
    configs: &'a [(PathBuf, String)],
}

impl Offers<'_> {
    fn give(&self, source: &Source, found: &mut Vec<Raw>) {
        let run = find_run(source, self.content, &Variables::new());
        for call in &source.calls {
            match call.method() {
                "Flask" | "Quart" | "APIFlask" => self.flask(source, call, run.is_some(), found),
                "FastAPI" | "Starlette" | "Litestar" if call.function.is_none() && run.is_none() => {
                    if let Some(name) = &call.target {
                        let server = if self.uvicorn { "uvicorn" } else { "hypercorn" };
                        self.push(&[server, &format!("{}:{name}", self.module.name)], call.line, found);
                    }
                }
                "Celery" if call.function.is_none() && call.target.is_some() => {
                    self.push(&["celery", "-A", &self.module.name, "worker"], call.line, found);
                }
                "get_wsgi_application" if self.gunicorn => {
                    if let Some(name) = &call.target {
                        self.gunicorn(&format!("{}:{name}", self.module.name), call.line, found);
                    }
                }
                "execute_from_command_line" => self.push(&["python", &self.module.file.to_string_lossy(), "runserver"], call.line, found),
                _ => {}
            }
        }
        if let Some(run) = run {
            if self.module.name.contains('.') {
                self.push(&["python", "-m", &self.module.name], run.line, found);
            } else {
                self.push(&["python", &self.module.file.to_string_lossy()], run.line, found);
            }
        }
    }

    fn flask(&self, source: &Source, call: &Call, runs: bool, found: &mut Vec<Raw>) {
        // `Flask("name")` or `Flask(__name__)`, not another class of that name.
        if !matches!(call.positional.first(), Some(Value::Name(_) | Value::Text(_))) {
            return;
        }
        let target = match source.around(call).last() {
            None => call.target.clone(),
            Some(factory) if matches!(factory.name.as_str(), "create_app" | "make_app") => Some(format!("{}()", factory.name)),
            Some(_) => None,
        };
        let Some(target) = target else { return };
        if self.gunicorn {
            self.gunicorn(&format!("{}:{target}", self.module.name), call.line, found);
        } else if !runs {
            self.push(&["flask", "--app", &self.module.name, "run"], call.line, found);
        }
    }

    fn gunicorn(&self, app: &str, line: usize, found: &mut Vec<Raw>) {
        let other = self
            .configs
            .iter()
            .find(|(folder, name)| *folder == self.module.root && name != "gunicorn.conf.py");
        match other {
            Some((_, config)) => self.push(&["gunicorn", "-c", config, app], line, found),
            None => self.push(&["gunicorn", app], line, found),
        }
    }

    fn push(&self, words: &[&str], line: usize, found: &mut Vec<Raw>) {
        found.push(Raw {
            origin: Origin::Guess,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            variables: Variables::new(),
            directory: self.module.root.clone(),
            source: format!("{}:{line}", self.path.display()),
            fact: self.content.lines().nth(line - 1).unwrap_or_default().trim().to_owned(),
            interpreter: None,
        });
    }
}

/// The folder from which a file is imported is the first one above it that is no package.
fn module(project: &Path, path: &Path) -> Module {
    let file = project.join(path);
    let mut root = file.parent().unwrap_or(project).to_path_buf();
    while root.starts_with(project) && root != project && root.join("__init__.py").is_file() {
        root.pop();
    }
    let inner = file.strip_prefix(&root).unwrap_or(path).to_path_buf();
    let mut name = inner.with_extension("").to_string_lossy().replace('/', ".");
    for suffix in [".__init__", ".__main__"] {
        if let Some(package) = name.strip_suffix(suffix) {
            name = package.to_owned();
        }
    }
    Module { root, name, file: inner }
}
