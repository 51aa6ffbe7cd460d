//! Incidents: coordinated responses, how far each has come, and what people do with them.

use std::collections::BTreeSet;

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{MethodRouter, get, post};
use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::id::{AlertId, IncidentId, PersonId};
use bartizan_core::incident::severity::{Impact, Rating, Sensitivity, Spread};
use bartizan_core::incident::stage::Stage;
use bartizan_core::incident::{Entry, Happened, Incident, State as Standing};
use bartizan_core::monitoring::alert::{self, Acknowledgement, Alert};
use bartizan_core::person::Person;
use bartizan_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alert::{Because, Filter};
use super::openapi::Shape;
use super::{Act, Answer, Ruled, decide_with};
use crate::auth::{READERS, RESPONDERS};
use crate::problem::{Body, Problem, Query};
use crate::stages::incident::{Advance, Assignment, Opening};
use crate::web::{Route, Web};

/// The most incidents that one page lists.
pub(crate) const PAGE_LIMIT: usize = 200;

/// One incident in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    pub title: String,
    /// The level that the three axes give: `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `unnoticed`, `degraded`, `serious` or `lost`.
    pub impact: String,
    /// `one_asset`, `one_service` or `many_services`.
    pub spread: String,
    /// `public`, `internal`, `secret` or `customer`.
    pub sensitivity: String,
    /// `detect`, `assess`, `diagnose`, `stabilise` or `close`.
    pub stage: String,
    pub owner: Option<String>,
    pub opened_at: String,
    /// When somebody first said that they work on it.
    pub acknowledged_at: Option<String>,
    /// The rule that opened it; none where a person did.
    pub rule: Option<String>,
    /// How many alerts belong to it.
    pub alerts: usize,
}

/// One incident with its alerts and its timeline.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub row: Row,
    pub closed_at: Option<String>,
    /// Why it was closed.
    pub reason: Option<String>,
    /// Their identifiers.
    pub alert_ids: Vec<String>,
    /// What happened to it and to its alerts, in the order of time.
    pub timeline: Vec<Told>,
}

/// One entry of a timeline.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Its place among the incident's own entries; none in what happened to one of its alerts.
    pub number: Option<u32>,
    pub at: String,
    /// Who did it; none where a rule did, or where an alert fires at no place any more.
    pub by: Option<String>,
    /// `opened`, `took_in`, `acknowledged`, `assigned`, `rated`, `advanced`, `noted` or `closed`; of an alert,
    /// `alert_acknowledged`, `alert_resolved` or `alert_closed`.
    pub happened: String,
    /// What it was: a title, an alert, a person, a stage, or what somebody wrote.
    pub text: String,
    /// The alert that it happened to, and what that one tells.
    #[serde(default)]
    pub alert: Option<About>,
}

/// The alert that an entry of a timeline is about.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct About {
    pub id: String,
    pub summary: String,
}

/// A page of incidents, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub incidents: Vec<Row>,
}

/// What is to be opened by hand.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Wanted {
    #[schemars(length(min = 1))]
    pub(crate) title: String,
    /// The alert that it is about.
    #[serde(default)]
    #[schemars(extend("format" = "uuid"))]
    pub(crate) alert: Option<String>,
}

/// What was opened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Opened {
    pub id: String,
    #[serde(flatten)]
    pub ruled: Ruled,
}

/// Who is to own it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Owner {
    /// Their name; whoever asks where it is left out.
    #[serde(default)]
    pub(crate) person: Option<String>,
}

/// The stage that it has come to.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Next {
    #[schemars(extend("enum" = ["assess", "diagnose", "stabilise"]))]
    pub(crate) stage: String,
}

/// The three axes, judged anew, and why.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Judged {
    impact: Impact,
    spread: Spread,
    sensitivity: Sensitivity,
    #[serde(default)]
    reason: String,
}

/// What others have to know.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Note {
    #[schemars(length(min = 1))]
    text: String,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/incidents").query::<Filter>(),
        Shape::get::<Described>("/api/v1/incidents/{incident}"),
        Shape::post::<Opened>("/api/v1/incidents").body::<Wanted>(),
        Shape::post::<Ruled>("/api/v1/incidents/{incident}/acknowledge"),
        Shape::post::<Ruled>("/api/v1/incidents/{incident}/assign").body::<Owner>(),
        Shape::post::<Ruled>("/api/v1/incidents/{incident}/rate").body::<Judged>(),
        Shape::post::<Ruled>("/api/v1/incidents/{incident}/advance").body::<Next>(),
        Shape::post::<Ruled>("/api/v1/incidents/{incident}/note").body::<Note>(),
        Shape::post::<Ruled>("/api/v1/incidents/{incident}/close").body::<Because>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    [reads(), responsible(), steps()].into_iter().flatten().collect()
}

