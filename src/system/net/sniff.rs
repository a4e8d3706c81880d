//! What a port speaks, told from the first bytes that it sends.

use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A language of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1 in plain text.
    Http1,
    /// HTTP/2 in plain text.
    Http2,
    /// TLS.
    Tls,
}

/// Tells a language from the first bytes that came; `None` when they could be anything.
#[must_use]
pub fn language(first: &[u8]) -> Option<Speaks> {
    match first {
        // A TLS alert: what a TLS port answers to plain text.
        [0x15, 0x03, ..] => Some(Speaks::Tls),
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] => Some(if asks_for_tls(first) { Speaks::Tls } else { Speaks::Http1 }),
        // A frame of the type SETTINGS, which every HTTP/2 server sends first.
        [0, 0, _, 0x04, _, 0, 0, 0, 0, ..] => Some(Speaks::Http2),
        _ => None,
    }
}

/// Go's servers and nginx say in plain text that they want TLS.
#[must_use]
pub fn asks_for_tls(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    text.contains("to an https server") || text.contains("sent to https port")
}

/// What an HTTP/2 client says first: the preface and empty settings (RFC 9113 §3.4).
pub const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A question that every HTTP/1.1 server answers, if only with an error.
pub const HTTP1: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How long a port may take to show what it speaks.
const PATIENCE: Duration = Duration::from_secs(3);

/// Says something to a port in plain text and listens to what comes back.
pub async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), greeting: &[u8], deadline: Instant) -> Option<Speaks> {
    let mut first = Vec::new();
    let listen = async {
        stream.write_all(greeting).await.ok()?;
        let mut buffer = [0; 1024];
        while first.len() < buffer.len() {
            match stream.read(&mut buffer).await {
                Ok(read) if read > 0 => first.extend(buffer.iter().take(read)),
                _ => break,
            }
            // An HTTP/1 answer explains itself in its body.
            if !matches!(language(&first), None | Some(Speaks::Http1)) {
                break;
            }
        }
        Some(())
    };
    let deadline = deadline.min(Instant::now() + PATIENCE);
    // What came before the time was up still tells.
    let _ = tokio::time::timeout_at(deadline.into(), listen).await;
    language(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        assert_eq!(language(b"\x15\x03\x01\0\x02\x02\x0a"), Some(Speaks::Tls));
        assert_eq!(language(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Some(Speaks::Http1));
        assert_eq!(
            language(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
            Some(Speaks::Tls)
        );
        assert_eq!(language(b"\0\0\x18\x04\0\0\0\0\0"), Some(Speaks::Http2));
        assert_eq!(language(b"SSH-2.0-OpenSSH"), None);
        assert_eq!(language(b""), None);
    }
}
