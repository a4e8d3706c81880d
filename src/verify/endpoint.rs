//! Level `endpoint`.
