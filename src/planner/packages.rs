//! What is installed: the pins of the set, the guard where it is needed, and the instrumentations that
//! `opentelemetry-bootstrap` would choose, plus those that a test has proved beyond their declared range.

use crate::coverage::data::{self, Instrumentation};
use crate::domain::{Distribution, InstrumentationSet, Requirement};
use std::collections::BTreeMap;

/// Distributions that the exporter itself brings along, so that `opentelemetry-bootstrap`, which runs after it, sees
/// them (requirements of opentelemetry-exporter-otlp 1.17.0 to 1.44.0); the version is one that every set admits.
const BROUGHT: [(&str, &str); 2] = [("grpcio", "1.60.0"), ("requests", "2.32.0")];

/// Everything that set-up installs, in one resolver call; `python_version` as in `3.11.7`.
#[must_use]
pub fn requirements(installed: &BTreeMap<String, Distribution>, set: InstrumentationSet, python_version: &str) -> Vec<Requirement> {
    let release = data::release(set, python_version);
    let pin = match set {
        InstrumentationSet::Pinned => "pinned by the SigNoz docs",
        InstrumentationSet::Current => "the newest release that is tested for this Python",
    };
    let requirement = |name: &str, version: &str, why: String| Requirement { text: format!("{name}=={version}"), why };
    let mut requirements = vec![
        requirement("opentelemetry-distro", &release.distro, pin.to_owned()),
        requirement("opentelemetry-exporter-otlp", &release.exporter, pin.to_owned()),
    ];
    if let Some(guard) = data::guard(release) {
        requirements.push(Requirement { text: guard.to_owned(), why: "this release imports pkg_resources, which newer setuptools do not have".to_owned() });
    }
    for instrumentation in &release.instrumentations {
        if let Some(why) = reason(instrumentation, installed, set) {
            requirements.push(requirement(&instrumentation.instrumentation, &instrumentation.version, why));
        }
    }
    requirements
}

/// Why an instrumentation is installed; `None` when nothing in the app asks for it.
fn reason(instrumentation: &Instrumentation, installed: &BTreeMap<String, Distribution>, set: InstrumentationSet) -> Option<String> {
    let wanted = instrumentation.bootstrap.iter().find_map(|supported| {
        let version = installed.get(&supported.library).map(|distribution| distribution.version.as_str());
        match version {
            Some(version) if supported.admits(version) => Some(format!("{} {version} is installed", supported.library)),
            Some(_) => None,
            None => BROUGHT
                .iter()
                .find(|(library, version)| *library == supported.library && supported.admits(version))
                .map(|(library, _)| format!("the exporter brings {library}")),
        }
    });
    let proved = || {
        installed.values().find_map(|distribution| {
            let proof = data::proved(set, &distribution.name, &distribution.version)?;
            let its = instrumentation.entry_points.contains(&proof.entry_point);
            its.then(|| format!("{} {} is installed; beyond the declared range, proved by a test", distribution.name, distribution.version))
        })
    };
    wanted.or_else(proved).or_else(|| instrumentation.default.then(|| "opentelemetry-bootstrap installs it always".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn chosen(app: &[(&str, &str)], set: InstrumentationSet, python: &str) -> Vec<String> {
        let installed = app
            .iter()
            .map(|(name, version)| {
                let distribution =
                    Distribution { name: (*name).to_owned(), version: (*version).to_owned(), requires: Vec::new(), location: PathBuf::new() };
                ((*name).to_owned(), distribution)
            })
            .collect();
        requirements(&installed, set, python).into_iter().map(|requirement| requirement.text).collect()
    }

    #[test]
    fn flask_3_gets_its_instrumentation_because_a_test_proved_it() {
        let texts = chosen(&[("flask", "3.1.3")], InstrumentationSet::Pinned, "3.12.1");
        for text in ["opentelemetry-distro==0.38b0", "opentelemetry-exporter-otlp==1.17.0", "setuptools<81", "opentelemetry-instrumentation-flask==0.38b0"] {
            assert!(texts.iter().any(|other| other == text), "{text} in {texts:?}");
        }
        assert!(!texts.iter().any(|text| text.contains("django")));
    }

    #[test]
    fn the_current_set_needs_no_guard() {
        let texts = chosen(&[("flask", "3.1.3")], InstrumentationSet::Current, "3.12.1");
        assert!(texts.contains(&"opentelemetry-distro==0.65b0".to_owned()) && !texts.iter().any(|text| text.contains("setuptools")));
    }

    #[test]
    fn an_empty_app_gets_what_bootstrap_always_installs() {
        let texts = chosen(&[], InstrumentationSet::Pinned, "3.11.7");
        for name in ["aws-lambda", "dbapi", "logging", "sqlite3", "urllib", "wsgi", "grpc", "requests"] {
            assert!(texts.iter().any(|text| text == &format!("opentelemetry-instrumentation-{name}==0.38b0")), "{name} in {texts:?}");
        }
    }
}
