//! The embedded OTLP receiver: loopback only; counts what arrives, by trace, resource and process.

pub mod ledger;

pub use ledger::{Ledger, SpanKind, SpanRecord};
