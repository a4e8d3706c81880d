//! What a plan would change, step by step, against the machine as it is. Writes nothing.

use super::snapshot::{Snapshot, Stamp};
use super::{block, guard, journal, snapshot};
use crate::domain::packages::Resolution;
use crate::domain::{Change, Content, PackageTool, Plan, Step, StepId, StepState};
use crate::error::{Error, Result};
use crate::packages::{installed, tools};
use crate::system::System;
use serde::Serialize;
use similar::TextDiff;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One step against the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepDiff {
    /// The step.
    pub id: StepId,
    /// `Pending` or `Satisfied`.
    pub state: StepState,
    /// The file as it was looked at; `apply` refuses when it is another by then.
    #[serde(skip)]
    pub before: Option<Stamp>,
    /// For a step that writes a file: its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Unified diff, secrets masked; `None` for what is no file, and for a satisfied step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// For a step that runs a command: its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
}

impl StepDiff {
    fn new(step: &Step, state: StepState) -> Self {
        Self {
            id: step.id.clone(),
            state,
            before: None,
            path: None,
            diff: None,
            argv: None,
        }
    }
}

/// Compares every step with the machine.
///
/// # Errors
/// Refused (exit 3) when a step would overwrite what is not ours or was edited since, follow a planted link, put a secret under
/// version control, or install over a dependency conflict.
pub fn diff(system: &System, project: &Path, plan: &Plan) -> Result<Vec<StepDiff>> {
    let journals = journal::all(system, project)?;
    let mut seen = BTreeSet::new();
    let mut diffs: Vec<StepDiff> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let next = match &step.change {
            Change::WriteFile { path, content, mode } => {
                once(&mut seen, path)?;
                write_file(system, &journals, step, path, content, *mode)?
            }
            Change::EditBlock { path, content, comment } => {
                once(&mut seen, path)?;
                edit_block(system, step, path, content, comment)?
            }
            Change::InstallPackages {
                python,
                site_packages,
                tool,
                program,
                project,
                requirements,
                resolution,
                offline,
            } => {
                refuse_conflicts(resolution)?;
                let done = resolution.moves.is_empty() && all_declared(project, *tool, requirements);
                let mut next = StepDiff::new(step, state(done));
                if !done {
                    let target = crate::packages::install::Target {
                        python,
                        site_packages,
                        tool: *tool,
                        program,
                        project,
                        offline: *offline,
                    };
                    next.argv = Some(target.install_argv(requirements, resolution));
                }
                next
            }
            Change::RunCommand { argv, .. } => {
                // A command belongs to the steps before it: it is done when they are, and when it was run for them.
                let settled = diffs.iter().all(|earlier| earlier.state == StepState::Satisfied);
                let mut next = StepDiff::new(step, state(settled && ran(&journals, argv)));
                next.argv = Some(argv.clone());
                next
            }
        };
        diffs.push(next);
    }
    Ok(diffs)
}

const fn state(done: bool) -> StepState {
    if done { StepState::Satisfied } else { StepState::Pending }
}

/// Two steps on one file would undo each other's view of it.
fn once(seen: &mut BTreeSet<PathBuf>, path: &Path) -> Result<()> {
    if !path.is_absolute() {
        return Err(Error::failed(format!("the plan has a relative path: `{}`", path.display())));
    }
    if seen.insert(path.to_path_buf()) {
        return Ok(());
    }
    Err(Error::failed(format!("two steps of the plan write `{}`", path.display())))
}

fn ran(journals: &[journal::Journal], wanted: &[String]) -> bool {
    journals.iter().flat_map(|journal| &journal.record.steps).any(|entry| {
        entry.state == journal::EntryState::Applied && matches!(&entry.receipt, journal::Receipt::Command { argv, .. } if argv == wanted)
    })
}

fn all_declared(project: &Path, tool: PackageTool, requirements: &[String]) -> bool {
    if !tool.edits_project() {
        return true;
    }
    let declared = tools::declared(project, tool);
    requirements.iter().all(|text| {
        let end = text
            .find(|character: char| !(character.is_alphanumeric() || matches!(character, '-' | '_' | '.')))
            .unwrap_or(text.len());
        declared.contains(&installed::normalise(text.get(..end).unwrap_or(text)))
    })
}

