//! The questions, in one table: what is asked, when, what is proposed, and how an answer becomes part of the draft.
//!
//! Every front end walks this table, so that all of them ask the same in the same order; an unattended run reads from
//! it which flag and which variable a missing answer has.

use super::finish::service_name;
use super::interview::{Interview, Way};
use crate::domain::answers::Draft;
use crate::domain::plan::Content;
use crate::domain::{IngestionKey, InstrumentationSet, Region, ServiceName, Target};
use std::path::PathBuf;

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Stable id; the answer's name in `signoz-setup.toml`, where it may stand there.
    pub id: &'static str,
    /// As it is asked.
    pub title: &'static str,
    /// What depends on it, one sentence.
    pub help: &'static str,
    /// The flag that answers it.
    pub flag: &'static str,
    /// The variable that answers it.
    pub variable: Option<&'static str>,
    /// How it is answered.
    pub kind: Kind,
    /// Whether the draft leaves it open although the run needs it.
    pub open: fn(&Draft) -> bool,
    /// Whether a draft answers it, so that nobody needs to be asked.
    pub answered: fn(&Draft) -> bool,
    /// Whether a conversation comes to it, as things stand.
    pub asked: fn(&Interview) -> bool,
    /// What there is to choose from; empty for a text.
    pub choices: fn(&Interview) -> Vec<Choice>,
    /// What stands there before the person answers: the earlier answer, or what detection would say. Never a secret.
    pub current: fn(&Interview) -> Option<String>,
    /// Takes an answer, a choice's value or a text; or says in one clause what is wrong with it.
    pub take: fn(&mut Interview, &str) -> std::result::Result<(), String>,
    /// What has to be looked at once it is answered.
    pub then: Then,
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of several.
    Choice,
    /// A line of text.
    Text,
    /// A line that is never shown.
    Secret,
}

/// What an answer sets going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// The project is looked at again, with the chosen Python.
    Detect,
    /// The key is tried against the endpoint while the person goes on.
    CheckKey,
    /// The key is tried against every region; the conversation waits for it.
    FindRegion,
}

/// One of several answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What [`Question::take`] gets.
    pub value: String,
    /// As it is shown.
    pub title: String,
    /// Why it is there, or what it leads to.
    pub note: String,
}

impl Choice {
    fn new(value: impl Into<String>, title: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            title: title.into(),
            note: note.into(),
        }
    }
}

/// The value of the choice that leads to a text question.
pub const OTHER: &str = "other";
const FIND: &str = "find";
const YES: &str = "yes";
const NO: &str = "no";

const REGION: Question = Question {
    id: "region",
    title: "What is your SigNoz Cloud region?",
    help: "SigNoz shows it under Settings, Ingestion; a self-hosted SigNoz has an endpoint instead (--endpoint or SIGNOZ_ENDPOINT)",
    flag: "--region",
    variable: Some("SIGNOZ_REGION"),
    kind: Kind::Choice,
    open: |draft| draft.region.is_none() && draft.endpoint.is_none(),
    answered: |draft| draft.region.is_some() || draft.endpoint.is_some(),
    asked: |_| true,
    choices: |_| {
        let region = |code: &str| {
            let host = code.parse::<Region>().map(|region| region.endpoint().host).unwrap_or_default();
            Choice::new(code, code, host)
        };
        let mut choices: Vec<Choice> = Region::KNOWN.iter().map(|code| region(code)).collect();
        choices.push(Choice::new(
            FIND,
            "I do not know it",
            "the key is tried against each region, after you have agreed to that",
        ));
        choices.push(Choice::new(
            OTHER,
            "another address",
            "a self-hosted SigNoz, a collector elsewhere, a proxy",
        ));
        choices
    },
    current: |interview| match interview.way {
        Way::Endpoint => Some(OTHER.to_owned()),
        Way::Find if interview.draft.region.is_none() => Some(FIND.to_owned()),
        Way::Find | Way::Region => interview.draft.region.as_ref().map(ToString::to_string),
    },
    take: |interview, text| {
        match text {
            OTHER => interview.way = Way::Endpoint,
            FIND => {
                interview.way = Way::Find;
                interview.draft.region = None;
            }
            code => {
                interview.draft.region = Some(code.parse().map_err(|error: crate::domain::target::Malformed| error.to_string())?);
                interview.way = Way::Region;
            }
        }
        if interview.way != Way::Endpoint {
            interview.draft.endpoint = None;
        }
        Ok(())
    },
    then: Then::CheckKey,
};

