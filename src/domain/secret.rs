//! The two credentials. Neither can be displayed, serialised or logged; `Debug` prints dots. And other people's, in addresses.
//!
//! May never hand a value to anything but the writer of the environment file and the exporters.

use super::plan::Content;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;

/// Why a credential was refused before anything was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing, or only white space.
    #[error("it is empty")]
    Empty,
    /// White space inside; a header value with a space is refused by the gateway.
    #[error("it contains white space at character {0}")]
    WhiteSpace(usize),
    /// Quotes become part of the value in an environment file.
    #[error("it contains a quote at character {0}")]
    Quote(usize),
    /// Control or non-ASCII characters are not legal in gRPC metadata.
    #[error("it contains a character outside printable ASCII at position {0}")]
    NotAscii(usize),
    /// `,` and `;` separate headers in `OTEL_EXPORTER_OTLP_HEADERS`.
    #[error("it contains a header separator (`,` or `;`) at character {0}")]
    Separator(usize),
    /// `<…>`, `{{…}}`, `$VAR` or a documented example text.
    #[error("it is a placeholder from the documentation, not a key")]
    Placeholder,
    /// `signoz-ingestion-key=…` or `Bearer …` was pasted along with the key.
    #[error("it starts with `{0}`; paste only the key itself")]
    Prefix(&'static str),
}

/// A SigNoz ingestion key: write-only, opaque, checked for what can never be sent as a header.
///
/// The format is not documented by SigNoz, so only what breaks a header is refused.
#[derive(Clone)]
pub struct IngestionKey(SecretString);

impl IngestionKey {
    /// Parses a key; one trailing line break (`\n` or `\r\n`) is dropped, as editors and `echo` add it.
    ///
    /// # Errors
    /// [`KeyError`] names the character that cannot be sent; never the key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let key = text.strip_suffix('\n').unwrap_or(text);
        let key = key.strip_suffix('\r').unwrap_or(key);
        if key.trim().is_empty() {
            return Err(KeyError::Empty);
        }
        for prefix in ["signoz-ingestion-key=", "signoz-ingestion-key:", "signoz-access-token=", "Bearer "] {
            if key.len() >= prefix.len() && key.is_char_boundary(prefix.len()) && key[..prefix.len()].eq_ignore_ascii_case(prefix) {
                return Err(KeyError::Prefix(prefix));
            }
        }
        let lower = key.to_ascii_lowercase();
        let documented = ["your_key", "your-ingestion-key", "your_ingestion_key", "signoz_ingestion_key"];
        if key.contains(['<', '>', '{', '}', '$']) || documented.contains(&lower.as_str()) {
            return Err(KeyError::Placeholder);
        }
        for (position, character) in key.chars().enumerate() {
            let at = position + 1;
            match character {
                '"' | '\'' | '`' => return Err(KeyError::Quote(at)),
                ',' | ';' => return Err(KeyError::Separator(at)),
                c if c.is_whitespace() => return Err(KeyError::WhiteSpace(at)),
                c if !c.is_ascii_graphic() => return Err(KeyError::NotAscii(at)),
                _ => {}
            }
        }
        Ok(Self(SecretString::from(key.to_owned())))
    }

    /// The value, for the exporters and the environment file only.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The first eight hexadecimal digits of its SHA-256: enough to compare two keys, useless to recover one.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(self.expose())
    }
}

impl fmt::Debug for IngestionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IngestionKey(••••)")
    }
}

impl PartialEq for IngestionKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// A SigNoz service-account API key: reads stored spans back; never written to any file.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Parses an API key with the same rules as an ingestion key.
    ///
    /// # Errors
    /// [`KeyError`] names the character that cannot be sent; never the key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        IngestionKey::parse(text).map(|key| Self(key.0))
    }

    /// The value, for the query request only.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(••••)")
    }
}

fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A text without the passwords of its addresses: `redis://user:••••••••@host`. With `user` the user's name goes as well: that
/// of a package index may be a token.
#[must_use]
pub fn mask_addresses(text: &str, user: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, after) = rest.split_at(at + 2);
        shown.push_str(before);
        rest = after;
        // Not every program escapes `?`, `#` and `@` in a password, so these end nothing.
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''))
            .unwrap_or(after.len());
        let Some(host) = after[..end].rfind('@') else { continue };
        let kept = if user {
            Some(0)
        } else {
            after[..host].find(':').map(|colon| colon + 1)
        };
        if let Some(kept) = kept {
            shown.push_str(&after[..kept]);
            shown.push_str(Content::MASK);
            rest = &after[host..];
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_line_break_is_dropped_and_nothing_else() {
        assert_eq!(IngestionKey::parse("abc-123\r\n").unwrap().expose(), "abc-123");
        assert_eq!(IngestionKey::parse("abc 123"), Err(KeyError::WhiteSpace(4)));
        assert_eq!(IngestionKey::parse("abc\n\n"), Err(KeyError::WhiteSpace(4)));
    }

    #[test]
    fn what_cannot_be_a_header_value_is_named_without_the_key() {
        for (text, error) in [
            ("", KeyError::Empty),
            ("  \n", KeyError::Empty),
            ("\"abc\"", KeyError::Quote(1)),
            ("abc'd", KeyError::Quote(4)),
            ("kéy", KeyError::NotAscii(2)),
            ("a\u{7}b", KeyError::NotAscii(2)),
            ("a,b", KeyError::Separator(2)),
            ("<your-ingestion-key>", KeyError::Placeholder),
            ("{{SIGNOZ_INGESTION_KEY}}", KeyError::Placeholder),
            ("YOUR_KEY", KeyError::Placeholder),
            ("signoz-ingestion-key=abc", KeyError::Prefix("signoz-ingestion-key=")),
            ("Bearer abc", KeyError::Prefix("Bearer ")),
        ] {
            let got = IngestionKey::parse(text).unwrap_err();
            assert_eq!(got, error, "{text:?}");
            assert!(text.len() < 3 || !got.to_string().contains(text), "{got}");
        }
    }

    #[test]
    fn debug_shows_dots() {
        let key = IngestionKey::parse("canary-4711").unwrap();
        assert!(!format!("{key:?}").contains("canary"));
        assert_eq!(key.fingerprint().len(), 8);
    }

    #[test]
    fn addresses_lose_their_passwords() {
        for (text, password, user) in [
            (
                "redis://ann:se@cr?et#1@host:6379/0 ok",
                "redis://ann:••••••••@host:6379/0 ok",
                "redis://••••••••@host:6379/0 ok",
            ),
            ("'//ann:pw@host'", "'//ann:••••••••@host'", "'//••••••••@host'"),
            (
                "https://token@host/simple",
                "https://token@host/simple",
                "https://••••••••@host/simple",
            ),
            (
                "a://u:p@h,b://v:q@h",
                "a://u:••••••••@h,b://v:••••••••@h",
                "a://••••••••@h,b://••••••••@h",
            ),
            (
                "https://pypi.org/a:b@c x@y",
                "https://pypi.org/a:b@c x@y",
                "https://pypi.org/a:b@c x@y",
            ),
        ] {
            assert_eq!(
                (mask_addresses(text, false).as_str(), mask_addresses(text, true).as_str()),
                (password, user)
            );
        }
    }
}
