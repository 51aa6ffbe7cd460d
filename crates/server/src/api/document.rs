//! Policy documents: what is applied where, and applying where an environment asks for nothing.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::configuration::baseline::Baseline;
use bartizan_core::configuration::drift::watch::{self, Watches};
use bartizan_core::configuration::enforcement::{self, Enforcement};
use bartizan_core::document::{self, Document};
use bartizan_core::error::Class;
use bartizan_core::incident::rule::IncidentRule;
use bartizan_core::monitoring::health::Health;
use bartizan_core::monitoring::route::Routes;
use bartizan_core::person::Person;
use bartizan_core::vulnerability::response::{self, Response};
use bartizan_core::vulnerability::source::{self, FeedSource};
use bartizan_detect::rules::Rules;
use bartizan_store::document::Edit;
use bartizan_store::person::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::openapi::Shape;
use super::person::Names;
use crate::auth::{OPERATORS, READERS};
use crate::problem::{Body, Problem};
use crate::web::{Route, Web};

/// The environment where applying asks for no decision.
pub const OPEN_ENVIRONMENT: &str = "dev";

/// One document as it stands applied.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub environment: String,
    pub kind: String,
    pub name: String,
    pub owner: Option<String>,
    pub digest: String,
    pub applied_at: String,
    /// The change that brought it; none where it was applied in an open environment.
    pub change: Option<String>,
    /// Who applied it by hand there.
    #[serde(default)]
    pub applied_by: Option<String>,
}

/// All documents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub documents: Vec<Row>,
}

/// Files of documents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Files {
    pub files: Vec<File>,
}

/// One file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct File {
    pub name: String,
    pub text: String,
}

/// What applying did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    pub created: Vec<String>,
    pub changed: Vec<String>,
    pub unchanged: usize,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/documents"),
        Shape::post::<Applied>("/api/v1/environments/{environment}/apply").body::<Files>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/documents",
            roles: Some(READERS),
            summary: Some("List the documents that are applied."),
            handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/environments/{environment}/apply",
            roles: Some(OPERATORS),
            summary: Some("Apply documents in an environment that asks for no decision."),
            handler: post(apply),
        },
    ]
}

/// The documents of all environments.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let mut documents = Vec::new();
    let mut names = Names::default();
    for environment in web.store.environments().await? {
        for applied in web.store.documents(&environment).await? {
            let applied_by = match applied.by {
                Some(by) => Some(names.name(web, by).await?),
                None => None,
            };
            documents.push(Row {
                applied_by,
                environment: applied.environment,
                kind: applied.document.kind,
                name: applied.document.name,
                owner: applied.document.owner,
                digest: applied.document.digest.to_string(),
                applied_at: applied.applied_at.to_string(),
                change: applied.change.map(|change| change.to_string()),
            });
        }
    }
    Ok(List { documents })
}

async fn apply(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(environment): Path<String>,
    Body(files): Body<Files>,
) -> Answer<Applied> {
    if environment != OPEN_ENVIRONMENT {
        let problem =
            Problem::new(Class::Denied, format_args!("`{environment}` takes documents by a change alone"));
        return Err(problem.hint("propose a change, and have it tested, reviewed and approved"));
    }
    let documents = checked(&files.files)?;
    tracing::info!(person.id = %person.id, environment, documents = documents.len(), "applying documents");
    apply_by(&web, &environment, Some(&person), documents).await.map(Json)
}

/// The documents of files, each good by its kind; or every fault that could be found.
pub(crate) fn checked(files: &[File]) -> Result<Vec<Document>, Problem> {
    let mut documents = Vec::new();
    let mut wrong = Vec::new();
    for file in files {
        match document::parse(&file.name, &file.text) {
            Ok(read) => documents.extend(read),
            Err(found) => wrong.extend(found),
        }
    }
    wrong.extend(documents.iter().flat_map(check));
    if wrong.is_empty() { Ok(documents) } else { Err(faults(wrong)) }
}

fn faults(faults: Vec<document::Fault>) -> Problem {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Problem::new(Class::Invalid, lines.join("\n"))
        .hint("nothing was applied: mend the documents and apply again")
}

/// Applies what ships with the server, or what its own machine asks for: nobody did it by hand.
pub async fn apply_documents(
    web: &Web,
    environment: &str,
    documents: Vec<Document>,
) -> Result<Applied, Problem> {
    apply_by(web, environment, None, documents).await
}

/// Checks documents by their kinds, and applies those that are new or changed.
async fn apply_by(
    web: &Web,
    environment: &str,
    person: Option<&Person>,
    documents: Vec<Document>,
) -> Result<Applied, Problem> {
    let mut wrong = Vec::new();
    for document in &documents {
        wrong.extend(check(document));
    }
    if !wrong.is_empty() {
        return Err(faults(wrong));
    }
    let held = web.store.documents(environment).await?;
    let mut done = Applied { created: Vec::new(), changed: Vec::new(), unchanged: 0 };
    let mut edits = Vec::new();
    for document in documents {
        let named = format!("{} {}", document.kind, document.name);
        let same = |applied: &&bartizan_store::document::Applied| {
            applied.document.kind == document.kind && applied.document.name == document.name
        };
        match held.iter().find(same) {
            Some(applied) if applied.document.digest == document.digest => {
                done.unchanged += 1;
                continue;
            }
            Some(_) => done.changed.push(named),
            None => done.created.push(named),
        }
        edits.push(Edit::Put(Box::new(document)));
    }
    if !edits.is_empty() {
        let by = person.map(|person| By { person: person.id, salt: web.ambient.random() });
        web.store.edit_documents(environment, &edits, by, web.ambient.now()).await?;
        web.policies.changed();
        web.nudges.policies();
    }
    Ok(done)
}

/// Whether a document says what its kind may say.
pub fn check(document: &Document) -> Vec<document::Fault> {
    match document.kind.as_str() {
        "Baseline" => Baseline::from_document(document).err().unwrap_or_default(),
        source::KIND => FeedSource::from_document(document).err().into_iter().collect(),
        watch::KIND => Watches::from_document(document).err().into_iter().collect(),
        "Health" => Health::from_document(document).err().into_iter().collect(),
        enforcement::KIND => Enforcement::from_document(document).err().into_iter().collect(),
        "Route" => Routes::from_document(document).err().into_iter().collect(),
        response::KIND => Response::from_document(document).err().into_iter().collect(),
        "IncidentRule" => IncidentRule::from_document(document).err().into_iter().collect(),
        "Detection" => Rules::default().read_document(document).err().into_iter().collect(),
        kind => {
            let known = "there are Baseline, Detection, Drift, Enforcement, FeedSource, Health, IncidentRule, \
                ResponsePolicy and Route";
            vec![document.fault("", format!("there is no kind of document `{kind}`: {known}"))]
        }
    }
}
