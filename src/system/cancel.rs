//! A flag that SIGINT and SIGTERM set and that long work looks at.

use crate::error::{Error, Result, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether the run was asked to end, and by what.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// Remembers the first signal.
    pub fn set(&self, signal: Signal) {
        let value = match signal {
            Signal::Interrupt => 1,
            Signal::Terminate => 2,
        };
        let _ = self.0.compare_exchange(0, value, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The signal, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        match self.0.load(Ordering::SeqCst) {
            1 => Some(Signal::Interrupt),
            2 => Some(Signal::Terminate),
            _ => None,
        }
    }

    /// Fails when a signal came.
    ///
    /// # Errors
    /// [`Error::interrupted`] with exit code 130 or 143.
    pub fn check(&self) -> Result<()> {
        self.signal().map_or(Ok(()), |signal| Err(Error::interrupted(signal)))
    }
}
