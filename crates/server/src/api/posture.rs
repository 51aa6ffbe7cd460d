//! Posture: how the whole fleet stands, in a few figures.

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::accepted::Overlay;
use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// How the fleet stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Posture {
    pub assets: u64,
    /// Those of them that no agent runs on, of which everything is unknown.
    pub declared: u64,
    pub retired: u64,
    /// Hosts that wait in quarantine for a person to let them in; they count nowhere else.
    pub quarantined: u64,
    /// Rules over all assets: each rule counts once for each asset that has it.
    pub met: u64,
    pub not_met: u64,
    pub unknown: u64,
    /// Findings that are accepted, and open still: each counts once for each asset that has it.
    pub accepted: u64,
    /// Findings that somebody owns or said something of, and whose deadline has passed; those that nobody has put
    /// anything on are not counted.
    #[serde(default)]
    pub overdue: u64,
    /// Vulnerabilities that affect at least one asset.
    pub vulnerabilities: u64,
    /// Those of them that a published version fixes.
    pub fixable: u64,
    /// Those rated high or critical.
    pub severe: u64,
    /// Those that no feed rates: how grave they are is unknown.
    pub unrated: u64,
    /// Vulnerabilities of which nobody can say whether they affect some asset.
    pub vulnerabilities_unknown: u64,
    /// Assets whose builds no feed speaks of, or that no agent runs on: what they have is unknown.
    pub assets_unknown: u64,
    /// Builds that no feed was asked about yet.
    pub builds_waiting: u64,
    /// Verdicts on builds that the figures don't hold yet.
    pub matches_waiting: u64,
    /// When the newest report that the figures hold was recorded; none before the first.
    pub as_of: Option<String>,
    /// Reports that changed something, and that the figures don't hold yet.
    pub reports_waiting: u64,
    pub open_alerts: u64,
    /// Open alerts that nobody has taken on.
    pub unacknowledged: u64,
    /// Whether any feed was imported: without one, vulnerabilities are unknown.
    pub feeds: u64,
    /// When the oldest feed was imported.
    pub feeds_since: Option<String>,
    /// When the oldest of those that tell was published.
    pub feeds_published_since: Option<String>,
    /// Feeds that do not tell when they were published.
    pub feeds_untold: u64,
    /// Feeds that are too old for what they do not say to be good news.
    pub feeds_stale: u64,
    pub ledger: u64,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::get::<Posture>("/api/v1/posture")]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/api/v1/posture",
        roles: Some(READERS),
        summary: Some("How the fleet stands, in a few figures."),
        handler: get(|State(web): State<Web>| async move { posture(&web).await.map(Json) }),
    }]
}

/// How the fleet stands.
pub async fn posture(web: &Web) -> Result<Posture, Problem> {
    let mut posture = Posture::default();
    let counts = web.store.asset_counts().await?;
    (posture.assets, posture.retired) = (counts.watched, counts.retired);
    posture.quarantined = counts.quarantined;
    let standings = web.stale.read().total(&web.store).await?;
    (posture.met, posture.not_met, posture.unknown) = (standings.met, standings.not_met, standings.unknown);
    let totals = web.store.vulnerability_totals().await?;
    posture.vulnerabilities = totals.open;
    posture.fixable = totals.fixable;
    posture.severe = totals.severe;
    posture.unrated = totals.unrated;
    posture.vulnerabilities_unknown = totals.unknown;
    posture.assets_unknown = super::vulnerability::uncovered(web).await?.iter().map(|row| row.assets).sum();
    posture.declared = web.store.declared_assets().await?;
    posture.assets_unknown += posture.declared;
    let as_of = web.store.as_of().await?;
    posture.as_of = as_of.at.map(|at| at.to_string());
    posture.reports_waiting = as_of.waiting;
    posture.builds_waiting = as_of.builds;
    posture.matches_waiting = as_of.matches;
    posture.accepted = Overlay::read(web).await?.count().await?;
    posture.overdue = super::finding::held::overdue(web).await?;
    (posture.open_alerts, posture.unacknowledged) = web.store.open_alert_counts().await?;
    let feeds = web.store.feeds().await?;
    posture.feeds = feeds.len() as u64;
    posture.feeds_since = feeds.iter().map(|feed| feed.imported_at).min().map(|at| at.to_string());
    posture.feeds_published_since =
        feeds.iter().filter_map(|feed| feed.published_at).min().map(|at| at.to_string());
    posture.feeds_untold = feeds.iter().filter(|feed| feed.published_at.is_none()).count() as u64;
    let now = web.ambient.now();
    posture.feeds_stale = feeds.iter().filter(|feed| super::feed::is_stale(feed, now)).count() as u64;
    posture.ledger = web.store.checkpoint().await?.map_or(0, |head| head.size);
    Ok(posture)
}
