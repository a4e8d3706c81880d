//! What each release declares about itself; compiled in, written by `assets/instrumentation/generate.py`.
//!
//! May never hold a version of its own: releases come from `assets/packages.toml`.

use crate::domain::InstrumentationSet;
use pep440_rs::{Version, VersionSpecifiers};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// One release of OpenTelemetry for Python with all its instrumentations.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Release {
    /// Version of `opentelemetry-distro` and of (nearly) every instrumentation.
    pub distro: String,
    /// Version of `opentelemetry-exporter-otlp`, `-api` and `-sdk`.
    pub exporter: String,
    /// By name.
    pub instrumentations: Vec<Instrumentation>,
}

/// What one instrumentation declares.
#[derive(Debug, Clone, Deserialize)]
pub struct Instrumentation {
    /// `opentelemetry-instrumentation-flask`.
    pub instrumentation: String,
    /// Its version.
    pub version: String,
    /// Names by which it is switched on or off; none for a library that others build on.
    pub entry_points: Vec<String>,
    /// Whether `opentelemetry-bootstrap` installs it in any case.
    pub default: bool,
    /// Libraries for which `opentelemetry-bootstrap` installs it; one is enough.
    pub bootstrap: Vec<Supported>,
    /// Libraries that it checks when it starts; all must hold.
    pub instruments: Vec<Supported>,
    /// Libraries that it checks when it starts; one is enough.
    pub instruments_any: Vec<Supported>,
}

/// A library and the range that is admitted.
#[derive(Debug, Clone, Deserialize)]
pub struct Supported {
    /// Normalised distribution name.
    pub library: String,
    /// `>=1.0,<3.0`; empty for any.
    pub range: String,
}

impl Supported {
    /// Whether a version is admitted; a version that is none is not.
    #[must_use]
    pub fn admits(&self, version: &str) -> bool {
        contains(&self.range, version)
    }
}

/// A library with versions that a test has proved beyond the declared range.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proved {
    /// The set whose instrumentation it is.
    pub set: InstrumentationSet,
    /// Normalised distribution name.
    pub library: String,
    /// The instrumentation's entry point.
    pub entry_point: String,
    /// Versions that the test installs.
    pub versions: Vec<String>,
}

impl Proved {
    /// Whether a version belongs to a minor series of which a release was tested.
    #[must_use]
    pub fn covers(&self, version: &str) -> bool {
        let series = |text: &str| {
            text.parse::<Version>()
                .ok()
                .map(|version| (version.release().first().copied(), version.release().get(1).copied()))
        };
        let wanted = series(version);
        wanted.is_some() && self.versions.iter().any(|tested| series(tested) == wanted)
    }

    /// The tested series, for people: `3.0, 3.1`.
    #[must_use]
    pub fn series(&self) -> String {
        let mut series: Vec<String> = self
            .versions
            .iter()
            .map(|version| version.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
            .collect();
        series.dedup();
        series.join(", ")
    }
}

/// The package that must come along with a release that still imports `pkg_resources`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Guard {
    setuptools: String,
    distro_below: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Pins {
    python: String,
    distro: String,
    exporter: String,
}

const PACKAGES: &str = include_str!("../../assets/packages.toml");
const PROVED: &str = include_str!("../../assets/instrumentation/proved.toml");
const FILES: [(&str, &str); 4] = [
    ("pinned", include_str!("../../assets/instrumentation/pinned.json")),
    ("current-38", include_str!("../../assets/instrumentation/current-38.json")),
    ("current-39", include_str!("../../assets/instrumentation/current-39.json")),
    ("current", include_str!("../../assets/instrumentation/current.json")),
];

#[derive(Debug, Default)]
struct Data {
    rows: Vec<(&'static str, Pins, Release)>,
    guard: Guard,
    proved: Vec<Proved>,
}

/// Compiled-in text cannot be wrong at run time: the tests below read all of it.
fn data() -> &'static Data {
    static DATA: OnceLock<Data> = OnceLock::new();
    DATA.get_or_init(|| {
        #[derive(Deserialize)]
        struct File {
            guard: Guard,
            #[serde(flatten)]
            sets: BTreeMap<String, Pins>,
        }
        #[derive(Deserialize)]
        struct ProvedFile {
            proved: Vec<Proved>,
        }
        let Ok(file) = toml_edit::de::from_str::<File>(PACKAGES) else {
            return Data::default();
        };
        let rows = FILES
            .iter()
            .filter_map(|(name, json)| Some((*name, file.sets.get(*name)?.clone(), serde_json::from_str::<Release>(json).ok()?)))
            // A file from before the last change of the pins would promise what is not installed.
            .filter(|(_, pins, release)| pins.distro == release.distro && pins.exporter == release.exporter)
            .collect();
        let proved = toml_edit::de::from_str::<ProvedFile>(PROVED)
            .map(|file| file.proved)
            .unwrap_or_default();
        Data {
            rows,
            guard: file.guard,
            proved,
        }
    })
}

/// The release of a set for a Python version (`3.11.7`); the pinned one where the set has none for it.
#[must_use]
pub fn release(set: InstrumentationSet, python_version: &str) -> &'static Release {
    static NONE: OnceLock<Release> = OnceLock::new();
    let rows = &data().rows;
    let fits = |(name, pins, _): &&(&str, Pins, Release)| match set {
        InstrumentationSet::Pinned => *name == "pinned",
        InstrumentationSet::Current => *name != "pinned" && contains(&pins.python, python_version),
    };
    rows.iter()
        .find(fits)
        .or(rows.first())
        .map_or_else(|| NONE.get_or_init(Release::default), |(_, _, release)| release)
}

