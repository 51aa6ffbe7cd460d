//! Alerts: what a human must look at, and what people do about it.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::id::AlertId;
use bartizan_core::monitoring::alert::{Alert, Member, Stage};
use bartizan_core::monitoring::silence::Silence;
use bartizan_core::person::Person;
use bartizan_core::selector::Labels;
use bartizan_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use super::{Answer, Ruled, decide};
use crate::auth::{READERS, RESPONDERS};
use crate::policy::Origin;
use crate::problem::{Body, Problem, Query};
use crate::web::{Route, Web};

/// The most alerts that one page lists.
pub(crate) const PAGE_LIMIT: usize = 200;

/// One alert in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    pub kind: String,
    pub subject: String,
    pub service: String,
    pub environment: String,
    pub severity: String,
    pub summary: String,
    pub opened_at: String,
    /// `open`, `resolved` or `closed`.
    pub stage: String,
    pub ended_at: Option<String>,
    pub firing: u32,
    pub unknown: u32,
    pub resolved: u32,
    /// Who took it on.
    pub acknowledged_by: Option<String>,
    /// The silence that holds it back, of several the one that ends last; none where it is told.
    #[serde(default)]
    pub silenced: Option<Silenced>,
}

/// What holds an alert back from its receivers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Silenced {
    pub silence: String,
    pub owner: String,
    pub until: String,
    pub reason: String,
}

/// One alert with its places and who was told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub row: Row,
    /// Why a person ended it.
    pub reason: Option<String>,
    /// The rule that raised it; none where the server itself noticed it, or no document has the rule any more.
    #[serde(default)]
    pub rule: Option<Rule>,
    pub places: Vec<Place>,
    pub notifications: Vec<Told>,
}

/// The rule that raised an alert, in the words of its document as that stands in the alert's environment now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// The kind of its document: `Baseline`, `Detection` or `Health`.
    pub kind: String,
    /// The name of its document.
    pub document: String,
    /// Its own name there.
    pub rule: String,
    pub title: String,
    /// What was seen, or why it matters.
    pub description: Option<String>,
    /// What to do about it.
    pub remediation: Option<String>,
    /// What it may match without anything being wrong.
    #[serde(default)]
    pub false_positives: Vec<String>,
}

/// One place of one asset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    pub asset: String,
    pub asset_id: String,
    pub object: String,
    pub summary: String,
    /// `firing`, `unknown` or `resolved`.
    pub state: String,
    pub since: String,
}

/// Who was told, and how it went.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    pub receiver: String,
    pub number: u32,
    pub occasion: String,
    pub at: String,
    /// `claimed`, `delivered` or `failed`.
    pub state: String,
    pub attempts: u32,
    pub problem: Option<String>,
    /// The ways that were attempted: a repeat goes by those alone that failed.
    #[serde(default)]
    pub ways: Vec<Way>,
}

/// One way of a receiver, and how the last attempt by it went.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Way {
    /// `webhook`, or `mail:` and the address.
    pub way: String,
    /// `delivered` or `failed`.
    pub state: String,
    pub at: String,
    pub problem: Option<String>,
}

/// A page of alerts, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub alerts: Vec<Row>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Filter {
    /// Whether those that have ended are listed, too.
    #[serde(default)]
    pub all: bool,
}

/// Why somebody does it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Because {
    #[serde(default)]
    pub reason: String,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/alerts").query::<Filter>(),
        Shape::get::<Described>("/api/v1/alerts/{alert}"),
        Shape::post::<Ruled>("/api/v1/alerts/{alert}/acknowledge"),
        Shape::post::<Ruled>("/api/v1/alerts/{alert}/close").body::<Because>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/alerts",
            roles: Some(READERS),
            summary: Some("List open alerts; `all=true` lists those that have ended, too."),
            handler: get(|State(web): State<Web>, Query(filter): Query<Filter>| async move {
                list(&web, filter.all).await.map(Json)
            }),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/alerts/{alert}",
            roles: Some(READERS),
            summary: Some("Describe an alert."),
            handler: get(|State(web): State<Web>, Path(alert): Path<String>| async move {
                describe(&web, &alert).await.map(Json)
            }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/alerts/{alert}/acknowledge",
            roles: Some(RESPONDERS),
            summary: Some("Take an alert on."),
            handler: post(
                |State(web): State<Web>, Extension(person): Extension<Person>, Path(alert): Path<String>| async move {
                    let ruled: Answer<Ruled> = acknowledge(&web, &person, &alert).await.map(Json);
                    ruled
                },
            ),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/alerts/{alert}/close",
            roles: Some(RESPONDERS),
            summary: Some("End an alert, with the reason why nobody needs to look at it."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(alert): Path<String>,
                 Body(because): Body<Because>| async move {
                    let ruled: Answer<Ruled> = close(&web, &person, &alert, &because).await.map(Json);
                    ruled
                },
            ),
        },
    ]
}

/// The silences that are in force, as they lie over alerts.
struct Silences {
    now: Timestamp,
    all: Vec<(String, Silence)>,
}

impl Silences {
    async fn read(web: &Web) -> Result<Silences, Problem> {
        let now = web.ambient.now();
        Ok(Silences { now, all: web.store.silences(now).await? })
    }

    async fn over(&self, web: &Web, alert: &Alert) -> Result<Option<Silenced>, Problem> {
        if self.all.is_empty() || alert.stage != Stage::Open {
            return Ok(None);
        }
        let mute = self.all.iter().filter(|(_, silence)| silence.holds(alert, self.now));
        let Some((id, silence)) = mute.max_by_key(|(_, silence)| silence.ends_at) else { return Ok(None) };
        let owner = web.store.person(silence.owner).await?;
        Ok(Some(Silenced {
            silence: id.clone(),
            owner: owner.map_or_else(|| silence.owner.to_string(), |person| person.name),
            until: silence.ends_at.to_string(),
            reason: silence.reason.clone(),
        }))
    }
}

