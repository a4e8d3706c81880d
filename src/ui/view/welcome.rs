//! The first screen: the project is looked at, then what was found, each fact with its source, and what can be done.

use super::frame::{Look, Page};
use super::lines::{Row, clean, cut, shorten, wide, width_of, wrap};
use super::stages;
use crate::domain::Detection;
use crate::domain::detection::{Evidence, Framework, Hazard, PythonEnvironment, Server, TargetKind};
use crate::ui::marks::{self, Tone};
use crate::wizard::question::join;
use ratatui::text::{Line, Span};

/// Columns of the facts' names.
const NAME: usize = 11;

/// Columns to which a source may be shortened.
const MARK: usize = 24;

/// Paths up to this width stand beside what is said of them.
const SHORT: usize = 24;

/// Frameworks that are named one by one.
const LIBRARIES: usize = 8;

/// The screen.
pub(super) fn page(look: &Look<'_>, line: usize) -> Page {
    let wizard = look.wizard;
    let theme = look.theme;
    let mut page = Page::default();
    let folder = if wizard.interview.folder.is_empty() {
        "the project".to_owned()
    } else {
        cut(&clean(&wizard.interview.folder), look.width / 2)
    };
    let bottom = menu(look, line);
    match &wizard.interview.found {
        Some(found) if !wizard.is_detecting() => {
            page.top.push(Line::from(vec![
                theme.say(Tone::Title, "Found in "),
                theme.say(Tone::Title, folder),
            ]));
            page.top.push(Row::default());
            page.long = evidence(look, &found.detection);
        }
        _ => {
            page.top.push(Line::from(vec![
                theme.say(Tone::Title, "Looking at "),
                theme.say(Tone::Title, folder),
            ]));
            page.top.push(Row::default());
            page.long = stages::rows(look, look.text_width(), look.height);
            if page.long.is_empty() {
                page.long = look.marked(look.spinner(), Tone::Title, "beginning", look.text_width());
            }
        }
    }
    page.bottom = bottom;
    page.near = true;
    page
}

/// What an earlier run left, and what can be done.
fn menu(look: &Look<'_>, line: usize) -> Vec<Row> {
    let wizard = look.wizard;
    let theme = look.theme;
    let mut rows = vec![Row::default()];
    if wizard.options.interrupted {
        rows.extend(look.marked(
            marks::CARE,
            Tone::Plain,
            "an earlier run was ended half way; what it left half done has been cleared",
            look.width,
        ));
    }
    if wizard.options.saved {
        rows.extend(look.marked(
            marks::step(crate::domain::StepState::Satisfied),
            Tone::Plain,
            "this project has been set up before; its answers are kept",
            look.width,
        ));
    }
    if wizard.options.offline {
        rows.extend(look.marked(
            marks::NONE,
            Tone::Plain,
            "offline: nothing is sent, and nothing is verified",
            look.width,
        ));
    }
    if rows.len() > 1 && look.roomy() {
        rows.push(Row::default());
    }
    for (index, action) in wizard.menu().into_iter().enumerate() {
        rows.push(if index == line {
            Line::from(vec![
                theme.mark(marks::CHOSEN),
                Span::raw(" "),
                theme.say(Tone::Accent, action.title()),
            ])
        } else {
            Line::from(vec![Span::raw("  "), theme.say(Tone::Plain, action.title())])
        });
    }
    rows
}

/// A fact, its value in words, and where it was seen.
struct Fact {
    name: &'static str,
    value: Vec<Span<'static>>,
    source: String,
}

fn evidence(look: &Look<'_>, detection: &Detection) -> Vec<Row> {
    let width = look.text_width();
    let mut facts = Vec::new();
    python(look, detection, &mut facts);
    libraries(look, &detection.frameworks, &mut facts);
    starts(look, &detection.servers, &mut facts);
    places(look, detection, &mut facts);
    let mut rows = Vec::new();
    if !detection.hazards.is_empty() {
        rows.push(look.theme.row(Tone::Title, "Look at this first"));
        rows.extend(detection.hazards.iter().flat_map(|hazard| danger(look, hazard, width)));
        rows.push(Row::default());
    }
    rows.extend(laid_out(look, &facts, width));
    if !detection.notes.is_empty() {
        rows.push(Row::default());
        for note in &detection.notes {
            rows.extend(wrap(look.theme.row(Tone::Quiet, format!("note       {note}")), width, NAME));
        }
    }
    rows
}

/// Sources stand in a column of their own where there is room; elsewhere below what they prove.
fn laid_out(look: &Look<'_>, facts: &[Fact], width: usize) -> Vec<Row> {
    let theme = look.theme;
    let values = facts
        .iter()
        .map(|fact| width_of(&fact.value))
        .filter(|columns| *columns <= width / 2)
        .max()
        .unwrap_or(0);
    let column = NAME + values + 3;
    let mut rows = Vec::new();
    let mut last = "";
    for fact in facts {
        let name = if fact.name == last { "" } else { fact.name };
        if !last.is_empty() && !name.is_empty() && fact.name != "or" && look.roomy() {
            rows.push(Row::default());
        }
        last = fact.name;
        let mut value = fact.value.clone();
        let columns = NAME + width_of(&value);
        let source = inside(look, &clean(&fact.source));
        let gap = if columns < column { column - columns } else { 3 };
        if source.is_empty() || columns + gap + wide(&source).min(MARK) > width {
            rows.extend(look.fact(name, NAME, value, width));
            if !source.is_empty() {
                let below = theme.say(Tone::Quiet, shorten(&source, width - NAME));
                rows.extend(look.fact("", NAME, vec![below], width));
            }
            continue;
        }
        value.push(Span::raw(" ".repeat(gap)));
        value.push(theme.say(Tone::Quiet, shorten(&source, width - columns - gap)));
        rows.extend(look.fact(name, NAME, value, width));
    }
    rows
}

