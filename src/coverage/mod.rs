//! What will be traced and what not, before anything is installed: installed libraries against what a set declares.
//!
//! Pure; may never guess that something works: beyond a declared range only what a test has proved counts.

pub mod data;
mod libraries;

use crate::domain::{Coverage, CoverageStatus, Distribution, InstrumentationSet};
use data::{Instrumentation, Release, Supported};
use libraries::Role;
use pep508_rs::{Requirement, VerbatimUrl};
use std::collections::BTreeMap;

/// One row for each library of the app that makes, serves or works on calls; `python_version` as in `3.11.7`.
#[must_use]
pub fn table(installed: &BTreeMap<String, Distribution>, set: InstrumentationSet, python_version: &str) -> Vec<Coverage> {
    let mut rows: Vec<Coverage> = installed
        .values()
        .filter_map(|distribution| row(installed, distribution, set, python_version))
        .collect();
    rows.sort_by(|a, b| b.server.cmp(&a.server).then_with(|| a.library.cmp(&b.library)));
    rows
}

/// Why no request (or task) of the app would be traced; `None` when at least one framework is.
#[must_use]
pub fn silence(rows: &[Coverage]) -> Option<String> {
    // A traced Celery beside an untraced Flask is still a web app without one request.
    [Role::Web, Role::Tasks].into_iter().find_map(|role| {
        let of_role: Vec<&Coverage> = rows
            .iter()
            .filter(|row| row.server && libraries::role(&row.library) == role)
            .collect();
        let traced = of_role.iter().any(|row| row.status == CoverageStatus::Traced);
        (!of_role.is_empty() && !traced).then(|| {
            let lines: Vec<String> = of_role
                .iter()
                .map(|row| format!("{} {}: {}", row.library, row.version, row.note))
                .collect();
            lines.join("; ")
        })
    })
}

/// Entry points of the instrumentations that must be asked to ignore their declared range; the loader reads them from
/// `SIGNOZ_INSTRUMENT_BEYOND_RANGE`.
#[must_use]
pub fn beyond_range(rows: &[Coverage]) -> Vec<String> {
    let mut names: Vec<String> = rows
        .iter()
        .filter(|row| row.beyond_declared_range)
        .filter_map(|row| data::proved(row.set, &row.library, &row.version))
        .map(|proof| proof.entry_point.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

struct Verdict<'a> {
    instrumentation: Option<&'a Instrumentation>,
    supported: Option<String>,
    status: CoverageStatus,
    beyond: Option<&'static data::Proved>,
}

fn row(
    installed: &BTreeMap<String, Distribution>,
    distribution: &Distribution,
    set: InstrumentationSet,
    python_version: &str,
) -> Option<Coverage> {
    let library = distribution.name.as_str();
    if libraries::is_silent(library) {
        return None;
    }
    let release = data::release(set, python_version);
    let verdict = judge(release, set, distribution);
    if verdict.instrumentation.is_none() && !libraries::is_well_known(library) {
        return None;
    }
    let role = libraries::role(library);
    // FastAPI is Starlette: its own instrumentation serves both, and Starlette's is not used.
    let within_fastapi = library == "starlette" && installed.contains_key("fastapi");
    let other = match set {
        InstrumentationSet::Pinned => InstrumentationSet::Current,
        InstrumentationSet::Current => InstrumentationSet::Pinned,
    };
    let other_release = data::release(other, python_version);
    let other_traces = judge(other_release, other, distribution).status == CoverageStatus::Traced;
    let note = note(
        library,
        role,
        release,
        &verdict,
        within_fastapi,
        other_traces.then_some((other, other_release)),
    );
    Some(Coverage {
        library: library.to_owned(),
        version: distribution.version.clone(),
        instrumentation: verdict.instrumentation.map(|found| found.instrumentation.clone()),
        supported: verdict.supported,
        status: verdict.status,
        set,
        beyond_declared_range: verdict.beyond.is_some(),
        server: role != Role::Client && !within_fastapi,
        note,
    })
}

fn judge<'a>(release: &'a Release, set: InstrumentationSet, distribution: &Distribution) -> Verdict<'a> {
    let (library, version) = (distribution.name.as_str(), distribution.version.as_str());
    let declared = release
        .instrumentations
        .iter()
        .filter(|row| !row.entry_points.is_empty())
        .filter_map(|row| Some((row, declares(row, library)?)))
        .collect::<Vec<_>>();
    // Two instrumentations may serve one library (aiohttp as client and as server): one that fits is enough.
    let fitting = declared.iter().find(|(_, supported)| supported.admits(version));
    let proof = data::proved(set, library, version);
    let (instrumentation, supported, status, beyond) = match (fitting, declared.first(), proof) {
        (Some((row, supported)), _, _) => (Some(*row), Some(*supported), CoverageStatus::Traced, None),
        (None, first, Some(proof)) => {
            let row = release
                .instrumentations
                .iter()
                .find(|row| row.entry_points.contains(&proof.entry_point));
            (row, first.map(|(_, supported)| *supported), CoverageStatus::Traced, Some(proof))
        }
        (None, Some((row, supported)), None) => (Some(*row), Some(*supported), CoverageStatus::OutOfRange, None),
        (None, None, None) => (None, None, CoverageStatus::NoInstrumentation, None),
    };
    let conflict = clash(release, distribution).is_some();
    Verdict {
        instrumentation,
        supported: supported.map(|supported| supported.range.clone()),
        status: if conflict { CoverageStatus::Conflict } else { status },
        beyond,
    }
}

