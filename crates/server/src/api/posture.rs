//! Posture: how the whole fleet stands, in a few figures.

use axum::extract::State;
use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::asset::Life;
use bartizan_core::severity::Severity;
use bartizan_core::vulnerability::matching::FixState;
use schemars::JsonSchema;
use serde::Serialize;

use super::openapi::Shape;
use crate::auth::READERS;
use crate::problem::Problem;
use crate::web::{Route, Web};

/// How the fleet stands.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Posture {
    pub assets: u64,
    pub retired: u64,
    /// Rules over all assets: each rule counts once for each asset that has it.
    pub met: u64,
    pub not_met: u64,
    pub unknown: u64,
    /// Vulnerabilities that affect at least one asset.
    pub vulnerabilities: u64,
    /// Those of them that a published version fixes.
    pub fixable: u64,
    /// Those rated high or critical.
    pub severe: u64,
    pub open_alerts: u64,
    /// Open alerts that nobody has taken on.
    pub unacknowledged: u64,
    /// Whether any feed was imported: without one, vulnerabilities are unknown.
    pub feeds: u64,
    /// When the oldest feed was imported.
    pub feeds_since: Option<String>,
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
    let mut after = None;
    loop {
        let page = web.store.assets(after, bartizan_store::asset::PAGE_LIMIT).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.number);
        let retired = page.iter().filter(|asset| asset.life == Life::Retired).count() as u64;
        posture.retired += retired;
        posture.assets += page.len() as u64 - retired;
    }
    for ((_, plane), count) in web.store.plane_counts().await? {
        match plane.as_str() {
            "met" => posture.met += count,
            "not_met" => posture.not_met += count,
            "unknown" => posture.unknown += count,
            _ => {}
        }
    }
    for finding in super::finding::list(web).await?.findings {
        if finding.kind == "vulnerability" {
            posture.vulnerabilities += 1;
            posture.fixable += u64::from(finding.fix_state.as_deref() == Some(FixState::Published.as_str()));
            let severity: Severity = finding.severity.parse().unwrap_or(Severity::None);
            posture.severe += u64::from(severity >= Severity::High);
        }
    }
    for alert in web.store.alerts(true, bartizan_store::alert::PAGE_LIMIT).await? {
        posture.open_alerts += 1;
        posture.unacknowledged += u64::from(alert.acknowledged.is_none());
    }
    let feeds = web.store.feeds().await?;
    posture.feeds = feeds.len() as u64;
    posture.feeds_since = feeds.iter().map(|feed| feed.imported_at).min().map(|at| at.to_string());
    posture.ledger = web.store.checkpoint().await?.map_or(0, |head| head.size);
    Ok(posture)
}
