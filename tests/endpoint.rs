//! Level `endpoint`: every stage named, every refusal explained with the setting that cures it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/otlp_server.rs"]
mod server;

use server::{AUTHORITY, Answer, Gateway, Running, Tls, proxy};
use signoz_setup::domain::{Endpoint, Event, IngestionKey, LevelReport, Outcome, Protocol};
use signoz_setup::error::Signal;
use signoz_setup::system::{Cancel, RealCommands, RealFiles, System};
use signoz_setup::tap::{Tap, TapOptions};
use signoz_setup::verify::endpoint::{ProbeRequest, SPAN_NAME, STAGES, probe};
use signoz_setup::verify::regions::try_each;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::Code;

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

fn system(runtime: &Runtime, env: &[(&str, &str)]) -> System {
    let cancel = Cancel::default();
    System {
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        root: PathBuf::from("/"),
        home: None,
        state: PathBuf::from("/nonexistent"),
        files: Arc::new(RealFiles),
        commands: Arc::new(RealCommands::new(cancel.clone())),
        runtime: runtime.handle().clone(),
        cancel,
    }
}

/// Probes, and checks what holds for every report: stages in order, events as stages, no key in any text.
fn probe_with(runtime: &Runtime, endpoint: &Endpoint, protocol: Protocol, key: Option<&str>, env: &[(&str, &str)]) -> LevelReport {
    let key = key.map(|key| IngestionKey::parse(key).unwrap());
    let service = "shop".parse().unwrap();
    let events = Mutex::new(Vec::new());
    let request = ProbeRequest {
        endpoint,
        key: key.as_ref(),
        protocol,
        service_name: &service,
        region: None,
        deadline: Duration::from_secs(8),
    };
    let report = probe(&system(runtime, env), &request, &|event| events.lock().unwrap().push(event));
    let names: Vec<&str> = report.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names[..STAGES.len()], STAGES, "{report:?}");
    let events = events.into_inner().unwrap();
    for stage in &report.stages {
        let told = events.iter().rev().find_map(|event| match event {
            Event::Verified {
                stage: name,
                passed,
                detail,
            } if *name == stage.name => Some((*passed, detail.clone())),
            _ => None,
        });
        match stage.outcome {
            Outcome::Skip => assert_eq!(told, None, "{stage:?}"),
            outcome => assert_eq!(
                told,
                Some((outcome != Outcome::Fail && outcome != Outcome::Unknown, stage.detail.clone()))
            ),
        }
    }
    let everything = format!("{} {events:?}", serde_json::to_string(&report).unwrap());
    for secret in ["good-key", "bad-key", "s3cret"] {
        assert!(!everything.contains(secret), "{everything}");
    }
    assert_eq!(report.protocol, Some(protocol));
    report
}

/// Probes a gateway whose authority the app was told about.
fn probe_gateway(runtime: &Runtime, gateway: &Running, protocol: Protocol, key: Option<&str>) -> LevelReport {
    let authority = gateway.authority.to_str().unwrap();
    probe_with(
        runtime,
        &gateway.endpoint,
        protocol,
        key,
        &[("OTEL_EXPORTER_OTLP_CERTIFICATE", authority)],
    )
}

fn stage<'a>(report: &'a LevelReport, name: &str) -> (Outcome, &'a str) {
    let stage = report.stages.iter().find(|stage| stage.name == name).unwrap();
    (stage.outcome, &stage.detail)
}

