//! Fixtures of the family `docker`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
