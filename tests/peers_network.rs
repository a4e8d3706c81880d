//! The receiver and the probe against programs that nobody here wrote: Python's exporters, nginx, rotel.
//!
//! A peer that is missing is named and skipped; with `SIGNOZ_SETUP_REQUIRE_PEERS=1` it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/otlp_messages.rs"]
mod messages;
#[path = "support/python_env.rs"]
mod python_env;

use messages::{PROTOBUF, export, post, span};
use prost::Message;
use python_env::{missing, pinned_env, rotel_env};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use signoz_setup::domain::{Endpoint, IngestionKey, LevelReport, Outcome, Protocol};
use signoz_setup::system::{Cancel, RealCommands, RealFiles, System};
use signoz_setup::tap::{Forward, Tap, TapOptions};
use signoz_setup::verify::endpoint::{ProbeRequest, SPAN_NAME, probe};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const LONG: Duration = Duration::from_secs(60);
const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const KEY: &str = "good-key";

fn key(text: &str) -> IngestionKey {
    IngestionKey::parse(text).unwrap()
}

/// A started program; ended with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait_for_port(port: u16, peer: &mut Peer) {
    let end = Instant::now() + LONG;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(peer.0.try_wait().unwrap().is_none(), "the peer ended at once");
        assert!(Instant::now() < end, "nothing listens on {port}");
        std::thread::yield_now();
    }
}

fn probe_it(runtime: &Runtime, endpoint: &Endpoint, protocol: Protocol, key: &IngestionKey, env: BTreeMap<String, String>) -> LevelReport {
    let cancel = Cancel::default();
    let system = System {
        env,
        root: PathBuf::from("/"),
        home: None,
        state: PathBuf::from("/nonexistent"),
        files: Arc::new(RealFiles),
        commands: Arc::new(RealCommands::new(cancel.clone())),
        runtime: runtime.handle().clone(),
        cancel,
    };
    let service = "shop".parse().unwrap();
    let request = ProbeRequest {
        endpoint,
        key: Some(key),
        protocol,
        service_name: &service,
        region: None,
        deadline: Duration::from_secs(20),
    };
    probe(&system, &request, &|_| {})
}

/// The interpreter of an environment with the pinned exporters; made once.
fn python() -> Option<PathBuf> {
    static ENVIRONMENT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let version = ["3.11", "3.12", "3.10", "3.9"]
            .into_iter()
            .find(|version| python_env::interpreter(version).is_some());
        version.map_or_else(|| missing("no Python 3.9 to 3.12"), pinned_env)
    });
    environment.as_ref().map(|environment| environment.join("bin/python"))
}

const SENDER: &str = r#"
import sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("peer", "1")
for number in range(int(sys.argv[2])):
    with tracer.start_as_current_span("work", attributes={"number": number, "list": ["a", "b"]}):
        pass
provider.shutdown()
"#;

/// Sends spans with Python's exporter; its process id and what it said.
fn send_from_python(python: &Path, protocol: Protocol, count: usize, env: &[(&str, &str)]) -> (u32, String) {
    let which = if protocol == Protocol::Grpc { "grpc" } else { "http" };
    let child = Command::new(python)
        .args(["-c", SENDER, which, &count.to_string()])
        .env_clear()
        .env("OTEL_SERVICE_NAME", "from-python")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (pid, said)
}

#[test]
fn python_exporters_reach_the_receiver() {
    let Some(python) = python() else { return };
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        for compression in ["none", "gzip"] {
            let options = TapOptions {
                required_key: Some(key(KEY)),
                ..TapOptions::default()
            };
            let tap = Tap::start(runtime.handle(), options).unwrap();
            let endpoint = tap.endpoint(protocol).to_string();
            let mut env = vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                ("OTEL_EXPORTER_OTLP_HEADERS", "signoz-ingestion-key=good-key"),
            ];
            if compression == "gzip" {
                env.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"));
            }
            let (pid, said) = send_from_python(&python, protocol, 700, &env);
            let spans = tap.ledger().spans();
            let ids: HashSet<_> = spans.iter().map(|span| span.span_id).collect();
            assert_eq!((spans.len(), ids.len()), (700, 700), "{protocol} {compression}: {said}");
            for span in &spans {
                assert_eq!(
                    (span.name.as_str(), span.service.as_str(), span.scope.as_str()),
                    ("work", "from-python", "peer")
                );
                assert_eq!(span.process, cfg!(target_os = "linux").then_some(pid));
                assert_eq!(span.attributes[1].1, "[a, b]");
            }
            let (_, said) = send_from_python(&python, protocol, 3, &env[..1]);
            assert!(said.contains("UNAUTHENTICATED") || said.contains("401"), "{said}");
            assert!(tap.ledger().refused() >= 1);
            assert_eq!(tap.ledger().len(), 700);
        }
    }
}