/// It failed at a stage, says all of this, and the stages behind were not reached.
#[track_caller]
fn failed_at(report: &LevelReport, at: &str, detail: &[&str], remedy: &[&str]) {
    assert_eq!(report.outcome, Outcome::Fail, "{report:#?}");
    assert_eq!(stage(report, at).0, Outcome::Fail, "{report:#?}");
    for part in detail {
        assert!(report.detail.contains(part), "`{part}` is not in: {}", report.detail);
    }
    let told = report.remedy.as_deref().unwrap_or_default();
    for part in remedy {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    let behind = STAGES.iter().position(|name| *name == at).unwrap() + 1;
    for name in &STAGES[behind..] {
        let (outcome, detail) = stage(report, name);
        assert_eq!(outcome, Outcome::Skip, "{name}: {detail}");
    }
}

#[test]
fn an_accepted_span_names_every_stage() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    for protocol in BOTH {
        let report = probe_gateway(&runtime, &gateway, protocol, Some("good-key"));
        assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
        assert!(
            report.detail.contains("accepted by https://localhost") && !report.detail.contains("stored"),
            "{}",
            report.detail
        );
        for name in ["dns", "tcp", "tls", "auth", "accepted", "partial_success", "clock"] {
            assert_eq!(stage(&report, name).0, Outcome::Pass, "{report:#?}");
        }
        assert!(stage(&report, "tls").1.contains(AUTHORITY), "{report:#?}");
        let http2 = stage(&report, "http2").0;
        assert_eq!(http2, if protocol == Protocol::Grpc { Outcome::Pass } else { Outcome::Skip });
        assert!(report.latency_ms.is_some());

        let export = gateway.received.lock().unwrap().pop().unwrap();
        let resource = &export.resource_spans[0];
        let scope = &resource.scope_spans[0];
        let span = &scope.spans[0];
        let hex: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(report.trace_id.as_deref(), Some(hex.as_str()));
        assert_eq!(
            (span.name.as_str(), scope.scope.as_ref().unwrap().name.as_str()),
            (SPAN_NAME, "signoz-setup")
        );
        assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
        assert!(span.attributes.iter().any(|attribute| attribute.key == "signoz_setup.purpose"));
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    }
}

#[test]
fn an_authority_that_only_this_machine_trusts_is_a_warning() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    let env = [("SSL_CERT_FILE", gateway.authority.to_str().unwrap())];
    let report = probe_with(&runtime, &gateway.endpoint, Protocol::Grpc, Some("good-key"), &env);
    assert_eq!(report.outcome, Outcome::Warn);
    assert_eq!(stage(&report, "tls").0, Outcome::Warn);
    assert!(report.remedy.unwrap().contains("OTEL_EXPORTER_OTLP_CERTIFICATE"));
}

#[test]
fn without_tls_that_stage_is_said_to_be_unused() {
    let runtime = Runtime::new().unwrap();
    let tap = Tap::start(runtime.handle(), TapOptions::default()).unwrap();
    for protocol in BOTH {
        let report = probe_with(&runtime, &tap.endpoint(protocol), protocol, None, &[]);
        assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
        assert_eq!(stage(&report, "tls").0, Outcome::Skip);
        assert!(stage(&report, "auth").1.contains("no key was sent"));
    }
    assert_eq!(tap.ledger().len(), 2);
}

#[test]
fn a_wrong_or_missing_key_is_called_that() {
    let runtime = Runtime::new().unwrap();
    let tap = Tap::start(
        runtime.handle(),
        TapOptions {
            required_key: Some(IngestionKey::parse("good-key").unwrap()),
            ..TapOptions::default()
        },
    )
    .unwrap();
    // A gateway that refuses gRPC in HTTP's way, with a web page; a receiver that refuses in gRPC's way.
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    for protocol in BOTH {
        for report in [
            probe_gateway(&runtime, &gateway, protocol, Some("bad-key")),
            probe_with(&runtime, &tap.endpoint(protocol), protocol, Some("bad-key"), &[]),
        ] {
            failed_at(
                &report,
                "auth",
                &["refused the ingestion key", "wrong, has expired"],
                &["Settings → Ingestion", "--ingestion-key-file"],
            );
            assert!(report.trace_id.is_some());
        }
        let report = probe_gateway(&runtime, &gateway, protocol, None);
        failed_at(&report, "auth", &["no key was sent"], &["SIGNOZ_INGESTION_KEY"]);
    }
}

