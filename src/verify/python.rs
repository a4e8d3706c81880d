//! Level `python`: one span from the app's own interpreter, its installed SDK and exporter, and the environment that the
//! run script gives it.
//!
//! May never wait as long as the SDK does (a dead gRPC endpoint holds it for a minute): the probe has its own deadline.

use super::workers::{Receiver, exporting_to, output::clean};
use crate::domain::event::{Event, Observer};
use crate::domain::report::{Level, LevelReport, Outcome, Stage};
use crate::domain::target::Protocol;
use crate::error::{Error, Result};
use crate::system::{Invocation, System};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// What is to be probed.
#[derive(Debug, Clone)]
pub struct PythonRequest<'a> {
    /// Folder in which the app runs.
    pub directory: &'a Path,
    /// `.signoz/run.sh`.
    pub run_script: &'a Path,
    /// The app's interpreter.
    pub python: &'a Path,
    /// The transport that the app's exporter is told to use.
    pub protocol: Protocol,
    /// `service.name` that the span must carry; `None` to accept any.
    pub service_name: Option<&'a str>,
    /// The probe: prints one JSON line (`assets/templates/verify/verify_span.py`).
    pub script: &'a str,
    /// Instead of the configured endpoint; `None` for the real thing.
    pub receiver: Option<&'a Receiver>,
    /// How long the answer may take, start of the interpreter included.
    pub deadline: Duration,
}

/// What the probe prints.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    ok: bool,
    /// `import`, `configuration`, `exporter`, `rpc`, `http`, `export`, `time`, `script`.
    stage: Option<String>,
    error: Option<String>,
    /// gRPC code's name or HTTP status.
    status: Option<Value>,
    detail: Option<String>,
    endpoint: Option<String>,
    python: Option<String>,
    sdk_version: Option<String>,
    provider: Option<String>,
    initialised: Option<bool>,
    trace_id: Option<String>,
    service: Option<String>,
    rejected: Option<u64>,
    latency_ms: Option<u64>,
}

/// An answer that means something: where it comes from, what it says, what that means, what helps.
struct Answer {
    stage: &'static [&'static str],
    /// Looked for in status, error and detail, case ignored; empty for any.
    says: &'static [&'static str],
    means: &'static str,
    remedy: &'static str,
}

const KEY: &str =
    "check the key in `.signoz/otel.env` (OTEL_EXPORTER_OTLP_HEADERS), or run `signoz-setup` again with `--ingestion-key-file`";
const ENDPOINT: &str = "check OTEL_EXPORTER_OTLP_ENDPOINT in `.signoz/otel.env` and what stands outside it";

