//! The conversation in lines: the same questions, help and order as on the full screen, over the same table.
//!
//! Written to standard error: standard output carries the report only. May never show a secret, nor redraw anything where
//! lines were asked for.

use crate::error::{Error, Result, Signal};
use crate::system::Cancel;
use crate::wizard::question::{Choice, Kind, Question, Then};
use crate::wizard::{Interview, finish};
use inquire::{InquireError, Password, PasswordDisplayMode, Select, Text};
use std::fmt;
use std::io::{BufRead, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// What a person does at a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T> {
    /// Answers.
    Answer(T),
    /// Goes back to the one before.
    Back,
}

/// A way of asking.
pub trait Asker {
    /// One of several; gives its index.
    ///
    /// # Errors
    /// Interrupted by Ctrl-C; a usage error when nobody can be asked.
    fn choose(&mut self, title: &str, help: &str, choices: &[Choice], current: usize) -> Result<Reply<usize>>;

    /// A line of text; `current` stands there already.
    ///
    /// # Errors
    /// As of [`Asker::choose`].
    fn text(&mut self, title: &str, help: &str, current: &str) -> Result<Reply<String>>;

    /// A line that is not shown.
    ///
    /// # Errors
    /// As of [`Asker::choose`].
    fn secret(&mut self, title: &str, help: &str) -> Result<Reply<String>>;
}

/// What has to be done while the conversation goes on; `app` does it, and says what came of it.
pub type Legwork<'a> = &'a mut dyn FnMut(Then, &mut Interview) -> Result<()>;

/// Asks what is to be asked: every question, or only those that have no answer. False when the person went back before the
/// first one.
///
/// # Errors
/// Interrupted by Ctrl-C; a usage error when nobody can be asked.
pub fn converse(asker: &mut dyn Asker, interview: &mut Interview, only_open: bool, legwork: Legwork<'_>) -> Result<bool> {
    let first = if only_open {
        interview.first_open()
    } else {
        interview.questions().next()
    };
    let mut next = first;
    while let Some(question) = next {
        match ask(asker, interview, question)? {
            Reply::Back => match interview.before(question) {
                Some(before) => next = Some(before),
                None => return Ok(false),
            },
            Reply::Answer(()) => {
                legwork(question.then, interview)?;
                next = if only_open {
                    interview.first_open()
                } else {
                    interview.after(question)
                };
            }
        }
    }
    Ok(true)
}

/// One question, until its answer can be taken.
fn ask(asker: &mut dyn Asker, interview: &mut Interview, question: &Question) -> Result<Reply<()>> {
    loop {
        let choices = (question.choices)(interview);
        let current = (question.current)(interview);
        let answer = match question.kind {
            Kind::Choice => {
                let at = choices
                    .iter()
                    .position(|choice| Some(&choice.value) == current.as_ref())
                    .unwrap_or(0);
                match asker.choose(question.title, question.help, &choices, at)? {
                    Reply::Answer(index) => Reply::Answer(choices.get(index).map(|choice| choice.value.clone()).unwrap_or_default()),
                    Reply::Back => Reply::Back,
                }
            }
            Kind::Text => asker.text(question.title, question.help, &current.unwrap_or_default())?,
            Kind::Secret => {
                let kept = interview
                    .key_in_hand()
                    .map(|key| format!("; empty keeps the one there is (sha256 {})", key.fingerprint()));
                asker.secret(question.title, &format!("{}{}", question.help, kept.unwrap_or_default()))?
            }
        };
        let Reply::Answer(answer) = answer else {
            return Ok(Reply::Back);
        };
        match (question.take)(interview, &answer) {
            Ok(()) => return Ok(Reply::Answer(())),
            Err(problem) => say(&format!("that cannot be the answer: {problem}")),
        }
    }
}

/// Adds the command that needs no questions, where nobody was there to answer them.
#[must_use]
pub fn with_command(error: Error, interview: &Interview) -> Error {
    if error.what != NOBODY {
        return error;
    }
    error.remedy(format!("without questions, paste: {}", finish::command_line(&interview.answers())))
}

/// A line for the person.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Prompts that redraw their own lines.
#[derive(Debug, Default)]
pub struct Prompts {
    _hidden: Hidden,
}

/// A choice as a prompt shows it.
struct Shown<'a>(&'a Choice);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.title)?;
        if self.0.note.is_empty() {
            Ok(())
        } else {
            write!(f, "  ({})", self.0.note)
        }
    }
}

impl Prompts {
    fn reply<T>(given: std::result::Result<T, InquireError>) -> Result<Reply<T>> {
        match given {
            Ok(answer) => Ok(Reply::Answer(answer)),
            Err(InquireError::OperationCanceled) => Ok(Reply::Back),
            Err(InquireError::OperationInterrupted) => Err(Error::interrupted(Signal::Interrupt)),
            Err(error) => Err(nobody(&error.to_string())),
        }
    }
}

impl Asker for Prompts {
    fn choose(&mut self, title: &str, help: &str, choices: &[Choice], current: usize) -> Result<Reply<usize>> {
        let help = format!("{help} [↑↓, enter; esc goes back]");
        let prompt = Select::new(title, choices.iter().map(Shown).collect::<Vec<_>>())
            .with_starting_cursor(current)
            .with_help_message(&help)
            .with_page_size(12)
            .with_formatter(&|chosen| chosen.value.0.title.clone());
        let reply = Self::reply(prompt.raw_prompt())?;
        Ok(match reply {
            Reply::Answer(chosen) => Reply::Answer(chosen.index),
            Reply::Back => Reply::Back,
        })
    }

