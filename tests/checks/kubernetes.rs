//! Fixtures of the family `kubernetes`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
