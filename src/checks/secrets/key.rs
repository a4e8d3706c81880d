//! Whether the key is there, whole, and the one that is meant.

use super::SECRETS;
use crate::checks::scene::{Scope, ScopeKind};
use crate::checks::{Check, Failure, Scene, Severity, Verdict, page};
use crate::domain::IngestionKey;
use crate::domain::detection::Evidence;

/// What stands behind the header of the key in one scope; quotes of the whole value left out.
pub(super) struct Written<'a> {
    /// The variable.
    pub(super) name: String,
    /// As it stands, white space included.
    pub(super) value: &'a str,
}

/// The key of a scope.
pub(super) fn written(scope: &Scope) -> Option<Written<'_>> {
    let (name, headers) = scope.traces("HEADERS")?;
    let headers = headers.trim_end_matches(['\r', '\n']).trim_matches(['"', '\'']);
    let value = headers.split(',').find_map(|part| {
        let (header, value) = part.split_once('=')?;
        let header = header.trim().to_ascii_lowercase().replace('_', "-");
        matches!(header.as_str(), "signoz-ingestion-key" | "signoz-access-token").then_some(value)
    })?;
    Some(Written { name, value })
}

/// Compares keys without showing them.
fn fingerprint(value: &str) -> Option<String> {
    let value = value.trim().trim_matches(['"', '\'']).replace("%5C", "\\").replace("%25", "%");
    Some(IngestionKey::parse(&value).ok()?.fingerprint())
}

fn place<'a>(scope: &'a Scope, name: &str) -> &'a str {
    scope.variables.get(name).map_or(scope.name.as_str(), |set| set.source.as_str())
}

fn is_cloud(scope: &Scope) -> bool {
    scope
        .traces("ENDPOINT")
        .is_some_and(|(_, value)| value.contains("signoz.cloud") || value.contains("ingest.signoz.io"))
}

/// The first scope that the rule complains of; pass when there is a key and none does.
fn each(scene: &Scene<'_>, good: &str, rule: impl Fn(&Scope, &Written<'_>) -> Option<Failure>) -> Verdict {
    let mut seen = false;
    let mut found: Option<Failure> = None;
    for scope in &scene.scopes {
        let Some(key) = written(scope) else { continue };
        seen = true;
        match (&mut found, rule(scope, &key)) {
            (Some(all), Some(failure)) => all.evidence.extend(failure.evidence),
            (None, Some(failure)) => found = Some(failure),
            _ => {}
        }
    }
    match found {
        Some(failure) => failure.into(),
        None if seen => Verdict::Pass(good.to_owned()),
        None => Verdict::Skip("no key is set".to_owned()),
    }
}

const AGAIN: &str = "copy the key from Settings → Ingestion in SigNoz";

pub(super) const PRESENT: Check = Check {
    id: "secrets.key-present",
    title: "a key is there where one is needed",
    why: "SigNoz Cloud refuses every batch without a key (401)",
    remedy: "run signoz-setup again and give it the key",
    page: page!("secrets.key-present"),
    covers: &["D08"],
    run: present,
    ..SECRETS
};

fn present(scene: &Scene<'_>) -> Verdict {
    let mut seen = false;
    for scope in scene.scopes.iter().filter(|scope| scope.kind != ScopeKind::Shell) {
        let needs = scope.kind != ScopeKind::File && is_cloud(scope);
        match written(scope) {
            Some(key) if key.value.trim().trim_matches(['"', '\'']).is_empty() => {
                let name = key.name;
                return Failure::new(format!("{}: the key in {name} is empty", scope.name))
                    .remedy(format!(
                        "{AGAIN} and write {name}=signoz-ingestion-key=YOUR-KEY in {}",
                        place(scope, &name)
                    ))
                    .because(scope.evidence(&name))
                    .into();
            }
            Some(_) => seen = true,
            // Headers of another name have a row of their own.
            None if needs && scope.traces("HEADERS").is_none() => {
                let home = if scope.kind == ScopeKind::RunScript {
                    ".signoz/otel.env"
                } else {
                    &scope.name
                };
                return Failure::new(format!("{}: spans go to SigNoz Cloud, and no key is set", scope.name))
                    .remedy(format!(
                        "{AGAIN} and write OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=YOUR-KEY in {home}"
                    ))
                    .because([Evidence::new(home, "OTEL_EXPORTER_OTLP_HEADERS is not set")])
                    .into();
            }
            None => {}
        }
    }
    if seen {
        Verdict::Pass("a key is set".to_owned())
    } else {
        Verdict::Skip("no spans go to SigNoz Cloud, and no key is set".to_owned())
    }
}

