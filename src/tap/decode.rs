//! OTLP messages → ledger records. May never panic on any bytes: what is malformed is refused or counted.

use super::{SpanKind, SpanRecord};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeMap;

/// What one trace export carried.
#[derive(Debug, Default)]
pub(super) struct Spans {
    pub(super) records: Vec<SpanRecord>,
    pub(super) resources: Vec<(String, BTreeMap<String, String>)>,
    /// Spans whose ids have not the length that OTLP asks for, or are all zero; they are not recorded.
    pub(super) rejected: i64,
}

/// Turns a trace export into records of a process.
pub(super) fn spans(request: ExportTraceServiceRequest, process: Option<u32>) -> Spans {
    let mut found = Spans::default();
    for resource_spans in request.resource_spans {
        let attributes = resource_spans.resource.map(|resource| resource.attributes).unwrap_or_default();
        let attributes: BTreeMap<String, String> = texts(attributes).collect();
        let service = attributes
            .get("service.name")
            .cloned()
            .unwrap_or_else(|| "unknown_service".to_owned());
        for scope_spans in resource_spans.scope_spans {
            let scope = scope_spans.scope.map(|scope| scope.name).unwrap_or_default();
            found.records.reserve(scope_spans.spans.len());
            for span in scope_spans.spans {
                match record(span, &service, &scope, process) {
                    Some(record) => found.records.push(record),
                    None => found.rejected += 1,
                }
            }
        }
        found.resources.push((service, attributes));
    }
    found
}

/// Data points in a metrics export.
pub(super) fn metric_points(request: &ExportMetricsServiceRequest) -> u64 {
    let points = |data: &Data| match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    };
    request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .filter_map(|metric| metric.data.as_ref())
        .map(|data| points(data) as u64)
        .sum()
}

/// Records in a logs export.
pub(super) fn log_records(request: &ExportLogsServiceRequest) -> u64 {
    request
        .resource_logs
        .iter()
        .flat_map(|resource| &resource.scope_logs)
        .map(|scope| scope.log_records.len() as u64)
        .sum()
}

fn record(span: Span, service: &str, scope: &str, process: Option<u32>) -> Option<SpanRecord> {
    let trace_id = <[u8; 16]>::try_from(span.trace_id.as_slice()).ok().filter(|id| *id != [0; 16])?;
    let span_id = <[u8; 8]>::try_from(span.span_id.as_slice()).ok().filter(|id| *id != [0; 8])?;
    let parent_id = match span.parent_span_id.as_slice() {
        [] => [0; 8],
        id => <[u8; 8]>::try_from(id).ok()?,
    };
    Some(SpanRecord {
        trace_id,
        span_id,
        parent_id,
        name: span.name,
        kind: match span.kind {
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        },
        service: service.to_owned(),
        scope: scope.to_owned(),
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        attributes: texts(span.attributes).collect(),
        process,
    })
}

fn texts(attributes: Vec<KeyValue>) -> impl Iterator<Item = (String, String)> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, attribute.value.map(text).unwrap_or_default()))
}

/// A value as a person would write it; nesting is bounded by the decoders' own limits (100 levels).
fn text(value: AnyValue) -> String {
    match value.value {
        None | Some(Value::StringValueStrindex(_)) => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::ArrayValue(array)) => format!("[{}]", array.values.into_iter().map(text).collect::<Vec<_>>().join(", ")),
        Some(Value::KvlistValue(list)) => {
            let pairs: Vec<String> = texts(list.values).map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Some(Value::BytesValue(bytes)) => format!("{} bytes", bytes.len()),
    }
}
