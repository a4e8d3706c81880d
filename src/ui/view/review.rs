//! The plan: the answers in a few lines, the steps, and what the chosen one changes.

use super::footer::pending;
use super::frame::{Look, bar, put, rows_of};
use super::lines::{Row, clean, cut, cut_spans, shorten, wide, width_of, wrap};
use crate::domain::StepState;
use crate::domain::report::{Outcome, StepRow};
use crate::ui::marks::{self, Tone};
use crate::wizard::question::join;
use crate::wizard::{KeyState, Review};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

/// Columns of the names of the answers.
const NAME: usize = 10;

/// Columns of the list of steps beside a diff.
const LIST: usize = 44;

/// Draws the screen; returns how far the diff can be scrolled.
pub(super) fn draw(look: &Look<'_>, review: Review, area: Rect, frame: &mut Frame) -> usize {
    let steps: &[StepRow] = look.wizard.report.plan.as_ref().map_or(&[], |plan| &plan.steps);
    let mut top = heading(look, steps);
    // The steps and some of the diff come first; the answers get the room that is left.
    let room = look.height.saturating_sub(top.len() + 11);
    let answers = [summary(look), short(look)]
        .into_iter()
        .find(|rows| rows.len() + 2 <= room)
        .unwrap_or_else(|| brief(look));
    if answers.len() > 4 {
        top.push(Row::default());
    }
    top.extend(answers);
    if look.height > 13 {
        top.push(Row::default());
    }
    let height = rows_of(top.len()).min(area.height);
    put(&top, 0, Rect { height, ..area }, frame.buffer_mut());
    let rest = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    // Long lines are read better below the steps; where the window is low, beside them.
    let low = usize::from(rest.height) < steps.len() + 10;
    let [list, detail] = if look.wide() && low {
        let list = rows_of(LIST);
        [
            Rect { width: list, ..rest },
            Rect {
                x: rest.x + list + 3,
                width: rest.width - list - 3,
                ..rest
            },
        ]
    } else {
        // Of the list at least three rows are seen, of the diff at least half of what is left.
        let wanted = rows_of(steps.len()).min((rest.height / 2).max(3));
        let air = u16::from(!low);
        [
            Rect { height: wanted, ..rest },
            Rect {
                y: rest.y + wanted + air,
                height: rest.height - wanted - air,
                ..rest
            },
        ]
    };
    draw_list(look, steps, review.step, list, frame);
    let Some(step) = steps.get(review.step) else { return 0 };
    draw_step(look, step, review.explained, detail, frame)
}

fn heading(look: &Look<'_>, steps: &[StepRow]) -> Vec<Row> {
    let theme = look.theme;
    let todo = pending(look);
    let right = steps.len() - todo;
    let spans = if todo == 0 {
        vec![
            theme.mark(marks::GOOD),
            Span::raw(" "),
            theme.say(Tone::Title, "everything is as it should be"),
            theme.say(Tone::Quiet, ", nothing to do"),
        ]
    } else {
        let words = if todo == 1 {
            "1 step to do".to_owned()
        } else {
            format!("{todo} steps to do")
        };
        let mut spans = vec![theme.say(Tone::Title, words)];
        if right > 0 {
            spans.push(theme.say(Tone::Quiet, format!(", {right} already right")));
        }
        spans.push(theme.say(Tone::Quiet, "; nothing is changed yet"));
        spans
    };
    vec![Line::from(cut_spans(spans, look.width))]
}

/// The answers, one fact a line.
fn summary(look: &Look<'_>) -> Vec<Row> {
    let theme = look.theme;
    let width = look.width;
    let mut rows = Vec::new();
    let answers = look.wizard.interview.answers();
    let mut service = answers.service_name.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(place) = &answers.deployment_environment {
        service = format!("{service} in {place}");
    }
    let mut add = |name: &str, value: String, note: String| {
        if value.is_empty() {
            return;
        }
        let mut spans = vec![theme.say(Tone::Plain, value)];
        if !note.is_empty() {
            spans.push(Span::raw("  "));
            spans.push(theme.say(Tone::Quiet, note));
        }
        rows.extend(look.fact(name, NAME, spans, width));
    };
    add("service", service, String::new());
    let endpoint = look
        .wizard
        .interview
        .endpoint()
        .map(|endpoint| endpoint.to_string())
        .unwrap_or_default();
    add("sends to", endpoint, answers.protocol.unwrap_or_default().to_string());
    let releases = look
        .wizard
        .interview
        .outlook(look.wizard.interview.set())
        .map(|outlook| outlook.releases.clone());
    add("releases", look.wizard.interview.set().to_string(), releases.unwrap_or_default());
    match &look.wizard.report.launch {
        Some(launch) => {
            add("starts", launch.command.clone(), String::new());
            add("", launch.why.clone(), String::new());
            if let Some(caveat) = &launch.caveat {
                let spans = vec![theme.mark(marks::CARE), Span::raw(" "), theme.say(Tone::Plain, caveat)];
                rows.extend(look.fact("", NAME, spans, width));
            }
        }
        None => {
            let command = answers.command.as_deref().map(join).unwrap_or_default();
            rows.extend(look.fact("starts", NAME, vec![theme.say(Tone::Plain, command)], width));
        }
    }
    if let Some(key) = refused_key(look) {
        rows.extend(key);
    }
    rows
}

