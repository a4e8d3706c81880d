//! What the person sees: every screen at three sizes, its colours, and what it is without colours and beyond ASCII.
//!
//! `INSTA_UPDATE=always cargo test --test frames` rewrites the snapshots; look at them with `cargo run --example screens`.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use signoz_setup::ui::theme::Theme;
use signoz_setup::ui::view;
use signoz_setup::wizard::{Input, Msg, Wizard};
use unicode_width::UnicodeWidthStr;

#[path = "support/screens.rs"]
mod screens;
use screens::SAMPLES;

const SIZES: [(u16, u16); 3] = [(60, 16), (80, 24), (120, 40)];

const FINE: Theme = Theme {
    colour: true,
    unicode: true,
};

/// A frame of a wizard, and by how many lines it can be scrolled.
fn frame(wizard: &Wizard, theme: Theme, size: (u16, u16)) -> (Buffer, usize) {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let mut limit = 0;
    terminal.draw(|frame| limit = view::draw(wizard, &theme, frame)).unwrap();
    (terminal.backend().buffer().clone(), limit)
}

fn sample(name: &str, size: (u16, u16)) -> Wizard {
    (SAMPLES.iter().find(|sample| sample.name == name).unwrap().make)(size)
}

/// Rows as a terminal shows them: what a wide character covers is not there.
fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    (area.top()..area.bottom())
        .map(|y| {
            let mut row = String::new();
            let mut x = area.left();
            while x < area.right() {
                let symbol = buffer[(x, y)].symbol();
                row.push_str(symbol);
                x += u16::try_from(symbol.width().max(1)).unwrap();
            }
            row
        })
        .collect()
}

fn text(buffer: &Buffer) -> String {
    rows(buffer).iter().map(|row| format!("{}\n", row.trim_end())).collect()
}

