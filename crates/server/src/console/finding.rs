//! Findings over the fleet: what is wrong, where it is worst, how many have it.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::person::Person;
use serde::Deserialize;

use super::act;
use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::finding::affected::{Affected, Object, affected};
use crate::api::finding::held::{self, Assignment, Comment, Described, Row};
use crate::api::finding::{self, Filter, Group, fleet};
use crate::auth::{READERS, RESPONDERS};
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "finding/form.html")]
struct Fields {
    filter: Filter,
}

impl HtmlSafe for Fields {}

#[derive(Template)]
#[template(path = "finding/list.html")]
struct List {
    findings: Vec<Group>,
    /// How many there are with this filter, and without.
    found: u64,
    all: u64,
    from: usize,
    /// Where the next page is; none on the last.
    next: Option<String>,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "finding/one.html")]
struct One {
    now: Now,
    affected: Affected,
    /// Whether who looks may ask that it be accepted.
    may: bool,
}

impl HtmlSafe for One {}

#[derive(Template)]
#[template(path = "finding/held.html")]
struct Held {
    now: Now,
    findings: Vec<Row>,
    filter: held::Filter,
    full: bool,
    /// Who looks.
    me: String,
}

impl HtmlSafe for Held {}

#[derive(Template)]
#[template(path = "finding/sole.html")]
struct Sole {
    now: Now,
    finding: Described,
    /// Whether who looks may own it and say something of it.
    may: bool,
    pending: bool,
    /// Who looks, and who else may own it.
    me: String,
    owners: Vec<String>,
}

impl HtmlSafe for Sole {}

/// What is asked for of one finding on one asset.
#[derive(Debug, Default, Deserialize)]
struct On {
    #[serde(default)]
    asset: String,
    /// Whether an act waits for its ruling.
    #[serde(default)]
    pending: bool,
}

/// The path of the page that this filter asks for, from another place on.
fn path(filter: &Filter, from: usize) -> String {
    let Filter { kind, severity, text, .. } = filter;
    let [kind, severity, text] = [kind, severity, text].map(|text| part::segment(text));
    format!("/findings?kind={kind}&severity={severity}&text={text}&from={from}")
}

pub(super) fn routes() -> Vec<Route> {
    let page =
        |path, handler| Route { method: Method::GET, path, roles: Some(READERS), summary: None, handler };
    let does =
        |path, handler| Route { method: Method::POST, path, roles: Some(RESPONDERS), summary: None, handler };
    vec![
        page("/findings", get(list)),
        page("/findings/held", get(held_by)),
        page("/findings/by-key/{key}", get(sole)),
        page("/findings/{kind}/{subject}", get(one)),
        does("/findings/by-key/{key}/assign", post(assign)),
        does("/findings/by-key/{key}/comment", post(comment)),
    ]
}

async fn held_by(State(web): State<Web>, asked: Asked, Query(filter): Query<held::Filter>) -> Answer {
    let findings = held::list(&web, &filter).await?.findings;
    let full = findings.len() >= bartizan_store::finding::PAGE_LIMIT;
    let place = Place::new(Section::Findings, "Findings in hand")
        .below("Findings", "/findings")
        .lead("What somebody owns or said something of, each on one asset.");
    let me = asked.person.as_ref().map(|person| person.name.clone()).unwrap_or_default();
    let part = Held { now: asked.now, findings, filter, full, me };
    asked.answer(place, part)
}

async fn sole(State(web): State<Web>, asked: Asked, Path(key): Path<String>, Query(on): Query<On>) -> Answer {
    let finding = held::describe(&web, &key, &on.asset).await?;
    let row = &finding.row;
    let place = Place::new(Section::Findings, row.subject.clone())
        .below("Findings", "/findings")
        .lead(format!("On {} of {} in {}", row.asset, row.service, row.environment));
    let may = asked.may(RESPONDERS);
    let part = Sole {
        now: asked.now,
        may,
        pending: on.pending,
        me: asked.person.as_ref().map(|person| person.name.clone()).unwrap_or_default(),
        owners: if may { held::owners(&web).await? } else { Vec::new() },
        finding,
    };
    asked.answer(place, part)
}

async fn assign(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(key): Path<String>,
    Form(wanted): Form<Assignment>,
) -> Answer {
    let path = part::on_asset(&key, &wanted.asset);
    let ruled = held::assign(&web, &person, &key, wanted).await?;
    Ok(act::back(&path, &ruled))
}

async fn comment(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(key): Path<String>,
    Form(said): Form<Comment>,
) -> Answer {
    let path = part::on_asset(&key, &said.asset);
    let ruled = held::say(&web, &person, &key, said).await?;
    Ok(act::back(&path, &ruled))
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Path((kind, subject)): Path<(String, String)>,
    Query(about): Query<Object>,
) -> Answer {
    let affected = affected(&web, &kind, &subject, &about.object).await?;
    let place = Place::new(Section::Findings, subject)
        .below("Findings", "/findings")
        .lead(affected.finding.title.clone());
    let part = One { now: asked.now, may: asked.may(RESPONDERS), affected };
    asked.answer(place, part)
}

async fn list(State(web): State<Web>, asked: Asked, Query(filter): Query<Filter>) -> Answer {
    let finding::List { findings, found, all, next } = fleet::list(&web, &filter).await?;
    let (from, next) = (filter.from, next.map(|next| path(&filter, next)));
    let place = Place::new(Section::Findings, "Findings").lead(
        "Obligations that are not met. One closes when the same scope looks again and finds the fault gone.",
    );
    asked.answer_with(place, Fields { filter }, List { findings, found, all, from, next })
}

/// Where an acceptance of this finding is proposed: its scope is written there already.
fn propose(finding: &Group) -> String {
    let scope = match finding.subject.split_once('/').filter(|_| finding.kind == "deviation") {
        Some((baseline, rule)) => format!("baseline={baseline}\nrule={rule}"),
        None => format!("vulnerability={}\npackage={}", finding.subject, finding.object),
    };
    format!("/acceptances/new?scope={}", part::segment(&scope))
}