#[test]
fn a_gateway_that_hides_its_refusal_from_grpc_is_seen_through() {
    let runtime = Runtime::new().unwrap();
    let proxied = "received message with invalid compression flag: 60 while receiving response with status: 401 Unauthorized";
    for (code, text, status) in [
        (Code::Internal, proxied, 500),
        (Code::Internal, "oops", 401),
        (Code::Unknown, "", 403),
        (Code::Unavailable, proxied, 500),
    ] {
        let gateway = Gateway::new(Answer::GrpcStatusHttp(code, text, status)).start(&runtime);
        let report = probe_gateway(&runtime, &gateway, Protocol::Grpc, Some("bad-key"));
        failed_at(
            &report,
            "auth",
            &["refused the ingestion key", "HTTP 40"],
            &["Settings → Ingestion"],
        );
    }
    // With nothing about a key anywhere it is not called a wrong key.
    let gateway = Gateway::new(Answer::GrpcStatusHttp(Code::Internal, "oops", 500)).start(&runtime);
    let report = probe_gateway(&runtime, &gateway, Protocol::Grpc, Some("bad-key"));
    failed_at(&report, "accepted", &["gRPC INTERNAL", "oops"], &["--protocol http/protobuf"]);
}

#[test]
fn a_key_of_another_region_is_named_as_a_possibility() {
    let runtime = Runtime::new().unwrap();
    let tls = Tls {
        names: vec!["ingest.eu.signoz.cloud"],
        ..Tls::default()
    };
    for status in [401, 403, 404] {
        let gateway = Gateway {
            answer: Answer::Http(status),
            ..Gateway::with(tls.clone())
        }
        .start(&runtime);
        let front = proxy(200, gateway.address);
        let proxy_url = format!("http://{}", front.address);
        let env = [
            ("https_proxy", proxy_url.as_str()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", gateway.authority.to_str().unwrap()),
        ];
        let cloud = "https://ingest.eu.signoz.cloud:443".parse().unwrap();
        for protocol in BOTH {
            let report = probe_with(&runtime, &cloud, protocol, Some("bad-key"), &env);
            let status = format!("HTTP {status}");
            failed_at(&report, "auth", &["another region than `eu`", &status], &["--region"]);
            assert_eq!(stage(&report, "proxy").0, Outcome::Pass);
        }
        assert!(front.asked.lock().unwrap()[0].starts_with("CONNECT ingest.eu.signoz.cloud:443 "));
    }
}

#[test]
fn every_http_status_has_its_reason_and_remedy() {
    let runtime = Runtime::new().unwrap();
    for (status, at, detail, remedy) in [
        (400, "accepted", "malformed", "OTLP"),
        (404, "accepted", "the port or the path", "https://ingest.<region>.signoz.cloud:443"),
        (405, "accepted", "web server", "--endpoint"),
        (413, "accepted", "too large", "client_max_body_size"),
        (415, "accepted", "protobuf", "--protocol grpc"),
        (429, "accepted", "limit is used up", "Settings → Ingestion"),
        (499, "accepted", "gave up", "again in a minute"),
        (502, "accepted", "not able to take spans", "status.signoz.io"),
        (503, "accepted", "not able to take spans", "status.signoz.io"),
        (504, "accepted", "gave up waiting", "again in a minute"),
        (418, "accepted", "did not take the span (HTTP 418)", "other protocol"),
    ] {
        let gateway = Gateway::plain(Answer::Http(status)).start(&runtime);
        for protocol in BOTH {
            let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[]);
            failed_at(&report, at, &[detail, &status.to_string()], &[remedy]);
        }
    }
}

