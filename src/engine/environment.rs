//! The inverse of an install: the environment's own list of distributions, and the project files that the tool edited.
//!
//! May never remove or move what the person installed since.

use super::journal::{Before, Journal, Receipt, ToolFile};
use super::revert::{Outcome, by_hand, is_before, put_back as put_back_file};
use super::snapshot;
use super::undo::Kept;
use crate::domain::Event;
use crate::domain::event::Observer;
use crate::error::{Error, Result};
use crate::packages::install::{self, Listing, Target};
use crate::packages::tools;
use crate::system::{System, process};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What differs from before, by whose hand.
#[derive(Debug, PartialEq, Eq)]
struct Delta {
    /// Came with the install.
    came: Vec<String>,
    /// Was moved or removed by the install, with the version of before.
    moved: Listing,
    /// Was brought or moved by the install, and changed again by someone else.
    foreign: Listing,
}

/// Tells the install's changes from everyone else's. `after` is unknown for a killed run: then what was planned counts, and
/// `ours` says which other names the tool may have touched (those that its lock file names).
fn delta(before: &Listing, planned: &Listing, after: Option<&Listing>, now: &Listing, ours: &dyn Fn(&str) -> bool) -> Delta {
    let mut delta = Delta {
        came: Vec::new(),
        moved: Listing::new(),
        foreign: Listing::new(),
    };
    let made = |name: &str| after.map_or_else(|| planned.get(name), |after| after.get(name));
    for (name, is) in now {
        match before.get(name) {
            Some(was) if was == is => {}
            Some(was) => match made(name) {
                Some(made) if made == is => {
                    delta.moved.insert(name.clone(), was.clone());
                }
                // The install left it alone; whatever happened came later.
                Some(made) if made == was => {}
                Some(_) => {
                    delta.foreign.insert(name.clone(), is.clone());
                }
                None if after.is_none() && ours(name) => {
                    delta.moved.insert(name.clone(), was.clone());
                }
                None => {}
            },
            None => match made(name) {
                Some(made) if made == is => delta.came.push(name.clone()),
                Some(_) if after.is_some() => {
                    delta.foreign.insert(name.clone(), is.clone());
                }
                _ if after.is_none() && (planned.contains_key(name) || ours(name)) => delta.came.push(name.clone()),
                _ => {}
            },
        }
    }
    for (name, was) in before.iter().filter(|(name, _)| !now.contains_key(*name)) {
        // Gone: by the install, or between the two halves of a replacement that was cut short. If the install had left it
        // alone, the person removed it.
        if made(name) != Some(was) || after.is_none() {
            delta.moved.insert(name.clone(), was.clone());
        }
    }
    delta
}

/// Puts an environment and the tool's files back.
///
/// # Errors
/// When the tool fails, or when the environment is not as before although it said it had succeeded.
pub(crate) fn put_back(system: &System, journal: &Journal, receipt: &Receipt, observer: Observer<'_>) -> Result<Outcome> {
    let Receipt::Packages {
        python,
        site_packages,
        before,
        planned,
        after,
        files,
        ..
    } = receipt
    else {
        return Ok(Outcome::Nothing);
    };
    let Some(target) = target(receipt) else {
        return Ok(Outcome::Nothing);
    };
    if after.is_none() {
        settle(system, receipt, observer)?;
    }
    let locks: String = files.iter().filter_map(|file| fs::read_to_string(&file.path).ok()).collect();
    let in_lock = |name: &str| locks.contains(&format!("\"{name}\""));
    let now = tools::listing(site_packages);
    let delta = delta(before, planned, after.as_ref(), &now, &in_lock);
    let place = tools::environment_of(python);
    let mut said = Vec::new();
    if !delta.came.is_empty() || !delta.moved.is_empty() {
        observer(Event::Stage {
            title: "putting the packages back".to_owned(),
        });
        install::restore(system, &target, &delta.came, &delta.moved, observer)?;
        still_wrong(python, &delta, &tools::listing(site_packages))?;
        if !delta.came.is_empty() {
            said.push(format!("removed {} packages from `{}`", delta.came.len(), place.display()));
        }
        said.extend(delta.moved.iter().map(|(name, version)| format!("put back {name} {version}")));
    }
    let mut kept = None;
    // The files last: until the packages are back, a lock file tells which are the tool's.
    for file in files {
        match tool_file(system, journal, file, after.is_some())? {
            Outcome::PutBack(line) => said.push(line),
            Outcome::Nothing => {}
            Outcome::Kept(one) => kept = Some(one),
        }
        if matches!(file.before, Before::Absent) {
            let inside = |folder: &&Path| folder.starts_with(target.project) && *folder != target.project;
            for folder in file.path.ancestors().skip(1).take_while(inside) {
                let _ = system.files.remove_folder(folder);
            }
        }
    }
    if !delta.foreign.is_empty() {
        let names: Vec<String> = delta.foreign.iter().map(|(name, version)| format!("{name} {version}")).collect();
        kept = Some(Kept {
            what: format!("packages of {}: {}", place.display(), names.join(", ")),
            why: "they were installed or updated since".to_owned(),
            by_hand: format!("{} -m pip install NAME==VERSION", python.display()),
        });
    }
    Ok(match kept {
        Some(kept) => Outcome::Kept(kept),
        None if said.is_empty() => Outcome::Nothing,
        None => Outcome::PutBack(said.join("; ")),
    })
}

