//! Shows; never decides. The report goes to standard output, progress to standard error, the full screen to the terminal.

pub mod asking;
mod echo;
pub mod findings;
pub mod keys;
pub mod lines;
pub mod marks;
pub mod progress;
pub mod prompt;
pub mod style;
pub mod terminal;
pub mod text;
pub mod theme;
pub mod tui;
pub mod view;
