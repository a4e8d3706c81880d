//! What will be traced by which set, and what not, library by library. Pure.
//!
//! May never look at the machine, nor promise spans that no metadata declares and no test proved.

pub mod data;
pub mod ranges;
mod rows;

pub use rows::table;

use crate::domain::{Coverage, CoverageStatus, Distribution};
use std::collections::{BTreeMap, BTreeSet};

/// Why a set-up would be silent: the app has server frameworks and none of them would give a span.
///
/// A conflict is not silence: the dry resolve refuses it with its own reason.
#[must_use]
pub fn silence(rows: &[Coverage]) -> Option<String> {
    let servers: Vec<&Coverage> = rows.iter().filter(|row| row.server).collect();
    let heard = |row: &&Coverage| matches!(row.status, CoverageStatus::Traced | CoverageStatus::Conflict);
    if servers.is_empty() || servers.iter().any(heard) {
        return None;
    }
    let reasons: Vec<String> = servers
        .iter()
        .map(|row| format!("{} {}: {}", row.library, row.version, row.note))
        .collect();
    Some(format!("no request would give a span ({})", reasons.join("; ")))
}

/// Entry points of the instrumentations that must be asked to ignore their declared range, sorted, each once.
#[must_use]
pub fn beyond_range(rows: &[Coverage]) -> Vec<String> {
    let names: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row.beyond_declared_range)
        .filter_map(|row| data::proved().iter().find(|proof| proof.library == row.library))
        .map(|proof| proof.entry_point.as_str())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

/// The package that an installed library's instrumentation needs beside it and that is not there.
#[must_use]
pub(crate) fn missing_companion(installed: &BTreeMap<String, Distribution>, library: &str) -> Option<&'static str> {
    let version = &installed.get(library)?.version;
    data::companions()
        .iter()
        .find(|row| row.library == library && ranges::admits(&row.versions, version, true) && !installed.contains_key(&row.needs))
        .map(|row| row.needs.as_str())
}
