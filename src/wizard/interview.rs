//! The conversation: the answers so far, what was found, and which question comes next. Full screen and line prompts
//! are two ways of showing it.
//!
//! May never do I/O or show a key.

use super::finish;
use super::question::{QUESTIONS, Question};
use crate::domain::answers::Draft;
use crate::domain::detection::{PythonEnvironment, Server};
use crate::domain::report::LaunchReport;
use crate::domain::{
    Coverage, CoverageStatus, Detection, Endpoint, IngestionKey, InstrumentationSet, LevelReport, Outcome, Region, Resolution, Target,
};
use crate::error::Error;

/// How the destination is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// A SigNoz Cloud region.
    #[default]
    Region,
    /// Its key is tried against every region.
    Find,
    /// An address.
    Endpoint,
}

/// What was found on the machine and in the project, before the first question.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The facts.
    pub detection: Detection,
    /// How each of [`Detection::servers`] would be started with tracing, in the same order.
    pub launches: Vec<LaunchReport>,
    /// What each set would trace.
    pub sets: Vec<SetOutlook>,
}

/// What one instrumentation set would mean for the app.
#[derive(Debug, Clone)]
pub struct SetOutlook {
    /// Which.
    pub set: InstrumentationSet,
    /// Its releases, `opentelemetry-distro 0.38b0`.
    pub releases: String,
    /// Library by library.
    pub coverage: Vec<Coverage>,
    /// Why no request would give a span; `None` when some would.
    pub silence: Option<String>,
    /// What the install would move; `None` while the resolver is at work.
    pub resolution: Option<Result<Resolution, Error>>,
}

/// A key that an earlier set-up wrote, and the endpoint that it was written for.
#[derive(Debug, Clone)]
pub struct KeptKey {
    /// Where it may be sent again.
    pub endpoint: Endpoint,
    /// The key.
    pub key: IngestionKey,
}

/// The answers so far, and what a conversation knows besides.
#[derive(Debug, Clone, Default)]
pub struct Interview {
    /// The answers.
    pub draft: Draft,
    /// What flags and variables answered: these are not asked again.
    pub given: Draft,
    /// Name of the project's folder.
    pub folder: String,
    /// Ways that this version can set up.
    pub targets: Vec<Target>,
    /// What was found; `None` while the project is looked at.
    pub found: Option<Found>,
    /// Environments that could be meant, as they were found before one was chosen, the likeliest first.
    pub pythons: Vec<PythonEnvironment>,
    /// The key of an earlier set-up.
    pub kept_key: Option<KeptKey>,
    /// How the destination is named.
    pub way: Way,
    /// The person types the path of the Python.
    pub other_python: bool,
    /// The person types the command.
    pub other_command: bool,
}

impl Interview {
    /// Starts from what flags and variables answered, then from the answers of an earlier run.
    #[must_use]
    pub fn new(folder: impl Into<String>, given: Draft, saved: Draft, targets: Vec<Target>) -> Self {
        let draft = given.clone().or(saved);
        Self {
            way: if draft.endpoint.is_some() { Way::Endpoint } else { Way::Region },
            draft,
            given,
            folder: folder.into(),
            targets,
            ..Self::default()
        }
    }

    /// Whether a conversation comes to a question.
    #[must_use]
    pub fn comes_to(&self, question: &Question) -> bool {
        !(question.answered)(&self.given) && (question.asked)(self)
    }

    /// The questions that are asked as things stand, in their order.
    pub fn questions(&self) -> impl Iterator<Item = &'static Question> + '_ {
        QUESTIONS.iter().filter(|question| self.comes_to(question))
    }

