//! Reviews of baselines: when each is due, what has become of it since the last, and what both sides say.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::canonical::Value;
use bartizan_core::clock::Standing;
use bartizan_core::configuration::review::{Concluded, DUE_BEFORE, Review, Said, Side, Word};
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use bartizan_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asset::Verdicts;
use super::openapi::Shape;
use super::{Act, Answer, Ruled, decide_with};
use crate::auth::{OPERATORS, READERS};
use crate::problem::{Body, Problem};
use crate::stages::review::{Baselines, Details, baselines};
use crate::web::{Route, Web};

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Voice {
    pub side: String,
    /// `keep`, `change` or `retire`.
    pub word: String,
    pub by: String,
    pub reason: String,
    pub at: String,
}

/// The last review that both sides agreed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Last {
    pub word: String,
    pub digest: String,
    pub at: String,
    pub said: Vec<Voice>,
}

/// Where a baseline is applied, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    pub environment: String,
    pub digest: String,
    pub applied_at: String,
}

/// One baseline's review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub baseline: String,
    /// The team that answers for it.
    pub owner: Option<String>,
    /// The digest that a review names: of the document in the highest environment that has one.
    pub digest: String,
    pub applied: Vec<Place>,
    /// When the next review has to be concluded.
    pub due_at: String,
    /// `running`, `due` (within 30 days) or `overdue`.
    pub standing: String,
    pub last: Option<Last>,
    /// What has been said towards the next one.
    pub said: Vec<Voice>,
}

/// All reviews.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub reviews: Vec<Row>,
}

/// A rule that is not what it was at the last review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    pub rule: String,
    /// `added`, `changed` or `removed`.
    pub what: String,
}

/// What a review looks at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub row: Row,
    /// How its rules differ from what was reviewed last; every rule is new where it never was.
    pub differences: Vec<Difference>,
    /// What it finds now, over all rules and assets.
    pub verdicts: Verdicts,
    /// Its rules that have a verdict on no asset: not applicable there, or not judged yet.
    #[serde(default)]
    pub without_verdict: u64,
    /// The alerts about its rules since the last review, as far back as alerts are listed.
    pub caught: usize,
    /// Risk acceptances that are open against its rules.
    pub accepted: Vec<String>,
}

/// What somebody says of a baseline.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Saying {
    /// The digest of what was looked at.
    #[schemars(length(min = 71, max = 71))]
    pub digest: String,
    /// For whom; needed of somebody who may speak for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    pub word: Word,
    #[schemars(length(min = 1))]
    pub reason: String,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/reviews"),
        Shape::get::<Described>("/api/v1/reviews/{baseline}"),
        Shape::post::<Ruled>("/api/v1/reviews/{baseline}").body::<Saying>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    let read = |path, summary, handler| Route {
        method: Method::GET,
        path,
        roles: Some(READERS),
        summary: Some(summary),
        handler,
    };
    vec![
        read(
            "/api/v1/reviews",
            "List the reviews of baselines, with when each is due.",
            get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
        ),
        read(
            "/api/v1/reviews/{baseline}",
            "Describe what the review of a baseline looks at.",
            get(|State(web): State<Web>, Path(name): Path<String>| async move {
                describe(&web, &name).await.map(Json)
            }),
        ),
        Route {
            method: Method::POST,
            path: "/api/v1/reviews/{baseline}",
            roles: Some(OPERATORS),
            summary: Some("Say for one side that a baseline is kept, changed or retired."),
            handler: post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(name): Path<String>,
                 Body(saying): Body<Saying>| async move {
                    let ruled: Answer<Ruled> = say(&web, &person, &name, saying).await.map(Json);
                    ruled
                },
            ),
        },
    ]
}

/// The reviews of all baselines that are applied, those that are due first before the others.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let baselines = baselines(&web.store).await?;
    let mut rows = Vec::new();
    for review in web.store.reviews().await? {
        rows.extend(row(web, &review, &baselines).await?);
    }
    rows.sort_by(|a, b| (&a.due_at, &a.baseline).cmp(&(&b.due_at, &b.baseline)));
    Ok(List { reviews: rows })
}

/// One review as it stands; nothing where its baseline is applied nowhere.
async fn row(web: &Web, review: &Review, baselines: &Baselines) -> Result<Option<Row>, Problem> {
    let Some(held) = baselines.get(&review.baseline) else { return Ok(None) };
    let now = web.ambient.now();
    let (standing, due) = match review.clock(now).1 {
        Standing::Overdue { due, .. } => ("overdue", due),
        Standing::Running { due } if now.plus(DUE_BEFORE) > due => ("due", due),
        Standing::Running { due } | Standing::Kept { due } | Standing::Late { due } => ("running", due),
        Standing::NotStarted => ("running", now),
    };
    let place = |held: &bartizan_store::document::Applied| Place {
        environment: held.environment.clone(),
        digest: held.document.digest.to_string(),
        applied_at: held.applied_at.to_string(),
    };
    Ok(Some(Row {
        baseline: review.baseline.clone(),
        owner: review.owner.clone(),
        digest: held.top.digest.to_string(),
        applied: held.held.iter().map(place).collect(),
        due_at: due.to_string(),
        standing: standing.to_owned(),
        last: match &review.last {
            Some(last) => Some(concluded(web, last).await?),
            None => None,
        },
        said: voices(web, &review.standing(Some(&held.top))).await?,
    }))
}

