//! The doctor's catalogue: every check has a passing and a failing fixture, a healthy project has no complaint, and ids,
//! pages and table agree.

#[path = "checks/collector.rs"]
mod collector;
#[path = "checks/config.rs"]
mod config;
#[path = "checks/coverage.rs"]
mod coverage;
#[path = "checks/docker.rs"]
mod docker;
#[path = "checks/ingest.rs"]
mod ingest;
#[path = "checks/kubernetes.rs"]
mod kubernetes;
#[path = "support/lab.rs"]
mod lab;
#[path = "checks/network.rs"]
mod network;
#[path = "support/otlp_server.rs"]
mod otlp_server;
#[path = "checks/packages.rs"]
mod packages;
#[path = "checks/process.rs"]
mod process;
#[path = "checks/python.rs"]
mod python;
#[path = "checks/secrets.rs"]
mod secrets;
#[path = "checks/span.rs"]
mod span;

use lab::Lab;
use signoz_setup::checks::by_hand::BY_HAND;
use signoz_setup::checks::{self, Check, Family};
use signoz_setup::domain::Outcome;
use std::collections::BTreeSet;

/// How a check is seen to pass and to fail.
struct Fixture {
    id: &'static str,
    /// Makes a healthy project one in which the check passes (and is not skipped).
    pass: fn(&mut Lab),
    /// Breaks a healthy project.
    fail: fn(&mut Lab),
    /// Words that the failure's detail or remedy must hold.
    says: &'static str,
}

const FIXTURES: [&[Fixture]; 12] = [
    python::FIXTURES,
    packages::FIXTURES,
    coverage::FIXTURES,
    process::FIXTURES,
    config::FIXTURES,
    secrets::FIXTURES,
    network::FIXTURES,
    ingest::FIXTURES,
    collector::FIXTURES,
    docker::FIXTURES,
    kubernetes::FIXTURES,
    span::FIXTURES,
];

#[test]
fn every_check_passes_where_all_is_well_and_fails_where_it_is_not() {
    let fixtures: Vec<&Fixture> = FIXTURES.into_iter().flatten().collect();
    let mut wrong = Vec::new();
    for check in checks::all() {
        let own: Vec<&&Fixture> = fixtures.iter().filter(|fixture| fixture.id == check.id).collect();
        let [fixture] = own[..] else {
            wrong.push(format!("{}: {} fixtures instead of one", check.id, own.len()));
            continue;
        };
        let mut well = Lab::new();
        (fixture.pass)(&mut well);
        let finding = well.finding(check.id);
        if finding.outcome != Outcome::Pass {
            wrong.push(format!("{}: does not pass where all is well: {finding:?}", check.id));
        }
        let mut broken = Lab::new();
        (fixture.fail)(&mut broken);
        let finding = broken.finding(check.id);
        if !matches!(finding.outcome, Outcome::Fail | Outcome::Warn) {
            wrong.push(format!("{}: does not fail where it is broken: {finding:?}", check.id));
        } else if !format!("{} {}", finding.detail, finding.remedy).contains(fixture.says) {
            wrong.push(format!("{}: `{}` is not said: {finding:?}", check.id, fixture.says));
        } else if finding.remedy.is_empty() || finding.evidence.is_empty() {
            wrong.push(format!("{}: no remedy or no evidence: {finding:?}", check.id));
        }
    }
    for fixture in fixtures {
        if !checks::all().any(|check| check.id == fixture.id) {
            wrong.push(format!("{}: a fixture without a check", fixture.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_healthy_project_has_no_complaint() {
    let complaints = Lab::new().complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn rows_are_well_formed() {
    let mut seen = BTreeSet::new();
    for check in checks::all() {
        let Check {
            id,
            family,
            title,
            why,
            remedy,
            doc,
            page,
            ..
        } = check;
        let (prefix, name) = id.split_once('.').unwrap();
        assert_eq!(prefix, family.as_str(), "{id}");
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{id}"
        );
        for text in [title, why, remedy] {
            assert!(text.len() > 10 && !text.ends_with('.'), "{id}: `{text}`");
        }
        assert!(doc.starts_with("https://"), "{id}: {doc}");
        assert!(page.starts_with(&format!("# {id}\n\n")), "{id}: the page does not name itself");
        for part in ["Means:", "Shows as:", "Why:", "Fix:", "Source:"] {
            assert!(page.contains(&format!("\n{part} ")), "{id}: the page has no `{part}`");
        }
        for need in check.needs {
            assert!(seen.contains(need), "{id} needs {need}, which does not stand before it");
        }
        assert!(seen.insert(*id), "{id} is there twice");
    }
    let families: Vec<Family> = checks::all().map(|check| check.family).collect();
    assert!(
        families.is_sorted(),
        "rows of a family do not stand together, or not in the order of the families"
    );
}

/// How many entries each part of the catalogue of failure modes has.
const ENTRIES: [(char, u32); 8] = [
    ('A', 22),
    ('B', 25),
    ('C', 24),
    ('D', 36),
    ('E', 24),
    ('F', 27),
    ('G', 12),
    ('H', 11),
];

#[test]
fn every_known_failure_mode_is_seen_by_a_check_or_said_to_be_found_by_hand() {
    let all: BTreeSet<String> = ENTRIES
        .iter()
        .flat_map(|(part, count)| (1..=*count).map(move |number| format!("{part}{number:02}")))
        .collect();
    let covered: BTreeSet<String> = checks::all()
        .flat_map(|check| check.covers)
        .map(|entry| (*entry).to_owned())
        .collect();
    let by_hand: BTreeSet<String> = BY_HAND.iter().map(|row| row.entry.to_owned()).collect();
    assert_eq!(by_hand.len(), BY_HAND.len(), "an entry stands twice");
    let unknown: Vec<_> = covered.union(&by_hand).filter(|entry| !all.contains(*entry)).collect();
    assert!(unknown.is_empty(), "no such entries: {unknown:?}");
    let both: Vec<_> = covered.intersection(&by_hand).collect();
    assert!(both.is_empty(), "seen by a check, and said not to be: {both:?}");
    let neither: Vec<_> = all
        .iter()
        .filter(|entry| !covered.contains(*entry) && !by_hand.contains(*entry))
        .collect();
    assert!(neither.is_empty(), "neither seen nor listed: {neither:?}");
    for row in BY_HAND {
        println!("{} {}: {}", row.entry, row.what, row.why);
        assert!(row.why.len() > 10 && row.how.len() > 10, "{}", row.entry);
    }
}
