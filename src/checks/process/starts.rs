//! Checks on start commands as they are written down, and on the processes that run: whether tracing reaches every one.

use super::super::{Check, Failure, Scene, Severity, Verdict, page};
use super::PROCESS;
use crate::detect::survey::{AppProcess, FileKind, Place, StartLine};
use crate::domain::detection::{Evidence, ServerKind};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "process.tracing-started",
        title: "something starts tracing in the app",
        why: "without a run script, a wrapper or code that starts it, no span is ever made",
        remedy: "run `signoz-setup`",
        page: page!("process.tracing-started"),
        severity: Severity::Warning,
        covers: &["B20", "C03"],
        run: tracing_started,
        ..PROCESS
    },
    Check {
        id: "process.wrapper-placed",
        title: "opentelemetry-instrument stands in front of the server, its words apart",
        why: "behind the server, or around one quoted string, it starts nothing, or nothing that is traced",
        remedy: "write `opentelemetry-instrument` directly before the Python server, each word by itself",
        page: page!("process.wrapper-placed"),
        covers: &["B14", "B15"],
        spared: |scene| {
            if quoted_wrapper(scene).is_some() {
                None
            } else {
                nothing_written(scene)
            }
        },
        run: wrapper_placed,
        ..PROCESS
    },
    Check {
        id: "process.one-start",
        title: "tracing is started once",
        why: "the run script starts tracing by itself; a second start around or inside it makes spans twice or none",
        remedy: "keep `.signoz/run.sh` and take `opentelemetry-instrument` out of the command",
        page: page!("process.one-start"),
        severity: Severity::Warning,
        covers: &["H11"],
        spared: nothing_written,
        run: one_start,
        ..PROCESS
    },
    Check {
        id: "process.run-script",
        title: "what starts the app starts it through the run script",
        why: "a server that is started as before is not traced: the set-up does nothing for it",
        remedy: "start it with `.signoz/run.sh COMMAND`",
        page: page!("process.run-script"),
        severity: Severity::Warning,
        covers: &["B24", "B20"],
        spared: |scene| {
            if scene.is_set_up() {
                nothing_written(scene)
            } else {
                Some("set-up was not run here")
            }
        },
        run: run_script,
        ..PROCESS
    },
    Check {
        id: "process.spawned-workers",
        title: "tracing reaches workers that are new interpreters",
        why: "uvicorn, hypercorn and reloaders spawn their workers; before 0.63b0, opentelemetry-instrument does not reach them, and nothing says so",
        remedy: "start with `.signoz/run.sh`, whose loader every new interpreter runs",
        page: page!("process.spawned-workers"),
        covers: &["C06", "C10"],
        spared: nothing_written,
        run: spawned_workers,
        ..PROCESS
    },
    Check {
        id: "process.running-traced",
        title: "the running app was started with tracing",
        why: "a process keeps what it was started with: without the loader or the wrapper it sends nothing, whatever the files say now",
        remedy: "restart it through the run script",
        page: page!("process.running-traced"),
        covers: &["B13", "B20", "D01"],
        spared: |scene| {
            let seen = scene.processes().iter().any(|process| process.variables.is_some());
            if seen {
                None
            } else {
                Some("no process of the app is running that may be looked into")
            }
        },
        run: running_traced,
        ..PROCESS
    },
    Check {
        id: "process.hook-imports",
        title: "worker hooks import what the installed release has",
        why: "`initialize` came with 0.52b0: before it, every gunicorn worker fails to boot",
        remedy: "remove the hook: `.signoz/gunicorn.conf.py` does its work",
        page: page!("process.hook-imports"),
        covers: &["C04"],
        spared: |scene| {
            scene
                .dist("opentelemetry-instrumentation")
                .is_none()
                .then_some("opentelemetry-instrumentation is not installed")
        },
        run: hook_imports,
        ..PROCESS
    },
    Check {
        id: "process.uwsgi-stops",
        title: "uWSGI ends on SIGTERM",
        why: "without die-on-term uWSGI reloads on SIGTERM: the last spans wait for a process that is killed",
        remedy: "add `die-on-term = true` below `[uwsgi]`",
        page: page!("process.uwsgi-stops"),
        severity: Severity::Warning,
        covers: &["C16"],
        spared: |scene| {
            let any = uwsgi_files(scene).next().is_some();
            if any { None } else { Some("there is no uWSGI configuration") }
        },
        run: uwsgi_stops,
        ..PROCESS
    },
    Check {
        id: "process.green-threads",
        title: "the exporter gets along with the app's green threads",
        why: "gRPC's own threads are not green: under eventlet, and under gevent without the loader, calls block or recurse",
        remedy: "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        page: page!("process.green-threads"),
        severity: Severity::Warning,
        covers: &["C19", "C20"],
        spared: |scene| {
            let green = scene.dist("eventlet").is_some() || scene.dist("gevent").is_some();
            if green {
                None
            } else {
                Some("neither gevent nor eventlet is installed")
            }
        },
        run: green_threads,
        ..PROCESS
    },
];

