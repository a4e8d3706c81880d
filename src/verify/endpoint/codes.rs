//! HTTP statuses and gRPC codes as two tables: what each means at this endpoint, and what to do.
//!
//! After the SigNoz documentation (ingestion troubleshooting, 2026-07; data not appearing, 2026-07) and the OTLP specification.

/// What a code or status means.
pub(super) struct Row {
    pub(super) codes: &'static [i32],
    pub(super) stage: &'static str,
    /// What happened and why; `{…}` is filled in.
    pub(super) detail: &'static str,
    /// What to do.
    pub(super) remedy: &'static str,
}

const KEY: &str = "{endpoint} refused the ingestion key ({code}): {key}";
const KEY_REMEDY: &str = "copy the key again from SigNoz, Settings → Ingestion, which also shows its region; pass it with `--ingestion-key-file PATH` or `SIGNOZ_INGESTION_KEY`, and the region with `--region`";
const LATER: &str = "run this again in a minute; if it stays, look at https://status.signoz.io or at the logs of your own collector";
pub(super) const NOT_OTLP: &str = "give the ingest address with `--region`, or with `--endpoint`: https://ingest.<region>.signoz.cloud:443 for SigNoz Cloud, http://HOST:4317 (gRPC) or http://HOST:4318 (HTTP) for your own";

pub(super) const HTTP: &[Row] = &[
    Row {
        codes: &[401, 403],
        stage: "auth",
        detail: KEY,
        remedy: KEY_REMEDY,
    },
    Row {
        codes: &[400, 422],
        stage: "accepted",
        detail: "{endpoint} calls the span malformed ({code}){said}",
        remedy: "check that the endpoint takes OTLP: another protocol may listen there",
    },
    Row {
        codes: &[404],
        stage: "accepted",
        detail: "{endpoint} has nothing at /v1/traces ({code}): the host, the port or the path is not that of an OTLP receiver",
        remedy: NOT_OTLP,
    },
    Row {
        codes: &[405, 501],
        stage: "accepted",
        detail: "{endpoint} takes no posts at /v1/traces ({code}): it is a web server, not an OTLP receiver",
        remedy: NOT_OTLP,
    },
    Row {
        codes: &[407],
        stage: "proxy",
        detail: "the proxy asks for a user name and password ({code})",
        remedy: "put them into the proxy variable: `http://USER:PASSWORD@HOST:PORT`",
    },
    Row {
        codes: &[408, 499, 504],
        stage: "accepted",
        detail: "{endpoint} gave up waiting ({code}){said}",
        remedy: LATER,
    },
    Row {
        codes: &[413],
        stage: "accepted",
        detail: "{endpoint} says that one span is too large ({code}): a proxy in between has a very small limit",
        remedy: "raise the limit of the proxy (nginx: `client_max_body_size 16m`)",
    },
    Row {
        codes: &[415],
        stage: "accepted",
        detail: "{endpoint} does not take protobuf ({code}){said}",
        remedy: "use `--protocol grpc`, or an endpoint that takes OTLP as protobuf over HTTP",
    },
    Row {
        codes: &[429],
        stage: "accepted",
        detail: "{endpoint} knows the key, and its limit is used up ({code}){said}",
        remedy: "raise the key's limit in SigNoz, Settings → Ingestion, or wait until its window is over",
    },
    Row {
        codes: &[500, 502, 503],
        stage: "accepted",
        detail: "{endpoint} is not able to take spans now ({code}){said}",
        remedy: LATER,
    },
];

/// Codes of the gRPC specification.
pub(super) const GRPC: &[Row] = &[
    Row {
        codes: &[16, 7, 5],
        stage: "auth",
        detail: KEY,
        remedy: KEY_REMEDY,
    },
    Row {
        codes: &[12],
        stage: "accepted",
        detail: "{endpoint} speaks gRPC but does not know the OTLP trace service ({code}){said}",
        remedy: NOT_OTLP,
    },
    Row {
        codes: &[3],
        stage: "accepted",
        detail: "{endpoint} calls the span malformed ({code}){said}",
        remedy: "check that the endpoint takes OTLP: another service may listen there",
    },
    Row {
        codes: &[8],
        stage: "accepted",
        detail: "{endpoint} has no room for one span ({code}): the key's limit is used up, or the receiver is overloaded{said}",
        remedy: "raise the key's limit in SigNoz, Settings → Ingestion, or wait until its window is over",
    },
    Row {
        codes: &[1, 4],
        stage: "accepted",
        detail: "{endpoint} gave up waiting ({code}){said}",
        remedy: LATER,
    },
    Row {
        codes: &[14],
        stage: "accepted",
        detail: "{endpoint} is not able to take spans now ({code}){said}",
        remedy: LATER,
    },
];

pub(super) const OTHER: Row = Row {
    codes: &[],
    stage: "accepted",
    detail: "{endpoint} did not take the span ({code}){said}",
    remedy: "run this again with `-v`; if it stays, try the other protocol (`--protocol grpc` or `--protocol http/protobuf`)",
};

/// Names of gRPC's codes, by number.
pub(super) const CODE_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Hosts that look like an ingest endpoint and are not one, with what they are.
pub(super) const WRONG_HOSTS: &[(&str, &str)] = &[
    (
        "ingest.signoz.io",
        "is an old address; use https://ingest.us.signoz.cloud:443 (`--region us`)",
    ),
    (
        "ingest-eu.signoz.io",
        "is an old address; use https://ingest.eu.signoz.cloud:443 (`--region eu`)",
    ),
    (
        "ingest-in.signoz.io",
        "is an old address; use https://ingest.in.signoz.cloud:443 (`--region in`)",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_says_what_happened_and_what_to_do() {
        for row in HTTP.iter().chain(GRPC) {
            assert!(row.detail.contains("{code}") && !row.remedy.is_empty(), "{}", row.detail);
            assert!(super::super::STAGES.contains(&row.stage));
        }
        let mut codes: Vec<i32> = HTTP.iter().chain(GRPC).flat_map(|row| row.codes).copied().collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all, "a code is in two rows");
    }
}
