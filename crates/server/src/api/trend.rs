//! Trends: how the fleet stood over time, and how its backlog burns down.

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::error::Class;
use bartizan_core::time::Timestamp;
use bartizan_core::trend::{self, BACKLOG_LIMIT, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::{Problem, Query};
use crate::web::{Route, Web};

/// Which samples are asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// `minute` (of the last two hours), `hour` (of the last two days) or `day` (of the last two years); where
    /// none is named, the shortest that shows everything since the first sample.
    #[serde(default)]
    pub step: String,
}

/// How the fleet stood at the end of one step; the newest says how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// When the step began.
    pub start: String,
    pub assets: u64,
    /// Rules over all assets: each rule counts once for each asset that has it.
    pub met: u64,
    pub not_met: u64,
    pub unknown: u64,
    /// Vulnerabilities that affect at least one asset; null where no feed was imported: then it is unknown.
    pub vulnerabilities: Option<u64>,
    /// Those of them rated high or critical.
    pub severe: u64,
    /// Those of them that no feed rates.
    pub unrated: u64,
    /// Those of them that are known to be exploited; null where no catalogue of such was imported.
    pub exploited: Option<u64>,
    pub open_alerts: u64,
    /// Findings that first sight of an asset opened, and that are open still.
    pub backlog_open: u64,
    /// Those that ended since: mended, withdrawn, or gone with their asset.
    pub backlog_ended: u64,
}

/// The backlog of now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backlog {
    pub open: u64,
    pub ended: u64,
    /// When the first asset was looked at for the first time, and when the newest.
    pub first: Option<String>,
    pub last: Option<String>,
    /// When what the first asset brought along has to be gone, and when all of it has: so long after each
    /// asset's first look.
    pub first_due: Option<String>,
    pub due: Option<String>,
    /// How long an asset's backlog may take.
    pub limit: String,
}

/// How the fleet stood over time.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// How long the time is that each sample stands for: `minute`, `hour` or `day`.
    pub step: String,
    /// The oldest first; each step has one, also where nothing changed in it.
    pub samples: Vec<Sample>,
    pub backlog: Backlog,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::get::<Trend>("/api/v1/trend").query::<Asked>()]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/api/v1/trend",
        roles: Some(READERS),
        summary: Some("How the fleet stood over time, and how its backlog burns down."),
        handler: get(|State(web): State<Web>, Query(asked): Query<Asked>| async move {
            let step = match asked.step.as_str() {
                "" => None,
                word => Some(word.parse().map_err(|error| Problem::new(Class::Invalid, error))?),
            };
            trend(&web, step).await.map(Json)
        }),
    }]
}

/// How the fleet stood over time, by this step or by the one that shows it best.
pub(crate) async fn trend(web: &Web, step: Option<Step>) -> Result<Trend, Problem> {
    let now = web.ambient.now();
    let first = web.store.trend_span().await?.map_or(now, |(first, _)| first);
    let step = step.unwrap_or_else(|| Step::over(first, now));
    let from = now.minus(step.kept());
    let samples = web.store.trend(step, from).await?;
    let samples = trend::carried(step, &samples, from, now);
    Ok(Trend {
        step: step.to_string(),
        samples: samples.iter().map(sample).collect(),
        backlog: backlog(&web.store.backlog().await?),
    })
}

fn sample(sample: &trend::Sample) -> Sample {
    let figures = sample.figures;
    Sample {
        start: sample.start.to_string(),
        assets: figures.assets,
        met: figures.met,
        not_met: figures.not_met,
        unknown: figures.unknown,
        vulnerabilities: figures.vulnerabilities,
        severe: figures.severe,
        unrated: figures.unrated,
        exploited: figures.exploited,
        open_alerts: figures.open_alerts,
        backlog_open: figures.backlog.open,
        backlog_ended: figures.backlog.ended,
    }
}

fn backlog(backlog: &trend::Backlog) -> Backlog {
    let told = |at: Option<Timestamp>| at.map(|at| at.to_string());
    Backlog {
        open: backlog.open,
        ended: backlog.ended,
        first: told(backlog.first),
        last: told(backlog.last),
        first_due: told(backlog.first.map(|first| first.plus(BACKLOG_LIMIT))),
        due: told(backlog.due()),
        limit: BACKLOG_LIMIT.to_string(),
    }
}
