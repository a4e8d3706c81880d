//! One HTTP exchange over an open connection, with everything that came back: status, headers, trailers, body.

use super::{Cause, Connection, cause, within};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, at once, without an upgrade.
    Http2,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Head.
    pub headers: HeaderMap,
    /// After the body.
    pub trailers: Option<HeaderMap>,
    /// The body, up to the limit that was asked for.
    pub body: Bytes,
    /// From sending to the end of the answer.
    pub took: Duration,
}

impl Answer {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// The reason.
    pub cause: Cause,
    /// The first bytes that the other end sent: they show what it speaks.
    pub first: Vec<u8>,
}

/// A connection on which requests can be made, one after the other.
#[derive(Debug)]
pub struct Session {
    sender: Sender,
    driver: JoinHandle<()>,
    first: Arc<Mutex<Vec<u8>>>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Session {
    /// Starts to talk.
    ///
    /// # Errors
    /// When the other end ends the connection at once.
    pub async fn start(connection: Connection, talk: Talk, deadline: Instant) -> Result<Self, NoAnswer> {
        let first = connection.first_bytes();
        let io = TokioIo::new(connection);
        let begun = within(deadline, async {
            Ok(match talk {
                Talk::Http1 => {
                    let (sender, driver) = http1::handshake(io).await?;
                    (
                        Sender::Http1(sender),
                        tokio::spawn(async move {
                            let _ = driver.await;
                        }),
                    )
                }
                Talk::Http2 => {
                    let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await?;
                    (
                        Sender::Http2(sender),
                        tokio::spawn(async move {
                            let _ = driver.await;
                        }),
                    )
                }
            })
        })
        .await;
        match begun.and_then(|begun| begun.map_err(|error: hyper::Error| reason(&error))) {
            Ok((sender, driver)) => Ok(Self { sender, driver, first }),
            Err(cause) => Err(NoAnswer {
                cause,
                first: bytes_of(&first),
            }),
        }
    }

    /// Sends a request and reads the answer; of a longer body than `limit` only that it is longer is known.
    ///
    /// # Errors
    /// When no answer came, or not all of it.
    pub async fn send(&mut self, request: Request<Full<Bytes>>, deadline: Instant, limit: usize) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        let sent = within(deadline, async {
            let response = match &mut self.sender {
                Sender::Http1(sender) => sender.send_request(request).await,
                Sender::Http2(sender) => sender.send_request(request).await,
            };
            let (head, body) = response.map_err(|error| reason(&error))?.into_parts();
            let (body, trailers) = match Limited::new(body, limit).collect().await {
                Ok(collected) => {
                    let trailers = collected.trailers().cloned();
                    (collected.to_bytes(), trailers)
                }
                Err(error) if error.is::<LengthLimitError>() => (Bytes::new(), None),
                Err(error) => return Err(error.downcast_ref().map_or(Cause::Closed, reason)),
            };
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                trailers,
                body,
                took: began.elapsed(),
            })
        })
        .await;
        sent.and_then(|answer| answer).map_err(|cause| NoAnswer {
            cause,
            first: bytes_of(&self.first),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn bytes_of(first: &Mutex<Vec<u8>>) -> Vec<u8> {
    first.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The operating system's reason below hyper's, if there is one.
fn reason(error: &hyper::Error) -> Cause {
    let mut below = error.source();
    while let Some(source) = below {
        if let Some(io) = source.downcast_ref::<io::Error>() {
            return cause(io);
        }
        below = source.source();
    }
    if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
        Cause::Closed
    } else {
        Cause::Io(
            error
                .source()
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
        )
    }
}
