//! OTLP messages → ledger records. May never panic on any bytes: what is malformed is refused or counted.
//!
//! A trace export is read twice: at arrival for what must be counted, without allocating for each span; and for its records
//! when somebody looks at them.

use super::wire::{self, Fields, Malformed, Wire};
use super::{SpanKind, SpanRecord};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use std::collections::BTreeMap;

/// What is counted of a span at its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) span_id: [u8; 8],
    pub(super) server: bool,
}

/// A service and the attributes of its resource.
pub(super) type Resource = (String, BTreeMap<String, String>);

/// What one trace export carried.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arrivals {
    pub(super) spans: Vec<Arrival>,
    pub(super) resources: Vec<Resource>,
    /// Spans whose ids have not the length that OTLP asks for, or are all zero; they have no record.
    pub(super) rejected: i64,
}

/// Reads what must be counted; refuses the whole message when any part of it is malformed.
pub(super) fn arrivals(export: &[u8]) -> Result<Arrivals, Malformed> {
    wire::check(export)?;
    let mut found = Arrivals::default();
    walk(export, &mut |part| match part {
        Part::Resource(resource) => found.resources.push(resource),
        Part::Span(span, _, _) => match head(span) {
            Some(head) => found.spans.push(Arrival {
                span_id: head.span_id,
                server: head.kind == SpanKind::Server,
            }),
            None => found.rejected += 1,
        },
    });
    Ok(found)
}

/// The records of a message that [`arrivals`] has read before, in the same order.
pub(super) fn records(export: &[u8], process: Option<u32>, mut each: impl FnMut(SpanRecord)) {
    walk(export, &mut |part| {
        if let Part::Span(span, service, scope) = part
            && let Some(record) = record(span, service, scope, process)
        {
            each(record);
        }
    });
}

enum Part<'a> {
    Resource(Resource),
    /// With its service and its scope.
    Span(&'a [u8], &'a str, &'a str),
}

/// Shows each resource before its spans. The message was checked: a malformed part cannot come.
fn walk(export: &[u8], see: &mut dyn FnMut(Part<'_>)) {
    for resource_spans in messages(export, 1) {
        let mut attributes = BTreeMap::new();
        for resource in messages(resource_spans, 1) {
            attributes.extend(messages(resource, 1).map(pair));
        }
        let service = attributes
            .get("service.name")
            .map_or_else(|| "unknown_service".to_owned(), Clone::clone);
        see(Part::Resource((service.clone(), attributes)));
        for scope_spans in messages(resource_spans, 2) {
            let scope = messages(scope_spans, 1).last().and_then(|scope| messages(scope, 1).last());
            let scope = scope.map(string).unwrap_or_default();
            for span in messages(scope_spans, 2) {
                see(Part::Span(span, &service, &scope));
            }
        }
    }
}

fn record(span: &[u8], service: &str, scope: &str, process: Option<u32>) -> Option<SpanRecord> {
    let head = head(span)?;
    let mut record = SpanRecord {
        trace_id: head.trace_id,
        span_id: head.span_id,
        parent_id: head.parent_id,
        name: String::new(),
        kind: head.kind,
        service: service.to_owned(),
        scope: scope.to_owned(),
        start_ns: 0,
        end_ns: 0,
        attributes: Vec::new(),
        process,
    };
    for (number, value) in Fields::of(span).flatten() {
        match (number, value) {
            (5, Wire::Bytes(name)) => record.name = string(name),
            (7, Wire::Fixed64(start)) => record.start_ns = start,
            (8, Wire::Fixed64(end)) => record.end_ns = end,
            (9, Wire::Bytes(attribute)) => record.attributes.push(pair(attribute)),
            _ => {}
        }
    }
    Some(record)
}

/// What identifies a span.
struct Head {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: [u8; 8],
    kind: SpanKind,
}

/// `None` when an id is not what OTLP asks for.
fn head(span: &[u8]) -> Option<Head> {
    let (mut trace, mut id, mut parent): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut kind = SpanKind::Internal;
    for (number, value) in Fields::of(span).flatten() {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => trace = bytes,
            (2, Wire::Bytes(bytes)) => id = bytes,
            (4, Wire::Bytes(bytes)) => parent = bytes,
            (6, Wire::Varint(number)) => {
                kind = match number {
                    2 => SpanKind::Server,
                    3 => SpanKind::Client,
                    4 => SpanKind::Producer,
                    5 => SpanKind::Consumer,
                    _ => SpanKind::Internal,
                }
            }
            _ => {}
        }
    }
    Some(Head {
        trace_id: trace.try_into().ok().filter(|id| *id != [0; 16])?,
        span_id: id.try_into().ok().filter(|id| *id != [0; 8])?,
        parent_id: if parent.is_empty() { [0; 8] } else { parent.try_into().ok()? },
        kind,
    })
}

