//! The verification span: says what it is, so that nobody takes it for the app's.

use crate::domain::ServiceName;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// The span's name.
pub const NAME: &str = "signoz-setup verification";

/// An export with one span.
pub(super) struct Message {
    trace_id: [u8; 16],
    /// Protobuf.
    pub(super) bytes: Vec<u8>,
}

impl Message {
    /// A new span that ended just now.
    pub(super) fn new(service_name: &ServiceName) -> Self {
        let (trace_id, span_id) = (random::<16>(), random::<8>());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let span = Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            name: NAME.to_owned(),
            kind: 1,
            start_time_unix_nano: now.saturating_sub(1_000_000),
            end_time_unix_nano: now,
            attributes: vec![
                text(
                    "signoz_setup.purpose",
                    "sent once by signoz-setup to see whether the endpoint accepts spans; not a request of your app",
                ),
                text("signoz_setup.version", env!("CARGO_PKG_VERSION")),
            ],
            ..Span::default()
        };
        let export = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![text("service.name", service_name.as_str())],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: env!("CARGO_PKG_NAME").to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        Self {
            trace_id,
            bytes: export.encode_to_vec(),
        }
    }

    /// 32 hexadecimal digits.
    pub(super) fn trace_id(&self) -> String {
        self.trace_id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// Random bytes, never all zero.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Fails only where the kernel has no randomness to give; the time is then unique enough for one span.
    if rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).is_err() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        for (byte, digit) in bytes.iter_mut().zip(now.to_le_bytes()) {
            *byte = digit;
        }
    }
    if let Some(first) = bytes.first_mut() {
        *first |= 1;
    }
    bytes
}
