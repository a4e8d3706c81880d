//! What Dockerfiles install, copy and start.

use super::service::{environment, services};
use crate::checks::written::Dockerfile;
use crate::checks::{Failure, Scene, Verdict};
use crate::detect::survey::{Place, masked_text};
use crate::domain::detection::Evidence;

type Step = (usize, String, String);

/// The steps of the last stage: those that make the image.
fn last_stage(file: &Dockerfile) -> &[Step] {
    let from = file.steps.iter().rposition(|(_, keyword, _)| keyword == "FROM").unwrap_or(0);
    file.steps.get(from..).unwrap_or_default()
}

/// ENTRYPOINT and CMD of the image, the last of each.
fn starts(file: &Dockerfile) -> Vec<&Step> {
    let stage = last_stage(file);
    ["ENTRYPOINT", "CMD"]
        .iter()
        .filter_map(|wanted| stage.iter().rev().find(|(_, keyword, _)| keyword == wanted))
        .collect()
}

/// Texts of the project's scripts that a command names: path and text.
fn scripts_in(scene: &Scene<'_>, command: &str) -> Vec<(String, String)> {
    command
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | '[' | ']' | ',' | '\''))
        .filter(|word| word.ends_with(".sh") || word.contains("entrypoint"))
        .filter_map(|word| {
            let name = word.rsplit('/').next()?;
            let files = scene.survey.files.iter();
            let file = files
                .into_iter()
                .find(|file| file.path.file_name().is_some_and(|file| *file == *name))?;
            Some((file.path.display().to_string(), scene.text(&file.path)?))
        })
        .collect()
}

fn instruments(text: &str) -> bool {
    ["opentelemetry-instrument", "auto_instrumentation", ".signoz/run.sh"]
        .iter()
        .any(|word| text.contains(word))
}

pub(super) fn wrapper(scene: &Scene<'_>) -> Verdict {
    if scene.detection().hazards.iter().any(|hazard| hazard.id == "process.own-provider") {
        return Verdict::Skip("the app sets up tracing in its own code".to_owned());
    }
    let objects = &scene.written().objects;
    if objects
        .iter()
        .any(|document| document.text.contains("inject-python") || instruments(&document.text))
    {
        return Verdict::Skip("manifests start the app under instrumentation, whatever the image says".to_owned());
    }
    let files = &scene.written().dockerfiles;
    let by_service = services(scene)
        .any(|(_, _, service)| instruments(&service["command"].to_string()) || instruments(&service["entrypoint"].to_string()));
    let mut looked = 0;
    for file in files {
        let configured = file.steps.iter().any(|(_, keyword, rest)| {
            keyword == "ENV" && rest.contains("OTEL_")
                || keyword == "RUN" && (rest.contains("opentelemetry-bootstrap") || rest.contains("opentelemetry-distro"))
        });
        if !configured || file.steps.iter().any(|(_, keyword, rest)| keyword == "ENV" && instruments(rest)) {
            continue;
        }
        let starts = starts(file);
        let all: Vec<&str> = starts.iter().map(|(_, _, rest)| rest.as_str()).collect();
        let all = all.join(" ");
        let scripts = scripts_in(scene, &all);
        looked += 1;
        if by_service || instruments(&all) || scripts.iter().any(|(_, text)| instruments(text)) {
            continue;
        }
        let own = |source: &str| source.rsplit_once(':').map_or(source, |(path, _)| path).to_owned();
        let start = scene.starts().find(|start| {
            let path = own(&start.source);
            start.place == Place::Container && path == file.path || scripts.iter().any(|(script, _)| *script == path)
        });
        let Some(start) = start else { continue };
        let words: Vec<_> = std::iter::once("opentelemetry-instrument")
            .chain(start.inner.iter().map(String::as_str))
            .collect();
        let better = if start.place == Place::Container {
            format!("CMD {}", serde_json::to_string(&words).unwrap_or_default())
        } else {
            format!("exec {}", words.join(" "))
        };
        return Failure::new("the image sets up OpenTelemetry, and its last command starts the app without it")
            .remedy(format!("in `{}` write `{}`", start.source, masked_text(&better)))
            .because([Evidence::new(start.source.clone(), &start.fact)])
            .into();
    }
    let wrapped_image = files.iter().any(|file| {
        starts(file).iter().any(|(_, keyword, rest)| {
            keyword == "ENTRYPOINT" && (instruments(rest) || scripts_in(scene, rest).iter().any(|(_, text)| instruments(text)))
        })
    });
    for (compose, name, service) in services(scene) {
        if !environment(service).iter().any(|(name, _)| name.starts_with("OTEL_")) || service.get("command").is_none() {
            continue;
        }
        let text = format!("{} {}", service["entrypoint"], service["command"]);
        // `manage.py migrate` and its like serve nothing.
        if text.contains("manage.py") && !text.contains("runserver") {
            continue;
        }
        looked += 1;
        let through_script = scripts_in(scene, &text).iter().any(|(_, text)| instruments(text));
        let replaced = service.get("entrypoint").is_some();
        if instruments(&text) || through_script || wrapped_image && !replaced {
            continue;
        }
        let prefix = format!("{}:", compose.path);
        let start = scene.starts().find(|start| {
            start.place == Place::Container
                && start.source.starts_with(&prefix)
                && !instruments(&start.words.join(" "))
                && start.inner.iter().all(|word| text.contains(word.as_str()))
        });
        let Some(start) = start else { continue };
        return Failure::new(format!(
            "the service `{name}` has OTEL_ variables, and its command starts the app without instrumentation"
        ))
        .remedy(format!(
            "in `{}` write `command: opentelemetry-instrument {}`",
            start.source,
            masked_text(&start.inner.join(" "))
        ))
        .because([Evidence::new(start.source.clone(), &start.fact)])
        .into();
    }
    if looked == 0 {
        return Verdict::Skip("no container file sets up OpenTelemetry".to_owned());
    }
    Verdict::Pass("the last command starts the app under instrumentation".to_owned())
}