/// A key that was refused is worth a line here: it is known before anything is changed.
fn refused_key(look: &Look<'_>) -> Option<Vec<Row>> {
    let KeyState::Checked(level) = &look.wizard.key else { return None };
    if !matches!(level.outcome, Outcome::Fail | Outcome::Unknown | Outcome::Warn) {
        return None;
    }
    let spans = vec![
        look.theme.say(Tone::Quiet, format!("{:<NAME$}", "key")),
        look.theme.mark(marks::outcome(level.outcome)),
        Span::raw(" "),
        look.theme.say(Tone::Plain, &level.detail),
    ];
    Some(wrap(Line::from(spans), look.width, NAME))
}

/// The answers as two sentences, and why the app is started as it will be.
fn short(look: &Look<'_>) -> Vec<Row> {
    let theme = look.theme;
    let interview = &look.wizard.interview;
    let answers = interview.answers();
    let mut service = answers.service_name.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(place) = &answers.deployment_environment {
        service = format!("{service} in {place}");
    }
    let place = interview.endpoint().map(|endpoint| endpoint.to_string()).unwrap_or_default();
    let protocol = answers.protocol.unwrap_or_default();
    let words = format!("{service} → {place} over {protocol}, {} releases", interview.set());
    let mut rows = wrap(theme.row(Tone::Plain, words), look.width, 2);
    match &look.wizard.report.launch {
        Some(launch) => {
            rows.extend(wrap(theme.row(Tone::Plain, format!("$ {}", launch.command)), look.width, 2));
            rows.extend(wrap(theme.row(Tone::Quiet, format!("  {}", launch.why)), look.width, 2));
            if let Some(caveat) = &launch.caveat {
                rows.extend(look.marked(marks::CARE, Tone::Plain, caveat, look.width));
            }
        }
        None => {
            let command = answers.command.as_deref().map(join).unwrap_or_default();
            rows.extend(wrap(theme.row(Tone::Plain, format!("$ {command}")), look.width, 2));
        }
    }
    rows.extend(refused_key(look).unwrap_or_default());
    rows
}

/// The answers in one line, where there is no room for more.
fn brief(look: &Look<'_>) -> Vec<Row> {
    let interview = &look.wizard.interview;
    let answers = interview.answers();
    let service = answers.service_name.as_ref().map(ToString::to_string).unwrap_or_default();
    let place = interview.endpoint().map(|endpoint| endpoint.host).unwrap_or_default();
    let command = answers.command.as_deref().map(join).unwrap_or_default();
    let words = format!("{} → {}: {}", clean(&service), clean(&place), clean(&command));
    let mut rows = vec![look.theme.row(Tone::Quiet, cut(&words, look.width))];
    rows.extend(refused_key(look).unwrap_or_default().into_iter().take(1));
    rows
}

fn draw_list(look: &Look<'_>, steps: &[StepRow], chosen: usize, area: Rect, frame: &mut Frame) {
    let room = usize::from(area.height);
    let width = usize::from(area.width) - 2;
    let first = chosen.saturating_sub(room / 2).min(steps.len().saturating_sub(room));
    let rows: Vec<Row> = steps
        .iter()
        .enumerate()
        .map(|(index, step)| line(look, step, index == chosen, width))
        .collect();
    put(&rows, first, area, frame.buffer_mut());
    bar(look.theme, first, steps.len().saturating_sub(room), area, frame.buffer_mut());
}

