//! Fixtures of the family `kubernetes`.

use super::Fixture;
use super::lab::Lab;
use signoz_setup::domain::Outcome;

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  namespace: shop
spec:
  template:
    metadata:
      labels: {app: shop}
      annotations:
        instrumentation.opentelemetry.io/inject-python: \"true\"
    spec:
      containers:
        - name: shop
          image: registry.example/shop:1
          env:
            - name: HOST_IP
              valueFrom: {fieldRef: {fieldPath: status.hostIP}}
            - name: OTEL_EXPORTER_OTLP_ENDPOINT
              value: http://$(HOST_IP):4317
            - name: OTEL_RESOURCE_ATTRIBUTES
              value: service.name=shop
            - name: SIGNOZ_INGESTION_KEY
              valueFrom: {secretKeyRef: {name: signoz, key: ingestion-key}}
---
apiVersion: v1
kind: Secret
metadata:
  name: signoz
data:
  ingestion-key: Y2FuYXJ5LTZmMWUtNGE1Mi05YjBj
---
apiVersion: opentelemetry.io/v1alpha1
kind: Instrumentation
metadata:
  name: python
  namespace: shop
spec:
  exporter:
    endpoint: http://otel-collector-collector:4318
  python:
    env:
      - name: OTEL_METRICS_EXPORTER
        value: none
";

const VALUES: &str = "global:
  cloud: others
  clusterName: prod
otelCollectorEndpoint: https://ingest.eu.signoz.cloud:443
otelInsecure: false
signozApiKey: canary-6f1e-4a52-9b0c
presets:
  otlphttpExporter:
    enabled: true
";

fn good(lab: &mut Lab) {
    lab.file("k8s/shop.yaml", DEPLOYMENT);
    lab.file("override-values.yaml", VALUES);
    lab.file("Dockerfile", "FROM python:3.11-slim\nCMD [\"gunicorn\", \"app:app\"]\n");
}

fn manifest(lab: &Lab, from: &str, to: &str) {
    assert!(DEPLOYMENT.contains(from), "{from}");
    lab.file("k8s/shop.yaml", &DEPLOYMENT.replace(from, to));
}

