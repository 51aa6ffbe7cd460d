//! Feeds: which vulnerability feeds the verdicts come from, and how old they are.

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::time::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// After how long a feed is stale: trackers publish at least daily.
pub const STALE_AFTER: Duration = Duration::from_days(2);

/// One feed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub name: String,
    pub digest: String,
    pub records: u64,
    pub imported_at: String,
    pub published_at: Option<String>,
    /// What stands in the way of a newer import.
    pub problem: Option<String>,
    /// Whether the last import is older than [`STALE_AFTER`]: its verdicts are not to be relied on.
    pub stale: bool,
}

/// All feeds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub feeds: Vec<Row>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::get::<List>("/api/v1/feeds")]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/api/v1/feeds",
        roles: Some(READERS),
        summary: Some("List the feeds, with their digests and ages."),
        handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
    }]
}

/// All feeds.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let now = web.ambient.now();
    let feeds = web.store.feeds().await?.into_iter().map(|feed| Row {
        name: feed.name,
        digest: feed.digest.to_string(),
        records: feed.records,
        stale: now.since(feed.imported_at) > STALE_AFTER,
        imported_at: feed.imported_at.to_string(),
        published_at: feed.published_at.map(|at| at.to_string()),
        problem: feed.problem.map(|(problem, at)| format!("{problem} (since {at})")),
    });
    Ok(List { feeds: feeds.collect() })
}
