//! Checks on whether the app's libraries are traced.

use super::packages::install;
use super::{Check, Failure, Family, ROW, Scene, Severity, Verdict, page};
use crate::coverage::{self, data};
use crate::domain::detection::Evidence;
use crate::domain::{Coverage, CoverageStatus};

const COVERAGE: Check = Check {
    family: Family::Coverage,
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    spared: super::packages::without_distro,
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "coverage.server-traced",
        title: "the app's server framework is traced",
        why: "the app works, but no request gives a span, and no message says why",
        remedy: "set up with `--instrumentation current`",
        page: page!("coverage.server-traced"),
        covers: &["B01", "B02", "B05"],
        run: |scene| traced(scene, true),
        ..COVERAGE
    },
    Check {
        id: "coverage.clients-traced",
        title: "the app's databases, queues and HTTP clients are traced",
        why: "their calls are missing from every trace, and no message says why",
        remedy: "set up with `--instrumentation current`",
        page: page!("coverage.clients-traced"),
        severity: Severity::Warning,
        covers: &["B02", "B03", "B04", "B05"],
        run: |scene| traced(scene, false),
        ..COVERAGE
    },
    Check {
        id: "coverage.instrumentation-installed",
        title: "each traced library's instrumentation package is installed",
        why: "opentelemetry-bootstrap ends with exit code 0 although it installed nothing, and the library gives no span",
        remedy: "install the instrumentation packages in one explicit call",
        page: page!("coverage.instrumentation-installed"),
        covers: &["A02", "A03", "A19"],
        run: instrumentation_installed,
        ..COVERAGE
    },
    Check {
        id: "coverage.companions",
        title: "packages that an instrumentation needs beside its library are there",
        why: "one instrumentation that cannot be imported ends all that come after it",
        remedy: "install the missing package",
        page: page!("coverage.companions"),
        covers: &["B06"],
        run: companions,
        ..COVERAGE
    },
];

/// Rows of the table, when the installed release is one that its ranges are known of.
fn rows(scene: &Scene<'_>) -> Result<Vec<Coverage>, Verdict> {
    let (Some(python), Some(distro)) = (scene.python(), scene.dist("opentelemetry-distro")) else {
        return Err(Verdict::Unknown("the app's Python was not found".to_owned()));
    };
    let meant = data::release(scene.set(), &python.version);
    if meant.distro != distro.version {
        return Err(Verdict::Skip(format!(
            "the ranges of release {} are not known to this program",
            distro.version
        )));
    }
    Ok(scene.coverage())
}

/// Libraries that talk to nobody: without their spans a trace is as whole as before.
const INNER: &[&str] = &["click", "jinja2"];

fn traced(scene: &Scene<'_>, server: bool) -> Verdict {
    let rows = match rows(scene) {
        Ok(rows) => rows
            .into_iter()
            .filter(|row| row.server == server && !INNER.contains(&row.library.as_str()))
            .collect::<Vec<_>>(),
        Err(verdict) => return verdict,
    };
    if rows.is_empty() {
        return Verdict::Skip("no such library is installed".to_owned());
    }
    // One library may have several instrumentations; one that works is enough.
    let heard = |library: &str| {
        rows.iter()
            .any(|row| row.library == library && row.status == CoverageStatus::Traced)
    };
    let mut silent: Vec<&Coverage> = rows.iter().filter(|row| !heard(&row.library)).collect();
    silent.dedup_by(|one, other| one.library == other.library);
    if silent.is_empty() {
        let names: Vec<String> = rows.iter().map(|row| format!("{} {}", row.library, row.version)).collect();
        return Verdict::Pass(names.join(", "));
    }
    let text = |row: &&Coverage| format!("{} {}: {}", row.library, row.version, row.note);
    let elsewhere = silent.iter().any(|row| row.note.contains("the current set traces it"));
    let remedy = if elsewhere {
        format!("signoz-setup --instrumentation current {}", scene.project.display())
    } else {
        let names: Vec<&str> = silent.iter().map(|row| row.library.as_str()).collect();
        format!(
            "make spans for {} by hand: `tracer.start_as_current_span(...)` around its calls",
            names.join(", ")
        )
    };
    let failure = Failure::new(silent.iter().map(text).collect::<Vec<_>>().join("; "))
        .remedy(remedy)
        .because(silent.iter().flat_map(|row| scene.dist_evidence(&row.library)));
    let all = coverage::silence(&rows).is_some();
    if server && !all { failure.mild().into() } else { failure.into() }
}

fn instrumentation_installed(scene: &Scene<'_>) -> Verdict {
    let rows = match rows(scene) {
        Ok(rows) => rows,
        Err(verdict) => return verdict,
    };
    let Some(python) = scene.python() else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    let release = data::release(scene.set(), &python.version);
    let traced = || rows.iter().filter(|row| row.status == CoverageStatus::Traced);
    let missing: Vec<(&Coverage, String)> = traced()
        .filter_map(|row| {
            let name = row.instrumentation.clone()?;
            // What only the exporter brought is nobody's loss.
            let brought = release.brings.contains(&row.library);
            (!brought && scene.dist(&name).is_none()).then_some((row, name))
        })
        .collect();
    if missing.is_empty() {
        return Verdict::Pass(format!("{} of {}", traced().count(), rows.len()));
    }
    let version = |name: &str| {
        let row = release.instrumentations.iter().find(|row| row.instrumentation == name);
        row.map_or_else(|| release.distro.clone(), |row| row.version.clone())
    };
    let mut wanted: Vec<String> = missing.iter().map(|(_, name)| format!("{name}=={}", version(name))).collect();
    wanted.dedup();
    let named: Vec<String> = missing.iter().map(|(row, name)| format!("{} has no {name}", row.library)).collect();
    let failure = Failure::new(named.join("; "))
        .remedy(install(scene, &wanted))
        .because(missing.iter().flat_map(|(row, _)| scene.dist_evidence(&row.library)));
    if missing.iter().any(|(row, _)| row.server) {
        failure.into()
    } else {
        failure.mild().into()
    }
}

fn companions(scene: &Scene<'_>) -> Verdict {
    let Some(python) = scene.python() else {
        return Verdict::Unknown("the app's Python was not found".to_owned());
    };
    let installed = &scene.detection().installed;
    let missing = data::companions().iter().find_map(|row| {
        let instrumented = installed.contains_key(&format!("opentelemetry-instrumentation-{}", row.library));
        let needs = coverage::missing_companion(installed, &row.library)?;
        instrumented.then_some((row.library.as_str(), needs))
    });
    match missing {
        Some((library, needs)) => Failure::new(format!(
            "the instrumentation of {library} cannot be imported without {needs}: it and all after it are lost"
        ))
        .remedy(install(scene, &[needs.to_owned()]))
        .because(scene.dist_evidence(library))
        .because([Evidence::new(python.interpreter.display().to_string(), format!("no {needs}"))])
        .into(),
        None => Verdict::Pass("none is missing".to_owned()),
    }
}
