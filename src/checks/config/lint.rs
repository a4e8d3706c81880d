//! One rule, held against every place that sets variables; and how a place is mended.

use crate::checks::scene::ScopeKind;
use crate::checks::{Failure, Scene, Verdict, scene::Scope};
use crate::detect::survey::masked;
use crate::domain::detection::Evidence;

/// Holds a rule against each scope that configures OpenTelemetry: the worst complaint speaks, the evidence of all is kept.
pub(in crate::checks) fn lint(scene: &Scene<'_>, good: &str, rule: impl Fn(&Scope) -> Option<Failure>) -> Verdict {
    if scene.configured().next().is_none() {
        return Verdict::Skip("no OTEL_* variable is set anywhere".to_owned());
    }
    let mut found: Vec<(String, Failure)> = Vec::new();
    for scope in scene.configured() {
        let Some(failure) = rule(scope) else { continue };
        match found.iter_mut().find(|(_, other)| other.detail == failure.detail) {
            Some((places, other)) => {
                if !places.split(", ").any(|place| place == scope.name) {
                    places.push_str(&format!(", {}", scope.name));
                }
                other.mild &= failure.mild;
                for evidence in failure.evidence {
                    if !other.evidence.contains(&evidence) {
                        other.evidence.push(evidence);
                    }
                }
                if let (Some(all), Some(remedy)) = (&mut other.remedy, failure.remedy)
                    && !all.contains(&remedy)
                {
                    all.push_str(&format!("; {remedy}"));
                }
            }
            None => found.push((scope.name.clone(), failure)),
        }
    }
    found.sort_by_key(|(_, failure)| failure.mild);
    let mut all = Failure {
        mild: found.iter().all(|(_, failure)| failure.mild),
        ..Failure::default()
    };
    if found.is_empty() {
        return Verdict::Pass(good.to_owned());
    }
    let words: Vec<String> = found
        .iter()
        .map(|(places, failure)| format!("{places}: {}", failure.detail))
        .collect();
    all.detail = masked("", &words.join("; "));
    let mut remedies: Vec<String> = Vec::new();
    for (_, failure) in found {
        remedies.extend(failure.remedy.filter(|remedy| !remedies.contains(remedy)));
        all.evidence.extend(failure.evidence);
    }
    all.remedy = (!remedies.is_empty()).then(|| remedies.join("; "));
    all.into()
}

/// Whether the scope holds all that the app will see, so that a missing variable says something.
pub(in crate::checks) fn is_complete(scope: &Scope) -> bool {
    matches!(scope.kind, ScopeKind::RunScript | ScopeKind::Process)
}

/// What to do so that a variable has a value, where it was set.
pub(in crate::checks) fn write(scope: &Scope, name: &str, value: &str) -> String {
    // A password in a URL is not for showing, nor is anything that steers the terminal.
    let value = masked(name, value);
    match source(scope, name) {
        Some("this shell") => format!("export {name}={value}"),
        Some(pid) if pid.starts_with("pid ") => format!("set {name}={value} where {} is started, and start it anew", scope.name),
        Some(place) => format!("write `{name}={value}` in {place}"),
        None => match scope.kind {
            ScopeKind::RunScript => format!("add `{name}={value}` to .signoz/otel.env"),
            ScopeKind::Process => format!("set {name}={value} where {} is started, and start it anew", scope.name),
            ScopeKind::Shell => format!("export {name}={value}"),
            ScopeKind::File => format!("add `{name}={value}` to {}", scope.name),
        },
    }
}

/// What to do so that a variable is no longer set.
pub(in crate::checks) fn remove(scope: &Scope, name: &str) -> String {
    match source(scope, name) {
        Some("this shell") => format!("unset {name}"),
        Some(pid) if pid.starts_with("pid ") => format!("remove {name} where {} is started, and start it anew", scope.name),
        place => format!("remove {name} from {}", place.unwrap_or(&scope.name)),
    }
}

/// A variable that a scope should set and does not, as evidence.
pub(in crate::checks) fn absent(scope: &Scope, name: &str) -> Evidence {
    let place = if scope.kind == ScopeKind::RunScript {
        ".signoz/otel.env"
    } else {
        &scope.name
    };
    Evidence::new(place, format!("{name} is not set"))
}

fn source<'a>(scope: &'a Scope, name: &str) -> Option<&'a str> {
    scope.variables.get(name).map(|set| set.source.as_str())
}

/// A value without the white space and quotes around it, of which other rows speak.
pub(in crate::checks) fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\'']).trim()
}

/// A value that is still to be filled in or expanded; only its own row speaks of it.
pub(in crate::checks) fn is_open(value: &str) -> bool {
    value.contains(['<', '>', '{', '}', '$'])
}

/// Whether variables stand literally in this scope, so that `$NAME` will never be expanded.
pub(in crate::checks) fn is_literal(scope: &Scope) -> bool {
    is_complete(scope)
}
