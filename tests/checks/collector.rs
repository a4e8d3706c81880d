//! Fixtures of the family `collector`.

use super::Fixture;
use super::lab::{CANARY, Lab};
use signoz_setup::domain::{Outcome, Protocol};
use signoz_setup::tap::{Tap, TapOptions};
use std::io::{Read, Write};
use std::net::TcpListener;

const GOOD: &str = "receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
      http:
        endpoint: 0.0.0.0:4318
processors:
  batch: {}
  resourcedetection:
    detectors: [env, system]
exporters:
  otlphttp:
    endpoint: https://ingest.eu.signoz.cloud:443
    headers:
      signoz-ingestion-key: canary-6f1e-4a52-9b0c
extensions:
  health_check:
    endpoint: localhost:13133
service:
  extensions: [health_check]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [resourcedetection, batch]
      exporters: [otlphttp]
";

const COMPOSE: &str = "services:
  otel-collector:
    image: otel/opentelemetry-collector-contrib:0.139.0
    volumes:
      - ./otel-collector-config.yaml:/etc/otelcol-contrib/config.yaml
";

fn good(lab: &mut Lab) {
    lab.machine_file("/etc/otelcol-contrib/config.yaml", GOOD);
}

fn with(lab: &Lab, from: &str, to: &str) {
    assert!(GOOD.contains(from), "{from}");
    lab.file("otel-collector-config.yaml", &GOOD.replace(from, to));
}

/// A server on this machine that answers every connection with the same bytes.
fn server(lab: &mut Lab, answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut seen = [0; 4096];
            let count = stream.read(&mut seen).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&seen[..count]).contains(CANARY), "the key was sent");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    lab.offline = false;
    port
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

fn sends_to(lab: &Lab, port: u16) {
    lab.otel("OTEL_EXPORTER_OTLP_ENDPOINT", Some(&format!("http://127.0.0.1:{port}")));
    lab.otel("OTEL_EXPORTER_OTLP_PROTOCOL", Some("http/protobuf"));
}

/// A port of this machine that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "collector.config-readable",
        pass: good,
        fail: |lab| with(lab, "  batch: {}", "  batch: {\n\t}"),
        says: "otelcol-contrib validate --config otel-collector-config.yaml",
    },
    Fixture {
        id: "collector.detectors",
        pass: good,
        fail: |lab| with(lab, "[env, system]", "[env, host, system]"),
        says: "invalid detector key: host",
    },
    Fixture {
        id: "collector.removed-keys",
        pass: good,
        fail: |lab| {
            with(
                lab,
                "service:\n",
                "service:\n  telemetry:\n    metrics:\n      address: 0.0.0.0:8888\n",
            )
        },
        says: "otel-collector-config.yaml:23",
    },
    Fixture {
        id: "collector.exporter-endpoint",
        pass: good,
        fail: |lab| with(lab, "signoz.cloud:443", "signoz.cloud:443/v1/traces"),
        says: "write `endpoint: https://ingest.eu.signoz.cloud:443`",
    },
    Fixture {
        id: "collector.exporter-tls",
        pass: good,
        fail: |lab| {
            with(
                lab,
                "  otlphttp:\n    endpoint: https://ingest.eu.signoz.cloud:443\n",
                "  otlp:\n    endpoint: ingest.eu.signoz.cloud:443\n    tls:\n      insecure: true\n",
            )
        },
        says: "write `insecure: false`",
    },
    Fixture {
        id: "collector.key-header",
        pass: good,
        fail: |lab| with(lab, "    headers:\n      signoz-ingestion-key: canary-6f1e-4a52-9b0c\n", ""),
        says: "sends no `signoz-ingestion-key`",
    },
    Fixture {
        id: "collector.pipelines",
        pass: good,
        fail: |lab| with(lab, "exporters: [otlphttp]", "exporters: [otlp]"),
        says: "names `otlp`, which is not defined below `exporters:`",
    },
    Fixture {
        id: "collector.receiver-address",
        pass: |lab| {
            lab.file("compose.yaml", COMPOSE);
            lab.file("otel-collector-config.yaml", GOOD);
        },
        fail: |lab| {
            lab.file("compose.yaml", COMPOSE);
            with(lab, "0.0.0.0:4317", "localhost:4317");
        },
        says: "write `endpoint: 0.0.0.0:4317`",
    },
    Fixture {
        id: "collector.proxy",
        pass: |lab| {
            good(lab);
            lab.process(77, 1, &["/usr/bin/otelcol-contrib"], &[("HTTPS_PROXY", "http://proxy:3128")]);
        },
        fail: |lab| {
            lab.machine_file(
                "/etc/otelcol-contrib/config.yaml",
                &GOOD.replace("https://ingest.eu.signoz.cloud:443", "http://signoz.internal:4318"),
            );
            lab.process(77, 1, &["/usr/bin/otelcol-contrib"], &[("HTTPS_PROXY", "http://proxy:3128")]);
        },
        says: "NO_PROXY=signoz.internal",
    },
    Fixture {
        id: "collector.listening",
        pass: |lab| {
            let port = server(lab, OK);
            sends_to(lab, port);
        },
        fail: |lab| sends_to(lab, free_port()),
        says: "sudo systemctl restart otelcol-contrib",
    },
    Fixture {
        id: "collector.answers-otlp",
        pass: |lab| {
            let port = server(lab, OK);
            sends_to(lab, port);
        },
        fail: |lab| {
            let port = server(lab, NOT_FOUND);
            sends_to(lab, port);
        },
        says: "it answers 404 to `/v1/traces`",
    },
    Fixture {
        id: "collector.health",
        pass: |lab| {
            let port = server(lab, OK);
            let text = GOOD.replace("localhost:13133", &format!("localhost:{port}"));
            lab.machine_file("/etc/otelcol-contrib/config.yaml", &text);
        },
        fail: |lab| {
            lab.offline = false;
            let text = GOOD.replace("localhost:13133", &format!("localhost:{}", free_port()));
            lab.machine_file("/etc/otelcol-contrib/config.yaml", &text);
        },
        says: "journalctl -u otelcol-contrib",
    },
];

