//! Shows the wizard's screens with sample state, for review.
//!
//! ```text
//! cargo run --example screens                       the names
//! cargo run --example screens -- NAME [COLSxROWS]   one frame on the normal screen
//! cargo run --example screens -- all 80x24          every frame
//! ```
//!
//! `NO_COLOR`, `LANG` and `TERM` count as they do in the program. May never take over the terminal.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use signoz_setup::ui::theme::Theme;
use signoz_setup::ui::view;
use std::collections::BTreeMap;
use std::process::ExitCode;

#[path = "../tests/support/screens.rs"]
mod screens;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = arguments.get(1).and_then(|text| size(text)).unwrap_or((80, 24));
    let theme = Theme::of(&std::env::vars().collect::<BTreeMap<_, _>>(), None);
    match arguments.first().map(String::as_str) {
        None => {
            for sample in screens::SAMPLES {
                println!("{:<20} {}", sample.name, sample.about);
            }
            ExitCode::SUCCESS
        }
        Some("all") => {
            for sample in screens::SAMPLES {
                println!("{}: {}", sample.name, sample.about);
                show(sample, size, theme);
                println!();
            }
            ExitCode::SUCCESS
        }
        Some(name) => match screens::SAMPLES.iter().find(|sample| sample.name == name) {
            Some(sample) => {
                show(sample, size, theme);
                ExitCode::SUCCESS
            }
            None => {
                eprintln!("there is no screen `{name}`; without a name, all names are listed");
                ExitCode::from(2)
            }
        },
    }
}

fn size(text: &str) -> Option<(u16, u16)> {
    let (columns, rows) = text.split_once('x')?;
    Some((columns.parse().ok()?, rows.parse().ok()?))
}

fn show(sample: &screens::Sample, size: (u16, u16), theme: Theme) {
    let wizard = (sample.make)(size);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(size.0, size.1));
    let Ok(_) = terminal.draw(|frame| {
        view::draw(&wizard, &theme, frame);
    });
    print!("{}", painted(terminal.backend().buffer()));
}

/// A frame as text with colours; the program itself writes it through crossterm.
fn painted(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut last = String::new();
        let mut skip = 0;
        for x in buffer.area.left()..buffer.area.right() {
            let cell = &buffer[(x, y)];
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            let style = codes(cell);
            if style != last {
                text.push_str(&format!("\u{1b}[0{style}m"));
                last = style;
            }
            text.push_str(cell.symbol());
        }
        text.push_str("\u{1b}[0m\n");
    }
    text
}

fn codes(cell: &Cell) -> String {
    let mut codes = String::new();
    for (modifier, code) in [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::REVERSED, ";7")] {
        if cell.modifier.contains(modifier) {
            codes.push_str(code);
        }
    }
    codes.push_str(match cell.fg {
        Color::Red => ";31",
        Color::Green => ";32",
        Color::Yellow => ";33",
        Color::Cyan => ";36",
        _ => "",
    });
    codes
}