#[test]
fn every_grpc_code_has_its_reason_and_remedy() {
    let runtime = Runtime::new().unwrap();
    for (code, at, detail, remedy) in [
        (
            Code::Unauthenticated,
            "auth",
            "refused the ingestion key (gRPC UNAUTHENTICATED)",
            "--ingestion-key-file",
        ),
        (Code::PermissionDenied, "auth", "gRPC PERMISSION_DENIED", "--ingestion-key-file"),
        (Code::NotFound, "auth", "gRPC NOT_FOUND", "--region"),
        (
            Code::Unimplemented,
            "accepted",
            "does not know the OTLP trace service",
            "--endpoint",
        ),
        (Code::InvalidArgument, "accepted", "malformed", "OTLP"),
        (Code::ResourceExhausted, "accepted", "limit is used up", "Settings → Ingestion"),
        (Code::DeadlineExceeded, "accepted", "gave up waiting", "again in a minute"),
        (Code::Unavailable, "accepted", "not able to take spans", "again in a minute"),
        (Code::DataLoss, "accepted", "gRPC DATA_LOSS", "other protocol"),
    ] {
        let gateway = Gateway::plain(Answer::Grpc(code, "words of\nthe server")).start(&runtime);
        let report = probe_with(&runtime, &gateway.endpoint, Protocol::Grpc, Some("good-key"), &[]);
        failed_at(&report, at, &[detail], &[remedy]);
        assert!(at == "auth" || report.detail.contains("words of the server"), "{}", report.detail);
    }
}

#[test]
fn a_span_that_is_rejected_after_all_is_a_failure() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let gateway = Gateway::plain(Answer::Partial(1, "quota")).start(&runtime);
        let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[]);
        failed_at(&report, "partial_success", &["rejected the span: quota"], &["limits"]);
        let gateway = Gateway::plain(Answer::Partial(0, "use the new attribute names")).start(&runtime);
        let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[]);
        assert_eq!(report.outcome, Outcome::Warn);
        assert!(report.detail.contains("use the new attribute names"), "{}", report.detail);
    }
}

#[test]
fn pages_and_redirects_are_no_receivers() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let gateway = Gateway::plain(Answer::Page).start(&runtime);
        let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[]);
        failed_at(&report, "accepted", &["a web page"], &["--endpoint"]);
        let gateway = Gateway::plain(Answer::Redirect).start(&runtime);
        let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[]);
        failed_at(&report, "accepted", &["redirects to `https://login.example/`"], &["--endpoint"]);
    }
    // The address of the pages instead of the ingest endpoint.
    let tls = Tls {
        names: vec!["acme.us.signoz.cloud"],
        ..Tls::default()
    };
    let gateway = Gateway {
        answer: Answer::Page,
        ..Gateway::with(tls)
    }
    .start(&runtime);
    let front = format!("http://{}", proxy(200, gateway.address).address);
    let env = [
        ("https_proxy", front.as_str()),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", gateway.authority.to_str().unwrap()),
    ];
    let pages = "https://acme.us.signoz.cloud".parse().unwrap();
    let report = probe_with(&runtime, &pages, Protocol::HttpProtobuf, Some("good-key"), &env);
    failed_at(&report, "accepted", &["a web page"], &["pass `--region`"]);
}

#[test]
fn each_flaw_of_a_certificate_has_its_own_remedy() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    for protocol in BOTH {
        let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[]);
        failed_at(&report, "tls", &[AUTHORITY, "not trusted"], &["OTEL_EXPORTER_OTLP_CERTIFICATE"]);
        assert_eq!(report.trace_id, None);
    }
    let flawed = |tls| {
        let gateway = Gateway::with(tls).start(&runtime);
        probe_gateway(&runtime, &gateway, Protocol::Grpc, Some("good-key"))
    };
    let report = flawed(Tls {
        names: vec!["other.example", "*.other.example"],
        ..Tls::default()
    });
    failed_at(&report, "tls", &["`other.example`", "not for `localhost`"], &["--endpoint"]);
    let report = flawed(Tls {
        until: 2021,
        ..Tls::default()
    });
    failed_at(&report, "tls", &["expired", "days"], &["timedatectl"]);
    let report = flawed(Tls {
        from: 2098,
        ..Tls::default()
    });
    failed_at(&report, "tls", &["becomes valid in"], &["clock"]);
}

