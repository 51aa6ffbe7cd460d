//! Findings that people have put something on: whose each is, what was said of it, how it ended.

use std::collections::BTreeMap;

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{MethodRouter, get, post};
use bartizan_core::asset::Asset;
use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::finding::{End, Entry, Happened, Key, State as Life, Subject};
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::vulnerability::affected::Pair;
use bartizan_store::finding as store;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accepted::Overlay;
use super::due::{self, Deadline, Fact};
use super::{Finding, exploitation, of_asset};
use crate::acceptance::Fault;
use crate::api::openapi::Shape;
use crate::api::person::{self, Names};
use crate::api::{Act, Answer, Ruled, asset, decide_with};
use crate::auth::{READERS, RESPONDERS};
use crate::problem::{Body, Problem, Query};
use crate::stages::finding::{ASSIGN, COMMENT, Details};
use crate::web::{Route, Web};

/// The most comments that a finding of an asset is told with, and the most entries of its history.
const COMMENTS_LIMIT: usize = 3;
const ENTRIES_LIMIT: usize = 200;

/// A finding on one asset that somebody has put something on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub key: String,
    /// `deviation` or `vulnerability`.
    pub kind: String,
    /// The rule (`BASELINE/RULE`), or the vulnerability.
    pub subject: String,
    /// The source package, for a vulnerability.
    pub object: String,
    pub asset: String,
    pub asset_id: String,
    pub service: String,
    pub environment: String,
    /// When the fault was first observed, since it came back last.
    pub since: String,
    /// Whether first sight of the asset brought it.
    pub backlog: bool,
    /// How often it came back after an end.
    pub returns: u64,
    /// Whose it is to mend; none where nobody took it.
    pub owner: Option<String>,
    /// None while it is open.
    pub ended: Option<Ended>,
    /// By when it has to be gone; none where no policy says, or where it is accepted or has ended.
    #[serde(default)]
    pub due: Option<Deadline>,
}

/// How a finding ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    pub at: String,
    /// `verified`, `withdrawn` or `retired`.
    pub how: String,
    /// What took the obligation back, for one that was withdrawn: nothing was fixed.
    pub by: Option<String>,
}

/// One entry of a finding's history.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    pub number: u32,
    pub at: String,
    /// Who did it; none where it was observed.
    pub by: Option<String>,
    /// `assigned`, `commented`, `ended` or `returned`.
    pub happened: String,
    pub text: String,
}

/// All that is told of one finding on one asset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    #[serde(flatten)]
    pub row: Row,
    /// How it stands there now; none where the asset does not show it any more.
    pub now: Option<Finding>,
    /// The newest entries of its history, the newest first.
    pub history: Vec<Told>,
}

/// Findings that people have put something on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// Open ones first, those that changed last before the others.
    pub findings: Vec<Row>,
}

/// Whose findings are asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Filter {
    /// Whose they are to mend, by name; everybody's where it is empty.
    #[serde(default)]
    pub owner: String,
    /// Whether those that have ended are listed, too.
    #[serde(default)]
    pub ended: bool,
}

/// Where a finding is looked for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct On {
    /// The asset, by name or identifier; needed where nobody has put anything on the finding yet.
    #[serde(default)]
    pub asset: String,
}

/// Whose it is to be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The asset, by name or identifier; needed where nobody has put anything on the finding yet.
    #[serde(default)]
    pub asset: String,
    /// By name; whoever asks where it is left out.
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub reason: String,
}