async fn row(web: &Web, alert: &Alert, silences: &Silences) -> Result<Row, Problem> {
    let acknowledged_by = match alert.acknowledged {
        Some(acknowledged) => web.store.person(acknowledged.by).await?.map(|person| person.name),
        None => None,
    };
    let (stage, ended_at) = match &alert.stage {
        Stage::Open => ("open", None),
        Stage::Resolved { at } => ("resolved", Some(at.to_string())),
        Stage::Closed { at, .. } => ("closed", Some(at.to_string())),
    };
    Ok(Row {
        id: alert.id.to_string(),
        kind: alert.group.kind.to_string(),
        subject: alert.group.subject.clone(),
        service: alert.group.service.clone(),
        environment: alert.group.environment.clone(),
        severity: alert.severity.to_string(),
        summary: alert.summary.clone(),
        opened_at: alert.opened_at.to_string(),
        stage: stage.to_owned(),
        ended_at,
        firing: alert.counts.firing,
        unknown: alert.counts.unknown,
        resolved: alert.counts.resolved,
        acknowledged_by,
        silenced: silences.over(web, alert).await?,
    })
}

/// Alerts, the newest first.
pub(crate) async fn list(web: &Web, all: bool) -> Result<List, Problem> {
    let (mut rows, silences) = (Vec::new(), Silences::read(web).await?);
    for alert in web.store.alerts(!all, PAGE_LIMIT).await? {
        rows.push(row(web, &alert, &silences).await?);
    }
    Ok(List { alerts: rows })
}

/// The alerts of these identifiers, at most a page of them; one that is not there is left out.
pub(crate) async fn named(web: &Web, ids: &[String]) -> Result<Vec<Row>, Problem> {
    let (mut rows, silences) = (Vec::new(), Silences::read(web).await?);
    for id in ids.iter().take(PAGE_LIMIT).filter_map(|id| id.parse::<AlertId>().ok()) {
        if let Some(alert) = web.store.alert(id).await? {
            rows.push(row(web, &alert, &silences).await?);
        }
    }
    Ok(rows)
}

/// The labels that routes and silences look at.
pub(crate) async fn labels(web: &Web, name: &str) -> Result<Labels, Problem> {
    let not_found = || Problem::not_found("alert", name);
    let id: AlertId = name.parse().map_err(|_| not_found())?;
    Ok(web.store.alert(id).await?.ok_or_else(not_found)?.labels())
}

/// One alert with its places and notifications.
pub async fn describe(web: &Web, name: &str) -> Result<Described, Problem> {
    let not_found = || Problem::not_found("alert", name);
    let id: AlertId = name.parse().map_err(|_| not_found())?;
    let alert = web.store.alert(id).await?.ok_or_else(not_found)?;
    let mut places = Vec::new();
    for place in web.store.alert_places(id).await? {
        let asset = web.store.asset(place.asset).await?;
        let (state, since) = match place.standing {
            Member::Firing { since } => ("firing", since),
            Member::Unknown { since, .. } => ("unknown", since),
            Member::Resolved { at } => ("resolved", at),
        };
        places.push(Place {
            asset_id: place.asset.to_string(),
            asset: asset.map_or_else(|| place.asset.to_string(), |asset| asset.name),
            object: place.object,
            summary: place.summary,
            state: state.to_owned(),
            since: since.to_string(),
        });
    }
    let ways = web.store.notification_ways(id).await?;
    let told = web.store.notifications(id).await?.into_iter().map(|(sent, state, problem)| Told {
        number: sent.sent.number,
        occasion: format!("{:?}", sent.sent.occasion).to_lowercase(),
        at: sent.sent.at.to_string(),
        state,
        attempts: sent.attempts,
        problem,
        ways: ways_of(&ways, &sent.receiver, sent.sent.number),
        receiver: sent.receiver,
    });
    let reason = match &alert.stage {
        Stage::Closed { reason, .. } => Some(reason.clone()),
        Stage::Open | Stage::Resolved { .. } => None,
    };
    let row = row(web, &alert, &Silences::read(web).await?).await?;
    let environment = web.policies.environment(&alert.group.environment).await?;
    let rule = environment.origin(alert.group.kind, &alert.group.subject).map(Rule::from);
    Ok(Described { row, reason, rule, places, notifications: told.collect() })
}

impl From<Origin> for Rule {
    fn from(origin: Origin) -> Rule {
        let Origin { kind, document, rule, title, description, remediation, false_positives } = origin;
        Rule { kind, document, rule, title, description, remediation, false_positives }
    }
}

/// The ways of one notification, out of all of its alert.
fn ways_of(ways: &[bartizan_store::notification::Way], receiver: &str, number: u32) -> Vec<Way> {
    let ours = ways.iter().filter(|way| way.receiver == receiver && way.number == number);
    let told = ours.map(|way| Way {
        way: way.way.clone(),
        state: if way.problem.is_none() { "delivered" } else { "failed" }.to_owned(),
        at: way.at.to_string(),
        problem: way.problem.clone(),
    });
    told.collect()
}

/// Takes an alert on.
pub(crate) async fn acknowledge(web: &Web, person: &Person, alert: &str) -> Result<Ruled, Problem> {
    decide(web, person, "alert.acknowledge", alert, "").await
}

/// Ends an alert, with the reason why nobody needs to look at it.
pub(crate) async fn close(
    web: &Web,
    person: &Person,
    alert: &str,
    because: &Because,
) -> Result<Ruled, Problem> {
    decide(web, person, "alert.close", alert, &because.reason).await
}