fn reads() -> Vec<Route> {
    let read = |path, summary, handler| Route {
        method: Method::GET,
        path,
        roles: Some(READERS),
        summary: Some(summary),
        handler,
    };
    vec![
        read(
            "/api/v1/incidents",
            "List open incidents; `all=true` lists those that were closed, too.",
            get(|State(web): State<Web>, Query(filter): Query<Filter>| async move {
                list(&web, filter.all).await.map(Json)
            }),
        ),
        read(
            "/api/v1/incidents/{incident}",
            "Describe an incident with its timeline.",
            get(|State(web): State<Web>, Path(incident): Path<String>| async move {
                describe(&web, &incident).await.map(Json)
            }),
        ),
    ]
}

fn act(path: &'static str, summary: &'static str, handler: MethodRouter<Web>) -> Route {
    Route { method: Method::POST, path, roles: Some(RESPONDERS), summary: Some(summary), handler }
}

/// What it is, whose it is and how bad.
fn responsible() -> Vec<Route> {
    vec![
        act(
            "/api/v1/incidents",
            "Open an incident by hand.",
            post(
                |State(web): State<Web>, Extension(person): Extension<Person>, Body(wanted): Body<Wanted>| async move {
                    let opened: Answer<Opened> = open(&web, &person, wanted).await.map(Json);
                    opened
                },
            ),
        ),
        act(
            "/api/v1/incidents/{incident}/acknowledge",
            "Say that you work on an incident and on its open alerts; it is yours where it was nobody's.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(incident): Path<String>| async move {
                    let ruled: Answer<Ruled> = acknowledge(&web, &person, &incident).await.map(Json);
                    ruled
                },
            ),
        ),
        act(
            "/api/v1/incidents/{incident}/assign",
            "Give an incident to somebody.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(incident): Path<String>,
                 Body(owner): Body<Owner>| async move {
                    let ruled: Answer<Ruled> = assign(&web, &person, &incident, owner).await.map(Json);
                    ruled
                },
            ),
        ),
        act(
            "/api/v1/incidents/{incident}/rate",
            "Judge an incident's three axes anew.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(incident): Path<String>,
                 Body(judged): Body<Judged>| async move {
                    let ruled: Answer<Ruled> = rate(&web, &person, &incident, judged).await.map(Json);
                    ruled
                },
            ),
        ),
    ]
}

/// How far it has come.
fn steps() -> Vec<Route> {
    vec![
        act(
            "/api/v1/incidents/{incident}/advance",
            "Bring an incident to its next stage.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(incident): Path<String>,
                 Body(next): Body<Next>| async move {
                    let ruled: Answer<Ruled> = advance(&web, &person, &incident, &next).await.map(Json);
                    ruled
                },
            ),
        ),
        act(
            "/api/v1/incidents/{incident}/note",
            "Write a note into an incident's timeline.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(incident): Path<String>,
                 Body(text): Body<Note>| async move {
                    let ruled: Answer<Ruled> = note(&web, &person, &incident, text).await.map(Json);
                    ruled
                },
            ),
        ),
        act(
            "/api/v1/incidents/{incident}/close",
            "Close an incident, with the reason.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(incident): Path<String>,
                 Body(because): Body<Because>| async move {
                    let ruled: Answer<Ruled> = close(&web, &person, &incident, because).await.map(Json);
                    ruled
                },
            ),
        ),
    ]
}

async fn name(web: &Web, id: PersonId) -> Result<String, Problem> {
    Ok(web.store.person(id).await?.map_or_else(|| id.to_string(), |person| person.name))
}

async fn row(web: &Web, incident: &Incident) -> Result<Row, Problem> {
    let owner = match incident.owner {
        Some(owner) => Some(name(web, owner).await?),
        None => None,
    };
    Ok(Row {
        id: incident.id.to_string(),
        title: incident.title.clone(),
        severity: incident.rating.level().to_string(),
        impact: super::word(incident.rating.impact),
        spread: super::word(incident.rating.spread),
        sensitivity: super::word(incident.rating.sensitivity),
        stage: incident.stage_word().to_owned(),
        owner,
        opened_at: incident.opened_at.to_string(),
        acknowledged_at: incident.acknowledged_at.map(|at| at.to_string()),
        rule: incident.origin.as_ref().map(|origin| origin.rule.clone()),
        alerts: incident.alerts.len(),
    })
}

