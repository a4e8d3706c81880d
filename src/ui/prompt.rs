//! Questions as prompts that redraw their own lines and nothing else: for terminals without the full screen.
//!
//! May never show a secret, or leave the terminal in raw mode.

use super::asking::{Ask, Asker, NoReply, Reply, Waiting};
use super::progress::width;
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

/// How to answer, said once.
pub const MANNER: &str = "Enter takes what is marked or stands in parentheses. Esc goes back, Ctrl-C leaves.";

/// Rows that a list leaves to what stands around it.
const AROUND: usize = 6;

/// Asks with prompts.
#[derive(Debug)]
pub struct Prompts {
    waiting: Waiting<InquireResult<String>>,
}

impl Prompts {
    /// Reads the terminal, writes to standard error.
    #[must_use]
    pub fn new(runtime: &Handle) -> Self {
        Self {
            waiting: Waiting::new(runtime),
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
        let text = text::wrap(text.trim_end(), width().saturating_sub(1));
        let _ = writeln!(anstream::stderr(), "{text}");
    }
}

impl Prompts {
    fn choose(&mut self, ask: &Ask<'_>) -> Result<InquireResult<String>, Signal> {
        let titles: Vec<String> = ask.choices.iter().map(|choice| clean(&choice.title)).collect();
        let widest = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0);
        let rows: Vec<String> = ask
            .choices
            .iter()
            .zip(&titles)
            .map(|(choice, title)| format!("{title:<widest$}  {}", clean(&choice.note)).trim_end().to_owned())
            .collect();
        // A row that does not fit would hide where the others are: then the notes stand above.
        let fits = rows.iter().all(|row| row.chars().count() + 4 < width());
        if !fits {
            let notes = ask.choices.iter().zip(&titles).filter(|(choice, _)| !choice.note.is_empty());
            let notes: Vec<String> = notes.map(|(choice, title)| format!("  {title}: {}", clean(&choice.note))).collect();
            self.say(&format!("\n{}", notes.join("\n")));
        }
        let values: Vec<String> = ask.choices.iter().map(|choice| choice.value.clone()).collect();
        let start = values.iter().position(|value| Some(value.as_str()) == ask.current).unwrap_or(0);
        let (title, help) = (ask.title.to_owned(), help(ask, "up, down, enter"));
        let height = terminal::size().map_or(24, |(_, rows)| usize::from(rows));
        self.waiting.wait_for(move || {
            let page = rows.len().min(height.saturating_sub(AROUND)).max(3);
            let shown = if fits { rows } else { titles.clone() };
            let chosen = Select::new(&title, shown)
                .with_help_message(&help)
                .with_render_config(looks())
                .with_page_size(page)
                .with_starting_cursor(start)
                .without_filtering()
                .with_formatter(&|option| titles[option.index].clone())
                .raw_prompt()?;
            Ok(values[chosen.index].clone())
        })
    }

    fn text(&mut self, ask: &Ask<'_>) -> Result<InquireResult<String>, Signal> {
        let (title, help) = (ask.title.to_owned(), help(ask, "enter"));
        let current = ask.current.map(str::to_owned).filter(|current| !current.is_empty());
        self.waiting.wait_for(move || {
            let prompt = Text::new(&title).with_help_message(&help).with_render_config(looks());
            match &current {
                Some(current) => prompt.with_default(current).prompt(),
                None => prompt.prompt(),
            }
        })
    }

    fn secret(&mut self, ask: &Ask<'_>) -> Result<InquireResult<String>, Signal> {
        let (title, help) = (ask.title.to_owned(), help(ask, "enter"));
        self.waiting.wait_for(move || {
            Password::new(&title)
                .with_help_message(&help)
                .with_render_config(looks())
                .with_display_mode(PasswordDisplayMode::Masked)
                .without_confirmation()
                .prompt()
        })
    }
}

fn help(ask: &Ask<'_>, keys: &str) -> String {
    format!("{}; {keys}; esc: back", ask.help)
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
