//! Level `stored`.
