//! The two questions to a SigNoz workspace, and what its answers mean.

use super::{End, Window};
use crate::domain::target::Scheme;
use crate::domain::{ApiKey, Endpoint, Outcome, Protocol};
use crate::system::System;
use crate::system::net::proxy::{self, Choice};
use crate::system::net::trust::Trust;
use crate::system::net::{client, shown};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The longest answer that is looked at.
const LARGEST: usize = 4 << 20;

const KEY_REMEDY: &str = "make an API key in SigNoz, Settings → Service Accounts → Keys, and pass it with `--api-key-file PATH` or `SIGNOZ_API_KEY`; the ingestion key does not work here";
const URL_REMEDY: &str = "set `SIGNOZ_URL` to the address of the SigNoz pages as the browser shows it, without a path: https://WORKSPACE.REGION.signoz.cloud, or http://HOST:8080 for your own";

/// A SigNoz workspace and what is looked for in it.
pub(super) struct Workspace<'a> {
    pub(super) base_url: &'a Url,
    endpoint: Endpoint,
    api_key: &'a ApiKey,
    client: reqwest::Client,
    /// ` (through http://HOST:PORT)`, when there is a proxy.
    through: String,
    pub(super) trace_id: &'a str,
    window: Window,
}

/// What the workspace answered.
struct Answer {
    status: u16,
    body: Bytes,
}

/// A workspace to ask; refused when its address or the trace id is not well formed.
pub(super) fn workspace<'a>(
    system: &System,
    base_url: &'a Url,
    api_key: &'a ApiKey,
    trace_id: &'a str,
    window: Window,
) -> Result<Workspace<'a>, End> {
    let wrong = |detail: String| End::new("reached", Outcome::Unknown, detail, Some(URL_REMEDY));
    if trace_id.len() != 32 || !trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong("the trace id has not 32 hexadecimal digits".to_owned()));
    }
    let (scheme, host) = match (base_url.scheme(), base_url.host_str()) {
        ("http", Some(host)) => (Scheme::Http, host),
        ("https", Some(host)) => (Scheme::Https, host),
        _ => return Err(wrong("the workspace address is no http:// or https:// URL".to_owned())),
    };
    let endpoint = Endpoint {
        scheme,
        host: host.to_owned(),
        port: base_url.port_or_known_default().unwrap_or(443),
        path: base_url.path().trim_end_matches('/').to_owned(),
    };
    let proxy = match proxy::choose(&system.env, &endpoint, Protocol::HttpProtobuf).choice {
        Choice::Direct => None,
        Choice::Via(proxy) => Some(proxy),
        Choice::Unusable { variable, why } => {
            return Err(End::new(
                "reached",
                Outcome::Unknown,
                format!("`{variable}` is set, and {why}"),
                Some("set it to `http://HOST:PORT`, or unset it"),
            ));
        }
    };
    Ok(Workspace {
        base_url,
        endpoint,
        api_key,
        client: client::make(&Trust::of(&system.env), proxy.as_ref(), PATIENCE).map_err(|cause| wrong(cause.to_string()))?,
        through: proxy.map_or_else(String::new, |proxy| format!(" (through {proxy})")),
        trace_id,
        window,
    })
}

/// What one look showed.
pub(super) enum Look {
    Found,
    /// Stored, but dated outside the time range.
    Elsewhere,
    NotYet(String),
    /// This server does not know the question.
    Unsupported,
    End(End),
}

