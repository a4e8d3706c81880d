//! The answers so far as one command line, for a run without questions.
//!
//! May never hold a secret: a key is a file's name.

use crate::cli::Cli;
use crate::domain::InstrumentationSet;
use crate::system::System;
use crate::wizard::question::{QUESTIONS, join};
use crate::wizard::{Interview, Way};
use std::path::Path;

/// A command line, and what has to be known to use it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unattended {
    /// Quoted for a shell.
    pub(super) command: String,
    /// Something in it is still open, and stands there in capitals.
    pub(super) open: bool,
    /// Which variable can be set instead of which flag.
    pub(super) variables: Vec<String>,
}

impl Unattended {
    /// The same run without questions.
    pub(super) fn of(cli: &Cli, system: &System, interview: &Interview) -> Self {
        let mut words = Words::default();
        words.add("signoz-setup");
        words.add("--yes");
        destination(&mut words, interview);
        key(&mut words, cli, system, interview);
        let answers = interview.answers();
        if interview.targets.len() > 1 || interview.given.target.is_some() {
            let target = QUESTIONS.iter().find(|question| question.id == "target");
            words.answer("--target", target.and_then(|question| (question.current)(interview)));
        }
        words.answer("--python", answers.python.as_deref().map(path));
        words.needed("--service-name", answers.service_name.map(|name| name.to_string()), "NAME");
        words.answer(
            "--deployment-environment",
            answers.deployment_environment.map(|name| name.to_string()),
        );
        words.answer("--protocol", interview.draft.protocol.map(|protocol| protocol.to_string()));
        let set = interview.set();
        let said = interview.draft.instrumentation.is_some() || set != InstrumentationSet::default();
        words.answer("--instrumentation", said.then(|| set.to_string()));
        words.switch("--accept-gaps", answers.accept_gaps == Some(true));
        words.answer("--answers", cli.answers.as_deref().map(path));
        words.answer("--api-key-file", cli.api_key_file.as_deref().map(path));
        words.answer("--log-file", cli.log_file.as_deref().map(path));
        words.switch("--offline", cli.offline);
        words.switch("--no-verify", cli.no_verify);
        words.switch("--strict", cli.strict);
        words.switch("--json", cli.json);
        if cli.directory != Path::new(".") {
            words.add(path(&cli.directory));
        }
        words.add("--");
        match answers.command {
            Some(command) => words.words.extend(command),
            None => words.open("COMMAND"),
        }
        let flags = &words.words;
        let mut variables: Vec<String> = Vec::new();
        for question in QUESTIONS.iter().filter(|question| flags.iter().any(|word| word == question.flag)) {
            let instead = question.variable.map(|variable| format!("{variable} instead of {}", question.flag));
            variables.extend(instead.filter(|instead| !variables.contains(instead)));
        }
        Self {
            command: join(flags),
            open: words.open,
            variables,
        }
    }
}

fn destination(words: &mut Words, interview: &Interview) {
    let draft = &interview.draft;
    match (&draft.endpoint, &draft.region) {
        (Some(endpoint), _) => words.answer("--endpoint", Some(endpoint.to_string())),
        (None, Some(region)) => words.answer("--region", Some(region.to_string())),
        (None, None) if interview.way == Way::Endpoint => words.needed("--endpoint", None, "URL"),
        (None, None) => words.needed("--region", None, "REGION"),
    }
}

/// A key that the next run finds by itself, in a variable or in an earlier set-up, needs no flag.
fn key(words: &mut Words, cli: &Cli, system: &System, interview: &Interview) {
    let draft = &interview.draft;
    let kept = draft.key.is_none() && interview.key_in_hand().is_some();
    let unneeded = draft.key.is_none() && interview.way == Way::Endpoint;
    let variable = interview.given.key.is_some() && system.env.contains_key("SIGNOZ_INGESTION_KEY");
    match &cli.ingestion_key_file {
        Some(file) => words.answer("--ingestion-key-file", Some(path(file))),
        None if kept || unneeded || variable => {}
        None => words.needed("--ingestion-key-file", None, "FILE"),
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[derive(Default)]
struct Words {
    words: Vec<String>,
    open: bool,
}

impl Words {
    fn add(&mut self, word: impl Into<String>) {
        self.words.push(word.into());
    }

    fn open(&mut self, placeholder: &str) {
        self.add(placeholder);
        self.open = true;
    }

    fn switch(&mut self, flag: &str, on: bool) {
        if on {
            self.add(flag);
        }
    }

    fn answer(&mut self, flag: &str, value: Option<String>) {
        if let Some(value) = value {
            self.add(flag);
            self.add(value);
        }
    }

    fn needed(&mut self, flag: &str, value: Option<String>, placeholder: &str) {
        self.add(flag);
        match value {
            Some(value) => self.add(value),
            None => self.open(placeholder),
        }
    }
}
