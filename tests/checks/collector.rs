//! Fixtures of the family `collector`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
