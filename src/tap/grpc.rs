//! OTLP over gRPC: the three unary `Export` calls (gRPC over HTTP/2 specification; OTLP specification, "OTLP/gRPC").
//!
//! Framed by hand so that unpacking is bounded and the bytes can be passed on as they came.

use super::accept::Peer;
use super::http::{collect, partial_success};
use super::receive::{Encoding, MAX_MESSAGE, Receiver, Refusal, unpack};
use crate::system::net::otlp::{Signal, frame, percent_encode};
use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Request, Response};
use std::convert::Infallible;
use std::sync::Arc;

type Body = BoxBody<Bytes, Infallible>;

/// Answers one call.
pub(super) async fn answer(request: Request<Incoming>, receiver: Arc<Receiver>, peer: Arc<Peer>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.method() == path) else {
        let refusal = Refusal::NoSuchPath(path.to_owned());
        receiver.ledger.unreadable();
        return Ok(refused(&refusal));
    };
    let (head, body) = request.into_parts();
    Ok(match take(signal, &head.headers, body, &receiver, &peer).await {
        Ok(rejected) => accepted(rejected),
        Err(refusal) => {
            if refusal != Refusal::Key {
                receiver.ledger.unreadable();
            }
            refused(&refusal)
        }
    })
}

async fn take(signal: Signal, headers: &HeaderMap, body: Incoming, receiver: &Receiver, peer: &Peer) -> Result<i64, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !matches!(content_type, b"application/grpc" | b"application/grpc+proto") {
        return Err(Refusal::Unsupported("the content type is not application/grpc".to_owned()));
    }
    receiver.admit(headers)?;
    let packing = headers.get("grpc-encoding").map(|value| value.to_str().unwrap_or("?"));
    let message = unframe(packing, collect(headers, body).await?)?;
    receiver.take(signal, Encoding::Protobuf, message, peer.process().await)
}

/// Takes the one message out of a call's body.
fn unframe(packing: Option<&str>, mut body: Bytes) -> Result<Bytes, Refusal> {
    if body.len() < 5 {
        return Err(Refusal::Malformed("the gRPC frame is cut short".to_owned()));
    }
    let (packed, length) = (body.get_u8(), body.get_u32() as usize);
    if length > MAX_MESSAGE {
        return Err(Refusal::TooLarge);
    }
    if length != body.len() {
        return Err(Refusal::Malformed(format!(
            "the gRPC frame announces {length} bytes and {} came",
            body.len()
        )));
    }
    match packed {
        0 => Ok(body),
        1 => unpack(packing, body),
        flag => Err(Refusal::Malformed(format!("the gRPC frame has the unknown flag {flag}"))),
    }
}

fn accepted(rejected: i64) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame(&partial_success(rejected)))
        .with_trailers(async move { Some(Ok(trailers)) })
        .boxed();
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let code = match refusal {
        Refusal::Key => "16",
        Refusal::TooLarge => "8",
        Refusal::Malformed(_) => "3",
        Refusal::Unsupported(_) | Refusal::NoSuchPath(_) => "12",
        Refusal::Slow => "4",
    };
    let mut response = Response::new(Full::new(Bytes::new()).boxed());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    if let Ok(message) = HeaderValue::from_str(&percent_encode(&refusal.text())) {
        headers.insert("grpc-message", message);
    }
    if matches!(refusal, Refusal::Unsupported(_)) {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
    }
    response
}
