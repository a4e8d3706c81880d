//! Checks on manifests and charts.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
