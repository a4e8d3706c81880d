//! A flag that SIGINT and SIGTERM set and that long work looks at.

use crate::error::{Error, Result, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Whether the run was asked to end, and by what.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Signals>);

#[derive(Debug, Default)]
struct Signals {
    first: AtomicU8,
    another: AtomicBool,
}

impl Cancel {
    /// Remembers the first signal, and that another came.
    pub fn set(&self, signal: Signal) {
        let value = match signal {
            Signal::Interrupt => 1,
            Signal::Terminate => 2,
        };
        if self.0.first.compare_exchange(0, value, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            self.0.another.store(true, Ordering::SeqCst);
        }
    }

    /// The signal, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<Signal> {
        match self.0.first.load(Ordering::SeqCst) {
            1 => Some(Signal::Interrupt),
            2 => Some(Signal::Terminate),
            _ => None,
        }
    }

    /// Whether a second signal came: even what is only tidied up must end now.
    #[must_use]
    pub fn insisted(&self) -> bool {
        self.0.another.load(Ordering::SeqCst)
    }

    /// Fails when a signal came.
    ///
    /// # Errors
    /// [`Error::interrupted`] with exit code 130 or 143.
    pub fn check(&self) -> Result<()> {
        self.signal().map_or(Ok(()), |signal| Err(Error::interrupted(signal)))
    }
}
