//! Level `python`.
