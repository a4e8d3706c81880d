//! The table itself: one row for each library of the app that gives spans, or that a person would expect them from.

use super::data::{self, Instrumentation, Known, Proved, Release, Supported};
use super::{missing_companion, ranges};
use crate::domain::{Coverage, CoverageStatus, Distribution, InstrumentationSet};
use std::collections::{BTreeMap, BTreeSet};

/// The coverage of an environment by a set, for a Python version such as `3.11.7`: server frameworks first, then by name.
#[must_use]
pub fn table(installed: &BTreeMap<String, Distribution>, set: InstrumentationSet, python_version: &str) -> Vec<Coverage> {
    let asked = Asked {
        installed,
        set,
        python_version,
        release: data::release(set, python_version),
        known: data::known(),
    };
    let mut rows: Vec<Coverage> = asked
        .libraries()
        .into_iter()
        .flat_map(|distribution| asked.rows(distribution))
        .collect();
    asked.add_aiohttp_server(&mut rows);
    rows.sort_by(|one, other| {
        (!one.server, &one.library, &one.instrumentation).cmp(&(!other.server, &other.library, &other.instrumentation))
    });
    rows
}

struct Asked<'a> {
    installed: &'a BTreeMap<String, Distribution>,
    set: InstrumentationSet,
    python_version: &'a str,
    release: &'static Release,
    known: &'static Known,
}

/// A verdict with its sentence.
struct Verdict {
    status: CoverageStatus,
    beyond: bool,
    note: String,
}

