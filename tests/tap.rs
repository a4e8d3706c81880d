//! The embedded receiver as exporters meet it: what is counted, what is refused, and what it survives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/otlp_messages.rs"]
mod messages;

use messages::{JSON, PROTOBUF, attribute, export, gzip, post, span};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use signoz_setup::domain::{IngestionKey, Protocol};
use signoz_setup::tap::{Forward, MAX_MESSAGE, SpanKind, Tap, TapOptions};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Path, headers, body; the status and a part of the text that it is answered with.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

const LONG: Duration = Duration::from_secs(30);

fn tap(options: TapOptions) -> (Runtime, Tap) {
    let runtime = Runtime::new().unwrap();
    let tap = Tap::start(runtime.handle(), options).unwrap();
    (runtime, tap)
}

fn key(text: &str) -> IngestionKey {
    IngestionKey::parse(text).unwrap()
}

async fn client(tap: &Tap) -> TraceServiceClient<Channel> {
    TraceServiceClient::connect(tap.grpc_endpoint().to_string()).await.unwrap()
}

#[test]
fn a_span_is_the_same_over_every_transport() {
    let (runtime, tap) = tap(TapOptions::default());
    let message = |id| export(vec![span(id)]);
    runtime.block_on(async {
        client(&tap).await.export(message(1)).await.unwrap();
        let mut packed = client(&tap).await.send_compressed(CompressionEncoding::Gzip);
        packed.export(message(2)).await.unwrap();
    });
    let http = tap.http_endpoint();
    assert_eq!(post(&http, "/v1/traces", &[PROTOBUF], &message(3).encode_to_vec()).0, 200);
    let packed = gzip(&message(4).encode_to_vec());
    assert_eq!(post(&http, "/v1/traces", &[PROTOBUF, ("Content-Encoding", "gzip")], &packed).0, 200);
    let json = serde_json::to_vec(&message(5)).unwrap();
    assert_eq!(post(&http, "/v1/traces", &[JSON], &json), (200, "{}".to_owned()));

    let spans = tap.ledger().spans();
    assert_eq!(spans.len(), 5);
    for (span, id) in spans.iter().zip(1_u64..) {
        assert_eq!(span.name, format!("GET /{id}"));
        assert_eq!((span.trace_id, span.span_id, span.parent_id), ([7; 16], id.to_be_bytes(), [0; 8]));
        assert_eq!(
            (span.kind, span.service.as_str(), span.scope.as_str()),
            (SpanKind::Server, "shop", "test")
        );
        assert_eq!((span.start_ns, span.end_ns), (1_000 + id, 2_000 + id));
        let texts = [("http.method", "GET"), ("http.status_code", "200")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(span.attributes, texts);
        assert_eq!(span.process, cfg!(target_os = "linux").then(std::process::id));
    }
    assert_eq!(tap.ledger().resources()["shop"]["service.name"], "shop");
    tap.stop();
}

#[test]
fn json_as_the_specification_writes_it() {
    let (_runtime, tap) = tap(TapOptions::default());
    let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"spec"}}]},
        "scopeSpans":[{"scope":{"name":"my.library"},"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
        "spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173","name":"I'm a span","kind":3,
        "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000",
        "attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}]}]}]}"#;
    let (status, text) = post(
        &tap.http_endpoint(),
        "/v1/traces",
        &[("content-type", "application/json; charset=utf-8")],
        json.as_bytes(),
    );
    assert_eq!(status, 200, "{text}");
    let spans = tap.ledger().spans();
    assert_eq!((spans[0].kind, spans[0].start_ns), (SpanKind::Client, 1_544_712_660_000_000_000));
    assert_eq!(spans[0].parent_id[7], 0x73);
    assert_eq!(spans[0].attributes[1].1, "[true]");
    assert_eq!(spans[0].attributes[0].1, "7");
}

#[test]
fn metrics_and_logs_are_counted() {
    let (runtime, tap) = tap(TapOptions::default());
    let metrics = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![Metric {
                    data: Some(metric::Data::Gauge(Gauge {
                        data_points: vec![NumberDataPoint::default(); 3],
                    })),
                    ..Metric::default()
                }],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord::default(); 2],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    assert_eq!(
        post(&tap.http_endpoint(), "/v1/metrics", &[PROTOBUF], &metrics.encode_to_vec()).0,
        200
    );
    runtime.block_on(async {
        let mut client = LogsServiceClient::connect(tap.grpc_endpoint().to_string()).await.unwrap();
        client.export(logs).await.unwrap();
    });
    let totals = tap.ledger().totals();
    assert_eq!((totals.metric_points, totals.log_records, totals.spans), (3, 2, 0));
}

