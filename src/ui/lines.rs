//! Questions as lines that nothing ever changes: numbered choices, a line for an answer. For pipes, plain terminals and
//! screen readers.
//!
//! May never move the cursor, or let a secret be echoed.

use super::asking::{Ask, Asker, NoReply, Reply, Waiting};
use super::echo::{Echo, Typing};
use super::view::clean;
use crate::wizard::question::{Choice, Kind};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Longest line that is taken; a file sent by accident is not an answer.
const LIMIT: u64 = 64 * 1024;

/// How to answer, said once.
pub const MANNER: &str = "An empty line takes what stands in brackets. `?` explains, `<` goes back, Ctrl-C leaves.";

type Source = Arc<Mutex<dyn BufRead + Send>>;

/// Asks in lines.
pub struct Lines {
    source: Source,
    out: Box<dyn Write>,
    echo: Echo,
    waiting: Waiting<io::Result<Option<String>>>,
}

impl Lines {
    /// Reads standard input, writes to standard error.
    #[must_use]
    pub fn new(runtime: &Handle) -> Self {
        let mut lines = Self::over(runtime, BufReader::new(io::stdin()), anstream::stderr());
        lines.echo = Echo::take();
        lines
    }

    /// Reads and writes elsewhere.
    #[must_use]
    pub fn over(runtime: &Handle, source: impl BufRead + Send + 'static, out: impl Write + 'static) -> Self {
        Self {
            source: Arc::new(Mutex::new(source)),
            out: Box::new(out),
            echo: Echo::none(),
            waiting: Waiting::new(runtime),
        }
    }

    /// The next line without its end.
    fn read(&mut self, prompt: &str, typing: Typing) -> Result<String, NoReply> {
        // First: what is typed at the sight of the prompt is echoed, or not, as it should be.
        self.echo.begin(typing);
        self.write(prompt);
        let source = Arc::clone(&self.source);
        let read = self.waiting.wait_for(move || next_line(&source));
        self.echo.end(typing);
        let whole = matches!(&read, Ok(Ok(Some(_))));
        if !(whole && self.echo.is_there()) {
            self.write("\n");
        }
        match read {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(NoReply::Nobody("standard input has ended".to_owned())),
            Ok(Err(error)) => Err(NoReply::Nobody(format!("standard input cannot be read: {error}"))),
            Err(signal) => Err(NoReply::Ended(signal)),
        }
    }

    fn write(&mut self, text: &str) {
        // Whoever closed standard error does not want to read it.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

impl Asker for Lines {
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, NoReply> {
        let mut question = format!("\n{}\n", ask.title);
        for (index, choice) in ask.choices.iter().enumerate() {
            let note = if choice.note.is_empty() {
                String::new()
            } else {
                format!(": {}", clean(&choice.note))
            };
            question.push_str(&format!("  {}. {}{note}\n", index + 1, clean(&choice.title)));
        }
        if !ask.again {
            self.write(&question);
        }
        let current = match ask.kind {
            Kind::Choice => ask
                .choices
                .iter()
                .position(|choice| Some(choice.value.as_str()) == ask.current)
                .map(|index| (index + 1).to_string()),
            Kind::Text => ask.current.map(clean),
            Kind::Secret => None,
        };
        let (name, typing) = match ask.kind {
            Kind::Choice => ("Number", Typing::Shown),
            Kind::Text => ("Answer", Typing::Shown),
            Kind::Secret => ("Answer, not shown", Typing::Secret),
        };
        let prompt = match current.filter(|current| !current.is_empty()) {
            Some(current) => format!("{name} [{current}]: "),
            None => format!("{name}: "),
        };
        loop {
            let line = self.read(&prompt, typing)?;
            match (line.trim(), ask.kind) {
                ("?", _) => self.say(ask.help),
                ("<", _) => return Ok(Reply::Back),
                (answer, Kind::Choice) => match chosen(ask, answer) {
                    Some(choice) => return Ok(Reply::Answer(choice.value.clone())),
                    None => self.say(&format!("Type a number from 1 to {}, or ? for help.", ask.choices.len())),
                },
                // A line of nothing but spaces says that there shall be nothing.
                (_, Kind::Text) if line.is_empty() => return Ok(Reply::Answer(ask.current.unwrap_or_default().to_owned())),
                (answer, Kind::Text | Kind::Secret) => return Ok(Reply::Answer(answer.to_owned())),
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.show(text);
    }

    fn show(&mut self, text: &str) {
        self.write(&format!("{}\n", text.trim_end()));
    }
}

/// The choice that an answer names: by its number, its value, its title, or the first letter of yes and no.
fn chosen<'a>(ask: &Ask<'a>, answer: &str) -> Option<&'a Choice> {
    if answer.is_empty() {
        return ask.choices.iter().find(|choice| Some(choice.value.as_str()) == ask.current);
    }
    if let Ok(number) = answer.parse::<usize>() {
        return ask.choices.get(number.checked_sub(1)?);
    }
    let named = |choice: &&Choice| {
        let same = |text: &str| text.eq_ignore_ascii_case(answer);
        same(&choice.value) || same(&choice.title) || (matches!(choice.value.as_str(), "yes" | "no") && same(&choice.value[..1]))
    };
    ask.choices.iter().find(named)
}

fn next_line(source: &Source) -> io::Result<Option<String>> {
    let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = Vec::new();
    (&mut *source).take(LIMIT).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("echo", &self.echo).finish_non_exhaustive()
    }
}
