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
use crate::system::Cancel;
use accept::Door;
use receive::Receiver;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
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
    doors: Vec<JoinHandle<()>>,
    forwarding: Option<JoinHandle<()>>,
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
        let (forward, forwarding) = options
            .forward
            .map(|forward| {
                let (queue, work) = forward::start(forward);
                (queue, runtime.spawn(work))
            })
            .unzip();
        let receiver = Arc::new(Receiver {
            ledger: Arc::default(),
            required_key: options.required_key,
            forward,
        });
        let doors = [(Door::Grpc, grpc_listener), (Door::Http, http_listener)]
            .map(|(door, listener)| runtime.spawn(accept::serve(door, listener, Arc::clone(&receiver))))
            .into();
        Ok(Self {
            grpc,
            http,
            receiver,
            doors,
            forwarding,
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
        self.close();
    }

    /// Receives no more, as [`Tap::stop`], and waits until what arrived is passed on: for as long as `patience`, or until a
    /// second signal comes. What is left then is dropped and counted. Must not be called on the runtime itself.
    pub fn finish(&mut self, patience: Duration, cancel: &Cancel) {
        self.close();
        let (Some(queue), Some(mut forwarding)) = (&self.receiver.forward, self.forwarding.take()) else {
            return;
        };
        queue.close();
        let insisted = async {
            while !cancel.insisted() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                _ = &mut forwarding => return,
                () = insisted => {}
                () = tokio::time::sleep(patience) => {}
            }
            forwarding.abort();
            let _ = forwarding.await;
        });
        queue.give_up();
    }

    fn close(&mut self) {
        let doors = std::mem::take(&mut self.doors);
        for door in &doors {
            door.abort();
        }
        self.runtime.block_on(async {
            for door in doors {
                // An error says that it was aborted, as asked.
                let _ = door.await;
            }
        });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        for task in self.doors.iter().chain(&self.forwarding) {
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