async fn concluded(web: &Web, last: &Concluded) -> Result<Last, Problem> {
    let said = voices(web, &last.said).await?;
    Ok(Last { word: last.word.to_string(), digest: last.digest.to_string(), at: last.at.to_string(), said })
}

async fn voices(web: &Web, said: &BTreeMap<Side, Said>) -> Result<Vec<Voice>, Problem> {
    let mut voices = Vec::with_capacity(said.len());
    for (side, said) in said {
        let by = web.store.person(said.by).await?;
        voices.push(Voice {
            side: side.to_string(),
            word: said.word.to_string(),
            by: by.map_or_else(|| said.by.to_string(), |person| person.name),
            reason: said.reason.clone(),
            at: said.at.to_string(),
        });
    }
    Ok(voices)
}

/// What the review of a baseline looks at.
pub(crate) async fn describe(web: &Web, name: &str) -> Result<Described, Problem> {
    let missing = || Problem::not_found("baseline", name);
    let review = web.store.reviews().await?.into_iter().find(|review| review.baseline == name);
    let review = review.ok_or_else(missing)?;
    let baselines = baselines(&web.store).await?;
    let row = row(web, &review, &baselines).await?.ok_or_else(missing)?;
    let current = baselines.get(name).and_then(|standing| standing.held.first());
    let before = web.store.reviewed(name).await?;
    let differences =
        current.map(|held| differences(before.as_ref(), &held.document.written)).unwrap_or_default();
    let mut verdicts = Verdicts::default();
    for ((_, _), counted) in super::baseline::counts(web).await?.iter().filter(|((own, _), _)| own == name) {
        verdicts.add(*counted);
    }
    let without_verdict = match super::baseline::describe(web, name).await {
        Ok(baseline) => baseline.without_verdict,
        // Under review still, and applied nowhere any more.
        Err(problem) if problem.class() == Class::NotFound => 0,
        Err(problem) => return Err(problem),
    };
    let since = review.last.as_ref().map_or(review.since, |last| last.at);
    let accepted = super::acceptance::list(web, false).await?.acceptances;
    let ours = |matcher: &String| matcher.contains(&format!("{name}/"));
    Ok(Described {
        row,
        differences,
        verdicts,
        without_verdict,
        caught: caught(web, name, since).await?,
        accepted: accepted.into_iter().filter(|row| row.scope.iter().any(ours)).map(|row| row.id).collect(),
    })
}

/// How many alerts about rules of a baseline opened since then.
async fn caught(web: &Web, name: &str, since: Timestamp) -> Result<usize, Problem> {
    let alerts = web.store.alerts(false, bartizan_store::alert::PAGE_LIMIT).await?;
    let begins = format!("{name}/");
    let ours =
        alerts.iter().filter(|alert| alert.opened_at >= since && alert.group.subject.starts_with(&begins));
    Ok(ours.count())
}

/// The rules of a document as written, by their identifiers.
fn rules(document: &Value) -> BTreeMap<String, &Value> {
    let Some(Value::Array(rules)) = document.get("spec").and_then(|spec| spec.get("rules")) else {
        return BTreeMap::new();
    };
    let named = |rule: &Value| rule.get("id").and_then(Value::as_str).map(str::to_owned);
    rules.iter().filter_map(|rule| named(rule).map(|id| (id, rule))).collect()
}

fn differences(before: Option<&Value>, now: &Value) -> Vec<Difference> {
    let (old, new) = (before.map(rules).unwrap_or_default(), rules(now));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = |name: &&String| old.get(*name) != new.get(*name);
    let told = |name: &String| {
        let what = match (old.contains_key(name), new.contains_key(name)) {
            (true, true) => "changed",
            (true, false) => "removed",
            (false, _) => "added",
        };
        Difference { rule: name.clone(), what: what.to_owned() }
    };
    names.into_iter().filter(differs).map(told).collect()
}

/// Says for one side what is to become of a baseline.
pub(crate) async fn say(web: &Web, person: &Person, name: &str, saying: Saying) -> Result<Ruled, Problem> {
    let may: Vec<Side> = [Side::ServiceTeam, Side::Security]
        .into_iter()
        .filter(|side| person.roles.contains(&side.role()))
        .collect();
    let side = match (saying.side, may.as_slice()) {
        (Some(side), _) => side,
        (None, [side]) => *side,
        (None, _) => {
            let problem = Problem::new(Class::Invalid, "you may speak for either side");
            return Err(problem.hint("name one: service_team or security"));
        }
    };
    let details = Value::from_data(&Details { side, word: saying.word });
    let details = details.map_err(|error| Problem::new(Class::Bug, error))?;
    let act = Act {
        expected: Some(saying.digest),
        reason: saying.reason,
        details: Some(details),
        ..Act::new("review.say", name)
    };
    decide_with(web, person, act).await
}
