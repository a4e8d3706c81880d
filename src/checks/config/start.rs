//! Whether variables reach the app at all: left over ones, services that do not inherit the shell's, `.env`, Django's settings.

use super::CONFIG;
use super::lint::is_complete;
use crate::checks::scene::{Scope, ScopeKind};
use crate::checks::{Check, Failure, Scene, Severity, Verdict, page};
use crate::detect::survey::{Place, StartLine, read_text};
use crate::domain::detection::{Evidence, ServerKind};
use std::path::Path;

const DJANGO: &str = "DJANGO_SETTINGS_MODULE";

/// Names that have rows of their own, which judge their values as well.
const OWN_ROWS: &[&str] = &[
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "OTEL_EXPORTER_OTLP_TRACES_",
    "OTEL_CONFIG_FILE",
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_PYTHON_TRACER_PROVIDER",
];

pub(super) const LEFT_OVER: Check = Check {
    id: "config.left-over-environment",
    title: "no variable that switches tracing off is left over",
    why: "a variable that is already set wins over the run script's: spans go elsewhere or nowhere, without a word",
    remedy: "remove the variable where it is set",
    page: page!("config.left-over-environment"),
    severity: Severity::Warning,
    covers: &["D19", "D21", "D22"],
    run: left_over,
    ..CONFIG
};

fn left_over(scene: &Scene<'_>) -> Verdict {
    let found: Vec<_> = scene
        .detection()
        .hazards
        .iter()
        .filter(|hazard| hazard.id == "config.left-over-environment")
        .filter(|hazard| !OWN_ROWS.iter().any(|name| hazard.title.starts_with(name)))
        .collect();
    if found.is_empty() {
        return Verdict::Pass("none is set outside of the set-up".to_owned());
    }
    let titles: Vec<&str> = found.iter().map(|hazard| hazard.title.as_str()).collect();
    let remedies: Vec<&str> = found.iter().map(|hazard| hazard.remedy.as_str()).collect();
    Failure::new(titles.join("; "))
        .remedy(remedies.join("; "))
        .because(found.iter().flat_map(|hazard| hazard.because.iter().cloned()))
        .into()
}

pub(super) const SERVICE_VARIABLES: Check = Check {
    id: "config.service-variables",
    title: "services get the variables, not only this shell",
    why: "systemd, supervisor, cron and sudo do not hand on what a shell exports: the app works by hand and is untraced as a service",
    remedy: "start the service with .signoz/run.sh, which brings its variables along",
    page: page!("config.service-variables"),
    covers: &["D01"],
    run: service_variables,
    ..CONFIG
};

/// Whether a start goes through the run script, which brings its variables along.
fn brings_variables(scene: &Scene<'_>, start: &StartLine) -> bool {
    let runs = |words: &[String]| words.iter().any(|word| word.ends_with(".signoz/run.sh"));
    let file = file_name(&start.source);
    runs(&start.words)
        || start.fact.contains(".signoz/run.sh")
        || start.variables.keys().any(|name| name.starts_with("OTEL_EXPORTER_"))
        || scene
            .scopes
            .iter()
            .any(|scope| scope.kind == ScopeKind::File && scope.name == file && scope.is_configured())
        || file_text(scene, file).is_some_and(|text| environment_file(scene, &text))
}

/// `Procfile` of `Procfile:1`.
fn file_name(source: &str) -> &str {
    source.rsplit_once(':').map_or(source, |(file, _)| file)
}

/// A file of the project or of the machine, as evidence names it.
fn file_text(scene: &Scene<'_>, shown: &str) -> Option<String> {
    if shown.starts_with('/') {
        read_text(&scene.system.at(shown))
    } else {
        scene.text(shown)
    }
}