/// `❯ + write the run script`.
pub(super) fn line(look: &Look<'_>, step: &StepRow, chosen: bool, width: usize) -> Row {
    let theme = look.theme;
    let mark = if step.state == StepState::Started {
        look.spinner()
    } else {
        marks::step(step.state)
    };
    let mut spans = if chosen {
        vec![theme.mark(marks::CHOSEN), Span::raw(" ")]
    } else {
        vec![Span::raw("  ")]
    };
    spans.push(theme.mark(mark));
    spans.push(Span::raw(" "));
    let tone = match (chosen, step.state) {
        (true, _) => Tone::Accent,
        (false, StepState::Started) => Tone::Title,
        (false, StepState::Satisfied) => Tone::Quiet,
        _ => Tone::Plain,
    };
    spans.push(theme.say(tone, cut(&clean(&step.title), width.saturating_sub(4))));
    Line::from(spans)
}

/// The chosen step below or beside the list; returns how far it can be scrolled.
fn draw_step(look: &Look<'_>, step: &StepRow, explained: bool, area: Rect, frame: &mut Frame) -> usize {
    if area.height < 2 {
        return 0;
    }
    let width = usize::from(area.width);
    let rows = if explained {
        explanation(look, step, width - 2)
    } else {
        changes(look, step, width - 2)
    };
    let room = usize::from(area.height) - 1;
    let limit = rows.len().saturating_sub(room);
    let first = look.wizard.scroll.min(limit);
    let seen = if limit == 0 {
        String::new()
    } else {
        format!("{}–{} of {}", first + 1, (first + room).min(rows.len()), rows.len())
    };
    let title = match (&step.path, explained) {
        (_, true) => "Why".to_owned(),
        (Some(path), false) => shorten(&clean(path), width.saturating_sub(wide(&seen) + 10)),
        (None, false) if step.argv.is_some() => "Command".to_owned(),
        (None, false) => "State".to_owned(),
    };
    let rule = look.rule(&title, &seen, width);
    put(&[rule], 0, area, frame.buffer_mut());
    let below = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    put(&rows, first, below, frame.buffer_mut());
    bar(look.theme, first, limit, below, frame.buffer_mut());
    limit
}

/// The diff, or the command.
fn changes(look: &Look<'_>, step: &StepRow, width: usize) -> Vec<Row> {
    let theme = look.theme;
    let mut rows = Vec::new();
    if let Some(argv) = &step.argv {
        rows.extend(wrap(theme.row(Tone::Plain, format!("$ {}", join(argv))), width, 4));
    }
    if let Some(diff) = &step.diff {
        // The two lines with the file's names only repeat the title.
        let lines = diff.lines().skip_while(|line| line.starts_with("--- ") || line.starts_with("+++ "));
        for changed in lines {
            let tone = match changed.chars().next() {
                Some('+') => Tone::Good,
                Some('-') => Tone::Bad,
                Some('@') => Tone::Quiet,
                _ => Tone::Plain,
            };
            // A whole file in bold would shout.
            let style = theme.style(tone).remove_modifier(Modifier::BOLD);
            let mut folded = wrap(Line::from(Span::styled(clean(changed), style)), width, 1);
            // What continues a line must not look like one of the context.
            for row in folded.iter_mut().skip(1) {
                if let Some(first) = row.spans.first_mut() {
                    *first = theme.say(Tone::Quiet, "·");
                }
            }
            rows.extend(folded);
        }
    }
    if rows.is_empty() {
        let words = if step.state == StepState::Satisfied {
            "already as it should be"
        } else {
            "there is nothing to compare"
        };
        rows.push(theme.row(Tone::Quiet, words));
    }
    debug_assert!(rows.iter().all(|row| width_of(&row.spans) <= width));
    rows
}

/// Why, with what, where.
fn explanation(look: &Look<'_>, step: &StepRow, width: usize) -> Vec<Row> {
    let theme = look.theme;
    let mut rows = wrap(theme.row(Tone::Title, &step.title), width, 0);
    rows.extend(wrap(theme.row(Tone::Plain, &step.why), width, 0));
    rows.push(Row::default());
    let state = match step.state {
        StepState::Pending => "would be done",
        StepState::Satisfied => "already as it should be",
        StepState::Started => "begun",
        StepState::Applied => "done",
        StepState::Failed => "went wrong",
        StepState::Reverted => "put back",
    };
    rows.extend(look.fact(
        "state",
        NAME,
        vec![theme.mark(marks::step(step.state)), theme.say(Tone::Plain, format!(" {state}"))],
        width,
    ));
    if let Some(path) = &step.path {
        rows.extend(look.fact("file", NAME, vec![theme.say(Tone::Plain, path)], width));
    }
    if let Some(argv) = &step.argv {
        rows.extend(look.fact("command", NAME, vec![theme.say(Tone::Plain, join(argv))], width));
    }
    rows.extend(look.fact("name", NAME, vec![theme.say(Tone::Quiet, &step.id)], width));
    rows
}
