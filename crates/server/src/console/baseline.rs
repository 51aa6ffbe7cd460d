//! Baselines: how the fleet stands on each, rule by rule.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::routing::get;
use bartizan_core::severity::Severity;

use super::chart;
use super::frame::{Place, Section};
use super::part;
use super::{Answer, Asked};
use crate::api::baseline::{self, Row, Rule};
use crate::auth::READERS;
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "baseline/list.html")]
struct List {
    baselines: Vec<Row>,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "baseline/one.html")]
struct One {
    baseline: Row,
}

impl HtmlSafe for One {}

pub(super) fn routes() -> Vec<Route> {
    let page =
        |path, handler| Route { method: Method::GET, path, roles: Some(READERS), summary: None, handler };
    vec![page("/baselines", get(list)), page("/baselines/{baseline}", get(one))]
}

async fn list(State(web): State<Web>, asked: Asked) -> Answer {
    let baselines = baseline::list(&web).await?.baselines;
    let place = Place::new(Section::Baselines, "Baselines")
        .lead("The configuration that is required, and on how many assets each rule holds.");
    asked.answer(place, List { baselines })
}

async fn one(State(web): State<Web>, asked: Asked, Path(name): Path<String>) -> Answer {
    let mut baseline = baseline::describe(&web, &name).await?;
    let severity = |rule: &Rule| rule.severity.parse().unwrap_or(Severity::None);
    // What is not met comes first, the gravest before; then what is unknown.
    baseline.rules.sort_by_key(|rule| {
        let Rule { verdicts, .. } = rule;
        let unknown = verdicts.not_met == 0 && verdicts.unknown > 0;
        std::cmp::Reverse((verdicts.not_met > 0, unknown, severity(rule), verdicts.not_met))
    });
    let place = Place::new(Section::Baselines, baseline.title.clone()).below("Baselines", "/baselines");
    asked.answer(place, One { baseline })
}
