//! The doctor: every reason that is known for spans not to arrive, as a row of one table.
//!
//! A check looks and judges. It may never change anything, show a value that may be a secret, call a thing passed that was
//! not seen, or send the key anywhere but to the configured endpoint.

pub mod by_hand;
mod collector;
mod config;
mod coverage;
mod docker;
mod ingest;
mod kubernetes;
pub mod log;
mod network;
mod packages;
mod probe;
mod process;
mod python;
mod run;
pub mod scene;
mod secrets;
mod span;
mod written;

use crate::domain::detection::Evidence;
pub use run::{Selection, run};
pub use scene::Scene;

/// The contract's twelve families, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the contract's")]
pub enum Family {
    Python,
    Packages,
    Coverage,
    Process,
    Config,
    Secrets,
    Network,
    Ingest,
    Collector,
    Docker,
    Kubernetes,
    Span,
}

impl Family {
    /// All of them, in their order.
    pub const ALL: [Self; 12] = [
        Self::Python,
        Self::Packages,
        Self::Coverage,
        Self::Process,
        Self::Config,
        Self::Secrets,
        Self::Network,
        Self::Ingest,
        Self::Collector,
        Self::Docker,
        Self::Kubernetes,
        Self::Span,
    ];

    /// The first part of its checks' ids.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Packages => "packages",
            Self::Coverage => "coverage",
            Self::Process => "process",
            Self::Config => "config",
            Self::Secrets => "secrets",
            Self::Network => "network",
            Self::Ingest => "ingest",
            Self::Collector => "collector",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
            Self::Span => "span",
        }
    }
}

/// How bad a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Works, but not as it should: the outcome is `warn`.
    Warning,
    /// Spans are lost, doubled or unusable, or the app breaks: the outcome is `fail`.
    Error,
}

/// One row of the catalogue.
#[derive(Clone, Copy)]
pub struct Check {
    /// `network.tls`: stable, public, in JSON, README and `--explain`.
    pub id: &'static str,
    /// Its family; the first part of the id.
    pub family: Family,
    /// What should be true, affirmative: `the ingest endpoint presents a valid certificate`.
    pub title: &'static str,
    /// What breaks for the person when it is not.
    pub why: &'static str,
    /// What to do, imperative; a failure may carry a better one with the actual paths.
    pub remedy: &'static str,
    /// Where more is said: an absolute URL.
    pub doc: &'static str,
    /// Its offline page, `assets/explain/<id>.md`.
    pub page: &'static str,
    /// How bad a failure is.
    pub severity: Severity,
    /// Checks that must have passed (or warned) before this one means anything.
    pub needs: &'static [&'static str],
    /// Entries of the catalogue of failure modes that it sees.
    pub covers: &'static [&'static str],
    /// It sends something over the network: skipped with `--offline`, retried with `--wait`.
    pub network: bool,
    /// Why it does not concern this project; `None` when it does.
    pub spared: fn(&Scene<'_>) -> Option<&'static str>,
    /// Looks and judges.
    pub run: fn(&Scene<'_>) -> Verdict,
}

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Seen to be right; what was seen.
    Pass(String),
    /// Seen to be wrong.
    Fail(Failure),
    /// Does not concern this project after all; the reason.
    Skip(String),
    /// Could not find out; why. Never a pass.
    Unknown(String),
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// In words, one sentence.
    pub detail: String,
    /// Better than the row's: with the actual paths and names.
    pub remedy: Option<String>,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
    /// Less bad than the row says.
    pub mild: bool,
}

impl Failure {
    /// What is wrong, in words.
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::default()
        }
    }

    /// What to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Where it was seen.
    #[must_use]
    pub fn because(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// Only a warning, whatever the row says.
    #[must_use]
    pub fn mild(mut self) -> Self {
        self.mild = true;
        self
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

/// The offline page of a check.
macro_rules! page {
    ($id:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/explain/", $id, ".md"))
    };
}
pub(crate) use page;

/// What most rows have in common.
pub(crate) const ROW: Check = Check {
    id: "",
    family: Family::Python,
    title: "",
    why: "",
    remedy: "",
    doc: "",
    page: "",
    severity: Severity::Error,
    needs: &[],
    covers: &[],
    network: false,
    spared: |_| None,
    run: |_| Verdict::Unknown(String::new()),
};

/// All checks, family by family; within a family a check stands after those that it needs.
pub const CATALOG: [&[Check]; 14] = [
    python::CHECKS,
    packages::CHECKS,
    coverage::CHECKS,
    process::CHECKS[0],
    process::CHECKS[1],
    &[log::CHECK],
    config::CHECKS,
    secrets::CHECKS,
    network::CHECKS,
    ingest::CHECKS,
    collector::CHECKS,
    docker::CHECKS,
    kubernetes::CHECKS,
    span::CHECKS,
];

/// All checks, in the order in which they are shown.
pub fn all() -> impl Iterator<Item = &'static Check> {
    CATALOG.into_iter().flatten()
}