/// Whether `EnvironmentFile=` of a unit names a file with settings, or one that cannot be read here.
fn environment_file(scene: &Scene<'_>, unit: &str) -> bool {
    unit.lines()
        .filter_map(|line| line.trim().strip_prefix("EnvironmentFile="))
        .map(|path| path.trim().trim_start_matches('-'))
        .any(|path| {
            let own = read_text(Path::new(path)).or_else(|| read_text(&scene.system.at(path)));
            own.is_none_or(|text| text.lines().any(|line| line.starts_with("OTEL_")))
        })
        || unit.contains("PassEnvironment=OTEL_")
}

fn service_variables(scene: &Scene<'_>) -> Verdict {
    let Some(main) = scene.main_scope().filter(|scope| scope.is_configured()) else {
        return Verdict::Skip("neither this shell nor a run script sets OTEL_* variables".to_owned());
    };
    let mut because = Vec::new();
    for process in scene.processes() {
        let Some(variables) = &process.variables else { continue };
        // A worker has its master's variables.
        if !process.worker && !variables.keys().any(|name| name.starts_with("OTEL_")) {
            let fact = format!("{} runs without any OTEL_* variable", process.kind.as_str());
            because.push(Evidence::new(format!("pid {}", process.process.pid), fact));
        }
    }
    let services = scene
        .starts()
        .filter(|start| start.place == Place::Service && !is_uwsgi_file(start) && !brings_variables(scene, start));
    because.extend(services.map(|start| Evidence::new(start.source.clone(), &start.fact)));
    because.extend(crontabs(scene));
    // A unit in the repository may be a template that runs nowhere.
    let runs = because
        .iter()
        .any(|evidence| evidence.source.starts_with('/') || evidence.source.starts_with("pid "));
    let Some(first) = because.first() else {
        return if scene.starts().any(|start| start.place == Place::Service) || !scene.processes().is_empty() {
            Verdict::Pass("all that was found has them".to_owned())
        } else {
            Verdict::Skip("no service and no running app was found".to_owned())
        };
    };
    let run = scene.run_script();
    let places: Vec<&str> = because.iter().map(|evidence| evidence.source.as_str()).collect();
    let remedy = if scene.is_set_up() {
        format!(
            "begin the start command with {} ({}), and start it anew",
            run.display(),
            places.join(", ")
        )
    } else {
        format!("set the OTEL_* variables of this shell in {}, and start it anew", places.join(", "))
    };
    let failure = Failure::new(format!("{} has the OTEL_* variables, {} does not", main.name, first.source))
        .remedy(remedy)
        .because(because);
    if runs { failure.into() } else { failure.mild().into() }
}

/// `uwsgi --ini file`: detection's reading of a uWSGI file, which whoever starts uWSGI names; not a service of its own.
fn is_uwsgi_file(start: &StartLine) -> bool {
    matches!(&start.words[..], [program, option, _] if program == "uwsgi" && option == "--ini")
}

/// Lines of crontabs that start something in the project without the run script.
fn crontabs(scene: &Scene<'_>) -> Vec<Evidence> {
    let mut files = vec!["/etc/crontab".to_owned()];
    for folder in ["/etc/cron.d", "/var/spool/cron/crontabs", "/var/spool/cron"] {
        let entries = std::fs::read_dir(scene.system.at(folder)).into_iter().flatten().flatten();
        files.extend(entries.map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy())));
    }
    files.sort();
    let project = scene.project.display().to_string();
    let mut found = Vec::new();
    for file in files {
        let Some(text) = read_text(&scene.system.at(&file)) else { continue };
        if text.lines().any(|line| line.trim_start().starts_with("OTEL_EXPORTER_")) {
            continue;
        }
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            let starts = line.contains("python") || line.contains(".venv/bin/") || line.contains("manage.py");
            if line.contains(&project) && starts && !line.contains(".signoz/run.sh") {
                let fact = crate::detect::survey::masked_text(line);
                found.push(Evidence::new(format!("{file}:{}", index + 1), fact));
            }
        }
    }
    found
}