/// A path as it is named inside the project, when it lies there.
fn inside(look: &Look<'_>, path: &str) -> String {
    let project = &look.wizard.options.project;
    let below = path.strip_prefix(project.as_str()).and_then(|rest| rest.strip_prefix('/'));
    below
        .filter(|rest| !rest.is_empty() && !project.is_empty())
        .unwrap_or(path)
        .to_owned()
}

fn source(because: &[Evidence]) -> String {
    because.first().map(|evidence| evidence.source.clone()).unwrap_or_default()
}

fn python(look: &Look<'_>, detection: &Detection, facts: &mut Vec<Fact>) {
    let theme = look.theme;
    let Some(python) = &detection.python else {
        facts.push(Fact {
            name: "python",
            value: vec![
                theme.mark(marks::BAD),
                theme.say(Tone::Plain, " none that belongs to the app; you will be asked for it"),
            ],
            source: String::new(),
        });
        return;
    };
    let mut add = |name, python: &PythonEnvironment| {
        let path = python.virtualenv.as_ref().unwrap_or(&python.interpreter).display().to_string();
        let mut words = format!("{} with {}", python.version, python.package_manager.as_str());
        let path = inside(look, &clean(&path));
        let short = wide(&path) <= SHORT;
        if short {
            let at = if python.virtualenv.is_some() { "in" } else { "at" };
            words.push_str(&format!(" {at} {path}"));
        }
        if python.virtualenv.is_none() {
            words.push_str(", shared with other programs");
        }
        let mut value = vec![theme.say(Tone::Plain, words)];
        if let Some(why) = &python.broken {
            value.push(Span::raw("  "));
            value.push(theme.mark(marks::BAD));
            value.push(theme.say(Tone::Plain, format!(" broken: {why}")));
        }
        facts.push(Fact {
            name,
            value,
            source: source(&python.because),
        });
        if short {
            return;
        }
        facts.push(Fact {
            name,
            value: vec![theme.say(Tone::Plain, shorten(&path, look.text_width() - NAME))],
            source: String::new(),
        });
    };
    add("python", python);
    for other in &detection.python_candidates {
        add("or", other);
    }
}

fn libraries(look: &Look<'_>, frameworks: &[Framework], facts: &mut Vec<Fact>) {
    for framework in frameworks.iter().take(LIBRARIES) {
        let words = match &framework.version {
            Some(version) => format!("{} {version}", framework.name),
            None => format!("{}, required but not installed", framework.name),
        };
        facts.push(Fact {
            name: "libraries",
            value: vec![look.theme.say(Tone::Plain, words)],
            source: source(&framework.because),
        });
    }
    if frameworks.len() > LIBRARIES {
        facts.push(Fact {
            name: "libraries",
            value: vec![look.theme.say(Tone::Quiet, format!("and {} more", frameworks.len() - LIBRARIES))],
            source: String::new(),
        });
    }
}

fn starts(look: &Look<'_>, servers: &[Server], facts: &mut Vec<Fact>) {
    if servers.is_empty() {
        facts.push(Fact {
            name: "starts",
            value: vec![look.theme.say(Tone::Plain, "no start command was found; you will be asked for it")],
            source: String::new(),
        });
    }
    for server in servers {
        let workers = server
            .workers
            .filter(|workers| *workers > 1)
            .map(|workers| format!(" ({workers} workers)"))
            .unwrap_or_default();
        facts.push(Fact {
            name: "starts",
            value: vec![
                look.theme.say(Tone::Plain, join(&server.command)),
                look.theme.say(Tone::Quiet, workers),
            ],
            source: source(&server.because),
        });
    }
}

fn places(look: &Look<'_>, detection: &Detection, facts: &mut Vec<Fact>) {
    for target in &detection.targets {
        let words = match target.kind {
            TargetKind::Vm => "a machine",
            TargetKind::Docker => "containers",
            TargetKind::Kubernetes => "a cluster",
        };
        facts.push(Fact {
            name: "runs on",
            value: vec![look.theme.say(Tone::Plain, words)],
            source: source(&target.because),
        });
    }
    if detection.apps.len() > 1 {
        for app in &detection.apps {
            facts.push(Fact {
                name: "apps",
                value: vec![look.theme.say(Tone::Plain, app.directory.display().to_string())],
                source: source(&app.because),
            });
        }
    }
}

fn danger(look: &Look<'_>, hazard: &Hazard, width: usize) -> Vec<Row> {
    let mut rows = look.marked(marks::CARE, Tone::Plain, &hazard.title, width);
    rows.extend(wrap(look.theme.row(Tone::Quiet, format!("  {}", hazard.remedy)), width, 2));
    debug_assert!(rows.iter().all(|row| wide(&row.to_string()) <= width));
    rows
}
