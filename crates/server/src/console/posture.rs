//! The overview: how the fleet stands, and what needs a human now.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::http::Method;
use axum::routing::get;

use super::chart::curve::Curve;
use super::chart::{self, Columns, Share};
use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked, trend};
use crate::api;
use crate::api::alert;
use crate::api::asset::Verdicts;
use crate::api::feed;
use crate::api::incident;
use crate::api::posture::Posture;
use crate::auth::READERS;
use crate::web::{Route, Web};

/// The most alerts that the overview lists, and the most incidents; the others are a link away.
const ALERTS_LIMIT: usize = 8;

/// How many days of alerts are drawn.
const DAYS: u64 = 14;

#[derive(Template)]
#[template(path = "posture/part.html")]
struct Part {
    now: Now,
    posture: Posture,
    share: Share,
    /// Incidents that nobody acknowledged.
    incidents: Vec<incident::Row>,
    more_incidents: u64,
    /// Alerts that nobody took on, but for those of these incidents.
    alerts: Vec<alert::Row>,
    /// Unacknowledged alerts that are not listed.
    more: usize,
    feeds: Vec<feed::Row>,
    /// Alerts a day; none where there are more than were read.
    opened: Option<Columns>,
    /// How it came to stand so.
    curves: Vec<Curve>,
    /// How long each step of them is.
    step: String,
    head: api::ledger::Head,
}

impl HtmlSafe for Part {}

impl Part {
    /// Feeds that a person should look after.
    fn troubled(&self) -> impl Iterator<Item = &feed::Row> {
        self.feeds.iter().filter(|feed| feed.stale || feed.problem.is_some())
    }

    /// Whether some feed is too old for what it does not say to be good news.
    fn stale(&self) -> bool {
        self.feeds.iter().any(|feed| feed.stale)
    }

    fn quiet(&self) -> bool {
        self.alerts.is_empty()
            && self.incidents.is_empty()
            && self.posture.unknown == 0
            && self.posture.assets_unknown == 0
            && self.posture.feeds > 0
            && self.posture.assets > 0
            && self.posture.quarantined == 0
            && self.posture.overdue == 0
            && self.troubled().next().is_none()
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/",
        roles: Some(READERS),
        summary: None,
        handler: get(overview),
    }]
}

async fn overview(State(web): State<Web>, asked: Asked) -> Answer {
    let posture = api::posture::posture(&web).await?;
    let all = alert::list(&web, true).await?;
    let whole = all.alerts.len() < alert::PAGE_LIMIT;
    let times: Vec<_> = all.alerts.iter().filter_map(|row| row.opened_at.parse().ok()).collect();
    let opened = whole.then(|| chart::by_day("Alerts", &times, asked.now.at(), DAYS));
    let mut alerts = alert::list(&web, false).await?.alerts;
    let waiting = incident::waiting(&web, ALERTS_LIMIT).await?;
    // What belongs to an incident is told by that.
    alerts.retain(|row| row.acknowledged_by.is_none() && !waiting.alerts.contains(&row.id));
    let severity = |row: &alert::Row| row.severity.parse().unwrap_or(bartizan_core::severity::Severity::None);
    alerts.sort_by_key(|row| std::cmp::Reverse(severity(row)));
    let more = alerts.len().saturating_sub(ALERTS_LIMIT);
    alerts.truncate(ALERTS_LIMIT);
    let verdicts = Verdicts { met: posture.met, not_met: posture.not_met, unknown: posture.unknown };
    let over = api::trend::trend(&web, None).await?;
    let part = Part {
        now: asked.now,
        incidents: waiting.incidents,
        more_incidents: waiting.more as u64,
        share: chart::share(&verdicts),
        posture,
        alerts,
        more,
        feeds: feed::list(&web).await?.feeds,
        opened,
        curves: trend::curves(&over, asked.now.at()),
        step: over.step,
        head: api::ledger::head(&web).await?,
    };
    asked.answer(Place::new(Section::Overview, "Overview"), part)
}
