//! Checks on spans that really arrive.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
