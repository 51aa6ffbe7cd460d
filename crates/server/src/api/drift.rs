//! Drift: what stands on an asset otherwise than anybody accounted for.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::asset::Asset;
use bartizan_core::canonical::Value;
use bartizan_core::person::Person;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use super::{Act, Answer, Ruled, asset, decide_with};
use crate::auth::{OPERATORS, READERS};
use crate::problem::{Body, Problem};
use crate::stages::drift::{EXPLAIN, told};
use crate::web::{Route, Web};

/// One object that drifts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// `KIND:NAME`, as in `file:/etc/hosts`.
    pub object: String,
    /// `added`, `modified` or `removed`.
    pub way: String,
    /// How it stood when it was last accounted for: for a file its mode, its owner, and the digest of its content.
    pub before: Option<String>,
    pub after: Option<String>,
    /// The lines that went (`-`) and came (`+`), with secrets masked.
    pub lines: Vec<String>,
    /// What an explanation names.
    pub digest: String,
}

/// What drifts on one asset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub asset: String,
    /// How many objects are watched; none where nothing is known of drift here.
    pub objects: Option<u64>,
    pub drifts: Vec<Row>,
    /// How many more there are that are not told by name.
    pub more: u64,
    /// What is watched and can't be seen, with the reason.
    pub unseen: Vec<String>,
}

/// Somebody's word that an object shall stand as it does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// `KIND:NAME`.
    #[schemars(length(min = 1))]
    pub object: String,
    /// The digest of the drift that was looked at.
    #[schemars(length(min = 71, max = 71))]
    pub digest: String,
    #[schemars(length(min = 1))]
    pub reason: String,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/assets/{asset}/drift"),
        Shape::post::<Ruled>("/api/v1/assets/{asset}/drift").body::<Explanation>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/assets/{asset}/drift",
            roles: Some(READERS),
            summary: Some("List what was modified on an asset and no change explains."),
            handler: get(|State(web): State<Web>, Path(name): Path<String>| async move {
                let asset = asset::find(&web, &name).await?;
                list(&web, &asset).await.map(Json)
            }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/assets/{asset}/drift",
            roles: Some(OPERATORS),
            summary: Some("Account for one modification: from now on the object shall stand so."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(name): Path<String>,
                 Body(explanation): Body<Explanation>| async move {
                    let ruled: Answer<Ruled> = explain(&web, &person, &name, explanation).await.map(Json);
                    ruled
                },
            ),
        },
    ]
}

/// What drifts on an asset.
pub(crate) async fn list(web: &Web, asset: &Asset) -> Result<List, Problem> {
    let Some(section) = told(&web.store, asset.number).await? else {
        let (objects, drifts, unseen) = (None, Vec::new(), Vec::new());
        return Ok(List { asset: asset.name.clone(), objects, drifts, more: 0, unseen });
    };
    let row = |drift: bartizan_core::configuration::drift::Drift| Row {
        digest: drift.digest().to_string(),
        object: drift.object,
        way: drift.way.as_str().to_owned(),
        before: drift.before,
        after: drift.after,
        lines: drift.lines,
    };
    Ok(List {
        asset: asset.name.clone(),
        objects: Some(section.body.objects),
        drifts: section.body.drifts.into_iter().map(row).collect(),
        more: section.body.more,
        unseen: section.unknown.iter().map(|unseen| format!("{}: {}", unseen.what, unseen.reason)).collect(),
    })
}

/// Accounts for one modification.
pub(crate) async fn explain(
    web: &Web,
    person: &Person,
    name: &str,
    explanation: Explanation,
) -> Result<Ruled, Problem> {
    let asset = asset::find(web, name).await?;
    let act = Act {
        expected: Some(explanation.digest),
        reason: explanation.reason,
        details: Some(Value::from(explanation.object)),
        ..Act::new(EXPLAIN, &asset.id.to_string())
    };
    decide_with(web, person, act).await
}