#[test]
fn a_certificate_file_that_cannot_be_read_is_named() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    let env = [("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent/ca.pem")];
    let report = probe_with(&runtime, &gateway.endpoint, Protocol::Grpc, Some("good-key"), &env);
    failed_at(
        &report,
        "tls",
        &["`OTEL_EXPORTER_OTLP_CERTIFICATE` names `/nonexistent/ca.pem`"],
        &["PEM"],
    );
}

#[test]
fn tls_where_there_is_none_and_none_where_there_is() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    let tap = Tap::start(runtime.handle(), TapOptions::default()).unwrap();
    let with_scheme = |scheme: &str, port: u16| format!("{scheme}://localhost:{port}").parse::<Endpoint>().unwrap();
    for protocol in BOTH {
        let port = gateway.address.port();
        let report = probe_with(&runtime, &with_scheme("http", port), protocol, Some("good-key"), &[]);
        failed_at(
            &report,
            "tls",
            &["expects TLS"],
            &[&format!("`--endpoint https://localhost:{port}`")],
        );
        for port in [tap.grpc_endpoint().port, tap.http_endpoint().port] {
            let report = probe_with(&runtime, &with_scheme("https", port), protocol, Some("good-key"), &[]);
            failed_at(
                &report,
                "tls",
                &["plain text", "WRONG_VERSION_NUMBER"],
                &[&format!("`--endpoint http://localhost:{port}`")],
            );
        }
    }
}

#[test]
fn the_wrong_protocol_for_a_port_is_named_with_the_flag() {
    let runtime = Runtime::new().unwrap();
    let tap = Tap::start(runtime.handle(), TapOptions::default()).unwrap();
    let report = probe_with(&runtime, &tap.http_endpoint(), Protocol::Grpc, None, &[]);
    failed_at(
        &report,
        "http2",
        &["HTTP/1.1 and not HTTP/2"],
        &["--protocol http/protobuf", "4317"],
    );
    let report = probe_with(&runtime, &tap.grpc_endpoint(), Protocol::HttpProtobuf, None, &[]);
    failed_at(&report, "http2", &["HTTP/2 only"], &["--protocol grpc", "4318"]);
    for (alpn, protocol, remedy) in [
        ("http/1.1", Protocol::Grpc, "--protocol http/protobuf"),
        ("h2", Protocol::HttpProtobuf, "--protocol grpc"),
    ] {
        let gateway = Gateway::with(Tls {
            alpn: vec![alpn],
            ..Tls::default()
        })
        .start(&runtime);
        let report = probe_gateway(&runtime, &gateway, protocol, Some("good-key"));
        failed_at(&report, "http2", &[], &[remedy]);
    }
}

#[test]
fn names_ports_and_silence() {
    let runtime = Runtime::new().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for protocol in BOTH {
        let report = probe_with(&runtime, &"https://signoz.invalid".parse().unwrap(), protocol, None, &[]);
        failed_at(&report, "dns", &["`signoz.invalid` does not resolve"], &["--endpoint"]);
        let report = probe_with(&runtime, &format!("http://127.0.0.1:{free}").parse().unwrap(), protocol, None, &[]);
        failed_at(
            &report,
            "tcp",
            &["nothing listens", &free.to_string()],
            &["start the collector", "--endpoint"],
        );
    }
    let region: Endpoint = "https://ingest.zz9.signoz.invalid".parse().unwrap();
    let zz9 = "zz9".parse::<signoz_setup::domain::Region>().unwrap();
    let service = "shop".parse().unwrap();
    let request = ProbeRequest {
        endpoint: &region,
        key: None,
        protocol: Protocol::Grpc,
        service_name: &service,
        region: Some(&zz9),
        deadline: Duration::from_secs(8),
    };
    let report = probe(&system(&runtime, &[]), &request, &|_| {});
    failed_at(&report, "dns", &["does not resolve"], &["--region", "eu2"]);

    let gateway = Gateway::plain(Answer::Silence).start(&runtime);
    let request = |endpoint| ProbeRequest {
        endpoint,
        deadline: Duration::from_millis(1500),
        region: None,
        ..request
    };
    let began = Instant::now();
    let key = IngestionKey::parse("good-key").unwrap();
    let answerless = ProbeRequest {
        key: Some(&key),
        ..request(&gateway.endpoint)
    };
    let report = probe(&system(&runtime, &[]), &answerless, &|_| {});
    failed_at(&report, "accepted", &["no answer within"], &["--protocol"]);
    assert!(report.trace_id.is_some(), "the span was sent");
    assert!(began.elapsed() < Duration::from_secs(6), "the deadline is kept");
}

