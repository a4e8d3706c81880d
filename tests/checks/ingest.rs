//! Fixtures of the family `ingest`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[];
