//! An HTTP client for those who need an answer and not the stages on the way to it.
//!
//! It trusts whom the dialling trusts and takes the proxy that [`proxy::choose`](super::proxy::choose) chose. May never follow
//! a redirect, or read a variable: a key is for the address that was named.

use super::Cause;
use super::failure::no_such_host;
use super::proxy::Proxy;
use super::trust::{Trust, handshake_cause};
use bytes::{Bytes, BytesMut};
use hyper::header::HeaderValue;
use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

/// A client for HTTP/1.1; a request may take as long as `patience`, of which connecting has two thirds.
///
/// # Errors
/// When the trusted roots or the proxy's address are of no use.
pub fn make(trust: &Trust, proxy: Option<&Proxy>, patience: Duration) -> Result<reqwest::Client, Cause> {
    let unusable = |error: reqwest::Error| reason(&error);
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(trust.config(&["http/1.1"])?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .connect_timeout(patience * 2 / 3)
        .no_proxy();
    if let Some(proxy) = proxy {
        let mut way = reqwest::Proxy::all(proxy.to_string()).map_err(unusable)?;
        if let Some(mut value) = proxy.authorization().and_then(|text| HeaderValue::try_from(text).ok()) {
            value.set_sensitive(true);
            way = way.custom_http_auth(value);
        }
        builder = builder.proxy(way);
    }
    builder.build().map_err(unusable)
}

/// The body of an answer; nothing of one that is longer than `limit`.
///
/// # Errors
/// When it breaks off.
pub async fn body(mut response: reqwest::Response, limit: usize) -> reqwest::Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(Bytes::new());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What lies below a client's error: the resolver's or the operating system's word, the objection to a certificate, else the
/// last thing said.
#[must_use]
pub fn reason(error: &reqwest::Error) -> Cause {
    if error.is_timeout() {
        return Cause::TimedOut;
    }
    let mut resolving = false;
    let mut last = String::new();
    for below in successors(Some(error as &(dyn Error + 'static)), |error| (*error).source()) {
        if let Some(io) = below.downcast_ref::<io::Error>() {
            return if resolving { no_such_host(io) } else { handshake_cause(io, None) };
        }
        if let Some(hyper) = below.downcast_ref::<hyper::Error>()
            && (hyper.is_incomplete_message() || hyper.is_canceled() || hyper.is_closed())
        {
            return Cause::Closed;
        }
        last = below.to_string();
        resolving |= last == "dns error";
    }
    Cause::Io(last)
}