#[test]
fn without_the_right_key_nothing_is_taken_and_the_refusal_is_counted() {
    let (runtime, tap) = tap(TapOptions {
        required_key: Some(key("right-key")),
        ..TapOptions::default()
    });
    let body = export(vec![span(1)]).encode_to_vec();
    let http = tap.http_endpoint();
    let (status, text) = post(&http, "/v1/traces", &[JSON], b"{}");
    assert_eq!(status, 401);
    assert!(text.contains("signoz-ingestion-key") && !text.contains("right-key"), "{text}");
    assert_eq!(
        post(&http, "/v1/traces", &[PROTOBUF, ("signoz-ingestion-key", "wrong")], &body).0,
        401
    );
    runtime.block_on(async {
        let refused = client(&tap).await.export(export(vec![span(2)])).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        let mut call = Request::new(export(vec![span(3)]));
        call.metadata_mut().insert("signoz-ingestion-key", "right-key".parse().unwrap());
        client(&tap).await.export(call).await.unwrap();
    });
    assert_eq!(
        post(&http, "/v1/traces", &[PROTOBUF, ("Signoz-Ingestion-Key", "right-key")], &body).0,
        200
    );
    assert_eq!((tap.ledger().refused(), tap.ledger().len()), (3, 2));
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason_and_counted() {
    let (runtime, tap) = tap(TapOptions::default());
    let http = tap.http_endpoint();
    let body = export(vec![span(1)]).encode_to_vec();
    let cut = &body[..body.len() - 7];
    let gz = ("Content-Encoding", "gzip");
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < MAX_MESSAGE / 8, "the bomb is small on the wire: {}", bomb.len());
    let text = ("Content-Type", "text/plain");
    let cases: [Refused; 10] = [
        ("/v1/traces", &[PROTOBUF], cut, 400, "cannot be read"),
        ("/v1/traces", &[JSON], b"{\"resourceSpans\":[", 400, "cannot be read"),
        ("/v1/traces", &[JSON], &body, 400, "cannot be read"),
        ("/v1/traces", &[PROTOBUF, gz], &body, 400, "gzip"),
        ("/v1/traces", &[PROTOBUF, gz], &bomb, 413, "larger than 16 MiB"),
        ("/v1/traces", &[PROTOBUF], &vec![0; MAX_MESSAGE + 6], 413, "larger than 16 MiB"),
        ("/v1/traces", &[text], &body, 415, "text/plain"),
        ("/v1/traces", &[], &body, 415, "content type"),
        ("/v1/traces", &[PROTOBUF, ("Content-Encoding", "br")], &body, 415, "`br`"),
        ("/v1/traces/", &[PROTOBUF], &body, 404, "/v1/traces"),
    ];
    let count = cases.len() as u64;
    for (path, headers, body, status, says) in cases {
        let answer = post(&http, path, headers, body);
        // A sender of too much may be cut off while it still sends, before it reads the answer.
        assert!(
            answer.0 == status || (status == 413 && answer.0 == 0),
            "{path} {headers:?}: {answer:?}"
        );
        assert!(answer.1.contains(says) || answer.0 == 0, "{path} {headers:?}: {answer:?}");
    }
    assert_eq!(tap.ledger().totals().unreadable, count);
    runtime.block_on(async {
        let mut large = span(1);
        large.name = "x".repeat(MAX_MESSAGE + 1);
        let error = client(&tap).await.export(export(vec![large.clone()])).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
        let mut packed = client(&tap).await.send_compressed(CompressionEncoding::Gzip);
        let error = packed.export(export(vec![large])).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error:?}");
    });
    assert!(tap.ledger().is_empty());
    assert_eq!(post(&http, "/v1/traces", &[PROTOBUF], &body).0, 200, "it still works");
}

#[test]
fn deeply_nested_values_do_not_end_it() {
    let (_runtime, tap) = tap(TapOptions::default());
    let http = tap.http_endpoint();
    let json = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{}{}}}]}}}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(50_000),
        "]}}".repeat(50_000)
    );
    assert_eq!(post(&http, "/v1/traces", &[JSON], json.as_bytes()).0, 400);
    assert_eq!(
        post(&http, "/v1/traces", &[PROTOBUF], &export(vec![span(1)]).encode_to_vec()).0,
        200
    );
}

