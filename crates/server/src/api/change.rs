//! Changes: proposed as documents, tested below, reviewed, approved, applied.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::canonical::Value;
use bartizan_core::configuration::change::{Change, Content, Item, Ladder};
use bartizan_core::error::Class;
use bartizan_core::id::ChangeId;
use bartizan_core::person::Person;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::File;
use super::openapi::Shape;
use super::{Act, Answer, Ruled, decide_with};
use crate::auth::{OPERATORS, READERS};
use crate::problem::{Body, Problem};
use crate::stages::change::Details;
use crate::web::{Route, Web};

/// The most changes that one page lists.
const PAGE_LIMIT: usize = 200;

/// One change in a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    pub service: String,
    /// What tests, reviews, approvals and execution name.
    pub digest: String,
    pub proposed_at: String,
    pub authors: Vec<String>,
    pub withdrawn: bool,
    pub documents: Vec<Document>,
    /// How far it has come on the way to each environment.
    pub stages: Vec<Stage>,
    pub applied: Vec<Applied>,
}

/// One document of a change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    pub kind: String,
    pub name: String,
    pub deleted: bool,
}

/// How far a change has come on the way to one environment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    pub target: String,
    /// `proposed`, `tested`, `reviewed` or `approved`.
    pub stage: String,
    /// How many tests and decisions it holds.
    pub decisions: usize,
}

/// One application.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    pub target: String,
    pub digest: String,
    pub at: String,
    /// By which right: `open`, `self_approved`, `approved` or `break_glass`.
    pub path: String,
}

/// All changes, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub changes: Vec<Row>,
}

/// A change to be proposed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    #[schemars(length(min = 1))]
    pub service: String,
    pub files: Vec<File>,
    /// Documents to delete, by kind and name.
    #[serde(default)]
    pub deleted: Vec<(String, String)>,
}

/// What somebody does with a change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Does {
    /// The digest of what they saw.
    #[serde(default)]
    pub digest: String,
    /// The environment that it is on the way to.
    #[serde(default)]
    pub target: String,
    /// The lower environment where it was tested.
    #[serde(default)]
    pub environment: String,
    #[serde(default)]
    pub reason: String,
}

/// What was proposed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    pub id: String,
    pub digest: String,
    pub ruled: Ruled,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/changes"),
        Shape::get::<Row>("/api/v1/changes/{change}"),
        Shape::post::<Proposed>("/api/v1/changes").body::<Proposal>(),
        Shape::post::<Proposed>("/api/v1/changes/{change}/edit").body::<Proposal>(),
        Shape::post::<Ruled>("/api/v1/changes/{change}/{act}").body::<Does>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/changes",
            roles: Some(READERS),
            summary: Some("List changes."),
            handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/changes/{change}",
            roles: Some(READERS),
            summary: Some("Describe a change."),
            handler: get(|State(web): State<Web>, Path(change): Path<String>| async move {
                describe(&web, &change).await.map(Json)
            }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/changes",
            roles: Some(OPERATORS),
            summary: Some("Propose a change: documents as they are to be."),
            handler: post(propose),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/changes/{change}/edit",
            roles: Some(OPERATORS),
            summary: Some("Edit a change: every test and decision on it is void."),
            handler: post(edit),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/changes/{change}/{act}",
            roles: Some(OPERATORS),
            summary: Some("Test, review, approve, reject, break-glass, apply or withdraw a change."),
            handler: post(act),
        },
    ]
}

/// All changes.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let mut changes = Vec::new();
    for change in web.store.changes(PAGE_LIMIT).await? {
        changes.push(row(web, &change).await?);
    }
    Ok(List { changes })
}

/// One change.
pub(crate) async fn describe(web: &Web, name: &str) -> Result<Row, Problem> {
    let not_found = || Problem::not_found("change", name);
    let id: ChangeId = name.parse().map_err(|_| not_found())?;
    let change = web.store.change(id).await?.ok_or_else(not_found)?;
    row(web, &change).await
}

async fn row(web: &Web, change: &Change) -> Result<Row, Problem> {
    let mut authors = Vec::new();
    for author in &change.authors {
        let person = web.store.person(*author).await?;
        authors.push(person.map_or_else(|| author.to_string(), |person| person.name));
    }
    let documents = change.content.items().map(|(kind, name, item)| Document {
        kind: kind.to_owned(),
        name: name.to_owned(),
        deleted: *item == Item::Deleted,
    });
    let ladder = Ladder::default();
    let stages = ladder.rungs().iter().map(|rung| {
        let decisions = change.stage(&rung.name).decisions();
        let stage =
            ["proposed", "tested", "reviewed", "approved"].get(decisions).copied().unwrap_or("approved");
        Stage { target: rung.name.clone(), stage: stage.to_owned(), decisions }
    });
    let applied = change.applied.iter().map(|applied| Applied {
        target: applied.target.clone(),
        digest: applied.digest.to_string(),
        at: applied.at.to_string(),
        path: serde_json::to_value(applied.path)
            .ok()
            .and_then(|path| path.as_str().map(str::to_owned))
            .unwrap_or_default(),
    });
    Ok(Row {
        id: change.id.to_string(),
        service: change.service.clone(),
        digest: change.digest.to_string(),
        proposed_at: change.proposed_at.to_string(),
        authors,
        withdrawn: change.withdrawn,
        documents: documents.collect(),
        stages: stages.collect(),
        applied: applied.collect(),
    })
}

fn content(proposal: &Proposal) -> Result<Content, Problem> {
    let documents = super::document::checked(&proposal.files)?;
    let content = Content::new(&documents, proposal.deleted.iter().cloned());
    content.map_err(|error| Problem::new(error.class(), error))
}

fn details(details: &Details) -> Result<Value, Problem> {
    Value::from_data(details).map_err(|error| Problem::new(Class::Invalid, error))
}

async fn propose(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Body(proposal): Body<Proposal>,
) -> Answer<Proposed> {
    let content = content(&proposal)?;
    let digest = content.digest();
    let id = ChangeId::mint(web.ambient.now(), web.ambient.random());
    let details =
        details(&Details { service: Some(proposal.service), content: Some(content), ..Details::default() })?;
    let act = Act { details: Some(details), ..Act::new("change.propose", &id.to_string()) };
    let ruled = decide_with(&web, &person, act).await?;
    Ok(Json(Proposed { id: id.to_string(), digest: digest.to_string(), ruled }))
}

async fn edit(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(change): Path<String>,
    Body(proposal): Body<Proposal>,
) -> Answer<Proposed> {
    let content = content(&proposal)?;
    let digest = content.digest();
    let details = details(&Details { content: Some(content), ..Details::default() })?;
    let act = Act { details: Some(details), ..Act::new("change.edit", &change) };
    let ruled = decide_with(&web, &person, act).await?;
    Ok(Json(Proposed { id: change, digest: digest.to_string(), ruled }))
}

async fn act(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path((change, act)): Path<(String, String)>,
    Body(does): Body<Does>,
) -> Answer<Ruled> {
    let known = ["test", "review", "approve", "reject", "break-glass", "apply", "withdraw"];
    if !known.contains(&act.as_str()) {
        return Err(Problem::not_found("act", act).hint(format_args!("there are {}", known.join(", "))));
    }
    let details =
        details(&Details { target: does.target, environment: does.environment, ..Details::default() })?;
    let act = Act {
        details: Some(details),
        expected: Some(does.digest).filter(|digest| !digest.is_empty()),
        reason: does.reason,
        ..Act::new(&format!("change.{act}"), &change)
    };
    decide_with(&web, &person, act).await.map(Json)
}
