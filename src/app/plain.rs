//! Guided set-up in lines.

use super::Context;
use crate::domain::report::Report;
use crate::error::{Error, Result};
use crate::wizard::{Interview, Options};
use std::path::Path;

/// Asks in lines.
pub(super) fn run(_context: &Context, _project: &Path, _options: &Options, _interview: Interview) -> Result<Report> {
    Err(Error::usage("guided set-up needs a terminal")
        .remedy("pass --yes to run without questions, or --dry-run to see the plan first")
        .remedy("run `signoz-setup --demo` to see the whole job without an account"))
}
