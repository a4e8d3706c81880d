//! The question for the instrumentation: what each set would trace and what it would move, side by side where there is
//! room for both.

use super::ask;
use super::frame::{Look, Page};
use super::lines::{Row, clean, cut, wide, width_of, wrap};
use crate::domain::CoverageStatus;
use crate::ui::marks::{self, Tone};
use crate::ui::text::conflict_words;
use crate::wizard::{Ask, SetOutlook};
use ratatui::text::{Line, Span};

/// Columns between two tables.
const GAP: usize = 4;

/// The screen.
pub(super) fn page(look: &Look<'_>, ask: &Ask) -> Page {
    let mut page = Page {
        top: ask::heading(look, ask),
        bottom: ask::under(look, ask),
        steady: true,
        ..Page::default()
    };
    if !look.roomy() {
        // The tables say it themselves.
        page.top = vec![look.theme.row(Tone::Title, ask.question.title)];
    }
    let Some(found) = &look.wizard.interview.found else {
        // Without a project nothing is known of either.
        for (index, choice) in ask.choices.iter().enumerate() {
            page.top.push(title(look, &choice.title, index == ask.line));
        }
        page.long = look.marked(
            look.spinner(),
            Tone::Plain,
            "the project is still being looked at",
            look.text_width(),
        );
        page.long.insert(0, Row::default());
        return page;
    };
    let outlook = |name: &str| found.sets.iter().find(|outlook| outlook.set.as_str() == name);
    if look.two_columns() && ask.choices.len() == 2 {
        let width = (look.text_width() - GAP) / 2;
        let part = |index: usize| (&ask.choices[index], outlook(&ask.choices[index].value));
        let mut heads = [0, 1].map(|index| {
            let (choice, outlook) = part(index);
            head(look, &choice.title, outlook, index == ask.line, width)
        });
        let tallest = heads[0].len().max(heads[1].len());
        for (index, head) in heads.iter_mut().enumerate() {
            head.resize(tallest, Row::default());
            head.push(underline(look, index == ask.line, width));
        }
        let columns = [0, 1].map(|index| table(look, part(index).1, width));
        page.top.extend(beside(heads, width));
        page.long = beside(columns, width);
        return page;
    }
    let width = look.text_width();
    for (index, choice) in ask.choices.iter().enumerate() {
        let chosen = index == ask.line;
        let mut words = vec![title(look, &choice.title, chosen)];
        if let Some(outlook) = outlook(&choice.value) {
            let line = words.remove(0);
            let mut spans = line.spans;
            spans.push(Span::raw("  "));
            spans.push(look.theme.say(Tone::Quiet, sums(outlook)));
            words = wrap(Line::from(spans), look.width, 4);
        }
        page.top.extend(words);
    }
    if look.roomy() {
        page.top.push(Row::default());
    }
    if let Some(choice) = ask.choices.get(ask.line) {
        page.top.push(look.rule(&format!("What {} would do", choice.title), "", look.width));
        page.long = table(look, outlook(&choice.value), width);
    }
    page
}

fn title(look: &Look<'_>, words: &str, chosen: bool) -> Row {
    let theme = look.theme;
    if chosen {
        Line::from(vec![theme.mark(marks::CHOSEN), Span::raw(" "), theme.say(Tone::Accent, words)])
    } else {
        Line::from(vec![Span::raw("  "), theme.say(Tone::Plain, words)])
    }
}

/// Name and releases of a set, above its table.
fn head(look: &Look<'_>, name: &str, outlook: Option<&SetOutlook>, chosen: bool, width: usize) -> Vec<Row> {
    let mut rows = vec![title(look, name, chosen)];
    if let Some(outlook) = outlook {
        rows.extend(wrap(look.theme.row(Tone::Quiet, format!("  {}", outlook.releases)), width, 2));
    }
    rows
}

fn underline(look: &Look<'_>, chosen: bool, width: usize) -> Row {
    let (line, tone) = if chosen { ("━", Tone::Accent) } else { ("─", Tone::Quiet) };
    look.theme.row(tone, line.repeat(width))
}

/// Two columns as one.
fn beside(columns: [Vec<Row>; 2], width: usize) -> Vec<Row> {
    let [left, right] = columns;
    let rows = left.len().max(right.len());
    let mut right = right.into_iter();
    let mut left = left.into_iter();
    (0..rows)
        .map(|_| {
            let mut spans = left.next().unwrap_or_default().spans;
            let used = width_of(&spans);
            spans.push(Span::raw(" ".repeat(width + GAP - used.min(width))));
            spans.extend(right.next().unwrap_or_default().spans);
            Line::from(spans)
        })
        .collect()
}

