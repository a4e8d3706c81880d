//! Fixtures of the family `python`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