impl<'a> Asked<'a> {
    /// Installed libraries that any release knows, or that no release traces although a person would expect it.
    fn libraries(&self) -> Vec<&'a Distribution> {
        let declared = data::releases().iter().flat_map(|release| &release.instrumentations);
        let untraced = &self.known.untraced;
        let names: BTreeSet<&str> = declared
            .filter(|row| !row.entry_points.is_empty())
            .flat_map(|row| row.bootstrap.iter().chain(&row.instruments).chain(&row.instruments_any))
            .map(|supported| supported.library.as_str())
            .chain(
                [&untraced.servers, &untraced.tasks, &untraced.clients]
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            )
            .filter(|name| !self.known.hidden.iter().any(|hidden| hidden == name))
            // FastAPI is a Starlette: its own instrumentation covers it, and two would count each request twice.
            .filter(|name| !(*name == "starlette" && self.installed.contains_key("fastapi")))
            .filter(|name| !(*name == "urllib3" && self.brought_by_the_exporter(name)))
            .collect();
        names.into_iter().filter_map(|name| self.installed.get(name)).collect()
    }

    /// Whether only the exporter (through requests) needs this library. A set-up that chose its instrumentation before
    /// keeps it, so that a second run asks for the same.
    fn brought_by_the_exporter(&self, library: &str) -> bool {
        if !self.installed.contains_key("opentelemetry-exporter-otlp-proto-http")
            || self.installed.contains_key(&format!("opentelemetry-instrumentation-{library}"))
        {
            return false;
        }
        let needs = |who: &Distribution, what: &str| {
            who.requires
                .iter()
                .filter_map(|line| ranges::requirement(line))
                .any(|(name, _)| name == what)
        };
        let own = |name: &str| name.starts_with("opentelemetry-");
        let users =
            |what: &str| -> Vec<&Distribution> { self.installed.values().filter(|who| !own(&who.name) && needs(who, what)).collect() };
        users(library)
            .iter()
            .all(|who| who.name == "requests" && users("requests").is_empty())
    }

    fn rows(&self, distribution: &Distribution) -> Vec<Coverage> {
        let name = distribution.name.as_str();
        let mut found: Vec<&Instrumentation> = self
            .release
            .instrumentations
            .iter()
            .filter(|row| !row.entry_points.is_empty() && row.bootstrap.iter().any(|at| at.library == name))
            .collect();
        let proof = self.release.proof(name, &distribution.version);
        if found.is_empty() {
            found.extend(proof.and_then(|proof| self.release.by_entry_point(&proof.entry_point)));
        }
        if found.is_empty() {
            return vec![self.row(distribution, None, self.no_instrumentation(distribution))];
        }
        found
            .into_iter()
            .map(|row| self.row(distribution, Some(row), self.verdict(distribution, row, proof)))
            .collect()
    }

    fn verdict(&self, distribution: &Distribution, row: &Instrumentation, proof: Option<&Proved>) -> Verdict {
        let (name, version) = (distribution.name.as_str(), distribution.version.as_str());
        if let Some(note) = self.conflict(distribution) {
            return Verdict {
                status: CoverageStatus::Conflict,
                beyond: false,
                note,
            };
        }
        let range = row.range(name);
        let in_range = range.is_some_and(|range| self.release.admits(range, version));
        let missing = self.unmet(row, name);
        if in_range && missing.is_none() {
            let note = "traced".to_owned();
            return Verdict {
                status: CoverageStatus::Traced,
                beyond: false,
                note,
            };
        }
        if proof.is_some() {
            let series: Vec<&str> = version.split('.').take(2).collect();
            let declares = range.map_or_else(|| "does not name it".to_owned(), |range| format!("declares {range}"));
            let note = format!("traced; its instrumentation {declares}, proved with {}", series.join("."));
            return Verdict {
                status: CoverageStatus::Traced,
                beyond: true,
                note,
            };
        }
        let note = match (in_range, missing) {
            (true, Some(other)) => format!("not traced: its instrumentation also asks for {}{}", other.library, other.range),
            _ => format!(
                "not traced: its instrumentation declares {}{}",
                range.unwrap_or("no version"),
                self.elsewhere(distribution)
            ),
        };
        Verdict {
            status: CoverageStatus::OutOfRange,
            beyond: false,
            note,
        }
    }

    /// What else the instrumentation asks for when the app starts and does not find.
    fn unmet<'r>(&self, row: &'r Instrumentation, library: &str) -> Option<&'r Supported> {
        let holds = |other: &&Supported| {
            self.installed
                .get(&other.library)
                .is_some_and(|there| self.release.admits(&other.range, &there.version))
        };
        if self.known.alternatives.contains(&row.instrumentation) {
            return None;
        }
        let any = row.instruments_any.is_empty() || row.instruments_any.iter().any(|other| holds(&other));
        let all = row.instruments.iter().find(|other| other.library != library && !holds(other));
        all.or_else(|| if any { None } else { row.instruments_any.first() })
    }

    fn no_instrumentation(&self, distribution: &Distribution) -> Verdict {
        if let Some(note) = self.conflict(distribution) {
            return Verdict {
                status: CoverageStatus::Conflict,
                beyond: false,
                note,
            };
        }
        let note = format!(
            "not traced: the {} set has no instrumentation for it{}",
            self.set,
            self.elsewhere(distribution)
        );
        Verdict {
            status: CoverageStatus::NoInstrumentation,
            beyond: false,
            note,
        }
    }

    /// `; the current set traces it`, when that is so.
    fn elsewhere(&self, distribution: &Distribution) -> &'static str {
        let newest = data::release(InstrumentationSet::Current, self.python_version);
        let declared = newest.instrumentations.iter().any(|row| {
            row.bootstrap
                .iter()
                .any(|at| at.library == distribution.name && newest.admits(&at.range, &distribution.version))
        });
        let traces = declared || newest.proof(&distribution.name, &distribution.version).is_some();
        if traces && newest.name != self.release.name {
            "; the current set traces it"
        } else {
            ""
        }
    }

    /// A requirement of the library itself that the set's own packages would violate.
    fn conflict(&self, distribution: &Distribution) -> Option<String> {
        distribution
            .requires
            .iter()
            .filter_map(|line| ranges::requirement(line))
            .find_map(|(package, range)| {
                let brought = self.release.version_of(&package)?;
                (!ranges::admits(&range, brought, true)).then(|| {
                    format!(
                        "would break: it requires {package}{range}, and the {} set brings {brought}{}",
                        self.set,
                        self.elsewhere(distribution)
                    )
                })
            })
    }

    fn row(&self, distribution: &Distribution, row: Option<&Instrumentation>, verdict: Verdict) -> Coverage {
        let library = distribution.name.clone();
        let is = |names: &[String]| names.contains(&library);
        let client = row.is_some_and(|row| row.instrumentation.ends_with("-aiohttp-client"));
        let server = match library.as_str() {
            "aiohttp" => !client && self.serves_aiohttp(),
            _ => is(&self.known.servers) || is(&self.known.untraced.servers) || is(&self.known.untraced.tasks),
        };
        let mut note = verdict.note;
        for remark in self.known.remark.iter().filter(|remark| remark.library == library) {
            let here = remark.sets.is_empty() || remark.sets.iter().any(|set| set == self.release.name);
            let so = remark.status.as_deref().is_none_or(|status| status == word(verdict.status));
            if here && so && ranges::admits(&remark.versions, &distribution.version, true) {
                note = format!("{note}; {}", remark.text);
            }
        }
        if verdict.status == CoverageStatus::Traced
            && let Some(package) = missing_companion(self.installed, &library)
        {
            note = format!("{note}; needs {package}, which is installed with it");
        }
        Coverage {
            supported: row
                .and_then(|row| row.range(&library))
                .filter(|range| !range.is_empty())
                .map(str::to_owned),
            instrumentation: row.map(|row| row.instrumentation.clone()),
            version: distribution.version.clone(),
            status: verdict.status,
            set: self.set,
            beyond_declared_range: verdict.beyond,
            server,
            note,
            library,
        }
    }

    /// aiohttp is a client in most apps; an add-on for its server, or gunicorn with no other framework, says otherwise.
    fn serves_aiohttp(&self) -> bool {
        let others = self
            .known
            .servers
            .iter()
            .chain(&self.known.untraced.servers)
            .filter(|name| *name != "aiohttp");
        let alone = others.into_iter().all(|name| !self.installed.contains_key(name));
        self.known.aiohttp_serves.iter().any(|name| self.installed.contains_key(name)) || (alone && self.installed.contains_key("gunicorn"))
    }

    /// A release that knows only the client gets a second row for the server, when there is one.
    fn add_aiohttp_server(&self, rows: &mut Vec<Coverage>) {
        let known = rows
            .iter()
            .any(|row| row.library == "aiohttp" && row.instrumentation.as_deref().is_some_and(|name| name.ends_with("-server")));
        if let Some(aiohttp) = self.installed.get("aiohttp").filter(|_| !known && self.serves_aiohttp()) {
            let mut row = self.row(aiohttp, None, self.no_instrumentation(aiohttp));
            row.note = format!("its server is {}", row.note);
            rows.push(row);
        }
    }
}

/// The word of the JSON.
const fn word(status: CoverageStatus) -> &'static str {
    match status {
        CoverageStatus::Traced => "traced",
        CoverageStatus::OutOfRange => "out_of_range",
        CoverageStatus::NoInstrumentation => "no_instrumentation",
        CoverageStatus::Conflict => "conflict",
    }
}