/// The messages (or texts) in a field.
fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(message)
        .flatten()
        .filter(move |(found, _)| *found == number)
        .filter_map(|(_, value)| value.bytes().ok())
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn pair(attribute: &[u8]) -> (String, String) {
    let (mut name, mut value) = (String::new(), String::new());
    for (number, field) in Fields::of(attribute).flatten() {
        match (number, field) {
            (1, Wire::Bytes(bytes)) => name = string(bytes),
            (2, Wire::Bytes(bytes)) => value = text(bytes),
            _ => {}
        }
    }
    (name, value)
}

/// A value as a person would write it; how deep values lie in each other was checked.
fn text(value: &[u8]) -> String {
    match Fields::of(value).flatten().last() {
        Some((1, Wire::Bytes(bytes))) => string(bytes),
        Some((2, Wire::Varint(value))) => (value != 0).to_string(),
        Some((3, Wire::Varint(value))) => value.cast_signed().to_string(),
        Some((4, Wire::Fixed64(bits))) => f64::from_bits(bits).to_string(),
        Some((5, Wire::Bytes(array))) => format!("[{}]", messages(array, 1).map(text).collect::<Vec<_>>().join(", ")),
        Some((6, Wire::Bytes(list))) => {
            let pairs: Vec<String> = messages(list, 1)
                .map(pair)
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Some((7, Wire::Bytes(bytes))) => format!("{} bytes", bytes.len()),
        _ => String::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
    use opentelemetry_proto::tonic::resource::v1;
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
    use proptest::prelude::*;
    use prost::Message;

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    fn whole() -> Vec<u8> {
        let list = KeyValueList {
            values: vec![attribute("deep", Value::IntValue(-7))],
        };
        let array = ArrayValue {
            values: vec![AnyValue {
                value: Some(Value::KvlistValue(list)),
            }],
        };
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            parent_span_id: vec![3; 8],
            trace_state: "a=b".to_owned(),
            name: "größe".to_owned(),
            kind: 2,
            start_time_unix_nano: 5,
            end_time_unix_nano: 9,
            attributes: vec![
                attribute("list", Value::ArrayValue(array)),
                attribute("none", Value::BytesValue(vec![1])),
            ],
            events: vec![Event {
                name: "exception".to_owned(),
                attributes: vec![attribute("type", Value::StringValue("E".to_owned()))],
                ..Event::default()
            }],
            links: vec![Link {
                trace_id: vec![4; 16],
                ..Link::default()
            }],
            status: Some(Status {
                message: "bad".to_owned(),
                code: 2,
            }),
            flags: 1,
            ..Span::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(v1::Resource {
                    attributes: vec![attribute("service.name", Value::StringValue("shop".to_owned()))],
                    ..v1::Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "flask".to_owned(),
                        ..InstrumentationScope::default()
                    }),
                    spans: vec![span.clone(), Span { kind: 3, ..span }],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
        .encode_to_vec()
    }

    #[test]
    fn records_hold_what_was_sent() {
        let export = whole();
        let arrivals = arrivals(&export).unwrap();
        assert_eq!((arrivals.spans.len(), arrivals.rejected), (2, 0));
        assert!(arrivals.spans[0].server && !arrivals.spans[1].server);
        let mut records = Vec::new();
        super::records(&export, Some(7), |record| records.push(record));
        let first = &records[0];
        assert_eq!((first.trace_id, first.span_id, first.parent_id), ([1; 16], [2; 8], [3; 8]));
        assert_eq!(
            (first.name.as_str(), first.service.as_str(), first.scope.as_str()),
            ("größe", "shop", "flask")
        );
        assert_eq!((first.start_ns, first.end_ns, first.process), (5, 9, Some(7)));
        assert_eq!(first.attributes[0].1, "[{deep: -7}]");
        assert_eq!(first.attributes[1].1, "1 bytes");
        assert_eq!(records[1].kind, SpanKind::Client);
    }

    proptest! {
        /// The decoder that everybody uses is the judge: what is accepted here, it accepts, with as many spans.
        #[test]
        fn damaged_messages_are_judged_as_the_protobuf_decoder_judges_them(bits in prop::collection::vec(0_usize..100_000, 0..4), cut in 0_usize..40) {
            let mut export = whole();
            for bit in bits {
                let at = bit / 8 % export.len();
                export[at] ^= 1 << (bit % 8);
            }
            export.truncate(export.len() - cut / 4);
            let reference = ExportTraceServiceRequest::decode(export.as_slice());
            match arrivals(&export) {
                Ok(found) => {
                    let reference = reference.expect("the decoder accepts what is accepted here");
                    let spans: usize = reference.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum();
                    prop_assert_eq!(found.spans.len() + usize::try_from(found.rejected).unwrap(), spans);
                    let mut count = 0;
                    records(&export, None, |_| count += 1);
                    prop_assert_eq!(count, found.spans.len());
                }
                // Groups, long gone from protobuf, are refused here and skipped there.
                Err(Malformed(why)) => prop_assert!(reference.is_err() || why.contains("wire type"), "{why}"),
            }
        }
    }
}