fn declares<'a>(row: &'a Instrumentation, library: &str) -> Option<&'a Supported> {
    row.instruments
        .iter()
        .chain(&row.instruments_any)
        .find(|supported| supported.library == library)
}

/// A requirement of the library on OpenTelemetry itself that this release cannot meet. Others are the resolver's matter.
fn clash(release: &Release, distribution: &Distribution) -> Option<String> {
    distribution.requires.iter().find_map(|line| {
        if !line.starts_with("opentelemetry") || line.contains("extra") {
            return None;
        }
        let requirement: Requirement<VerbatimUrl> = line.parse().ok()?;
        let gets = match requirement.name.as_ref() {
            "opentelemetry-api" | "opentelemetry-sdk" => &release.exporter,
            "opentelemetry-semantic-conventions" | "opentelemetry-instrumentation" => &release.distro,
            _ => return None,
        };
        let Some(pep508_rs::VersionOrUrl::VersionSpecifier(range)) = &requirement.version_or_url else {
            return None;
        };
        (!data::contains(&range.to_string(), gets)).then(|| format!("it requires {}{range}, and this set brings {gets}", requirement.name))
    })
}

fn note(
    library: &str,
    role: Role,
    release: &Release,
    verdict: &Verdict<'_>,
    within_fastapi: bool,
    other: Option<(InstrumentationSet, &Release)>,
) -> String {
    let range = verdict.supported.as_deref().unwrap_or_default();
    let effect = match role {
        Role::Web => "every request becomes a span",
        Role::Tasks => "every task becomes a span",
        Role::Client => "its calls become spans",
    };
    let loss = match role {
        Role::Web => "no request becomes a span",
        Role::Tasks => "no task becomes a span",
        Role::Client => "its calls leave no span",
    };
    let way_out = other.map_or(String::new(), |(set, release)| {
        format!("; the {set} set ({}) traces it", release.distro)
    });
    if within_fastapi && verdict.status != CoverageStatus::Traced {
        return "part of FastAPI here, which has its own instrumentation".to_owned();
    }
    match verdict.status {
        CoverageStatus::Conflict => format!(
            "it cannot be installed beside {} of OpenTelemetry, which it requires newer{way_out}",
            release.exporter
        ),
        CoverageStatus::OutOfRange => {
            format!("{loss}: {} admits {library} {range}{way_out}", release.distro)
        }
        CoverageStatus::NoInstrumentation => format!("{loss}: {} has no instrumentation for it{way_out}", release.distro),
        CoverageStatus::Traced => match verdict.beyond {
            None if library == "aiohttp"
                && !release
                    .instrumentations
                    .iter()
                    .any(|row| row.entry_points.iter().any(|name| name == "aiohttp-server")) =>
            {
                "calls that it makes become spans; requests that it serves do not".to_owned()
            }
            None => effect.to_owned(),
            Some(proof) if range.is_empty() => format!(
                "{effect}: not declared, but tested with {}, and switched on by the run script",
                proof.series()
            ),
            Some(proof) => format!(
                "{effect}: {} declares {range}, but was tested with {}, and the run script switches it on",
                release.distro,
                proof.series()
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn environment(packages: &[(&str, &str, &[&str])]) -> BTreeMap<String, Distribution> {
        packages
            .iter()
            .map(|(name, version, requires)| {
                let distribution = Distribution {
                    name: (*name).to_owned(),
                    version: (*version).to_owned(),
                    requires: requires.iter().map(|line| (*line).to_owned()).collect(),
                    location: PathBuf::new(),
                };
                ((*name).to_owned(), distribution)
            })
            .collect()
    }

    fn of<'a>(rows: &'a [Coverage], library: &str) -> &'a Coverage {
        rows.iter().find(|row| row.library == library).unwrap()
    }

    #[test]
    fn flask_3_is_traced_beyond_its_range_and_an_untested_flask_4_is_not() {
        let rows = table(&environment(&[("flask", "3.1.3", &[])]), InstrumentationSet::Pinned, "3.12.1");
        let flask = of(&rows, "flask");
        assert_eq!(
            (flask.status, flask.beyond_declared_range, flask.server),
            (CoverageStatus::Traced, true, true)
        );
        assert_eq!(flask.supported.as_deref(), Some(">=1.0,<3.0"));
        assert_eq!(silence(&rows), None);

        let rows = table(
            &environment(&[("flask", "4.0.0", &[]), ("celery", "5.7.0", &[])]),
            InstrumentationSet::Pinned,
            "3.12.1",
        );
        assert_eq!(of(&rows, "flask").status, CoverageStatus::OutOfRange);
        let why = silence(&rows).unwrap();
        assert!(
            why.contains("flask 4.0.0") && why.contains("the current set (0.65b0) traces it"),
            "{why}"
        );
    }

    #[test]
    fn fastapi_conflicts_with_the_pins_and_not_with_the_current_set() {
        let installed = environment(&[("fastapi", "0.165.0", &["opentelemetry-api>=1.44.0"]), ("starlette", "1.10.0", &[])]);
        let rows = table(&installed, InstrumentationSet::Pinned, "3.12.1");
        assert_eq!(of(&rows, "fastapi").status, CoverageStatus::Conflict);
        assert!(!of(&rows, "starlette").server, "starlette is part of FastAPI here");
        assert!(silence(&rows).is_some());
        let rows = table(&installed, InstrumentationSet::Current, "3.12.1");
        assert_eq!(of(&rows, "fastapi").status, CoverageStatus::Traced);
    }

    #[test]
    fn what_the_pins_cannot_do_is_said_plainly() {
        let installed = environment(&[
            ("httpx", "0.28.1", &[]),
            ("psycopg", "3.3.9", &[]),
            ("bottle", "0.13.4", &[]),
            ("aiohttp", "3.14.5", &[]),
            ("sqlalchemy", "2.1.9", &[]),
            ("markupsafe", "3.0.4", &[]),
        ]);
        let rows = table(&installed, InstrumentationSet::Pinned, "3.12.1");
        assert_eq!(of(&rows, "httpx").status, CoverageStatus::OutOfRange);
        assert_eq!(of(&rows, "psycopg").status, CoverageStatus::NoInstrumentation);
        assert_eq!(
            of(&rows, "psycopg").note,
            "its calls leave no span: 0.38b0 has no instrumentation for it; the current set (0.65b0) traces it"
        );
        assert_eq!(
            of(&rows, "aiohttp").note,
            "calls that it makes become spans; requests that it serves do not"
        );
        assert_eq!(
            of(&rows, "bottle").note,
            "no request becomes a span: 0.38b0 has no instrumentation for it"
        );
        assert!(!rows.iter().any(|row| row.library == "markupsafe"));
        assert!(silence(&rows).unwrap().starts_with("bottle 0.13.4"));
        let rows = table(&installed, InstrumentationSet::Current, "3.12.1");
        assert_eq!(of(&rows, "sqlalchemy").status, CoverageStatus::OutOfRange);
        assert!(of(&rows, "sqlalchemy").note.ends_with("the pinned set (0.38b0) traces it"));
    }
}