/// Shell commands of a RUN line.
fn commands(rest: &str) -> impl Iterator<Item = &str> {
    rest.split("&&").flat_map(|part| part.split(';')).map(str::trim)
}

/// Installs what the app needs (not single packages by name).
fn installs_requirements(command: &str) -> bool {
    let pip = command.contains("pip install") || command.contains("pip3 install");
    pip && (command.contains(" -r")
        || command.contains("--requirement")
        || command.split_whitespace().any(|word| word == "." || word.starts_with(".[")))
        || [
            "uv sync",
            "poetry install",
            "pipenv install",
            "pipenv sync",
            "pdm install",
            "pdm sync",
        ]
        .iter()
        .any(|tool| command.contains(tool))
}

pub(super) fn bootstrap_order(scene: &Scene<'_>) -> Verdict {
    let mut seen = false;
    for file in &scene.written().dockerfiles {
        let mut bootstrap: Option<usize> = None;
        for (line, keyword, rest) in &file.steps {
            if keyword == "FROM" {
                bootstrap = None;
            }
            if keyword != "RUN" {
                continue;
            }
            for command in commands(rest) {
                if command.contains("opentelemetry-bootstrap") && command.contains("install") {
                    seen = true;
                    bootstrap = Some(*line);
                } else if let Some(early) = bootstrap.filter(|_| installs_requirements(command)) {
                    return Failure::new("`opentelemetry-bootstrap` runs before the app's requirements are installed")
                        .remedy(format!("move `{}:{early}` below `{}:{line}`", file.path, file.path))
                        .because([
                            file.at(early, "RUN opentelemetry-bootstrap"),
                            file.at(*line, &format!("RUN {command}")),
                        ])
                        .into();
                }
            }
        }
    }
    if seen {
        Verdict::Pass("bootstrap runs after the requirements".to_owned())
    } else {
        Verdict::Skip("no Dockerfile runs `opentelemetry-bootstrap`".to_owned())
    }
}

/// `3.11` of `python:3.11-slim` or of `/usr/local/lib/python3.11/site-packages`.
fn python_minor(text: &str) -> Option<&str> {
    let at = ["python:", "python"].iter().find_map(|word| {
        let (_, after) = text.split_once(word)?;
        after.starts_with("3.").then_some(after)
    })?;
    let end = at.get(2..)?.find(|c: char| !c.is_ascii_digit()).map_or(at.len(), |end| end + 2);
    at.get(..end)
}

