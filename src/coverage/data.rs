//! The releases of the two sets and what their instrumentations declare, embedded from `assets/`.
//!
//! May never hold a version or a range itself: they stand in `assets/packages.toml` and the generated files.

use super::ranges::{admits, same_minor};
use crate::domain::InstrumentationSet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One release of the OpenTelemetry packages: a distro, the exporter that belongs to it, and the instrumentations.
#[derive(Debug, Clone)]
pub struct Release {
    /// The section of `assets/packages.toml`: `pinned`, `current-38`, `current-39`, `current`.
    pub name: &'static str,
    /// Version of `opentelemetry-distro` and of most instrumentations.
    pub distro: String,
    /// Version of `opentelemetry-exporter-otlp`, and so of the API and the SDK.
    pub exporter: String,
    /// `setuptools<81`, when this release imports `pkg_resources`.
    pub guard: Option<String>,
    /// Libraries that the exporter installs and that this release has an instrumentation for.
    pub brings: Vec<String>,
    /// Every instrumentation of the release.
    pub instrumentations: Vec<Instrumentation>,
    python: String,
}

/// One instrumentation, as its own metadata and `opentelemetry-bootstrap` describe it.
#[derive(Debug, Clone, Deserialize)]
pub struct Instrumentation {
    /// `opentelemetry-instrumentation-flask`.
    pub instrumentation: String,
    /// Its version; not always the distro's.
    pub version: String,
    /// Names in the group `opentelemetry_instrumentor`; empty when it does nothing by itself.
    pub entry_points: Vec<String>,
    /// Whether `opentelemetry-bootstrap` always picks it.
    pub default: bool,
    /// Libraries for which `opentelemetry-bootstrap` picks it.
    pub bootstrap: Vec<Supported>,
    /// Extra `instruments`: all of these must be installed in range, or it is skipped when the app starts.
    pub instruments: Vec<Supported>,
    /// Extra `instruments-any`: one of these must be.
    pub instruments_any: Vec<Supported>,
}

/// A library and a range of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Supported {
    /// Normalised distribution name.
    pub library: String,
    /// PEP 440 specifiers; empty for every version.
    pub range: String,
}

/// Versions beyond the declared range that a test of this project drove.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proved {
    /// Sections of `assets/packages.toml`.
    pub sets: Vec<String>,
    /// Normalised distribution name.
    pub library: String,
    /// The instrumentor's entry point.
    pub entry_point: String,
    /// Versions that were driven.
    pub versions: Vec<String>,
}

/// A package that an instrumentation needs although its metadata does not say so.
#[derive(Debug, Clone, Deserialize)]
pub struct Companion {
    /// The instrumented library.
    pub library: String,
    /// Its versions that need it.
    pub versions: String,
    /// The package.
    pub needs: String,
}

/// What no metadata says; see `assets/instrumentation/known.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Known {
    pub(super) servers: Vec<String>,
    pub(super) hidden: Vec<String>,
    pub(super) alternatives: Vec<String>,
    pub(super) aiohttp_serves: Vec<String>,
    pub(super) untraced: Untraced,
    pub(super) remark: Vec<Remark>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Untraced {
    pub(super) servers: Vec<String>,
    pub(super) tasks: Vec<String>,
    pub(super) clients: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Remark {
    pub(super) library: String,
    #[serde(default)]
    pub(super) sets: Vec<String>,
    #[serde(default)]
    pub(super) versions: String,
    pub(super) status: Option<String>,
    pub(super) text: String,
}

#[derive(Deserialize)]
struct PackagesFile {
    guard: GuardSection,
    companion: Vec<Companion>,
    #[serde(flatten)]
    sets: BTreeMap<String, SetSection>,
}

#[derive(Deserialize)]
struct SetSection {
    python: String,
    distro: String,
    exporter: String,
    brings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct GuardSection {
    setuptools: String,
    distro_below: String,
}

#[derive(Deserialize)]
struct DataFile {
    instrumentations: Vec<Instrumentation>,
}

#[derive(Deserialize)]
struct ProvedFile {
    proved: Vec<Proved>,
}

const PACKAGES: &str = include_str!("../../assets/packages.toml");
const PROVED: &str = include_str!("../../assets/instrumentation/proved.toml");
const KNOWN: &str = include_str!("../../assets/instrumentation/known.toml");
/// In order of preference for `current`.
const DATA: [(&str, &str); 4] = [
    ("pinned", include_str!("../../assets/instrumentation/pinned.json")),
    ("current", include_str!("../../assets/instrumentation/current.json")),
    ("current-39", include_str!("../../assets/instrumentation/current-39.json")),
    ("current-38", include_str!("../../assets/instrumentation/current-38.json")),
];

// Embedded files that cannot be read give empty tables; the tests of this module fail on that.
static RELEASES: LazyLock<Vec<Release>> = LazyLock::new(|| read_releases().unwrap_or_default());
static COMPANIONS: LazyLock<Vec<Companion>> = LazyLock::new(|| {
    toml_edit::de::from_str::<PackagesFile>(PACKAGES)
        .map(|file| file.companion)
        .unwrap_or_default()
});
static PROVED_ROWS: LazyLock<Vec<Proved>> = LazyLock::new(|| {
    toml_edit::de::from_str::<ProvedFile>(PROVED)
        .map(|file| file.proved)
        .unwrap_or_default()
});
static KNOWN_FACTS: LazyLock<Known> = LazyLock::new(|| toml_edit::de::from_str(KNOWN).unwrap_or_default());
static NOTHING: Release = Release {
    name: "",
    distro: String::new(),
    exporter: String::new(),
    guard: None,
    brings: Vec::new(),
    instrumentations: Vec::new(),
    python: String::new(),
};

fn read_releases() -> Option<Vec<Release>> {
    let file: PackagesFile = toml_edit::de::from_str(PACKAGES).ok()?;
    DATA.into_iter()
        .map(|(name, json)| {
            let section = file.sets.get(name)?;
            let data: DataFile = serde_json::from_str(json).ok()?;
            let guarded = admits(&format!("<{}", file.guard.distro_below), &section.distro, true);
            Some(Release {
                name,
                distro: section.distro.clone(),
                exporter: section.exporter.clone(),
                guard: guarded.then(|| file.guard.setuptools.clone()),
                brings: section.brings.clone(),
                instrumentations: data.instrumentations,
                python: section.python.clone(),
            })
        })
        .collect()
}

/// Every release that the project has data for.
#[must_use]
pub fn releases() -> &'static [Release] {
    &RELEASES
}

/// The release that a set means for a Python version (`3.11.7`); the pinned one where no newer one is known to run.
#[must_use]
pub fn release(set: InstrumentationSet, python_version: &str) -> &'static Release {
    // A pre-release of 3.15 is 3.15 here: only the first two numbers decide.
    let minor: Vec<&str> = python_version.trim().splitn(3, '.').take(2).collect();
    let minor = minor.join(".");
    let pinned = RELEASES.first().unwrap_or(&NOTHING);
    match set {
        InstrumentationSet::Pinned => pinned,
        InstrumentationSet::Current => RELEASES
            .iter()
            .skip(1)
            .find(|release| admits(&release.python, &minor, true))
            .unwrap_or(pinned),
    }
}

