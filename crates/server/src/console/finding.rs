//! Findings over the fleet: what is wrong, where it is worst, how many have it.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::routing::get;
use serde::Deserialize;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::finding::affected::{Affected, Object, affected};
use crate::api::finding::{self, Group};
use crate::auth::READERS;
use crate::web::{Route, Web};

/// The most groups on one page.
const PAGE_LIMIT: usize = 100;

/// Which findings are asked for: what is empty asks for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    severity: String,
    /// What the subject, object or title holds, in any case.
    #[serde(default)]
    text: String,
    /// How many groups come before the page.
    #[serde(default)]
    from: usize,
}

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
    found: usize,
    all: usize,
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
}

impl HtmlSafe for One {}

impl Filter {
    fn takes(&self, group: &Group) -> bool {
        let text = self.text.trim().to_lowercase();
        let holds = |field: &str| field.to_lowercase().contains(&text);
        (self.kind.is_empty() || self.kind == group.kind)
            && (self.severity.is_empty() || self.severity == group.severity)
            && (text.is_empty()
                || [&group.subject, &group.object, &group.title].into_iter().any(|f| holds(f)))
    }

    /// The same, from another place on.
    fn path(&self, from: usize) -> String {
        let [kind, severity, text] = [&self.kind, &self.severity, &self.text].map(|text| part::segment(text));
        format!("/findings?kind={kind}&severity={severity}&text={text}&from={from}")
    }
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
    let part = One { now: asked.now, affected };
    asked.answer(place, part)
}

async fn list(State(web): State<Web>, asked: Asked, Query(filter): Query<Filter>) -> Answer {
    let mut findings = finding::list(&web).await?.findings;
    let all = findings.len();
    findings.retain(|group| filter.takes(group));
    let (found, from) = (findings.len(), filter.from.min(findings.len()));
    let mut findings = findings.split_off(from);
    let next = (findings.len() > PAGE_LIMIT).then(|| filter.path(from + PAGE_LIMIT));
    findings.truncate(PAGE_LIMIT);
    let place = Place::new(Section::Findings, "Findings").lead(
        "Obligations that are not met. One closes when the same scope looks again and finds the fault gone.",
    );
    asked.answer_with(place, Fields { filter }, List { findings, found, all, from, next })
}