/// nginx in front of a receiver: TLS, HTTP/2, and a key check that answers 401 as gateways do.
struct Nginx {
    _peer: Peer,
    endpoint: Endpoint,
    authority: PathBuf,
    _folder: TempDir,
}

fn nginx(tap: &Tap) -> Option<Nginx> {
    let Some(program) = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        return missing("no nginx; Debian's package nginx-light has it");
    };
    let folder = tempfile::tempdir().unwrap();
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, "Front Root");
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, root.self_signed(&root_key).unwrap().pem()).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap();
    fs::write(folder.path().join("leaf.pem"), leaf.pem()).unwrap();
    fs::write(folder.path().join("leaf.key"), leaf_key.serialize_pem()).unwrap();
    let port = free_port();
    let configuration = format!(
        r#"daemon off; master_process off; pid {at}/pid; error_log stderr;
        events {{}}
        http {{
            access_log off; client_max_body_size 16m;
            client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
            uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
            server {{
                listen 127.0.0.1:{port} ssl http2;
                ssl_certificate {at}/leaf.pem; ssl_certificate_key {at}/leaf.key;
                if ($http_signoz_ingestion_key != "{KEY}") {{ return 401; }}
                location /opentelemetry.proto.collector {{ grpc_pass grpc://127.0.0.1:{grpc}; }}
                location /v1/ {{ proxy_pass http://127.0.0.1:{http}; }}
            }}
        }}"#,
        at = folder.path().display(),
        grpc = tap.grpc_endpoint().port,
        http = tap.http_endpoint().port,
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let child = Command::new(program)
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(&file)
        .spawn()
        .unwrap();
    let mut peer = Peer(child);
    wait_for_port(port, &mut peer);
    Some(Nginx {
        _peer: peer,
        endpoint: format!("https://localhost:{port}").parse().unwrap(),
        authority,
        _folder: folder,
    })
}

impl Nginx {
    fn env(&self) -> BTreeMap<String, String> {
        let authority = self.authority.to_str().unwrap().to_owned();
        BTreeMap::from([("OTEL_EXPORTER_OTLP_CERTIFICATE".to_owned(), authority)])
    }
}

#[test]
fn the_probe_passes_a_real_gateway_and_calls_its_401_a_wrong_key() {
    let runtime = Runtime::new().unwrap();
    let tap = Tap::start(runtime.handle(), TapOptions::default()).unwrap();
    let Some(nginx) = nginx(&tap) else { return };
    for protocol in BOTH {
        let report = probe_it(&runtime, &nginx.endpoint, protocol, &key(KEY), nginx.env());
        assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
        assert!(
            report
                .stages
                .iter()
                .any(|stage| stage.name == "clock" && stage.outcome == Outcome::Pass),
            "{report:#?}"
        );
        let report = probe_it(&runtime, &nginx.endpoint, protocol, &key("bad-key"), nginx.env());
        assert_eq!(report.outcome, Outcome::Fail);
        assert!(report.detail.contains("refused the ingestion key (HTTP 401)"), "{}", report.detail);
        let report = probe_it(&runtime, &nginx.endpoint, protocol, &key(KEY), BTreeMap::new());
        assert!(report.detail.contains("`Front Root`, which is not trusted"), "{}", report.detail);
        let plain = format!("http://localhost:{}", nginx.endpoint.port).parse().unwrap();
        let report = probe_it(&runtime, &plain, protocol, &key(KEY), BTreeMap::new());
        assert!(report.detail.contains("expects TLS"), "{}", report.detail);
    }
    assert_eq!(tap.ledger().len(), 2);
    assert!(tap.ledger().spans().iter().all(|span| span.name == SPAN_NAME));
}

#[test]
fn python_exporters_and_forwarding_pass_a_real_gateway() {
    let runtime = Runtime::new().unwrap();
    let tap = Tap::start(runtime.handle(), TapOptions::default()).unwrap();
    let Some(nginx) = nginx(&tap) else { return };
    let mut sent = 0;
    for protocol in BOTH {
        let options = TapOptions {
            forward: Some(Forward {
                endpoint: nginx.endpoint.clone(),
                key: Some(key(KEY)),
                protocol,
                env: nginx.env(),
            }),
            ..TapOptions::default()
        };
        let front = Tap::start(runtime.handle(), options).unwrap();
        post(
            &front.http_endpoint(),
            "/v1/traces",
            &[PROTOBUF],
            &export(vec![span(1), span(2)]).encode_to_vec(),
        );
        sent += 2;
        assert!(tap.ledger().wait(LONG, |spans| spans.len() == sent), "{:?}", front.forwarded());
    }
    let Some(python) = python() else { return };
    let endpoint = nginx.endpoint.to_string();
    for protocol in BOTH {
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "signoz-ingestion-key=good-key"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", nginx.authority.to_str().unwrap()),
        ];
        let (_, said) = send_from_python(&python, protocol, 20, &env);
        sent += 20;
        assert_eq!(tap.ledger().len(), sent, "{protocol}: {said}");
    }
}

struct Rotel {
    peer: Peer,
    lines: mpsc::Receiver<String>,
    grpc: u16,
    http: u16,
}

fn rotel(arguments: &[&str]) -> Option<Rotel> {
    static ENVIRONMENT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(rotel_env).as_ref()?;
    let library = fs::read_dir(environment.join("lib")).unwrap().next().unwrap().unwrap().path();
    let program = library.join("site-packages/rotel/rotel-agent");
    let (grpc, http) = (free_port(), free_port());
    let mut child = Command::new(program)
        .arg("start")
        .args([
            "--otlp-grpc-endpoint",
            &format!("127.0.0.1:{grpc}"),
            "--otlp-http-endpoint",
            &format!("127.0.0.1:{http}"),
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stream = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stream.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut peer = Peer(child);
    wait_for_port(grpc, &mut peer);
    wait_for_port(http, &mut peer);
    Some(Rotel { peer, lines, grpc, http })
}

#[test]
fn rotel_takes_the_verification_span() {
    let arguments = [
        "--exporter",
        "blackhole",
        "--debug-log",
        "traces",
        "--debug-log-verbosity",
        "detailed",
    ];
    let Some(rotel) = rotel(&arguments) else { return };
    let runtime = Runtime::new().unwrap();
    for (protocol, port) in [(Protocol::Grpc, rotel.grpc), (Protocol::HttpProtobuf, rotel.http)] {
        let endpoint = format!("http://127.0.0.1:{port}").parse().unwrap();
        let report = probe_it(&runtime, &endpoint, protocol, &key(KEY), BTreeMap::new());
        assert_eq!(report.outcome, Outcome::Pass, "{report:#?}");
        let trace_id = report.trace_id.unwrap();
        let end = Instant::now() + LONG;
        let mut seen = Vec::new();
        while !seen.iter().any(|line: &String| line.contains(&trace_id)) {
            let left = end.saturating_duration_since(Instant::now());
            seen.push(
                rotel
                    .lines
                    .recv_timeout(left)
                    .unwrap_or_else(|_| panic!("{trace_id} is not in {seen:?}")),
            );
        }
        // The wrong port of a real receiver is named by its flag.
        let other = if protocol == Protocol::Grpc {
            Protocol::HttpProtobuf
        } else {
            Protocol::Grpc
        };
        let report = probe_it(&runtime, &endpoint, other, &key(KEY), BTreeMap::new());
        assert_eq!(report.outcome, Outcome::Fail, "{report:#?}");
        let flag = format!("--protocol {protocol}");
        assert!(report.remedy.as_ref().is_some_and(|remedy| remedy.contains(&flag)), "{report:#?}");
    }
    drop(rotel.peer);
}

#[test]
fn rotel_sends_to_the_receiver() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let options = TapOptions {
            required_key: Some(key(KEY)),
            ..TapOptions::default()
        };
        let tap = Tap::start(runtime.handle(), options).unwrap();
        let endpoint = tap.endpoint(protocol).to_string();
        let name = if protocol == Protocol::Grpc { "grpc" } else { "http" };
        let arguments = [
            "--exporter",
            "otlp",
            "--otlp-exporter-endpoint",
            &endpoint,
            "--otlp-exporter-protocol",
            name,
            "--otlp-exporter-custom-headers",
            "signoz-ingestion-key=good-key",
        ];
        let Some(rotel) = rotel(&arguments) else { return };
        let front = format!("http://127.0.0.1:{}", rotel.http).parse().unwrap();
        let message = export((1..=50).map(span).collect()).encode_to_vec();
        assert_eq!(post(&front, "/v1/traces", &[PROTOBUF], &message).0, 200);
        assert!(tap.ledger().wait(LONG, |spans| spans.len() == 50), "{:?}", tap.ledger().totals());
        assert_eq!(tap.ledger().totals().copies, 0);
        if cfg!(target_os = "linux") {
            assert_eq!(
                tap.ledger().by_process().keys().copied().collect::<Vec<_>>(),
                [Some(rotel.peer.0.id())]
            );
        }
    }
}
