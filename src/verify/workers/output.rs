//! What a rehearsed app prints, made fit to be shown: one line each, no control characters, no secrets.

use crate::domain::Content;
use crate::domain::secret::mask_addresses;
use crate::system::commands::plain;
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
    let mut text = plain(line);
    // The SDK prints a whole malformed header, key included.
    if let Some(at) = text.find("OpenTelemetry Protocol Exporter specification:") {
        text.truncate(at);
        text.push_str("OpenTelemetry Protocol Exporter specification: ");
        text.push_str(Content::MASK);
    }
    let mut shown = mask_addresses(&mask_named(&text), false);
    // Cut last: half a secret is not known as one.
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// `password=abc` and `"token": "abc"` become `password=••••••••` and `"token": ••••••••`.
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
            masked.push_str(Content::MASK);
            at = after + separator + value;
        }
    }
    masked.push_str(&text[at..]);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_control_characters_are_not_shown() {
        for (line, shown) in [
            ("\u{1b}[31mred\u{1b}[0m\tand\u{7} bell", "red and bell"),
            ("signoz-ingestion-key=canary-1,x=y", "signoz-ingestion-key=••••••••,x=y"),
            ("Authorization: Bearer canary-1 end", "Authorization: Bearer •••••••• end"),
            ("{'password': 'canary-1', 'a': 1}", "{'password': '••••••••', 'a': 1}"),
            ("redis://user:canary-1@host:6379/0 ok", "redis://user:••••••••@host:6379/0 ok"),
            ("SECRET_KEY = canary-1", "SECRET_KEY = ••••••••"),
            (
                "no token here, GET http://127.0.0.1:80/ 200",
                "no token here, GET http://127.0.0.1:80/ 200",
            ),
            (
                "must be URL encoded per the OpenTelemetry Protocol Exporter specification: x: canary-1",
                "must be URL encoded per the OpenTelemetry Protocol Exporter specification: ••••••••",
            ),
        ] {
            assert_eq!(clean(line), shown);
        }
        let long = format!("{} redis://user:canary-1@host", "x".repeat(LONGEST - 20));
        let shown = clean(&long);
        assert!(!shown.contains("canary") && shown.chars().count() == LONGEST + 1, "{shown}");
    }
}
