//! Templates, and one quoting filter for each language they are in.
//!
//! May never print a value that no filter has quoted: that is an error, not a convenience.

use crate::error::{Error, Result};
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, State, UndefinedBehavior};

/// The run script.
pub const RUN_SCRIPT: &str = "vm/run.sh.j2";

const SOURCES: &[(&str, &str)] = &[(RUN_SCRIPT, include_str!("../../assets/templates/vm/run.sh.j2"))];

/// Fills a template.
///
/// # Errors
/// An internal error when a template prints an unquoted value or misses one: a defect of the template.
pub fn render(name: &str, values: &Value) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(true);
    // Everything is escaped by default, and the formatter refuses what no filter has marked as safe.
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("quoted"));
    environment.set_formatter(|output, state: &State<'_, '_>, value| {
        if value.kind() == ValueKind::String && !value.is_safe() {
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("`{}` prints a value without a quoting filter", state.name())));
        }
        output.write_str(&value.to_string()).map_err(minijinja::Error::from)
    });
    environment.add_filter("sh", |text: String| Value::from_safe_string(sh(&text)));
    environment.add_filter("comment", |text: String| Value::from_safe_string(text.chars().filter(|c| !c.is_control()).collect()));
    environment.add_filter("bare", bare);
    environment.add_filter("patterns", patterns);
    for (name, source) in SOURCES {
        environment.add_template(name, source).map_err(|error| defect(&error))?;
    }
    environment.get_template(name).and_then(|template| template.render(values)).map_err(|error| defect(&error))
}

fn defect(error: &minijinja::Error) -> Error {
    Error::failed("a file could not be made from its template").because(error.to_string()).remedy("this is a defect of signoz-setup; please report it")
}

/// A word for a POSIX shell: as it is when that is safe, else in single quotes.
#[must_use]
pub fn sh(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A name that needs no quotes anywhere: a variable, a program.
fn bare(text: String) -> std::result::Result<Value, minijinja::Error> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.') {
        Ok(Value::from_safe_string(text))
    } else {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("`{}` is not a plain name", text.escape_debug())))
    }
}

/// Names as the patterns of a shell `case`.
fn patterns(names: Vec<String>) -> std::result::Result<Value, minijinja::Error> {
    let names = names.into_iter().map(bare).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Value::from_safe_string(names.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words_survive() {
        assert_eq!(sh("app:app"), "app:app");
        assert_eq!(sh("it's"), r"'it'\''s'");
        assert_eq!(sh(""), "''");
        assert_eq!(sh("~"), "'~'");
        assert_eq!(sh("-n"), "-n");
    }

    #[test]
    fn names_that_need_quotes_are_refused() {
        assert!(bare("A=b".to_owned()).is_err() && bare("$(x)".to_owned()).is_err() && bare("GUNICORN_CMD_ARGS".to_owned()).is_ok());
    }
}
