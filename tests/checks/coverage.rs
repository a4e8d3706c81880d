//! Fixtures of the family `coverage`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
