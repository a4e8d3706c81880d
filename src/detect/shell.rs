//! Shell text as simple commands: quotes, continuations, `${NAME:-default}`. A reader, not a shell: it never runs anything.

use super::text::is_secret;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// Variables that are known where a command stands.
pub(super) type Variables = BTreeMap<String, String>;

/// Joins lines that end in a backslash; each logical line keeps the number of its first line (from 1).
pub(super) fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let continues = line.ends_with('\\') && !line.ends_with("\\\\");
        let body = if continues { &line[..line.len() - 1] } else { line };
        match lines.last_mut().filter(|_| open) {
            Some((_, joined)) => {
                joined.push(' ');
                joined.push_str(body.trim_start());
            }
            None => lines.push((index + 1, body.to_owned())),
        }
        open = continues;
    }
    lines
}

/// The simple commands of a line, each as words; operators, redirections and comments are left out.
pub(super) fn commands(line: &str, variables: &Variables) -> Vec<Vec<String>> {
    let mut reader = Reader {
        rest: line.chars().peekable(),
        variables,
        commands: vec![Vec::new()],
        word: None,
        skip_word: false,
    };
    reader.read();
    let mut commands = reader.commands;
    for command in &mut commands {
        let keywords = command.iter().take_while(|word| KEYWORDS.contains(&word.as_str())).count();
        command.drain(..keywords);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// The words of a command that is not a shell line (systemd, supervisor): quotes are honoured, operators are words.
pub(super) fn words(line: &str) -> Vec<String> {
    shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect())
}

/// `NAME=value` as its two halves, when the name is one a shell accepts.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let mut characters = name.chars();
    let first = characters.next()?;
    let valid = (first.is_ascii_alphabetic() || first == '_') && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then_some((name, value))
}

/// Words that may stand before a command without being one.
const KEYWORDS: &[&str] = &[
    "if", "then", "else", "elif", "do", "while", "until", "{", "}", "!", "fi", "done", "&",
];

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    variables: &'a Variables,
    commands: Vec<Vec<String>>,
    word: Option<String>,
    /// The next word is the file of a redirection.
    skip_word: bool,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(character) = self.rest.next() {
            match character {
                '\'' => {
                    let quoted: String = self.rest.by_ref().take_while(|c| *c != '\'').collect();
                    self.push(&quoted);
                }
                '"' => self.double_quoted(),
                '\\' => {
                    if let Some(next) = self.rest.next() {
                        self.push(next.encode_utf8(&mut [0; 4]));
                    }
                }
                '$' => {
                    let value = self.dollar();
                    self.push(&value);
                }
                '`' => {
                    let inside: String = self.rest.by_ref().take_while(|c| *c != '`').collect();
                    self.push(&format!("$({inside})"));
                }
                '#' if self.word.is_none() => break,
                '>' | '<' => self.redirection(),
                ';' | '\n' | '|' | '(' | ')' => self.end_command(),
                '&' => self.end_command(),
                c if c.is_whitespace() => self.end_word(),
                c => self.push(c.encode_utf8(&mut [0; 4])),
            }
        }
        self.end_command();
    }

    fn push(&mut self, text: &str) {
        self.word.get_or_insert_with(String::new).push_str(text);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.skip_word)
            && let Some(command) = self.commands.last_mut()
        {
            command.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.skip_word = false;
        self.commands.push(Vec::new());
    }

    /// `>file`, `2>&1`, `<<EOF`: the word before it, if a number, and the word after it belong to it.
    fn redirection(&mut self) {
        if self.word.as_deref().is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        while matches!(self.rest.peek(), Some('>' | '<' | '&' | '-')) {
            self.rest.next();
        }
        self.skip_word = true;
    }

    fn double_quoted(&mut self) {
        self.push("");
        while let Some(character) = self.rest.next() {
            match character {
                '"' => return,
                '\\' => match self.rest.next() {
                    Some(next @ ('"' | '\\' | '$' | '`')) => self.push(next.encode_utf8(&mut [0; 4])),
                    Some(next) => self.push(&format!("\\{next}")),
                    None => return,
                },
                '$' => {
                    let value = self.dollar();
                    self.push(&value);
                }
                c => self.push(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    /// What follows a `$`: known variables and defaults are filled in, everything else stays as it is written.
    fn dollar(&mut self) -> String {
        match self.rest.peek() {
            Some('{') => {
                self.rest.next();
                let inside = self.balanced('{', '}');
                let (name, default) = match inside.find([':', '-']) {
                    Some(at) => (&inside[..at], inside[at..].trim_start_matches(':').strip_prefix('-')),
                    None => (inside.as_str(), None),
                };
                match (self.variables.get(name), default) {
                    // A secret is never spelled out, wherever the command uses it.
                    _ if is_secret(name) => format!("${{{name}}}"),
                    (Some(value), _) => value.clone(),
                    (None, Some(default)) if !default.contains('$') => default.to_owned(),
                    _ => format!("${{{inside}}}"),
                }
            }
            Some('(') => {
                self.rest.next();
                format!("$({})", self.balanced('(', ')'))
            }
            _ => {
                let mut name = String::new();
                while let Some(next) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(next);
                }
                let known = self.variables.get(&name).filter(|_| !is_secret(&name));
                known.cloned().unwrap_or_else(|| format!("${name}"))
            }
        }
    }

    fn balanced(&mut self, open: char, close: char) -> String {
        let mut depth = 1;
        let mut inside = String::new();
        for character in self.rest.by_ref() {
            if character == open {
                depth += 1;
            } else if character == close {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            inside.push(character);
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_its_simple_commands() {
        let variables = Variables::from([("PORT".to_owned(), "80".to_owned())]);
        for (line, expected) in [
            (
                "cd /x && exec gunicorn app:app",
                vec![vec!["cd", "/x"], vec!["exec", "gunicorn", "app:app"]],
            ),
            (
                "gunicorn -b :$PORT -w ${W:-3} # all",
                vec![vec!["gunicorn", "-b", ":80", "-w", "3"]],
            ),
            ("a 'b c' \"d $PORT\" >/dev/null 2>&1 &", vec![vec!["a", "b c", "d 80"]]),
            (
                "x $UNKNOWN ${ALSO} $(nproc --all)",
                vec![vec!["x", "$UNKNOWN", "${ALSO}", "$(nproc --all)"]],
            ),
            ("if true; then flask run; fi", vec![vec!["true"], vec!["flask", "run"]]),
            ("a | tee log", vec![vec!["a"], vec!["tee", "log"]]),
            ("# nothing", vec![]),
            ("'unclosed", vec![vec!["unclosed"]]),
        ] {
            assert_eq!(commands(line, &variables), expected, "{line}");
        }
    }

    #[test]
    fn continued_lines_keep_the_first_number() {
        assert_eq!(logical_lines("a \\\n  b\nc"), [(1, "a  b".to_owned()), (3, "c".to_owned())]);
    }
}
