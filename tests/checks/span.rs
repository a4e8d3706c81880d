//! Fixtures of the family `span`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