/// Each way to break the configuration is named by its own check, and by that one alone.
#[test]
fn other_breakages_of_a_configuration() {
    let cases = [
        (
            "collector.removed-keys",
            "exporters:\n  otlphttp:",
            "exporters:\n  logging: {}\n  otlphttp:",
            "write `debug` instead of `logging`",
        ),
        ("collector.detectors", "[env, system]", "[env, system, k8snode]", "needs a cluster"),
        ("collector.detectors", "[env, system]", "[env, system, docker]", "docker.sock"),
        (
            "collector.exporter-endpoint",
            "https://ingest.eu.",
            "ingest.eu.",
            "endpoint: https://ingest.eu.signoz.cloud:443",
        ),
        (
            "collector.exporter-tls",
            "https://ingest.eu.",
            "http://ingest.eu.",
            "takes TLS only",
        ),
        (
            "collector.key-header",
            "canary-6f1e-4a52-9b0c",
            "\"'canary-6f1e-4a52-9b0c'\"",
            "quotes inside",
        ),
        (
            "collector.key-header",
            "canary-6f1e-4a52-9b0c",
            "<your-ingestion-key>",
            "placeholder",
        ),
        (
            "collector.key-header",
            "canary-6f1e-4a52-9b0c",
            "$SIGNOZ_INGESTION_KEY",
            "without braces",
        ),
        (
            "collector.key-header",
            "signoz-ingestion-key",
            "signoz-ingest-key",
            "sends no `signoz-ingestion-key`",
        ),
        ("collector.pipelines", "    traces:\n", "    metrics:\n", "no traces pipeline"),
        ("collector.pipelines", "      receivers: [otlp]\n", "", "has no receivers"),
        ("collector.pipelines", "exporters: [otlphttp]", "exporters: []", "has no exporters"),
    ];
    for (id, from, to, says) in cases {
        let lab = Lab::new();
        with(&lab, from, to);
        let bad: Vec<_> = lab
            .check(&["collector"])
            .into_iter()
            .filter(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip))
            .collect();
        assert_eq!(bad.len(), 1, "{id} `{to}`: {bad:#?}");
        assert_eq!(bad[0].id, id);
        assert!(format!("{} {}", bad[0].detail, bad[0].remedy).contains(says), "{:#?}", bad[0]);
    }
}

/// Complaints of this family: a key that stands in a configuration is the matter of another one.
fn complaints(lab: &Lab) -> Vec<signoz_setup::domain::report::Finding> {
    let bad = |finding: &signoz_setup::domain::report::Finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip);
    lab.check(&["collector"]).into_iter().filter(bad).collect()
}