fn refuse_conflicts(resolution: &Resolution) -> Result<()> {
    let Some(first) = resolution.conflicts.first() else {
        return Ok(());
    };
    let lines: Vec<String> = resolution
        .conflicts
        .iter()
        .map(|conflict| {
            format!(
                "{} {} requires {}, but would get {}",
                conflict.package, conflict.version, conflict.requires, conflict.would_get
            )
        })
        .collect();
    let mut error = Error::refused("the install would break packages of the app; nothing was changed").because(lines.join("; "));
    let mut fitting: Vec<&str> = resolution
        .conflicts
        .iter()
        .filter_map(|conflict| conflict.way_out.as_deref())
        .collect();
    fitting.dedup();
    if !fitting.is_empty() {
        error = error.remedy(format!("these versions would fit: {}", fitting.join(", ")));
    }
    Err(error.remedy(format!(
        "or use the newest set, which may fit {}: `--instrumentation current`",
        first.package
    )))
}

fn write_file(system: &System, journals: &[journal::Journal], step: &Step, path: &Path, content: &Content, mode: u32) -> Result<StepDiff> {
    guard::refuse_link(path)?;
    if content.is_secret() {
        guard::refuse_tracked(system, path)?;
    }
    let current = snapshot::read(path)?;
    let wanted = content.reveal();
    let done = current
        .as_ref()
        .is_some_and(|current| current.bytes == wanted.as_bytes() && mode_fits(current.stamp.mode, mode, content.is_secret()));
    if let Some(current) = &current
        && current.bytes != wanted.as_bytes()
        && !journal::written_here(journals, path).contains(&current.stamp.sha256)
    {
        return Err(overwrite(journals, path));
    }
    let mut next = StepDiff::new(step, state(done));
    next.path = Some(path.to_path_buf());
    next.before = current.as_ref().map(|current| current.stamp.clone());
    if !done {
        let mask = content.is_secret();
        next.diff = Some(unified(path, current.as_ref(), &content.masked(), mask));
    }
    Ok(next)
}

/// Permission bits that need no change: a person's umask may differ, but a program stays one and a secret stays private.
pub(crate) fn mode_fits(is: u32, wanted: u32, secret: bool) -> bool {
    if secret {
        return is & 0o077 == 0;
    }
    is == wanted || (is & 0o100 == wanted & 0o100 && is & 0o002 & !wanted == 0)
}

fn overwrite(journals: &[journal::Journal], path: &Path) -> Error {
    let shown = path.display();
    let error = if journal::written_here(journals, path).is_empty() {
        Error::refused(format!(
            "`{shown}` is there already, and it is not a file that this program wrote here"
        ))
    } else {
        Error::refused(format!(
            "`{shown}` was edited since this program wrote it, and the edits would be lost"
        ))
    };
    error
        .remedy(format!("keep it under another name: `mv {shown} {shown}.mine`, then run again"))
        .remedy("or take the whole set-up back first with `--undo`, which keeps edited files too")
}

fn edit_block(system: &System, step: &Step, path: &Path, content: &Content, comment: &str) -> Result<StepDiff> {
    guard::refuse_link(path)?;
    if content.is_secret() {
        guard::refuse_tracked(system, path)?;
    }
    let current = snapshot::read(path)?;
    let old = current.as_ref().map_or(&[][..], |current| current.bytes.as_slice());
    let inserted = block::insert(old, &content.reveal(), comment).map_err(|line| unpaired(path, line))?;
    let done = inserted.bytes == old;
    let mut next = StepDiff::new(step, state(done));
    next.path = Some(path.to_path_buf());
    next.before = current.as_ref().map(|current| current.stamp.clone());
    if !done {
        let shown = block::insert(old, &content.masked(), comment).map_err(|line| unpaired(path, line))?;
        let text = String::from_utf8_lossy(&shown.bytes).into_owned();
        next.diff = Some(unified(path, current.as_ref(), &text, content.is_secret()));
    }
    Ok(next)
}