/// The requirement on setuptools that a release needs, if it does (`setuptools<81`).
#[must_use]
pub fn guard(release: &Release) -> Option<&'static str> {
    let guard = &data().guard;
    contains(&format!("<{}", guard.distro_below), &release.distro).then_some(guard.setuptools.as_str())
}

/// The proof for a version of a library beyond the declared range, if there is one.
#[must_use]
pub fn proved(set: InstrumentationSet, library: &str, version: &str) -> Option<&'static Proved> {
    data()
        .proved
        .iter()
        .find(|row| row.set == set && row.library == library && row.covers(version))
}

/// All proofs.
#[must_use]
pub fn all_proved() -> &'static [Proved] {
    &data().proved
}

/// Whether a PEP 440 range holds a version; pre-releases count as what they come before.
#[must_use]
pub(crate) fn contains(range: &str, version: &str) -> bool {
    let (Ok(range), Ok(version)) = (range.parse::<VersionSpecifiers>(), version.parse::<Version>()) else {
        return false;
    };
    range.contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_and_agrees_with_the_pins() {
        assert_eq!(data().rows.len(), FILES.len(), "run assets/instrumentation/generate.py");
        assert!(!data().proved.is_empty());
        for (name, _, release) in &data().rows {
            assert!(release.instrumentations.len() > 30, "{name}");
            for row in &release.instrumentations {
                for supported in row.bootstrap.iter().chain(&row.instruments).chain(&row.instruments_any) {
                    assert!(
                        supported.range.parse::<VersionSpecifiers>().is_ok(),
                        "{name} {} {}",
                        row.instrumentation,
                        supported.range
                    );
                }
            }
        }
    }

    #[test]
    fn the_release_follows_the_python_version() {
        let distro = |set, python| release(set, python).distro.as_str();
        assert_eq!(distro(InstrumentationSet::Pinned, "3.13.0"), "0.38b0");
        assert_eq!(distro(InstrumentationSet::Current, "3.8.18"), "0.54b1");
        assert_eq!(distro(InstrumentationSet::Current, "3.9.18"), "0.62b1");
        for python in ["3.10.13", "3.12.1", "3.13.0", "3.14.0rc1"] {
            assert_eq!(distro(InstrumentationSet::Current, python), "0.65b0", "{python}");
        }
        assert_eq!(guard(release(InstrumentationSet::Pinned, "3.12.1")), Some("setuptools<81"));
        assert_eq!(guard(release(InstrumentationSet::Current, "3.8.18")), None);
    }

    #[test]
    fn only_tested_series_are_proved() {
        let proof = |version| proved(InstrumentationSet::Pinned, "flask", version).is_some();
        assert!(proof("3.1.3") && proof("3.0.0") && proof("3.1.9"));
        assert!(!proof("3.2.0") && !proof("4.0") && !proof("strange"));
    }
}
