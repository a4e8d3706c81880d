//! Checks on the installed OpenTelemetry packages and what they need.

use super::{Check, Failure, Family, ROW, Scene, Verdict, page};
use crate::domain::detection::Evidence;

const PACKAGES: Check = Check {
    family: Family::Packages,
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[Check {
    id: "packages.setuptools",
    title: "pkg_resources is there for the releases that import it",
    why: "opentelemetry-distro before 0.49b0 imports pkg_resources, which setuptools 82 no longer has: the app does not start under instrumentation",
    remedy: "install `setuptools<81` into the app's environment",
    page: page!("packages.setuptools"),
    covers: &["A01"],
    spared: |scene| {
        scene
            .dist("opentelemetry-distro")
            .is_none()
            .then_some("opentelemetry-distro is not installed")
    },
    run: setuptools,
    ..PACKAGES
}];

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
                .remedy(format!("{} -m pip install 'setuptools<81'", python.interpreter.display()))
                .because(place)
                .into()
        }
    }
}
