//! One export call, whatever carried it: unpack within bounds, decode, count, pass on.
//!
//! May never unpack more than [`MAX_MESSAGE`]: a few kilobytes of gzip can hold gigabytes.

use super::decode;
use super::forward::Queue;
use super::{IngestionKey, Ledger};
use crate::system::net::otlp::Signal;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;
use std::io::Read;
use std::sync::Arc;

/// The largest message, packed or unpacked; SigNoz Cloud's own limit (docs, ingestion overview, 2026-05).
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

/// Why an export call was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Missing or wrong key.
    Key,
    /// Larger than [`MAX_MESSAGE`].
    TooLarge,
    /// Not what it says it is.
    Malformed(String),
    /// A type or packing that OTLP does not know.
    Unsupported(String),
    /// The sender was too slow.
    Slow,
    /// No such path, or not a POST.
    NoSuchPath(String),
}

impl Refusal {
    /// For the sender.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Key => "the header signoz-ingestion-key is missing or does not hold the key that this receiver asks for".to_owned(),
            Self::TooLarge => format!("the message is larger than {} MiB", MAX_MESSAGE >> 20),
            Self::Malformed(why) => format!("the message cannot be read: {why}"),
            Self::Unsupported(what) => what.clone(),
            Self::Slow => "the message did not arrive in time".to_owned(),
            Self::NoSuchPath(path) => format!("there is nothing at {path}; OTLP is at /v1/traces, /v1/metrics and /v1/logs"),
        }
    }
}

/// What is shared by all connections of a receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) ledger: Arc<Ledger>,
    pub(super) required_key: Option<IngestionKey>,
    pub(super) forward: Option<Queue>,
}

impl Receiver {
    /// Checks the key of a call; a refusal is counted.
    pub(super) fn admit(&self, headers: &hyper::HeaderMap) -> Result<(), Refusal> {
        let Some(key) = &self.required_key else {
            return Ok(());
        };
        if headers
            .get("signoz-ingestion-key")
            .is_some_and(|value| value.as_bytes() == key.expose().as_bytes())
        {
            return Ok(());
        }
        self.ledger.refuse();
        Err(Refusal::Key)
    }

    /// Takes an unpacked message; the number of spans that could not be recorded.
    pub(super) fn take(&self, signal: Signal, encoding: Encoding, message: Bytes, process: Option<u32>) -> Result<i64, Refusal> {
        let mut rejected = 0;
        // JSON is kept and passed on as protobuf, the one encoding that every endpoint takes.
        let repacked = match signal {
            Signal::Traces => {
                let repacked: Option<Bytes> = match encoding {
                    Encoding::Protobuf => None,
                    Encoding::Json => Some(read::<ExportTraceServiceRequest>(encoding, &message)?.encode_to_vec().into()),
                };
                let export = repacked.as_ref().unwrap_or(&message);
                let arrivals = decode::arrivals(export).map_err(|error| Refusal::Malformed(error.0.to_owned()))?;
                rejected = arrivals.rejected;
                // A copy: the message may be a small part of a large buffer.
                self.ledger
                    .add_export(export.as_ref().into(), process, &arrivals.spans, arrivals.resources);
                repacked
            }
            Signal::Metrics => {
                let request: ExportMetricsServiceRequest = read(encoding, &message)?;
                self.ledger.add_metrics(decode::metric_points(&request));
                self.repack(encoding, &request)
            }
            Signal::Logs => {
                let request: ExportLogsServiceRequest = read(encoding, &message)?;
                self.ledger.add_logs(decode::log_records(&request));
                self.repack(encoding, &request)
            }
        };
        if let Some(forward) = &self.forward {
            forward.push(signal, repacked.unwrap_or(message));
        }
        Ok(rejected)
    }

    fn repack(&self, encoding: Encoding, request: &impl Message) -> Option<Bytes> {
        (self.forward.is_some() && encoding == Encoding::Json).then(|| request.encode_to_vec().into())
    }
}

fn read<M: Message + Default + DeserializeOwned>(encoding: Encoding, message: &Bytes) -> Result<M, Refusal> {
    match encoding {
        Encoding::Protobuf => M::decode(message.clone()).map_err(|error| Refusal::Malformed(error.to_string())),
        Encoding::Json => serde_json::from_slice(message).map_err(|error| Refusal::Malformed(error.to_string())),
    }
}

/// Unpacks a message; never more than [`MAX_MESSAGE`] bytes of it.
pub(super) fn unpack(packing: Option<&str>, packed: Bytes) -> Result<Bytes, Refusal> {
    match packing.map(str::trim) {
        None | Some("" | "identity") => Ok(packed),
        Some("gzip") => {
            let mut unpacked = Vec::with_capacity((packed.len() * 4).min(MAX_MESSAGE));
            MultiGzDecoder::new(packed.as_ref())
                .take(MAX_MESSAGE as u64 + 1)
                .read_to_end(&mut unpacked)
                .map_err(|error| Refusal::Malformed(format!("gzip: {error}")))?;
            if unpacked.len() > MAX_MESSAGE {
                return Err(Refusal::TooLarge);
            }
            Ok(unpacked.into())
        }
        Some(other) => Err(Refusal::Unsupported(format!(
            "`{}` is not a packing that this receiver knows; use gzip or none",
            other.escape_debug()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn unpacking_stops_at_the_limit() {
        assert_eq!(unpack(Some("gzip"), gzip(b"abc")).unwrap(), "abc");
        assert_eq!(unpack(Some("gzip"), gzip(&vec![0; MAX_MESSAGE])).unwrap().len(), MAX_MESSAGE);
        assert_eq!(unpack(Some("gzip"), gzip(&vec![0; MAX_MESSAGE + 1])), Err(Refusal::TooLarge));
        let bomb: Bytes = [gzip(&vec![0; MAX_MESSAGE]), gzip(&vec![0; MAX_MESSAGE])].concat().into();
        assert!(bomb.len() < 100_000);
        assert_eq!(unpack(Some("gzip"), bomb), Err(Refusal::TooLarge));
        assert!(matches!(
            unpack(Some("gzip"), Bytes::from_static(b"abc")),
            Err(Refusal::Malformed(_))
        ));
        assert!(matches!(unpack(Some("br"), Bytes::new()), Err(Refusal::Unsupported(_))));
    }
}
