//! Checks on how the app's processes start and end.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
