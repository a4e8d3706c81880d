//! Checks on the installed OpenTelemetry packages and what they need.

use super::{Check, Failure, Family, ROW, Scene, Verdict, page};
use crate::coverage::data;
use crate::domain::PackageTool;
use crate::domain::detection::Evidence;
use crate::packages::markers::Interpreter;

const PACKAGES: Check = Check {
    family: Family::Packages,
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "packages.setuptools",
        title: "pkg_resources is there for the releases that import it",
        why: "opentelemetry-distro before 0.49b0 imports pkg_resources, which setuptools 82 no longer has: the app does not start under instrumentation",
        remedy: "install `setuptools<81` into the app's environment",
        page: page!("packages.setuptools"),
        covers: &["A01"],
        spared: without_distro,
        run: setuptools,
        ..PACKAGES
    },
    Check {
        id: "packages.distro",
        title: "opentelemetry-distro is installed where the app is started with instrumentation",
        why: "without the distro nothing configures an exporter: the app runs and sends nothing",
        remedy: "install opentelemetry-distro into the app's environment",
        page: page!("packages.distro"),
        covers: &["B08"],
        spared: |scene| {
            let asked = scene.is_set_up()
                || scene
                    .starts()
                    .any(|start| start.agents.iter().any(|agent| agent == "opentelemetry-instrument"));
            (!asked).then_some("nothing starts the app with instrumentation yet")
        },
        run: distro,
        ..PACKAGES
    },
    Check {
        id: "packages.exporter",
        title: "the exporter package for the configured protocol is installed",
        why: "a protocol without its package ends in `Requested component 'otlp_proto_grpc' not found`, and the app runs untraced",
        remedy: "install opentelemetry-exporter-otlp in the release of opentelemetry-sdk",
        page: page!("packages.exporter"),
        covers: &["B07"],
        spared: without_distro,
        run: exporter,
        ..PACKAGES
    },
    Check {
        id: "packages.one-release",
        title: "all OpenTelemetry packages are of one release pair",
        why: "instrumentations of one release import names that the api and sdk of another do not have: nothing is traced",
        remedy: "install all of them from one release pair",
        page: page!("packages.one-release"),
        covers: &["A14"],
        spared: without_distro,
        run: one_release,
        ..PACKAGES
    },
    Check {
        id: "packages.conflict-free",
        title: "the installed packages accept each other's versions",
        why: "pip ends with exit code 0 although it broke a package: an import fails later, in tracing or in the app",
        remedy: "install a version that both sides accept",
        page: page!("packages.conflict-free"),
        covers: &["A10", "A12", "A13", "A15"],
        spared: without_distro,
        run: conflict_free,
        ..PACKAGES
    },
    Check {
        id: "packages.locked",
        title: "the project's lock file holds the OpenTelemetry packages",
        why: "the next sync removes what the lock file does not name, and traces stop",
        remedy: "add the OpenTelemetry packages to the project's dependencies",
        page: page!("packages.locked"),
        covers: &["A04"],
        spared: without_distro,
        run: locked,
        ..PACKAGES
    },
];