/// All rows of `assets/instrumentation/proved.toml`.
#[must_use]
pub fn proved() -> &'static [Proved] {
    &PROVED_ROWS
}

/// All companions of `assets/packages.toml`.
#[must_use]
pub fn companions() -> &'static [Companion] {
    &COMPANIONS
}

pub(super) fn known() -> &'static Known {
    &KNOWN_FACTS
}

impl Release {
    /// Whether a version satisfies a declared range the way this release asks: the pinned one takes pre-releases.
    #[must_use]
    pub fn admits(&self, range: &str, version: &str) -> bool {
        admits(range, version, self.guard.is_some())
    }

    /// The proof that covers a version of a library: the same minor series was driven.
    #[must_use]
    pub fn proof(&self, library: &str, version: &str) -> Option<&'static Proved> {
        proved().iter().find(|row| {
            row.library == library
                && row.sets.iter().any(|set| set == self.name)
                && row.versions.iter().any(|driven| same_minor(driven, version))
        })
    }

    /// The instrumentation behind an entry point.
    #[must_use]
    pub fn by_entry_point(&self, name: &str) -> Option<&Instrumentation> {
        self.instrumentations
            .iter()
            .find(|row| row.entry_points.iter().any(|point| point == name))
    }

    /// The version that an `opentelemetry-*` package gets with this release; `None` for other packages.
    #[must_use]
    pub fn version_of(&self, package: &str) -> Option<&str> {
        match package {
            "opentelemetry-api" | "opentelemetry-sdk" | "opentelemetry-proto" => Some(&self.exporter),
            "opentelemetry-semantic-conventions" | "opentelemetry-instrumentation" | "opentelemetry-distro" | "opentelemetry-util-http" => {
                Some(&self.distro)
            }
            name if name.starts_with("opentelemetry-exporter-otlp") => Some(&self.exporter),
            _ => None,
        }
    }
}

impl Instrumentation {
    /// The declared range for a library.
    #[must_use]
    pub fn range(&self, library: &str) -> Option<&str> {
        [&self.bootstrap, &self.instruments, &self.instruments_any]
            .into_iter()
            .flatten()
            .find(|row| row.library == library)
            .map(|row| row.range.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_is_read() {
        assert_eq!(read_releases().map(|all| all.len()), Some(4));
        assert!(releases().iter().all(|release| release.instrumentations.len() > 40));
        toml_edit::de::from_str::<PackagesFile>(PACKAGES).unwrap();
        toml_edit::de::from_str::<ProvedFile>(PROVED).unwrap();
        toml_edit::de::from_str::<Known>(KNOWN).unwrap();
    }

    #[test]
    fn each_python_gets_the_newest_release_that_runs_on_it() {
        let name = |python| release(InstrumentationSet::Current, python).name;
        assert_eq!(
            ["3.7.17", "3.8.18", "3.9", "3.10.13", "3.13.0", "3.15.0rc1"].map(name),
            ["pinned", "current-38", "current-39", "current", "current", "current"]
        );
        assert_eq!(release(InstrumentationSet::Pinned, "3.13.0").name, "pinned");
    }

    #[test]
    fn only_releases_that_import_pkg_resources_are_guarded() {
        let guarded: Vec<_> = releases()
            .iter()
            .filter(|release| release.guard.is_some())
            .map(|release| release.name)
            .collect();
        assert_eq!(guarded, ["pinned"]);
    }

    #[test]
    fn each_proof_names_an_entry_point_of_its_sets() {
        for row in proved() {
            for set in &row.sets {
                let release = releases().iter().find(|release| release.name == set).unwrap();
                assert!(release.by_entry_point(&row.entry_point).is_some(), "{set}: {}", row.entry_point);
            }
        }
    }
}
