//! Load for OTLP receivers: a fixed number of spans in ready-made batches, over gRPC or HTTP, as fast as they are taken.
//!
//! `otlp_load serve` runs the embedded receiver until standard input ends, and looks at it ten times a second as a live view does;
//! `otlp_load grpc|http ENDPOINT SPANS CONNECTIONS` sends and prints spans per second.
#![allow(clippy::print_stdout, reason = "a command-line tool")]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use signoz_setup::domain::{Endpoint, Protocol};
use signoz_setup::system::net::http::{Session, Talk};
use signoz_setup::system::net::otlp::{self, Signal};
use signoz_setup::system::net::trust::Trust;
use signoz_setup::system::net::{Route, dial};
use signoz_setup::tap::{Tap, TapOptions};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

type Failure = Box<dyn Error + Send + Sync>;

const BATCH: u64 = 512;
const MARK: [u8; 8] = *b"\xF1span-id";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    match words.as_slice() {
        ["serve"] => {
            let tap = Tap::start(runtime.handle(), TapOptions::default()).map_err(|error| error.to_string())?;
            println!("{} {}", tap.grpc_endpoint(), tap.http_endpoint());
            let ledger = tap.ledger();
            std::thread::spawn(move || {
                loop {
                    std::thread::sleep(Duration::from_millis(100));
                    std::hint::black_box((ledger.newest(50), ledger.by_process(), ledger.totals()));
                }
            });
            std::io::stdin().read_to_end(&mut Vec::new())?;
            println!("{:?}", tap.ledger().totals());
            Ok(())
        }
        [protocol, endpoint, spans, connections] => {
            let protocol = if *protocol == "grpc" {
                Protocol::Grpc
            } else {
                Protocol::HttpProtobuf
            };
            let (spans, connections) = (spans.parse()?, connections.parse()?);
            let seconds = runtime
                .block_on(load(protocol, endpoint.parse()?, spans, connections))?
                .as_secs_f64();
            println!("{:.0}", spans as f64 / seconds);
            Ok(())
        }
        _ => Err("usage: otlp_load serve | grpc|http ENDPOINT SPANS CONNECTIONS".into()),
    }
}

async fn load(protocol: Protocol, endpoint: Endpoint, spans: u64, connections: u64) -> Result<Duration, Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let batches = spans.div_ceil(BATCH);
    let began = Instant::now();
    let workers: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(send(protocol, endpoint.clone(), Arc::clone(&next), batches)))
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(began.elapsed())
}

async fn send(protocol: Protocol, endpoint: Endpoint, next: Arc<AtomicU64>, batches: u64) -> Result<(), Failure> {
    let (mut message, places) = ready_made();
    let trust = Trust::of(&BTreeMap::new());
    let deadline = Instant::now() + Duration::from_secs(600);
    let route = Route {
        endpoint: &endpoint,
        proxy: None,
        tunnel: false,
        trust: &trust,
        alpn: &[],
        deadline,
    };
    let connection = dial(&route, &mut |_| {}).await.map_err(|failure| format!("{failure:?}"))?;
    let talk = match protocol {
        Protocol::Grpc => Talk::Http2,
        Protocol::HttpProtobuf => Talk::Http1,
    };
    let mut session = Session::start(connection, talk, deadline)
        .await
        .map_err(|none| format!("{none:?}"))?;
    loop {
        let batch = next.fetch_add(1, Ordering::Relaxed);
        if batch >= batches {
            return Ok(());
        }
        // Every span has an id of its own, scattered as real ids are.
        for (place, number) in places.iter().zip(batch * BATCH..) {
            let id = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            message[*place..*place + 8].copy_from_slice(&id.to_be_bytes());
        }
        let request = otlp::request(&endpoint, protocol, Signal::Traces, None, &message, false)?;
        let answer = session.send(request, deadline, 1 << 20).await.map_err(|none| format!("{none:?}"))?;
        let code = otlp::grpc_status(&answer).map_or(0, |status| status.code);
        if answer.status != 200 || code != 0 {
            return Err(format!("refused: HTTP {} gRPC {code}", answer.status).into());
        }
    }
}

/// A batch as a Flask app under auto-instrumentation sends it, and where its span ids are.
fn ready_made() -> (Vec<u8>, Vec<usize>) {
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    };
    let span = |number: u64| Span {
        trace_id: (u128::from(number) + 1).to_be_bytes().to_vec(),
        span_id: MARK.to_vec(),
        name: "/items/<int:item_id>".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000 + number,
        end_time_unix_nano: 1_700_000_000_001_000_000 + number,
        attributes: vec![
            text("http.method", "GET"),
            text("http.server_name", "127.0.0.1"),
            text("http.scheme", "http"),
            text("http.host", "127.0.0.1:8000"),
            text("http.target", "/items/17?page=2"),
            text("net.peer.ip", "127.0.0.1"),
            text("http.user_agent", "python-requests/2.31.0"),
            text("http.flavor", "1.1"),
            text("http.route", "/items/<int:item_id>"),
        ],
        ..Span::default()
    };
    let export = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "load"), text("telemetry.sdk.language", "python")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "opentelemetry.instrumentation.flask".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans: (0..BATCH).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let bytes = export.encode_to_vec();
    let places = (0..bytes.len() - 8).filter(|at| bytes[*at..*at + 8] == MARK).collect();
    (bytes, places)
}