/// Most of this concerns only environments that have the distro.
pub(super) fn without_distro(scene: &Scene<'_>) -> Option<&'static str> {
    scene
        .dist("opentelemetry-distro")
        .is_none()
        .then_some("opentelemetry-distro is not installed")
}

/// The command that installs into the app's environment: its own pip, or uv where it has none.
pub(super) fn install(scene: &Scene<'_>, packages: &[String]) -> String {
    let quoted: Vec<String> = packages.iter().map(|package| format!("'{package}'")).collect();
    let Some(python) = scene.python() else {
        return format!("python -m pip install {}", quoted.join(" "));
    };
    let program = python.interpreter.display();
    if python.has_pip || scene.dist("pip").is_some() {
        format!("{program} -m pip install {}", quoted.join(" "))
    } else {
        format!("uv pip install --python {program} {}", quoted.join(" "))
    }
}

fn distro(scene: &Scene<'_>) -> Verdict {
    let Some(python) = scene.python() else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    if let Some(found) = scene.dist("opentelemetry-distro") {
        return Verdict::Pass(format!("opentelemetry-distro {}", found.version));
    }
    // Beside an api that is there, its own release; else the one for this Python.
    let beside = scene.dist("opentelemetry-sdk").map(|sdk| sdk.version.as_str());
    let known = data::releases().iter().find(|release| beside == Some(release.exporter.as_str()));
    let release = known.unwrap_or_else(|| data::release(crate::domain::InstrumentationSet::Current, &python.version));
    Failure::new("the app is started with instrumentation, but opentelemetry-distro is not in its environment")
        .remedy(install(
            scene,
            &[
                format!("opentelemetry-distro=={}", release.distro),
                format!("opentelemetry-exporter-otlp=={}", release.exporter),
            ],
        ))
        .because([Evidence::new(python.interpreter.display().to_string(), "no opentelemetry-distro")])
        .into()
}

const GRPC: &str = "opentelemetry-exporter-otlp-proto-grpc";
const HTTP: &str = "opentelemetry-exporter-otlp-proto-http";

fn exporter(scene: &Scene<'_>) -> Verdict {
    let mut asked = false;
    for scope in scene.configured().chain(scene.main_scope()) {
        let exporters = scope.get("OTEL_TRACES_EXPORTER").unwrap_or("otlp");
        for name in exporters.split(',').map(str::trim) {
            let protocol = scope.traces("PROTOCOL");
            let over_http = protocol.as_ref().is_some_and(|(_, value)| value.trim() == "http/protobuf");
            let package = match name {
                "otlp" if over_http => HTTP,
                "otlp" | "otlp_proto_grpc" => GRPC,
                "otlp_proto_http" => HTTP,
                _ => continue,
            };
            asked = true;
            if scene.dist(package).is_some() {
                continue;
            }
            let version = scene
                .dist("opentelemetry-sdk")
                .map_or_else(String::new, |sdk| format!("=={}", sdk.version));
            let mut because = scope.evidence("OTEL_TRACES_EXPORTER");
            because.extend(protocol.iter().flat_map(|(name, _)| scope.evidence(name)));
            if because.is_empty() {
                because.push(Evidence::new(scope.name.clone(), "no protocol is set: grpc is the default"));
            }
            return Failure::new(format!("{}: spans go through {package}, which is not installed", scope.name))
                .remedy(install(scene, &[format!("{package}{version}")]))
                .because(because)
                .into();
        }
    }
    if asked {
        Verdict::Pass("the exporter package is there".to_owned())
    } else {
        Verdict::Skip("no OTLP exporter is asked for".to_owned())
    }
}

/// Packages whose version follows the release, told apart by the scheme of their numbers.
fn follows(name: &str) -> Option<bool> {
    match name {
        "opentelemetry-api" | "opentelemetry-sdk" | "opentelemetry-proto" => Some(true),
        "opentelemetry-exporter-otlp" | GRPC | HTTP | "opentelemetry-exporter-otlp-proto-common" => Some(true),
        "opentelemetry-distro" | "opentelemetry-instrumentation" | "opentelemetry-semantic-conventions" | "opentelemetry-util-http" => {
            Some(false)
        }
        // Others publish under this prefix too, with numbers of their own.
        other => data::releases()
            .iter()
            .any(|release| {
                let same = |row: &data::Instrumentation| row.instrumentation == other && row.version == release.distro;
                release.instrumentations.iter().any(same)
            })
            .then_some(false),
    }
}

fn one_release(scene: &Scene<'_>) -> Verdict {
    let Some(distro) = scene.version("opentelemetry-distro") else {
        return Verdict::Unknown("the version of opentelemetry-distro is no version".to_owned());
    };
    let minor = |version: &pep440_rs::Version| version.release().get(1).copied().unwrap_or_default();
    // contrib 0.N belongs to core 1.(N-21): 0.38b0 to 1.17.0, 0.65b0 to 1.44.0.
    let contrib = minor(&distro);
    let mut strangers = Vec::new();
    for name in scene.detection().installed.keys() {
        let (Some(core), Some(version)) = (follows(name), scene.version(name)) else {
            continue;
        };
        let fits = if core {
            minor(&version) + 21 == contrib
        } else {
            minor(&version) == contrib
        };
        if !fits {
            strangers.push(name.as_str());
        }
    }
    if strangers.is_empty() {
        return Verdict::Pass(format!("all belong to opentelemetry-distro {distro}"));
    }
    let known = data::releases().iter().find(|release| release.distro == distro.to_string());
    let versions: Vec<String> = strangers
        .iter()
        .map(|name| {
            let core = follows(name) == Some(true);
            let exact = known.map(|release| if core { release.exporter.clone() } else { release.distro.clone() });
            let derived = if core {
                format!("1.{}.*", contrib.saturating_sub(21))
            } else {
                distro.to_string()
            };
            format!("{name}=={}", exact.unwrap_or(derived))
        })
        .collect();
    let named: Vec<String> = strangers
        .iter()
        .filter_map(|name| Some(format!("{name} {}", scene.dist(name)?.version)))
        .collect();
    Failure::new(format!(
        "of another release than opentelemetry-distro {distro}: {}",
        named.join(", ")
    ))
    .remedy(install(scene, &versions))
    .because(strangers.iter().flat_map(|name| scene.dist_evidence(name)))
    .into()
}

fn conflict_free(scene: &Scene<'_>) -> Verdict {
    let Some(interpreter) = scene.python().and_then(Interpreter::new) else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    let (mut found, mut because, mut ours) = (Vec::new(), Vec::new(), false);
    let mut remedies = Vec::new();
    for distribution in scene.detection().installed.values() {
        for text in &distribution.requires {
            let Some(wanted) = interpreter.wanted(text, &[]) else { continue };
            let Some(there) = scene.dist(&wanted.name).filter(|there| !wanted.accepts(&there.version)) else {
                continue;
            };
            let shown = text.split(';').next().unwrap_or(text).trim();
            found.push(format!(
                "{} {} requires {shown}, but {} is installed",
                distribution.name, distribution.version, there.version
            ));
            remedies.push(shown.replace([' ', '(', ')'], ""));
            because.extend(scene.dist_evidence(&distribution.name));
            because.extend(scene.dist_evidence(&wanted.name));
            ours |= [&distribution.name, &wanted.name]
                .iter()
                .any(|name| name.starts_with("opentelemetry-"));
        }
    }
    if found.is_empty() {
        return Verdict::Pass("no requirement of an installed package is violated".to_owned());
    }
    let failure = Failure::new(found.join("; "))
        .remedy(format!(
            "{}; when another package then complains, use `--instrumentation current` or an environment of its own",
            install(scene, &remedies)
        ))
        .because(because);
    if ours { failure.into() } else { failure.mild().into() }
}

fn locked(scene: &Scene<'_>) -> Verdict {
    let Some(python) = scene.python() else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    let (file, add) = match python.package_manager {
        PackageTool::UvProject => ("uv.lock", "uv add"),
        PackageTool::Poetry => ("poetry.lock", "poetry add"),
        PackageTool::Pdm => ("pdm.lock", "pdm add"),
        PackageTool::Pipenv => ("Pipfile.lock", "pipenv install"),
        _ => return Verdict::Skip("nothing removes what a lock file does not name".to_owned()),
    };
    if !scene.project.join(file).is_file() {
        return Verdict::Skip(format!("there is no {file} in the project"));
    }
    let Some(text) = scene.text(file) else {
        return Verdict::Unknown(format!("{file} cannot be read"));
    };
    let names = |name: &str| text.contains(&format!("name = \"{name}\"")) || text.contains(&format!("\"{name}\": {{"));
    let missing: Vec<String> = scene
        .detection()
        .installed
        .values()
        .filter(|distribution| follows(&distribution.name).is_some() && !names(&distribution.name))
        .map(|distribution| format!("{}=={}", distribution.name, distribution.version))
        .collect();
    if missing.is_empty() {
        return Verdict::Pass(format!("{file} holds them"));
    }
    // What others require comes along with them.
    let top = |package: &&String| {
        let name = package.split("==").next().unwrap_or_default();
        name == "opentelemetry-distro" || name == "opentelemetry-exporter-otlp" || name.starts_with("opentelemetry-instrumentation-")
    };
    let mut wanted: Vec<&str> = missing.iter().filter(top).map(String::as_str).collect();
    if wanted.is_empty() {
        wanted = missing.iter().map(String::as_str).collect();
    }
    Failure::new(format!(
        "{file} lacks {} installed OpenTelemetry packages: the next sync removes them",
        missing.len()
    ))
    .remedy(format!("{add} {}", wanted.join(" ")))
    .because([Evidence::new(file, format!("no {}", wanted.join(", ")))])
    .into()
}

fn setuptools(scene: &Scene<'_>) -> Verdict {
    if !scene.is("opentelemetry-distro", "<0.49b0") {
        return Verdict::Pass("this release does not import pkg_resources".to_owned());
    }
    let Some(python) = scene.python() else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    match scene.dist("setuptools") {
        Some(setuptools) if !scene.is("setuptools", ">=82") => Verdict::Pass(format!("setuptools {} has it", setuptools.version)),
        found => {
            let seen = found.map_or_else(
                || "setuptools is not installed".to_owned(),
                |found| format!("setuptools {} has it no longer", found.version),
            );
            let place = found.map_or_else(
                || vec![Evidence::new(python.interpreter.display().to_string(), "no setuptools")],
                |_| scene.dist_evidence("setuptools"),
            );
            Failure::new(format!("opentelemetry-distro imports pkg_resources at the start, and {seen}"))
                .remedy(install(scene, &["setuptools<81".to_owned()]))
                .because(place)
                .into()
        }
    }
}