/// Top first.
const ANSWERS: &[Answer] = &[
    Answer {
        stage: &["import"],
        says: &["pkg_resources"],
        means: "the pinned instrumentation needs `pkg_resources`, which setuptools 82 and later do not have",
        remedy: "run `signoz-setup` again: it installs `setuptools<81` with the pins",
    },
    Answer {
        stage: &["import", "exporter"],
        says: &["ModuleNotFoundError", "ImportError"],
        means: "the OpenTelemetry packages are not installed in this interpreter",
        remedy: "run `signoz-setup` again, with `--python PATH` if the app uses another interpreter",
    },
    Answer {
        stage: &["configuration"],
        says: &["protocol"],
        means: "OTEL_EXPORTER_OTLP_PROTOCOL has a value that the SDK does not know",
        remedy: "set OTEL_EXPORTER_OTLP_PROTOCOL to `grpc` or `http/protobuf`",
    },
    Answer {
        stage: &["configuration"],
        says: &[],
        means: "OTEL_TRACES_EXPORTER switches the exporter off",
        remedy: "unset OTEL_TRACES_EXPORTER outside `.signoz/otel.env`",
    },
    // A gateway that answers HTTP 401 reaches a gRPC client as INTERNAL or UNKNOWN with the status in its text.
    Answer {
        stage: &["rpc", "http"],
        says: &["UNAUTHENTICATED", "401", "unauthorized"],
        means: "the endpoint refused the ingestion key",
        remedy: KEY,
    },
    Answer {
        stage: &["rpc", "http"],
        says: &["PERMISSION_DENIED", "403", "forbidden"],
        means: "the endpoint does not accept this ingestion key (another region, or a revoked one)",
        remedy: KEY,
    },
    Answer {
        stage: &["rpc", "http"],
        says: &["Illegal header", "invalid metadata", "InvalidHeader"],
        means: "the header with the key cannot be sent",
        remedy: KEY,
    },
    Answer {
        stage: &["rpc", "http"],
        says: &[
            "NameResolution",
            "name resolution",
            "DNS resolution",
            "gaierror",
            "Name or service not known",
        ],
        means: "the endpoint's name does not resolve",
        remedy: ENDPOINT,
    },
    Answer {
        stage: &["rpc", "http"],
        says: &["CERTIFICATE_VERIFY_FAILED", "certificate verify failed"],
        means: "the endpoint's certificate is not trusted by this interpreter",
        remedy: "give the issuing certificate in OTEL_EXPORTER_OTLP_CERTIFICATE, or mend the machine's trust store",
    },
    Answer {
        stage: &["rpc", "http"],
        says: &["WRONG_VERSION_NUMBER", "wrong version number"],
        means: "the endpoint speaks plain text, but the address begins with `https://`",
        remedy: "write `http://` in OTEL_EXPORTER_OTLP_ENDPOINT, or use the TLS port",
    },
    Answer {
        stage: &["http"],
        says: &["BadStatusLine"],
        means: "the endpoint speaks gRPC, but the protocol is `http/protobuf`",
        remedy: "use port 4318, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    },
    Answer {
        stage: &["http"],
        says: &["404"],
        means: "there is no OTLP receiver at this address",
        remedy: "leave `/v1/traces` off OTEL_EXPORTER_OTLP_ENDPOINT: the exporter adds it",
    },
    Answer {
        stage: &["rpc", "http"],
        says: &["ProxyError", "proxy"],
        means: "the proxy did not let it through",
        remedy: "check https_proxy (gRPC) and HTTPS_PROXY (HTTP), or exempt the endpoint with no_proxy",
    },
    Answer {
        stage: &["rpc", "http"],
        says: &["refused"],
        means: "nothing listens at the endpoint",
        remedy: ENDPOINT,
    },
    Answer {
        stage: &["rpc"],
        says: &["UNIMPLEMENTED"],
        means: "the endpoint does not speak OTLP over gRPC",
        remedy: "check the port (4317 for gRPC, 4318 for HTTP) and OTEL_EXPORTER_OTLP_PROTOCOL",
    },
    Answer {
        stage: &["rpc"],
        says: &["UNAVAILABLE"],
        means: "the endpoint cannot be reached over gRPC, or is no gRPC endpoint",
        remedy: "see level `endpoint` for the stage that fails; try `--protocol http/protobuf`",
    },
    Answer {
        stage: &["rpc", "http"],
        says: &["RESOURCE_EXHAUSTED", "429"],
        means: "the endpoint's ingestion limit is reached",
        remedy: "raise the limit of this key in SigNoz, or use another key",
    },
    Answer {
        stage: &["time"],
        says: &[],
        means: "the endpoint did not answer in time",
        remedy: "see level `endpoint` for the stage that hangs; a firewall that drops packets looks like this",
    },
];

/// Sends one span with the app's own SDK under the run script's environment and says what was answered.
///
/// # Errors
/// `Interrupted` when the run was cancelled; everything else is in the outcome.
pub fn probe(system: &System, request: &PythonRequest<'_>, observer: Observer<'_>) -> Result<LevelReport> {
    let invocation = Invocation::new([
        request.run_script.display().to_string(),
        request.python.display().to_string(),
        "-c".to_owned(),
        request.script.to_owned(),
    ])
    .within(request.directory)
    .deadline(request.deadline)
    // The probe gives up a little earlier than it is killed, so that it can still say where it waited.
    .env("SIGNOZ_VERIFY_SECONDS", format!("{:.1}", request.deadline.as_secs_f64() * 0.7));
    let invocation = match request.receiver {
        Some(receiver) => exporting_to(system, receiver, request.protocol, invocation),
        None => invocation,
    };
    let mut last = Vec::new();
    let finished = match system.commands.run(&invocation, &mut |line| last.push(clean(line))) {
        Ok(finished) => finished,
        Err(error) => {
            if let Some(signal) = system.cancel.signal() {
                return Err(Error::interrupted(signal));
            }
            return Ok(failed(
                request,
                format!("`{}` cannot be started: {error}", request.run_script.display()),
                "run `signoz-setup` first: it writes the run script",
            ));
        }
    };
    let said = finished
        .stdout
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<Said>(line.trim()).ok());
    let report = match said {
        Some(said) => judge(request, &said),
        None if finished.timed_out => failed(
            request,
            format!(
                "no answer within {:.0} s from `{}`",
                request.deadline.as_secs_f64(),
                request.python.display()
            ),
            "see level `endpoint` for the stage that hangs",
        ),
        None => {
            let code = finished
                .code
                .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            let line = last
                .iter()
                .rev()
                .find(|line| !line.trim().is_empty())
                .map_or("it printed nothing", String::as_str);
            failed(
                request,
                format!("the app's interpreter ended with {code} before it could send: {}", line.trim()),
                "check that `--python` names the app's interpreter and that it starts",
            )
        }
    };
    for stage in &report.stages {
        observer(Event::Verified {
            stage: stage.name.clone(),
            passed: stage.outcome == Outcome::Pass,
            detail: stage.detail.clone(),
        });
    }
    Ok(report)
}

