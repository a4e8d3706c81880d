//! The spans of one trace as a tree with times: what a person looks at. Pure.

use super::SpanRecord;
use std::collections::{HashMap, HashSet};

/// One line of a waterfall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Index into the given spans.
    pub span: usize,
    /// How deep below its root; 0 for a root, or for a span whose parent did not arrive.
    pub depth: usize,
    /// Its parent did not arrive.
    pub orphan: bool,
    /// From the start of the earliest span, in nanoseconds.
    pub offset_ns: u64,
    /// Length, in nanoseconds.
    pub duration_ns: u64,
}

/// Lays out the spans of one trace, parents before children, siblings by start time; each span appears once.
#[must_use]
pub fn waterfall(spans: &[SpanRecord]) -> Vec<Bar> {
    let mut position: HashMap<[u8; 8], usize> = HashMap::new();
    let mut order: Vec<usize> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        position.entry(span.span_id).or_insert_with(|| {
            order.push(index);
            index
        });
    }
    order.sort_by_key(|index| (spans[*index].start_ns, spans[*index].span_id));
    let zero = order.first().map_or(0, |first| spans[*first].start_ns);
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut tops = Vec::new();
    for &index in &order {
        let span = &spans[index];
        match position.get(&span.parent_id) {
            Some(&parent) if span.parent_id != span.span_id && span.parent_id != [0; 8] => children.entry(parent).or_default().push(index),
            _ => tops.push(index),
        }
    }
    let mut bars = Vec::with_capacity(order.len());
    let mut placed = HashSet::new();
    // Spans whose parents form a circle are below no top; each is shown as one.
    for top in tops.iter().copied().chain(order.iter().copied()) {
        let mut stack = vec![(top, 0)];
        while let Some((index, depth)) = stack.pop() {
            if !placed.insert(index) {
                continue;
            }
            let span = &spans[index];
            bars.push(Bar {
                span: index,
                depth,
                orphan: depth == 0 && span.parent_id != [0; 8],
                offset_ns: span.start_ns.saturating_sub(zero),
                duration_ns: span.end_ns.saturating_sub(span.start_ns),
            });
            stack.extend(children.get(&index).into_iter().flatten().rev().map(|child| (*child, depth + 1)));
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::super::SpanKind;
    use super::*;

    fn span(id: u8, parent: u8, start: u64) -> SpanRecord {
        SpanRecord {
            trace_id: [1; 16],
            span_id: [id; 8],
            parent_id: [parent; 8],
            name: String::new(),
            kind: SpanKind::Internal,
            service: String::new(),
            scope: String::new(),
            start_ns: start,
            end_ns: start + 10,
            attributes: Vec::new(),
            process: None,
        }
    }

    fn shape(spans: &[SpanRecord]) -> Vec<(u8, usize, bool)> {
        waterfall(spans)
            .iter()
            .map(|bar| (spans[bar.span].span_id[0], bar.depth, bar.orphan))
            .collect()
    }

    #[test]
    fn children_follow_their_parents_in_order_of_time() {
        let spans = [span(3, 1, 300), span(4, 2, 250), span(2, 1, 200), span(1, 0, 100), span(2, 1, 200)];
        assert_eq!(shape(&spans), [(1, 0, false), (2, 1, false), (4, 2, false), (3, 1, false)]);
        assert_eq!(waterfall(&spans)[3].offset_ns, 200);
    }

    #[test]
    fn missing_parents_and_circles_lose_no_span() {
        assert_eq!(shape(&[span(5, 9, 1)]), [(5, 0, true)]);
        assert_eq!(shape(&[span(6, 7, 1), span(7, 6, 2)]), [(6, 0, true), (7, 1, false)]);
    }
}
