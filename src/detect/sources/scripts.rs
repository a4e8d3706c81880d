//! Procfiles, shell scripts, Makefiles and `.env`: line-wise shell.

use super::super::shell::{Variables, assignment, logical_lines};
use super::super::text;
use super::{File, Gathered, Origin, Place, is_likely_app};
use std::path::Path;

/// `web: gunicorn app:app`; `release:` runs once and ends.
pub(super) fn procfile(file: &File<'_>, content: &str, found: &mut Gathered) {
    for (number, line) in content.lines().enumerate() {
        let Some((name, command)) = line.split_once(':') else { continue };
        if line.starts_with('#') || name.trim() == "release" || name.contains(char::is_whitespace) {
            continue;
        }
        let mut place = Place {
            variables: file.dotenv.clone(),
            directory: file.folder(),
        };
        found.shell_line(Origin::Procfile, command, &mut place, &file.at(number + 1));
    }
}

/// Start commands anywhere in a script. Only what looks like the app is taken: a repository has many scripts.
pub(super) fn shell_script(file: &File<'_>, content: &str, found: &mut Gathered) {
    let named = file.path.extension().is_some();
    if !named && !content.starts_with("#!") {
        return;
    }
    // Scripts are started from the project's folder far more often than from their own.
    let own = file.folder();
    let mut place = Place {
        variables: Variables::new(),
        directory: file.project.to_path_buf(),
    };
    let mut here = None;
    for (number, line) in logical_lines(content) {
        if let Some(end) = &here {
            if line.trim() == end {
                here = None;
            }
            continue;
        }
        here = heredoc(&line);
        if line.trim_start().starts_with("cd ") && (line.contains("dirname") || line.contains("BASH_SOURCE")) {
            place.directory = if line.contains("/..") {
                own.parent().unwrap_or(&own).to_path_buf()
            } else {
                own.clone()
            };
            continue;
        }
        let before = found.commands.len();
        found.shell_line(Origin::Script, &line, &mut place, &file.at(number));
        keep_likely(found, before, file.project);
    }
}

/// Recipe lines of every target.
pub(super) fn makefile(file: &File<'_>, content: &str, found: &mut Gathered) {
    let mut variables = Variables::new();
    for (number, line) in logical_lines(content) {
        if let Some(recipe) = line.strip_prefix('\t') {
            let recipe = recipe.trim_start_matches(['@', '-', '+', ' ']);
            // Make's `$(NAME)` is a variable, `$$` a dollar for the shell.
            let mut recipe = recipe.replace("$$", "$");
            for (name, value) in &variables {
                recipe = recipe.replace(&format!("$({name})"), value).replace(&format!("${{{name}}}"), value);
            }
            let before = found.commands.len();
            let mut place = Place {
                variables: Variables::new(),
                directory: file.folder(),
            };
            found.shell_line(Origin::Makefile, &recipe, &mut place, &file.at(number));
            keep_likely(found, before, file.project);
        } else if let Some((name, value)) = line.split_once('=') {
            let name = name.trim().trim_end_matches([':', '?', '+']).trim();
            let name = name.strip_prefix("export ").unwrap_or(name);
            if !name.is_empty() && !text::is_secret(name) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                variables.insert(name.to_owned(), value.trim().to_owned());
            }
        }
    }
}

/// The project's `.env`, which foreman, honcho, compose and many frameworks read.
pub(super) fn dotenv(project: &Path, found: &mut Gathered) -> Variables {
    let mut variables = Variables::new();
    let Ok(content) = text::read(&project.join(".env")) else {
        return variables;
    };
    for (number, line) in content.lines().enumerate() {
        let line = line.trim();
        let Some((name, value)) = assignment(line.strip_prefix("export ").unwrap_or(line)) else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        found.set(name, value, &format!(".env:{}", number + 1));
        variables.insert(name.to_owned(), value.to_owned());
    }
    variables
}

fn keep_likely(found: &mut Gathered, from: usize, project: &Path) {
    let new = found.commands.split_off(from);
    found
        .commands
        .extend(new.into_iter().filter(|raw| is_likely_app(&raw.words, &raw.directory, project)));
}

/// The word that ends a here-document which begins on this line.
fn heredoc(line: &str) -> Option<String> {
    let (_, after) = line.split_once("<<").filter(|(_, after)| !after.starts_with('<'))?;
    let word = after.trim_start_matches('-').trim_start();
    let word = word.split_whitespace().next()?.trim_matches(['"', '\'', '\\']);
    (!word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then(|| word.to_owned())
}
