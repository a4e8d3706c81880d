//! The one verification span of a run: sent to the configured endpoint with the configured key, and nowhere else; each check
//! reads the stage that it is about.

use super::{Failure, Scene, Verdict};
use crate::domain::{IngestionKey, LevelReport, Outcome, ServiceName};
use crate::system::System;
use crate::verify::endpoint::{ProbeRequest, probe};

/// Why there is nothing to probe.
pub(super) fn no_endpoint(scene: &Scene<'_>) -> Option<&'static str> {
    scene.destination().is_none().then_some("no endpoint is configured here")
}

/// What one stage of the probe saw; `about` is the suffix of the variable that it speaks of.
pub(super) fn stage(scene: &Scene<'_>, name: &str, about: &str) -> Verdict {
    let Some(report) = report(scene) else {
        return Verdict::Skip("no endpoint is configured here".to_owned());
    };
    // The stages of a probe end where it fails; what comes after is nobody's complaint.
    let Some(stage) = report.stages.iter().find(|stage| stage.name == name) else {
        return if matches!(report.outcome, Outcome::Pass | Outcome::Warn) {
            Verdict::Unknown("the endpoint's answer does not tell".to_owned())
        } else {
            Verdict::Skip("not reached".to_owned())
        };
    };
    let detail = stage.detail.clone();
    let failure = || {
        let scope = scene.main_scope();
        let variable = scope.and_then(|scope| Some((scope, scope.traces(about).or_else(|| scope.traces("ENDPOINT"))?.0)));
        Failure::new(detail.clone()).because(variable.map(|(scope, name)| scope.evidence(&name)).unwrap_or_default())
    };
    match stage.outcome {
        Outcome::Pass => Verdict::Pass(detail),
        Outcome::Warn => failure().mild().into(),
        Outcome::Fail => match &report.remedy {
            Some(remedy) => failure().remedy(remedy.clone()).into(),
            None => failure().into(),
        },
        Outcome::Unknown => Verdict::Unknown(detail),
        Outcome::Skip if detail == "not reached" => Verdict::Skip(detail),
        Outcome::Skip => Verdict::Pass(detail),
    }
}

fn report<'s>(scene: &'s Scene<'_>) -> Option<&'s LevelReport> {
    let (endpoint, protocol) = scene.destination()?;
    let scope = scene.main_scope()?;
    let headers = scope.traces("HEADERS").map_or("", |(_, value)| value);
    let key = headers
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("signoz-ingestion-key"))
        .and_then(|(_, value)| IngestionKey::parse(value.trim()).ok());
    let service_name: ServiceName = scope
        .get("OTEL_SERVICE_NAME")
        .and_then(|name| name.parse().ok())
        .or_else(|| "signoz-setup-check".parse().ok())?;
    let mut env = scene.system.env.clone();
    env.extend(scope.variables.iter().map(|(name, set)| (name.clone(), set.value.clone())));
    let system = System {
        env,
        ..scene.system.clone()
    };
    let request = ProbeRequest {
        endpoint: &endpoint,
        key: key.as_ref(),
        protocol,
        service_name: &service_name,
        region: None,
        deadline: scene.deadline,
    };
    Some(scene.endpoint_probe(|| probe(&system, &request, &|_| {})))
}
