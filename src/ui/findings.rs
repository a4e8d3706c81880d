//! What the checks found, as text: what is wrong with evidence and remedy, what is right in one line for each family.

use super::style::{self, DIM, TITLE, paint};
use crate::domain::report::{Finding, Outcome, Summary};
use std::fmt::Write;

/// All findings. `whole`: also those that passed or were skipped, one by one.
#[must_use]
pub fn findings(all: &[Finding], whole: bool) -> String {
    let mut text = String::new();
    let mut families: Vec<&str> = all.iter().map(|finding| finding.family).collect();
    families.dedup();
    for family in families {
        let of: Vec<&Finding> = all.iter().filter(|finding| finding.family == family).collect();
        let _ = writeln!(text, "{}  {}", paint(TITLE, format!("{family:<10}")), tally(&of));
        for finding in &of {
            let quiet = matches!(finding.outcome, Outcome::Pass | Outcome::Skip);
            if quiet && !whole {
                continue;
            }
            one(&mut text, finding);
        }
        if !whole {
            skipped(&mut text, &of);
        }
    }
    text
}

/// `✓ 9  ! 1  × 0  – 3`, without what is none.
fn tally(findings: &[&Finding]) -> String {
    let parts = [
        (Outcome::Pass, "passed"),
        (Outcome::Warn, "warned"),
        (Outcome::Fail, "failed"),
        (Outcome::Unknown, "unknown"),
        (Outcome::Skip, "skipped"),
    ];
    let part = |(outcome, word): (Outcome, &str)| {
        let count = findings.iter().filter(|finding| finding.outcome == outcome).count();
        (count > 0).then(|| format!("{} {count} {word}", style::outcome(outcome)))
    };
    parts.into_iter().filter_map(part).collect::<Vec<_>>().join("  ")
}

fn one(text: &mut String, finding: &Finding) {
    let mark = style::outcome(finding.outcome);
    if finding.outcome == Outcome::Pass {
        let _ = writeln!(text, "  {mark} {}  {}", finding.title, paint(DIM, &finding.detail));
        return;
    }
    if finding.outcome == Outcome::Skip {
        let _ = writeln!(
            text,
            "  {mark} {}  {}",
            finding.title,
            paint(DIM, format!("skipped: {}", finding.detail))
        );
        return;
    }
    let _ = writeln!(text, "  {mark} {}  {}", finding.title, paint(DIM, finding.id));
    let _ = writeln!(text, "      {}", finding.detail);
    for evidence in &finding.evidence {
        let _ = writeln!(text, "      {}", paint(DIM, format!("{}  {}", evidence.source, evidence.fact)));
    }
    if !finding.remedy.is_empty() {
        let _ = writeln!(text, "      {} {}", paint(TITLE, "hint:"), finding.remedy);
    }
}

/// Skipped checks, one line for each reason.
fn skipped(text: &mut String, findings: &[&Finding]) {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.outcome == Outcome::Skip) {
        match reasons.iter_mut().find(|(reason, _)| *reason == finding.detail) {
            Some((_, count)) => *count += 1,
            None => reasons.push((&finding.detail, 1)),
        }
    }
    for (reason, count) in reasons {
        let _ = writeln!(
            text,
            "  {} {}",
            style::outcome(Outcome::Skip),
            paint(DIM, format!("{count} skipped: {reason}"))
        );
    }
}

/// `87 passed, 2 warned, 1 failed, 30 skipped, 0 unknown`.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    format!(
        "{} passed, {} warned, {} failed, {} skipped, {} unknown",
        summary.pass, summary.warn, summary.fail, summary.skip, summary.unknown
    )
}
