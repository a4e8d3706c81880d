//! Checks on the variables that configure OpenTelemetry.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