fn failed(request: &PythonRequest<'_>, detail: String, remedy: &str) -> LevelReport {
    LevelReport {
        level: Level::Python,
        outcome: Outcome::Fail,
        trace_id: None,
        protocol: Some(request.protocol),
        detail,
        remedy: Some(remedy.to_owned()),
        latency_ms: None,
        stages: Vec::new(),
    }
}

fn judge(request: &PythonRequest<'_>, said: &Said) -> LevelReport {
    let endpoint = clean(said.endpoint.as_deref().unwrap_or("its default endpoint"));
    let mut report = if said.ok {
        LevelReport {
            outcome: Outcome::Pass,
            remedy: None,
            ..failed(request, format!("accepted by {endpoint}"), "")
        }
    } else {
        refusal(request, said, &endpoint)
    };
    report.trace_id.clone_from(&said.trace_id);
    report.latency_ms = said.latency_ms;
    report.stages = stages(said, &endpoint, report.outcome);
    // A span that was accepted proves nothing when the app itself would have had no provider.
    if said.ok && said.initialised == Some(false) {
        report.outcome = Outcome::Fail;
        report.detail = format!(
            "{}, but the loader did not start tracing in this interpreter, so the app would send nothing",
            report.detail
        );
        report.remedy = Some("run `signoz-setup` again: it writes the loader in `.signoz/auto`".to_owned());
    } else if said.ok
        && let Some(expected) = request.service_name
        && said.service.as_deref().is_some_and(|name| name != expected)
    {
        report.outcome = Outcome::Warn;
        report.detail = format!(
            "{}, but under the service name `{}`, not `{expected}`",
            report.detail,
            clean(said.service.as_deref().unwrap_or_default())
        );
        report.remedy = Some("unset OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES outside `.signoz/otel.env`".to_owned());
    }
    report
}

