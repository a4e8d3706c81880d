//! What the project says it needs: names with the line that says so. Versions are read from the environment, never from here.

use super::text;
use super::walk::{Kind, Tree, is_aside};
use crate::domain::detection::Evidence;
use crate::packages::installed::normalise;
use std::collections::BTreeMap;
use std::path::Path;
use toml_edit::{Document, Item};

/// Dependency files that are read; a monorepo with more has told enough.
const MOST: usize = 200;

/// Required distributions by normalised name, each with where it is required.
pub(super) fn read(project: &Path, tree: &Tree) -> BTreeMap<String, Vec<Evidence>> {
    let mut found = BTreeMap::new();
    let kinds = [
        Kind::Requirements,
        Kind::Pyproject,
        Kind::Pipfile,
        Kind::SetupCfg,
        Kind::SetupPy,
        Kind::CondaFile,
    ];
    for kind in kinds {
        for path in tree.of(kind).filter(|path| !is_aside(path)).take(MOST) {
            let Ok(content) = text::read(&project.join(path)) else { continue };
            let mut lines = Lines {
                path,
                content: &content,
                found: &mut found,
            };
            match kind {
                Kind::Requirements => lines.requirements(),
                Kind::Pyproject => lines.pyproject(),
                Kind::Pipfile => lines.tables(&[&["packages"]]),
                Kind::SetupCfg => lines.setup_cfg(),
                Kind::CondaFile => lines.conda(),
                _ => lines.setup_py(),
            }
        }
    }
    found
}

/// The distribution's name at the start of a requirement: `Flask[async] >= 2; python_version > "3"` → `flask`.
fn name(requirement: &str) -> Option<String> {
    let requirement = requirement.trim();
    let end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(end);
    let follows = rest.trim_start();
    let valid = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && (follows.is_empty() || follows.starts_with(['[', '=', '<', '>', '!', '~', ';', '@', '(', '#', ',', '\\', ' ']));
    valid.then(|| normalise(name))
}

struct Lines<'a> {
    path: &'a Path,
    content: &'a str,
    found: &'a mut BTreeMap<String, Vec<Evidence>>,
}

impl Lines<'_> {
    fn add(&mut self, name: String, line: usize) {
        let fact = self.content.lines().nth(line - 1).unwrap_or_default().trim();
        let evidence = text::evidence(format!("{}:{line}", self.path.display()), fact);
        self.found.entry(name).or_default().push(evidence);
    }

    fn requirements(&mut self) {
        for (index, line) in self.content.lines().enumerate() {
            if !line.trim_start().starts_with(['#', '-'])
                && let Some(name) = name(line)
            {
                self.add(name, index + 1);
            }
        }
    }

    fn pyproject(&mut self) {
        let Ok(document) = Document::parse(self.content) else { return };
        let root = document.as_item();
        let lists = [root.get("project").and_then(|project| project.get("dependencies"))];
        let tables = [
            root.get("project").and_then(|project| project.get("optional-dependencies")),
            root.get("dependency-groups"),
        ];
        let grouped = tables
            .into_iter()
            .flatten()
            .filter_map(Item::as_table_like)
            .flat_map(|table| table.iter().map(|(_, item)| item));
        for list in lists.into_iter().flatten().chain(grouped) {
            for value in list.as_array().into_iter().flatten() {
                if let (Some(name), Some(span)) = (value.as_str().and_then(name), value.span()) {
                    self.add(name, self.line(span.start));
                }
            }
        }
        drop(document);
        self.tables(&[
            &["tool", "poetry", "dependencies"],
            &["tool", "poetry", "group", "main", "dependencies"],
        ]);
    }

    /// Tables whose keys are distribution names.
    fn tables(&mut self, paths: &[&[&str]]) {
        let Ok(document) = Document::parse(self.content) else { return };
        for path in paths {
            let mut item = Some(document.as_item());
            for key in *path {
                item = item.and_then(|item| item.get(key));
            }
            let Some(table) = item.and_then(Item::as_table_like) else {
                continue;
            };
            let named: Vec<_> = table
                .iter()
                .filter(|(name, _)| *name != "python")
                .filter_map(|(name, item)| Some((normalise(name), self.line(item.span()?.start))))
                .collect();
            for (name, line) in named {
                self.add(name, line);
            }
        }
    }

    fn line(&self, byte: usize) -> usize {
        self.content.get(..byte).map_or(1, |before| before.matches('\n').count() + 1)
    }

    fn setup_cfg(&mut self) {
        let mut inside = false;
        for (index, line) in self.content.lines().enumerate() {
            if !line.starts_with([' ', '\t']) {
                inside = line.starts_with("install_requires");
            } else if inside && let Some(name) = name(line) {
                self.add(name, index + 1);
            }
        }
    }

    fn conda(&mut self) {
        let mut inside = false;
        for (index, line) in self.content.lines().enumerate() {
            if !line.starts_with([' ', '-']) {
                inside = line.starts_with("dependencies:");
            } else if inside
                && let Some(entry) = line.trim_start().strip_prefix("- ")
                && let Some(name) = name(entry.trim_matches(['"', '\'']).rsplit("::").next().unwrap_or(entry))
            {
                self.add(name, index + 1);
            }
        }
    }

    /// Quoted names between `install_requires=[` and its `]`.
    fn setup_py(&mut self) {
        let mut inside = false;
        for (index, line) in self.content.lines().enumerate() {
            inside |= line.contains("install_requires");
            if !inside {
                continue;
            }
            for text in line.split(['"', '\'']).skip(1).step_by(2) {
                if let Some(name) = name(text) {
                    self.add(name, index + 1);
                }
            }
            inside = !line.contains(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_requirements() {
        for (text, expected) in [
            ("Flask[async]>=2 ; python_version>'3'", Some("flask")),
            ("django", Some("django")),
            ("zope.interface==1", Some("zope-interface")),
            ("pkg @ git+https://x", Some("pkg")),
            ("https://example.com/x.whl", None),
            ("./local", None),
            ("", None),
        ] {
            assert_eq!(name(text).as_deref(), expected, "{text}");
        }
    }
}
