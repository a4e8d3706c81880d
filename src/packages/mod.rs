//! Installed distributions, dry resolves, and one install call per tool.
//!
//! May never believe an exit code: what is installed is read from the environment.

pub mod install;
pub mod installed;
pub(crate) mod markers;
mod output;
pub mod preflight;
pub mod tools;
