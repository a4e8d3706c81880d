//! Dockerfiles: ENTRYPOINT and CMD of the last stage, in both forms, with what ENV and WORKDIR say.

use super::super::shell::{self, Variables, assignment};
use super::super::text;
use super::{File, Gathered, Origin, Place, is_start};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A stage's state as far as it matters to a start command.
#[derive(Debug, Clone, Default)]
struct Stage {
    variables: Variables,
    workdir: PathBuf,
    /// Where `COPY . <here>` put the build context.
    context_at: Option<PathBuf>,
    entrypoint: Option<Written>,
    command: Option<Written>,
}

#[derive(Debug, Clone)]
struct Written {
    line: usize,
    text: String,
    words: Words,
}

#[derive(Debug, Clone)]
enum Words {
    Exec(Vec<String>),
    Shell(String),
}

/// Reads a Dockerfile.
pub(super) fn read(file: &File<'_>, content: &str, found: &mut Gathered) {
    let mut named: BTreeMap<String, Stage> = BTreeMap::new();
    let mut stage = Stage::default();
    let mut name = String::new();
    for (line, instruction) in instructions(content) {
        let (keyword, rest) = instruction.split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        let rest = rest.trim();
        match keyword.to_ascii_uppercase().as_str() {
            "FROM" => {
                named.insert(std::mem::take(&mut name), std::mem::take(&mut stage));
                let words: Vec<_> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
                stage = words
                    .first()
                    .and_then(|base| named.get(&base.to_lowercase()))
                    .cloned()
                    .unwrap_or_default();
                if let [_, keyword, alias, ..] = words.as_slice()
                    && keyword.eq_ignore_ascii_case("as")
                {
                    name = alias.to_lowercase();
                }
            }
            "ENV" | "ARG" => {
                for (variable, value) in variables(rest) {
                    if keyword.eq_ignore_ascii_case("env") {
                        found.set(&variable, &value, &file.at(line));
                    }
                    stage.variables.insert(variable, value);
                }
            }
            "WORKDIR" => stage.workdir = text::tidy(&stage.workdir.join(rest.trim_matches('"'))),
            "COPY" | "ADD" => {
                let words: Vec<_> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
                if let [".", to] | ["./", to] = words.as_slice() {
                    stage.context_at = Some(text::tidy(&stage.workdir.join(to)));
                }
            }
            "ENTRYPOINT" => {
                stage.entrypoint = Some(Written::new(line, &instruction, rest));
                // An image's own ENTRYPOINT resets a CMD that it inherited.
                stage.command = None;
            }
            "CMD" => stage.command = Some(Written::new(line, &instruction, rest)),
            _ => {}
        }
    }
    stage.start(file, found);
}

impl Written {
    fn new(line: usize, instruction: &str, rest: &str) -> Self {
        let words = serde_json::from_str::<Vec<String>>(rest)
            .ok()
            .filter(|_| rest.starts_with('['))
            .map_or_else(|| Words::Shell(rest.to_owned()), Words::Exec);
        Self {
            line,
            text: instruction.to_owned(),
            words,
        }
    }
}

impl Stage {
    fn start(&self, file: &File<'_>, found: &mut Gathered) {
        let mut place = Place {
            variables: self.variables.clone(),
            directory: self.directory(&file.folder(), file.project),
        };
        let (entrypoint, command) = (self.entrypoint.as_ref(), self.command.as_ref());
        // `ENTRYPOINT ["./entrypoint.sh"]` ends in `exec "$@"` nearly always: then CMD alone is the start.
        let mut joined = Vec::new();
        for written in [entrypoint, command].into_iter().flatten() {
            match &written.words {
                Words::Exec(words) => joined.extend(words.iter().cloned()),
                Words::Shell(line) => {
                    let before = found.commands.len();
                    found.shell_line(Origin::Container, line, &mut place, &file.at(written.line));
                    for raw in &mut found.commands[before..] {
                        raw.fact.clone_from(&written.text);
                    }
                    if found.commands.len() > before {
                        return;
                    }
                }
            }
        }
        let alone = command.and_then(|command| match &command.words {
            Words::Exec(words) => Some(words.clone()),
            Words::Shell(_) => None,
        });
        for words in std::iter::once(joined).chain(alone) {
            if is_start(&words, &place.variables)
                && let Some(written) = command.or(entrypoint)
            {
                let text = entrypoint.filter(|entrypoint| entrypoint.line != written.line).map_or_else(
                    || written.text.clone(),
                    |entrypoint| format!("{} {}", entrypoint.text, written.text),
                );
                found.command(Origin::Container, words, &place, file.at(written.line), &text);
                return;
            }
        }
    }

    /// The folder of the project that WORKDIR is in the image.
    fn directory(&self, context: &Path, project: &Path) -> PathBuf {
        let inner = self.context_at.as_ref().and_then(|at| self.workdir.strip_prefix(at).ok());
        // `docker build -f docker/Dockerfile .`: a folder with nothing but the Dockerfile is not the context.
        let has_python = std::fs::read_dir(context).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "py" || extension == "txt" || extension == "toml")
                    || entry.path().join("__init__.py").is_file()
            })
        });
        let context = if has_python { context } else { project };
        match inner.map(|inner| context.join(inner)) {
            Some(folder) if folder.is_dir() => folder,
            _ => context.to_path_buf(),
        }
    }
}

/// Instructions with the number of their first line; comments between continued lines and here-documents are left out.
pub(in super::super) fn instructions(content: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    let mut here: Option<String> = None;
    for (index, line) in content.lines().enumerate() {
        if let Some(end) = &here {
            if line.trim() == end {
                here = None;
            }
            continue;
        }
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let continues = trimmed.ends_with('\\');
        let body = trimmed.trim_end_matches('\\').trim_end();
        match found.last_mut().filter(|_| open) {
            Some((_, text)) => {
                text.push(' ');
                text.push_str(body);
            }
            None => found.push((index + 1, body.to_owned())),
        }
        open = continues;
        if let Some((_, after)) = body.split_once("<<") {
            let word: String = after
                .trim_start_matches(['-', '"', '\''])
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            here = (!word.is_empty()).then_some(word);
        }
    }
    found
}

/// `ENV A=b C="d e"` and the old `ENV A b`.
fn variables(rest: &str) -> Vec<(String, String)> {
    let words = shell::words(rest);
    let assigned: Vec<_> = words
        .iter()
        .filter_map(|word| assignment(word))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if !assigned.is_empty() {
        return assigned;
    }
    match rest.split_once(char::is_whitespace) {
        Some((name, value)) => vec![(name.to_owned(), value.trim().to_owned())],
        None => Vec::new(),
    }
}
