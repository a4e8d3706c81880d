//! Reads an app's log: lines that OpenTelemetry, the exporters and the servers print when spans do not leave, and what each
//! means. May never show a line without blotting out its secrets: the SDK prints a malformed header with the key in it.

use super::{Check, Failure, Family, ROW, Scene, Verdict, page};
use crate::domain::detection::Evidence;

/// A known line.
pub struct Message {
    /// What stands in it, all of these.
    pub says: &'static [&'static str],
    /// Entries of the catalogue of failure modes.
    pub entries: &'static [&'static str],
    /// What it means, one clause.
    pub means: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Harmless: said, and not a failure.
    pub harmless: bool,
    /// The line may hold the key with nothing that tells it from other words: only the message's own words are shown.
    pub bears_key: bool,
}

const fn message(says: &'static [&'static str], entries: &'static [&'static str], means: &'static str, remedy: &'static str) -> Message {
    Message {
        says,
        entries,
        means,
        remedy,
        harmless: false,
        bears_key: false,
    }
}

/// Particular lines stand before general ones: the first that fits is taken.
pub const MESSAGES: &[Message] = &[
    message(
        &["No module named 'pkg_resources'"],
        &["A01"],
        "the installed release imports pkg_resources, which setuptools 82 no longer has",
        "install `setuptools<81` into the app's environment, or run `signoz-setup` again",
    ),
    message(
        &["Descriptors cannot be created directly"],
        &["A11"],
        "the installed protobuf does not fit the exporter's generated code",
        "run `signoz-setup --check --only packages`: it names the versions that do not fit",
    ),
    message(
        &["cannot import name 'initialize'"],
        &["C04"],
        "a gunicorn hook imports `initialize`, which releases before 0.52b0 do not have",
        "remove the hook: `.signoz/gunicorn.conf.py` does its work",
    ),
    message(
        &["cannot import name 'std_to_otel'"],
        &["A14", "B06"],
        "OpenTelemetry packages of different releases are installed side by side",
        "run `signoz-setup --check --only packages`, or `signoz-setup` again: it installs one release",
    ),
    message(
        &["is available but version", "Skipping"],
        &["B01", "B02", "B05"],
        "a library's version is outside the range of its instrumentation: it is not traced",
        "run `signoz-setup` with `--instrumentation current`",
    ),
    message(
        &["DependencyConflict"],
        &["B01", "B02", "B05"],
        "a library's version is outside the range of its instrumentation: it is not traced",
        "run `signoz-setup` with `--instrumentation current`",
    ),
    message(
        &["Requested component 'otlp_proto_grpc' not found in entry point"],
        &["B07"],
        "the gRPC exporter is not installed",
        "install `opentelemetry-exporter-otlp`, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ),
    message(
        &["not found in entry point"],
        &["D20"],
        "OTEL_TRACES_EXPORTER names an exporter that is not installed",
        "set OTEL_TRACES_EXPORTER=otlp",
    ),
    message(
        &["execv: path should be string"],
        &["B14"],
        "opentelemetry-instrument was given a command that is not on PATH, or one quoted string",
        "start the app with `.signoz/run.sh`, its words apart",
    ),
    message(
        &["You must set settings.ALLOWED_HOSTS"],
        &["B22"],
        "the Django instrumentation read the settings before manage.py named them",
        "set DJANGO_SETTINGS_MODULE where the app is started; `.signoz/run.sh` does",
    ),
    message(
        &["has no attribute 'ROOT_URLCONF'"],
        &["B22"],
        "the Django instrumentation read the settings before manage.py named them",
        "set DJANGO_SETTINGS_MODULE where the app is started; `.signoz/run.sh` does",
    ),
    message(
        &["Overriding of current TracerProvider is not allowed"],
        &["B19", "C02", "C13"],
        "the app or a worker hook sets a tracer provider beside the one that is there: spans may be sent twice",
        "remove the hook, or the app's own set-up of tracing",
    ),
    message(
        &["Worker failed to boot"],
        &["C04"],
        "a gunicorn worker ended while it started",
        "see the lines before it: the first traceback is the reason",
    ),
    Message {
        harmless: true,
        ..message(
            &["Monkey-patching ssl after ssl has already been imported"],
            &["C19"],
            "gevent patched ssl after an exporter had imported it",
            "start the app with `.signoz/run.sh`, whose loader lets gevent go first",
        )
    },
    message(
        &["skipping fork() handlers"],
        &["C21"],
        "gRPC was in use while the process forked",
        "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or start with `.signoz/run.sh`, which gives each worker a channel of its own",
    ),
    Message {
        bears_key: true,
        ..message(
            &["Header format invalid"],
            &["D03"],
            "OTEL_EXPORTER_OTLP_HEADERS is malformed, and that line holds the key: scrub the log",
            "write `signoz-ingestion-key=KEY`, without quotes, colon or spaces",
        )
    },
    Message {
        bears_key: true,
        ..message(
            &["Illegal header key"],
            &["D02"],
            "quotes have become part of OTEL_EXPORTER_OTLP_HEADERS",
            "remove the quotes around the value",
        )
    },
    message(
        &["InvalidSchema", "No connection adapters were found"],
        &["D10"],
        "the endpoint has no scheme",
        "write `https://` (TLS) or `http://` in front of it",
    ),
    message(
        &["WRONG_VERSION_NUMBER"],
        &["D12", "D10"],
        "TLS is spoken to a port that speaks plain text",
        "use `http://` for a local collector, `https://` for SigNoz Cloud",
    ),
    message(
        &["BadStatusLine('\\x00"],
        &["D13"],
        "HTTP is spoken to a gRPC port",
        "use port 4318 with http/protobuf, 4317 with grpc",
    ),
    message(
        &["Unsupported OTLP protocol"],
        &["D14"],
        "OTEL_EXPORTER_OTLP_PROTOCOL is not one that the SDK knows",
        "set it to `grpc` or `http/protobuf`",
    ),
    message(
        &["Failed to auto initialize"],
        &["B06"],
        "one instrumentation failed to start, and tracing with it",
        "see the traceback before it, and name that one in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    ),
    message(
        &["UNAUTHENTICATED"],
        &["E01"],
        "the endpoint refused the key",
        "copy the key again from SigNoz, Settings, Ingestion, and run `signoz-setup --ingestion-key-file FILE`",
    ),
    message(
        &["code: 401"],
        &["E01"],
        "the endpoint refused the key",
        "copy the key again from SigNoz, Settings, Ingestion, and run `signoz-setup --ingestion-key-file FILE`",
    ),
    message(
        &["PERMISSION_DENIED"],
        &["E02"],
        "the endpoint does not let the key in",
        "copy the key again from SigNoz, Settings, Ingestion; it belongs to one region",
    ),
    message(
        &["code: 403"],
        &["E02"],
        "the endpoint does not let the key in",
        "copy the key again from SigNoz, Settings, Ingestion; it belongs to one region",
    ),
    message(
        &["code: 404"],
        &["E03", "D15", "D16", "D17"],
        "the endpoint has nothing at that path",
        "give scheme, host and port only; exporters append /v1/traces themselves",
    ),
    message(
        &["StatusCode.NOT_FOUND"],
        &["E03"],
        "the endpoint has nothing there, or does not know the key",
        "check region and endpoint: `signoz-setup --check --only network,ingest`",
    ),
    message(
        &["StatusCode.UNIMPLEMENTED"],
        &["E03"],
        "what answers there is not an OTLP receiver",
        "check the endpoint: `signoz-setup --check --only network,ingest`",
    ),
    message(
        &["code: 413"],
        &["E11"],
        "a batch of spans is too large for the endpoint",
        "lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE (512 is the default)",
    ),
    message(
        &["code: 429"],
        &["E10"],
        "the key's limit is used up",
        "raise the limit in SigNoz, Settings, Ingestion, or wait until its window is over",
    ),
    message(
        &["RESOURCE_EXHAUSTED"],
        &["E11", "E10"],
        "a batch is too large, or the key's limit is used up",
        "look at the key's limits in SigNoz, and lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    ),
    Message {
        harmless: true,
        ..message(
            &["connection is draining"],
            &["E12"],
            "the gateway moved the connection; the exporter tries again by itself",
            "nothing to do when it happens a few times a day",
        )
    },
    message(
        &["via HTTP proxy"],
        &["E15"],
        "gRPC goes through a proxy of the environment",
        "set `no_proxy` for that host, or use http/protobuf",
    ),
    message(
        &["CERTIFICATE_VERIFY_FAILED"],
        &["E17"],
        "the endpoint's certificate is not trusted: a proxy opens TLS, or the CA is your own",
        "set OTEL_EXPORTER_OTLP_CERTIFICATE to the CA's file",
    ),
    message(
        &["Transient error StatusCode.UNAVAILABLE"],
        &["D09", "D11", "D13", "E13", "E14", "E16", "E21"],
        "the exporter does not reach the endpoint",
        "run `signoz-setup --check --only network`: it names the stage that fails",
    ),
    message(
        &["StatusCode.DEADLINE_EXCEEDED"],
        &["E23"],
        "the endpoint answered too late",
        "raise OTEL_EXPORTER_OTLP_TIMEOUT (seconds; 10 is the default), or send to a collector nearby",
    ),
    message(
        &["Invalid key value resource attribute pair"],
        &["D26"],
        "OTEL_RESOURCE_ATTRIBUTES is malformed",
        "write `name=value,name=value`, values percent-encoded",
    ),
    message(
        &["Queue is full, likely spans will be dropped"],
        &["H02"],
        "spans are made faster than they are sent: some are dropped",
        "raise OTEL_BSP_MAX_QUEUE_SIZE, or sample",
    ),
    message(
        &["Queue full, dropping"],
        &["H02"],
        "spans are made faster than they are sent: some are dropped",
        "raise OTEL_BSP_MAX_QUEUE_SIZE, or sample",
    ),
    message(
        &["invalid detector key"],
        &["F09"],
        "the collector's configuration names a resource detector that does not exist",
        "write `detectors: [env, system]`",
    ),
    Message {
        harmless: true,
        ..message(
            &["can't create new thread at interpreter shutdown"],
            &["H01"],
            "a race at the end of the process, after the spans were sent",
            "nothing to do",
        )
    },
];

/// The first known message that a line holds.
#[must_use]
pub fn recognise(line: &str) -> Option<&'static Message> {
    MESSAGES
        .iter()
        .find(|message| message.says.iter().all(|words| line.contains(words)))
}

/// The row of the log.
pub(super) const CHECK: Check = Check {
    id: "process.log-messages",
    family: Family::Process,
    title: "the app's log holds no line that says why spans do not leave",
    why: "the SDK and the exporters say once, in a log that nobody reads, why nothing arrives",
    remedy: "do what the line's meaning asks for",
    doc: "https://opentelemetry.io/docs/zero-code/python/troubleshooting/",
    page: page!("process.log-messages"),
    covers: &[
        "A01", "A11", "A14", "B01", "B02", "B05", "B06", "B07", "B14", "B19", "B22", "C02", "C04", "C13", "C19", "C21", "D02", "D03",
        "D09", "D10", "D11", "D12", "D13", "D14", "D15", "D16", "D17", "D20", "D26", "E01", "E02", "E03", "E10", "E11", "E12", "E13",
        "E14", "E15", "E16", "E17", "E21", "E23", "F09", "H01", "H02",
    ],
    spared: |scene| scene.log.is_empty().then_some("no log was given (--log FILE)"),
    run: read,
    ..ROW
};

fn read(scene: &Scene<'_>) -> Verdict {
    let known: Vec<(&Evidence, &Message)> = scene.log.iter().filter_map(|line| Some((line, recognise(&line.fact)?))).collect();
    let Some((_, worst)) = known.iter().find(|(_, message)| !message.harmless).or(known.first()) else {
        return Verdict::Pass(format!("{} lines, none of them a known complaint", scene.log.len()));
    };
    let mut means: Vec<&str> = Vec::new();
    let mut remedies: Vec<&str> = Vec::new();
    let mut evidence: Vec<Evidence> = Vec::new();
    for (line, message) in &known {
        if !means.contains(&message.means) {
            means.push(message.means);
            // One line of each kind shows where to look.
            let shown = if message.bears_key {
                message.says.join(" … ")
            } else {
                crate::detect::survey::masked_text(&line.fact)
            };
            evidence.push(Evidence::new(line.source.clone(), shown));
        }
        if !remedies.contains(&message.remedy) {
            remedies.push(message.remedy);
        }
    }
    let failure = Failure::new(means.join("; ")).remedy(remedies.join("; ")).because(evidence);
    if worst.harmless { failure.mild().into() } else { failure.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particular_lines_are_told_from_general_ones() {
        let entries = |line: &str| recognise(line).map(|message| message.entries);
        assert_eq!(
            entries("RuntimeError: Requested component 'otlp_proto_grpc' not found in entry point 'opentelemetry_traces_exporter'"),
            Some(&["B07"][..])
        );
        assert_eq!(
            entries("Requested component 'jaeger' not found in entry point 'opentelemetry_traces_exporter'"),
            Some(&["D20"][..])
        );
        assert_eq!(entries("all is well"), None);
    }

    #[test]
    fn no_message_hides_behind_an_earlier_one() {
        for (index, message) in MESSAGES.iter().enumerate() {
            let line = message.says.join(" ");
            let first = MESSAGES
                .iter()
                .position(|other| other.says.iter().all(|words| line.contains(words)));
            assert_eq!(first, Some(index), "{line}");
        }
    }
}
