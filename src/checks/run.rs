//! Runs the catalogue: what needs something that is not there is skipped in sight, independent network checks run side by
//! side, and the findings keep the table's order.

use super::{CATALOG, Check, Family, Scene, Severity, Verdict};
use crate::domain::Event;
use crate::domain::event::Observer;
use crate::domain::report::{Finding, Outcome};
use std::collections::BTreeMap;
use std::time::Instant;

/// Which checks are run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These families, or single checks by id; empty for all.
    pub only: Vec<String>,
}

impl Selection {
    fn names(&self, check: &Check) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == check.id || name == check.family.as_str())
    }

    /// Names that are neither a family nor a check.
    #[must_use]
    pub fn unknown(&self) -> Vec<&str> {
        let known = |name: &str| Family::ALL.iter().any(|family| family.as_str() == name) || super::all().any(|check| check.id == name);
        self.only.iter().map(String::as_str).filter(|name| !known(name)).collect()
    }

    /// Selected checks, and those that they need, in the table's order.
    fn checks(&self) -> Vec<&'static Check> {
        let all: Vec<&'static Check> = CATALOG.into_iter().flatten().collect();
        let mut wanted: Vec<&str> = all.iter().filter(|check| self.names(check)).map(|check| check.id).collect();
        let mut next = 0;
        while let Some(id) = wanted.get(next).copied() {
            if let Some(check) = all.iter().find(|check| check.id == id) {
                for need in check.needs {
                    if !wanted.contains(need) {
                        wanted.push(need);
                    }
                }
            }
            next += 1;
        }
        all.into_iter().filter(|check| wanted.contains(&check.id)).collect()
    }
}

/// Runs the selected checks.
///
/// Each finding is told to the observer when it is there; they come back in the table's order. Cancelled, the rest is
/// skipped with that reason.
pub fn run(scene: &Scene<'_>, selection: &Selection, observer: Observer<'_>) -> Vec<Finding> {
    let checks = selection.checks();
    let mut done: BTreeMap<&'static str, Finding> = BTreeMap::new();
    let mut open = checks.clone();
    while !open.is_empty() {
        let waits = |check: &Check| check.needs.iter().any(|need| open.iter().any(|other| other.id == *need));
        let (ready, later): (Vec<_>, Vec<_>) = open.iter().copied().partition(|check| !waits(check));
        if ready.is_empty() {
            // Checks that need each other: the catalogue's test does not let them in.
            break;
        }
        let (side_by_side, here): (Vec<_>, Vec<_>) = ready
            .into_iter()
            .map(|check| (check, reason_to_skip(scene, check, &done)))
            .partition(|(check, skip)| check.network && skip.is_none());
        let mut round: Vec<Finding> = here.into_iter().map(|(check, skip)| look(scene, check, skip)).collect();
        round.extend(std::thread::scope(|threads| {
            let begun: Vec<_> = side_by_side
                .into_iter()
                .map(|(check, _)| {
                    observer(Event::Checking {
                        id: check.id,
                        title: check.title,
                    });
                    (check, threads.spawn(move || look(scene, check, None)))
                })
                .collect();
            let end = |(check, thread): (&'static Check, std::thread::ScopedJoinHandle<'_, Finding>)| {
                thread
                    .join()
                    .unwrap_or_else(|_| finding(check, Verdict::Unknown("a defect of this program ended the check".to_owned()), 0))
            };
            begun.into_iter().map(end).collect::<Vec<_>>()
        }));
        for finding in round {
            observer(Event::Checked {
                finding: Box::new(finding.clone()),
            });
            done.insert(finding.id, finding);
        }
        open = later;
    }
    checks.iter().filter_map(|check| done.remove(check.id)).collect()
}

fn reason_to_skip(scene: &Scene<'_>, check: &Check, done: &BTreeMap<&'static str, Finding>) -> Option<String> {
    if scene.system.cancel.signal().is_some() {
        return Some("interrupted".to_owned());
    }
    if let Some(reason) = (check.spared)(scene) {
        return Some(reason.to_owned());
    }
    if check.network && scene.offline {
        return Some("--offline".to_owned());
    }
    let sound = |need: &&str| {
        done.get(*need)
            .is_some_and(|finding| matches!(finding.outcome, Outcome::Pass | Outcome::Warn))
    };
    let missing = check.needs.iter().find(|need| !sound(need))?;
    Some(format!("needs {missing}"))
}

fn look(scene: &Scene<'_>, check: &'static Check, skip: Option<String>) -> Finding {
    let began = Instant::now();
    let verdict = skip.map_or_else(|| (check.run)(scene), Verdict::Skip);
    finding(check, verdict, u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
}

fn finding(check: &'static Check, verdict: Verdict, duration_ms: u64) -> Finding {
    let mut finding = Finding {
        id: check.id,
        family: check.family.as_str(),
        title: check.title,
        outcome: Outcome::Pass,
        detail: String::new(),
        remedy: String::new(),
        doc: check.doc,
        duration_ms,
        evidence: Vec::new(),
    };
    match verdict {
        Verdict::Pass(detail) => finding.detail = detail,
        Verdict::Skip(reason) => {
            finding.outcome = Outcome::Skip;
            finding.detail = reason;
        }
        Verdict::Unknown(why) => {
            finding.outcome = Outcome::Unknown;
            finding.detail = why;
        }
        Verdict::Fail(failure) => {
            let mild = failure.mild || check.severity == Severity::Warning;
            finding.outcome = if mild { Outcome::Warn } else { Outcome::Fail };
            finding.detail = failure.detail;
            finding.remedy = failure.remedy.unwrap_or_else(|| check.remedy.to_owned());
            finding.evidence = failure.evidence;
        }
    }
    finding
}
