//! Silences: asking not to be told for a while, with an owner, a reason and an end.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::error::Class;
use bartizan_core::monitoring::silence::Silence;
use bartizan_core::person::Person;
use bartizan_core::selector::{Labels, Selector};
use bartizan_core::time::Duration;
use bartizan_store::person::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::openapi::Shape;
use crate::auth::{READERS, RESPONDERS};
use crate::problem::{Body, Problem};
use crate::web::{Route, Web};

/// One silence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    /// As they were written: `service=shop`.
    pub matchers: Vec<String>,
    pub owner: String,
    pub reason: String,
    pub starts_at: String,
    pub ends_at: String,
    /// How many alerts that are open now it holds back.
    #[serde(default)]
    pub holds: u64,
}

/// Silences that have not ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub silences: Vec<Row>,
}

/// A silence to be made, from now on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub(crate) matchers: Selector,
    #[schemars(length(min = 1))]
    pub(crate) reason: String,
    pub(crate) lasts: Duration,
}

/// What was made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub id: String,
    pub ends_at: String,
    /// How many alerts that are open now it holds back.
    pub holds: u64,
    /// Where it holds none: which labels open alerts have.
    #[serde(default)]
    pub hint: Option<String>,
}

/// The most open alerts that are looked at for what a silence holds.
const ALERTS_LIMIT: usize = 5_000;

/// The most values of a label that a hint names.
const VALUES_NAMED: usize = 5;

/// The labels of each alert that is open now.
async fn open_alerts(web: &Web) -> Result<Vec<Labels>, Problem> {
    let alerts = web.store.alerts(true, ALERTS_LIMIT).await?;
    Ok(alerts.iter().map(|alert| alert.labels()).collect())
}

fn held(matchers: &Selector, open: &[Labels]) -> u64 {
    open.iter().filter(|labels| matchers.matches(labels)).count() as u64
}

/// Which labels a matcher could name.
fn hint(open: &[Labels]) -> String {
    if open.is_empty() {
        return "no alert is open now: it holds back those that open while it lasts".to_owned();
    }
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in open.iter().flatten() {
        values.entry(name).or_default().insert(value);
    }
    let label = |(name, values): (&str, BTreeSet<&str>)| {
        let named: Vec<&str> = values.iter().take(VALUES_NAMED).copied().collect();
        let more = values.len().saturating_sub(VALUES_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{name}: {}{more}", named.join(", "))
    };
    let labels: Vec<String> = values.into_iter().map(label).collect();
    format!("no open alert matches; they have {}", labels.join("; "))
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/silences"),
        Shape::post::<Created>("/api/v1/silences").body::<Wanted>(),
        Shape::post::<List>("/api/v1/silences/{silence}/end"),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/silences",
            roles: Some(READERS),
            summary: Some("List silences that have not ended."),
            handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/silences",
            roles: Some(RESPONDERS),
            summary: Some("Ask that nobody be told of matching alerts for a while."),
            handler: post(
                |State(web): State<Web>, Extension(person): Extension<Person>, Body(wanted): Body<Wanted>| async move {
                    let created: Answer<Created> = create(&web, &person, wanted).await.map(Json);
                    created
                },
            ),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/silences/{silence}/end",
            roles: Some(RESPONDERS),
            summary: Some("End a silence now: what still fires is told."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(silence): Path<String>| async move {
                    let left: Answer<List> = end(&web, &person, &silence).await.map(Json);
                    left
                },
            ),
        },
    ]
}

/// Silences that have not ended.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let kept = web.store.silences(web.ambient.now()).await?;
    let open = if kept.is_empty() { Vec::new() } else { open_alerts(web).await? };
    let mut silences = Vec::new();
    for (id, silence) in kept {
        let owner = web.store.person(silence.owner).await?;
        silences.push(Row {
            id,
            holds: held(&silence.matchers, &open),
            matchers: silence.matchers.matchers().iter().map(ToString::to_string).collect(),
            owner: owner.map_or_else(|| silence.owner.to_string(), |person| person.name),
            reason: silence.reason,
            starts_at: silence.starts_at.to_string(),
            ends_at: silence.ends_at.to_string(),
        });
    }
    Ok(List { silences })
}

/// Makes a silence that starts now.
pub(crate) async fn create(web: &Web, person: &Person, wanted: Wanted) -> Result<Created, Problem> {
    let now = web.ambient.now();
    let silence = Silence {
        matchers: wanted.matchers,
        owner: person.id,
        reason: wanted.reason,
        starts_at: now,
        ends_at: now.plus(wanted.lasts),
    };
    silence.check().map_err(|refusal| Problem::new(Class::Invalid, refusal))?;
    let id = web.store.create_silence(&silence, now, web.ambient.random()).await?;
    web.nudges.show();
    let open = open_alerts(web).await?;
    let holds = held(&silence.matchers, &open);
    let hint = (holds == 0).then(|| hint(&open));
    Ok(Created { id, ends_at: silence.ends_at.to_string(), holds, hint })
}

/// Ends a silence now: what still fires is told.
pub(crate) async fn end(web: &Web, person: &Person, silence: &str) -> Result<List, Problem> {
    // The store finds out in its transaction, which a dry run has none of.
    if web.store.is_read_only() && !list(web).await?.silences.iter().any(|row| row.id == silence) {
        return Err(Problem::not_found("silence", silence));
    }
    let by = By { person: person.id, salt: web.ambient.random() };
    web.store.end_silence(silence, by, web.ambient.now()).await?;
    web.nudges.alerts_changed();
    list(web).await
}
