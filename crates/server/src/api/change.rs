//! Changes: proposed as documents, tested below, reviewed, approved, applied.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::canonical::Value;
use bartizan_core::configuration::change::{Change, Content, Gate, Item, Ladder, Rung, Stage as Reached};
use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::id::ChangeId;
use bartizan_core::person::Person;
use bartizan_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::File;
use super::openapi::Shape;
use super::person::Names;
use super::{Act, Answer, Ruled, decide_with};
use crate::auth::{OPERATORS, READERS};
use crate::problem::{Body, Problem, Query};
use crate::stages::change::Details;
use crate::web::{Route, Web};

mod difference;
mod history;

pub use difference::{Difference, Line};
pub use history::Past;

/// The most changes that one page lists.
pub(crate) const PAGE_LIMIT: usize = 200;

/// The longest text of documents that is given to be edited in a page, in bytes.
const TEXT_BYTES_LIMIT: usize = 256 << 10;

/// What is done with a change, beside proposing and editing it.
const ACTS: [&str; 7] = ["test", "review", "approve", "reject", "break-glass", "apply", "withdraw"];

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
    /// What the environment asks for: `open`, `self-approved` or `approved`.
    pub gate: String,
    /// `proposed`, `tested`, `reviewed` or `approved`.
    pub stage: String,
    /// How many tests and decisions it holds.
    pub decisions: usize,
    /// Those tests and decisions.
    pub steps: Vec<Step>,
    /// What is still missing before it may be applied there, in the order in which it comes.
    pub missing: Vec<String>,
}

/// One test or decision that counts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// `test`, `review` or `approval`.
    pub step: String,
    pub by: Option<String>,
    pub at: String,
    /// What they looked at.
    pub digest: String,
    /// Where it was tested.
    pub environment: Option<String>,
}

/// The glass is broken: the missing decisions are due.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Glass {
    pub target: String,
    pub by: String,
    pub digest: String,
    pub reason: String,
    pub at: String,
    pub due: String,
}

/// One change with what it would do to an environment, and what people did with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub row: Row,
    /// The environment that the differences are against.
    pub against: String,
    pub differences: Vec<Difference>,
    pub broken_glass: Vec<Glass>,
    pub history: Vec<Past>,
    /// What may be a mistake: that no asset belongs to its service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One application.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    pub target: String,
    pub digest: String,
    pub at: String,
    pub by: String,
    /// By which right: `open`, `self_approved`, `approved` or `break_glass`.
    pub path: String,
}

/// All changes, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub changes: Vec<Row>,
}

/// Against which environment a change is looked at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Against {
    #[serde(default)]
    pub(crate) target: Option<String>,
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
    /// Whether the test there failed: that takes an earlier pass back, with what was decided because of it.
    #[serde(default)]
    pub failed: bool,
    #[serde(default)]
    pub reason: String,
}

/// What was proposed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    pub id: String,
    pub digest: String,
    pub ruled: Ruled,
    /// What may be a mistake: that no asset belongs to its service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/changes"),
        Shape::get::<Described>("/api/v1/changes/{change}").query::<Against>(),
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
            summary: Some("Describe a change, and what it does to the environment `target`."),
            handler: get(
                |State(web): State<Web>, Path(change): Path<String>, Query(against): Query<Against>| async move {
                    describe(&web, &change, against.target.as_deref()).await.map(Json)
                },
            ),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/changes",
            roles: Some(OPERATORS),
            summary: Some("Propose a change: documents as they are to be."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Body(proposal): Body<Proposal>| async move {
                    let proposed: Answer<Proposed> = propose(&web, &person, proposal).await.map(Json);
                    proposed
                },
            ),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/changes/{change}/edit",
            roles: Some(OPERATORS),
            summary: Some("Edit a change: every test and decision on it is void."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(change): Path<String>,
                 Body(Proposal { files, deleted, .. }): Body<Proposal>| async move {
                    let edited: Answer<Proposed> =
                        edit(&web, &person, &change, &files, &deleted).await.map(Json);
                    edited
                },
            ),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/changes/{change}/{act}",
            roles: Some(OPERATORS),
            summary: Some("Test, review, approve, reject, break-glass, apply or withdraw a change."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path((change, verb)): Path<(String, String)>,
                 Body(does): Body<Does>| async move {
                    let ruled: Answer<Ruled> = act(&web, &person, &change, &verb, does).await.map(Json);
                    ruled
                },
            ),
        },
    ]
}

