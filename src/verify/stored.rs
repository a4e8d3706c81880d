//! Level `stored`: the span is read back from SigNoz by its trace id, and the link to it is shown.
//!
//! Speaks `POST /api/v5/query_range` (SigNoz docs, trace API overview, 2026-04) and, where that is missing or finds nothing,
//! `POST /api/v4/traces/{id}/waterfall`. May never show the API key, or change anything in the workspace.

mod workspace;

use super::endpoint::clock;
use crate::domain::event::Observer;
use crate::domain::report::Stage;
use crate::domain::{ApiKey, Event, Level, LevelReport, Outcome};
use crate::system::System;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use url::Url;
use workspace::{Look, Workspace, workspace};

/// How long to look for a span unless told otherwise; batching at the exporter and in SigNoz takes its time.
pub const LIMIT: Duration = Duration::from_secs(75);
/// The longest pause between two looks.
const PAUSE: Duration = Duration::from_secs(3);

/// The time range in which a span is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// From.
    pub from: SystemTime,
    /// To.
    pub until: SystemTime,
}

impl Window {
    /// A quarter of an hour on either side.
    #[must_use]
    pub fn around(moment: SystemTime) -> Self {
        let side = Duration::from_secs(15 * 60);
        Self {
            from: moment.checked_sub(side).unwrap_or(UNIX_EPOCH),
            until: moment + side,
        }
    }
}

/// The page of a trace.
#[must_use]
pub fn link(base_url: &Url, trace_id: &str) -> String {
    format!("{}/trace/{trace_id}", base_url.as_str().trim_end_matches('/'))
}

/// Looks for a trace until it is there or the limit is reached.
///
/// Blocks; must not be called on the runtime itself. Returns soon after the run is cancelled.
pub fn read_back(
    system: &System,
    base_url: &Url,
    api_key: &ApiKey,
    trace_id: &str,
    window: Window,
    limit: Duration,
    observer: Observer<'_>,
) -> LevelReport {
    let began = Instant::now();
    let cancelled = async {
        while system.cancel.signal().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = match workspace(system, base_url, api_key, trace_id, window) {
        Err(end) => end,
        Ok(workspace) => system.runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancelled => End::new("found", Outcome::Unknown, "interrupted before the span was found", None),
                end = look(&workspace, began, limit) => end,
            }
        }),
    };
    let passed = matches!(ended.outcome, Outcome::Pass | Outcome::Warn);
    let before: &[&str] = match ended.stage {
        "found" => &["reached", "api_key"],
        "api_key" => &["reached"],
        _ => &[],
    };
    let mut stages: Vec<Stage> = before
        .iter()
        .map(|name| Stage {
            name: (*name).to_owned(),
            outcome: Outcome::Pass,
            detail: "yes".to_owned(),
        })
        .collect();
    stages.push(Stage {
        name: ended.stage.to_owned(),
        outcome: ended.outcome,
        detail: ended.detail.clone(),
    });
    for stage in &stages {
        observer(Event::Verified {
            stage: stage.name.clone(),
            passed: matches!(stage.outcome, Outcome::Pass | Outcome::Warn),
            detail: stage.detail.clone(),
        });
    }
    LevelReport {
        level: Level::Stored,
        outcome: ended.outcome,
        trace_id: Some(trace_id.to_owned()),
        protocol: None,
        detail: ended.detail,
        remedy: ended.remedy,
        latency_ms: passed.then(|| u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)),
        stages,
    }
}

/// How looking ended.
struct End {
    stage: &'static str,
    outcome: Outcome,
    detail: String,
    remedy: Option<String>,
}

impl End {
    fn new(stage: &'static str, outcome: Outcome, detail: impl Into<String>, remedy: Option<&str>) -> Self {
        Self {
            stage,
            outcome,
            detail: detail.into(),
            remedy: remedy.map(str::to_owned),
        }
    }
}

async fn look(workspace: &Workspace<'_>, began: Instant, limit: Duration) -> End {
    let pause = (limit / 20).min(PAUSE);
    let mut last;
    loop {
        last = match workspace.by_query().await {
            Look::Unsupported => workspace.by_waterfall().await,
            other => other,
        };
        match last {
            Look::NotYet(_) if began.elapsed() + pause < limit => tokio::time::sleep(pause).await,
            // The time range may be what hides it; this question has none.
            Look::NotYet(why) => {
                last = match workspace.by_waterfall().await {
                    Look::Found => Look::Elsewhere,
                    _ => Look::NotYet(why),
                };
                break;
            }
            _ => break,
        }
    }
    let link = link(workspace.base_url, workspace.trace_id);
    match last {
        Look::Found => End::new(
            "found",
            Outcome::Pass,
            format!("stored: the span was read back after {} s; {link}", began.elapsed().as_secs()),
            None,
        ),
        Look::Elsewhere => End::new(
            "found",
            Outcome::Warn,
            format!("stored, but dated outside the last minutes, so this machine's clock is wrong; {link}"),
            Some(clock::REMEDY),
        ),
        Look::NotYet(why) => End::new(
            "found",
            Outcome::Fail,
            format!("the span was not found within {} s{why}", limit.as_secs()),
            Some(
                "check that the ingestion key and `SIGNOZ_URL` belong to the same workspace and region, and that the key's limit is not used up (SigNoz, Settings → Ingestion); some minutes of delay are possible, so open the link above later",
            ),
        )
        .with_link(&link),
        Look::Unsupported => End::new(
            "found",
            Outcome::Unknown,
            "this SigNoz answers neither of the two questions that this program can ask",
            Some("open the trace in the browser, or update SigNoz"),
        )
        .with_link(&link),
        Look::End(end) => end,
    }
}

impl End {
    fn with_link(mut self, link: &str) -> Self {
        self.detail = format!("{}; {link}", self.detail);
        self
    }
}
