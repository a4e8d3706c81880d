//! What is said at the end: one document, from which text and JSON are both made.
//!
//! May never hold a secret: fields are plain text and are serialised as they are.

use super::coverage::Coverage;
use super::detection::{Detection, Evidence, StartMethod};
use super::packages::Resolution;
use super::target::Protocol;
use serde::Serialize;

/// How the run ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// Everything that was asked for happened and was seen.
    Ok,
    /// Done, with something to look at.
    Warnings,
    /// A check, a step or a verification failed.
    Failed,
    /// Nothing was changed, on purpose.
    Refused,
    /// The person or the system ended it.
    Interrupted,
}

/// What happened to one check or verification level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Seen to be right.
    Pass,
    /// Works, but not as it should.
    Warn,
    /// Seen to be wrong.
    Fail,
    /// Not run; the reason is in the detail.
    Skip,
    /// Run, but could not find out. Never a pass.
    Unknown,
}

/// The four honest levels of verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A span sent from this program was accepted by the endpoint.
    Endpoint,
    /// A span sent by the app's own interpreter, SDK and environment was accepted.
    Python,
    /// Every worker process of the real app exported what it served, once.
    Workers,
    /// The span was read back from storage.
    Stored,
}

/// One stage of a level, `tls` · passed · `TLS 1.3, issuer …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// `dns`, `tcp`, `proxy`, `tls`, `http2`, `auth`, `accepted`, `partial_success`.
    pub name: String,
    /// What happened.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
}

/// The result of one level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelReport {
    /// Which.
    pub level: Level,
    /// What happened; `skip` means not run.
    pub outcome: Outcome,
    /// 32 hexadecimal digits, when a span was sent.
    pub trace_id: Option<String>,
    /// Over which transport.
    pub protocol: Option<Protocol>,
    /// What was seen, one sentence. Says `accepted`, never `stored`, unless it was read back.
    pub detail: String,
    /// What to do when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// From sending to the answer, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Each stage on the way, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

impl LevelReport {
    /// A level that was not run, with the reason.
    pub fn not_run(level: Level, why: impl Into<String>) -> Self {
        Self {
            level,
            outcome: Outcome::Skip,
            trace_id: None,
            protocol: None,
            detail: format!("not run: {}", why.into()),
            remedy: None,
            latency_ms: None,
            stages: Vec::new(),
        }
    }
}

/// One worker process of the rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct WorkerRow {
    /// Process id.
    pub pid: u32,
    /// Name of the server.
    pub server: String,
    /// Requests (or tasks) that this process was seen to serve.
    pub requests: u64,
    /// Server spans received from it, copies included.
    pub spans: u64,
    /// Different span ids among them.
    pub unique_spans: u64,
    /// Requests without a server span.
    pub lost: u64,
    /// Spans that arrived more than once.
    pub duplicated: u64,
}

/// One span of a trace, as a line of its waterfall: parents before children, siblings by start time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TraceBar {
    /// The span's name, free of control characters.
    pub name: String,
    /// `server`, `client`, `internal`, …
    pub kind: String,
    /// Process that sent it, when its resource says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How deep below its root.
    pub depth: usize,
    /// From the start of the trace, in microseconds.
    pub offset_us: u64,
    /// Length, in microseconds.
    pub duration_us: u64,
}

/// How the app is started with tracing, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaunchReport {
    /// The start command, secrets masked.
    pub command: String,
    /// Which server it starts.
    pub server: &'static str,
    /// Number of worker processes; `None` when the server decides.
    pub workers: Option<u32>,
    /// How the workers come into being.
    pub start: StartMethod,
    /// Why it is started the way it is, one sentence.
    pub why: String,
    /// What stays imperfect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
}

/// What verification saw.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Verification {
    /// The levels, in order; those not run included.
    pub levels: Vec<LevelReport>,
    /// The rehearsal's table.
    pub workers: Vec<WorkerRow>,
    /// Requests that were served just before SIGTERM and whose span never came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at_stop: Option<u64>,
    /// The fullest trace that the rehearsal received.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<TraceBar>,
}