/// All changes.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let (ladder, mut names) = (web.store.ladder().await?, Names::default());
    let mut changes = Vec::new();
    for change in web.store.changes(PAGE_LIMIT).await? {
        changes.push(row(web, &change, &ladder, &mut names).await?);
    }
    Ok(List { changes })
}

/// One change, with what it would do to an environment: to the one that is named, else to the
/// lowest that asks for approval, else to the highest.
pub(crate) async fn describe(web: &Web, name: &str, against: Option<&str>) -> Result<Described, Problem> {
    let change = find(web, name).await?;
    let (ladder, mut names) = (web.store.ladder().await?, Names::default());
    let against = match against.filter(|against| !against.is_empty()) {
        Some(named) => ladder.rung(named).map_err(|refusal| Problem::new(refusal.class(), refusal))?,
        None => {
            let asks = ladder.rungs().iter().find(|rung| rung.gate == Gate::Approved);
            let rung = asks.or_else(|| ladder.rungs().last());
            rung.ok_or_else(|| Problem::new(Class::Bug, "there is no environment"))?
        }
    };
    let held = web.store.documents(&against.name).await?.into_iter().map(|applied| applied.document);
    let held = held.map(|held| ((held.kind, held.name), held.written)).collect();
    let mut broken_glass = Vec::new();
    for (target, glass) in &change.broken_glass {
        broken_glass.push(Glass {
            target: target.clone(),
            by: names.name(web, glass.by).await?,
            digest: glass.digest.to_string(),
            reason: glass.reason.clone(),
            at: glass.at.to_string(),
            due: glass.due.to_string(),
        });
    }
    Ok(Described {
        row: row(web, &change, &ladder, &mut names).await?,
        against: against.name.clone(),
        differences: difference::differences(&change.content, &held),
        broken_glass,
        history: history::history(web, change.id, &mut names).await?,
        warnings: warnings(web, &change.service).await?,
    })
}

/// What whoever looks at a change of this service has to be told.
async fn warnings(web: &Web, service: &str) -> Result<Vec<String>, Problem> {
    let none = || format!("no asset belongs to the service `{service}`: is its name written right?");
    Ok((!web.store.has_service(service).await?).then(none).into_iter().collect())
}

async fn find(web: &Web, name: &str) -> Result<Change, Problem> {
    let not_found = || Problem::not_found("change", name);
    let id: ChangeId = name.parse().map_err(|_| not_found())?;
    web.store.change(id).await?.ok_or_else(not_found)
}

/// The documents that a change writes, as one text to edit; none where it is too long for that.
pub(crate) async fn text(web: &Web, name: &str) -> Result<Option<String>, Problem> {
    let change = find(web, name).await?;
    let mut written = String::new();
    for (_, _, item) in change.content.items() {
        if let Item::Written(value) = item {
            if !written.is_empty() {
                written.push_str("---\n");
            }
            written.push_str(&difference::text(value));
        }
        if written.len() > TEXT_BYTES_LIMIT {
            return Ok(None);
        }
    }
    Ok(Some(written))
}

/// The documents that a change deletes, by kind and name.
pub(crate) async fn deleted(web: &Web, name: &str) -> Result<Vec<(String, String)>, Problem> {
    let change = find(web, name).await?;
    let gone = change.content.items().filter(|(_, _, item)| **item == Item::Deleted);
    Ok(gone.map(|(kind, name, _)| (kind.to_owned(), name.to_owned())).collect())
}

async fn row(web: &Web, change: &Change, ladder: &Ladder, names: &mut Names) -> Result<Row, Problem> {
    let mut authors = Vec::new();
    for author in &change.authors {
        authors.push(names.name(web, *author).await?);
    }
    let documents = change.content.items().map(|(kind, name, item)| Document {
        kind: kind.to_owned(),
        name: name.to_owned(),
        deleted: *item == Item::Deleted,
    });
    let mut stages = Vec::new();
    for rung in ladder.rungs() {
        stages.push(stage(web, change, rung, names).await?);
    }
    let mut applied = Vec::new();
    for one in &change.applied {
        applied.push(Applied {
            target: one.target.clone(),
            digest: one.digest.to_string(),
            at: one.at.to_string(),
            by: names.name(web, one.by).await?,
            path: super::word(one.path),
        });
    }
    Ok(Row {
        id: change.id.to_string(),
        service: change.service.clone(),
        digest: change.digest.to_string(),
        proposed_at: change.proposed_at.to_string(),
        authors,
        withdrawn: change.withdrawn,
        documents: documents.collect(),
        stages,
        applied,
    })
}

