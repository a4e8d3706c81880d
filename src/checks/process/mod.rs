//! Checks on how the app's processes start and end: what detection warns of, the starts themselves, the app's log.

mod starts;

use super::{Check, Failure, Family, ROW, Scene, Severity, Verdict, page};

const PROCESS: Check = Check {
    family: Family::Process,
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    ..ROW
};

/// All of them, in their order.
pub(super) const CHECKS: [&[Check]; 2] = [HAZARDS, starts::CHECKS];

/// What detection warns of.
const HAZARDS: &[Check] = &[
    Check {
        id: "process.isolated-python",
        title: "Python reads its environment",
        why: "with -E or -I Python ignores PYTHONPATH, with -S the installed packages: no span, and often no message",
        remedy: "remove the switch from the start command or the script's first line",
        page: page!("process.isolated-python"),
        covers: &["B09", "B10"],
        run: |scene| judge(scene, "process.isolated-python", "no start command was found to be isolated"),
        ..PROCESS
    },
    Check {
        id: "process.competing-agent",
        title: "no other tracing agent is loaded",
        why: "two agents patch the same libraries: spans are doubled, foreign or missing",
        remedy: "start the app with one agent only",
        page: page!("process.competing-agent"),
        severity: Severity::Warning,
        covers: &["B12"],
        run: |scene| {
            judge(
                scene,
                "process.competing-agent",
                "no other agent is installed, required or in a start command",
            )
        },
        ..PROCESS
    },
    Check {
        id: "process.own-provider",
        title: "the app does not set its own tracer provider",
        why: "the second provider is refused, or spans go to an exporter that is not this one",
        remedy: "remove the app's own set-up, or keep it and do not use the run script",
        page: page!("process.own-provider"),
        covers: &["B19"],
        run: |scene| {
            judge(
                scene,
                "process.own-provider",
                "no `set_tracer_provider` was found in the app's code",
            )
        },
        ..PROCESS
    },
    Check {
        id: "process.duplicate-hook",
        title: "no worker hook adds a second exporter",
        why: "the hook's exporter is added to the provider that is there already: every span arrives twice",
        remedy: "remove the tracing lines from the hook",
        page: page!("process.duplicate-hook"),
        covers: &["C02", "C13"],
        run: |scene| {
            judge(
                scene,
                "process.duplicate-hook",
                "no worker hook that adds a span processor was found",
            )
        },
        ..PROCESS
    },
    Check {
        id: "process.reloader",
        title: "the app does not run under a reloader",
        why: "the app runs in a child process, which plain opentelemetry-instrument before 0.63b0 does not reach",
        remedy: "start without `--reload`, `--debug` or `debug=True`, and runserver with `--noreload`",
        page: page!("process.reloader"),
        covers: &["C07", "C08", "C09"],
        run: reloader,
        ..PROCESS
    },
];

/// The run script's loader reaches a reloader's child, and so do releases from 0.63b0 on.
fn reloader(scene: &Scene<'_>) -> Verdict {
    let Some(hazard) = scene.detection().hazards.iter().find(|hazard| hazard.id == "process.reloader") else {
        return Verdict::Pass("no start command was found to reload".to_owned());
    };
    let bare: Vec<_> = hazard
        .because
        .iter()
        .filter(|because| !because.fact.contains(".signoz/run.sh"))
        .cloned()
        .collect();
    if bare.is_empty() || scene.is("opentelemetry-instrumentation", ">=0.63b0") {
        return Verdict::Pass("a start command reloads, and tracing reaches the reloader's child".to_owned());
    }
    let wrapped = bare.iter().any(|because| because.fact.contains("opentelemetry-instrument"));
    let failure = Failure::new(hazard.title.clone()).remedy(hazard.remedy.clone()).because(bare);
    // Bare, it is not traced anyway, which is another check's matter.
    if wrapped { failure.into() } else { failure.mild().into() }
}

/// What detection found under this id already.
fn judge(scene: &Scene<'_>, id: &str, well: &str) -> Verdict {
    match scene.detection().hazards.iter().find(|hazard| hazard.id == id) {
        None => Verdict::Pass(well.to_owned()),
        Some(hazard) => Failure::new(hazard.title.clone())
            .remedy(hazard.remedy.clone())
            .because(hazard.because.iter().cloned())
            .into(),
    }
}
