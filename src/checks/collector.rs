//! Checks on a collector: its configuration, and whether it is the one that listens where the app sends.

mod config;
mod live;

use super::{Check, Family, ROW, Severity, page};

const CONFIG: Check = Check {
    family: Family::Collector,
    doc: "https://signoz.io/docs/opentelemetry-collection-agents/vm/install/",
    spared: config::spared,
    ..ROW
};

const LIVE: Check = Check {
    family: Family::Collector,
    doc: "https://signoz.io/docs/opentelemetry-collection-agents/vm/install/",
    spared: live::spared,
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "collector.config-readable",
        title: "the collector's configuration is valid YAML",
        why: "a collector does not start with a configuration that it cannot read, and every span that is sent to it is lost",
        remedy: "mend the line that the parser names",
        page: page!("collector.config-readable"),
        covers: &["F14"],
        spared: config::spared_unless_found,
        run: config::readable,
        ..CONFIG
    },
    Check {
        id: "collector.detectors",
        title: "the collector's resource detectors exist and have what they need",
        why: "an unknown detector stops the collector at the start, and one without its socket or service stops it or fills its log",
        remedy: "write `detectors: [env, system]`",
        page: page!("collector.detectors"),
        covers: &["F09", "F10"],
        run: config::detectors,
        ..CONFIG
    },
    Check {
        id: "collector.removed-keys",
        title: "the collector's configuration has no key that newer collectors refuse",
        why: "a collector does not start with a key that it no longer knows",
        remedy: "write the key's successor",
        page: page!("collector.removed-keys"),
        covers: &["F11"],
        run: config::removed_keys,
        ..CONFIG
    },
    Check {
        id: "collector.exporter-endpoint",
        title: "the collector's exporter has an endpoint of its own form",
        why: "an endpoint of the other exporter's form leads to nothing: the collector receives spans and cannot hand them on",
        remedy: "write `otlphttp` with `https://ingest.<region>.signoz.cloud:443`, or `otlp` with `ingest.<region>.signoz.cloud:443`",
        page: page!("collector.exporter-endpoint"),
        covers: &["F12"],
        run: config::exporter_endpoint,
        ..CONFIG
    },
    Check {
        id: "collector.exporter-tls",
        title: "the collector encrypts towards SigNoz Cloud, and only where the other end does",
        why: "plain text to an encrypted port, or the reverse, ends every export in a connection error",
        remedy: "remove `insecure: true` for SigNoz Cloud; write it for a receiver without TLS",
        page: page!("collector.exporter-tls"),
        covers: &["F05", "F12"],
        run: config::exporter_tls,
        ..CONFIG
    },
    Check {
        id: "collector.key-header",
        title: "the collector sends the ingestion key in its own header",
        why: "without the key SigNoz answers 401 to the collector; the app never hears of it",
        remedy: "write `headers: {signoz-ingestion-key: ${env:SIGNOZ_INGESTION_KEY}}` below the exporter",
        page: page!("collector.key-header"),
        covers: &["F13"],
        run: config::key_header,
        ..CONFIG
    },
    Check {
        id: "collector.pipelines",
        title: "the collector's traces pipeline leads from an OTLP receiver to an exporter",
        why: "a pipeline that lacks a part, or names one that is not defined, stops the collector or swallows the spans",
        remedy: "list a defined receiver and a defined exporter below `service.pipelines.traces`",
        page: page!("collector.pipelines"),
        covers: &["F14"],
        run: config::pipelines,
        ..CONFIG
    },
    Check {
        id: "collector.receiver-address",
        title: "a collector in a container listens to more than its own localhost",
        why: "other containers and pods are refused when the receiver listens on localhost, which is the default",
        remedy: "write `endpoint: 0.0.0.0:4317` below the receiver",
        page: page!("collector.receiver-address"),
        covers: &["F16"],
        spared: config::spared_outside_containers,
        run: config::receiver_address,
        ..CONFIG
    },
    Check {
        id: "collector.proxy",
        title: "the running collector's proxy variables leave local targets out",
        why: "a collector under `HTTPS_PROXY` sends even its neighbours' spans through the proxy, which refuses or loses them",
        remedy: "add the target's host to `NO_PROXY` of the collector",
        doc: "https://opentelemetry.io/docs/collector/configuration/",
        page: page!("collector.proxy"),
        covers: &["F17"],
        severity: Severity::Error,
        spared: live::spared_without_process,
        run: live::proxy,
        ..LIVE
    },
    Check {
        id: "collector.listening",
        title: "a receiver listens on this machine where the app sends",
        why: "when nothing listens, or another program holds the port, every export ends in `connection refused` or nonsense",
        remedy: "start the collector: `sudo systemctl restart otelcol-contrib`",
        page: page!("collector.listening"),
        covers: &["F15", "F25"],
        run: live::listening,
        ..LIVE
    },
    Check {
        id: "collector.answers-otlp",
        title: "what listens there is an OTLP receiver of the app's protocol",
        why: "a server of another kind, or of the other protocol, takes the connection and not the spans",
        remedy: "send gRPC to 4317 and http/protobuf to 4318",
        page: page!("collector.answers-otlp"),
        covers: &["F15"],
        needs: &["collector.listening"],
        network: true,
        run: live::answers,
        ..LIVE
    },
    Check {
        id: "collector.health",
        title: "the collector's health endpoint says that it is ready",
        why: "a collector that did not come up receives nothing",
        remedy: "read its log: `journalctl -u otelcol-contrib -n 50`",
        page: page!("collector.health"),
        covers: &["F10", "F11"],
        network: true,
        spared: live::spared_without_health,
        run: live::health,
        ..LIVE
    },
];
