//! What an endpoint's answer means: reads it, and looks its code up in the tables.

use super::codes::{CODE_NAMES, GRPC, HTTP, NOT_OTLP, OTHER, Row, WRONG_HOSTS};
use super::{ProbeRequest, Verdict};
use crate::domain::{Outcome, Protocol};
use crate::system::net::http::Answer;
use crate::system::net::{otlp, shown};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

/// What the answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The span was accepted.
    Accepted(Partial),
    /// It was not.
    Refused(Verdict),
    /// It was not, and the answer hides why: ask again over HTTP.
    Doubtful(Verdict),
}

/// The partial-success part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// For the stage.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
    /// Set when the span was rejected after all.
    pub rejected: Option<Verdict>,
}

/// Reads an answer.
#[must_use]
pub fn judge(request: &ProbeRequest<'_>, answer: &Answer) -> Judgement {
    let page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    match (request.protocol, answer.status, otlp::grpc_status(answer)) {
        (Protocol::Grpc, 200, Some(status)) if status.code == 0 => Judgement::Accepted(partial(request, otlp::unframe(&answer.body))),
        (Protocol::Grpc, 200, Some(status)) => grpc_refusal(request, &status),
        (Protocol::Grpc, 200, None) => {
            Judgement::Refused(not_otlp(request, if page { "a web page" } else { "something that is not gRPC" }))
        }
        (Protocol::HttpProtobuf, 200..=299, _) if page => Judgement::Refused(not_otlp(request, "a web page")),
        (Protocol::HttpProtobuf, 200..=299, _) => {
            let json = answer
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("application/json"));
            Judgement::Accepted(if json {
                json_partial(request, &answer.body)
            } else {
                partial(request, Some(answer.body.clone()))
            })
        }
        (_, 300..=399, _) => {
            let to = answer
                .header("location")
                .map_or_else(String::new, |to| format!(" to `{}`", shown(to)));
            Judgement::Refused(Verdict {
                stage: "accepted",
                outcome: Outcome::Fail,
                detail: fill(
                    request,
                    &format!("{{endpoint}} redirects{to} ({{code}}), and exporters do not follow redirects"),
                    &answer.status.to_string(),
                    "",
                ),
                remedy: NOT_OTLP.to_owned(),
            })
        }
        // No gRPC service at all: the port may still take OTLP over HTTP.
        (Protocol::Grpc, status @ (404 | 405 | 415 | 501), _) if !is_cloud(request) => {
            Judgement::Doubtful(http_refusal(request, status, page, &answer.body))
        }
        (_, status, _) => Judgement::Refused(http_refusal(request, status, page, &answer.body)),
    }
}

/// Whether a 2xx answer over HTTP is that of an OTLP receiver, and not of a web server that answers everything.
#[must_use]
pub fn takes_otlp(answer: &Answer) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    kind.starts_with("application/x-protobuf") || kind.starts_with("application/json")
}

/// The verdict on a key, when a status over HTTP speaks of it.
#[must_use]
pub fn refused_key_over_http(request: &ProbeRequest<'_>, status: u16) -> Option<Verdict> {
    let verdict = http_refusal(request, status, false, b"");
    (verdict.stage == "auth").then_some(verdict)
}

fn http_refusal(request: &ProbeRequest<'_>, status: u16, page: bool, body: &[u8]) -> Verdict {
    // The cloud's gateway says 404 for a key that it does not know; anything else has no trace path there.
    let known_path = status == 404 && is_cloud(request) && request.endpoint.path.is_empty();
    let status = if known_path { 401 } else { status };
    let code = if known_path {
        "HTTP 404".to_owned()
    } else {
        format!("HTTP {status}")
    };
    let said = if page { String::new() } else { readable(body) };
    verdict(request, row(HTTP, i32::from(status)), &code, &said)
}

fn grpc_refusal(request: &ProbeRequest<'_>, status: &otlp::GrpcStatus) -> Judgement {
    // A gateway behind the endpoint may have refused with an HTTP status that survives only in the text.
    if matches!(status.code, 2 | 13 | 14)
        && let Some(http) = http_status_in(&status.message)
    {
        return Judgement::Refused(http_refusal(request, http, true, b""));
    }
    let name = usize::try_from(status.code).ok().and_then(|code| CODE_NAMES.get(code));
    let code = name.map_or_else(|| format!("gRPC {}", status.code), |name| format!("gRPC {name}"));
    let found = verdict(request, row(GRPC, status.code), &code, &status.message);
    if matches!(status.code, 2 | 13) {
        Judgement::Doubtful(found)
    } else {
        Judgement::Refused(found)
    }
}

