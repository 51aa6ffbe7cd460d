//! Findings over the fleet: what is wrong, where it is worst, how many have it.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::routing::get;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::finding::affected::{Affected, Object, affected};
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

/// The path of the page that this filter asks for, from another place on.
fn path(filter: &Filter, from: usize) -> String {
    let Filter { kind, severity, text, .. } = filter;
    let [kind, severity, text] = [kind, severity, text].map(|text| part::segment(text));
    format!("/findings?kind={kind}&severity={severity}&text={text}&from={from}")
}

pub(super) fn routes() -> Vec<Route> {
    let page =
        |path, handler| Route { method: Method::GET, path, roles: Some(READERS), summary: None, handler };
    vec![page("/findings", get(list)), page("/findings/{kind}/{subject}", get(one))]
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