/// A step as the report shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepRow {
    /// Stable id.
    pub id: String,
    /// What it does.
    pub title: String,
    /// Why.
    pub why: String,
    /// `write_file`, `edit_block`, `install_packages`, `run_command`.
    pub kind: &'static str,
    /// How far it is.
    pub state: super::plan::StepState,
    /// File, when it writes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Unified diff, secrets masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Command, when it runs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// How long it took, in milliseconds, when it was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// Plan rows under their contract name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// The steps.
    pub steps: Vec<StepRow>,
}

/// Who wrote the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// `signoz-setup`.
    pub name: &'static str,
    /// Crate version.
    pub version: &'static str,
}

/// An error as the document carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// What happened.
    pub what: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do next.
    pub remedies: Vec<String>,
}

/// The one document of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// 1.
    pub schema_version: u32,
    /// Who wrote it.
    pub tool: Tool,
    /// `setup`, `dry-run`, `rehearse`, `demo`, `undo`, …
    pub mode: &'static str,
    /// How it ended.
    pub outcome: RunOutcome,
    /// The process's exit code.
    pub exit_code: u8,
    /// What was detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Detection>,
    /// What will be traced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<Coverage>,
    /// What the install moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// How the app is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<LaunchReport>,
    /// The plan and its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReport>,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What the checks found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// How many checks ended how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// What the receiver counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap: Option<TapReport>,
    /// What was put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<UndoReport>,
    /// Pages of `--explain`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<Page>,
    /// What to look at, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReport>,
    /// What to do next, commands that can be pasted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

impl Report {
    /// An empty document for a mode.
    #[must_use]
    pub fn new(mode: &'static str) -> Self {
        Self {
            schema_version: 1,
            tool: Tool {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
            },
            mode,
            outcome: RunOutcome::Ok,
            exit_code: 0,
            environment: None,
            coverage: Vec::new(),
            resolution: None,
            launch: None,
            plan: None,
            verification: None,
            findings: Vec::new(),
            summary: None,
            tap: None,
            undo: None,
            pages: Vec::new(),
            warnings: Vec::new(),
            error: None,
            next: Vec::new(),
        }
    }
}

/// What undo did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UndoReport {
    /// What was put back, one line each.
    pub restored: Vec<String>,
    /// What was kept because the person edited it since, with the command that would remove it.
    pub kept: Vec<Kept>,
    /// What could not be put back, and what to do; undo can be run again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

/// Something that undo left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The file or package.
    pub what: String,
    /// Why it was kept.
    pub why: String,
    /// How to remove it by hand.
    pub manual: String,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `family.kebab-name`.
    pub id: &'static str,
    /// The first part of the id.
    pub family: &'static str,
    /// What should be true, affirmative.
    pub title: &'static str,
    /// What was seen.
    pub outcome: Outcome,
    /// In words; of a skipped check the reason.
    pub detail: String,
    /// What to do, to paste where possible; empty for a pass.
    pub remedy: String,
    /// Where more is said.
    pub doc: &'static str,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// File and line, process, variable.
    pub evidence: Vec<Evidence>,
}

/// How many checks ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Seen to be right.
    pub pass: usize,
    /// Work, but not as they should.
    pub warn: usize,
    /// Seen to be wrong.
    pub fail: usize,
    /// Not run.
    pub skip: usize,
    /// Could not find out.
    pub unknown: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
        Self {
            pass: count(Outcome::Pass),
            warn: count(Outcome::Warn),
            fail: count(Outcome::Fail),
            skip: count(Outcome::Skip),
            unknown: count(Outcome::Unknown),
        }
    }
}

/// An offline page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// `family.kebab-name`.
    pub id: String,
    /// One sentence.
    pub title: String,
    /// The whole page; left out in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What `--tap` counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TapReport {
    /// Spans received, copies included.
    pub spans: u64,
    /// Different span ids.
    pub unique_spans: u64,
    /// Span ids that arrived more than once.
    pub duplicated: u64,
    /// Export calls refused for their key.
    pub refused: u64,
    /// Export calls passed on.
    pub forwarded: u64,
    /// Export calls that could not be passed on.
    pub forward_failed: u64,
}