fn row(table: &'static [Row], code: i32) -> &'static Row {
    table.iter().find(|row| row.codes.contains(&code)).unwrap_or(&OTHER)
}

fn verdict(request: &ProbeRequest<'_>, row: &Row, code: &str, said: &str) -> Verdict {
    let mut remedy = row.remedy.to_owned();
    if let Some(hint) = host_hint(request) {
        remedy = format!("{hint}; or {remedy}");
    }
    Verdict {
        stage: row.stage,
        outcome: Outcome::Fail,
        detail: fill(request, row.detail, code, said),
        remedy,
    }
}

/// What is wrong with the host itself, if anything.
pub(super) fn host_hint(request: &ProbeRequest<'_>) -> Option<String> {
    let host = request.endpoint.host.to_ascii_lowercase();
    if let Some((_, hint)) = WRONG_HOSTS.iter().find(|(wrong, _)| *wrong == host) {
        return Some(format!("`{host}` {hint}"));
    }
    let workspace = host == "app.signoz.io" || (host.ends_with(".signoz.cloud") && !host.starts_with("ingest."));
    workspace.then(|| format!("`{host}` is the address of the SigNoz pages, not of the ingest endpoint: pass `--region` instead"))
}

fn not_otlp(request: &ProbeRequest<'_>, what: &str) -> Verdict {
    let hint = host_hint(request).map_or_else(String::new, |hint| format!("{hint}; or "));
    Verdict {
        stage: "accepted",
        outcome: Outcome::Fail,
        detail: format!("{} answered with {what}: it is not an OTLP receiver", request.endpoint),
        remedy: format!("{hint}{NOT_OTLP}"),
    }
}

fn fill(request: &ProbeRequest<'_>, text: &str, code: &str, said: &str) -> String {
    let said = shown(said);
    let said = if said.is_empty() {
        String::new()
    } else {
        format!("; it says: {said}")
    };
    let key = match (request.key, region(request)) {
        (None, _) => "no key was sent".to_owned(),
        (Some(_), Some(region)) => format!("it is wrong, has expired, or belongs to another region than `{region}`"),
        (Some(_), None) => "it is wrong, has expired, or belongs to another endpoint".to_owned(),
    };
    text.replace("{endpoint}", &request.endpoint.to_string())
        .replace("{code}", code)
        .replace("{key}", &key)
        .replace("{said}", &said)
}

/// The region that the person chose, or that the host is of.
pub(super) fn region(request: &ProbeRequest<'_>) -> Option<String> {
    let of_host = || {
        request
            .endpoint
            .host
            .strip_prefix("ingest.")?
            .strip_suffix(".signoz.cloud")
            .map(str::to_owned)
    };
    request.region.map(ToString::to_string).or_else(of_host)
}

fn is_cloud(request: &ProbeRequest<'_>) -> bool {
    let host = &request.endpoint.host;
    host.starts_with("ingest.") && host.ends_with(".signoz.cloud")
}

/// `status: 401`, `HTTP status code 401`, `http2 status 403`, … in a client's text.
fn http_status_in(text: &str) -> Option<u16> {
    let lower = text.to_ascii_lowercase();
    let after = lower.rfind("status").and_then(|at| lower.get(at + "status".len()..))?;
    let digits: String = after
        .trim_start_matches([' ', ':', '=', '"', '('])
        .trim_start_matches("code")
        .trim_start_matches([' ', ':', '=', '"', '('])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

/// The text of an error body: `google.rpc.Status` in protobuf or JSON, or plain text.
fn readable(body: &[u8]) -> String {
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(string, tag = "2")]
        message: String,
    }
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) {
        let message = json
            .get("message")
            .or_else(|| json.get("error"))
            .and_then(|message| message.as_str());
        return message.unwrap_or_default().to_owned();
    }
    match Status::decode(body) {
        Ok(status) if !status.message.is_empty() => status.message,
        _ => std::str::from_utf8(body).unwrap_or_default().to_owned(),
    }
}

fn partial(request: &ProbeRequest<'_>, message: Option<bytes::Bytes>) -> Partial {
    match message.map(ExportTraceServiceResponse::decode) {
        Some(Ok(response)) => {
            let partial = response.partial_success.unwrap_or_default();
            weigh(request, partial.rejected_spans, &partial.error_message)
        }
        _ => Partial {
            outcome: Outcome::Warn,
            detail: "the call succeeded, but the answer is no OTLP response: something else may listen there".to_owned(),
            rejected: None,
        },
    }
}

fn json_partial(request: &ProbeRequest<'_>, body: &[u8]) -> Partial {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let part = json.get("partialSuccess");
    let rejected = part.and_then(|part| part.get("rejectedSpans"));
    // 64-bit numbers are text in OTLP's JSON, and numbers in that of some servers.
    let rejected = rejected.and_then(|n| n.as_i64().or_else(|| n.as_str()?.parse().ok())).unwrap_or(0);
    let said = part.and_then(|part| part.get("errorMessage")).and_then(|text| text.as_str());
    weigh(request, rejected, said.unwrap_or_default())
}

fn weigh(request: &ProbeRequest<'_>, rejected: i64, said: &str) -> Partial {
    let said = shown(said);
    match (rejected, said.is_empty()) {
        (1.., _) => Partial {
            outcome: Outcome::Fail,
            detail: String::new(),
            rejected: Some(Verdict {
                stage: "partial_success",
                outcome: Outcome::Fail,
                detail: format!(
                    "{} took the call and rejected the span{}{said}",
                    request.endpoint,
                    if said.is_empty() { "" } else { ": " }
                ),
                remedy: "look at the limits and filters of the key (SigNoz, Settings → Ingestion) or of your own collector".to_owned(),
            }),
        },
        (_, false) => Partial {
            outcome: Outcome::Warn,
            detail: format!("nothing was rejected, but the endpoint says: {said}"),
            rejected: None,
        },
        _ => Partial {
            outcome: Outcome::Pass,
            detail: "nothing was rejected".to_owned(),
            rejected: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_in_the_texts_of_other_clients() {
        for (text, status) in [
            (
                "protocol error: received message with invalid compression flag: 60 while receiving response with status: 401 Unauthorized",
                Some(401),
            ),
            ("unexpected HTTP status code received from server: 403 (Forbidden)", None),
            ("Received http2 header with status: 429", Some(429)),
            ("HTTP status code 404", Some(404)),
            ("status", None),
            ("it works", None),
        ] {
            assert_eq!(http_status_in(text), status, "{text}");
        }
    }
}
