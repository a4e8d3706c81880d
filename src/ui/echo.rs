//! The terminal's echo during a conversation: only an answer that may be seen is shown while it is typed.
//!
//! May never leave the terminal other than it was, or hand on to the next reader what was typed of a secret.

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io;

/// What the terminal does with what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typing {
    /// It is shown, as before the conversation.
    Shown,
    /// It is not: a key that is pasted before its question is up must not come to light.
    Hidden,
    /// It is not, but for the line break that ends it.
    Secret,
}

/// Standard input's echo, when that is a terminal. Dropping it gives the echo back.
#[derive(Debug)]
pub(super) struct Echo(Option<Termios>);

impl Echo {
    /// From now on nothing that is typed is shown.
    pub(super) fn take() -> Self {
        let echo = Self(tcgetattr(io::stdin()).ok());
        echo.set(Typing::Hidden, OptionalActions::Now);
        echo
    }

    /// Nothing to take: answers come from elsewhere.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Whether the line break that ends an answer is seen.
    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// While an answer is typed; what has been typed ahead stays.
    pub(super) fn begin(&self, typing: Typing) {
        self.set(typing, OptionalActions::Now);
    }

    /// After the answer. What follows a secret in the same breath is thrown away: it may be part of it.
    pub(super) fn end(&self, typing: Typing) {
        let rest = if typing == Typing::Secret {
            OptionalActions::Flush
        } else {
            OptionalActions::Now
        };
        self.set(Typing::Hidden, rest);
    }

    /// Best effort: there is nothing to do about a terminal that is gone.
    fn set(&self, typing: Typing, rest: OptionalActions) {
        let Some(before) = &self.0 else { return };
        let mut modes = before.clone();
        if typing != Typing::Shown {
            modes.local_modes.remove(LocalModes::ECHO);
        }
        if typing == Typing::Secret {
            modes.local_modes.insert(LocalModes::ECHONL);
            // Ctrl-Z would hand the terminal to a shell that may echo what follows: 0 disables it, as POSIX_VDISABLE does.
            modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        }
        let _ = tcsetattr(io::stdin(), rest, &modes);
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // What was typed unseen and not read would otherwise come to light at the shell's prompt.
        self.set(Typing::Shown, OptionalActions::Flush);
    }
}