fn values(lab: &Lab, from: &str, to: &str) {
    assert!(VALUES.contains(from), "{from}");
    lab.file("override-values.yaml", &VALUES.replace(from, to));
}

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "kubernetes.localhost-endpoint",
        pass: good,
        fail: |lab| manifest(lab, "http://$(HOST_IP):4317", "http://localhost:4317"),
        says: "write `value: http://$(HOST_IP):4317`",
    },
    Fixture {
        id: "kubernetes.variable-order",
        pass: good,
        fail: |lab| {
            manifest(
                lab,
                "            - name: HOST_IP\n              valueFrom: {fieldRef: {fieldPath: status.hostIP}}\n            - name: OTEL_EXPORTER_OTLP_ENDPOINT\n              value: http://$(HOST_IP):4317\n",
                "            - name: OTEL_EXPORTER_OTLP_ENDPOINT\n              value: http://$(HOST_IP):4317\n            - name: HOST_IP\n              valueFrom: {fieldRef: {fieldPath: status.hostIP}}\n",
            )
        },
        says: "move `HOST_IP` above `OTEL_EXPORTER_OTLP_ENDPOINT`",
    },
    Fixture {
        id: "kubernetes.pod-identity",
        pass: good,
        fail: |lab| manifest(lab, "      containers:\n", "      hostNetwork: true\n      containers:\n"),
        says: "k8s.pod.uid=$(K8S_POD_UID)",
    },
    Fixture {
        id: "kubernetes.secret-value",
        pass: good,
        fail: |lab| manifest(lab, "Y2FuYXJ5LTZmMWUtNGE1Mi05YjBj", "Y2FuYXJ5LTZmMWUtNGE1Mi05YjBjCg=="),
        says: "--from-literal=ingestion-key=",
    },
    Fixture {
        id: "kubernetes.chart-endpoint",
        pass: good,
        fail: |lab| values(lab, "https://ingest", "ingest"),
        says: "otelCollectorEndpoint: https://ingest.eu.signoz.cloud:443",
    },
    Fixture {
        id: "kubernetes.chart-tls",
        pass: good,
        fail: |lab| values(lab, "otelInsecure: false\n", ""),
        says: "write `otelInsecure: false`",
    },
    Fixture {
        id: "kubernetes.chart-key",
        pass: good,
        fail: |lab| values(lab, "canary-6f1e-4a52-9b0c", "\"\""),
        says: "`signozApiKey` is empty",
    },
    Fixture {
        id: "kubernetes.chart-lists",
        pass: good,
        fail: |lab| {
            values(
                lab,
                "presets:\n",
                "presets:\n  k8sAttributes:\n    podAssociation:\n      - sources:\n          - from: resource_attribute\n            name: k8s.pod.uid\n",
            )
        },
        says: "lacks k8s.pod.ip, connection",
    },
    Fixture {
        id: "kubernetes.node-port",
        pass: good,
        fail: |lab| {
            good(lab);
            values(lab, "cloud: others", "cloud: gcp/autogke");
        },
        says: "k8s/shop.yaml:20",
    },
    Fixture {
        id: "kubernetes.annotation-place",
        pass: good,
        fail: |lab| {
            manifest(
                lab,
                "  namespace: shop\nspec:\n  template:\n    metadata:\n      labels: {app: shop}\n      annotations:\n        instrumentation.opentelemetry.io/inject-python: \"true\"\n",
                "  namespace: shop\n  annotations:\n    instrumentation.opentelemetry.io/inject-python: \"true\"\nspec:\n  template:\n    metadata:\n      labels: {app: shop}\n",
            )
        },
        says: "spec.template.metadata.annotations",
    },
    Fixture {
        id: "kubernetes.annotation-platform",
        pass: good,
        fail: |lab| {
            good(lab);
            lab.file("Dockerfile", "FROM python:3.11-alpine\nCMD [\"gunicorn\", \"app:app\"]\n");
        },
        says: "otel-python-platform: musl",
    },
    Fixture {
        id: "kubernetes.operator-port",
        pass: good,
        fail: |lab| manifest(lab, "collector:4318", "collector:4317"),
        says: "http://otel-collector-collector:4318",
    },
    Fixture {
        id: "kubernetes.operator-metrics",
        pass: good,
        fail: |lab| manifest(lab, "OTEL_METRICS_EXPORTER", "OTEL_LOG_LEVEL"),
        says: "name: OTEL_METRICS_EXPORTER, value: none",
    },
];

fn fails(lab: &Lab, id: &str, says: &str) {
    let finding = lab.finding(id);
    assert!(matches!(finding.outcome, Outcome::Fail | Outcome::Warn), "{finding:#?}");
    assert!(format!("{} {}", finding.detail, finding.remedy).contains(says), "{finding:#?}");
}

fn complaints(lab: &Lab) -> Vec<signoz_setup::domain::report::Finding> {
    let mut findings = lab.check(&["kubernetes", "docker", "collector"]);
    findings.retain(|finding| !matches!(finding.outcome, Outcome::Pass | Outcome::Skip));
    findings
}

