//! Where spans go and how: target, region, endpoint, protocol, service name, instrumentation set.
//!
//! Parse, don't validate: a value of these types is already well formed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// A malformed answer: what is wrong with it, in one clause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// The way the app's spans take; the four ways of the SigNoz documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Straight to SigNoz Cloud (or a self-hosted endpoint).
    Direct,
    /// Through an OpenTelemetry Collector on this or another VM.
    Collector,
    /// In a container image.
    Docker,
    /// In a cluster with the k8s-infra agent.
    Kubernetes,
}

/// A SigNoz Cloud region code such as `us` or `eu2`; well formed, not necessarily existing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// The codes that SigNoz documents (SigNoz/agent-skills, 2026-08).
    pub const KNOWN: [&'static str; 6] = ["us", "us2", "eu", "eu2", "in", "in2"];

    /// Whether the code is one that SigNoz documents; another must resolve in DNS before it is used.
    #[must_use]
    pub fn is_known(&self) -> bool {
        Self::KNOWN.contains(&self.0.as_str())
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `https://ingest.<region>.signoz.cloud:443`, one address for gRPC and HTTP
    /// (SigNoz docs, ingestion overview, 2026-05).
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            scheme: Scheme::Https,
            host: format!("ingest.{}.signoz.cloud", self.0),
            port: 443,
            path: String::new(),
        }
    }
}

impl FromStr for Region {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let letters = text.bytes().take_while(u8::is_ascii_lowercase).count();
        let digits = text.len() - letters;
        let well_formed = (2..=3).contains(&letters) && digits <= 1 && text.bytes().skip(letters).all(|b| b.is_ascii_digit());
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed(format!(
                "`{}` is not a region code; SigNoz Cloud has {}",
                text.escape_debug(),
                Self::KNOWN.join(", ")
            )))
        }
    }
}

impl TryFrom<String> for Region {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Plain or encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

/// An OTLP base endpoint: scheme, host and port, never a signal path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// Plain or encrypted.
    pub scheme: Scheme,
    /// Host name or address, IPv6 in brackets.
    pub host: String,
    /// TCP port; 443 or 80 when the text had none.
    pub port: u16,
    /// Base path in front of `/v1/traces`, without a trailing slash; empty for SigNoz.
    pub path: String,
}

impl Endpoint {
    /// The address for the HTTP exporter's traces.
    #[must_use]
    pub fn traces_url(&self) -> String {
        format!("{self}/v1/traces")
    }

    /// Whether the host is this machine's loopback.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "[::1]") || self.host.starts_with("127.")
    }

    /// Host without the brackets of an IPv6 literal, as sockets and TLS want it.
    #[must_use]
    pub fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

impl FromStr for Endpoint {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let shown = text.escape_debug();
        if !text.contains("://") {
            return Err(Malformed(format!(
                "`{shown}` has no scheme; write `https://{shown}` (TLS) or `http://{shown}` (plain text)"
            )));
        }
        let url = Url::parse(text).map_err(|error| Malformed(format!("`{shown}` is not a URL: {error}")))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                return Err(Malformed(format!(
                    "`{shown}` has the scheme `{other}`; use `https://` or `http://`"
                )));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Malformed("an endpoint must not carry a user name or password".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Malformed(format!(
                "`{shown}` has a query or fragment; give scheme, host and port only"
            )));
        }
        let host = url
            .host_str()
            .ok_or_else(|| Malformed(format!("`{shown}` has no host")))?
            .to_owned();
        let path = url.path().trim_end_matches('/').to_owned();
        if path.ends_with("/v1/traces") {
            return Err(Malformed(format!(
                "`{shown}` ends in `/v1/traces`; exporters append that path themselves, so leave it off"
            )));
        }
        let port = url.port_or_known_default().unwrap_or(443);
        Ok(Self { scheme, host, port, path })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// The OTLP transport that the app's exporter uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Protocol {
    /// gRPC, the documentation's default.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP/1.1.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

impl Protocol {
    /// The exact value that `OTEL_EXPORTER_OTLP_PROTOCOL` takes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "grpc" => Ok(Self::Grpc),
            "http/protobuf" => Ok(Self::HttpProtobuf),
            _ => Err(Malformed(format!(
                "`{}` is not a protocol; use `grpc` or `http/protobuf`",
                text.escape_debug()
            ))),
        }
    }
}

/// Which releases of the instrumentation are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstrumentationSet {
    /// opentelemetry-distro 0.38b0 and opentelemetry-exporter-otlp 1.17.0.
    #[default]
    Pinned,
    /// The newest set that this project has tested for the app's Python version.
    Current,
}

impl InstrumentationSet {
    /// The flag's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Current => "current",
        }
    }
}

impl fmt::Display for InstrumentationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name under which the app appears in SigNoz; any printable text, written URL-encoded where needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(String);

impl ServiceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServiceName {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.trim().is_empty() {
            return Err(Malformed("the service name is empty".to_owned()));
        }
        if text.chars().any(char::is_control) {
            return Err(Malformed(format!(
                "the service name `{}` contains a line break or control character, which an environment file cannot hold",
                text.escape_debug()
            )));
        }
        if text.trim() != text {
            return Err(Malformed(format!("the service name `{text}` begins or ends with white space")));
        }
        if text.chars().count() > 255 {
            return Err(Malformed("the service name is longer than 255 characters".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ServiceName {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<ServiceName> for String {
    fn from(name: ServiceName) -> Self {
        name.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_codes() {
        assert!("eu2".parse::<Region>().unwrap().is_known());
        assert!(!"au".parse::<Region>().unwrap().is_known());
        for bad in ["", "u", "US", "us22", "euro", "../x", "us.evil", "us\n"] {
            let error = bad.parse::<Region>().unwrap_err().to_string();
            assert!(error.contains("us, us2, eu, eu2, in, in2"), "{error}");
        }
        assert_eq!(
            "in".parse::<Region>().unwrap().endpoint().to_string(),
            "https://ingest.in.signoz.cloud:443"
        );
    }

    #[test]
    fn endpoints() {
        let endpoint: Endpoint = "http://localhost:4318/".parse().unwrap();
        assert_eq!(endpoint.traces_url(), "http://localhost:4318/v1/traces");
        assert!("[::1]:4317".parse::<Endpoint>().is_err());
        assert_eq!("http://[::1]:4317".parse::<Endpoint>().unwrap().bare_host(), "::1");
        for (text, says) in [
            ("localhost:4317", "no scheme"),
            ("ftp://host", "scheme `ftp`"),
            ("https://", "not a URL"),
            ("https://user:secret@host", "user name"),
            ("https://host/v1/traces", "leave it off"),
            ("https://host?x=1", "query"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn service_names() {
        assert!("it's $(touch x) \"é\"".parse::<ServiceName>().is_ok());
        assert!("a\nb".parse::<ServiceName>().is_err());
        assert!(" ".parse::<ServiceName>().is_err());
    }
}
