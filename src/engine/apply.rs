//! Makes the changes of a plan, each one journalled ahead; a failed step puts back everything of this run by itself.

use super::diff::StepDiff;
use super::journal::{Before, EntryState, Journal, Receipt, RunState, ToolFile};
use super::revert::{self, Outcome};
use super::snapshot::{Snapshot, Stamp, sha256};
use super::{block, cannot, diff, environment, guard, journal, snapshot};
use crate::domain::event::Observer;
use crate::domain::packages::Resolution;
use crate::domain::{Change, Content, Event, Plan, Step, StepState};
use crate::error::{Error, Kind, Result};
use crate::packages::{install, tools};
use crate::system::{Invocation, System};
use std::fs;
use std::path::{Path, PathBuf};

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// One state for each step of the plan.
    pub states: Vec<StepState>,
}

/// Why it was not done, and what became of what had been done.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplyError {
    /// Exit 4; 130 or 143 when a signal came.
    pub error: Error,
    /// One state for each step of the plan.
    pub states: Vec<StepState>,
    /// What was put back, one line each.
    pub restored: Vec<String>,
    /// What could not be put back, with what to do.
    pub left: Vec<Error>,
}

/// Applies the pending steps in their order. Needs the project's [`super::Lock`] and the diffs that the person agreed to.
///
/// # Errors
/// [`ApplyError`]: the first failed step's error, after everything that this run changed was put back.
pub fn apply(
    system: &System,
    project: &Path,
    plan: &Plan,
    diffs: &[StepDiff],
    observer: Observer<'_>,
) -> std::result::Result<Applied, Box<ApplyError>> {
    let mut states: Vec<StepState> = diffs.iter().map(|diff| diff.state).collect();
    states.resize(plan.steps.len(), StepState::Pending);
    let fresh = |error: Error, states: Vec<StepState>| {
        Box::new(ApplyError {
            error,
            states,
            restored: Vec::new(),
            left: Vec::new(),
        })
    };
    if diffs.len() != plan.steps.len() || plan.steps.iter().zip(diffs).any(|(step, diff)| step.id != diff.id) {
        return Err(fresh(Error::failed("the diffs are not those of this plan"), states));
    }
    let earlier = match journal::all(system, project) {
        Ok(earlier) => earlier,
        Err(error) => return Err(fresh(error, states)),
    };
    for old in earlier.iter().filter(|old| old.record.state == RunState::Running) {
        if let Err(error) = revert::settle(system, old, observer) {
            return Err(fresh(error, states));
        }
    }
    if !states.contains(&StepState::Pending) {
        take_over(system, &earlier);
        return Ok(Applied { states });
    }
    let mut run = Run {
        system,
        journal: Journal::begin(system, project, &earlier),
        observer,
    };
    let mut failed = None;
    for (index, (step, diff)) in plan.steps.iter().zip(diffs).enumerate() {
        if diff.state == StepState::Satisfied {
            continue;
        }
        run.tell(step, StepState::Started);
        let done = system.cancel.check().and_then(|()| run.step(step, diff));
        states[index] = if done.is_ok() { StepState::Applied } else { StepState::Failed };
        run.tell(step, states[index]);
        if let Err(error) = done {
            failed = Some(error);
            break;
        }
    }
    let finished = failed.map_or_else(
        || {
            run.journal.record.state = RunState::Finished;
            run.journal.save(system)
        },
        Err,
    );
    let Err(error) = finished else {
        take_over(system, &earlier);
        return Ok(Applied { states });
    };
    let (restored, left) = run.roll_back(plan, &mut states);
    Err(Box::new(ApplyError {
        error: close(error, &left),
        states,
        restored,
        left,
    }))
}

/// A killed run whose work this one has completed is no longer a reason to offer undo; undo still walks its journal.
fn take_over(system: &System, earlier: &[Journal]) {
    for old in earlier.iter().filter(|old| old.record.state == RunState::Running) {
        let mut old = old.clone();
        old.record.state = RunState::Finished;
        let _ = old.save(system);
    }
}

/// Gives the error of a step its exit code and its last word.
fn close(mut error: Error, left: &[Error]) -> Error {
    if !matches!(error.kind, Kind::Interrupted(_)) {
        error.kind = Kind::StepFailed;
    }
    if left.is_empty() {
        return error;
    }
    error.remedy("not everything could be put back: run with `--undo` when the cause is gone")
}