    /// The question after one that was just answered; `None` after the last. What is open and stands earlier comes first.
    #[must_use]
    pub fn after(&self, question: &Question) -> Option<&'static Question> {
        let at = position(question);
        let earlier = || {
            QUESTIONS[..=at]
                .iter()
                .find(|earlier| self.comes_to(earlier) && self.is_open(earlier))
        };
        earlier().or_else(|| QUESTIONS[at + 1..].iter().find(|later| self.comes_to(later)))
    }

    /// The question before one; `None` before the first.
    #[must_use]
    pub fn before(&self, question: &Question) -> Option<&'static Question> {
        QUESTIONS[..position(question)].iter().rfind(|earlier| self.comes_to(earlier))
    }

    /// The first question that the run cannot do without and that has no answer.
    #[must_use]
    pub fn first_open(&self) -> Option<&'static Question> {
        QUESTIONS.iter().find(|question| self.comes_to(question) && self.is_open(question))
    }

    /// The last question that is asked.
    #[must_use]
    pub fn last(&self) -> Option<&'static Question> {
        QUESTIONS.iter().rfind(|question| self.comes_to(question))
    }

    fn is_open(&self, question: &Question) -> bool {
        if self.way == Way::Find && self.draft.region.is_none() && question.id == "region" {
            return false;
        }
        let needs_an_answer = match question.id {
            "endpoint" => self.draft.endpoint.is_none(),
            "ingestion-key" => self.key_in_hand().is_none() && self.way != Way::Endpoint,
            "accept-gaps" => self.draft.accept_gaps.is_none(),
            "instrumentation" => self.draft.instrumentation.is_none(),
            "find-region" => true,
            // Whoever has another command is asked for it next, not for the choice again.
            "command" => self.draft.command.is_none() && !self.other_command,
            "command-text" => self.draft.command.is_none(),
            _ => (question.open)(&self.draft),
        };
        needs_an_answer && !(question.id == "region" && self.way == Way::Endpoint)
    }

    /// The answers for the pipeline, suggestions of detection filled in.
    #[must_use]
    pub fn answers(&self) -> Draft {
        let draft = Draft {
            // A path out of the list of candidates is this machine's; only one that the person named is theirs to keep.
            instrumentation: self.draft.instrumentation.or(Some(self.set())),
            key: self.draft.key.clone().or_else(|| self.key_in_hand().cloned()),
            ..self.draft.clone()
        };
        match &self.found {
            Some(found) => draft.or(finish::suggest(&found.detection, &self.folder)),
            None => draft,
        }
    }

    /// The key that would be used without asking: the one given already, or an earlier set-up's for the same endpoint.
    #[must_use]
    pub fn key_in_hand(&self) -> Option<&IngestionKey> {
        let endpoint = self.endpoint();
        let kept = || {
            self.kept_key
                .as_ref()
                .filter(|kept| Some(&kept.endpoint) == endpoint.as_ref())
                .map(|kept| &kept.key)
        };
        self.draft.key.as_ref().or_else(kept)
    }

    /// Where spans go, as far as that is answered.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        let region = || self.draft.region.as_ref().map(crate::domain::Region::endpoint);
        self.draft.endpoint.clone().or_else(region)
    }

    /// Takes what detection found.
    pub fn found(&mut self, found: Found) {
        if self.draft.python.is_none() {
            let detection = &found.detection;
            let all = detection.python.iter().chain(&detection.python_candidates);
            self.pythons = all.filter(|python| python.broken.is_none()).cloned().collect();
        }
        self.found = Some(found);
    }

    /// Takes what the resolver says of a set.
    pub fn resolved(&mut self, set: InstrumentationSet, resolution: Result<Resolution, Error>) {
        let outlook = self
            .found
            .iter_mut()
            .flat_map(|found| &mut found.sets)
            .find(|outlook| outlook.set == set);
        if let Some(outlook) = outlook {
            outlook.resolution = Some(resolution);
        }
    }

    /// Takes what each region said of the key: the first that accepted it is the region.
    ///
    /// # Errors
    /// Why none is; the person then chooses.
    pub fn regions_tried(&mut self, tried: &[(Region, LevelReport)]) -> Result<LevelReport, String> {
        let accepted = |level: &LevelReport| matches!(level.outcome, Outcome::Pass | Outcome::Warn);
        if let Some((region, level)) = tried.iter().find(|(_, level)| accepted(level)) {
            self.draft.region = Some(region.clone());
            return Ok(level.clone());
        }
        self.way = Way::Region;
        let first = tried.first().map(|(region, level)| format!(" ({region}: {})", level.detail));
        Err(format!("no region accepted the key{}", first.unwrap_or_default()))
    }

    /// Whether the person has to say which Python: several could be meant, none was found, or it is one that others share.
    #[must_use]
    pub fn python_is_unclear(&self) -> bool {
        let Some(found) = &self.found else { return false };
        let owned =
            |python: &PythonEnvironment| python.kind != crate::domain::detection::EnvironmentKind::System && python.broken.is_none();
        self.other_python || self.draft.python.is_some() || self.pythons.len() > 1 || !found.detection.python.as_ref().is_some_and(owned)
    }

    /// Start commands that were found and can be started, each with how it would be.
    pub fn commands(&self) -> impl Iterator<Item = (&Server, Option<&LaunchReport>)> {
        self.found.iter().flat_map(|found| {
            found
                .detection
                .servers
                .iter()
                .enumerate()
                .map(|(index, server)| (server, found.launches.get(index)))
                .filter(|(server, _)| !finish::masked(&server.command))
        })
    }

    /// The set that is chosen, or would be proposed: the pinned one, unless only the other gives spans.
    #[must_use]
    pub fn set(&self) -> InstrumentationSet {
        let fails = |set| self.silence(set).is_some() || self.breaks(set);
        let proposed = || {
            if fails(InstrumentationSet::Pinned) && !fails(InstrumentationSet::Current) {
                InstrumentationSet::Current
            } else {
                InstrumentationSet::Pinned
            }
        };
        self.draft.instrumentation.unwrap_or_else(proposed)
    }

    /// What is known of a set.
    #[must_use]
    pub fn outlook(&self, set: InstrumentationSet) -> Option<&SetOutlook> {
        self.found.as_ref()?.sets.iter().find(|outlook| outlook.set == set)
    }

    /// Why a set would trace nothing.
    #[must_use]
    pub fn silence(&self, set: InstrumentationSet) -> Option<&str> {
        self.outlook(set)?.silence.as_deref()
    }

    /// Whether the resolver found that a set would break the app, or cannot be installed.
    fn breaks(&self, set: InstrumentationSet) -> bool {
        let resolution = self.outlook(set).and_then(|outlook| outlook.resolution.as_ref());
        resolution.is_some_and(|resolution| resolution.as_ref().is_ok_and(|resolution| !resolution.conflicts.is_empty()))
    }

    /// What a set would do, in one clause.
    #[must_use]
    pub fn promise(&self, set: InstrumentationSet) -> String {
        let Some(outlook) = self.outlook(set) else { return String::new() };
        let traced = outlook.coverage.iter().filter(|row| row.status == CoverageStatus::Traced).count();
        let all = outlook.coverage.len();
        let traces = match (&outlook.silence, all) {
            (Some(_), _) => "would not trace one request of this app".to_owned(),
            (None, 0) => "no library of this app is known to it".to_owned(),
            (None, _) => format!("traces {traced} of {all} libraries"),
        };
        let moves = match &outlook.resolution {
            None => String::new(),
            Some(Err(error)) => error.what.clone(),
            Some(Ok(resolution)) if !resolution.conflicts.is_empty() => "would break installed packages".to_owned(),
            Some(Ok(resolution)) => {
                let changed = resolution.changed().count();
                format!("{} packages come, {changed} change", resolution.moves.len() - changed)
            }
        };
        let known = [outlook.releases.clone(), traces, moves];
        known.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

fn position(question: &Question) -> usize {
    QUESTIONS.iter().position(|row| row.id == question.id).unwrap_or(0)
}