fn target(receipt: &Receipt) -> Option<Target<'_>> {
    let Receipt::Packages {
        python,
        site_packages,
        tool,
        program,
        project,
        offline,
        ..
    } = receipt
    else {
        return None;
    };
    Some(Target {
        python,
        site_packages,
        tool: *tool,
        program,
        project,
        offline: *offline,
    })
}

/// Compares the environment with what it was, never believing an exit code.
fn still_wrong(python: &Path, delta: &Delta, now: &Listing) -> Result<()> {
    let there = delta.came.iter().filter(|name| now.contains_key(*name));
    let lost = delta.moved.iter().filter(|(name, version)| now.get(*name) != Some(version));
    let wrong: Vec<String> = there
        .map(|name| format!("{name} is still there"))
        .chain(lost.map(|(name, version)| format!("{name} {version} is not back")))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the packages of `{}` are not as they were: {}",
        tools::environment_of(python).display(),
        wrong.join(", ")
    ))
    .remedy("run `--undo` again, or put them back by hand"))
}

/// Waits for an installer that outlived its run, finishes what a killed one began, and removes what it had set aside,
/// so that the ordinary inverse works.
///
/// # Errors
/// Refused (exit 3) when the installer does not end.
pub(crate) fn settle(system: &System, receipt: &Receipt, observer: Observer<'_>) -> Result<()> {
    let Receipt::Packages {
        argv,
        before,
        planned,
        after: None,
        entries: names,
        site_packages,
        ..
    } = receipt
    else {
        return Ok(());
    };
    let Some(target) = target(receipt) else { return Ok(()) };
    wait_for_orphan(system, argv, observer)?;
    let fresh: Vec<String> = entries(site_packages).difference(names).cloned().collect();
    let now = tools::listing(site_packages);
    if planned.is_empty() || (fresh.is_empty() && *before == now) {
        return Ok(());
    }
    if site_packages.iter().any(|folder| half_done(folder, &fresh, before, planned, &now)) {
        // Without a network it cannot be completed; the inverse then does what it can, and the list is compared at the end.
        if let Err(error) = install::complete(system, &target, planned, observer) {
            observer(Event::Warning {
                text: format!("the interrupted install could not be completed before it is put back: {error}"),
            });
        }
    }
    for folder in site_packages {
        remove_set_aside(system, folder, 0);
    }
    Ok(())
}

/// Removes what a killed pip had moved out of the way: `~rotobuf` beside `protobuf`, also inside a shared folder such as `google`.
fn remove_set_aside(system: &System, folder: &Path, depth: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for name in &names {
        let path = folder.join(name);
        let beside = |rest: &str| {
            names.iter().any(|other| {
                let mut letters = other.chars();
                letters.next().is_some_and(|first| first != '~') && letters.as_str() == rest
            })
        };
        // The metadata folder of the version that is gone for now has nothing beside it.
        let aside = name
            .strip_prefix('~')
            .is_some_and(|rest| beside(rest) || rest.ends_with(".dist-info"));
        if aside && path.is_dir() {
            let _ = system.files.remove_tree(&path);
        } else if aside {
            let _ = system.files.remove(&path);
        } else if depth < 2 && path.is_dir() && !path.is_symlink() {
            remove_set_aside(system, &path, depth + 1);
        }
    }
}

