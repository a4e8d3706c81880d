//! Compose files: `command` and `entrypoint` of each service, with its `environment` and build context.

use super::super::shell::{self, Variables, assignment};
use super::super::text;
use super::{File, Gathered, Origin, Place, is_start};
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    services: BTreeMap<String, Option<Service>>,
}

#[derive(Deserialize)]
struct Service {
    command: Option<Spanned<Value>>,
    entrypoint: Option<Spanned<Value>>,
    build: Option<Value>,
    environment: Option<Spanned<Value>>,
}

/// Reads a compose file.
pub(super) fn read(file: &File<'_>, content: &str, found: &mut Gathered) {
    let document: Document = match serde_saphyr::from_str(content) {
        Ok(document) => document,
        Err(error) => {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            found
                .notes
                .push(text::clean(&format!("`{}` was not understood: {first}", file.path.display())));
            return;
        }
    };
    let mut services: Vec<&Service> = document.services.values().flatten().collect();
    services.sort_by_key(|service| service.command.as_ref().or(service.entrypoint.as_ref()).map(line));
    for service in services {
        let mut place = Place {
            variables: file.dotenv.clone(),
            directory: folder(file, service),
        };
        if let Some(environment) = &service.environment {
            let source = file.at(line(environment));
            for (name, value) in variables(&environment.value) {
                found.set(&name, &value, &source);
                place.variables.insert(name, value);
            }
        }
        let entrypoint = service.entrypoint.as_ref().map(|written| words(&written.value, &place.variables));
        let command = service.command.as_ref().map(|written| words(&written.value, &place.variables));
        let at = service.command.as_ref().or(service.entrypoint.as_ref()).map(line);
        let Some(at) = at else { continue };
        let joined: Vec<String> = entrypoint.iter().chain(&command).flatten().cloned().collect();
        let start = [Some(joined), command]
            .into_iter()
            .flatten()
            .find(|words| is_start(words, &place.variables));
        if let Some(words) = start {
            let fact = content.lines().nth(at - 1).unwrap_or_default();
            let fact = if fact.contains("command") || fact.contains("entrypoint") {
                fact.to_owned()
            } else {
                format!("command: {}", words.join(" "))
            };
            found.command(Origin::Container, words, &place, file.at(at), &fact);
        }
    }
}

fn line(spanned: &Spanned<Value>) -> usize {
    usize::try_from(spanned.referenced.line()).unwrap_or(1).max(1)
}

/// The build context, where it lies in the project; the compose file's folder otherwise.
fn folder(file: &File<'_>, service: &Service) -> PathBuf {
    let context = match &service.build {
        Some(Value::String(context)) => Some(context.as_str()),
        Some(Value::Object(build)) => build.get("context").and_then(Value::as_str),
        _ => None,
    };
    let folder = context.map(|context| text::tidy(&file.folder().join(context)));
    folder
        .filter(|folder| folder.starts_with(file.project) && folder.is_dir())
        .unwrap_or_else(|| file.folder())
}

/// A command as a list, or as a string that compose splits like a shell.
fn words(value: &Value, variables: &Variables) -> Vec<String> {
    match value {
        // `$$` is compose's way to write one dollar.
        Value::String(line) => {
            let line = line.replace("$$", "$");
            // Only the first command: compose runs no shell, so `&&` would be an argument.
            shell::commands(&line, variables).into_iter().next().unwrap_or_default()
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        _ => Vec::new(),
    }
}

/// `environment` as a mapping or a list.
fn variables(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .filter_map(assignment)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