pub(crate) fn unpaired(path: &Path, line: usize) -> Error {
    Error::refused(format!("`{}:{line}` has a marker of ours without its partner", path.display()))
        .remedy("remove that line, or put the missing marker back, then run again")
}

/// A unified diff. Of a file with a secret, the old values of changed lines are dots; of any file, the values of the person's
/// lines whose name says that they are private.
fn unified(path: &Path, old: Option<&Snapshot>, new: &str, secret: bool) -> String {
    let name = path.display().to_string();
    let old_name = if old.is_some() { name.as_str() } else { "/dev/null" };
    let old = old.map_or_else(String::new, |old| String::from_utf8_lossy(&old.bytes).into_owned());
    let theirs: BTreeSet<&str> = old.lines().collect();
    let ours: BTreeSet<&str> = new.lines().collect();
    let show = |text: &str, other: &BTreeSet<&str>, old: bool| -> String {
        text.split_inclusive('\n')
            .map(|line| {
                let both = other.contains(line.trim_end_matches(['\n', '\r']));
                match (both, old) {
                    (false, true) => conceal(line, secret, " (value of now)"),
                    (true, _) if !secret => conceal(line, false, ""),
                    _ => line.to_owned(),
                }
            })
            .collect()
    };
    let (old, new) = (show(&old, &ours, true), show(new, &theirs, false));
    TextDiff::from_lines(old.as_str(), new.as_str())
        .unified_diff()
        .context_radius(3)
        .header(old_name, &name)
        .to_string()
}

/// Parts of a variable's name that say that its value is nobody's business.
const PRIVATE: [&str; 9] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "DSN",
    "HEADERS",
    "AUTHORIZATION",
];

/// A line with dots for its value: every line of a secret file, else a line with a private name.
fn conceal(line: &str, secret: bool, note: &str) -> String {
    let text = line.trim_end_matches(['\n', '\r']);
    let end = line.get(text.len()..).unwrap_or_default();
    let Some((name, value)) = text.split_once(['=', ':']) else {
        let hide = secret && !text.trim().is_empty();
        return if hide { format!("{}{end}", Content::MASK) } else { line.to_owned() };
    };
    let upper = name.to_ascii_uppercase();
    if value.trim().is_empty() || !(secret || PRIVATE.iter().any(|part| upper.contains(part))) {
        return line.to_owned();
    }
    let sign = text.get(name.len()..=name.len()).unwrap_or("=");
    format!("{name}{sign}{}{note}{end}", Content::MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_values_of_a_secret_file_are_dots() {
        let old = Snapshot {
            bytes: b"# note abc\nA=1\nOTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=canary-old\n".to_vec(),
            stamp: Stamp {
                sha256: String::new(),
                mode: 0o600,
            },
        };
        let new = format!(
            "# note abc\nA=1\nOTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key={}\n",
            Content::MASK
        );
        let text = unified(Path::new("/p/otel.env"), Some(&old), &new, true);
        assert!(
            !text.contains("canary") && text.contains("-OTEL_EXPORTER_OTLP_HEADERS=••"),
            "{text}"
        );
        assert!(text.contains("+OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=••"), "{text}");
    }

    #[test]
    fn a_neighbouring_secret_is_not_shown_either() {
        let old = Snapshot {
            bytes: b"DB_PASSWORD: canary\nweb: gunicorn app:app\n".to_vec(),
            stamp: Stamp {
                sha256: String::new(),
                mode: 0o644,
            },
        };
        let text = unified(
            Path::new("/p/x"),
            Some(&old),
            "DB_PASSWORD: canary\nweb: gunicorn app:app\nmore\n",
            false,
        );
        assert!(text.contains("web: gunicorn app:app") && text.contains("DB_PASSWORD:••"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn modes() {
        assert!(mode_fits(0o600, 0o600, true) && mode_fits(0o400, 0o600, true) && !mode_fits(0o640, 0o600, true));
        assert!(mode_fits(0o600, 0o644, false) && mode_fits(0o700, 0o755, false) && mode_fits(0o664, 0o644, false));
        assert!(!mode_fits(0o644, 0o755, false) && !mode_fits(0o666, 0o644, false));
    }
}