pub(super) fn whole_environment(scene: &Scene<'_>) -> Verdict {
    let mut seen = false;
    for file in &scene.written().dockerfiles {
        let mut stages: Vec<(String, String)> = Vec::new();
        for (_, _, rest) in file.steps.iter().filter(|(_, keyword, _)| keyword == "FROM") {
            let words: Vec<_> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
            let base = words.first().copied().unwrap_or_default().to_owned();
            let name = words.get(2).map_or_else(|| stages.len().to_string(), |name| name.to_lowercase());
            // A stage on a stage has its base's base.
            let base = stages
                .iter()
                .find(|(name, _)| *name == base.to_lowercase())
                .map_or(base, |(_, base)| base.clone());
            stages.push((name, base));
        }
        let Some((_, last)) = stages.last() else { continue };
        let copies: Vec<&Step> = last_stage(file)
            .iter()
            .filter(|(_, keyword, rest)| keyword == "COPY" && rest.contains("--from="))
            .collect();
        for (line, _, rest) in &copies {
            let from = rest
                .split_once("--from=")
                .and_then(|(_, after)| after.split_whitespace().next())
                .unwrap_or_default();
            let base = stages
                .iter()
                .find(|(name, _)| *name == from.to_lowercase())
                .map(|(_, base)| base.as_str());
            let packages = rest.contains("site-packages");
            let environment = packages || rest.contains("venv");
            if !environment {
                continue;
            }
            seen = true;
            let source = if packages { python_minor(rest) } else { None }.or_else(|| base.and_then(python_minor));
            if let (Some(source), Some(target)) = (source, python_minor(last))
                && source != target
            {
                return Failure::new(format!("the environment is built for Python {source} and runs on Python {target}"))
                    .remedy(format!(
                        "in `{}` build and run on the same image: `FROM {last}` in both stages",
                        file.path
                    ))
                    .because([
                        file.at(*line, &format!("COPY {rest}")),
                        file.at(last_stage(file).first().map_or(1, |step| step.0), &format!("FROM {last}")),
                    ])
                    .into();
            }
            let whole = copies.iter().any(|(_, _, rest)| {
                rest.split_whitespace().any(|word| {
                    word.trim_end_matches('/').ends_with("/bin")
                        || word.contains("/bin/opentelemetry-")
                        || matches!(word.trim_end_matches('/'), "/usr/local" | "/root/.local" | "/install")
                })
            });
            let needs = starts(file).iter().any(|(_, _, rest)| instruments(rest));
            if packages && !whole && needs {
                return Failure::new("the packages are copied without `bin`: `opentelemetry-instrument` is not in the image")
                    .remedy(format!(
                        "in `{}:{line}` add `COPY --from={from} /usr/local/bin /usr/local/bin`, or copy a whole virtual environment",
                        file.path
                    ))
                    .because([file.at(*line, &format!("COPY {rest}"))])
                    .into();
            }
        }
    }
    if seen {
        Verdict::Pass("the environment is copied as a whole".to_owned())
    } else {
        Verdict::Skip("no image copies an environment from another stage".to_owned())
    }
}

fn installs(text: &str) -> bool {
    ["pip install", "pip3 install", "uv pip install", "opentelemetry-bootstrap"]
        .iter()
        .any(|word| text.contains(word))
}

pub(super) fn installs_at_build(scene: &Scene<'_>) -> Verdict {
    let read_only = services(scene)
        .find(|(_, _, service)| service["read_only"] == true)
        .map(|(compose, name, _)| (format!("the service `{name}` is read-only"), compose.at("read_only")))
        .or_else(|| {
            let mut objects = scene.written().objects.iter();
            let document = objects.find(|document| document.value.to_string().contains("\"readOnlyRootFilesystem\":true"))?;
            Some(("the pod is read-only".to_owned(), document.at("readOnlyRootFilesystem")))
        });
    for file in &scene.written().dockerfiles {
        let user = last_stage(file).iter().rev().find(|(_, keyword, _)| keyword == "USER");
        let user = user
            .filter(|(_, _, name)| !matches!(name.split(':').next(), Some("root" | "0")))
            .map(|(line, _, name)| (format!("the image runs as `{name}`"), file.at(*line, &format!("USER {name}"))));
        let Some((limit, because)) = user.or_else(|| read_only.clone()) else {
            continue;
        };
        for (line, keyword, rest) in starts(file) {
            let mut place = installs(rest).then(|| format!("{}:{line}", file.path));
            for (script, text) in scripts_in(scene, rest) {
                let at = text.lines().position(|line| !line.trim_start().starts_with('#') && installs(line));
                place = place.or_else(|| at.map(|at| format!("{script}:{}", at + 1)));
            }
            if let Some(place) = place {
                return Failure::new(format!("packages are installed when the container starts, and {limit}"))
                    .remedy(format!(
                        "move the installation from `{place}` into a `RUN` line of `{}`, above `USER`",
                        file.path
                    ))
                    .because([file.at(*line, &format!("{keyword} …")), because])
                    .into();
            }
        }
    }
    Verdict::Pass("no limited container installs at its start".to_owned())
}