const WRAPPER: &str = "opentelemetry-instrument";

/// Start commands that somebody wrote down.
fn written<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a StartLine> {
    scene.starts().filter(|start| start.place != Place::Process)
}

fn nothing_written(scene: &Scene<'_>) -> Option<&'static str> {
    if written(scene).next().is_some() {
        None
    } else {
        Some("no start command is written down")
    }
}

fn seen(start: &StartLine) -> Evidence {
    Evidence::new(start.source.clone(), &start.fact)
}

/// Whether a command goes through the run script.
fn by_run_script(words: &[String]) -> bool {
    words.iter().any(|word| word.ends_with(".signoz/run.sh"))
}

fn wraps(start: &StartLine) -> bool {
    start.agents.iter().any(|agent| agent == WRAPPER)
}

fn tracing_started(scene: &Scene<'_>) -> Verdict {
    if scene.is_set_up() {
        return Verdict::Pass("the run script does".to_owned());
    }
    if let Some(start) = scene.starts().find(|start| !start.agents.is_empty()) {
        return Verdict::Pass(format!("{} does", start.source));
    }
    let own = |id: &str| scene.detection().hazards.iter().find(|hazard| hazard.id == id);
    if let Some(hazard) = own("process.own-provider") {
        let place = hazard.because.first().map_or("", |because| because.source.as_str());
        return Verdict::Pass(format!("the app's own code does, in {place}"));
    }
    if let Some(hazard) = own("process.duplicate-hook") {
        let instruments = scene
            .survey
            .files
            .iter()
            .filter(|file| file.kind == FileKind::Python)
            .filter_map(|file| scene.text(&file.path))
            .any(|text| text.contains(".instrument(") || text.contains(".instrument_app("));
        if instruments {
            return Verdict::Pass("a worker hook and the app's own code do".to_owned());
        }
        return Failure::new("a worker hook exports spans, and nothing instruments the app's libraries: there are none to export")
            .remedy(format!("remove the hook, and run signoz-setup {}", scene.project.display()))
            .because(hazard.because.iter().cloned())
            .into();
    }
    Failure::new("set-up was not run here, no start command has a wrapper, and no code of the app sets a tracer provider")
        .remedy(format!("signoz-setup {}", scene.project.display()))
        .because([Evidence::new(".signoz/run.sh", "is not there")])
        .into()
}

fn wrapper_placed(scene: &Scene<'_>) -> Verdict {
    let wrong = |start: &&StartLine| {
        let at = start.words.iter().position(|word| word.ends_with(WRAPPER));
        let quoted = at.is_some_and(|at| start.words.get(at + 1).is_some_and(|word| word.contains(' ')));
        at.is_some() && (quoted || !wraps(start))
    };
    let found: Vec<&StartLine> = written(scene).filter(wrong).collect();
    let Some(first) = found.first() else {
        return quoted_wrapper(scene).map_or_else(
            || Verdict::Pass("every start command that names it has it in front".to_owned()),
            |place| {
                Failure::new(format!(
                    "{}: `{WRAPPER}` is given one quoted string, which is no program's name",
                    place.source
                ))
                .remedy(format!("in {}, take the quotes away", place.source))
                .because([place])
                .into()
            },
        );
    };
    Failure::new(format!(
        "{}: `{WRAPPER}` does not stand directly before the server's own words",
        first.source
    ))
    .because(found.iter().map(|start| seen(start)))
    .into()
}

/// A line in which the wrapper is given a whole command as one word: no start command can be read from it.
fn quoted_wrapper(scene: &Scene<'_>) -> Option<Evidence> {
    let kinds = [
        FileKind::Procfile,
        FileKind::Unit,
        FileKind::Ini,
        FileKind::Shell,
        FileKind::Makefile,
        FileKind::Compose,
        FileKind::Dockerfile,
    ];
    let files = scene.survey.files.iter().filter(|file| kinds.contains(&file.kind));
    let quoted = |line: &str| {
        let rest = line.split_once(WRAPPER).map_or("", |(_, rest)| rest).trim_start();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let word = rest[1..].split(quote).next()?;
        // `"opentelemetry-instrument", "gunicorn"` in a list has no space in its words.
        word.trim().contains(' ').then_some(())
    };
    for file in files {
        let Some(text) = scene.text(&file.path) else { continue };
        if let Some(number) = text.lines().position(|line| quoted(line).is_some()) {
            let line = text.lines().nth(number).unwrap_or_default();
            return Some(Evidence::new(
                format!("{}:{}", file.path.display(), number + 1),
                crate::detect::survey::masked_text(line.trim()),
            ));
        }
    }
    None
}

fn one_start(scene: &Scene<'_>) -> Verdict {
    let both: Vec<&StartLine> = written(scene)
        .filter(|start| by_run_script(&start.words) && start.words.iter().any(|word| word.ends_with(WRAPPER)))
        .collect();
    let Some(first) = both.first() else {
        return Verdict::Pass("no start command starts tracing twice".to_owned());
    };
    Failure::new(format!("{}: the run script and `{WRAPPER}` both start tracing", first.source))
        .because(both.iter().map(|start| seen(start)))
        .into()
}

fn run_script(scene: &Scene<'_>) -> Verdict {
    // A container has a way of its own, and what is commented out or a helper script is not what starts the app.
    let starts = |start: &&StartLine| matches!(start.place, Place::Procfile | Place::Service);
    let bare: Vec<&StartLine> = written(scene)
        .filter(starts)
        .filter(|start| !by_run_script(&start.words) && !wraps(start))
        .collect();
    let Some(first) = bare.first() else {
        return Verdict::Pass("every start command of a Procfile or service goes through it, or is wrapped".to_owned());
    };
    Failure::new(format!("{} starts `{}` without it", first.source, first.inner.join(" ")))
        .remedy(format!("in {}, write `.signoz/run.sh {}`", first.source, first.inner.join(" ")))
        .because(bare.iter().map(|start| seen(start)))
        .into()
}

fn spawned_workers(scene: &Scene<'_>) -> Verdict {
    if scene.is("opentelemetry-instrumentation", ">=0.63b0") {
        return Verdict::Pass("this release reaches them by itself".to_owned());
    }
    let spawns = |start: &&StartLine| {
        let program = start.inner.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
        let many = start
            .inner
            .windows(2)
            .any(|pair| matches!(pair[0].as_str(), "--workers" | "-w") && pair[1].parse::<u32>().is_ok_and(|count| count > 1))
            || start
                .inner
                .iter()
                .any(|word| word.strip_prefix("--workers=").is_some_and(|count| count != "1"));
        program == "hypercorn" || program == "uvicorn" && many
    };
    let lost: Vec<&StartLine> = written(scene)
        .filter(|start| wraps(start) && !by_run_script(&start.words))
        .filter(spawns)
        .collect();
    let Some(first) = lost.first() else {
        return Verdict::Pass("no wrapped server that spawns its workers was found".to_owned());
    };
    Failure::new(format!(
        "{}: its workers are new interpreters, which `{WRAPPER}` of this release does not reach: no span",
        first.source
    ))
    .remedy(format!("in {}, write `.signoz/run.sh {}`", first.source, first.inner.join(" ")))
    .because(lost.iter().map(|start| seen(start)))
    .into()
}

fn running_traced(scene: &Scene<'_>) -> Verdict {
    // OpenTelemetry before 0.63b0 takes its folder out of PYTHONPATH once it has started: what stays are its variables.
    let traced = |process: &AppProcess| {
        let variables = process.variables.as_ref();
        let has = |name: &str, part: &str| variables.and_then(|all| all.get(name)).is_some_and(|value| value.contains(part));
        let loader = has("PYTHONPATH", ".signoz/auto") || has("PYTHONPATH", "auto_instrumentation");
        let wrapped = process.process.argv.iter().any(|word| word.ends_with(WRAPPER));
        let endpoint = variables.is_some_and(|all| all.keys().any(|name| name.starts_with("OTEL_EXPORTER_OTLP_")));
        loader || wrapped || endpoint
    };
    let readable: Vec<&AppProcess> = scene.processes().iter().filter(|process| process.variables.is_some()).collect();
    let bare: Vec<&AppProcess> = readable
        .iter()
        .copied()
        .filter(|process| !process.worker && !traced(process))
        .collect();
    let Some(first) = bare.first() else {
        return Verdict::Pass(format!("{} processes, each started with tracing", readable.len()));
    };
    let evidence = bare.iter().map(|process| {
        Evidence::new(
            format!("pid {}", process.process.pid),
            crate::detect::survey::masked_text(&process.process.argv.join(" ")),
        )
    });
    Failure::new(format!(
        "pid {} ({}) has neither the loader nor any OpenTelemetry variable: it sends nothing",
        first.process.pid,
        first.kind.as_str()
    ))
    .because(evidence)
    .into()
}

fn hook_imports(scene: &Scene<'_>) -> Verdict {
    if scene.is("opentelemetry-instrumentation", ">=0.52b0") {
        return Verdict::Pass("this release has `initialize`".to_owned());
    }
    let mut found = Vec::new();
    for file in scene.survey.files.iter().filter(|file| file.kind == FileKind::Python) {
        let named = file
            .path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains("gunicorn"));
        let Some(text) = named.then(|| scene.text(&file.path)).flatten() else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if line.contains("auto_instrumentation") && line.contains("import") && line.contains("initialize") {
                found.push(Evidence::new(format!("{}:{}", file.path.display(), number + 1), line.trim()));
            }
        }
    }
    let Some(first) = found.first().cloned() else {
        return Verdict::Pass("no gunicorn configuration imports `initialize`".to_owned());
    };
    Failure::new(format!(
        "{} imports `initialize`, which this release does not have: workers fail to boot",
        first.source
    ))
    .because(found)
    .into()
}

