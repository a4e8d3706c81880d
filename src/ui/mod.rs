//! Shows; never decides. The report goes to standard output, progress to standard error.

pub mod marks;
pub mod progress;
pub mod style;
pub mod text;
pub mod theme;
pub mod view;