/// What others have to know.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// The asset, by name or identifier; needed where nobody has put anything on the finding yet.
    #[serde(default)]
    pub asset: String,
    pub text: String,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/findings/held").query::<Filter>(),
        Shape::get::<Described>("/api/v1/findings/by-key/{key}").query::<On>(),
        Shape::post::<Ruled>("/api/v1/findings/by-key/{key}/assign").body::<Assignment>(),
        Shape::post::<Ruled>("/api/v1/findings/by-key/{key}/comment").body::<Comment>(),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    let route = |method, path, roles: &'static [Role], summary, handler: MethodRouter<Web>| Route {
        method,
        path,
        roles: Some(roles),
        summary: Some(summary),
        handler,
    };
    vec![
        route(
            Method::GET,
            "/api/v1/findings/held",
            READERS,
            "List findings that somebody owns or said something of, each on one asset.",
            get(|State(web): State<Web>, Query(filter): Query<Filter>| async move {
                list(&web, &filter).await.map(Json)
            }),
        ),
        route(
            Method::GET,
            "/api/v1/findings/by-key/{key}",
            READERS,
            "Describe a finding on one asset, with its history.",
            get(|State(web): State<Web>, Path(key): Path<String>, Query(on): Query<On>| async move {
                let told: Answer<Described> = describe(&web, &key, &on.asset).await.map(Json);
                told
            }),
        ),
        route(
            Method::POST,
            "/api/v1/findings/by-key/{key}/assign",
            RESPONDERS,
            "Give a finding on one asset to somebody.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(key): Path<String>,
                 Body(wanted): Body<Assignment>| async move {
                    let ruled: Answer<Ruled> = assign(&web, &person, &key, wanted).await.map(Json);
                    ruled
                },
            ),
        ),
        route(
            Method::POST,
            "/api/v1/findings/by-key/{key}/comment",
            RESPONDERS,
            "Say what others have to know of a finding on one asset.",
            post(
                |State(web): State<Web>,
                 Extension(person): Extension<Person>,
                 Path(key): Path<String>,
                 Body(comment): Body<Comment>| async move {
                    let ruled: Answer<Ruled> = say(&web, &person, &key, comment).await.map(Json);
                    ruled
                },
            ),
        ),
    ]
}

/// A finding by its key: what people have put on it, and how its asset shows it now.
struct Found {
    asset: Asset,
    subject: Subject,
    held: Option<store::Held>,
    now: Option<Finding>,
}

async fn find(web: &Web, key: &str, on: &str) -> Result<Found, Problem> {
    let not_found = || Problem::not_found("finding", key);
    let parsed: Key = key.parse().map_err(|error| not_found().hint(error))?;
    let held = web.store.finding(&parsed).await?;
    let asset = match (&held, on.trim()) {
        (Some(held), _) => web.store.asset_by_number(held.number).await?,
        (None, "") => None,
        (None, on) => Some(asset::find(web, on).await?),
    };
    let hint = "where nobody has put anything on it, its asset has to be named, and has to have it now";
    let asset = asset.ok_or_else(|| not_found().hint(hint))?;
    let now = of_asset(web, &asset).await?.into_iter().find(|finding| finding.key == key);
    let subject = match (&held, &now) {
        (Some(held), _) => Some(held.finding.subject.clone()),
        (None, Some(now)) => {
            Fault::named(&now.kind, &now.subject, &now.object).map(|fault| fault.on(asset.id))
        }
        (None, None) => None,
    };
    let subject = subject.ok_or_else(|| not_found().hint(hint))?;
    Ok(Found { asset, subject, held, now })
}

/// Findings that people have put something on.
pub(crate) async fn list(web: &Web, filter: &Filter) -> Result<List, Problem> {
    let owner = match filter.owner.trim() {
        "" => None,
        name => Some(person::named(web, name).await?.id),
    };
    let held = web.store.findings(store::Filter { owner, ended: filter.ended }).await?;
    let numbers: Vec<u32> = held.iter().map(|held| held.number).collect();
    let assets = web.store.assets_by_number(&numbers).await?;
    let (mut findings, mut names) = (Vec::new(), Names::default());
    let overlay = Overlay::read(web).await?;
    for held in held {
        let Some(asset) = assets.get(&held.number) else { continue };
        let due = due(web, asset, &held, &overlay).await?;
        findings.push(Row { due, ..row(web, asset, &held, &mut names).await? });
    }
    Ok(List { findings })
}

