//! Environments: the ladder that changes climb, and what each rung asks for.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::canonical::Value;
use bartizan_core::configuration::change::Gate;
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use super::{Act, Answer, Ruled, decide_with};
use crate::auth::{ADMINS, READERS};
use crate::problem::{Body, Problem};
use crate::stages::change::Declaration;
use crate::web::{Route, Web};

/// One environment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub name: String,
    /// `open`, `self-approved` or `approved`.
    pub gate: String,
}

/// All environments, the lowest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub environments: Vec<Row>,
}

/// What an environment is to ask for, and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    #[schemars(with = "String", extend("enum" = ["self-approved", "approved"]))]
    pub(crate) gate: Gate,
    #[serde(default)]
    pub(crate) reason: String,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/environments"),
        Shape::post::<Ruled>("/api/v1/environments/{environment}/declare").body::<Declared>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/environments",
            roles: Some(READERS),
            summary: Some("List environments, the lowest first, and what each asks of a change."),
            handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/environments/{environment}/declare",
            roles: Some(ADMINS),
            summary: Some("Declare an environment `self-approved`, as a team of one, or `approved` again."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(environment): Path<String>,
                 Body(declared): Body<Declared>| async move {
                    let ruled: Answer<Ruled> = declare(&web, &person, &environment, declared).await.map(Json);
                    ruled
                },
            ),
        },
    ]
}

/// All environments, the lowest first.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let ladder = web.store.ladder().await?;
    let rows = ladder.rungs().iter();
    let rows = rows.map(|rung| Row { name: rung.name.clone(), gate: rung.gate.as_str().to_owned() });
    Ok(List { environments: rows.collect() })
}

/// Declares what an environment asks for.
pub(crate) async fn declare(
    web: &Web,
    person: &Person,
    environment: &str,
    declared: Declared,
) -> Result<Ruled, Problem> {
    let Declared { gate, reason } = declared;
    let details = Value::from_data(&Declaration { gate });
    let details = Some(details.map_err(|error| Problem::new(Class::Bug, error))?);
    decide_with(web, person, Act { reason, details, ..Act::new("environment.declare", environment) }).await
}