#[test]
fn damaged_messages_are_answered_and_end_nothing() {
    let (_runtime, tap) = tap(TapOptions::default());
    let http = tap.http_endpoint();
    let whole = export((1..=4).map(span).collect()).encode_to_vec();
    let packed = gzip(&whole);
    let damage = (0..whole.len() * 8, 0..whole.len(), proptest::prelude::any::<bool>());
    let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config {
        cases: 300,
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    });
    let damaged = |(bit, cut, gzipped): (usize, usize, bool)| {
        let mut body = if gzipped { packed.clone() } else { whole.clone() };
        let length = body.len();
        body[bit / 8 % length] ^= 1 << (bit % 8);
        body.truncate(length - cut % length / 4);
        let headers: &[(&str, &str)] = if gzipped {
            &[PROTOBUF, ("Content-Encoding", "gzip")]
        } else {
            &[PROTOBUF]
        };
        let (status, text) = post(&http, "/v1/traces", headers, &body);
        proptest::prop_assert!(status == 200 || status == 400, "{status} {text}");
        Ok(())
    };
    runner.run(&damage, damaged).unwrap();
    let before = tap.ledger().len();
    assert_eq!(post(&http, "/v1/traces", &[PROTOBUF], &whole).0, 200);
    assert_eq!(tap.ledger().len(), before + 4);
}

#[test]
fn spans_with_impossible_ids_are_rejected_one_by_one() {
    let (runtime, tap) = tap(TapOptions::default());
    let bad = |trace: usize, id: usize| Span {
        trace_id: vec![1; trace],
        span_id: vec![1; id],
        ..span(9)
    };
    let zero = Span {
        trace_id: vec![0; 16],
        ..span(9)
    };
    let message = export(vec![span(1), bad(15, 8), bad(16, 0), zero]);
    let response = runtime.block_on(async { client(&tap).await.export(message.clone()).await.unwrap().into_inner() });
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 3);
    let (status, text) = post(&tap.http_endpoint(), "/v1/traces", &[JSON], &serde_json::to_vec(&message).unwrap());
    assert_eq!(status, 200);
    assert!(text.contains(r#""rejectedSpans":"3""#), "{text}");
    assert_eq!(tap.ledger().len(), 2);
}

#[test]
fn a_thousand_copies_of_a_span_are_one_span_and_999_copies() {
    let (_runtime, tap) = tap(TapOptions::default());
    let body = export(vec![span(1); 1000]).encode_to_vec();
    assert_eq!(post(&tap.http_endpoint(), "/v1/traces", &[PROTOBUF], &body).0, 200);
    let totals = tap.ledger().totals();
    assert_eq!((totals.spans, totals.duplicated, totals.copies), (1000, 1, 999));
    assert_eq!(tap.ledger().duplicated(), 1);
    let process = tap.ledger().by_process().into_values().next().unwrap();
    assert_eq!((process.unique, process.copies), (1, 999));
}

#[test]
fn a_sender_that_never_finishes_holds_up_nobody() {
    let (_runtime, tap) = tap(TapOptions::default());
    let http = tap.http_endpoint();
    let slow: Vec<TcpStream> = [
        &b"POST /v1/tra"[..],
        b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\nabc",
        b"",
    ]
    .iter()
    .map(|beginning| {
        let mut stream = TcpStream::connect((http.bare_host(), http.port)).unwrap();
        stream.write_all(beginning).unwrap();
        stream
    })
    .collect();
    assert_eq!(
        post(&http, "/v1/traces", &[PROTOBUF], &export(vec![span(1)]).encode_to_vec()).0,
        200
    );
    let began = Instant::now();
    tap.stop();
    assert!(began.elapsed() < Duration::from_secs(5), "stop waits for a slow sender");
    for mut stream in slow {
        stream.set_read_timeout(Some(LONG)).unwrap();
        assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)), "the connection is closed");
    }
    TcpListener::bind((http.bare_host(), http.port)).expect("the port is free again");
}

#[test]
fn only_loopback_is_opened() {
    let (_runtime, tap) = tap(TapOptions::default());
    for endpoint in [tap.grpc_endpoint(), tap.http_endpoint()] {
        assert_eq!(endpoint.host, "127.0.0.1");
        TcpListener::bind(("127.0.0.2", endpoint.port)).expect("no other address is taken");
    }
}

