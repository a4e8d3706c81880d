//! `--check`: the doctor. Looks, judges, says what to do; changes nothing.

use super::{Context, answers};
use crate::checks::{self, Scene, Selection};
use crate::detect;
use crate::domain::Event;
use crate::domain::detection::Evidence;
use crate::domain::report::{Finding, Outcome, Report, Summary};
use crate::error::{Error, Kind, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// Lines of a log that are read: its end.
const LOG_LINES: usize = 20_000;
/// Most of a log that is read, in bytes.
const LOG_BYTES: u64 = 16 * 1024 * 1024;
/// Between two tries of `--wait`.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs the checks.
pub(super) fn run(context: &Context) -> Result<Report> {
    let cli = &context.cli;
    let project = answers::project(cli)?;
    let selection = Selection { only: cli.only.clone() };
    if let Some(name) = selection.unknown().first() {
        let families: Vec<&str> = checks::Family::ALL.iter().map(|family| family.as_str()).collect();
        return Err(Error::usage(format!("there is no family or check `{}`", name.escape_debug()))
            .because(format!("the families are {}", families.join(", ")))
            .remedy("run `signoz-setup --explain` for the checks"));
    }
    let draft = answers::given(context, &project)?;
    let log = match &cli.log {
        Some(path) => read_log(path)?,
        None => Vec::new(),
    };
    let observer = |event| context.progress.event(&event);
    let end = cli.wait.map(|wait| Instant::now() + wait);
    let mut report = Report::new("check");
    let findings = loop {
        // What was looked at before may have changed while it was waited.
        let survey = detect::survey(&context.system, &project, draft.python.as_deref(), &observer);
        report.environment = Some(survey.detection.clone());
        let mut scene = Scene::new(&context.system, &project, survey, cli.offline);
        scene.log.clone_from(&log);
        scene.draft = draft.clone();
        let findings = checks::run(&scene, &selection, &observer);
        context.system.cancel.check()?;
        let Some(end) = end else { break findings };
        if !worth_waiting(&findings) || Instant::now() >= end {
            break findings;
        }
        observer(Event::Stage {
            title: format!(
                "waiting for the network checks to pass ({} s left)",
                end.duration_since(Instant::now()).as_secs()
            ),
        });
        let pause = Instant::now() + PAUSE.min(end.saturating_duration_since(Instant::now()));
        while Instant::now() < pause && context.system.cancel.signal().is_none() {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    };
    report.summary = Some(Summary::of(&findings));
    let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.outcome == Outcome::Fail).collect();
    report.next = failed
        .iter()
        .take(3)
        .map(|finding| format!("read more: signoz-setup --explain {}", finding.id))
        .collect();
    report.findings = findings;
    Ok(report)
}

/// Whether a check that could pass later has not passed yet.
fn worth_waiting(findings: &[Finding]) -> bool {
    findings
        .iter()
        .filter(|finding| matches!(finding.outcome, Outcome::Fail | Outcome::Unknown))
        .any(|finding| checks::all().any(|check| check.id == finding.id && check.network))
}

/// The end of a log, line by line.
fn read_log(path: &Path) -> Result<Vec<Evidence>> {
    use std::io::{Read, Seek, SeekFrom};
    let cannot = |error: std::io::Error| Error::io(Kind::Usage, "read the log", path, &error);
    let mut file = std::fs::File::open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    let from = size.saturating_sub(LOG_BYTES);
    file.seek(SeekFrom::Start(from)).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let skip = lines.len().saturating_sub(LOG_LINES);
    let whole = from == 0;
    let line = |(index, text): (usize, &&str)| {
        // Only of a log that was read from its start is the number of a line known.
        let source = if whole {
            format!("{}:{}", path.display(), index + 1)
        } else {
            path.display().to_string()
        };
        Evidence::new(source, text)
    };
    Ok(lines.iter().enumerate().skip(skip).map(line).collect())
}
