//! Checks on manifests and charts.

mod chart;
mod operator;
mod pod;

use super::{Check, Family, ROW, Severity, page};

const OBJECTS: Check = Check {
    family: Family::Kubernetes,
    doc: "https://signoz.io/docs/opentelemetry-collection-agents/k8s/k8s-infra/configure-k8s-infra/",
    spared: |scene| scene.written().objects.is_empty().then_some("there is no Kubernetes manifest"),
    ..ROW
};

const CHART: Check = Check {
    family: Family::Kubernetes,
    doc: "https://signoz.io/docs/opentelemetry-collection-agents/k8s/k8s-infra/configure-k8s-infra/",
    spared: |scene| {
        scene
            .written()
            .values
            .is_empty()
            .then_some("there are no values of the chart k8s-infra")
    },
    ..ROW
};

const OPERATOR: Check = Check {
    doc: "https://signoz.io/docs/opentelemetry-collection-agents/k8s/otel-operator/install/",
    ..OBJECTS
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes.localhost-endpoint",
        title: "a pod does not send to its own localhost",
        why: "the agent runs on the node, not in the pod: at the pod's localhost nothing listens",
        remedy: "send to `http://$(HOST_IP):4317`, with `HOST_IP` from `status.hostIP`",
        page: page!("kubernetes.localhost-endpoint"),
        covers: &["F02"],
        run: pod::localhost,
        ..OBJECTS
    },
    Check {
        id: "kubernetes.variable-order",
        title: "a `$(NAME)` in a pod's variables is defined before it is used",
        why: "Kubernetes leaves `$(HOST_IP)` as it stands when it is defined later or elsewhere, and no host has that name",
        remedy: "move the definition above its use, in the same `env` list",
        doc: "https://signoz.io/docs/opentelemetry-collection-agents/k8s/k8s-infra/configure-k8s-infra/",
        page: page!("kubernetes.variable-order"),
        covers: &["F03"],
        run: pod::order,
        ..OBJECTS
    },
    Check {
        id: "kubernetes.pod-identity",
        title: "a pod with the node's network says which pod it is",
        why: "the agent knows a pod by its address; on the node's network it cannot, and spans lack every `k8s.*` attribute",
        remedy: "add `k8s.pod.uid=$(K8S_POD_UID)` to `OTEL_RESOURCE_ATTRIBUTES`",
        severity: Severity::Warning,
        page: page!("kubernetes.pod-identity"),
        covers: &["F08"],
        run: pod::identity,
        ..OBJECTS
    },
    Check {
        id: "kubernetes.secret-value",
        title: "the secret with the ingestion key has the name that is asked for and no trailing newline",
        why: "a newline is part of the key: the header is refused; a key of another name keeps the pod from starting",
        remedy: "make the secret anew: `kubectl create secret generic NAME --from-literal=KEY=<ingestion key>`",
        page: page!("kubernetes.secret-value"),
        covers: &["F26"],
        run: pod::secret,
        ..OBJECTS
    },
    Check {
        id: "kubernetes.chart-endpoint",
        title: "the chart's endpoint has the form that its exporter takes",
        why: "the HTTP exporter (usual since 0.16.0) needs a URL and the gRPC exporter before it a bare `host:port`",
        remedy: "write `otelCollectorEndpoint: https://ingest.<region>.signoz.cloud:443`",
        page: page!("kubernetes.chart-endpoint"),
        covers: &["F06", "F05"],
        run: chart::endpoint,
        ..CHART
    },
    Check {
        id: "kubernetes.chart-tls",
        title: "the chart encrypts towards SigNoz Cloud",
        why: "`otelInsecure` is true unless it is written down: the agent then sends plain text to an encrypted port",
        remedy: "write `otelInsecure: false`",
        page: page!("kubernetes.chart-tls"),
        covers: &["F05"],
        run: chart::tls,
        ..CHART
    },
    Check {
        id: "kubernetes.chart-key",
        title: "the chart has an ingestion key for SigNoz Cloud",
        why: "without a key SigNoz answers 401 to the agent, and the app never hears of it",
        remedy: "set `apiKeyExistingSecretName` and `apiKeyExistingSecretKey`, or `signozApiKey`",
        page: page!("kubernetes.chart-key"),
        covers: &["F05"],
        run: chart::key,
        ..CHART
    },
    Check {
        id: "kubernetes.chart-lists",
        title: "lists that the chart's values replace are complete",
        why: "Helm replaces a list as a whole: what the chart had in it is gone, and spans lose their `k8s.*` attributes",
        remedy: "repeat the chart's own entries in the list",
        severity: Severity::Warning,
        page: page!("kubernetes.chart-lists"),
        covers: &["F07"],
        run: chart::lists,
        ..CHART
    },
    Check {
        id: "kubernetes.node-port",
        title: "the agent listens on the node where pods send to the node",
        why: "on GKE Autopilot, or with the agent switched off, nothing listens at `HOST_IP`: every export is refused",
        remedy: "send to the agent's service: `http://<release>-k8s-infra-otel-agent.<namespace>.svc:4317`",
        page: page!("kubernetes.node-port"),
        covers: &["F04"],
        run: chart::node_port,
        ..CHART
    },
    Check {
        id: "kubernetes.annotation-place",
        title: "the operator's annotation stands on the pod template, in reach of an Instrumentation",
        why: "the operator looks at pods: an annotation of the Deployment itself, or one without an Instrumentation beside it, does nothing",
        remedy: "move the annotation to `spec.template.metadata.annotations`",
        page: page!("kubernetes.annotation-place"),
        covers: &["F21"],
        run: operator::annotation,
        ..OPERATOR
    },
    Check {
        id: "kubernetes.annotation-platform",
        title: "the operator injects the packages of the image's own C library",
        why: "the usual packages are built for glibc: on Alpine the app crashes or starts untraced",
        remedy: "add `instrumentation.opentelemetry.io/otel-python-platform: musl`",
        page: page!("kubernetes.annotation-platform"),
        covers: &["F22"],
        run: operator::platform,
        ..OPERATOR
    },
    Check {
        id: "kubernetes.operator-port",
        title: "the Instrumentation's endpoint is the port of its protocol",
        why: "the operator's Python packages send http/protobuf: at the gRPC port 4317 every export fails",
        remedy: "write port 4318",
        doc: "https://signoz.io/docs/opentelemetry-collection-agents/k8s/otel-operator/configure/",
        page: page!("kubernetes.operator-port"),
        covers: &["F23"],
        run: operator::port,
        ..OPERATOR
    },
    Check {
        id: "kubernetes.operator-metrics",
        title: "the Instrumentation says where metrics go",
        why: "metrics are exported unless that is switched off: a collector without a metrics pipeline fills the app's log with errors",
        remedy: "add `OTEL_METRICS_EXPORTER=none` below `spec.python.env`",
        severity: Severity::Warning,
        page: page!("kubernetes.operator-metrics"),
        covers: &["F24"],
        run: operator::metrics,
        ..OPERATOR
    },
];
