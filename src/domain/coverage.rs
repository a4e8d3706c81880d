//! What will be traced and what not, library by library.

use super::target::InstrumentationSet;
use serde::Serialize;

/// Whether a library of the app will produce spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverageStatus {
    /// In the declared range, or beyond it where a test of this project proved it.
    Traced,
    /// An instrumentation exists, but not for this version.
    OutOfRange,
    /// The set has no instrumentation for it.
    NoInstrumentation,
    /// Installing the set would break this library.
    Conflict,
}

/// One row of the coverage table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Normalised distribution name.
    pub library: String,
    /// Installed version.
    pub version: String,
    /// `opentelemetry-instrumentation-flask`, when there is one.
    pub instrumentation: Option<String>,
    /// Declared range, `>=1.0,<3.0`.
    pub supported: Option<String>,
    /// The verdict.
    pub status: CoverageStatus,
    /// Which set was asked.
    pub set: InstrumentationSet,
    /// True when the instrumentation must be asked to ignore its declared range, because a test proved that it works.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub beyond_declared_range: bool,
    /// Whether it is the app's server framework: without it there is no request span at all.
    pub server: bool,
    /// One sentence for the person: what happens, and since when it works.
    pub note: String,
}