pub(super) const DOTENV: Check = Check {
    id: "config.dotenv-exported",
    title: "variables of .env are set before Python starts",
    why: "an app that reads .env itself does so after the SDK has been set up: the OTEL_* variables in it come too late",
    remedy: "move the OTEL_* lines of .env to .signoz/otel.env",
    page: page!("config.dotenv-exported"),
    covers: &["D34"],
    run: dotenv,
    ..CONFIG
};

fn dotenv(scene: &Scene<'_>) -> Verdict {
    let Some(scope) = scene.scopes.iter().find(|scope| scope.name == ".env" && scope.is_configured()) else {
        return Verdict::Skip("there is no .env with OTEL_* variables".to_owned());
    };
    if let Some(reader) = exporter(scene) {
        return Verdict::Pass(format!("{reader} sets them before Python starts"));
    }
    let complete: Vec<&Scope> = scene
        .scopes
        .iter()
        .filter(|scope| is_complete(scope) || scope.kind == ScopeKind::Shell)
        .collect();
    let set = |name: &str| complete.iter().any(|scope| scope.get(name).is_some());
    let missing: Vec<&str> = scope
        .variables
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with("OTEL_") && !set(name))
        .collect();
    if missing.is_empty() {
        return Verdict::Pass("all of them are set elsewhere as well".to_owned());
    }
    let names = missing.join(", ");
    let remedy = if scene.is_set_up() {
        format!("move {names} from .env to .signoz/otel.env")
    } else {
        "set -a; . ./.env; set +a (before the start command)".to_owned()
    };
    Failure::new(format!("only .env sets {names}: an app that reads it itself reads it too late"))
        .remedy(remedy)
        .because(missing.iter().flat_map(|name| scope.evidence(name)))
        .into()
}

