//! The two questions to a SigNoz workspace, and what its answers mean.

use super::{End, Window};
use crate::domain::target::Scheme;
use crate::domain::{ApiKey, Endpoint, Outcome, Protocol};
use crate::system::System;
use crate::system::net::http::{Answer, Session, Talk};
use crate::system::net::proxy::{self, Choice, Proxy};
use crate::system::net::trust::Trust;
use crate::system::net::{Route, dial, shown};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use url::Url;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(15);

const KEY_REMEDY: &str = "make an API key in SigNoz, Settings → Service Accounts → Keys, and pass it with `--api-key-file PATH` or `SIGNOZ_API_KEY`; the ingestion key does not work here";
const URL_REMEDY: &str = "set `SIGNOZ_URL` to the address of the SigNoz pages as the browser shows it, without a path: https://WORKSPACE.REGION.signoz.cloud, or http://HOST:8080 for your own";

/// A SigNoz workspace and what is looked for in it.
pub(super) struct Workspace<'a> {
    pub(super) base_url: &'a Url,
    endpoint: Endpoint,
    api_key: &'a ApiKey,
    proxy: Option<Proxy>,
    trust: Trust,
    pub(super) trace_id: &'a str,
    window: Window,
    session: Option<Session>,
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
        proxy,
        trust: Trust::of(&system.env),
        trace_id,
        window,
        session: None,
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
    pub(super) async fn by_query(&mut self) -> Look {
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

    pub(super) async fn by_waterfall(&mut self) -> Look {
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

    /// Asks over the connection that is open, or over a new one.
    async fn ask(&mut self, path: &str, body: &Value) -> Result<Answer, Look> {
        if let Some(mut session) = self.session.take()
            && let Ok(request) = self.request(path, body)
            && let Ok(answer) = session.send(request, Instant::now() + PATIENCE, 4 << 20).await
        {
            self.session = Some(session);
            return Ok(answer);
        }
        let deadline = Instant::now() + PATIENCE;
        let mut session = self.open(deadline).await?;
        let unsendable = |error: hyper::http::Error| Look::End(End::new("reached", Outcome::Unknown, error.to_string(), Some(URL_REMEDY)));
        let request = self.request(path, body).map_err(unsendable)?;
        let answer = session
            .send(request, deadline, 4 << 20)
            .await
            .map_err(|none| Look::NotYet(format!("; the last answer was none: {}", none.cause)))?;
        self.session = Some(session);
        Ok(answer)
    }

    async fn open(&self, deadline: Instant) -> Result<Session, Look> {
        let unreachable = |why: String| {
            let detail = format!("{} cannot be reached: {why}", self.base_url.as_str().trim_end_matches('/'));
            Look::End(End::new("reached", Outcome::Fail, detail, Some(URL_REMEDY)))
        };
        let route = Route {
            endpoint: &self.endpoint,
            proxy: self.proxy.as_ref(),
            tunnel: true,
            trust: &self.trust,
            alpn: &["http/1.1"],
            deadline,
        };
        let connection = dial(&route, &mut |_| {})
            .await
            .map_err(|failure| unreachable(failure.to_string()))?;
        Session::start(connection, Talk::Http1, deadline)
            .await
            .map_err(|none| unreachable(none.cause.to_string()))
    }

    fn request(&self, path: &str, body: &Value) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut key = HeaderValue::from_str(self.api_key.expose())?;
        key.set_sensitive(true);
        let port = match (self.endpoint.scheme, self.endpoint.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => String::new(),
            (_, port) => format!(":{port}"),
        };
        Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.endpoint.path))
            .header(HOST, format!("{}{port}", self.endpoint.host))
            .header(CONTENT_TYPE, "application/json")
            .header("SIGNOZ-API-KEY", key)
            .body(Full::new(body.to_string().into()))
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