fn refusal(request: &PythonRequest<'_>, said: &Said, endpoint: &str) -> LevelReport {
    let status = match &said.status {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let words = clean(
        [said.error.as_deref(), Some(status.as_str()), said.detail.as_deref()]
            .into_iter()
            .flatten()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
            .as_str(),
    );
    if said.rejected.is_some_and(|count| count > 0) {
        return failed(
            request,
            format!("{endpoint} took the call but rejected the span: {words}"),
            "see the endpoint's own words above",
        );
    }
    let stage = said.stage.as_deref().unwrap_or_default();
    let lower = words.to_lowercase();
    let known = ANSWERS.iter().find(|answer| {
        answer.stage.contains(&stage) && (answer.says.is_empty() || answer.says.iter().any(|text| lower.contains(&text.to_lowercase())))
    });
    match known {
        Some(answer) => failed(request, format!("{} ({endpoint}: {words})", answer.means), answer.remedy),
        None => failed(
            request,
            format!("the span was not accepted by {endpoint}: {words}"),
            "see level `endpoint` for the stage that fails",
        ),
    }
}

/// What was passed on the way, so that a failure shows how far it came.
fn stages(said: &Said, endpoint: &str, outcome: Outcome) -> Vec<Stage> {
    let passed = |yes: bool| if yes { Outcome::Pass } else { Outcome::Fail };
    let mut stages = Vec::new();
    if let Some(version) = &said.python {
        stages.push(("interpreter", Outcome::Pass, format!("Python {}", clean(version))));
    }
    if let Some(version) = &said.sdk_version {
        stages.push(("sdk", Outcome::Pass, format!("opentelemetry-sdk {}", clean(version))));
    } else if said.stage.as_deref() == Some("import") {
        stages.push(("sdk", Outcome::Fail, clean(said.detail.as_deref().unwrap_or_default())));
    }
    if let Some(initialised) = said.initialised {
        let provider = clean(said.provider.as_deref().unwrap_or("unknown"));
        stages.push(("loader", passed(initialised), format!("the interpreter starts with a {provider}")));
    }
    if said.trace_id.is_some() {
        stages.push((
            "accepted",
            passed(said.ok && outcome != Outcome::Skip),
            format!("answer of {endpoint}"),
        ));
    }
    stages
        .into_iter()
        .map(|(name, outcome, detail)| Stage {
            name: name.to_owned(),
            outcome,
            detail,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str) -> LevelReport {
        let request = PythonRequest {
            directory: Path::new("/srv"),
            run_script: Path::new("/srv/.signoz/run.sh"),
            python: Path::new("/srv/venv/bin/python"),
            protocol: Protocol::Grpc,
            service_name: Some("shop"),
            script: "",
            receiver: None,
            deadline: Duration::from_secs(20),
        };
        judge(&request, &serde_json::from_str(line).unwrap())
    }

    #[test]
    fn a_gateways_401_that_reaches_grpc_as_internal_is_a_wrong_key() {
        let report = judged(
            r#"{"ok": false, "stage": "rpc", "error": "grpc", "status": "INTERNAL", "detail": "Received http2 header with status: 401", "endpoint": "https://ingest.us.signoz.cloud:443", "trace_id": "ab", "initialised": true}"#,
        );
        assert_eq!(report.outcome, Outcome::Fail);
        assert!(
            report.detail.starts_with("the endpoint refused the ingestion key"),
            "{}",
            report.detail
        );
        assert!(report.remedy.unwrap().contains("--ingestion-key-file"));
    }

    #[test]
    fn acceptance_without_the_loader_is_no_pass() {
        let report = judged(r#"{"ok": true, "status": "OK", "trace_id": "ab", "initialised": false, "service": "shop"}"#);
        assert_eq!(report.outcome, Outcome::Fail);
        assert!(report.detail.contains("the app would send nothing"));
        let report = judged(r#"{"ok": true, "status": "OK", "trace_id": "ab", "initialised": true, "service": "other"}"#);
        assert_eq!(report.outcome, Outcome::Warn);
        let report = judged(r#"{"ok": true, "status": "OK", "trace_id": "ab", "initialised": true, "service": "shop"}"#);
        assert_eq!((report.outcome, report.trace_id.as_deref()), (Outcome::Pass, Some("ab")));
    }

    #[test]
    fn each_refusal_is_called_by_its_name() {
        for (line, says) in [
            (
                r#"{"stage": "http", "status": 404, "error": "http", "detail": "Not Found"}"#,
                "no OTLP receiver",
            ),
            (
                r#"{"stage": "http", "error": "NewConnectionError", "detail": "Connection refused"}"#,
                "nothing listens",
            ),
            (
                r#"{"stage": "import", "error": "ModuleNotFoundError", "detail": "No module named 'opentelemetry'"}"#,
                "not installed",
            ),
            (r#"{"stage": "time", "error": "timeout"}"#, "in time"),
            (r#"{"stage": "export", "status": "FAILURE"}"#, "not accepted"),
            (
                r#"{"stage": "rpc", "status": "OK", "rejected": 1, "detail": "too old"}"#,
                "rejected the span",
            ),
        ] {
            let report = judged(line);
            assert_eq!(report.outcome, Outcome::Fail);
            assert!(report.detail.contains(says), "{}", report.detail);
        }
    }
}