#[test]
fn other_breakages_of_manifests() {
    let lab = Lab::new();
    manifest(
        &lab,
        "        - name: shop\n          image",
        "        - name: shop\n          envFrom: [{configMapRef: {name: otel}}]\n          image",
    );
    lab.file(
        "k8s/config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: otel}\ndata:\n  OTEL_EXPORTER_OTLP_ENDPOINT: http://$(HOST_IP):4317\n",
    );
    fails(&lab, "kubernetes.variable-order", "k8s/config.yaml:5");

    let lab = Lab::new();
    manifest(&lab, "key: ingestion-key}", "key: key}");
    fails(&lab, "kubernetes.secret-value", "asks the secret `signoz` for `key`");

    let lab = Lab::new();
    manifest(
        &lab,
        "  name: python\n  namespace: shop",
        "  name: python\n  namespace: observability",
    );
    fails(&lab, "kubernetes.annotation-place", "\"observability/python\"");

    let lab = Lab::new();
    manifest(
        &lab,
        "data:\n  ingestion-key: Y2FuYXJ5LTZmMWUtNGE1Mi05YjBj\n",
        "stringData:\n  ingestion-key: |\n    canary-6f1e-4a52-9b0c\n",
    );
    fails(&lab, "kubernetes.secret-value", "ends in a newline");

    // A stage on a stage on Alpine.
    let lab = Lab::new();
    lab.file("k8s/shop.yaml", DEPLOYMENT);
    lab.file(
        "Dockerfile",
        "FROM python:3.11-alpine AS base\nFROM base\nCMD [\"gunicorn\", \"app:app\"]\n",
    );
    fails(&lab, "kubernetes.annotation-platform", "the image is Alpine");

    // A CronJob is looked at too.
    let lab = Lab::new();
    lab.file(
        "k8s/job.yaml",
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          containers:\n            - name: job\n              env:\n                - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: \"http://localhost:4318\"}\n",
    );
    fails(&lab, "kubernetes.localhost-endpoint", "http://$(HOST_IP):4318");
}

#[test]
fn other_breakages_of_values() {
    let lab = Lab::new();
    values(&lab, "presets:\n  otlphttpExporter:\n    enabled: true\n", "");
    lab.file(
        "deploy.sh",
        "helm upgrade --install infra signoz/k8s-infra --version 0.15.1 -f override-values.yaml\n",
    );
    fails(
        &lab,
        "kubernetes.chart-endpoint",
        "otelCollectorEndpoint: ingest.eu.signoz.cloud:443",
    );

    let lab = Lab::new();
    values(&lab, "otelInsecure: false", "otelInsecure: true");
    fails(&lab, "kubernetes.chart-tls", "override-values.yaml:5");

    let lab = Lab::new();
    values(&lab, "signozApiKey: canary-6f1e-4a52-9b0c", "apiKeyExistingSecretName: signoz");
    fails(&lab, "kubernetes.chart-key", "`apiKeyExistingSecretKey` is not");
}

#[test]
fn sound_manifests_have_no_complaint() {
    let mut lab = Lab::new();
    good(&mut lab);
    assert!(complaints(&lab).is_empty(), "{:#?}", complaints(&lab));

    // A collector in the pod; a self-hosted SigNoz; the gRPC form before 0.16.0; templates of a chart.
    let lab = Lab::new();
    manifest(
        &lab,
        "      containers:\n",
        "      containers:\n        - name: agent\n          image: otel/opentelemetry-collector-contrib:0.139.0\n",
    );
    lab.file(
        "override-values.yaml",
        "otelCollectorEndpoint: http://signoz.internal:4318\notelInsecure: true\npresets: {otlphttpExporter: {enabled: true}}\n",
    );
    lab.file(
        "chart/templates/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\n",
    );
    assert!(complaints(&lab).is_empty(), "{:#?}", complaints(&lab));

    let lab = Lab::new();
    lab.file(
        "values.yaml",
        "k8s-infra:\n  otelCollectorEndpoint: ingest.eu.signoz.cloud:443\n  otelInsecure: false\n  apiKeyExistingSecretName: signoz\n  apiKeyExistingSecretKey: key\n",
    );
    lab.file("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies:\n  - name: k8s-infra\n    version: 0.15.1\n    repository: https://charts.signoz.io\n");
    assert!(complaints(&lab).is_empty(), "{:#?}", complaints(&lab));
}