#[test]
fn a_busy_port_is_explained() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let runtime = Runtime::new().unwrap();
    let options = TapOptions {
        http_port: port,
        ..TapOptions::default()
    };
    let error = Tap::start(runtime.handle(), options).unwrap_err();
    assert_eq!(error.kind.exit_code(), 3);
    let text = error.to_string();
    for part in [format!("127.0.0.1:{port}"), "HTTP".to_owned(), "--http-port".to_owned()] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    if cfg!(target_os = "linux") {
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn each_span_is_known_by_the_process_that_sent_it() {
    let (_runtime, tap) = tap(TapOptions::default());
    let port = tap.http_endpoint().port;
    // Each child sends one span, reads one line of the answer and ends.
    let script = format!(
        r#"exec 3<>/dev/tcp/127.0.0.1/{port}
        printf 'POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' "${{#1}}" "$1" >&3
        read -r line <&3
        echo "$line""#
    );
    let children: Vec<_> = (1..=12_u64)
        .map(|id| {
            let json = serde_json::to_string(&export(vec![span(id)])).unwrap();
            let child = Command::new("bash")
                .args(["-c", &script, "bash", &json])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            (id, child.id(), child)
        })
        .collect();
    let mut expected: BTreeMap<u64, u32> = BTreeMap::new();
    for (id, pid, child) in children {
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("200"), "{output:?}");
        expected.insert(id, pid);
    }
    let seen: BTreeMap<u64, u32> = tap
        .ledger()
        .spans()
        .iter()
        .map(|span| (u64::from_be_bytes(span.span_id), span.process.expect("a known process")))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(tap.ledger().by_process().len(), 12);
}

#[test]
fn what_arrives_is_passed_on_with_the_key() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let (runtime, behind) = tap(TapOptions {
            required_key: Some(key("cloud-key")),
            ..TapOptions::default()
        });
        let forward = |text| {
            Some(Forward {
                endpoint: behind.endpoint(protocol),
                key: Some(key(text)),
                protocol,
                env: BTreeMap::new(),
            })
        };
        let front = Tap::start(
            runtime.handle(),
            TapOptions {
                forward: forward("cloud-key"),
                ..TapOptions::default()
            },
        )
        .unwrap();
        let json = serde_json::to_vec(&export(vec![span(2), span(3)])).unwrap();
        assert_eq!(post(&front.http_endpoint(), "/v1/traces", &[JSON], &json).0, 200);
        runtime.block_on(async { client(&front).await.export(export(vec![span(1)])).await.unwrap() });
        assert!(behind.ledger().wait(LONG, |spans| spans.len() == 3), "{:?}", front.forwarded());
        assert_eq!(behind.ledger().spans()[0].attributes, front.ledger().spans()[0].attributes);

        let wrong = Tap::start(
            runtime.handle(),
            TapOptions {
                forward: forward("another-key"),
                ..TapOptions::default()
            },
        )
        .unwrap();
        assert_eq!(
            post(&wrong.http_endpoint(), "/v1/traces", &[JSON], &json).0,
            200,
            "ingestion goes on"
        );
        let ledger = behind.ledger();
        while ledger.refused() == 0 {
            ledger.wait_news(LONG, ledger.totals().revision);
        }
        let end = Instant::now() + LONG;
        while wrong.forwarded().unwrap().failed == 0 {
            assert!(Instant::now() < end, "{:?}", wrong.forwarded());
            std::thread::yield_now();
        }
        let failure = wrong.forwarded().unwrap().last_failure.unwrap();
        assert!(failure.contains("401") || failure.contains("16"), "{failure}");
        assert!(!failure.contains("another-key"));
    }
}

#[test]
fn an_endpoint_that_is_not_there_does_not_hold_up_ingestion() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (runtime, tap) = tap(TapOptions {
        forward: Some(Forward {
            endpoint: format!("http://{gone}").parse().unwrap(),
            key: None,
            protocol: Protocol::HttpProtobuf,
            env: BTreeMap::new(),
        }),
        ..TapOptions::default()
    });
    runtime.block_on(async {
        let mut client = client(&tap).await;
        for id in 0..1500 {
            client.export(export(vec![span(id + 1)])).await.unwrap();
        }
    });
    assert_eq!(tap.ledger().len(), 1500);
    let state = tap.forwarded().unwrap();
    assert!(state.dropped >= 400 && state.accepted == 0, "{state:?}");
}

#[test]
fn attributes_of_every_type_are_text() {
    let (runtime, tap) = tap(TapOptions::default());
    let mut all = span(1);
    all.attributes = vec![
        attribute("b", Value::BoolValue(true)),
        attribute("d", Value::DoubleValue(0.5)),
        attribute("y", Value::BytesValue(vec![1, 2, 3])),
    ];
    runtime.block_on(async { client(&tap).await.export(export(vec![all])).await.unwrap() });
    let texts: Vec<String> = tap.ledger().spans()[0].attributes.iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(texts, ["true", "0.5", "3 bytes"]);
}