/// One finding on one asset, with its history.
pub(crate) async fn describe(web: &Web, key: &str, on: &str) -> Result<Described, Problem> {
    let Found { asset, subject, held, now } = find(web, key, on).await?;
    let mut names = Names::default();
    let Some(held) = held else {
        let now = now.ok_or_else(|| Problem::not_found("finding", key))?;
        let row = Row { due: now.due.clone(), ..bare(&asset, &subject, &now.since) };
        return Ok(Described { row, now: Some(now), history: Vec::new() });
    };
    let due = now.as_ref().and_then(|now| now.due.clone());
    let mut history = Vec::new();
    for entry in web.store.finding_entries(&held.finding.subject.key(), ENTRIES_LIMIT).await? {
        history.push(told(web, entry, &mut names).await?);
    }
    let row = Row { due, ..row(web, &asset, &held, &mut names).await? };
    Ok(Described { row, now, history })
}

/// By when a finding has to be gone that somebody has put something on: by its row, and by how grave the
/// documents and the feeds say that it is.
async fn due(
    web: &Web,
    asset: &Asset,
    held: &store::Held,
    overlay: &Overlay<'_>,
) -> Result<Option<Deadline>, Problem> {
    let finding = &held.finding;
    let (severity, fault) = match &finding.subject {
        Subject::Deviation { baseline, rule, .. } => {
            let environment = web.policies.environment(&asset.environment).await?;
            let found = environment.rule(baseline, rule).map(|rule| rule.severity);
            (found, Fault::Rule { baseline: baseline.clone(), rule: rule.clone() })
        }
        Subject::Vulnerability { id, source_package, .. } => {
            let pair = Pair { vulnerability: id.clone(), source: source_package.clone() };
            let found = web.store.vulnerability(&pair).await?.and_then(|row| row.severity);
            (found, Fault::Vulnerability { id: id.clone(), source: source_package.clone() })
        }
        _ => return Ok(None),
    };
    if !finding.is_open() || overlay.of(&fault, asset).is_some() {
        return Ok(None);
    }
    let kev_due = finding.subject.labels().get("vulnerability").and_then(|id| exploitation(web, id).0);
    let key = finding.subject.key().to_string();
    let fact = Fact { key: key.clone(), severity, since: finding.since, by: Vec::new(), kev_due };
    let held = BTreeMap::from([(key, held.clone())]);
    Ok(due::deadlines(web, asset, &[fact], &held).await?.pop().flatten().map(|(_, due)| due))
}

/// How many findings in somebody's hands are overdue, of those that changed last.
pub(crate) async fn overdue(web: &Web) -> Result<u64, Problem> {
    let rows = list(web, &Filter::default()).await?.findings;
    Ok(rows.iter().filter(|row| row.due.as_ref().is_some_and(|due| due.overdue)).count() as u64)
}

/// Who may own a finding, by name.
pub(crate) async fn owners(web: &Web) -> Result<Vec<String>, Problem> {
    let people = web.store.people().await?.into_iter();
    Ok(people.filter(|person| person.has_any(RESPONDERS)).map(|person| person.name).collect())
}

/// What people have put something on, of one asset, by key.
pub(super) async fn on(web: &Web, asset: &Asset) -> Result<BTreeMap<String, store::Held>, Problem> {
    let held = web.store.findings_on(&[asset.number]).await?.into_iter();
    Ok(held.map(|held| (held.finding.subject.key().to_string(), held)).collect())
}

/// Tells of each finding of an asset whose it is, and what was said of it last.
pub(super) async fn mark<'a>(
    web: &Web,
    held: &BTreeMap<String, store::Held>,
    findings: impl Iterator<Item = &'a mut Finding>,
) -> Result<(), Problem> {
    let mut names = Names::default();
    for finding in findings {
        let Some(store::Held { finding: ours, .. }) = held.get(&finding.key) else { continue };
        finding.owner = name(web, ours.owner, &mut names).await?;
        for entry in web.store.finding_entries(&ours.subject.key(), ENTRIES_LIMIT).await? {
            let said = matches!(entry.happened, Happened::Commented { .. });
            if said && finding.comments.len() < COMMENTS_LIMIT {
                finding.comments.push(told(web, entry, &mut names).await?);
            }
        }
    }
    Ok(())
}

/// Where people have put something on a fault, by key.
pub(super) async fn about(web: &Web, fault: &Fault) -> Result<BTreeMap<String, store::Held>, Problem> {
    let [kind, about, _] = fault.names();
    let held = web.store.findings_about(&kind, &[&about]).await?.into_iter();
    Ok(held.map(|held| (held.finding.subject.key().to_string(), held)).collect())
}

