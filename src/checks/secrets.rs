//! Checks on keys: whether one is there and whole, and where it stands that it should not.
//!
//! May never show a key, nor a part of it: only the first digits of its SHA-256.

mod key;
mod places;

use super::{Check, Family, ROW};

/// What the rows of this family have in common.
const SECRETS: Check = Check {
    family: Family::Secrets,
    doc: "https://signoz.io/docs/ingestion/signoz-cloud/keys/",
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    key::PRESENT,
    key::FILLED_IN,
    key::PLAIN,
    key::KIND,
    key::SAME,
    places::FILE_PRIVATE,
    places::IGNORED,
    places::UNTRACKED,
    places::OUTSIDE_IMAGES,
    places::NOT_IN_FILES,
    places::PRIVATE_UNITS,
    places::COMMAND_LINE,
    places::NOT_LOGGED,
    places::KUBERNETES_SECRET,
];