impl Workspace<'_> {
    pub(super) async fn by_query(&self) -> Look {
        let answer = match self.ask("/api/v5/query_range", &self.query()).await {
            Ok(answer) => answer,
            Err(look) => return look,
        };
        let body = match read(&answer) {
            Ok(body) => body,
            Err(look) => return look,
        };
        let results = body.pointer("/data/data/results").and_then(Value::as_array);
        let rows = results.into_iter().flatten().filter_map(|result| result.get("rows")?.as_array());
        if rows.map(Vec::len).sum::<usize>() > 0 {
            return Look::Found;
        }
        let warned = body.pointer("/data/warning").or_else(|| body.get("warning")).map(Value::to_string);
        if warned.is_some_and(|warning| warning.contains("lies outside the selected time range")) {
            return Look::Elsewhere;
        }
        Look::NotYet(String::new())
    }

    pub(super) async fn by_waterfall(&self) -> Look {
        let path = format!("/api/v4/traces/{}/waterfall", self.trace_id);
        let answer = match self.ask(&path, &json!({"selectedSpanId": "", "uncollapsedSpans": []})).await {
            Ok(answer) => answer,
            Err(look) => return look,
        };
        // Here 404 says that there is no such trace, unless it is a web page.
        if answer.status == 404 && serde_json::from_slice::<Value>(&answer.body).is_ok() {
            return Look::NotYet(String::new());
        }
        match read(&answer) {
            Ok(body) => {
                let body = body.get("data").unwrap_or(&body);
                let count = body.get("totalSpansCount").and_then(Value::as_u64).unwrap_or(0);
                if count > 0 { Look::Found } else { Look::NotYet(String::new()) }
            }
            Err(look) => look,
        }
    }

    fn query(&self) -> Value {
        let milliseconds =
            |moment: SystemTime| u64::try_from(moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(0);
        json!({
            "schemaVersion": "v1",
            "start": milliseconds(self.window.from),
            "end": milliseconds(self.window.until),
            "requestType": "raw",
            "compositeQuery": {"queries": [{"type": "builder_query", "spec": {
                "name": "A",
                "signal": "traces",
                "disabled": false,
                "filter": {"expression": format!("trace_id = '{}'", self.trace_id)},
                "selectFields": [
                    {"name": "service.name", "fieldContext": "resource"},
                    {"name": "name", "fieldContext": "span"},
                ],
                "order": [{"key": {"name": "timestamp"}, "direction": "desc"}],
                "limit": 10,
                "offset": 0,
            }}]},
            "formatOptions": {"formatTableResultForUI": false, "fillGaps": false},
            "noCache": true,
        })
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Answer, Look> {
        let mut key = HeaderValue::from_str(self.api_key.expose())
            .map_err(|error| Look::End(End::new("reached", Outcome::Unknown, error.to_string(), Some(KEY_REMEDY))))?;
        key.set_sensitive(true);
        let request = self
            .client
            .post(format!("{}{path}", self.endpoint))
            .header(CONTENT_TYPE, "application/json")
            .header("SIGNOZ-API-KEY", key)
            .body(body.to_string());
        let answered = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let body = client::body(response, LARGEST).await?;
            Ok(Answer { status, body })
        };
        answered.await.map_err(|error: reqwest::Error| {
            let cause = client::reason(&error);
            if !error.is_connect() {
                return Look::NotYet(format!("; the last answer was none: {cause}"));
            }
            let address = self.base_url.as_str().trim_end_matches('/');
            let detail = format!("{address} cannot be reached{}: {cause}", self.through);
            Look::End(End::new("reached", Outcome::Fail, detail, Some(URL_REMEDY)))
        })
    }
}

/// The JSON of an answer, or what another answer means.
fn read(answer: &Answer) -> Result<Value, Look> {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let said = json
        .as_ref()
        .and_then(|body| body.pointer("/error/message").or_else(|| body.get("error")))
        .and_then(Value::as_str);
    let said = said.map_or_else(String::new, |text| format!("; it says: {}", shown(text)));
    match (answer.status, json) {
        (200, Some(body)) if body.is_object() => Ok(body),
        (401 | 403, _) => Err(Look::End(End::new(
            "api_key",
            Outcome::Fail,
            format!("SigNoz refused the API key (HTTP {}){said}", answer.status),
            Some(KEY_REMEDY),
        ))),
        (429 | 499 | 500..=504, _) if answer.status != 501 => {
            Err(Look::NotYet(format!("; the last answer was HTTP {}{said}", answer.status)))
        }
        (400 | 404 | 405 | 501, Some(_)) => Err(Look::Unsupported),
        (451, _) => Err(Look::End(End::new(
            "api_key",
            Outcome::Fail,
            format!("SigNoz answers HTTP 451: the workspace's licence does not allow it{said}"),
            Some("look at the workspace's plan in SigNoz, Settings → Billing"),
        ))),
        (status, _) => Err(Look::End(End::new(
            "reached",
            Outcome::Fail,
            format!("there is no SigNoz workspace at this address: it answered with a web page (HTTP {status})"),
            Some(URL_REMEDY),
        ))),
    }
}
