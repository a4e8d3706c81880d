//! From a draft to complete answers: what detection would say where the person said nothing, and what is missing.

use super::question::{QUESTIONS, Question};
use crate::domain::answers::{Answers, Destination, Draft};
use crate::domain::plan::Content;
use crate::domain::{Detection, InstrumentationSet, Protocol, ServiceName, Target};
use crate::error::{Error, Result};

/// What detection would answer; fills what the person left open.
#[must_use]
pub fn suggest(detection: &Detection, folder: &str) -> Draft {
    Draft {
        target: Some(Target::Direct),
        service_name: service_name(folder),
        protocol: Some(Protocol::default()),
        instrumentation: Some(InstrumentationSet::default()),
        // A masked secret cannot be started; the person has to say the command.
        command: detection
            .servers
            .first()
            .map(|server| server.command.clone())
            .filter(|words| !masked(words)),
        ..Draft::default()
    }
}

/// Whether a command holds a secret that was hidden when it was read.
#[must_use]
pub fn masked(command: &[String]) -> bool {
    command.iter().any(|word| word.contains(Content::MASK))
}

/// A folder's name as the app's name, where it can be one.
pub(super) fn service_name(folder: &str) -> Option<ServiceName> {
    folder.trim().parse().ok()
}

/// Turns a draft without open questions into answers.
///
/// # Errors
/// A usage error that names the flag and the variable of every question that is still open.
pub fn finish(draft: Draft) -> Result<Answers> {
    let open: Vec<&Question> = QUESTIONS.iter().filter(|question| (question.open)(&draft)).collect();
    if let Some(first) = open.first() {
        let mut error = Error::usage(format!("`{}` has no answer", first.title));
        if open.len() > 1 {
            let rest: Vec<String> = open.iter().skip(1).map(|question| format!("`{}`", question.title)).collect();
            error = error.because(format!(
                "{} {} open as well",
                rest.join(" and "),
                if rest.len() == 1 { "is" } else { "are" }
            ));
        }
        for question in open {
            let variable = question.variable.map(|name| format!(" or set {name}")).unwrap_or_default();
            error = error.remedy(format!("pass {}{variable}: {}", question.flag, question.help));
        }
        return Err(error);
    }
    if let Some(word) = draft.command.iter().flatten().find(|word| word.contains(Content::MASK)) {
        return Err(Error::usage(format!("the start command holds a masked secret: `{word}`"))
            .because("secrets are never written into the run script or the answers file")
            .remedy("put the secret into a variable where the app is started, and pass the command with `$NAME` after `--`"));
    }
    let destination = match (draft.endpoint, draft.region) {
        (Some(endpoint), _) => Destination::Endpoint(endpoint),
        (None, Some(region)) => Destination::Region(region),
        (None, None) => return Err(Error::usage("neither a region nor an endpoint was given")),
    };
    let (Some(service_name), Some(command)) = (draft.service_name, draft.command) else {
        return Err(Error::usage("an answer is missing"));
    };
    Ok(Answers {
        target: draft.target.unwrap_or(Target::Direct),
        destination,
        key: draft.key,
        api_key: draft.api_key,
        service_name,
        deployment_environment: draft.deployment_environment,
        protocol: draft.protocol.unwrap_or_default(),
        instrumentation: draft.instrumentation.unwrap_or_default(),
        accept_gaps: draft.accept_gaps.unwrap_or(false),
        command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_answer_names_its_flag_and_its_variable() {
        let error = finish(Draft::default()).unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
        let text = error.to_string();
        for word in [
            "--region",
            "SIGNOZ_REGION",
            "--ingestion-key-file",
            "SIGNOZ_INGESTION_KEY",
            "--service-name",
            "OTEL_SERVICE_NAME",
            "-- COMMAND",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn a_masked_secret_is_neither_proposed_nor_taken_for_a_word() {
        let secret = vec!["flask".to_owned(), "run".to_owned(), "--token".to_owned(), Content::MASK.to_owned()];
        let draft = Draft {
            endpoint: Some("http://localhost:4317".parse().unwrap()),
            service_name: Some("shop".parse().unwrap()),
            command: Some(secret),
            ..Draft::default()
        };
        let error = finish(draft).unwrap_err();
        assert!(error.kind.exit_code() == 2 && error.to_string().contains("$NAME"), "{error}");
    }

    #[test]
    fn an_endpoint_needs_neither_region_nor_key() {
        let draft = Draft {
            endpoint: Some("http://localhost:4317".parse().unwrap()),
            service_name: Some("shop".parse().unwrap()),
            command: Some(vec!["flask".to_owned(), "run".to_owned()]),
            ..Draft::default()
        };
        assert!(finish(draft).is_ok());
    }
}
