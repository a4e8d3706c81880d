//! Checks on a collector on this machine.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
