//! Plan + machine → changed machine: diff, apply, journal, undo.
