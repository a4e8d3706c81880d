//! Fixtures of the family `config`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
