//! The embedded OTLP receiver: loopback only; counts what arrives, by trace, resource and process.
//!
//! May never listen on any other address, write a file, or make an exporter wait for what is behind it.

mod accept;
mod decode;
mod forward;
mod grpc;
mod http;
pub mod ledger;
mod receive;
mod recent;
pub mod waterfall;
mod wire;

use crate::domain::IngestionKey;
use crate::domain::target::{Endpoint, Protocol, Scheme};
use crate::error::{Error, Result};
use accept::Door;
use receive::Receiver;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub use forward::Forwarded;
pub use ledger::{Ledger, ProcessCount, SpanKind, SpanRecord, Totals};
pub use receive::MAX_MESSAGE;
pub use waterfall::{Bar, waterfall};

/// Where to pass on what arrives.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Its key.
    pub key: Option<IngestionKey>,
    /// Its transport.
    pub protocol: Protocol,
    /// Variables: proxy and certificate files.
    pub env: BTreeMap<String, String>,
}

/// How to receive.
#[derive(Debug, Clone, Default)]
pub struct TapOptions {
    /// Port for gRPC; 0 takes a free one.
    pub grpc_port: u16,
    /// Port for HTTP; 0 takes a free one.
    pub http_port: u16,
    /// Turn away every call without this key.
    pub required_key: Option<IngestionKey>,
    /// Pass everything on.
    pub forward: Option<Forward>,
}

/// A running receiver. Dropping it closes its ports and connections.
#[derive(Debug)]
pub struct Tap {
    grpc: SocketAddr,
    http: SocketAddr,
    receiver: Arc<Receiver>,
    tasks: Vec<JoinHandle<()>>,
    runtime: Handle,
}

impl Tap {
    /// Opens both ports on 127.0.0.1 and receives from then on; must not be called on the runtime itself.
    ///
    /// # Errors
    /// Exit 3 when a port is busy or may not be opened; names the port, the process that holds it, and the option.
    pub fn start(runtime: &Handle, options: TapOptions) -> Result<Self> {
        let (grpc_listener, http_listener) = runtime.block_on(async {
            let grpc = accept::bind(Door::Grpc, options.grpc_port).await?;
            Ok::<_, Error>((grpc, accept::bind(Door::Http, options.http_port).await?))
        })?;
        let address = |listener: &tokio::net::TcpListener| {
            listener
                .local_addr()
                .map_err(|error| crate::error::Error::failed("cannot receive OTLP on 127.0.0.1").because(error.to_string()))
        };
        let (grpc, http) = (address(&grpc_listener)?, address(&http_listener)?);
        let mut tasks = Vec::new();
        let forward = options.forward.map(|forward| {
            let (queue, work) = forward::start(forward);
            tasks.push(runtime.spawn(work));
            queue
        });
        let receiver = Arc::new(Receiver {
            ledger: Arc::default(),
            required_key: options.required_key,
            forward,
        });
        for (door, listener) in [(Door::Grpc, grpc_listener), (Door::Http, http_listener)] {
            tasks.push(runtime.spawn(accept::serve(door, listener, Arc::clone(&receiver))));
        }
        Ok(Self {
            grpc,
            http,
            receiver,
            tasks,
            runtime: runtime.clone(),
        })
    }

    /// Where it takes gRPC.
    #[must_use]
    pub fn grpc_endpoint(&self) -> Endpoint {
        endpoint(self.grpc)
    }

    /// Where it takes HTTP.
    #[must_use]
    pub fn http_endpoint(&self) -> Endpoint {
        endpoint(self.http)
    }

    /// Where it takes a protocol.
    #[must_use]
    pub fn endpoint(&self, protocol: Protocol) -> Endpoint {
        match protocol {
            Protocol::Grpc => self.grpc_endpoint(),
            Protocol::HttpProtobuf => self.http_endpoint(),
        }
    }

    /// What arrived.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.receiver.ledger)
    }

    /// How forwarding goes; `None` when nothing is forwarded.
    #[must_use]
    pub fn forwarded(&self) -> Option<Forwarded> {
        self.receiver.forward.as_ref().map(forward::Queue::state)
    }

    /// Closes ports and connections and waits until they are closed; what arrived stays in the ledger.
    /// Must not be called on the runtime itself.
    pub fn stop(mut self) {
        let tasks = std::mem::take(&mut self.tasks);
        for task in &tasks {
            task.abort();
        }
        self.runtime.block_on(async {
            for task in tasks {
                // An error says that it was aborted, as asked.
                let _ = task.await;
            }
        });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        scheme: Scheme::Http,
        host: address.ip().to_string(),
        port: address.port(),
        path: String::new(),
    }
}
