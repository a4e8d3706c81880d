//! What a rehearsed app prints, made fit to be shown: one line each, no control characters, no secrets.

use std::collections::VecDeque;

/// How many lines are kept.
const KEPT: usize = 2000;

/// How long a shown line may be, in characters.
const LONGEST: usize = 300;

/// Lines that say nothing about the app.
const NOISE: &[&str] = &[
    "pkg_resources is deprecated as an API",
    "from pkg_resources import iter_entry_points",
];

/// The last lines that an app printed.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<String>);

impl Tail {
    /// Adds a line and gives it back as it may be shown; `None` for an empty one.
    pub(super) fn push(&mut self, line: &str) -> Option<&str> {
        let line = clean(line);
        if line.trim().is_empty() {
            return None;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line);
        self.0.back().map(String::as_str)
    }

    /// The last `count` lines, joined by ` ⏎ `, without the warning that the pinned set prints at every start.
    pub(super) fn last(&self, count: usize) -> String {
        let told: Vec<&str> = self
            .0
            .iter()
            .map(|line| line.trim())
            .filter(|line| !NOISE.iter().any(|noise| line.contains(noise)))
            .collect();
        told[told.len().saturating_sub(count)..].join(" ⏎ ")
    }

    /// The newest line that contains a text.
    pub(super) fn find(&self, text: &str) -> Option<&str> {
        self.0.iter().rev().find(|line| line.contains(text)).map(String::as_str)
    }
}

/// Words after which a value is not shown; compared without case.
const SECRET_NAMES: &[&str] = &[
    "signoz-ingestion-key",
    "signoz-access-token",
    "authorization",
    "bearer",
    "password",
    "passwd",
    "secret",
    "secret_key",
    "api_key",
    "api-key",
    "apikey",
    "token",
];

/// A line without escape sequences, control characters and the values of secrets.
pub(crate) fn clean(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A CSI sequence ends with a letter; any other escape is dropped with its next character.
            if characters.next() == Some('[') {
                for next in characters.by_ref() {
                    if next.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
        } else if character == '\t' {
            text.push(' ');
        } else if !character.is_control() {
            text.push(character);
        }
        if text.chars().count() >= LONGEST {
            text.push('…');
            break;
        }
    }
    // The SDK prints a whole malformed header, key included.
    if let Some(at) = text.find("OpenTelemetry Protocol Exporter specification:") {
        text.truncate(at);
        text.push_str("OpenTelemetry Protocol Exporter specification: ••••");
    }
    mask_credentials_of_urls(&mask_named(&text))
}

/// `password=abc` and `"token": "abc"` become `password=••••` and `"token": ••••`.
fn mask_named(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut masked = String::new();
    let mut at = 0;
    while let Some((start, name)) = SECRET_NAMES
        .iter()
        .filter_map(|name| lower[at..].find(name).map(|found| (at + found, *name)))
        .min_by_key(|(start, name)| (*start, usize::MAX - name.len()))
    {
        let after = start + name.len();
        masked.push_str(&text[at..after]);
        at = after;
        let separator = text[after..]
            .chars()
            .take_while(|c| matches!(c, '=' | ':' | ' ' | '"' | '\''))
            .count();
        let said = &text[after..after + separator];
        let value = text[after + separator..]
            .chars()
            .take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ';' | '&' | '"' | '\'' | ')' | '}'))
            .map(char::len_utf8)
            .sum::<usize>();
        let is_value = said.contains(['=', ':']) || (name == "bearer" && said == " ");
        // `authorization: Bearer abc`: the value is behind the next name.
        let next = lower[after + separator..].starts_with("bearer");
        if is_value && value > 0 && !next {
            masked.push_str(said);
            masked.push_str("••••");
            at = after + separator + value;
        }
    }
    masked.push_str(&text[at..]);
    masked
}

/// `redis://user:abc@host` becomes `redis://user:••••@host`.
fn mask_credentials_of_urls(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        let authority = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''))
            .unwrap_or(after.len());
        rest = after;
        if let Some(end) = after[..authority].rfind('@')
            && let Some(colon) = after[..end].find(':')
        {
            masked.push_str(&after[..=colon]);
            masked.push_str("••••");
            rest = &after[end..];
        }
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_control_characters_are_not_shown() {
        for (line, shown) in [
            ("\u{1b}[31mred\u{1b}[0m\tand\u{7} bell", "red and bell"),
            ("signoz-ingestion-key=canary-1,x=y", "signoz-ingestion-key=••••,x=y"),
            ("Authorization: Bearer canary-1 end", "Authorization: Bearer •••• end"),
            ("{'password': 'canary-1', 'a': 1}", "{'password': '••••', 'a': 1}"),
            ("redis://user:canary-1@host:6379/0 ok", "redis://user:••••@host:6379/0 ok"),
            ("SECRET_KEY = canary-1", "SECRET_KEY = ••••"),
            (
                "no token here, GET http://127.0.0.1:80/ 200",
                "no token here, GET http://127.0.0.1:80/ 200",
            ),
            (
                "must be URL encoded per the OpenTelemetry Protocol Exporter specification: x: canary-1",
                "must be URL encoded per the OpenTelemetry Protocol Exporter specification: ••••",
            ),
        ] {
            assert_eq!(clean(line), shown);
        }
    }
}