pub(super) async fn name(
    web: &Web,
    id: Option<PersonId>,
    names: &mut Names,
) -> Result<Option<String>, Problem> {
    match id {
        Some(id) => names.name(web, id).await.map(Some),
        None => Ok(None),
    }
}

/// A finding that nobody has put anything on.
fn bare(asset: &Asset, subject: &Subject, since: &str) -> Row {
    let [kind, about, object] = match subject {
        Subject::Deviation { baseline, rule, .. } => {
            [subject.kind().to_owned(), format!("{baseline}/{rule}"), String::new()]
        }
        Subject::Vulnerability { id, source_package, .. } => {
            [subject.kind().to_owned(), id.clone(), source_package.clone()]
        }
        other => [other.kind().to_owned(), String::new(), String::new()],
    };
    Row {
        key: subject.key().to_string(),
        kind,
        subject: about,
        object,
        asset: asset.name.clone(),
        asset_id: asset.id.to_string(),
        service: asset.service.clone(),
        environment: asset.environment.clone(),
        since: since.to_owned(),
        backlog: false,
        returns: 0,
        owner: None,
        ended: None,
        due: None,
    }
}

async fn row(web: &Web, asset: &Asset, held: &store::Held, names: &mut Names) -> Result<Row, Problem> {
    let finding = &held.finding;
    let ended = match &finding.state {
        Life::Open => None,
        Life::Ended { at, end } => {
            let by = match end {
                End::Withdrawn { by } => Some(by.clone()),
                End::Verified { .. } | End::Retired => None,
            };
            Some(Ended { at: at.to_string(), how: end.as_str().to_owned(), by })
        }
    };
    Ok(Row {
        backlog: finding.backlog,
        returns: finding.returns.into(),
        owner: name(web, finding.owner, names).await?,
        ended,
        ..bare(asset, &finding.subject, &finding.since.to_string())
    })
}

async fn told(web: &Web, entry: Entry, names: &mut Names) -> Result<Told, Problem> {
    let by = name(web, entry.by, names).await?;
    let happened = entry.happened.as_str().to_owned();
    let text = match entry.happened {
        Happened::Assigned { to, reason } => {
            let to = names.name(web, to).await?;
            if reason.is_empty() { to } else { format!("{to}: {reason}") }
        }
        Happened::Commented { text } => text,
        Happened::Ended { end: End::Verified { observed_at } } => {
            format!("verified: it was looked for at {observed_at}, and is gone")
        }
        Happened::Ended { end: End::Withdrawn { by } } => {
            format!("withdrawn by {by}: nothing was fixed")
        }
        Happened::Ended { end: End::Retired } => "the asset was retired".to_owned(),
        Happened::Returned => "it is back".to_owned(),
    };
    Ok(Told { number: entry.number, at: entry.at.to_string(), by, happened, text })
}

/// Gives a finding to somebody; to whoever asks where nobody is named.
pub(crate) async fn assign(
    web: &Web,
    person: &Person,
    key: &str,
    wanted: Assignment,
) -> Result<Ruled, Problem> {
    let subject = find(web, key, &wanted.asset).await?.subject;
    let to = match wanted.owner.trim() {
        "" => person.id,
        name => person::named(web, name).await?.id,
    };
    let details = value(&Details { subject, to: Some(to) })?;
    decide_with(web, person, Act { reason: wanted.reason, details, ..Act::new(ASSIGN, key) }).await
}

/// Says what others have to know of a finding.
pub(crate) async fn say(web: &Web, person: &Person, key: &str, comment: Comment) -> Result<Ruled, Problem> {
    let subject = find(web, key, &comment.asset).await?.subject;
    let details = value(&Details { subject, to: None })?;
    decide_with(web, person, Act { reason: comment.text, details, ..Act::new(COMMENT, key) }).await
}

fn value(details: &impl Serialize) -> Result<Option<Value>, Problem> {
    Value::from_data(details).map(Some).map_err(|error| Problem::new(Class::Invalid, error))
}
