//! Baselines: how the fleet stands on each, rule by rule.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::configuration::review::Side;
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use bartizan_core::severity::Severity;

use super::act::{self, Said};
use super::chart;
use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::baseline::{self, Row, Rule};
use crate::api::review::{self, Saying};
use crate::auth::{OPERATORS, READERS};
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
    now: Now,
    baseline: Row,
    review: Option<review::Described>,
    /// The sides that whoever looks may speak for.
    sides: Vec<Side>,
    pending: bool,
}

impl HtmlSafe for One {}

pub(super) fn routes() -> Vec<Route> {
    let page =
        |path, handler| Route { method: Method::GET, path, roles: Some(READERS), summary: None, handler };
    vec![
        page("/baselines", get(list)),
        page("/baselines/{baseline}", get(one)),
        Route {
            method: Method::POST,
            path: "/baselines/{baseline}/review",
            roles: Some(OPERATORS),
            summary: None,
            handler: post(say),
        },
    ]
}

async fn list(State(web): State<Web>, asked: Asked) -> Answer {
    let baselines = baseline::list(&web).await?.baselines;
    let place = Place::new(Section::Baselines, "Baselines")
        .lead("The configuration that is required, and on how many assets each rule holds.");
    asked.answer(place, List { baselines })
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Path(name): Path<String>,
    Query(said): Query<Said>,
) -> Answer {
    let mut baseline = baseline::describe(&web, &name).await?;
    let severity = |rule: &Rule| rule.severity.parse().unwrap_or(Severity::None);
    // What is not met comes first, the gravest before; then what is unknown.
    baseline.rules.sort_by_key(|rule| {
        let Rule { verdicts, .. } = rule;
        let unknown = verdicts.not_met == 0 && verdicts.unknown > 0;
        std::cmp::Reverse((verdicts.not_met > 0, unknown, severity(rule), verdicts.not_met))
    });
    let place = Place::new(Section::Baselines, baseline.title.clone()).below("Baselines", "/baselines");
    // Its clock starts with the next look of the review stage.
    let review = match review::describe(&web, &name).await {
        Ok(review) => Some(review),
        Err(problem) if problem.class() == Class::NotFound => None,
        Err(problem) => return Err(problem),
    };
    let may = |side: &Side| asked.person.as_ref().is_some_and(|person| person.roles.contains(&side.role()));
    let sides = [Side::ServiceTeam, Side::Security].into_iter().filter(may).collect();
    let part = One { now: asked.now, baseline, review, sides, pending: said.pending };
    asked.answer(place, part)
}

async fn say(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
    Form(saying): Form<Saying>,
) -> Answer {
    let ruled = review::say(&web, &person, &name, saying).await?;
    Ok(act::back(&format!("/baselines/{}", part::segment(&name)), &ruled))
}
