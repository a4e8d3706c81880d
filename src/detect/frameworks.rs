//! Web and task frameworks: installed, with the version from the environment's metadata, or only required.

use super::text::{clean, evidence};
use crate::domain::Distribution;
use crate::domain::detection::{Evidence, Framework};
use std::collections::BTreeMap;
use std::path::Path;

/// Distributions that are frameworks, those that serve requests first.
const FRAMEWORKS: &[&str] = &[
    "django",
    "flask",
    "fastapi",
    "starlette",
    "litestar",
    "quart",
    "sanic",
    "falcon",
    "pyramid",
    "tornado",
    "aiohttp",
    "bottle",
    "cherrypy",
    "connexion",
    "dash",
    "streamlit",
    "celery",
    "rq",
    "dramatiq",
    "huey",
    "arq",
    "taskiq",
];

/// Finds them.
pub(super) fn find(
    project: &Path,
    installed: &BTreeMap<String, Distribution>,
    required: &BTreeMap<String, Vec<Evidence>>,
) -> Vec<Framework> {
    FRAMEWORKS
        .iter()
        .filter_map(|name| {
            let (distribution, lines) = (installed.get(*name), required.get(*name));
            let location = distribution.map(|found| {
                let path = found.location.strip_prefix(project).unwrap_or(&found.location);
                evidence(path.display().to_string(), format!("{name} {}", found.version))
            });
            let because: Vec<_> = location.into_iter().chain(lines.into_iter().flatten().cloned()).collect();
            (!because.is_empty()).then(|| Framework {
                name: (*name).to_owned(),
                version: distribution.map(|found| clean(&found.version)),
                because,
            })
        })
        .collect()
}
