//! Fixtures of the family `network`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
