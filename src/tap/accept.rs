//! Listening on loopback: a busy port is explained, each connection knows the process at its other end.

use super::receive::Receiver;
use super::{grpc, http};
use crate::error::{Error, Result};
use crate::system::{process, sockets};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

/// Connections that are served at the same time; the others wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1_024;
/// How long a sender may take for the head of a request, and again for its body.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Flow-control windows: a whole batch fits without waiting for updates.
const WINDOW: u32 = 4 * 1024 * 1024;
/// Exporters that were seen last; looked at first for the next connection.
const REMEMBERED: usize = 32;

/// Which of the two doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Grpc,
    Http,
}

impl Door {
    const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Http => "HTTP",
        }
    }

    /// The option that chooses another port.
    const fn flag(self) -> &'static str {
        match self {
            Self::Grpc => "--grpc-port",
            Self::Http => "--http-port",
        }
    }
}

/// Binds a port of 127.0.0.1; 0 takes a free one.
pub(super) async fn bind(door: Door, port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| explain(door, port, &error))
}

fn explain(door: Door, port: u16, error: &io::Error) -> Error {
    let failed = Error::refused(format!("cannot receive OTLP over {} on 127.0.0.1:{port}", door.name()));
    let another = format!("choose another port with `{} PORT`, or 0 for a free one", door.flag());
    match error.kind() {
        io::ErrorKind::AddrInUse => match holder(port) {
            Some((pid, command)) => failed
                .because(format!("port {port} is held by process {pid}: `{command}`"))
                .remedy(format!("stop that process (`kill {pid}`), or {another}")),
            None => failed
                .because(format!("port {port} is held by another process, which this user may not look at"))
                .remedy(format!("find it with `sudo ss -ltnp 'sport = :{port}'` and stop it, or {another}")),
        },
        io::ErrorKind::PermissionDenied => failed
            .because(format!("this user may not open port {port}; ports below 1024 belong to root"))
            .remedy(another),
        _ => failed.because(error.to_string()).remedy(another),
    }
}

/// The process that listens on a port, with the first words of its command line.
fn holder(port: u16) -> Option<(u32, String)> {
    let inodes: Vec<u64> = sockets::list()
        .into_iter()
        .filter(|socket| socket.listening && socket.local.port() == port)
        .map(|socket| socket.inode)
        .collect();
    let found = process::list(Path::new("/"))
        .into_iter()
        .find(|process| sockets::held_by(process.pid).iter().any(|inode| inodes.contains(inode)))?;
    let words: Vec<&str> = found.argv.iter().take(4).map(String::as_str).collect();
    let command: String = words.join(" ").chars().filter(|c| !c.is_control()).take(120).collect();
    Some((found.pid, command))
}

/// The other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    local: SocketAddr,
    remote: SocketAddr,
    process: OnceCell<Option<u32>>,
    known: Arc<Mutex<Vec<u32>>>,
}

impl Peer {
    /// The process that holds it. The first call looks it up, the others wait for the same answer.
    pub(super) async fn process(&self) -> Option<u32> {
        *self
            .process
            .get_or_init(|| async {
                let (local, remote, known) = (self.local, self.remote, Arc::clone(&self.known));
                tokio::task::spawn_blocking(move || look_up(local, remote, &known))
                    .await
                    .ok()
                    .flatten()
            })
            .await
    }
}

fn look_up(local: SocketAddr, remote: SocketAddr, known: &Mutex<Vec<u32>>) -> Option<u32> {
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    let candidates = lock().clone();
    let found = sockets::process_of_peer(local, remote, &candidates)?;
    let mut known = lock();
    known.retain(|pid| *pid != found);
    known.insert(0, found);
    known.truncate(REMEMBERED);
    Some(found)
}

/// Serves a door until it is aborted, and every connection with it.
pub(super) async fn serve(door: Door, listener: TcpListener, receiver: Arc<Receiver>) {
    let known = Arc::new(Mutex::new(Vec::new()));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Out of file descriptors, or the sender is gone already: give the others time to end.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Ok(local) = stream.local_addr() else { continue };
        let peer = Arc::new(Peer {
            local,
            remote,
            process: OnceCell::new(),
            known: Arc::clone(&known),
        });
        let receiver = Arc::clone(&receiver);
        connections.spawn(async move {
            let _place = place;
            // Begun before the first byte is read: a sender that ends at once is still there to be found.
            let early = Arc::clone(&peer);
            tokio::join!(
                async move {
                    early.process().await;
                },
                talk(door, stream, receiver, peer)
            );
        });
    }
}

async fn talk(door: Door, stream: TcpStream, receiver: Arc<Receiver>, peer: Arc<Peer>) {
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(stream);
    // A broken connection is the sender's to notice; what it had sent before is counted.
    match door {
        Door::Grpc => {
            let service = hyper::service::service_fn(move |request| grpc::answer(request, Arc::clone(&receiver), Arc::clone(&peer)));
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(2 * WINDOW)
                .max_frame_size(1024 * 1024)
                .max_concurrent_streams(128)
                .serve_connection(io, service)
                .await;
        }
        Door::Http => {
            let service = hyper::service::service_fn(move |request| http::answer(request, Arc::clone(&receiver), Arc::clone(&peer)));
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(512 * 1024)
                .serve_connection(io, service)
                .await;
        }
    }
}
