//! Fixtures of the family `secrets`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
