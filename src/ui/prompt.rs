//! Questions as prompts that redraw their own lines and nothing else: for terminals without the full screen.
//!
//! May never show a secret, or leave the terminal in raw mode.

use super::asking::{Ask, Asker, NoReply, Reply, Waiting};
use super::echo::Echo;
use super::progress::width;
use super::style::{DIM, paint};
use super::text;
use super::view::clean;
use crate::error::Signal;
use crate::wizard::question::Kind;
use crossterm::event::DisableBracketedPaste;
use crossterm::{cursor, execute, terminal};
use inquire::error::InquireResult;
use inquire::ui::{Attributes, Color, RenderConfig, StyleSheet, Styled};
use inquire::{InquireError, Password, PasswordDisplayMode, Select, Text};
use std::io::{self, Write};
use tokio::runtime::Handle;
use unicode_width::UnicodeWidthStr;

/// How to answer, said once.
pub const MANNER: &str = "Enter takes what is marked or stands in parentheses. Esc goes back, Ctrl-C leaves.";

/// Rows that a list leaves to what stands around it.
const AROUND: usize = 6;

/// The keys of a line of text.
const KEYS: &str = "enter: go on, esc: back";

/// Asks with prompts.
#[derive(Debug)]
pub struct Prompts {
    waiting: Waiting<InquireResult<String>>,
    /// Between prompts nothing is shown either.
    _echo: Echo,
}

impl Prompts {
    /// Reads the terminal, writes to standard error.
    #[must_use]
    pub fn new(runtime: &Handle) -> Self {
        Self {
            waiting: Waiting::new(runtime),
            _echo: Echo::take(),
        }
    }
}

impl Asker for Prompts {
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, NoReply> {
        loop {
            let prompt = match ask.kind {
                Kind::Choice => self.choose(ask),
                Kind::Text => self.text(ask),
                Kind::Secret => self.secret(ask),
            };
            let answer = match prompt {
                Ok(Ok(answer)) => answer,
                Ok(Err(InquireError::OperationCanceled)) => return Ok(Reply::Back),
                Ok(Err(InquireError::OperationInterrupted)) => {
                    give_back();
                    return Err(NoReply::Ended(Signal::Interrupt));
                }
                Ok(Err(error)) => {
                    give_back();
                    return Err(NoReply::Nobody(format!("the terminal cannot be asked: {error}")));
                }
                Err(signal) => {
                    give_back();
                    return Err(NoReply::Ended(signal));
                }
            };
            if ask.kind == Kind::Choice || answer.trim() != "?" {
                return Ok(Reply::Answer(answer.trim().to_owned()));
            }
            self.say(ask.help);
        }
    }

    fn say(&mut self, text: &str) {
        self.show(&text::wrap(text, width().saturating_sub(1)));
    }

    fn show(&mut self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
    }
}

impl Prompts {
    fn choose(&mut self, ask: &Ask<'_>) -> Result<InquireResult<String>, Signal> {
        let titles: Vec<String> = ask.choices.iter().map(|choice| clean(&choice.title)).collect();
        let widest = titles.iter().map(|title| title.width()).max().unwrap_or(0);
        let room = width().saturating_sub(widest + 6);
        let notes: Vec<String> = ask.choices.iter().map(|choice| clean(&choice.note)).collect();
        let long = |note: &String| note.width() > room;
        // A row that wraps would hide where the others are; and notes stand together, but for a single long one.
        let apart = notes.iter().filter(|note| long(note)).count() > 1;
        let (mut rows, mut above) = (Vec::new(), Vec::new());
        for (title, note) in titles.iter().zip(&notes) {
            if !note.is_empty() && (apart || long(note)) {
                above.push(format!("  {title}: {note}"));
                rows.push(title.clone());
            } else {
                let gap = " ".repeat(widest - title.width() + 2);
                rows.push(format!("{title}{gap}{note}").trim_end().to_owned());
            }
        }
        self.explain(ask, &above);
        let values: Vec<String> = ask.choices.iter().map(|choice| choice.value.clone()).collect();
        let start = values.iter().position(|value| Some(value.as_str()) == ask.current).unwrap_or(0);
        let title = ask.title.to_owned();
        let height = terminal::size().map_or(24, |(_, rows)| usize::from(rows));
        self.waiting.wait_for(move || {
            let page = rows.len().min(height.saturating_sub(AROUND)).max(3);
            let chosen = Select::new(&title, rows)
                .with_help_message("up/down: choose, enter: go on, esc: back")
                .with_render_config(looks())
                .with_page_size(page)
                .with_starting_cursor(start)
                .without_filtering()
                .with_formatter(&|option| titles[option.index].clone())
                .raw_prompt()?;
            Ok(values[chosen.index].clone())
        })
    }

    /// What depends on a question, and notes that have no room beside their choices; wrapped between words, as a prompt's own
    /// lines are not.
    fn explain(&mut self, ask: &Ask<'_>, notes: &[String]) {
        if !ask.again {
            self.say(&format!("\n{}\n{}", paint(DIM, ask.help), notes.join("\n")));
        }
    }

    fn text(&mut self, ask: &Ask<'_>) -> Result<InquireResult<String>, Signal> {
        self.explain(ask, &[]);
        let title = ask.title.to_owned();
        let current = ask.current.map(str::to_owned).filter(|current| !current.is_empty());
        self.waiting.wait_for(move || {
            let prompt = Text::new(&title).with_help_message(KEYS).with_render_config(looks());
            match &current {
                Some(current) => prompt.with_default(current).prompt(),
                None => prompt.prompt(),
            }
        })
    }

    fn secret(&mut self, ask: &Ask<'_>) -> Result<InquireResult<String>, Signal> {
        self.explain(ask, &[]);
        let title = ask.title.to_owned();
        self.waiting.wait_for(move || {
            Password::new(&title)
                .with_help_message(KEYS)
                .with_render_config(looks())
                .with_display_mode(PasswordDisplayMode::Masked)
                .without_confirmation()
                .prompt()
        })
    }
}

/// Colours that can be read on light and dark; none where none are wanted.
fn looks() -> RenderConfig<'static> {
    let plain = RenderConfig::empty()
        .with_answered_prompt_prefix(Styled::new(">"))
        .with_canceled_prompt_indicator(Styled::new("(back)"));
    if anstream::AutoStream::choice(&io::stderr()) == anstream::ColorChoice::Never {
        return plain;
    }
    let accent = StyleSheet::new().with_fg(Color::DarkCyan);
    let mut looks = plain
        .with_prompt_prefix(Styled::new("?").with_fg(Color::DarkGreen))
        .with_answered_prompt_prefix(Styled::new(">").with_fg(Color::DarkGreen))
        .with_highlighted_option_prefix(Styled::new(">").with_fg(Color::DarkCyan))
        .with_selected_option(Some(accent.with_attr(Attributes::BOLD)))
        .with_answer(accent);
    looks.prompt = StyleSheet::new().with_attr(Attributes::BOLD);
    looks
}

/// The terminal as it was before a prompt that did not come to its end.
fn give_back() {
    let _ = terminal::disable_raw_mode();
    let _ = execute!(io::stderr(), DisableBracketedPaste, cursor::Show);
    let _ = writeln!(io::stderr());
}
