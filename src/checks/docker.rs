//! Checks on container files.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