/// All questions, in the order in which they are asked.
pub const QUESTIONS: &[Question] = &[
    Question {
        id: "target",
        title: "Which way do the spans take?",
        help: "direct sends straight to SigNoz; the others go through a collector",
        flag: "--target",
        variable: None,
        kind: Kind::Choice,
        open: |_| false,
        answered: |draft| draft.target.is_some(),
        // One way is no choice.
        asked: |interview| interview.targets.len() > 1,
        choices: |interview| interview.targets.iter().map(|target| way(*target)).collect(),
        current: |interview| {
            interview
                .draft
                .target
                .or(interview.targets.first().copied())
                .map(|target| way(target).value)
        },
        take: |interview, text| {
            let offered = interview.targets.iter().copied().find(|target| way(*target).value == text);
            interview.draft.target = Some(offered.ok_or_else(|| format!("`{}` is not offered", text.escape_debug()))?);
            Ok(())
        },
        then: Then::Nothing,
    },
    Question {
        id: "python",
        title: "Which Python runs the app?",
        help: "the packages are installed into it; --python chooses another one",
        flag: "--python",
        variable: None,
        kind: Kind::Choice,
        open: |_| false,
        answered: |draft| draft.python.is_some(),
        asked: Interview::python_is_unclear,
        choices: |interview| {
            let mut choices: Vec<Choice> = interview
                .pythons
                .iter()
                .map(|python| {
                    let path = python.virtualenv.as_ref().unwrap_or(&python.interpreter).display().to_string();
                    let source = python.because.first().map(|evidence| evidence.source.clone()).unwrap_or_default();
                    let shared = if python.virtualenv.is_none() {
                        ", shared with other programs"
                    } else {
                        ""
                    };
                    let note = format!("{}, {}{shared}; {source}", python.version, python.package_manager.as_str());
                    Choice::new(path.clone(), path, note)
                })
                .collect();
            choices.push(Choice::new(
                OTHER,
                "another one",
                "an interpreter or a virtual environment, by its path",
            ));
            choices
        },
        current: |interview| {
            if interview.other_python {
                return Some(OTHER.to_owned());
            }
            let first = || {
                interview
                    .pythons
                    .first()
                    .map(|python| python.virtualenv.as_ref().unwrap_or(&python.interpreter))
            };
            interview
                .draft
                .python
                .as_ref()
                .or_else(first)
                .map(|path| path.display().to_string())
        },
        take: |interview, text| {
            interview.other_python = text == OTHER;
            if !interview.other_python {
                interview.draft.python = Some(PathBuf::from(text));
            }
            Ok(())
        },
        then: Then::Detect,
    },
    Question {
        id: "python-path",
        title: "Where is the app's Python?",
        help: "the path of its interpreter, or of its virtual environment",
        flag: "--python",
        variable: None,
        kind: Kind::Text,
        open: |_| false,
        answered: |draft| draft.python.is_some(),
        asked: |interview| interview.other_python && interview.python_is_unclear(),
        choices: |_| Vec::new(),
        current: |interview| interview.draft.python.as_ref().map(|path| path.display().to_string()),
        take: |interview, text| {
            if text.trim().is_empty() {
                return Err("it needs a path, such as .venv or /usr/bin/python3.12".to_owned());
            }
            interview.draft.python = Some(PathBuf::from(text.trim()));
            Ok(())
        },
        then: Then::Detect,
    },
    REGION,
    Question {
        id: "endpoint",
        title: "What is the address of your SigNoz or collector?",
        help: "scheme, host and port, such as http://signoz.internal:4317; the path /v1/traces is added by itself",
        flag: "--endpoint",
        variable: Some("SIGNOZ_ENDPOINT"),
        kind: Kind::Text,
        open: |_| false,
        answered: |draft| draft.region.is_some() || draft.endpoint.is_some(),
        asked: |interview| interview.way == Way::Endpoint,
        choices: |_| Vec::new(),
        current: |interview| interview.draft.endpoint.as_ref().map(ToString::to_string),
        take: |interview, text| {
            let endpoint = text
                .trim()
                .parse()
                .map_err(|error: crate::domain::target::Malformed| error.to_string())?;
            interview.draft.endpoint = Some(endpoint);
            interview.draft.region = None;
            Ok(())
        },
        then: Then::CheckKey,
    },
    Question {
        id: "ingestion-key",
        title: "What is your ingestion key?",
        help: "SigNoz shows it under Settings, Ingestion; it is tried with one verification span, and written to .signoz/otel.env (0600) and nowhere else",
        flag: "--ingestion-key-file",
        variable: Some("SIGNOZ_INGESTION_KEY"),
        kind: Kind::Secret,
        open: |draft| draft.key.is_none() && draft.endpoint.is_none(),
        answered: |draft| draft.key.is_some(),
        asked: |_| true,
        choices: |_| Vec::new(),
        current: |_| None,
        take: |interview, text| {
            if !text.is_empty() {
                interview.draft.key = Some(IngestionKey::parse(text).map_err(|error| error.to_string())?);
                return Ok(());
            }
            // A kept key stays where it is: with another endpoint it counts no more.
            if interview.key_in_hand().is_some() || interview.way == Way::Endpoint {
                Ok(())
            } else {
                Err("it is empty".to_owned())
            }
        },
        then: Then::CheckKey,
    },
    Question {
        id: "find-region",
        title: "Try this key against every region?",
        help: "the key is sent to the six ingest hosts of SigNoz Cloud, each with one verification span; nothing else receives it",
        flag: "--region",
        variable: Some("SIGNOZ_REGION"),
        kind: Kind::Choice,
        open: |_| false,
        answered: |draft| draft.region.is_some() || draft.endpoint.is_some(),
        asked: |interview| interview.way == Way::Find && interview.draft.region.is_none(),
        choices: |_| {
            vec![
                Choice::new(NO, "no", "I choose the region myself"),
                Choice::new(YES, "yes", Region::KNOWN.join(", ")),
            ]
        },
        current: |_| Some(NO.to_owned()),
        take: |interview, text| {
            if text != YES {
                interview.way = Way::Region;
            }
            Ok(())
        },
        then: Then::FindRegion,
    },
    Question {
        id: "service-name",
        title: "Under which name should the app appear?",
        help: "without one, every app lands under unknown_service",
        flag: "--service-name",
        variable: Some("OTEL_SERVICE_NAME"),
        kind: Kind::Text,
        open: |draft| draft.service_name.is_none(),
        answered: |draft| draft.service_name.is_some(),
        asked: |_| true,
        choices: |_| Vec::new(),
        current: |interview| {
            let suggested = || service_name(&interview.folder);
            interview.draft.service_name.clone().or_else(suggested).map(|name| name.to_string())
        },
        take: |interview, text| {
            interview.draft.service_name = Some(name(text)?);
            Ok(())
        },
        then: Then::Nothing,
    },
    Question {
        id: "deployment-environment",
        title: "Which deployment environment is this?",
        help: "such as production or staging, to tell them apart in SigNoz; may stay empty",
        flag: "--deployment-environment",
        variable: None,
        kind: Kind::Text,
        open: |_| false,
        answered: |draft| draft.deployment_environment.is_some(),
        asked: |_| true,
        choices: |_| Vec::new(),
        current: |interview| interview.draft.deployment_environment.as_ref().map(ToString::to_string),
        take: |interview, text| {
            interview.draft.deployment_environment = if text.trim().is_empty() { None } else { Some(name(text)?) };
            Ok(())
        },
        then: Then::Nothing,
    },
    Question {
        id: "instrumentation",
        title: "Which releases of OpenTelemetry?",
        help: "pinned: those of the SigNoz docs; current: the newest that this project has tested for the app's Python",
        flag: "--instrumentation",
        variable: None,
        kind: Kind::Choice,
        open: |_| false,
        answered: |draft| draft.instrumentation.is_some(),
        asked: |_| true,
        choices: |interview| {
            let set = |set: InstrumentationSet| Choice::new(set.as_str(), set.as_str(), interview.promise(set));
            vec![set(InstrumentationSet::Pinned), set(InstrumentationSet::Current)]
        },
        current: |interview| Some(interview.set().as_str().to_owned()),
        take: |interview, text| {
            let chosen = [InstrumentationSet::Pinned, InstrumentationSet::Current]
                .into_iter()
                .find(|set| set.as_str() == text);
            interview.draft.instrumentation = Some(chosen.ok_or_else(|| "it is `pinned` or `current`".to_owned())?);
            interview.draft.accept_gaps = None;
            Ok(())
        },
        then: Then::Nothing,
    },
    Question {
        id: "accept-gaps",
        title: "That set would not trace one request of this app. Install it all the same?",
        help: "everything would look right, and no request would ever be seen in SigNoz",
        flag: "--accept-gaps",
        variable: None,
        kind: Kind::Choice,
        open: |_| false,
        answered: |draft| draft.accept_gaps.is_some(),
        asked: |interview| interview.silence(interview.set()).is_some(),
        choices: |interview| {
            let why = interview.silence(interview.set()).unwrap_or_default();
            vec![Choice::new(NO, "no", "choose the releases again"), Choice::new(YES, "yes", why)]
        },
        current: |_| Some(NO.to_owned()),
        take: |interview, text| {
            if text == YES {
                interview.draft.accept_gaps = Some(true);
            } else {
                interview.draft.instrumentation = None;
            }
            Ok(())
        },
        then: Then::Nothing,
    },
    Question {
        id: "command",
        title: "How is the app started?",
        help: "the command that starts it today, for example `gunicorn app:app --workers 4`",
        flag: "-- COMMAND",
        variable: None,
        kind: Kind::Choice,
        open: |draft| draft.command.is_none(),
        answered: |draft| draft.command.is_some(),
        asked: |interview| interview.commands().next().is_some(),
        choices: |interview| {
            let mut choices: Vec<Choice> = interview
                .commands()
                .map(|(server, launch)| {
                    let source = server.because.first().map(|evidence| evidence.source.clone()).unwrap_or_default();
                    let workers = server
                        .workers
                        .filter(|workers| *workers > 1)
                        .map(|workers| format!(", {workers} workers"));
                    let why = launch.map(|launch| format!(": {}", launch.why)).unwrap_or_default();
                    let command = join(&server.command);
                    Choice::new(command.clone(), command, format!("{source}{}{why}", workers.unwrap_or_default()))
                })
                .collect();
            choices.push(Choice::new(OTHER, "another command", "typed by you"));
            choices
        },
        current: |interview| {
            let first = || interview.commands().next().map(|(server, _)| server.command.as_slice());
            let current = interview.draft.command.as_deref().or_else(first)?;
            let seen = !interview.other_command && interview.commands().any(|(server, _)| server.command == current);
            Some(if seen { join(current) } else { OTHER.to_owned() })
        },
        take: |interview, text| {
            interview.other_command = text == OTHER;
            if interview.other_command {
                return Ok(());
            }
            let found = interview.commands().find(|(server, _)| join(&server.command) == text);
            let command = found.map(|(server, _)| server.command.clone());
            interview.draft.command = Some(command.ok_or_else(|| "it is not one of the commands that were found".to_owned())?);
            Ok(())
        },
        then: Then::Nothing,
    },
    Question {
        id: "command-text",
        title: "What is the start command?",
        help: "as you would type it, for example `gunicorn app:app --workers 4`; no `&&`, no pipes",
        flag: "-- COMMAND",
        variable: None,
        kind: Kind::Text,
        open: |_| false,
        answered: |draft| draft.command.is_some(),
        asked: |interview| interview.other_command || interview.commands().next().is_none(),
        choices: |_| Vec::new(),
        current: |interview| interview.draft.command.as_ref().map(|words| join(words)),
        take: |interview, text| {
            let words = shlex::split(text).ok_or_else(|| "a quote is not closed".to_owned())?;
            if words.is_empty() {
                return Err("it is empty".to_owned());
            }
            if let Some(operator) = words.iter().find(|word| ["&&", "||", "|", ";", "&"].contains(&word.as_str())) {
                return Err(format!(
                    "`{operator}` is the shell's: put such a command into a script, and start that"
                ));
            }
            if words.iter().any(|word| word.contains(Content::MASK)) {
                return Err("it holds a masked secret: put the secret into a variable, and write `$NAME`".to_owned());
            }
            interview.draft.command = Some(words);
            Ok(())
        },
        then: Then::Nothing,
    },
];

/// A target as a choice.
fn way(target: Target) -> Choice {
    match target {
        Target::Direct => Choice::new(
            "direct",
            "straight to SigNoz",
            "the app's exporter sends to SigNoz Cloud or to your own SigNoz",
        ),
        Target::Collector => Choice::new("collector", "through an OpenTelemetry Collector", "on this machine or another one"),
        Target::Docker => Choice::new("docker", "from a container", "an overlay over your own image"),
        Target::Kubernetes => Choice::new("kubernetes", "from a cluster", "through the k8s-infra agent"),
    }
}

fn name(text: &str) -> std::result::Result<ServiceName, String> {
    text.parse().map_err(|error: crate::domain::target::Malformed| error.to_string())
}

/// Words as a shell would read them back.
#[must_use]
pub fn join(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}
