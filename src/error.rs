//! The one error type: what happened, why, what to do next, and the exit code that the contract gives it.
//!
//! Messages are lower case, blame nobody, carry no stack trace and never a secret.

use std::fmt;
use std::io;
use std::path::Path;

/// The contract's exit codes, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 1: a check failed, or what was applied could not be verified.
    Failed,
    /// 2: bad flag, missing or malformed answer.
    Usage,
    /// 3: refused before any change.
    Refused,
    /// 4: a step failed and was rolled back.
    StepFailed,
    /// 130 or 143: ended by the person or the system.
    Interrupted(Signal),
}

/// The signal that ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// `kill`, a service manager, a closed terminal.
    Terminate,
}

impl Kind {
    /// The process's exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::StepFailed => 4,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
        }
    }
}

/// What went wrong, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The exit code's reason.
    pub kind: Kind,
    /// What happened, one sentence without a full stop.
    pub what: String,
    /// Why, one sentence.
    pub why: Option<String>,
    /// What to do next: exact flags, variables, files and lines.
    pub remedies: Vec<String>,
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of a kind.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            why: None,
            remedies: Vec::new(),
        }
    }

    /// Exit 1.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// Exit 2.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// Exit 3.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what)
    }

    /// Exit 4.
    pub fn step_failed(what: impl Into<String>) -> Self {
        Self::new(Kind::StepFailed, what)
    }

    /// Exit 130 or 143.
    #[must_use]
    pub fn interrupted(signal: Signal) -> Self {
        Self::new(Kind::Interrupted(signal), "interrupted")
    }

    /// An operating-system error with the path that it is about.
    pub fn io(kind: Kind, doing: &str, path: &Path, error: &io::Error) -> Self {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => Some(format!(
                "give yourself write permission on `{}`, or run as its owner",
                path.display()
            )),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some(format!("free some space on the file system of `{}`", path.display()))
            }
            io::ErrorKind::ReadOnlyFilesystem => Some(format!("`{}` is on a read-only file system; choose another folder", path.display())),
            _ => None,
        };
        Self {
            kind,
            what: format!("cannot {doing} `{}`", path.display()),
            why: Some(plain(error)),
            remedies: remedy.into_iter().collect(),
        }
    }

    /// Adds the reason.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds something to do next.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }
}

/// The operating system's words without `(os error 13)`, lower case.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(why) = &self.why {
            write!(f, "\n  because: {why}")?;
        }
        for remedy in &self.remedies {
            write!(f, "\n  hint: {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