/// Who sets the variables of `.env` before Python starts.
fn exporter(scene: &Scene<'_>) -> Option<&'static str> {
    let word = |start: &StartLine, name: &str| {
        start
            .words
            .iter()
            .any(|word| Path::new(word).file_name().is_some_and(|file| file == name))
    };
    for start in scene.starts() {
        if start.place == Place::Procfile && !start.words.iter().any(|word| word.ends_with("run.sh")) {
            return Some("the Procfile's runner");
        }
        let before = start.words.iter().any(|word| word.starts_with("--env-file"));
        for (name, shown) in [
            ("dotenv", "dotenv"),
            ("honcho", "honcho"),
            ("foreman", "foreman"),
            ("uv", "uv run"),
            ("docker", "docker"),
        ] {
            let reads = matches!(name, "dotenv" | "honcho" | "foreman") || before;
            if reads && word(start, name) {
                return Some(shown);
            }
        }
    }
    let files = &scene.survey.files;
    let holds = |needle: &str| {
        files
            .iter()
            .filter(|file| !file.path.ends_with("run.sh"))
            .filter(|file| file.path.extension().is_none_or(|extension| extension != "py"))
            .any(|file| scene.text(&file.path).is_some_and(|text| text.contains(needle)))
    };
    let unit = scene.starts().filter(|start| start.place == Place::Service).any(|start| {
        let file = start.source.rsplit_once(':').map_or(start.source.as_str(), |(file, _)| file);
        file_text(scene, file).is_some_and(|text| {
            text.lines()
                .any(|line| line.starts_with("EnvironmentFile=") && line.trim_end().ends_with(".env"))
        })
    });
    if unit {
        return Some("the unit");
    }
    if holds("env_file") {
        return Some("compose");
    }
    let sourced = [
        ". ./.env",
        "source .env",
        "source ./.env",
        ". .env",
        "--env-file .env",
        "--env-file=.env",
    ];
    if sourced.into_iter().any(holds) {
        return Some("a script");
    }
    scene.project.join(".envrc").is_file().then_some("direnv")
}

pub(super) const DJANGO_SETTINGS: Check = Check {
    id: "config.django-settings",
    title: "Django's settings module is known before Django starts",
    why: "the Django instrumentation reads the settings before manage.py or wsgi.py has named them: the app itself breaks",
    remedy: "export DJANGO_SETTINGS_MODULE where the app is started",
    page: page!("config.django-settings"),
    covers: &["B22"],
    spared: no_django,
    run: django_settings,
    ..CONFIG
};

fn no_django(scene: &Scene<'_>) -> Option<&'static str> {
    let django = scene.detection().frameworks.iter().any(|framework| framework.name == "django");
    (!django && scene.detection().django_settings.is_none()).then_some("this is no Django project")
}

/// The module that the run script exports.
fn in_run_script(scene: &Scene<'_>) -> Option<(String, String)> {
    let text = read_text(&scene.run_script())?;
    let (index, line) = text.lines().enumerate().find(|(_, line)| line.contains(&format!("{DJANGO}=")))?;
    let value = line.split_once(&format!("{DJANGO}="))?.1;
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    Some((value, format!(".signoz/run.sh:{}", index + 1)))
}

fn django_settings(scene: &Scene<'_>) -> Verdict {
    let module = scene.detection().django_settings.as_ref().map(|found| found.module.clone());
    let better = module.clone().unwrap_or_else(|| "PROJECT.settings".to_owned());
    // A running process tells more than any file: it broke, or it has it.
    let lacking = scene
        .scopes
        .iter()
        .find(|scope| scope.kind == ScopeKind::Process && scope.is_configured() && scope.get(DJANGO).is_none() && is_django(scene, scope));
    if let Some(scope) = lacking {
        return Failure::new(format!("{} is configured for tracing and has no {DJANGO}", scope.name))
            .remedy(format!("set {DJANGO}={better} where {} is started, and start it anew", scope.name))
            .because([super::lint::absent(scope, DJANGO)])
            .into();
    }
    // A wrapped start command goes past the run script, and past what it sets.
    let past = scene.starts().find(|start| {
        let wrapped = start.agents.iter().any(|agent| agent == "opentelemetry-instrument");
        let sets = start.variables.contains_key(DJANGO) || start.words.iter().any(|word| word.starts_with(DJANGO));
        wrapped && !sets && module.is_some() && !scene.scopes.iter().any(|scope| scope.get(DJANGO).is_some())
    });
    if let Some(start) = past {
        return Failure::new(format!("{} starts the app with tracing and without {DJANGO}", start.source))
            .remedy(format!(
                "in {}, write `.signoz/run.sh {}`, or export {DJANGO}={better} before it",
                start.source,
                start.inner.join(" ")
            ))
            .because([Evidence::new(start.source.clone(), &start.fact)])
            .into();
    }
    if let Some((value, source)) = in_run_script(scene) {
        return Verdict::Pass(format!("{source} sets {value}"));
    }
    if let Some(scope) = scene.scopes.iter().find(|scope| scope.get(DJANGO).is_some()) {
        let source = scope.variables.get(DJANGO).map_or("", |set| set.source.as_str());
        return Verdict::Pass(format!("{source} sets it"));
    }
    let wrapped = scene
        .starts()
        .find(|start| start.agents.iter().any(|agent| agent == "opentelemetry-instrument"));
    if !scene.is_set_up() && wrapped.is_none() {
        return Verdict::Skip("the app is not started with tracing yet; set-up will set it".to_owned());
    }
    let first = scene.detection().frameworks.first();
    if module.is_none() && first.is_none_or(|framework| framework.name != "django") {
        return Verdict::Skip("Django is installed, but nothing names a settings module: it is not the app".to_owned());
    }
    let (place, remedy) = match wrapped {
        Some(start) if !scene.is_set_up() => (
            Evidence::new(start.source.clone(), &start.fact),
            format!("export {DJANGO}={better} before the command of {}", start.source),
        ),
        _ => (
            Evidence::new(".signoz/run.sh", format!("{DJANGO} is not set")),
            format!("add `{DJANGO}={better}` to .signoz/otel.env"),
        ),
    };
    let mut because = vec![place];
    because.extend(
        scene
            .detection()
            .django_settings
            .iter()
            .flat_map(|found| found.because.iter().cloned()),
    );
    Failure::new(format!("{DJANGO} is not set where the app is started with tracing"))
        .remedy(remedy)
        .because(because)
        .into()
}

/// Whether a process serves Django: not every app of a repository is one.
fn is_django(scene: &Scene<'_>, scope: &Scope) -> bool {
    let pid = scope
        .name
        .strip_prefix("pid ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|pid| pid.parse::<u32>().ok());
    let process = scene.processes().iter().find(|process| Some(process.process.pid) == pid);
    let words = process.map(|process| process.process.argv.join(" ")).unwrap_or_default();
    let first = scene
        .detection()
        .frameworks
        .first()
        .is_some_and(|framework| framework.name == "django");
    process.is_some_and(|process| process.kind == ServerKind::DjangoRunserver) || words.contains("wsgi") || words.contains("asgi:") || first
}

pub(super) const DJANGO_IMPORTABLE: Check = Check {
    id: "config.django-importable",
    title: "Django's settings can be imported when instrumentation reads them",
    why: "settings are imported earlier than usual: a module that is not there, or that needs a variable that is not set yet, ends the start",
    remedy: "correct DJANGO_SETTINGS_MODULE, and set every variable that the settings need before Python starts",
    page: page!("config.django-importable"),
    needs: &["config.django-settings"],
    covers: &["B23"],
    spared: no_django,
    run: django_importable,
    ..CONFIG
};

fn django_importable(scene: &Scene<'_>) -> Verdict {
    let tells = |line: &&Evidence| {
        let line = &line.fact;
        line.contains("ImproperlyConfigured") || line.contains("Failed to auto initialize") && line.contains("settings")
    };
    let lines: Vec<_> = scene.log.iter().filter(tells).take(3).cloned().collect();
    if !lines.is_empty() {
        return Failure::new("the app's log says that Django's settings could not be read at the start")
            .remedy("set every variable that the settings need before Python starts: add them to .signoz/otel.env, or to the service")
            .because(lines)
            .into();
    }
    let set = in_run_script(scene).or_else(|| {
        let set = scene.scopes.iter().find_map(|scope| scope.variables.get(DJANGO))?;
        Some((set.value.clone(), set.source.clone()))
    });
    let Some((module, source)) = set else {
        return Verdict::Skip(format!("{DJANGO} is not set"));
    };
    let relative = module.replace('.', "/");
    let exists = |folder: &Path| {
        folder.join(format!("{relative}.py")).is_file()
            || folder.join(&relative).join("__init__.py").is_file()
            || folder.join(&relative).is_dir()
    };
    let entry = |file: &crate::detect::survey::ProjectFile| file.path.file_name().is_some_and(|name| name == "manage.py");
    let mut folders: Vec<_> = vec![scene.project.to_path_buf(), scene.project.join("src")];
    folders.extend(
        scene
            .survey
            .files
            .iter()
            .filter(|file| entry(file))
            .filter_map(|file| Some(scene.project.join(file.path.parent()?))),
    );
    folders.extend(scene.starts().map(|start| start.directory.clone()));
    folders.extend(scene.python().into_iter().flat_map(|python| python.site_packages.iter().cloned()));
    if folders.iter().any(|folder| exists(folder)) {
        return Verdict::Pass(format!("{module} is there"));
    }
    let top = module.split('.').next().unwrap_or_default();
    if !folders.iter().any(|folder| folder.join(top).is_dir()) {
        return Verdict::Unknown(format!("{module} is no file of the project: it may be an installed package"));
    }
    let better = scene
        .detection()
        .django_settings
        .iter()
        .find(|found| found.module != module)
        .map(|found| found.module.clone());
    let remedy = match better {
        Some(better) => format!("set {DJANGO}={better} ({source})"),
        None => format!("correct {DJANGO} in {source}: there is no {relative}.py"),
    };
    Failure::new(format!("{DJANGO} is {module}, and there is no such module in the project"))
        .remedy(remedy)
        .because([Evidence::new(source, format!("{DJANGO}={module}"))])
        .into()
}
