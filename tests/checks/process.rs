//! Fixtures of the family `process`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