/// Pieces of rows that are not written as the terminal writes by itself.
fn styles(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut dump = String::new();
    for y in area.top()..area.bottom() {
        let mut last = String::new();
        for x in area.left()..area.right() {
            let cell = &buffer[(x, y)];
            let mut style = String::new();
            if cell.fg != Color::Reset {
                style.push_str(&format!("{} ", cell.fg).to_lowercase());
            }
            for (modifier, name) in [(Modifier::BOLD, "bold "), (Modifier::DIM, "dim ")] {
                if cell.modifier.contains(modifier) {
                    style.push_str(name);
                }
            }
            if style != last {
                if !last.is_empty() {
                    dump.push('\n');
                }
                if !style.is_empty() {
                    dump.push_str(&format!("{y:>2}:{x:<3} {style:<12}"));
                }
                last = style;
            }
            if !last.is_empty() {
                dump.push_str(cell.symbol());
            }
        }
        if !last.is_empty() {
            dump.push('\n');
        }
    }
    dump.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn every_screen_at_three_sizes() {
    for sample in SAMPLES {
        let mut shown = format!("{}\n", sample.about);
        for size in SIZES {
            let (buffer, limit) = frame(&(sample.make)(size), FINE, size);
            shown.push_str(&format!("\n== {}x{}, {limit} lines to scroll\n{}", size.0, size.1, text(&buffer)));
        }
        insta::assert_snapshot!(sample.name, shown);
    }
}

#[test]
fn colours_of_the_screens_that_bear_them() {
    for name in [
        "found",
        "sets-conflict",
        "review",
        "verifying-refused",
        "verified-lost",
        "problem-undone",
        "key-wrong",
    ] {
        let (buffer, _) = frame(&sample(name, (80, 24)), FINE, (80, 24));
        insta::assert_snapshot!(format!("colours-{name}"), styles(&buffer));
    }
}

#[test]
fn without_colour_there_is_none_and_everything_is_said() {
    let mono = Theme {
        colour: false,
        unicode: true,
    };
    for sample in SAMPLES {
        let wizard = (sample.make)((80, 24));
        let (plain, _) = frame(&wizard, mono, (80, 24));
        let coloured = plain
            .content()
            .iter()
            .find(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(coloured, None, "{}", sample.name);
        let (fine, _) = frame(&wizard, FINE, (80, 24));
        assert_eq!(text(&plain), text(&fine), "{}: words differ without colour", sample.name);
    }
    let (buffer, _) = frame(&sample("review", (80, 24)), mono, (80, 24));
    insta::assert_snapshot!("no-colour-review", styles(&buffer));
}

/// The sixteen colours that the person's terminal names itself, and neither black nor white, which one of light and dark
/// terminals would not show.
#[test]
fn only_colours_that_every_terminal_shows() {
    let allowed = [Color::Reset, Color::Red, Color::Green, Color::Yellow, Color::Cyan];
    for sample in SAMPLES {
        let (buffer, _) = frame(&(sample.make)((120, 40)), FINE, (120, 40));
        for cell in buffer.content() {
            assert!(allowed.contains(&cell.fg) && cell.bg == Color::Reset, "{}: {cell:?}", sample.name);
        }
    }
}

#[test]
fn a_terminal_without_glyphs_gets_ascii_only() {
    let ascii = Theme {
        colour: true,
        unicode: false,
    };
    for sample in SAMPLES {
        for size in SIZES {
            let (buffer, _) = frame(&(sample.make)(size), ascii, size);
            let odd = buffer.content().iter().find(|cell| !cell.symbol().is_ascii());
            assert_eq!(odd, None, "{} {size:?}", sample.name);
        }
    }
    for name in [
        "found",
        "key",
        "sets-conflict",
        "review",
        "applying",
        "verified-lost",
        "report-undone",
        "help",
    ] {
        let (buffer, _) = frame(&sample(name, (80, 24)), ascii, (80, 24));
        insta::assert_snapshot!(format!("ascii-{name}"), text(&buffer));
    }
}

#[test]
fn a_window_that_is_too_small_says_so() {
    let mut shown = String::new();
    let mut wizard = sample("review", (80, 24));
    for size in [(59, 16), (60, 15), (20, 5), (8, 3), (1, 1)] {
        let _ = wizard.update(Msg::Input(Input::Resize(size.0, size.1)));
        let (buffer, limit) = frame(&wizard, FINE, size);
        assert_eq!(limit, 0);
        shown.push_str(&format!("== {}x{}\n{}", size.0, size.1, text(&buffer)));
    }
    insta::assert_snapshot!("too-small", shown);
}

/// A window may be another one than the wizard has heard of yet.
#[test]
fn a_window_of_any_size_is_drawn_in() {
    for sample in SAMPLES {
        let wizard = (sample.make)((80, 24));
        for size in [(1, 1), (2, 30), (60, 16), (61, 17), (79, 23), (200, 16), (60, 90), (300, 100)] {
            let _ = frame(&wizard, FINE, size);
        }
    }
}

#[test]
fn every_row_is_as_wide_as_the_window_and_steers_nothing() {
    for sample in SAMPLES {
        for size in SIZES {
            let (buffer, _) = frame(&(sample.make)(size), FINE, size);
            for row in rows(&buffer) {
                assert_eq!(row.width(), usize::from(size.0), "{} {size:?}: {row}", sample.name);
                assert!(!row.contains(char::is_control), "{} {size:?}: {row:?}", sample.name);
            }
        }
    }
}

#[test]
fn very_wide_windows_keep_lines_readable() {
    for sample in SAMPLES {
        let (buffer, _) = frame(&(sample.make)((300, 50)), FINE, (300, 50));
        for row in rows(&buffer) {
            assert!(row.trim().width() <= 120, "{}: {row}", sample.name);
        }
    }
}

/// Keys are named in the last row of every screen, and the way in the first one.
#[test]
fn the_first_and_the_last_row_are_always_there() {
    for sample in SAMPLES {
        for size in SIZES {
            let (buffer, _) = frame(&(sample.make)(size), FINE, size);
            let rows = rows(&buffer);
            let last = &rows[rows.len() - 1];
            assert!(rows[0].contains("signoz-setup"), "{} {size:?}", sample.name);
            assert!(last.contains("help"), "{} {size:?}: {last}", sample.name);
        }
    }
}

#[test]
fn a_frame_is_a_function_of_the_wizard_and_scrolling_ends() {
    for sample in SAMPLES {
        let mut wizard = (sample.make)((80, 24));
        let (first, limit) = frame(&wizard, FINE, (80, 24));
        assert_eq!(frame(&wizard, FINE, (80, 24)), (first, limit), "{}", sample.name);
        wizard.scroll = limit;
        let end = frame(&wizard, FINE, (80, 24));
        wizard.scroll = usize::MAX;
        assert_eq!(frame(&wizard, FINE, (80, 24)), end, "{}: scrolled beyond its end", sample.name);
    }
}

/// The cursor stands in the field where the next character goes, and nowhere else.
#[test]
fn the_cursor_stands_where_the_person_types() {
    for (name, size, at) in [
        ("service-name", (80, 24), Some((8, 7))),
        ("endpoint", (60, 16), Some((24, 8))),
        ("key-wrong", (80, 24), Some((28, 8))),
        ("region", (80, 24), None),
        ("help-typing", (80, 24), None),
    ] {
        let wizard = sample(name, size);
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal
            .draw(|frame| {
                view::draw(&wizard, &FINE, frame);
            })
            .unwrap();
        let seen = terminal.backend().cursor_position();
        let shown = terminal.backend().cursor_visible();
        assert_eq!(shown.then_some((seen.x, seen.y)), at, "{name}");
    }
}