async fn stage(web: &Web, change: &Change, rung: &Rung, names: &mut Names) -> Result<Stage, Problem> {
    let held = change.stage(&rung.name);
    let (test, review, approval) = match held {
        Reached::Proposed => (None, None, None),
        Reached::Tested { test } => (Some(test), None, None),
        Reached::Reviewed { test, review } => (Some(test), Some(review), None),
        Reached::Approved { test, review, approval } => (Some(test), Some(review), Some(approval)),
    };
    let mut steps = Vec::new();
    if let Some(test) = test {
        let by = match test.by {
            Some(by) => Some(names.name(web, by).await?),
            None => None,
        };
        let environment = Some(test.environment.clone());
        steps.push(Step { step: "test".to_owned(), by, environment, ..Step::of(test.at, &test.digest) });
    }
    for (step, decision) in [("review", review), ("approval", approval)] {
        if let Some(decision) = decision {
            let by = Some(names.name(web, decision.by).await?);
            steps.push(Step { step: step.to_owned(), by, ..Step::of(decision.at, &decision.digest) });
        }
    }
    let decisions = held.decisions();
    let reached =
        ["proposed", "tested", "reviewed", "approved"].get(decisions).copied().unwrap_or("approved");
    Ok(Stage {
        target: rung.name.clone(),
        gate: rung.gate.as_str().to_owned(),
        stage: reached.to_owned(),
        decisions,
        steps,
        missing: change.lacks(rung).iter().map(|missing| (*missing).to_owned()).collect(),
    })
}

impl Step {
    fn of(at: Timestamp, digest: &Digest) -> Self {
        let (at, digest) = (at.to_string(), digest.to_string());
        Step { step: String::new(), by: None, at, digest, environment: None }
    }
}

fn content(files: &[File], deleted: &[(String, String)]) -> Result<Content, Problem> {
    let documents = super::document::checked(files)?;
    let content = Content::new(&documents, deleted.iter().cloned());
    content.map_err(|error| Problem::new(error.class(), error))
}

fn details(details: &Details) -> Result<Value, Problem> {
    Value::from_data(details).map_err(|error| Problem::new(Class::Invalid, error))
}

/// Proposes a change.
pub(crate) async fn propose(web: &Web, person: &Person, proposal: Proposal) -> Result<Proposed, Problem> {
    let content = content(&proposal.files, &proposal.deleted)?;
    let digest = content.digest();
    let id = ChangeId::mint(web.ambient.now(), web.ambient.random());
    let warnings = warnings(web, &proposal.service).await?;
    let details =
        details(&Details { service: Some(proposal.service), content: Some(content), ..Details::default() })?;
    let act = Act { details: Some(details), ..Act::new("change.propose", &id.to_string()) };
    let ruled = decide_with(web, person, act).await.map_err(|problem| problem.warn(warnings.clone()))?;
    Ok(Proposed { id: id.to_string(), digest: digest.to_string(), ruled, warnings })
}

/// Edits a change: what was decided on it is void.
pub(crate) async fn edit(
    web: &Web,
    person: &Person,
    change: &str,
    files: &[File],
    deleted: &[(String, String)],
) -> Result<Proposed, Problem> {
    let content = content(files, deleted)?;
    let digest = content.digest();
    let details = details(&Details { content: Some(content), ..Details::default() })?;
    let act = Act { details: Some(details), ..Act::new("change.edit", change) };
    let ruled = decide_with(web, person, act).await?;
    Ok(Proposed { id: change.to_owned(), digest: digest.to_string(), ruled, warnings: Vec::new() })
}

/// What else somebody does with a change.
pub(crate) async fn act(
    web: &Web,
    person: &Person,
    change: &str,
    act: &str,
    does: Does,
) -> Result<Ruled, Problem> {
    if !ACTS.contains(&act) {
        return Err(Problem::not_found("act", act).hint(format_args!("there are {}", ACTS.join(", "))));
    }
    let Does { digest, target, environment, failed, reason } = does;
    let details = details(&Details { target, environment, failed, ..Details::default() })?;
    let act = Act {
        details: Some(details),
        expected: Some(digest).filter(|digest| !digest.is_empty()),
        reason,
        ..Act::new(&format!("change.{act}"), change)
    };
    decide_with(web, person, act).await
}
