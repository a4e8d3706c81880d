//! Which packages a set means for an environment: pins, guard, companions, instrumentations, each with its reason.
//!
//! May never install, nor decide what a resolver would do with the list.

use crate::coverage::{self, data, ranges};
use crate::domain::{Coverage, CoverageStatus, Distribution, InstrumentationSet, Requirement};
use std::collections::BTreeMap;

/// The requirements of a set for an environment and a Python version such as `3.11.7`, in one list for one resolver call.
///
/// The instrumentations are those that `opentelemetry-bootstrap` lists once the pins are installed, as far as the
/// installed version is in the declared range (newer releases of it list every installed library, whatever its
/// version), and those that a test proved beyond their range.
#[must_use]
pub fn requirements(installed: &BTreeMap<String, Distribution>, set: InstrumentationSet, python_version: &str) -> Vec<Requirement> {
    let release = data::release(set, python_version);
    let pinned = match set {
        InstrumentationSet::Pinned => "pinned by the SigNoz docs".to_owned(),
        InstrumentationSet::Current => format!("the newest complete release for Python {}", minor(python_version)),
    };
    let mut list = vec![
        requirement(format!("opentelemetry-distro=={}", release.distro), pinned.clone()),
        requirement(format!("opentelemetry-exporter-otlp=={}", release.exporter), pinned),
    ];
    if let Some(guard) = &release.guard {
        let why = "this release imports pkg_resources, which newer setuptools no longer has".to_owned();
        list.push(requirement(guard.clone(), why));
    }
    let rows = coverage::table(installed, set, python_version);
    for companion in data::companions() {
        let traced = |row: &Coverage| row.library == companion.library && row.status == CoverageStatus::Traced;
        let concerns = |row: &Coverage| traced(row) && ranges::admits(&companion.versions, &row.version, true);
        if rows.iter().any(concerns) {
            let why = format!(
                "the instrumentation of {} fails without it, and every one after it",
                companion.library
            );
            list.push(requirement(companion.needs.clone(), why));
        }
    }
    list.extend(instrumentations(installed, release, &rows));
    list
}

fn instrumentations(installed: &BTreeMap<String, Distribution>, release: &data::Release, rows: &[Coverage]) -> Vec<Requirement> {
    let mut chosen: BTreeMap<String, String> = BTreeMap::new();
    for row in &release.instrumentations {
        let here = row.bootstrap.iter().find_map(|supported| match installed.get(&supported.library) {
            Some(there) if release.admits(&supported.range, &there.version) => {
                Some(format!("{} {} is installed", there.name, there.version))
            }
            None if release.brings.contains(&supported.library) => Some(format!("the exporter brings {}", supported.library)),
            _ => None,
        });
        let always = row.default.then(|| "opentelemetry-bootstrap always picks it".to_owned());
        if let Some(why) = here.or(always) {
            chosen.insert(format!("{}=={}", row.instrumentation, row.version), why);
        }
    }
    for row in rows.iter().filter(|row| row.beyond_declared_range) {
        let found = release
            .instrumentations
            .iter()
            .find(|known| Some(&known.instrumentation) == row.instrumentation.as_ref());
        if let Some(found) = found {
            let why = format!("{} {} is installed, beyond the declared range but proved", row.library, row.version);
            chosen.entry(format!("{}=={}", found.instrumentation, found.version)).or_insert(why);
        }
    }
    chosen.into_iter().map(|(text, why)| requirement(text, why)).collect()
}

fn requirement(text: String, why: String) -> Requirement {
    Requirement { text, why }
}

fn minor(python_version: &str) -> String {
    python_version.split('.').take(2).collect::<Vec<_>>().join(".")
}
