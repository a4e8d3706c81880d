//! What a port speaks, told from the first bytes that it sends.

use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] => {
            let text = String::from_utf8_lossy(first).to_lowercase();
            // Go's servers and nginx say so in plain text, then close.
            let tls = text.contains("to an https server") || text.contains("sent to https port");
            Some(if tls { Speaks::Tls } else { Speaks::Http1 })
        }
        // A frame of the type SETTINGS, which every HTTP/2 server sends first.
        [0, 0, _, 0x04, _, 0, 0, 0, 0, ..] => Some(Speaks::Http2),
        _ => None,
    }
}

/// Greets a port as an HTTP/2 client in plain text and listens to what comes back.
pub async fn greet(stream: &mut TcpStream, deadline: Instant) -> Option<Speaks> {
    const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let listen = async {
        stream.write_all(GREETING).await.ok()?;
        let mut first = Vec::new();
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
        language(&first)
    };
    tokio::time::timeout_at(deadline.into(), listen).await.ok().flatten()
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