    fn text(&mut self, title: &str, help: &str, current: &str) -> Result<Reply<String>> {
        let help = format!("{help} [esc goes back]");
        Self::reply(Text::new(title).with_initial_value(current).with_help_message(&help).prompt())
    }

    fn secret(&mut self, title: &str, help: &str) -> Result<Reply<String>> {
        let help = format!("{help} [esc goes back]");
        Self::reply(
            Password::new(title)
                .with_display_mode(PasswordDisplayMode::Masked)
                .without_confirmation()
                .with_help_message(&help)
                .prompt(),
        )
    }
}

/// How often a waiting line looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// Numbered lines, read from standard input; nothing is ever redrawn.
#[derive(Debug)]
pub struct Lines {
    lines: Receiver<std::io::Result<String>>,
    cancel: Cancel,
    hidden: Hidden,
}

impl Lines {
    /// Reads standard input on a thread of its own, so that Ctrl-C is heard while a line is waited for.
    #[must_use]
    pub fn new(cancel: Cancel) -> Self {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            lines,
            cancel,
            hidden: Hidden::new(),
        }
    }

    fn line(&self) -> Result<String> {
        loop {
            match self.lines.recv_timeout(LOOK) {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => return Err(nobody(&error.to_string())),
                Err(RecvTimeoutError::Disconnected) => return Err(nobody("standard input is at its end")),
                Err(RecvTimeoutError::Timeout) => self.cancel.check()?,
            }
        }
    }

    /// Asks until something other than a call for help comes; `None` when the person goes back.
    fn reply(&self, prompt: &str, help: &str, shown: bool) -> Result<Option<String>> {
        loop {
            self.hidden.echo(shown);
            let _ = write!(anstream::stderr(), "{prompt}: ");
            let _ = anstream::stderr().flush();
            let line = self.line();
            self.hidden.echo(false);
            let line = line?;
            match line.trim() {
                "?" => say(help),
                "<" => return Ok(None),
                _ => return Ok(Some(line)),
            }
        }
    }
}

impl Asker for Lines {
    fn choose(&mut self, title: &str, help: &str, choices: &[Choice], current: usize) -> Result<Reply<usize>> {
        say(&format!("\n{title}\n{help}"));
        for (index, choice) in choices.iter().enumerate() {
            let note = if choice.note.is_empty() {
                String::new()
            } else {
                format!(": {}", choice.note)
            };
            say(&format!("{}. {}{note}", index + 1, choice.title));
        }
        let help = format!(
            "type a number from 1 to {}, or the name; an empty line takes what stands in brackets; < goes back",
            choices.len()
        );
        loop {
            let Some(line) = self.reply(&format!("number [{}]", current + 1), &help, true)? else {
                return Ok(Reply::Back);
            };
            let line = line.trim();
            if line.is_empty() {
                return Ok(Reply::Answer(current));
            }
            let by_number = line
                .parse::<usize>()
                .ok()
                .filter(|number| (1..=choices.len()).contains(number))
                .map(|number| number - 1);
            let by_name = || choices.iter().position(|choice| choice.value == line || choice.title == line);
            match by_number.or_else(by_name) {
                Some(index) => return Ok(Reply::Answer(index)),
                None => say(&help),
            }
        }
    }

    fn text(&mut self, title: &str, help: &str, current: &str) -> Result<Reply<String>> {
        say(&format!("\n{title}\n{help}"));
        let prompt = if current.is_empty() {
            "answer".to_owned()
        } else {
            format!("answer [{current}]")
        };
        let help = "type the answer; an empty line takes what stands in brackets; < goes back";
        Ok(match self.reply(&prompt, help, true)? {
            None => Reply::Back,
            Some(line) if line.trim().is_empty() => Reply::Answer(current.to_owned()),
            Some(line) => Reply::Answer(line.trim().to_owned()),
        })
    }

    fn secret(&mut self, title: &str, help: &str) -> Result<Reply<String>> {
        say(&format!("\n{title}\n{help}"));
        let reply = self.reply("answer (not shown)", "paste the key; < goes back", false)?;
        // The line break that ended the answer was not shown either.
        say("");
        Ok(reply.map_or(Reply::Back, |line| Reply::Answer(line.trim().to_owned())))
    }
}

/// Standard input without echo, where it is a terminal; dropped, the echo is back.
///
/// Held for the whole conversation: a key that is typed or pasted before its question is up must not be shown either.
#[derive(Debug)]
pub struct Hidden(Option<rustix::termios::Termios>);

impl Hidden {
    /// Takes the echo away.
    #[must_use]
    pub fn new() -> Self {
        let hidden = Self(rustix::termios::tcgetattr(std::io::stdin()).ok());
        hidden.echo(false);
        hidden
    }

    fn echo(&self, wanted: bool) {
        use rustix::termios::{LocalModes, OptionalActions, tcsetattr};
        let Some(before) = &self.0 else { return };
        let mut settings = before.clone();
        if !wanted {
            settings.local_modes.remove(LocalModes::ECHO);
        }
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &settings);
    }
}

impl Default for Hidden {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.echo(true);
    }
}

const NOBODY: &str = "guided set-up needs somebody to answer";

/// Nobody is there to answer.
fn nobody(why: &str) -> Error {
    Error::usage(NOBODY).because(why)
}
