//! Feeds: which vulnerability feeds the verdicts come from, and how old they are.

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_feeds::{kev, osv};
use bartizan_store::feed::Feed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// After how long a feed that nobody looked for anew is stale: trackers publish at least daily.
pub const STALE_AFTER: Duration = Duration::from_days(2);

/// How old what a feed says may be where it tells when it was published. EPSS is of each day. OSV's time is
/// that of its newest record: a small distribution goes days without one. CISA adds to its catalogue on
/// some days of a week, and on none over holidays.
fn published_limit(name: &str) -> Duration {
    match name {
        kev::FEED => Duration::from_days(14),
        name if name.starts_with(osv::FEED) => Duration::from_days(7),
        _ => STALE_AFTER,
    }
}

/// Whether what a feed says is too old to rely on: by when it was published, where it tells.
pub(crate) fn is_stale(feed: &Feed, now: Timestamp) -> bool {
    let old = feed.published_at.is_some_and(|at| now.since(at) > published_limit(&feed.name));
    old || now.since(feed.imported_at) > STALE_AFTER
}

/// One feed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub name: String,
    pub digest: String,
    pub records: u64,
    pub imported_at: String,
    /// None where the feed does not tell.
    pub published_at: Option<String>,
    /// When what it says was so, as far as is known: when it was published, else imported.
    pub as_of: String,
    /// What stands in the way of a newer import.
    pub problem: Option<String>,
    /// Whether it was published too long ago, or imported where it does not tell: what it does not say is
    /// not to be relied on.
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
        stale: is_stale(&feed, now),
        as_of: feed.published_at.unwrap_or(feed.imported_at).to_string(),
        name: feed.name,
        digest: feed.digest.to_string(),
        records: feed.records,
        imported_at: feed.imported_at.to_string(),
        published_at: feed.published_at.map(|at| at.to_string()),
        problem: feed.problem.map(|(problem, at)| format!("{problem} (since {at})")),
    });
    Ok(List { feeds: feeds.collect() })
}

#[cfg(test)]
mod tests {
    use bartizan_core::digest::Digest;

    use super::*;

    #[test]
    fn a_feed_is_as_old_as_what_it_says_where_it_tells() {
        let now = Timestamp::from_millis(1_000 * 86_400_000);
        let days = |days| now.minus(Duration::from_days(days));
        for (name, published, imported, stale) in [
            ("epss", Some(96), 0, true),
            ("epss", Some(1), 0, false),
            ("osv-debian", Some(96), 0, true),
            ("osv-debian", Some(3), 0, false),
            ("kev", Some(10), 0, false),
            ("kev", Some(10), 3, true),
            ("kev", Some(15), 0, true),
            ("debian-tracker", None, 0, false),
            ("debian-tracker", None, 3, true),
        ] {
            let feed = Feed {
                name: name.to_owned(),
                digest: Digest::of_bytes(b"feed"),
                records: 1,
                imported_at: days(imported),
                published_at: published.map(days),
                problem: None,
            };
            assert_eq!(is_stale(&feed, now), stale, "{name} {published:?} {imported}");
        }
    }
}
