//! Silences: asking not to be told for a while, with an owner, a reason and an end.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::error::Class;
use bartizan_core::monitoring::silence::Silence;
use bartizan_core::person::Person;
use bartizan_core::selector::Selector;
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
    let mut silences = Vec::new();
    for (id, silence) in web.store.silences(web.ambient.now()).await? {
        let owner = web.store.person(silence.owner).await?;
        silences.push(Row {
            id,
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
    Ok(Created { id, ends_at: silence.ends_at.to_string() })
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
