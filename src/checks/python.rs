//! Checks on the app's interpreter and environment.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
