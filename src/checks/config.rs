//! Checks on the variables that configure OpenTelemetry, in every place that gives them to the app.

mod endpoint;
mod lint;
mod sdk;
mod start;
mod text;

use super::{Check, Family, ROW};

/// What the rows of this family have in common.
const CONFIG: Check = Check {
    family: Family::Config,
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    start::LEFT_OVER,
    start::SERVICE_VARIABLES,
    start::DOTENV,
    start::DJANGO_SETTINGS,
    start::DJANGO_IMPORTABLE,
    text::UNQUOTED,
    text::FILLED_IN,
    text::CONTROL_CHARACTERS,
    text::CURRENT_NAMES,
    text::SIGNAL_VARIABLES,
    endpoint::SET,
    endpoint::SCHEME,
    endpoint::TLS,
    endpoint::PORT,
    endpoint::PATH,
    endpoint::INGEST_HOST,
    endpoint::CURRENT_HOST,
    endpoint::PROTOCOL,
    text::HEADERS_FORMAT,
    text::HEADER_ENCODING,
    text::HEADER_NAME,
    text::SERVICE_NAME,
    text::ONE_SERVICE_NAME,
    text::RESOURCE_ATTRIBUTES,
    sdk::ENABLED,
    sdk::TRACES_EXPORTER,
    sdk::SAMPLER,
    sdk::DECLARATIVE,
    sdk::LIBRARIES,
    sdk::TIMEOUT,
    sdk::BATCH,
    sdk::DELAY,
    sdk::LIMITS,
    sdk::PROPAGATORS,
    sdk::OTHER_SIGNALS,
    sdk::ERRORS_SHOWN,
    sdk::LOG_LEVEL,
    sdk::LOG_CORRELATION,
    sdk::HEALTH_CHECKS,
];