#[test]
fn a_port_that_never_answers_the_handshake_does_not_hold_the_probe() {
    let runtime = Runtime::new().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://127.0.0.1:{}", silent.local_addr().unwrap().port())
        .parse()
        .unwrap();
    let service = "shop".parse().unwrap();
    let request = ProbeRequest {
        endpoint: &endpoint,
        key: None,
        protocol: Protocol::Grpc,
        service_name: &service,
        region: None,
        deadline: Duration::from_millis(1200),
    };
    let began = Instant::now();
    let report = probe(&system(&runtime, &[]), &request, &|_| {});
    failed_at(&report, "tls", &["no answer to the TLS handshake"], &["firewall"]);
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[test]
fn proxies() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    let authority = gateway.authority.to_str().unwrap();
    let good = proxy(200, gateway.address);
    let with_user = format!("http://ann:s3cret@{}", good.address);
    for protocol in BOTH {
        let env = [("https_proxy", with_user.as_str()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", authority)];
        let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &env);
        assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
        assert!(
            stage(&report, "proxy").1.contains("from `https_proxy` opened a tunnel"),
            "{report:#?}"
        );
        let asked = good.asked.lock().unwrap().pop().unwrap();
        let target = format!("CONNECT localhost:{} ", gateway.address.port());
        assert!(asked.starts_with(&target) && asked.ends_with("Basic YW5uOnMzY3JldA=="), "{asked}");
    }
    for (status, detail, remedy) in [
        (407, "user name and password", "USER:PASSWORD"),
        (403, "does not let this machine through", "CONNECT"),
        (502, "could not reach the endpoint", "resolves"),
    ] {
        let front = format!("http://{}", proxy(status, gateway.address).address);
        for protocol in BOTH {
            let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[("https_proxy", &front)]);
            failed_at(&report, "proxy", &[detail, &status.to_string()], &[remedy]);
        }
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}");
    let report = probe_with(
        &runtime,
        &gateway.endpoint,
        Protocol::Grpc,
        Some("good-key"),
        &[("https_proxy", &gone)],
    );
    failed_at(&report, "tcp", &["the proxy", "cannot be reached"], &["no_proxy=localhost"]);
    let report = probe_with(
        &runtime,
        &gateway.endpoint,
        Protocol::Grpc,
        Some("good-key"),
        &[("https_proxy", "socks5://h:1")],
    );
    assert_eq!((report.outcome, stage(&report, "proxy").0), (Outcome::Unknown, Outcome::Unknown));
}