fn uwsgi_files<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a std::path::Path, String)> {
    scene
        .survey
        .files
        .iter()
        .filter(|file| file.kind == FileKind::Ini)
        .filter_map(|file| Some((file.path.as_path(), scene.text(&file.path)?)))
        .filter(|(_, text)| text.lines().any(|line| line.trim() == "[uwsgi]"))
}

fn uwsgi_stops(scene: &Scene<'_>) -> Verdict {
    let dies = |text: &str| {
        text.lines().any(|line| {
            let line: String = line.chars().filter(|character| !character.is_whitespace()).collect();
            matches!(line.as_str(), "die-on-term=true" | "die-on-term=1" | "die-on-term")
        })
    };
    let stays: Vec<Evidence> = uwsgi_files(scene)
        .filter(|(_, text)| !dies(text))
        .map(|(path, _)| Evidence::new(path.display().to_string(), "no die-on-term"))
        .collect();
    let Some(first) = stays.first().cloned() else {
        return Verdict::Pass("die-on-term is set".to_owned());
    };
    Failure::new(format!("{} has no `die-on-term`: SIGTERM reloads it", first.source))
        .because(stays)
        .into()
}

fn green_threads(scene: &Scene<'_>) -> Verdict {
    let protocol = scene
        .main_scope()
        .and_then(|scope| scope.traces("PROTOCOL"))
        .map(|(_, value)| value.to_owned());
    if protocol.as_deref().is_some_and(|value| value.trim() == "http/protobuf") {
        return Verdict::Pass("spans are sent over HTTP".to_owned());
    }
    if scene.dist("eventlet").is_none() {
        let loader = scene.is_set_up();
        let gunicorn = scene
            .survey
            .detection
            .servers
            .iter()
            .any(|server| server.kind == ServerKind::Gunicorn);
        if loader || !gunicorn {
            return Verdict::Pass("the loader lets gevent replace ssl before the exporters import it".to_owned());
        }
    }
    let library = if scene.dist("eventlet").is_some() { "eventlet" } else { "gevent" };
    Failure::new(format!(
        "{library} is installed, and spans are sent over gRPC, whose threads are not green"
    ))
    .because(scene.dist_evidence(library))
    .into()
}
