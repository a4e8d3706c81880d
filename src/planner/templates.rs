//! The files that are written: templates and plain Python, compiled in, with one quoting filter for each language.
//!
//! May never let text into a template unquoted: the formatter refuses it, so that no answer can become code.

use crate::error::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, ErrorKind, Output, State, UndefinedBehavior, escape_formatter};

/// `.signoz/auto/sitecustomize.py`.
pub const SITECUSTOMIZE: &str = include_str!("../../assets/templates/workers/sitecustomize.py");
/// `.signoz/auto/signoz_auto.py`.
pub const SIGNOZ_AUTO: &str = include_str!("../../assets/templates/workers/signoz_auto.py");
/// `.signoz/gunicorn.conf.py`.
pub const GUNICORN_CONF: &str = include_str!("../../assets/templates/workers/gunicorn.conf.py");
/// Run by the verification level `python` with `python -c`: sends one span and prints one JSON line.
pub const VERIFY_SPAN: &str = include_str!("../../assets/templates/verify/verify_span.py");

const TEMPLATES: &[(&str, &str)] = &[("vm/run.sh.j2", include_str!("../../assets/templates/vm/run.sh.j2"))];

/// Renders a template; its name is its path below `assets/templates`.
///
/// # Errors
/// [`Error::failed`] when a name is missing or text is printed without a quoting filter: mistakes of ours, not the person's.
pub fn render(name: &str, context: Value) -> Result<String> {
    render_with(TEMPLATES, name, context)
}

fn render_with(templates: &[(&'static str, &'static str)], name: &str, context: Value) -> Result<String> {
    let rendered = || -> std::result::Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .keep_trailing_newline(true)
                .build()?,
        );
        environment.set_formatter(only_quoted);
        environment.add_filter("sh", |text: String| quoted(shell(&text)));
        environment.add_filter("word", |text: String| quoted(word(&text)));
        environment.add_filter("bare", |text: String| bare(&text));
        environment.add_filter("comment", |text: String| comment(&text));
        for (name, source) in templates {
            environment.add_template(name, source)?;
        }
        environment.get_template(name)?.render(context)
    };
    rendered().map_err(|error| Error::failed(format!("the template {name} cannot be rendered")).because(error.to_string()))
}

/// Prints only what a filter has marked as quoted; numbers and nothing are harmless.
fn only_quoted(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> std::result::Result<(), minijinja::Error> {
    let harmless =
        value.is_safe() || value.is_undefined() || value.is_none() || matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if harmless {
        return escape_formatter(out, state, value);
    }
    Err(minijinja::Error::new(
        ErrorKind::InvalidOperation,
        format!("{}: `{value}` is printed without a quoting filter", state.name()),
    ))
}

fn quoted(text: String) -> Value {
    Value::from_safe_string(text)
}

/// A POSIX shell word: in single quotes, in which nothing has a meaning but the quote itself.
#[must_use]
pub fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@,+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A word of a start command: `$NAME` and `${NAME}` are looked up when the app starts, as a Procfile or a shell would;
/// everything else, `$(…)` included, is taken literally. A word with white space is a script of its own (`sh -c`) and
/// looks its variables up by itself.
#[must_use]
pub fn word(text: &str) -> String {
    if text.contains(char::is_whitespace) {
        return shell(text);
    }
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, tail) = braced.unwrap_or_else(|| {
            let end = after
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(after.len());
            after.split_at(end)
        });
        let is_name =
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let (literal, next) = if is_name { (before, tail) } else { (&rest[..=at], after) };
        if !literal.is_empty() {
            written.push_str(&shell(literal));
        }
        if is_name {
            written.push_str(&format!("\"${{{name}:?the start command needs this variable}}\""));
        }
        rest = next;
    }
    if !rest.is_empty() || written.is_empty() {
        written.push_str(&shell(rest));
    }
    written
}

/// A word that needs no quoting in any language; anything else is an error.
fn bare(text: &str) -> std::result::Result<Value, minijinja::Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-. |".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(quoted(text.to_owned()));
    }
    Err(minijinja::Error::new(
        ErrorKind::InvalidOperation,
        format!("`{}` is not a plain word", text.escape_debug()),
    ))
}

/// The rest of a comment line: a line break would end the comment.
fn comment(text: &str) -> std::result::Result<Value, minijinja::Error> {
    if text.chars().any(char::is_control) {
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "a comment must be one line"));
    }
    Ok(quoted(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn text_without_a_filter_is_refused() {
        let error = render_with(&[("x.j2", "echo {{ name }}")], "x.j2", context! { name => "a" }).unwrap_err();
        assert!(
            error.to_string().contains("x.j2: `a` is printed without a quoting filter"),
            "{error}"
        );
        let error = render_with(&[("x.j2", "echo {{ nmae | sh }}")], "x.j2", context! { name => "a" }).unwrap_err();
        assert!(error.to_string().contains("undefined"), "{error}");
    }

    #[test]
    fn variables_of_a_start_command_are_looked_up_and_nothing_else_is() {
        let port = "\"${PORT:?the start command needs this variable}\"";
        assert_eq!(word("0.0.0.0:$PORT"), format!("0.0.0.0:{port}"));
        assert_eq!(word("${PORT}/x"), format!("{port}/x"));
        assert_eq!(word("$(touch x)"), "'$(touch x)'");
        assert_eq!(word("$(x)"), "'$''(x)'");
        assert_eq!(word("a$"), "'a$'");
        assert_eq!(word("${A-b}"), "'$''{A-b}'");
        assert_eq!(word("for i in 1 2; do echo $i; done"), "'for i in 1 2; do echo $i; done'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn what_is_not_a_plain_word_is_refused() {
        for bad in ["a;b", "$x", "", "a\nb", "`x`"] {
            assert!(
                render_with(&[("x.j2", "{{ name | bare }}")], "x.j2", context! { name => bad }).is_err(),
                "{bad:?}"
            );
        }
    }
}
