//! Level `workers`.
