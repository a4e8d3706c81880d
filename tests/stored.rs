//! Level `stored`, against a stand-in that answers as SigNoz does: null rows first, warnings, errors, web pages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/otlp_server.rs"]
mod server;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse, Response};
use hyper::StatusCode;
use serde_json::{Value, json};
use server::{Answer, Gateway, Tls};
use signoz_setup::domain::{ApiKey, Event, Level, LevelReport, Outcome};
use signoz_setup::error::Signal;
use signoz_setup::system::net;
use signoz_setup::system::{Cancel, RealCommands, RealFiles, System};
use signoz_setup::verify::stored::{Window, link, read_back};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use url::Url;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const KEY: &str = "c2VydmljZS1hY2NvdW50LWtleS1vZi0zMi1ieXRlcyE=";

/// How the workspace answers a query, and how the waterfall.
#[derive(Clone, Copy, PartialEq)]
enum Workspace {
    /// The span shows up at this look, counted from 1.
    FoundAt(usize),
    Never,
    /// It is there, but not in the time range.
    OutsideRange,
    /// Only a trace without a time range shows it, and no warning is given.
    OutsideRangeSilently,
    /// A version without the query API.
    OnlyWaterfall,
    /// A version without either.
    Neither,
    /// No workspace: a web page for everything.
    Page(u16),
    Busy,
}

