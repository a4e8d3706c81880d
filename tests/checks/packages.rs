//! Fixtures of the family `packages`.

use super::Fixture;

pub(super) const FIXTURES: &[Fixture] = &[Fixture {
    id: "packages.setuptools",
    pass: |_| {},
    fail: |lab| lab.dist("setuptools", "84.2.1"),
    says: "setuptools 84.2.1 has it no longer",
}];