struct Run<'a> {
    system: &'a System,
    journal: Journal,
    observer: Observer<'a>,
}

impl Run<'_> {
    fn tell(&self, step: &Step, state: StepState) {
        (self.observer)(Event::Step {
            id: step.id.clone(),
            title: step.title.clone(),
            state,
        });
    }

    fn step(&mut self, step: &Step, diff: &StepDiff) -> Result<()> {
        match &step.change {
            Change::WriteFile { path, content, mode } => self.write_file(step, diff, path, content, *mode),
            Change::EditBlock { path, content, comment } => self.edit_block(step, diff, path, content, comment),
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
                let target = install::Target {
                    python,
                    site_packages,
                    tool: *tool,
                    program,
                    project,
                    offline: *offline,
                };
                self.install(step, &target, requirements, resolution)
            }
            Change::RunCommand { argv, undo } => self.command(step, argv, undo.as_ref()),
        }
    }

    /// The file as it is now, when it still is what the person saw in the diff.
    fn unchanged(path: &Path, diff: &StepDiff) -> Result<Option<Snapshot>> {
        guard::refuse_link(path)?;
        let now = snapshot::read(path)?;
        if now.as_ref().map(|now| &now.stamp) == diff.before.as_ref() {
            return Ok(now);
        }
        Err(
            Error::step_failed(format!("`{}` was changed by someone else since it was looked at", path.display()))
                .remedy("run again; the new content will be shown first"),
        )
    }

    fn write_file(&mut self, step: &Step, diff: &StepDiff, path: &Path, content: &Content, mode: u32) -> Result<()> {
        let bytes = content.reveal().into_bytes();
        let mode = if content.is_secret() { mode & 0o700 } else { mode };
        let now = Self::unchanged(path, diff)?;
        let before = self.back_up(now.as_ref())?;
        let receipt = Receipt::File {
            path: path.to_path_buf(),
            before,
            after: Stamp {
                sha256: sha256(&bytes),
                mode,
            },
            folders: missing_folders(path),
        };
        self.started(step, receipt)?;
        self.put(path, &bytes, mode)?;
        self.applied()
    }

    fn edit_block(&mut self, step: &Step, diff: &StepDiff, path: &Path, content: &Content, comment: &str) -> Result<()> {
        let now = Self::unchanged(path, diff)?;
        let old = now.as_ref().map_or(&[][..], |now| now.bytes.as_slice());
        let inserted = block::insert(old, &content.reveal(), comment).map_err(|line| diff::unpaired(path, line))?;
        let fresh = if content.is_secret() { 0o600 } else { 0o644 };
        let mode = now.as_ref().map_or(fresh, |now| now.stamp.mode);
        let before = self.back_up(now.as_ref())?;
        let receipt = Receipt::Block {
            path: path.to_path_buf(),
            comment: comment.to_owned(),
            before,
            after: Stamp {
                sha256: sha256(&inserted.bytes),
                mode,
            },
            folders: missing_folders(path),
            block: sha256(&inserted.body),
            glue: inserted.glue,
        };
        self.started(step, receipt)?;
        self.put(path, &inserted.bytes, mode)?;
        self.applied()
    }

    fn install(&mut self, step: &Step, target: &install::Target<'_>, requirements: &[String], resolution: &Resolution) -> Result<()> {
        let before = tools::listing(target.site_packages);
        if let Some(moved) = resolution.moves.iter().find(|step| before.get(&step.name) != step.from.as_ref()) {
            return Err(Error::step_failed(format!(
                "the environment was changed by someone else since it was looked at: `{}` is {} now",
                moved.name,
                before.get(&moved.name).map_or("absent", String::as_str)
            ))
            .remedy("run again; what would move will be shown first"));
        }
        let mut files = Vec::new();
        for path in target.edited_files() {
            let now = snapshot::read(&path)?;
            let name = format!("{}-{}", self.journal.record.steps.len(), files.len());
            let before = self.journal.back_up(self.system, &name, now.as_ref())?;
            files.push(ToolFile { path, before, after: None });
        }
        let receipt = Receipt::Packages {
            python: target.python.to_path_buf(),
            site_packages: target.site_packages.to_vec(),
            tool: target.tool,
            program: target.program.to_path_buf(),
            project: target.project.to_path_buf(),
            offline: target.offline,
            argv: target.install_argv(requirements, resolution),
            planned: resolution.moves.iter().map(|step| (step.name.clone(), step.to.clone())).collect(),
            before,
            after: None,
            entries: environment::entries(target.site_packages),
            files,
        };
        self.started(step, receipt)?;
        (self.observer)(Event::Stage {
            title: "installing".to_owned(),
        });
        let listing = install::run(self.system, target, requirements, resolution, self.observer)?;
        if let Some(Receipt::Packages { after, files, .. }) = self.journal.record.steps.last_mut().map(|entry| &mut entry.receipt) {
            *after = Some(listing);
            for file in files {
                file.after = snapshot::read(&file.path)?.map(|now| now.stamp);
            }
        }
        self.applied()
    }

    fn command(&mut self, step: &Step, argv: &[String], undo: Option<&Vec<String>>) -> Result<()> {
        let receipt = Receipt::Command {
            argv: argv.to_vec(),
            undo: undo.cloned(),
        };
        self.started(step, receipt)?;
        revert::command(self.system, Invocation::new(argv.to_vec()), self.observer)?;
        self.applied()
    }

    fn back_up(&self, now: Option<&Snapshot>) -> Result<Before> {
        let name = self.journal.record.steps.len().to_string();
        self.journal.back_up(self.system, &name, now)
    }

    /// Journals the step, before anything is changed.
    fn started(&mut self, step: &Step, receipt: Receipt) -> Result<()> {
        self.journal.record.steps.push(Journal::entry(&step.id, &step.title, receipt));
        self.journal.save(self.system).inspect_err(|_| {
            if let Some(entry) = self.journal.record.steps.pop() {
                revert::forget_backup(self.system, &self.journal, &entry.receipt);
            }
        })
    }

    fn applied(&mut self) -> Result<()> {
        if let Some(entry) = self.journal.record.steps.last_mut() {
            entry.state = EntryState::Applied;
        }
        self.journal.save(self.system)
    }

    fn put(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        if let Some(parent) = path.parent() {
            self.system
                .files
                .create_folder(parent, 0o755)
                .map_err(|error| cannot("create the folder", parent, &error))?;
        }
        self.system
            .files
            .write(path, bytes, mode)
            .map_err(|error| cannot("write", path, &error))
    }

    /// Puts back every step of this run, newest first.
    fn roll_back(&mut self, plan: &Plan, states: &mut [StepState]) -> (Vec<String>, Vec<Error>) {
        let (mut restored, mut left) = (Vec::new(), Vec::new());
        for index in (0..self.journal.record.steps.len()).rev() {
            let entry = self.journal.record.steps[index].clone();
            match revert::entry(self.system, &self.journal, &entry, self.observer) {
                Ok(outcome) => {
                    let state = match outcome {
                        Outcome::PutBack(line) => {
                            restored.push(line);
                            EntryState::Reverted
                        }
                        Outcome::Nothing => EntryState::Reverted,
                        Outcome::Kept(kept) => {
                            left.push(kept.into());
                            EntryState::Kept
                        }
                    };
                    self.journal.record.steps[index].state = state;
                    let at = plan.steps.iter().position(|step| step.id.0 == entry.id);
                    if let Some((step, state)) = at.and_then(|at| Some((plan.steps.get(at)?, states.get_mut(at)?)))
                        && *state == StepState::Applied
                    {
                        *state = StepState::Reverted;
                        self.tell(step, StepState::Reverted);
                    }
                }
                Err(error) => left.push(error),
            }
        }
        if let Err(error) = revert::remove_all_folders(self.system, &self.journal) {
            left.push(error);
        }
        if left.is_empty() {
            self.journal.record.state = RunState::Undone;
            revert::forget_backups(self.system, &self.journal);
        }
        // Best effort: undo compares with the disk, so a journal that still says `applied` does no harm.
        if self.journal.path.exists() {
            let _ = self.journal.save(self.system);
        }
        (restored, left)
    }
}

/// The folders above a file that do not exist, outermost first.
fn missing_folders(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> = path
        .ancestors()
        .skip(1)
        .take_while(|folder| !folder.as_os_str().is_empty() && fs::symlink_metadata(folder).is_err())
        .map(Path::to_path_buf)
        .collect();
    missing.reverse();
    missing
}