pub(super) const FILLED_IN: Check = Check {
    id: "secrets.key-filled-in",
    title: "the key is no placeholder",
    why: "an example's key, or a variable that nobody expanded, is sent as it stands and refused (401)",
    remedy: "copy the key from Settings → Ingestion in SigNoz",
    page: page!("secrets.key-filled-in"),
    covers: &["D07"],
    run: |scene| {
        each(scene, "the key is no placeholder", |scope, key| {
            let value = key.value.trim();
            let lower = value.to_ascii_lowercase();
            let plain = lower.replace('-', "_");
            let example = [
                "your_key",
                "your_ingestion_key",
                "signoz_ingestion_key",
                "ingestion_key",
                "my_key",
                "changeme",
                "xxx",
                "xxxx",
                "todo",
            ];
            // Compose, scripts and Dockerfiles expand `${NAME}` themselves.
            let open = value.contains(['<', '>']) || value.contains("{{") || scope.kind != ScopeKind::File && value.contains(['$', '{']);
            (open || example.contains(&plain.as_str()) || plain.starts_with("your_")).then(|| {
                Failure::new(format!("{}: a placeholder stands where the key belongs", scope.name))
                    .remedy(format!(
                        "{AGAIN} and put it in place of the placeholder in {}",
                        place(scope, &key.name)
                    ))
                    .because(scope.evidence(&key.name))
            })
        })
    },
    ..SECRETS
};

pub(super) const PLAIN: Check = Check {
    id: "secrets.key-plain",
    title: "the key stands alone in its header",
    why: "`Bearer`, a second header name or white space is part of what is compared: the key is refused (401)",
    remedy: "write the key alone behind signoz-ingestion-key=",
    page: page!("secrets.key-plain"),
    covers: &["E09", "D33"],
    run: |scene| {
        each(scene, "nothing stands beside the key", |scope, key| {
            let value = key.value;
            let lower = value.trim().to_ascii_lowercase();
            let what = if lower.starts_with("bearer") {
                "`Bearer` stands before the key"
            } else if lower.starts_with("signoz-") {
                "the header's name stands before the key once more"
            } else if value.contains('\r') || value.contains('\n') || lower.ends_with("%0a") || lower.ends_with("%0d") {
                "a line end is part of the key"
            } else {
                return None;
            };
            Some(
                Failure::new(format!("{}: {what}", scope.name))
                    .remedy(format!(
                        "write the key alone behind signoz-ingestion-key= in {}",
                        place(scope, &key.name)
                    ))
                    .because(scope.evidence(&key.name)),
            )
        })
    },
    ..SECRETS
};

pub(super) const KIND: Check = Check {
    id: "secrets.key-kind",
    title: "the key is an ingestion key, not an API key",
    why: "a service account's API key reads; it is refused where spans are written",
    remedy: "copy the key from Settings → Ingestion in SigNoz",
    page: page!("secrets.key-kind"),
    severity: Severity::Warning,
    covers: &["E07"],
    run: |scene| {
        each(scene, "it does not look like an API key", |scope, key| {
            let value = key.value.trim();
            let base64 = value.len() == 44
                && value.ends_with('=')
                && value
                    .trim_end_matches('=')
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b));
            base64.then(|| {
                Failure::new(format!("{}: the key has the shape of a service account's API key", scope.name))
                    .remedy(format!(
                        "{AGAIN} (not from Service accounts) and write it in {}",
                        place(scope, &key.name)
                    ))
                    .because(scope.evidence(&key.name))
            })
        })
    },
    ..SECRETS
};

pub(super) const SAME: Check = Check {
    id: "secrets.same-key",
    title: "running processes have the key that is written down",
    why: "a process keeps the key of its start: after a change the old one is refused until a restart",
    remedy: "start the app anew",
    page: page!("secrets.same-key"),
    covers: &["D01"],
    run: same,
    ..SECRETS
};

fn same(scene: &Scene<'_>) -> Verdict {
    // The file itself: a variable of this shell may hide it in the run script's scope.
    let text = scene.text(".signoz/otel.env").unwrap_or_default();
    let file = text.lines().find_map(|line| line.strip_prefix("OTEL_EXPORTER_OTLP_HEADERS="));
    let Some(file) = file
        .and_then(|headers| headers.split_once('='))
        .and_then(|(_, key)| fingerprint(key))
    else {
        return Verdict::Skip("there is no key in .signoz/otel.env".to_owned());
    };
    let others = scene.scopes.iter().filter(|scope| {
        let own = scope.kind == ScopeKind::Process;
        own || scope.kind == ScopeKind::RunScript && written(scope).is_some_and(|key| place(scope, &key.name) == "this shell")
    });
    let mut seen = false;
    for scope in others {
        let Some(key) = written(scope) else { continue };
        let Some(own) = fingerprint(key.value) else { continue };
        seen = true;
        if own != file {
            let place = place(scope, &key.name);
            let remedy = if place == "this shell" {
                format!("unset {}", key.name)
            } else {
                format!(
                    "start {} anew; if it keeps its key, remove {} where it is set outside of .signoz/otel.env",
                    scope.name, key.name
                )
            };
            return Failure::new(format!(
                "the key of {place} (sha256 {own}…) is not that of .signoz/otel.env (sha256 {file}…)"
            ))
            .remedy(remedy)
            .because([
                Evidence::new(place, format!("sha256 {own}…")),
                Evidence::new(".signoz/otel.env", format!("sha256 {file}…")),
            ])
            .into();
        }
    }
    if seen {
        Verdict::Pass(format!("all have the key with sha256 {file}…"))
    } else {
        Verdict::Skip("no running process with a key was found".to_owned())
    }
}
