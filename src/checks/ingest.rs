//! Checks on what the endpoint says of the key and the span.

use super::Check;

/// In their order.
pub(super) const CHECKS: &[Check] = &[];
