//! Stages of work that is going on, each with what was seen in it.

use super::frame::Look;
use super::lines::{Row, clean, wide, wrap};
use crate::ui::marks::{self, Mark, Tone};
use crate::wizard::LiveStage;
use ratatui::text::{Line, Span};

/// All stages in at most `room` rows where that is possible: what is done and right is then told in one row.
pub(super) fn rows(look: &Look<'_>, width: usize, room: usize) -> Vec<Row> {
    let full = told(look, width, false);
    if full.len() > room {
        return told(look, width, true);
    }
    // Air between stages that have something below them, where there is room for all of it.
    let stages = &look.wizard.live.stages;
    let below = stages.iter().filter(|stage| !stage.seen.is_empty()).count();
    if full.len() + below > room || below == 0 {
        return full;
    }
    let titles = |row: &Row| !row.spans.first().is_some_and(|span| span.content.starts_with(' '));
    let mut airy: Vec<Row> = Vec::new();
    for row in full {
        if titles(&row) && airy.last().is_some_and(|last| !titles(last)) {
            airy.push(Row::default());
        }
        airy.push(row);
    }
    airy
}

fn told(look: &Look<'_>, width: usize, brief: bool) -> Vec<Row> {
    let live = &look.wizard.live;
    let names = live.stages.iter().flat_map(|stage| &stage.seen);
    let column = names.map(|(name, ..)| wide(&clean(name))).max().unwrap_or(0);
    let busy = look.wizard.is_busy();
    let mut rows = Vec::new();
    for (index, stage) in live.stages.iter().enumerate() {
        let running = busy && index + 1 == live.stages.len();
        let failed = stage.seen.iter().any(|(_, passed, _)| !passed);
        let mark = if running {
            look.spinner()
        } else if failed {
            marks::BAD
        } else {
            marks::GOOD
        };
        let tone = if running { Tone::Title } else { Tone::Plain };
        let brief = brief && !running && !failed && !stage.seen.is_empty();
        if brief {
            let count = stage.seen.len();
            let words = vec![
                look.theme.mark(mark),
                Span::raw(" "),
                look.theme.say(tone, &stage.title),
                look.theme.say(Tone::Quiet, format!("  {count} checks passed")),
            ];
            rows.extend(wrap(Line::from(words), width, 2));
            continue;
        }
        rows.extend(look.marked(mark, tone, &stage.title, width));
        rows.extend(seen(look, stage, column, width));
    }
    rows
}

fn seen(look: &Look<'_>, stage: &LiveStage, column: usize, width: usize) -> Vec<Row> {
    let line = |(name, passed, detail): &(String, bool, String)| -> Vec<Row> {
        let mark: Mark = if *passed { marks::GOOD } else { marks::BAD };
        let tone = if *passed { Tone::Quiet } else { Tone::Plain };
        let words = vec![
            Span::raw("  "),
            look.theme.mark(mark),
            Span::raw(" "),
            look.theme.say(Tone::Plain, format!("{name:<column$}  ")),
            look.theme.say(tone, detail),
        ];
        wrap(Line::from(words), width, column + 6)
    };
    stage.seen.iter().flat_map(line).collect()
}