#[test]
fn the_two_exporters_obey_different_proxy_variables() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    let authority = gateway.authority.to_str().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}");
    let env = [("HTTPS_PROXY", gone.as_str()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", authority)];
    let report = probe_with(&runtime, &gateway.endpoint, Protocol::Grpc, Some("good-key"), &env);
    assert_eq!(report.outcome, Outcome::Pass, "gRPC does not read the upper-case name: {report:#?}");
    assert!(stage(&report, "proxy").1.contains("lower-case `https_proxy`"));
    let report = probe_with(&runtime, &gateway.endpoint, Protocol::HttpProtobuf, Some("good-key"), &env);
    failed_at(&report, "tcp", &["the proxy"], &["HTTPS_PROXY"]);
    let excepted = [env[0], env[1], ("NO_PROXY", "localhost")];
    let report = probe_with(&runtime, &gateway.endpoint, Protocol::HttpProtobuf, Some("good-key"), &excepted);
    assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
    // Where the direct way fails, the upper-case variable is the likely reason.
    let report = probe_with(&runtime, &"https://signoz.invalid".parse().unwrap(), Protocol::Grpc, None, &env);
    failed_at(&report, "dns", &[], &["set the lower-case variable too"]);
}

#[test]
fn plain_http_is_handed_to_the_proxy_whole() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::plain(Answer::Accept).start(&runtime);
    let front = proxy(200, gateway.address);
    let url = format!("http://{}", front.address);
    let endpoint = "http://collector.internal:4318".parse().unwrap();
    let report = probe_with(
        &runtime,
        &endpoint,
        Protocol::HttpProtobuf,
        Some("good-key"),
        &[("http_proxy", &url)],
    );
    assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
    let asked = front.asked.lock().unwrap().pop().unwrap();
    assert!(
        asked.starts_with("POST http://collector.internal:4318/v1/traces HTTP/1.1"),
        "{asked}"
    );
}

#[test]
fn a_wrong_clock_is_noticed() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let gateway = Gateway::plain(Answer::Date("Sun, 06 Nov 1994 08:49:37 GMT")).start(&runtime);
        let report = probe_with(&runtime, &gateway.endpoint, protocol, Some("good-key"), &[]);
        assert_eq!((report.outcome, stage(&report, "clock").0), (Outcome::Warn, Outcome::Warn));
        assert!(report.detail.contains("ahead of the endpoint's"), "{}", report.detail);
        assert!(report.remedy.unwrap().contains("timedatectl"));
    }
}

#[test]
fn an_interrupted_probe_ends_at_once() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::plain(Answer::Silence).start(&runtime);
    let system = system(&runtime, &[]);
    let service = "shop".parse().unwrap();
    let key = IngestionKey::parse("good-key").unwrap();
    let request = ProbeRequest {
        endpoint: &gateway.endpoint,
        key: Some(&key),
        protocol: Protocol::Grpc,
        service_name: &service,
        region: None,
        deadline: Duration::from_secs(600),
    };
    let cancel = system.cancel.clone();
    let observer = |event: Event| {
        if matches!(event, Event::Verified { stage, .. } if stage == "tcp") {
            cancel.set(Signal::Interrupt);
        }
    };
    let report = probe(&system, &request, &observer);
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.detail.contains("interrupted"));
}

#[test]
fn the_region_of_a_key_is_the_one_that_takes_it() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let tap = |key: &str| {
            let options = TapOptions {
                required_key: Some(IngestionKey::parse(key).unwrap()),
                ..TapOptions::default()
            };
            Tap::start(runtime.handle(), options).unwrap()
        };
        let (theirs, ours) = (tap("somebody-elses"), tap("canary-4711"));
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let regions = [
            ("us".parse().unwrap(), theirs.endpoint(protocol)),
            ("eu".parse().unwrap(), format!("http://{gone}").parse().unwrap()),
            ("in".parse().unwrap(), ours.endpoint(protocol)),
        ];
        let key = IngestionKey::parse("canary-4711").unwrap();
        let tried = try_each(&system(&runtime, &[]), &regions, &key, protocol, &"shop".parse().unwrap());
        let outcomes: Vec<(&str, Outcome)> = tried.iter().map(|(region, level)| (region.as_str(), level.outcome)).collect();
        assert_eq!(
            outcomes,
            [("us", Outcome::Fail), ("eu", Outcome::Fail), ("in", Outcome::Pass)],
            "{protocol}: {tried:?}"
        );
        assert!(tried.iter().all(|(_, level)| !level.detail.contains("canary")));
        assert_eq!((theirs.ledger().len(), ours.ledger().len()), (0, 1));
    }
}
