//! Checks on whether the app's libraries are traced.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