#[test]
fn sound_configurations_have_no_complaint() {
    let grpc = GOOD
        .replace("  otlphttp:\n    endpoint: https://", "  otlp/signoz:\n    endpoint: ")
        .replace("[otlphttp]", "[otlp/signoz]");
    let variables = GOOD
        .replace("https://ingest.eu.signoz.cloud:443", "${env:OTEL_EXPORTER_OTLP_ENDPOINT}")
        .replace(CANARY, "${env:SIGNOZ_INGESTION_KEY}");
    let old = GOOD.replace("service:\n", "service:\n  telemetry:\n    metrics:\n      address: 0.0.0.0:8888\n");
    for text in [GOOD, &grpc, &variables] {
        let mut lab = Lab::new();
        lab.file("otel-collector-config.yaml", text);
        good(&mut lab);
        assert!(complaints(&lab).is_empty(), "{text}: {:#?}", complaints(&lab));
    }
    // Metrics alone; an address that the operator fills in.
    let lab = Lab::new();
    lab.file(
        "agent.yaml",
        "receivers:\n  hostmetrics: {}\nexporters:\n  debug: {}\nservice:\n  pipelines:\n    metrics:\n      receivers: [hostmetrics]\n      exporters: [debug]\n",
    );
    let indented: String = GOOD
        .replace("        endpoint: 0.0.0.0:4317\n", "")
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    lab.file(
        "k8s/collector.yaml",
        &format!(
            "apiVersion: opentelemetry.io/v1beta1\nkind: OpenTelemetryCollector\nmetadata: {{name: agent}}\nspec:\n  config:\n{indented}"
        ),
    );
    assert!(complaints(&lab).is_empty(), "{:#?}", complaints(&lab));
    // A release that still knew the key.
    let lab = Lab::new();
    lab.file("compose.yaml", &COMPOSE.replace("0.139.0", "0.116.0"));
    lab.file("otel-collector-config.yaml", &old);
    assert!(complaints(&lab).is_empty(), "{:#?}", complaints(&lab));
}

#[test]
fn a_container_that_does_not_publish_the_port_is_told_so() {
    let lab = Lab::new();
    let port = free_port();
    sends_to(&lab, port);
    lab.file("compose.yaml", COMPOSE);
    let finding = lab.finding("collector.listening");
    assert!(finding.remedy.contains(&format!("ports: [\"{port}:{port}\"]")), "{finding:#?}");
}

#[test]
fn a_grpc_app_at_an_http_server_is_told_so() {
    let mut lab = Lab::new();
    let port = server(&mut lab, NOT_FOUND);
    lab.otel("OTEL_EXPORTER_OTLP_ENDPOINT", Some(&format!("http://127.0.0.1:{port}")));
    let finding = lab.finding("collector.answers-otlp");
    assert_eq!(finding.outcome, Outcome::Fail, "{finding:#?}");
    assert!(finding.detail.contains("no OTLP receiver for grpc"), "{finding:#?}");
}

/// A process that is stopped when the test ends.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn another_tracing_system_on_the_port_is_named() {
    use std::io::BufRead;
    use std::os::unix::process::CommandExt;
    let program = "import socket,sys\ns=socket.create_server(('127.0.0.1',0))\nprint(s.getsockname()[1],flush=True)\nsys.stdin.read()";
    // The interpreter itself: a wrapper around it would give it a name of its own.
    let real = std::process::Command::new("python3")
        .args(["-c", "import os,sys; print(os.path.realpath(sys.executable))"])
        .output()
        .unwrap();
    let mut child = std::process::Command::new(String::from_utf8(real.stdout).unwrap().trim())
        .arg0("jaeger-all-in-one")
        .args(["-c", program])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .map(Child)
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let lab = Lab::new();
    sends_to(&lab, line.trim().parse().unwrap());
    let finding = lab.finding("collector.listening");
    assert_eq!(finding.outcome, Outcome::Fail, "{finding:#?}");
    assert!(finding.detail.contains("held by `jaeger-all-in-one`"), "{finding:#?}");
}

#[test]
fn real_receivers_of_both_protocols_are_known() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let mut lab = Lab::new();
        lab.offline = false;
        let tap = Tap::start(&lab.system().runtime, TapOptions::default()).unwrap();
        lab.otel("OTEL_EXPORTER_OTLP_ENDPOINT", Some(&tap.endpoint(protocol).to_string()));
        lab.otel("OTEL_EXPORTER_OTLP_PROTOCOL", Some(&protocol.to_string()));
        let finding = lab.finding("collector.answers-otlp");
        assert_eq!(finding.outcome, Outcome::Pass, "{finding:#?}");
        tap.stop();
    }
}