/// Incidents, the newest first.
pub(crate) async fn list(web: &Web, all: bool) -> Result<List, Problem> {
    let mut rows = Vec::new();
    for incident in web.store.incidents(!all, PAGE_LIMIT).await? {
        rows.push(row(web, &incident).await?);
    }
    Ok(List { incidents: rows })
}

/// Open incidents that nobody acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    /// The worst first, as many as were asked for.
    pub(crate) incidents: Vec<Row>,
    /// How many more there are.
    pub(crate) more: usize,
    /// The alerts that belong to any of them: whoever takes the incident on takes those on.
    pub(crate) alerts: BTreeSet<String>,
}

/// Open incidents that nobody acknowledged; at most `limit` are described.
pub(crate) async fn waiting(web: &Web, limit: usize) -> Result<Waiting, Problem> {
    let mut waiting = web.store.incidents(true, PAGE_LIMIT).await?;
    waiting.retain(|incident| incident.acknowledged_at.is_none());
    waiting.sort_by_key(|incident| std::cmp::Reverse(incident.rating.level()));
    let more = waiting.len().saturating_sub(limit);
    let alerts = waiting.iter().flat_map(|incident| &incident.alerts).map(ToString::to_string).collect();
    let mut incidents = Vec::new();
    for incident in waiting.iter().take(limit) {
        incidents.push(row(web, incident).await?);
    }
    Ok(Waiting { incidents, more, alerts })
}

/// One incident with its timeline and what happened to its alerts; of a very long one, the beginning.
pub(crate) async fn describe(web: &Web, asked: &str) -> Result<Described, Problem> {
    let not_found = || Problem::not_found("incident", asked);
    let id: IncidentId = asked.parse().map_err(|_| not_found())?;
    let incident = web.store.incident(id).await?.ok_or_else(not_found)?;
    let mut timeline = Vec::new();
    for entry in web.store.incident_entries(id, 0).await? {
        timeline.push((entry.at, told(web, entry).await?));
    }
    for alert in &incident.alerts {
        if let Some(alert) = web.store.alert(*alert).await? {
            timeline.extend(of_its_alert(web, &alert).await?);
        }
    }
    // What happened at the same time stays as it is: the incident's own entries by their numbers, then its alerts'.
    timeline.sort_by_key(|(at, _)| *at);
    let timeline = timeline.into_iter().map(|(_, told)| told).collect();
    let (closed_at, reason) = match &incident.state {
        Standing::Open { .. } => (None, None),
        Standing::Closed { at, reason, .. } => (Some(at.to_string()), Some(reason.clone())),
    };
    let alert_ids = incident.alerts.iter().map(ToString::to_string).collect();
    Ok(Described { row: row(web, &incident).await?, closed_at, reason, alert_ids, timeline })
}

/// The incident that an alert belongs to, where one has it.
pub(crate) async fn of_alert(web: &Web, alert: &str) -> Result<Option<String>, Problem> {
    let id: AlertId = alert.parse().map_err(|_| Problem::not_found("alert", alert))?;
    Ok(web.store.incident_of(id).await?.map(|incident| incident.to_string()))
}

/// Who may own an incident, by name.
pub(crate) async fn owners(web: &Web) -> Result<Vec<String>, Problem> {
    let people = web.store.people().await?.into_iter();
    Ok(people.filter(|person| person.has_any(RESPONDERS)).map(|person| person.name).collect())
}

async fn told(web: &Web, entry: Entry) -> Result<Told, Problem> {
    let by = match entry.by {
        Some(by) => Some(name(web, by).await?),
        None => None,
    };
    let happened = entry.happened.as_str().to_owned();
    let text = match entry.happened {
        Happened::Opened { title } => title,
        Happened::TookIn { alert } => alert.to_string(),
        Happened::Acknowledged => String::new(),
        Happened::Assigned { to } => name(web, to).await?,
        Happened::Rated { rating, reason } => format!("{}: {reason}", rating.level()),
        Happened::Advanced { from, to } => format!("{from} → {to}"),
        Happened::Noted { text } => text,
        Happened::Closed { reason } => reason,
    };
    Ok(Told { number: Some(entry.number), at: entry.at.to_string(), by, happened, text, alert: None })
}

