//! Checks on the way to the endpoint, stage by stage.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
