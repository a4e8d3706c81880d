//! Why a stage of dialling failed.

use super::{Stage, shown};
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a stage failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The resolver says no; its words.
    NoSuchHost(String),
    /// Nobody listens.
    Refused,
    /// No route, host down.
    Unreachable(String),
    /// The deadline came first.
    TimedOut,
    /// The proxy answered with this status instead of opening a tunnel.
    ProxyStatus(u16),
    /// The proxy did not speak HTTP.
    ProxyProtocol(String),
    /// The other end does not speak TLS.
    NotTls,
    /// The certificate chain ends at an unknown issuer.
    UnknownIssuer {
        /// The issuer as the certificate names it.
        issuer: Option<String>,
    },
    /// The certificate is for other names.
    WrongName {
        /// The names that it is for.
        names: Vec<String>,
    },
    /// The certificate has expired.
    Expired {
        /// How long ago.
        by: Duration,
    },
    /// The certificate is not valid yet.
    NotYetValid {
        /// For how long still.
        by: Duration,
    },
    /// Another objection to the certificate.
    BadCertificate(String),
    /// The server does not offer the application protocol that was asked for.
    NoApplicationProtocol,
    /// Another failure of the handshake.
    Handshake(String),
    /// The connection ended.
    Closed,
    /// Anything else that the operating system said.
    Io(String),
}

/// A stage that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub stage: Stage,
    /// Why.
    pub cause: Cause,
    /// The address that it was about, as text.
    pub at: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the connection was refused"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Closed => f.write_str("the connection was closed"),
            Self::ProxyStatus(status) => write!(f, "HTTP {status}"),
            Self::NoSuchHost(text)
            | Self::Unreachable(text)
            | Self::ProxyProtocol(text)
            | Self::BadCertificate(text)
            | Self::Handshake(text)
            | Self::Io(text) => f.write_str(&shown(text)),
            Self::NotTls => f.write_str("it does not speak TLS"),
            Self::UnknownIssuer { .. } => f.write_str("unknown issuer"),
            Self::WrongName { .. } => f.write_str("the certificate is for another name"),
            Self::Expired { .. } => f.write_str("the certificate has expired"),
            Self::NotYetValid { .. } => f.write_str("the certificate is not valid yet"),
            Self::NoApplicationProtocol => f.write_str("no common application protocol"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.cause)
    }
}

/// An operating-system error as a cause.
pub(super) fn cause(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Cause::Unreachable(error.kind().to_string())
        }
        io::ErrorKind::TimedOut => Cause::TimedOut,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            Cause::Closed
        }
        _ => Cause::Io(error.kind().to_string()),
    }
}

/// What the resolver said.
pub(super) fn no_such_host(error: &io::Error) -> Cause {
    let text = error.to_string();
    Cause::NoSuchHost(text.trim_start_matches("failed to lookup address information: ").to_lowercase())
}
