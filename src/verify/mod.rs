//! The four honest levels of verification.

pub mod endpoint;
pub mod python;
pub mod regions;
pub mod stored;
pub mod workers;
