//! Checks on where keys stand.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
