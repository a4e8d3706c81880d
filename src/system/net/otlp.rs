//! What OTLP looks like on the wire: paths, headers, gRPC frames and statuses (OTLP specification 1.x; gRPC over HTTP/2).

use super::http::Answer;
use crate::domain::IngestionKey;
use crate::domain::target::{Endpoint, Protocol, Scheme};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use std::fmt::Write;

/// The header that carries the ingestion key (SigNoz docs, ingestion overview, 2026-05).
pub const KEY_HEADER: HeaderName = HeaderName::from_static("signoz-ingestion-key");

/// What an export carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its path over HTTP.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// Its gRPC method.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// A gRPC message with its five bytes in front, not compressed.
#[must_use]
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// The message of a gRPC answer; `None` when there is none, or a compressed one, which was not asked for.
#[must_use]
pub fn unframe(body: &Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(body.get(1..5)?.try_into().ok()?) as usize;
    (body.first() == Some(&0) && body.len() == length + 5).then(|| body.slice(5..))
}

/// An export request; over HTTP through a forwarding proxy the target is absolute.
///
/// # Errors
/// When the endpoint's host cannot be written in a request.
pub fn request(
    endpoint: &Endpoint,
    protocol: Protocol,
    signal: Signal,
    key: Option<&IngestionKey>,
    message: &[u8],
    absolute: bool,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let (path, content_type, body) = match protocol {
        // gRPC clients drop an endpoint's path.
        Protocol::Grpc => (signal.method().to_owned(), "application/grpc", frame(message)),
        Protocol::HttpProtobuf => (
            format!("{}{}", endpoint.path, signal.path()),
            "application/x-protobuf",
            Bytes::copy_from_slice(message),
        ),
    };
    let (scheme, usual) = match endpoint.scheme {
        Scheme::Http => ("http", 80),
        Scheme::Https => ("https", 443),
    };
    let authority = if endpoint.port == usual {
        endpoint.host.clone()
    } else {
        format!("{}:{}", endpoint.host, endpoint.port)
    };
    let mut request = Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, content_type)
        .header(USER_AGENT, concat!("signoz-setup/", env!("CARGO_PKG_VERSION")));
    if protocol == Protocol::Grpc || absolute {
        request = request.uri(
            Uri::builder()
                .scheme(scheme)
                .authority(authority.as_str())
                .path_and_query(path)
                .build()?,
        );
    } else {
        request = request.uri(path).header("host", &authority);
    }
    if absolute && protocol == Protocol::HttpProtobuf {
        request = request.header("host", &authority);
    }
    if protocol == Protocol::Grpc {
        request = request.header(TE, "trailers");
    }
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(key.expose())?;
        value.set_sensitive(true);
        request = request.header(KEY_HEADER, value);
    }
    request.body(Full::new(body))
}

/// How a gRPC call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcStatus {
    /// 0 is success.
    pub code: i32,
    /// The server's words.
    pub message: String,
}

/// The gRPC status of an answer, from its trailers, or from its head when it has no body; `None` when it is not gRPC.
#[must_use]
pub fn grpc_status(answer: &Answer) -> Option<GrpcStatus> {
    let of = |headers: &HeaderMap| {
        Some(GrpcStatus {
            code: headers.get("grpc-status")?.to_str().ok()?.parse().ok()?,
            message: headers
                .get("grpc-message")
                .map(|text| percent_decode(text.as_bytes()))
                .unwrap_or_default(),
        })
    };
    answer.trailers.as_ref().and_then(of).or_else(|| of(&answer.headers))
}

/// Text for the header `grpc-message`.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn percent_decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|hex| u8::from_str_radix(hex, 16).ok()),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_header() {
        for text in ["plain", "100 %", "zwölf\nZeilen", "%zz%4"] {
            assert_eq!(percent_decode(percent_encode(text).as_bytes()), text);
        }
        assert_eq!(percent_decode(b"50%"), "50%");
    }

    #[test]
    fn frames() {
        assert_eq!(unframe(&frame(b"abc")).unwrap(), "abc");
        assert_eq!(unframe(&Bytes::from_static(b"\0\0\0\0\x04abc")), None);
        assert_eq!(unframe(&Bytes::from_static(b"<html>")), None);
    }

    #[test]
    fn the_key_is_never_printed_with_a_request() {
        let key = IngestionKey::parse("canary-4711").unwrap();
        let endpoint = "https://localhost:4317".parse().unwrap();
        let request = request(&endpoint, Protocol::Grpc, Signal::Traces, Some(&key), b"", false).unwrap();
        assert!(!format!("{request:?}").contains("canary"));
    }
}
