//! Dialling, stage by stage: name, TCP, proxy, TLS. Each stage is reported as it ends and fails with its own cause.
//!
//! May never turn certificate verification off, wait without a deadline, or decide what a failure means for the person.

pub mod client;
mod failure;
pub mod http;
pub mod otlp;
pub mod proxy;
pub mod sniff;
pub mod trust;
pub mod x509;

use crate::domain::target::{Endpoint, Scheme};
pub use failure::{Cause, Failure};

use failure::{cause, no_such_host};
use proxy::Proxy;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use trust::Trust;

/// A stage of dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Name → addresses.
    Dns,
    /// A TCP connection to the endpoint, or to the proxy in front of it.
    Tcp,
    /// The proxy lets us through.
    Proxy,
    /// Certificate and handshake.
    Tls,
}

/// What a finished stage saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The name resolves.
    Dns {
        /// The name that was looked up.
        host: String,
        /// What it stands for, in the order to be tried.
        addresses: Vec<SocketAddr>,
    },
    /// Connected.
    Tcp {
        /// To whom.
        address: SocketAddr,
        /// How long it took.
        took: Duration,
    },
    /// The proxy opened a tunnel.
    Proxy {
        /// Its address, without credentials.
        proxy: String,
    },
    /// The certificate is trusted.
    Tls {
        /// `TLSv1_3`.
        version: String,
        /// Who issued the server's certificate.
        issuer: Option<String>,
        /// The application protocol that the server chose.
        alpn: Option<String>,
        /// The chain ends at a root that every client knows, not only this machine.
        public: bool,
    },
}

/// Where to dial and how.
#[derive(Debug)]
pub struct Route<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// The proxy in front of it.
    pub proxy: Option<&'a Proxy>,
    /// A plain-text request can be handed to a proxy whole, without a tunnel.
    pub tunnel: bool,
    /// Who is trusted.
    pub trust: &'a Trust,
    /// Application protocols to offer, best first: `h2`, `http/1.1`.
    pub alpn: &'a [&'a str],
    /// When to give up.
    pub deadline: Instant,
}

/// An open connection that remembers the first bytes that came through it.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    first: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How many first bytes are remembered.
const REMEMBERED: usize = 1024;

impl Connection {
    fn new(io: Io) -> Self {
        Self {
            io,
            first: std::sync::Arc::default(),
        }
    }

    /// The first bytes that the other end sent, shared: they grow while the connection is used.
    #[must_use]
    pub fn first_bytes(&self) -> std::sync::Arc<std::sync::Mutex<Vec<u8>>> {
        std::sync::Arc::clone(&self.first)
    }
}

/// Opens a connection, telling `seen` about each stage that passed.
///
/// # Errors
/// The stage that failed, with its cause.
pub async fn dial(route: &Route<'_>, seen: &mut (dyn FnMut(Seen) + Send)) -> Result<Connection, Failure> {
    let (host, port) = route
        .proxy
        .map_or((route.endpoint.bare_host(), route.endpoint.port), |proxy| (&proxy.host, proxy.port));
    let addresses = resolve(host, port, route.deadline).await.map_err(|cause| Failure {
        stage: Stage::Dns,
        cause,
        at: host.to_owned(),
    })?;
    seen(Seen::Dns {
        host: host.to_owned(),
        addresses: addresses.clone(),
    });
    let began = Instant::now();
    let (mut stream, address) = connect(&addresses, route.deadline).await.map_err(|cause| Failure {
        stage: Stage::Tcp,
        cause,
        at: format!("{host}:{port}"),
    })?;
    let _ = stream.set_nodelay(true);
    seen(Seen::Tcp {
        address,
        took: began.elapsed(),
    });
    if let Some(proxy) = route.proxy
        && (route.tunnel || route.endpoint.scheme == Scheme::Https)
    {
        let opened = within(route.deadline, proxy::open_tunnel(&mut stream, proxy, route.endpoint)).await;
        opened.and_then(|opened| opened).map_err(|cause| Failure {
            stage: Stage::Proxy,
            cause,
            at: proxy.to_string(),
        })?;
        seen(Seen::Proxy { proxy: proxy.to_string() });
    }
    if route.endpoint.scheme == Scheme::Http {
        return Ok(Connection::new(Io::Plain(stream)));
    }
    let secured = within(
        route.deadline,
        trust::secure(stream, route.endpoint.bare_host(), route.alpn, route.trust),
    )
    .await;
    let (stream, tls) = secured.and_then(|secured| secured).map_err(|cause| Failure {
        stage: Stage::Tls,
        cause,
        at: format!("{}:{}", route.endpoint.host, route.endpoint.port),
    })?;
    seen(tls);
    Ok(Connection::new(Io::Tls(Box::new(stream))))
}

/// The addresses of a name, in the resolver's order.
///
/// # Errors
/// [`Cause::NoSuchHost`] or [`Cause::TimedOut`].
pub async fn resolve(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Cause> {
    match within(deadline, tokio::net::lookup_host((host, port))).await? {
        Ok(found) => {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() {
                return Err(Cause::NoSuchHost("the name has no address".to_owned()));
            }
            Ok(addresses)
        }
        Err(error) => Err(no_such_host(&error)),
    }
}

/// Tries the addresses in turn; each but the last gets a share of the time only.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), Cause> {
    let mut last = Cause::TimedOut;
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        match within(Instant::now() + left / others, TcpStream::connect(*address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => last = cause(&error),
            Err(timed_out) => last = timed_out,
        }
    }
    Err(last)
}

/// Gives up at the deadline.
pub(crate) async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Cause> {
    tokio::time::timeout_at(deadline.into(), work).await.map_err(|_| Cause::TimedOut)
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let mut first = self.first.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(first.len());
        first.extend(buffer.filled().iter().skip(before).take(room));
        drop(first);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// Words of another machine for a terminal: one line, no control characters, at most 200 of them.
#[must_use]
pub fn shown(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words: String = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(200) {
        words.truncate(end);
        words.push('…');
    }
    words
}