#[derive(Clone)]
struct Shared {
    workspace: Workspace,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

fn json_body(body: &Value) -> impl IntoResponse + use<> {
    ([("content-type", "application/json")], body.to_string())
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body =
        json!({"status": "error", "error": {"type": code, "code": code, "message": message, "url": "", "errors": [], "suggestions": []}});
    (StatusCode::from_u16(status).unwrap(), json_body(&body)).into_response()
}

fn rows(rows: &Value, warning: Option<&str>) -> Response {
    let mut body = json!({"status": "success", "data": {"type": "raw", "meta": {"rowsScanned": 1},
        "data": {"results": [{"queryName": "A", "nextCursor": "", "rows": rows}]}}});
    if let Some(text) = warning {
        body["data"]["warning"] = json!({"message": "see warnings", "url": "", "warnings": [{"message": text}]});
    }
    json_body(&body).into_response()
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let looks = {
        let mut asked = shared.asked.lock().unwrap();
        asked.push((path.clone(), body));
        asked.iter().filter(|(path, _)| path.ends_with("query_range")).count()
    };
    if let Workspace::Page(status) = shared.workspace {
        let page = Html("<!doctype html><title>SigNoz</title>");
        return (StatusCode::from_u16(status).unwrap(), page).into_response();
    }
    if head.headers.get("signoz-api-key").is_none_or(|key| key != KEY) {
        return error(401, "unauthenticated", "the API key is not valid");
    }
    let waterfall = path == format!("/api/v4/traces/{TRACE}/waterfall");
    let trace =
        json!({"status": "success", "data": {"rootServiceName": "shop", "totalSpansCount": 1, "spans": [{}], "hasMissingSpans": false}});
    match (shared.workspace, waterfall) {
        (Workspace::Busy, _) => error(503, "unavailable", "try again"),
        (Workspace::Neither, _) => error(404, "not_found", "no such route"),
        (Workspace::OnlyWaterfall, false) => error(404, "not_found", "no such route"),
        (Workspace::OnlyWaterfall | Workspace::OutsideRangeSilently | Workspace::OutsideRange, true) => json_body(&trace).into_response(),
        (_, true) => error(404, "not_found", "trace not found"),
        (Workspace::OutsideRange, false) => rows(&Value::Null, Some("the trace lies outside the selected time range: 1994-11-06")),
        (Workspace::FoundAt(look), false) if looks >= look => rows(
            &json!([{"timestamp": "2026-01-01T00:00:00Z", "data": {"trace_id": TRACE, "span_id": "b7ad6b7169203331", "name": "GET /"}}]),
            None,
        ),
        (_, false) => rows(&Value::Null, None),
    }
}

struct StandIn {
    runtime: Runtime,
    url: Url,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

fn stand_in(workspace: Workspace) -> StandIn {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let asked: Arc<Mutex<Vec<_>>> = Arc::default();
    let shared = Shared {
        workspace,
        asked: Arc::clone(&asked),
    };
    let router = Router::new().fallback(answer).with_state(shared);
    runtime.spawn(async move { axum::serve(listener, router).await });
    StandIn { runtime, url, asked }
}

fn system(runtime: &Runtime) -> System {
    let cancel = Cancel::default();
    System {
        env: BTreeMap::new(),
        root: PathBuf::from("/"),
        home: None,
        state: PathBuf::from("/nonexistent"),
        files: Arc::new(RealFiles),
        commands: Arc::new(RealCommands::new(cancel.clone())),
        runtime: runtime.handle().clone(),
        cancel,
    }
}

fn read(stand_in: &StandIn, key: &str, limit: Duration) -> LevelReport {
    read_at(&system(&stand_in.runtime), &stand_in.url, key, limit)
}

fn read_at(system: &System, url: &Url, key: &str, limit: Duration) -> LevelReport {
    let key = ApiKey::parse(key).unwrap();
    let events = Mutex::new(Vec::new());
    let window = Window::around(SystemTime::now());
    let report = read_back(system, url, &key, TRACE, window, limit, &|event| events.lock().unwrap().push(event));
    assert_eq!((report.level, report.trace_id.as_deref()), (Level::Stored, Some(TRACE)));
    let events = events.into_inner().unwrap();
    let last = report.stages.last().unwrap();
    let passed = matches!(report.outcome, Outcome::Pass | Outcome::Warn);
    assert!(
        matches!(events.last(), Some(Event::Verified { stage, passed: told, .. }) if *stage == last.name && *told == passed),
        "{events:?}"
    );
    assert!(!format!("{report:?} {events:?}").contains(key.expose()));
    report
}

const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_span_that_shows_up_later_is_found_and_linked() {
    let stand_in = stand_in(Workspace::FoundAt(3));
    let report = read(&stand_in, KEY, Duration::from_secs(20));
    assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
    assert!(
        report.detail.contains("stored") && report.detail.contains(&link(&stand_in.url, TRACE)),
        "{}",
        report.detail
    );
    assert!(report.latency_ms.is_some());
    let asked = stand_in.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    let (path, body) = &asked[0];
    assert_eq!(path, "/api/v5/query_range");
    let spec = &body["compositeQuery"]["queries"][0]["spec"];
    assert_eq!(spec["filter"]["expression"], format!("trace_id = '{TRACE}'"));
    assert_eq!((&spec["signal"], &body["requestType"]), (&json!("traces"), &json!("raw")));
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let (start, end) = (body["start"].as_u64().unwrap(), body["end"].as_u64().unwrap());
    assert!(
        start < now && now < end && end - start == 30 * 60 * 1000,
        "milliseconds: {start} {end}"
    );
}

#[test]
fn a_link_has_one_slash() {
    let with_slash = "https://acme.us.signoz.cloud/".parse().unwrap();
    assert_eq!(link(&with_slash, TRACE), format!("https://acme.us.signoz.cloud/trace/{TRACE}"));
    let below = "https://example.org/signoz/".parse().unwrap();
    assert_eq!(link(&below, TRACE), format!("https://example.org/signoz/trace/{TRACE}"));
}

#[test]
fn a_span_dated_wrongly_is_stored_and_the_clock_is_blamed() {
    for workspace in [Workspace::OutsideRange, Workspace::OutsideRangeSilently] {
        let stand_in = stand_in(workspace);
        let report = read(&stand_in, KEY, SOON);
        assert_eq!(report.outcome, Outcome::Warn);
        assert!(
            report.detail.contains("clock") && report.detail.contains("/trace/"),
            "{}",
            report.detail
        );
        assert!(report.remedy.unwrap().contains("timedatectl"));
    }
}

#[test]
fn an_older_signoz_is_asked_for_the_waterfall() {
    let stand_in = stand_in(Workspace::OnlyWaterfall);
    assert_eq!(read(&stand_in, KEY, SOON).outcome, Outcome::Pass);
    assert_eq!(stand_in.asked.lock().unwrap().len(), 2);
    let report = read(&self::stand_in(Workspace::Neither), KEY, SOON);
    assert_ne!(report.outcome, Outcome::Pass);
    assert!(report.detail.contains("/trace/"), "{}", report.detail);
}

#[test]
fn a_wrong_api_key_is_called_that() {
    let stand_in = stand_in(Workspace::FoundAt(1));
    let report = read(&stand_in, "0f1e2d3c-an-ingestion-key", SOON);
    assert_eq!(report.outcome, Outcome::Fail);
    assert_eq!(report.stages.last().unwrap().name, "api_key");
    assert!(report.detail.contains("refused the API key (HTTP 401)"), "{}", report.detail);
    let remedy = report.remedy.unwrap();
    assert!(
        remedy.contains("Service Accounts") && remedy.contains("ingestion key does not work here"),
        "{remedy}"
    );
    assert_eq!(stand_in.asked.lock().unwrap().len(), 1, "it is not asked again");
}

#[test]
fn a_page_is_no_workspace() {
    for status in [404, 200] {
        let report = read(&stand_in(Workspace::Page(status)), KEY, SOON);
        assert_eq!(report.outcome, Outcome::Fail);
        assert!(report.detail.contains("no SigNoz workspace"), "{}", report.detail);
        assert!(report.remedy.unwrap().contains("SIGNOZ_URL"));
    }
}

#[test]
fn a_span_that_never_shows_up_is_a_failure_that_says_so() {
    let report = read(&stand_in(Workspace::Never), KEY, Duration::from_millis(600));
    assert_eq!(report.outcome, Outcome::Fail);
    assert!(report.detail.contains("was not found within"), "{}", report.detail);
    assert!(report.remedy.unwrap().contains("same workspace and region"));
    let report = read(&stand_in(Workspace::Busy), KEY, Duration::from_millis(600));
    assert_eq!(report.outcome, Outcome::Fail);
    assert!(
        report.detail.contains("HTTP 503") && report.detail.contains("try again"),
        "{}",
        report.detail
    );
}

#[test]
fn an_address_without_a_server_is_reported_at_once() {
    let mut stand_in = stand_in(Workspace::Never);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stand_in.url = format!("http://{free}").parse().unwrap();
    let began = Instant::now();
    let report = read(&stand_in, KEY, Duration::from_secs(90));
    assert_eq!((report.outcome, report.stages[0].name.as_str()), (Outcome::Fail, "reached"));
    assert!(report.detail.contains("cannot be reached"), "{}", report.detail);
    assert!(began.elapsed() < Duration::from_secs(10));
    let report = read_at(&system(&stand_in.runtime), &"https://signoz.invalid".parse().unwrap(), KEY, SOON);
    let resolved = net::resolve("signoz.invalid", 443, Instant::now() + Duration::from_secs(10));
    let cause = stand_in.runtime.block_on(resolved).unwrap_err();
    assert!(report.detail.ends_with(&format!("cannot be reached: {cause}")), "{}", report.detail);
}

/// A server behind TLS that is no workspace: how far the question came is seen in what is said of it.
fn behind_tls(runtime: &Runtime) -> server::Running {
    Gateway {
        key: None,
        answer: Answer::Page,
        tls: Some(Tls::default()),
    }
    .start(runtime)
}

fn system_with(runtime: &Runtime, env: &[(&str, &str)]) -> System {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    System { env, ..system(runtime) }
}

#[test]
fn a_certificate_is_trusted_as_everywhere_else() {
    let runtime = Runtime::new().unwrap();
    let gateway = behind_tls(&runtime);
    let url = gateway.endpoint.to_string().parse().unwrap();
    let report = read_at(&system(&runtime), &url, KEY, SOON);
    assert_eq!((report.outcome, report.stages[0].name.as_str()), (Outcome::Fail, "reached"));
    assert!(report.detail.ends_with("cannot be reached: unknown issuer"), "{}", report.detail);
    let system = system_with(&runtime, &[("SSL_CERT_FILE", gateway.authority.to_str().unwrap())]);
    let report = read_at(&system, &url, KEY, SOON);
    assert!(report.detail.contains("no SigNoz workspace"), "{}", report.detail);
    let wrong_name = Gateway::with(Tls {
        names: vec!["other.example"],
        ..Tls::default()
    })
    .start(&runtime);
    let system = system_with(&runtime, &[("SSL_CERT_FILE", wrong_name.authority.to_str().unwrap())]);
    let report = read_at(&system, &wrong_name.endpoint.to_string().parse().unwrap(), KEY, SOON);
    assert!(report.detail.ends_with("the certificate is for another name"), "{}", report.detail);
}

#[test]
fn a_proxy_is_used_with_its_credentials_and_named_when_it_refuses() {
    let runtime = Runtime::new().unwrap();
    let gateway = behind_tls(&runtime);
    let url: Url = gateway.endpoint.to_string().parse().unwrap();
    let authority = gateway.authority.to_str().unwrap();
    let through = server::proxy(200, gateway.address);
    let address = format!("http://ann:s3cret@{}", through.address);
    let system = system_with(&runtime, &[("HTTPS_PROXY", &address), ("SSL_CERT_FILE", authority)]);
    let report = read_at(&system, &url, KEY, SOON);
    assert!(report.detail.contains("no SigNoz workspace"), "{}", report.detail);
    let asked = through.asked.lock().unwrap().join("\n");
    assert!(
        asked.starts_with(&format!("CONNECT localhost:{}", gateway.address.port())),
        "{asked}"
    );
    assert!(asked.contains("Basic YW5uOnMzY3JldA=="), "{asked}");

    let refuses = server::proxy(407, gateway.address);
    let address = format!("http://{}", refuses.address);
    let system = system_with(&runtime, &[("HTTPS_PROXY", &address), ("SSL_CERT_FILE", authority)]);
    let report = read_at(&system, &url, KEY, SOON);
    assert_eq!((report.outcome, report.stages[0].name.as_str()), (Outcome::Fail, "reached"));
    assert!(
        report.detail.contains(&format!("cannot be reached (through {address})")) && report.detail.contains("proxy auth"),
        "{}",
        report.detail
    );
    // And a workspace in plain text, which proxies are handed whole requests for.
    let stand_in = stand_in(Workspace::FoundAt(1));
    let plain = server::proxy(200, stand_in.url.socket_addrs(|| None).unwrap()[0]);
    let address = format!("http://ann:s3cret@{}", plain.address);
    let system = system_with(&runtime, &[("http_proxy", &address)]);
    assert_eq!(read_at(&system, &stand_in.url, KEY, SOON).outcome, Outcome::Pass);
    let asked = plain.asked.lock().unwrap().join("\n");
    assert!(asked.contains("Basic YW5uOnMzY3JldA=="), "{asked}");
}

#[test]
fn a_redirect_is_not_followed() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway {
        key: None,
        answer: Answer::Redirect,
        tls: None,
    }
    .start(&runtime);
    let report = read_at(&system(&runtime), &gateway.endpoint.to_string().parse().unwrap(), KEY, SOON);
    assert!(report.detail.contains("HTTP 302"), "{}", report.detail);
}

#[test]
fn only_a_trace_id_reaches_the_query() {
    let stand_in = stand_in(Workspace::FoundAt(1));
    let key = ApiKey::parse(KEY).unwrap();
    let window = Window::around(SystemTime::now());
    let report = read_back(
        &system(&stand_in.runtime),
        &stand_in.url,
        &key,
        "x' OR '1'='1",
        window,
        SOON,
        &|_| {},
    );
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(stand_in.asked.lock().unwrap().is_empty());
}

#[test]
fn an_interrupt_ends_the_wait() {
    let stand_in = stand_in(Workspace::Never);
    let system = system(&stand_in.runtime);
    system.cancel.set(Signal::Terminate);
    let key = ApiKey::parse(KEY).unwrap();
    let window = Window::around(SystemTime::now());
    let report = read_back(&system, &stand_in.url, &key, TRACE, window, Duration::from_secs(600), &|_| {});
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.detail.contains("interrupted"));
}
