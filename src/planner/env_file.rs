//! `.signoz/otel.env`: one `NAME=value` per line, read alike by the run script, systemd's `EnvironmentFile` and
//! `docker --env-file`.
//!
//! The three differ in quotes, backslashes and comments, so that none of these may stand in a value: what a person
//! typed is percent-encoded, as the W3C Baggage format of `OTEL_RESOURCE_ATTRIBUTES` wants it anyway.

use crate::domain::plan::Content;
use crate::domain::{Answers, Endpoint, IngestionKey, InstrumentationSet};

/// The file.
#[must_use]
pub fn content(answers: &Answers) -> Content {
    let mut attributes = format!("service.name={}", encode(answers.service_name.as_str()));
    if let Some(environment) = &answers.deployment_environment {
        attributes.push_str(&format!(",deployment.environment={}", encode(environment.as_str())));
    }
    let text = format!(
        "\
# Written by signoz-setup. Holds the ingestion key: keep it out of git and of images.
OTEL_RESOURCE_ATTRIBUTES={attributes}
OTEL_EXPORTER_OTLP_ENDPOINT={}
OTEL_EXPORTER_OTLP_PROTOCOL={}
OTEL_TRACES_EXPORTER=otlp
# The distribution would switch these on by itself.
OTEL_METRICS_EXPORTER=none
OTEL_LOGS_EXPORTER=none
",
        answers.destination.endpoint(),
        answers.protocol,
    );
    let text = match answers.instrumentation {
        InstrumentationSet::Pinned => text,
        // Since 0.61b0 it puts a handler on the root logger, which silences what Python prints of an app without handlers.
        InstrumentationSet::Current => text + "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false\n",
    };
    match &answers.key {
        Some(key) => Content::text(text)
            .then("OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=")
            .then_key(header_value(key))
            .then("\n"),
        None => Content::text(text),
    }
}

/// The key as the SDK decodes it: it takes `%41` for `A`, and refuses a backslash, which systemd would drop besides.
fn header_value(key: &IngestionKey) -> IngestionKey {
    let encoded = key.expose().replace('%', "%25").replace('\\', "%5C");
    IngestionKey::parse(&encoded).unwrap_or_else(|_| key.clone())
}

/// The endpoint and the key that such a file holds; `None` when it has no key, or was made otherwise by hand.
#[must_use]
pub fn read(text: &str) -> Option<(Endpoint, IngestionKey)> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let endpoint = value("OTEL_EXPORTER_OTLP_ENDPOINT")?.parse().ok()?;
    let written = value("OTEL_EXPORTER_OTLP_HEADERS")?.strip_prefix("signoz-ingestion-key=")?;
    let key = written.replace("%5C", "\\").replace("%25", "%");
    Some((endpoint, IngestionKey::parse(&key).ok()?))
}

/// Percent-encodes everything but unreserved characters (RFC 3986); the SDK decodes it (seen in 1.17.0).
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_so_that_the_sdk_decodes_it_to_itself() {
        let written = |text: &str| header_value(&IngestionKey::parse(text).unwrap()).expose().to_owned();
        assert_eq!(written("abc-123_x.y~z=+/"), "abc-123_x.y~z=+/");
        assert_eq!(written(r"a%41\b"), "a%2541%5Cb");
    }

    #[test]
    fn a_written_key_is_read_back_with_its_endpoint() {
        for key in ["abc-123_x.y~z=+/", r"a%41\b", "%25%5C"] {
            let written = header_value(&IngestionKey::parse(key).unwrap());
            let text = format!(
                "# x\nOTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu.signoz.cloud:443\nOTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key={}\n",
                written.expose()
            );
            let (endpoint, read) = read(&text).unwrap();
            assert_eq!((endpoint.host.as_str(), read.expose()), ("ingest.eu.signoz.cloud", key));
        }
        assert!(read("OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317\n").is_none());
    }

    #[test]
    fn nothing_that_readers_treat_differently_is_left() {
        assert_eq!(encode("shop-1.api_v~2"), "shop-1.api_v~2");
        assert_eq!(encode("it's \"$(x)\"\\,é"), "it%27s%20%22%24%28x%29%22%5C%2C%C3%A9");
    }
}
