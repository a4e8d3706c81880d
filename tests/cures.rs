//! Healthy projects made by set-up itself, then broken in every way that can be made here, with real packages, real
//! processes and real wrong servers: each breakage must be named by a check that covers it, and the healthy projects must
//! have no complaint. Prints recall and false alarms.

#[path = "cures/breakages.rs"]
mod breakages;
#[path = "cures/project.rs"]
mod project;
#[path = "support/otlp_server.rs"]
mod server;

use breakages::{BREAKAGES, Breakage};
use project::{Base, CANARY, Case, FLAVOURS};
use signoz_setup::checks;
use std::fmt::Write as _;

/// Findings that are no pass: `(id, outcome, detail, remedy)`.
type Complaints = Vec<(String, String, String, String)>;

#[test]
fn healthy_projects_have_no_complaint() {
    let mut wrong = String::new();
    for flavour in FLAVOURS {
        let Some(base) = Base::make(flavour) else {
            // The Python is not on this machine; the flavour says which one it needs.
            println!("not run: {} (its Python is not here)", flavour.name);
            continue;
        };
        let complaints = base.case().check();
        println!("{:<28} {} complaints", flavour.name, complaints.len());
        for complaint in complaints {
            let _ = writeln!(wrong, "{}: {complaint:?}", flavour.name);
        }
    }
    assert!(wrong.is_empty(), "false alarms:\n{wrong}");
}

#[test]
fn every_breakage_is_named_and_its_cure_cures_it() {
    let (mut named, mut missed, mut uncured) = (0, String::new(), String::new());
    let (mut besides, mut left_out) = (0, 0);
    for flavour in FLAVOURS {
        let own: Vec<&Breakage> = BREAKAGES.iter().filter(|breakage| breakage.on == flavour.name).collect();
        if own.is_empty() {
            continue;
        }
        let Some(base) = Base::make(flavour) else {
            assert!(
                std::env::var_os("SIGNOZ_SETUP_REQUIRE_PEERS").is_none(),
                "{} cannot be made",
                flavour.name
            );
            println!("not run: {} breakages of {} (its Python is not here)", own.len(), flavour.name);
            left_out += own.len();
            continue;
        };
        for breakage in own {
            let mut case = base.case();
            (breakage.make)(&mut case);
            let complaints = case.check();
            let covering: Vec<_> = complaints.iter().filter(|complaint| covers(&complaint.0, breakage.entry)).collect();
            match covering.first() {
                Some((id, outcome, detail, remedy)) => {
                    named += 1;
                    besides += complaints.len() - covering.len();
                    println!("{:<4} {:<52} {outcome:<5} {id}", breakage.entry, breakage.what);
                    if remedy.is_empty() || detail.is_empty() {
                        let _ = writeln!(missed, "{} {}: {id} says nothing to do", breakage.entry, breakage.what);
                    }
                }
                None => {
                    let _ = writeln!(missed, "{} {}: {complaints:#?}", breakage.entry, breakage.what);
                }
            }
            if let Some(cure) = breakage.cure {
                cure(&mut case);
                let left: Complaints = case
                    .check()
                    .into_iter()
                    .filter(|complaint| covers(&complaint.0, breakage.entry))
                    .collect();
                if !left.is_empty() {
                    let _ = writeln!(uncured, "{} {}: {left:?}", breakage.entry, breakage.what);
                }
            }
            case.restore();
        }
        let healthy = base.case().check();
        assert!(healthy.is_empty(), "{} was not restored: {healthy:#?}", flavour.name);
    }
    println!(
        "recall {named} of {}; {besides} further complaints that follow from the same breakages",
        BREAKAGES.len() - left_out
    );
    assert!(
        missed.is_empty() && uncured.is_empty(),
        "not named:\n{missed}\nnot cured:\n{uncured}"
    );
    assert!(BREAKAGES.len() >= 80, "{} breakages", BREAKAGES.len());
}

/// Whether a check is one that sees an entry of the catalogue of failure modes.
fn covers(id: &str, entry: &str) -> bool {
    checks::all().any(|check| check.id == id && check.covers.contains(&entry))
}

#[test]
fn the_canary_is_a_key_that_would_be_found() {
    // What the other tests look for in every output must be what stands in the environment file.
    assert!(signoz_setup::domain::IngestionKey::parse(CANARY).is_ok());
    let _: fn(&Base) -> Case<'_> = Base::case;
}
