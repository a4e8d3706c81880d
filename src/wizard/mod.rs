//! The questions, in one table that every front end reads.
//!
//! May never know a terminal.

pub mod question;
