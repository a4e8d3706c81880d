//! Checks on the way to the endpoint, stage by stage.

use super::{Check, Family, ROW, Severity, page, probe};

const NETWORK: Check = Check {
    family: Family::Network,
    doc: "https://signoz.io/docs/ingestion/signoz-cloud/troubleshooting/",
    network: true,
    spared: probe::no_endpoint,
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.dns",
        title: "the endpoint's name resolves (a verification span is sent)",
        why: "without an address nothing is sent, and the exporter only says UNAVAILABLE",
        remedy: "check the host in OTEL_EXPORTER_OTLP_ENDPOINT, and the resolver of this machine",
        page: page!("network.dns"),
        covers: &["E13"],
        run: |scene| probe::stage(scene, "dns", "ENDPOINT"),
        ..NETWORK
    },
    Check {
        id: "network.endpoint-reachable",
        title: "the endpoint's port, or the proxy's, answers",
        why: "a closed or filtered port loses every span, and the app takes a minute to exit",
        remedy: "start what should listen there, or open the way out to the endpoint's port",
        page: page!("network.endpoint-reachable"),
        needs: &["network.dns"],
        covers: &["D09", "E14", "E21", "E22"],
        run: |scene| probe::stage(scene, "tcp", "ENDPOINT"),
        ..NETWORK
    },
    Check {
        id: "network.proxy",
        title: "a proxy that the exporter obeys lets spans through",
        why: "a proxy that refuses the tunnel loses every span",
        remedy: "mend the proxy variable, or except the endpoint with `no_proxy`",
        page: page!("network.proxy"),
        run: |scene| probe::stage(scene, "proxy", "ENDPOINT"),
        ..NETWORK
    },
    Check {
        id: "network.tls",
        title: "the endpoint presents a certificate that the exporter trusts",
        why: "an untrusted certificate, or TLS spoken to a port without it, loses every span",
        remedy: "set `OTEL_EXPORTER_OTLP_CERTIFICATE=/path/to/ca.pem` in `.signoz/otel.env` to the authority's certificate",
        page: page!("network.tls"),
        needs: &["network.endpoint-reachable", "network.proxy"],
        covers: &["D11", "D12", "E17", "E18"],
        run: |scene| probe::stage(scene, "tls", "ENDPOINT"),
        ..NETWORK
    },
    Check {
        id: "network.http2",
        title: "the port speaks the transport that the exporter uses",
        why: "a gRPC exporter at an HTTP port, or the reverse, sends nothing",
        remedy: "use the port of the protocol (4317 for grpc, 4318 for http/protobuf), or the other protocol",
        page: page!("network.http2"),
        needs: &["network.endpoint-reachable", "network.proxy"],
        covers: &["D13", "E16"],
        run: |scene| probe::stage(scene, "http2", "ENDPOINT"),
        ..NETWORK
    },
    Check {
        id: "network.clock",
        title: "this machine's clock agrees with the endpoint's",
        why: "spans dated in the past or future are stored outside the time range that SigNoz shows",
        remedy: "set this machine's clock: `timedatectl set-ntp true`",
        page: page!("network.clock"),
        severity: Severity::Warning,
        needs: &["network.endpoint-reachable"],
        covers: &["E19", "G10"],
        run: |scene| probe::stage(scene, "clock", "ENDPOINT"),
        ..NETWORK
    },
];