/// What happened to an alert after it came to be: who took it on, and how it ended.
async fn of_its_alert(web: &Web, alert: &Alert) -> Result<Vec<(Timestamp, Told)>, Problem> {
    let told = |at: Timestamp, by, happened: &str, text: &str| {
        let about = About { id: alert.id.to_string(), summary: alert.summary.clone() };
        let (happened, text) = (happened.to_owned(), text.to_owned());
        (at, Told { number: None, at: at.to_string(), by, happened, text, alert: Some(about) })
    };
    let mut entries = Vec::new();
    if let Some(Acknowledgement { by, at }) = alert.acknowledged {
        entries.push(told(at, Some(name(web, by).await?), "alert_acknowledged", ""));
    }
    match &alert.stage {
        alert::Stage::Open => {}
        alert::Stage::Resolved { at } => {
            entries.push(told(*at, None, "alert_resolved", "it fires at no place any more"));
        }
        alert::Stage::Closed { at, by, reason } => {
            entries.push(told(*at, Some(name(web, *by).await?), "alert_closed", reason));
        }
    }
    Ok(entries)
}

fn value(details: &impl Serialize) -> Result<Option<Value>, Problem> {
    Value::from_data(details).map(Some).map_err(|error| Problem::new(Class::Invalid, error))
}

/// Opens an incident by hand.
pub(crate) async fn open(web: &Web, person: &Person, wanted: Wanted) -> Result<Opened, Problem> {
    let id = IncidentId::mint(web.ambient.now(), web.ambient.random()).to_string();
    let alert = match wanted.alert {
        Some(alert) => Some(alert.parse::<AlertId>().map_err(|error| Problem::new(Class::Invalid, error))?),
        None => None,
    };
    let details = value(&Opening { title: wanted.title, alert })?;
    let ruled = decide_with(web, person, Act { details, ..Act::new("incident.open", &id) }).await?;
    Ok(Opened { id, ruled })
}

/// Says that a person works on an incident, and so on its open alerts that nobody took on.
pub(crate) async fn acknowledge(web: &Web, person: &Person, incident: &str) -> Result<Ruled, Problem> {
    let ruled = decide_with(web, person, Act::new("incident.acknowledge", incident)).await?;
    let held = match incident.parse::<IncidentId>() {
        Ok(id) => web.store.incident(id).await?,
        Err(_) => None,
    };
    for alert in held.iter().flat_map(|held| &held.alerts) {
        match super::alert::acknowledge(web, person, &alert.to_string()).await {
            Ok(_) => {}
            // Somebody took it on already, or it has ended: either is well.
            Err(problem) if problem.class() == Class::Conflict => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(ruled)
}

/// Gives an incident to somebody; to whoever asks where nobody is named.
pub(crate) async fn assign(
    web: &Web,
    person: &Person,
    incident: &str,
    owner: Owner,
) -> Result<Ruled, Problem> {
    let to = match owner.person {
        None => person.id,
        Some(name) => {
            let people = web.store.people().await?;
            let named = people.into_iter().find(|person| person.name == name);
            named.ok_or_else(|| Problem::not_found("person", &name))?.id
        }
    };
    let details = value(&Assignment { to })?;
    decide_with(web, person, Act { details, ..Act::new("incident.assign", incident) }).await
}

/// Judges an incident's axes anew.
pub(crate) async fn rate(
    web: &Web,
    person: &Person,
    incident: &str,
    judged: Judged,
) -> Result<Ruled, Problem> {
    let Judged { impact, spread, sensitivity, reason } = judged;
    let details = value(&Rating { impact, spread, sensitivity })?;
    decide_with(web, person, Act { reason, details, ..Act::new("incident.rate", incident) }).await
}

/// Brings an incident to its next stage.
pub(crate) async fn advance(
    web: &Web,
    person: &Person,
    incident: &str,
    next: &Next,
) -> Result<Ruled, Problem> {
    let to: Stage = next.stage.parse().map_err(|error| Problem::new(Class::Invalid, error))?;
    let details = value(&Advance { to })?;
    decide_with(web, person, Act { details, ..Act::new("incident.advance", incident) }).await
}

/// Writes a note into an incident's timeline.
pub(crate) async fn note(web: &Web, person: &Person, incident: &str, note: Note) -> Result<Ruled, Problem> {
    decide_with(web, person, Act { reason: note.text, ..Act::new("incident.note", incident) }).await
}

/// Closes an incident, with the reason.
pub(crate) async fn close(
    web: &Web,
    person: &Person,
    incident: &str,
    because: Because,
) -> Result<Ruled, Problem> {
    decide_with(web, person, Act { reason: because.reason, ..Act::new("incident.close", incident) }).await
}
