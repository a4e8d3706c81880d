//! Reading project files without being stopped, steered or made to repeat a secret by them.
//!
//! May never follow a pipe or device, read more than a mebibyte, or hand out a control character.

use crate::domain::detection::Evidence;
use crate::domain::secret::mask_addresses;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// Largest file that is read, in bytes; start commands and dependency lists are far smaller.
pub(super) const LIMIT: u64 = 1 << 20;

/// What stands in place of a secret.
pub(super) const MASK: &str = crate::domain::plan::Content::MASK;

/// Reads a regular file as text.
///
/// # Errors
/// `InvalidInput` for what is not a regular file, `FileTooLarge` above [`LIMIT`], otherwise the operating system's.
pub(super) fn read(path: &Path) -> io::Result<String> {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer that may never come.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if metadata.len() > LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(LIMIT).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// Evidence whose fact is free of secrets, terminal escapes and text that would be shown in another order than it is.
pub(super) fn evidence(source: impl AsRef<str>, fact: impl AsRef<str>) -> Evidence {
    Evidence::new(clean(source.as_ref()), mask_text(&clean(fact.as_ref())))
}

/// Text without control and direction characters; line breaks and tabs become spaces.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\n' | '\r' | '\t' => Some(' '),
            c if c.is_control() => None,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => None,
            c => Some(c),
        })
        .collect()
}

/// Whether a variable, flag or setting of this name holds a secret. A name that ends in `FILE` or `PATH` only says where one is.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let last = name.rsplit('_').next().unwrap_or_default();
    if matches!(last, "FILE" | "PATH" | "DIR" | "NAME" | "ID") || name.ends_with("KEYFILE") {
        return false;
    }
    [
        "TOKEN",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "SECRET",
        "CREDENTIAL",
        "APIKEY",
        "OTLP_HEADERS",
    ]
    .iter()
    .any(|part| name.contains(part))
        || name.contains("_HEADERS") && name.starts_with("OTEL_")
        || matches!(last, "KEY" | "DSN" | "PWD" | "PASS" | "AUTH") && name != "PWD"
}

/// The value as it may be shown: dots for a secret name, a password in a URL blotted out.
pub(super) fn mask_value(name: &str, value: &str) -> String {
    if is_secret(name) && !value.is_empty() {
        MASK.to_owned()
    } else {
        mask_addresses(&clean(value), false)
    }
}

/// The words of a command as they may be shown.
pub(super) fn mask_words(words: &[String]) -> Vec<String> {
    let mut hide_next = false;
    words
        .iter()
        .map(|word| {
            let word = clean(word);
            if std::mem::take(&mut hide_next) {
                return MASK.to_owned();
            }
            match word.split_once('=') {
                Some((name, value)) if is_secret(name.trim_start_matches('-')) && !name.contains(char::is_whitespace) => {
                    if value.is_empty() { word.clone() } else { format!("{name}={MASK}") }
                }
                None if word.starts_with("--") && is_secret(&word[2..]) => {
                    hide_next = true;
                    word
                }
                _ => mask_text(&word),
            }
        })
        .collect()
}

/// Running text with the values of secret names (`NAME=v`, `NAME: v`, `--name v`) and passwords in URLs blotted out.
pub(super) fn mask_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for secret in secret_ranges(text) {
        shown.push_str(&text[done..secret.start]);
        shown.push_str(MASK);
        done = secret.end;
    }
    shown.push_str(&text[done..]);
    mask_addresses(&shown, false)
}

/// The values that a text gives to secret names, without quotes: what is a secret in one place is one in every other.
pub(super) fn secrets(text: &str) -> Vec<String> {
    let text = clean(text);
    secret_ranges(&text)
        .into_iter()
        .map(|range| text[range].trim_matches(['"', '\'']).to_owned())
        .filter(|value| value.chars().count() >= 4)
        .collect()
}

/// A shown text once more, without values that are known to be secret.
pub(super) fn hide(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        if text.contains(secret.as_str()) {
            *text = text.replace(secret.as_str(), MASK);
        }
    }
}

fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_name_character).map(|start| at + start) {
        let end = text[start..].find(|c| !is_name_character(c)).map_or(text.len(), |end| start + end);
        let name = &text[start..end];
        at = end;
        if !is_secret(name.trim_start_matches('-')) {
            continue;
        }
        let Some(separator) = separator(&text[end..], name.starts_with("--")) else {
            continue;
        };
        let begin = end + separator;
        at = begin + value_length(&text[begin..]);
        if at > begin {
            found.push(begin..at);
        }
    }
    found
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Length of what stands between a name and its value: `=`, ` = `, `: `, `"] = `, `", "` or, for a flag, a space.
fn separator(text: &str, flag: bool) -> Option<usize> {
    let length = text
        .find(|c: char| !matches!(c, ' ' | '=' | ':' | '"' | '\'' | ']' | ',' | ')'))
        .unwrap_or(text.len());
    let between = &text[..length];
    let assigns = between.contains(['=', ':']) || between.contains("',") || between.contains("\",");
    if assigns {
        // The value's own opening quote belongs to the value.
        let quote = between
            .rfind(['"', '\''])
            .filter(|at| *at + 1 == length && between[..*at].contains(['=', ':', ',']));
        return Some(quote.unwrap_or(length));
    }
    (flag && between.starts_with(' ') && length < text.len()).then_some(length)
}

fn value_length(text: &str) -> usize {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return text
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | ')' | ']' | '}' | '&' | '|'))
            .unwrap_or(text.len());
    };
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

/// `./a/../b` as `b`: without touching the disk.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidied.components().next_back(), Some(Component::Normal(_))) => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    tidied
}

/// A path as it is shown and stored: relative to the project where it lies inside, `.` for the project itself.
pub(super) fn relative(path: &Path, project: &Path) -> PathBuf {
    let path = tidy(path);
    let inside = path.strip_prefix(project).map(Path::to_path_buf).unwrap_or(path);
    if inside.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_wherever_a_command_may_carry_them() {
        for (text, shown) in [
            ("SECRET_KEY=abc gunicorn app:app", "SECRET_KEY=•••••••• gunicorn app:app"),
            ("DB_PASSWORD='a b c' x", "DB_PASSWORD=•••••••• x"),
            (
                "celery --broker redis://u:pw@h/0 -A x",
                "celery --broker redis://u:••••••••@h/0 -A x",
            ),
            ("app --api-key canary --port 1", "app --api-key •••••••• --port 1"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=k run",
                "OTEL_EXPORTER_OTLP_HEADERS=•••••••• run",
            ),
            ("  API_TOKEN: canary", "  API_TOKEN: ••••••••"),
            ("os.environ['APP_SECRET'] = 'canary'", "os.environ['APP_SECRET'] = ••••••••"),
            ("CMD [\"x\", \"--password\", \"canary\"]", "CMD [\"x\", \"--password\", ••••••••]"),
            ("gunicorn --keyfile k.pem --keep-alive 5", "gunicorn --keyfile k.pem --keep-alive 5"),
            ("monkey=1 PWD=/srv KEY_ID=7", "monkey=1 PWD=/srv KEY_ID=7"),
        ] {
            assert_eq!(mask_text(text), shown);
        }
        let words: Vec<String> = ["--password", "canary", "TOKEN=can ary", "a=b"].map(String::from).to_vec();
        assert_eq!(mask_words(&words), ["--password", MASK, "TOKEN=••••••••", "a=b"]);
    }

    #[test]
    fn a_fact_cannot_steer_the_terminal() {
        let fact = evidence("x\u{1b}[2J", "a\u{1b}]0;t\u{7}b PASS\u{1}WORD=canary \u{202e}z");
        assert_eq!((fact.source.as_str(), fact.fact.as_str()), ("x[2J", "a]0;tb PASSWORD=•••••••• z"));
    }

    #[test]
    fn paths_are_made_tidy_without_the_disk() {
        assert_eq!(relative(Path::new("/p/a/../b/./c"), Path::new("/p")), Path::new("b/c"));
        assert_eq!(relative(Path::new("/p/"), Path::new("/p")), Path::new("."));
        assert_eq!(relative(Path::new("/q"), Path::new("/p")), Path::new("/q"));
    }
}