/// A set in a few words.
fn sums(outlook: &SetOutlook) -> String {
    let traced = outlook.coverage.iter().filter(|row| row.status == CoverageStatus::Traced).count();
    let coverage = match (&outlook.silence, outlook.coverage.len()) {
        (Some(_), _) => "no request would be traced".to_owned(),
        (None, 0) => "knows no library of this app".to_owned(),
        (None, all) => format!("{traced} of {all} libraries"),
    };
    let moves = match &outlook.resolution {
        None => ", asking the resolver".to_owned(),
        Some(Err(_)) => ", cannot be installed".to_owned(),
        Some(Ok(resolution)) if !resolution.conflicts.is_empty() => ", breaks installed packages".to_owned(),
        Some(Ok(resolution)) => match resolution.changed().count() {
            0 => ", changes nothing installed".to_owned(),
            1 => ", changes 1 installed package".to_owned(),
            count => format!(", changes {count} installed packages"),
        },
    };
    format!("{coverage}{moves}")
}

/// Library by library, then what would move.
fn table(look: &Look<'_>, outlook: Option<&SetOutlook>, width: usize) -> Vec<Row> {
    let Some(outlook) = outlook else {
        return wrap(
            look.theme.row(Tone::Quiet, "nothing is known of this set for the app's Python"),
            width,
            0,
        );
    };
    let theme = look.theme;
    let mut rows = Vec::new();
    if let Some(silence) = &outlook.silence {
        rows.extend(look.marked(marks::BAD, Tone::Plain, silence, width));
        rows.push(Row::default());
    }
    // What would break comes before what would be traced.
    let breaks = breaks(look, outlook, width);
    if !breaks.is_empty() {
        rows.extend(breaks);
        rows.push(Row::default());
    }
    let names = outlook
        .coverage
        .iter()
        .map(|row| wide(&clean(&row.library)) + wide(&clean(&row.version)) + 1);
    let column = names.max().unwrap_or(0).min(width / 2);
    for row in &outlook.coverage {
        let name = cut(&clean(&format!("{} {}", row.library, row.version)), column);
        let pad = " ".repeat(column - wide(&name) + 2);
        let tone = if row.server { Tone::Title } else { Tone::Plain };
        let words = vec![
            theme.mark(marks::coverage(row.status)),
            Span::raw(" "),
            theme.say(tone, name),
            Span::raw(pad),
            theme.say(Tone::Quiet, &row.note),
        ];
        rows.extend(wrap(Line::from(words), width, column + 4));
    }
    if outlook.coverage.is_empty() {
        rows.extend(wrap(
            theme.row(Tone::Quiet, "no library of this app is known to this set"),
            width,
            0,
        ));
    }
    rows.push(Row::default());
    rows.extend(moves(look, outlook, width));
    rows
}

/// What the install would do to the environment.
fn moves(look: &Look<'_>, outlook: &SetOutlook, width: usize) -> Vec<Row> {
    let theme = look.theme;
    let mut rows = vec![theme.row(Tone::Title, "In your environment")];
    match &outlook.resolution {
        None => rows.extend(look.marked(look.spinner(), Tone::Plain, "asking the resolver what would move", width)),
        Some(Err(error)) => {
            rows.extend(look.marked(marks::BAD, Tone::Plain, &error.what, width));
            if let Some(why) = &error.why {
                rows.extend(wrap(theme.row(Tone::Quiet, format!("  {why}")), width, 2));
            }
        }
        Some(Ok(resolution)) => {
            let changed = resolution.changed().count();
            let new = resolution.moves.len() - changed;
            let words = match (new, changed) {
                (0, 0) => "everything that is needed is installed".to_owned(),
                (new, 0) => format!("{new} packages come, none that is there changes"),
                (new, changed) => format!("{new} packages come, {changed} change"),
            };
            rows.extend(wrap(theme.row(Tone::Plain, words), width, 0));
            for step in resolution.changed() {
                let from = step.from.as_deref().unwrap_or_default();
                let words = format!("{} {from} → {}", step.name, step.to);
                rows.extend(look.marked(marks::CARE, Tone::Plain, words, width));
            }
        }
    }
    rows
}

/// Packages of the app that the install would break.
fn breaks(look: &Look<'_>, outlook: &SetOutlook, width: usize) -> Vec<Row> {
    let conflicts = match &outlook.resolution {
        Some(Ok(resolution)) => &resolution.conflicts[..],
        _ => &[],
    };
    let mut rows = Vec::new();
    for conflict in conflicts {
        rows.extend(look.marked(marks::BAD, Tone::Plain, conflict_words(conflict), width));
        if let Some(way_out) = &conflict.way_out {
            rows.extend(wrap(look.theme.row(Tone::Quiet, format!("  {way_out} would fit")), width, 2));
        }
    }
    rows
}
