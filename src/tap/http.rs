//! OTLP over HTTP: `/v1/traces`, `/v1/metrics`, `/v1/logs` as protobuf or JSON (OTLP specification 1.x, "OTLP/HTTP").

use super::accept::{PATIENCE, Peer};
use super::receive::{Encoding, MAX_MESSAGE, Receiver, Refusal, unpack};
use crate::system::net::otlp::Signal;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use prost::Message;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;

/// Answers one request.
pub(super) async fn answer(
    request: Request<Incoming>,
    receiver: Arc<Receiver>,
    peer: Arc<Peer>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let encoding = encoding(request.headers());
    let spoken = encoding.clone().unwrap_or(Encoding::Json);
    let taken = match (signal(&request), encoding) {
        (Ok(signal), Ok(encoding)) => take(signal, encoding, request, &receiver, &peer).await,
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
    };
    Ok(match taken {
        Ok(rejected) => accepted(spoken, rejected),
        Err(refusal) => {
            if refusal != Refusal::Key {
                receiver.ledger.unreadable();
            }
            refused(spoken, &refusal)
        }
    })
}

async fn take(signal: Signal, encoding: Encoding, request: Request<Incoming>, receiver: &Receiver, peer: &Peer) -> Result<i64, Refusal> {
    let (head, body) = request.into_parts();
    let packed = collect(&head.headers, body).await?;
    receiver.admit(&head.headers)?;
    let packing = head.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"));
    let message = unpack(packing, packed)?;
    receiver.take(signal, encoding, message, peer.process().await)
}

/// Reads a whole body within its bounds of size and time.
pub(super) async fn collect(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Refusal> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    // A gRPC message has five bytes in front.
    let limit = MAX_MESSAGE + 5;
    if announced.is_some_and(|length| length > limit) {
        return Err(Refusal::TooLarge);
    }
    match tokio::time::timeout(PATIENCE, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(error)) => Err(Refusal::Malformed(error.to_string())),
        Err(_) => Err(Refusal::Slow),
    }
}

fn signal(request: &Request<Incoming>) -> Result<Signal, Refusal> {
    let path = request.uri().path();
    Signal::ALL
        .into_iter()
        .find(|signal| signal.path() == path && request.method() == Method::POST)
        .ok_or_else(|| Refusal::NoSuchPath(format!("{} {}", request.method(), path)))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let value = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        other => Err(Refusal::Unsupported(format!(
            "the content type `{}` is neither application/x-protobuf nor application/json",
            other.escape_debug()
        ))),
    }
}

fn accepted(encoding: Encoding, rejected: i64) -> Response<Full<Bytes>> {
    let body = match encoding {
        Encoding::Protobuf => partial_success(rejected),
        Encoding::Json if rejected == 0 => Bytes::from_static(b"{}"),
        Encoding::Json => json!({"partialSuccess": {"rejectedSpans": rejected.to_string(), "errorMessage": REJECTED}})
            .to_string()
            .into(),
    };
    respond(StatusCode::OK, encoding, body)
}

/// Why spans of a readable message are rejected.
pub(super) const REJECTED: &str = "a trace id has 16 bytes, a span id 8, and neither is all zero";

/// `ExportTraceServiceResponse`; empty when nothing was rejected.
pub(super) fn partial_success(rejected: i64) -> Bytes {
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: rejected,
        error_message: REJECTED.to_owned(),
    });
    ExportTraceServiceResponse { partial_success }.encode_to_vec().into()
}

/// `google.rpc.Status`, the body that OTLP asks for with an error.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn refused(encoding: Encoding, refusal: &Refusal) -> Response<Full<Bytes>> {
    let (status, code) = match refusal {
        Refusal::Key => (StatusCode::UNAUTHORIZED, 16),
        Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 8),
        Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, 3),
        Refusal::Unsupported(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
        Refusal::Slow => (StatusCode::REQUEST_TIMEOUT, 4),
        Refusal::NoSuchPath(_) => (StatusCode::NOT_FOUND, 5),
    };
    let message = refusal.text();
    let body = match encoding {
        Encoding::Protobuf => Status { code, message }.encode_to_vec().into(),
        Encoding::Json => json!({"code": code, "message": message}).to_string().into(),
    };
    respond(status, encoding, body)
}

fn respond(status: StatusCode, encoding: Encoding, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static(match encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }),
    );
    response
}