/// Whether an installer was killed in the middle: a distribution without its record, one set aside, one neither old nor new,
/// or a plan that is done in part.
fn half_done(folder: &Path, fresh: &[String], before: &Listing, planned: &Listing, now: &Listing) -> bool {
    let no_record = |name: &&String| {
        let info = folder.join(name);
        name.ends_with(".dist-info") && info.is_dir() && !info.join("RECORD").is_file()
    };
    let lost = before.keys().any(|name| !now.contains_key(name));
    let missing = planned.iter().any(|(name, version)| now.get(name) != Some(version));
    fresh.iter().any(|name| name.starts_with('~')) || fresh.iter().any(|name| no_record(&name)) || lost || missing
}

/// The names in the metadata folders.
pub(crate) fn entries(site_packages: &[PathBuf]) -> BTreeSet<String> {
    site_packages
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// How long an installer that outlived its run is waited for.
const ORPHAN: Duration = Duration::from_secs(120);

/// Waits for the installer of a killed run: it has its own process group, so the kill did not reach it.
fn wait_for_orphan(system: &System, argv: &[String], observer: Observer<'_>) -> Result<()> {
    let end = Instant::now() + ORPHAN;
    let mut told = false;
    loop {
        let orphan = process::list(&system.root)
            .into_iter()
            .find(|process| process.state != 'Z' && !argv.is_empty() && process.argv.ends_with(argv));
        let Some(orphan) = orphan else { return Ok(()) };
        if !told {
            told = true;
            observer(Event::Warning {
                text: format!(
                    "the installer of the interrupted run is still at work (process {}); waiting for it",
                    orphan.pid
                ),
            });
        }
        if Instant::now() >= end {
            return Err(Error::refused(format!(
                "the installer of the interrupted run is still at work: process {}",
                orphan.pid
            ))
            .remedy(format!(
                "wait until it has ended, or end it with `kill {}`; then run again",
                orphan.pid
            )));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A file that the tool edited: back to its bytes, unless it was edited since.
fn tool_file(system: &System, journal: &Journal, file: &ToolFile, finished: bool) -> Result<Outcome> {
    let now = snapshot::read(&file.path)?;
    if is_before(now.as_ref(), &file.before) {
        return Ok(Outcome::Nothing);
    }
    let ours = now.as_ref().map(|now| &now.stamp.sha256) == file.after.as_ref().map(|after| &after.sha256);
    // While a tool is at work nobody else is known to be: a killed install's edit is the tool's.
    if ours || !finished {
        return put_back_file(system, journal, &file.path, &file.before).map(Outcome::PutBack);
    }
    Ok(Outcome::Kept(Kept {
        what: file.path.display().to_string(),
        why: "it was edited since".to_owned(),
        by_hand: by_hand(journal, &file.path, &file.before),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rows: &[(&str, &str)]) -> Listing {
        rows.iter()
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
            .collect()
    }

    #[test]
    fn only_the_installs_own_changes_are_taken_back() {
        let before = list(&[("protobuf", "5"), ("flask", "3"), ("removed-by-us", "1"), ("removed-by-them", "1")]);
        let after = list(&[
            ("protobuf", "4"),
            ("flask", "3"),
            ("removed-by-them", "1"),
            ("distro", "0.38b0"),
            ("api", "1.17"),
        ]);
        let now = list(&[
            ("protobuf", "4"),
            ("flask", "3.1"),
            ("distro", "0.38b0"),
            ("api", "1.45"),
            ("rich", "14"),
        ]);
        let delta = delta(&before, &Listing::new(), Some(&after), &now, &|_| false);
        assert_eq!(delta.came, ["distro"]);
        assert_eq!(delta.moved, list(&[("protobuf", "5"), ("removed-by-us", "1")]));
        assert_eq!(delta.foreign, list(&[("api", "1.45")]));
    }

    #[test]
    fn a_killed_install_is_known_by_its_plan_and_its_lock_file() {
        let before = list(&[("protobuf", "5"), ("flask", "3")]);
        let planned = list(&[("protobuf", "4"), ("distro", "0.38b0")]);
        let now = list(&[("distro", "0.38b0"), ("flask", "3"), ("rich", "14"), ("tool-chose", "2")]);
        let delta = delta(&before, &planned, None, &now, &|name| name == "tool-chose");
        assert_eq!(delta.came, ["distro", "tool-chose"]);
        assert_eq!(delta.moved, list(&[("protobuf", "5")]));
        assert_eq!(delta.foreign, Listing::new());
    }
}
