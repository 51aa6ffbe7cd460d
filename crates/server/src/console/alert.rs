//! Alerts: what a human must look at, one of them, and what people do about it.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::person::Person;

use super::act::{self, Said};
use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::alert::{self, Because, Described, Filter, Row};
use crate::api::incident;
use crate::auth::{READERS, RESPONDERS};
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "alert/list.html")]
struct List {
    now: Now,
    alerts: Vec<Row>,
    all: bool,
    full: bool,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "alert/one.html")]
struct One {
    now: Now,
    alert: Described,
    /// Whether who looks may act on it.
    may: bool,
    /// Whether who looks may open an incident about it.
    responder: bool,
    /// The incident that has it.
    incident: Option<String>,
    /// Whether an act of theirs waits for its ruling.
    pending: bool,
}

impl HtmlSafe for One {}

pub(super) fn routes() -> Vec<Route> {
    let page =
        |path, handler| Route { method: Method::GET, path, roles: Some(READERS), summary: None, handler };
    let does =
        |path, handler| Route { method: Method::POST, path, roles: Some(RESPONDERS), summary: None, handler };
    vec![
        page("/alerts", get(list)),
        page("/alerts/{alert}", get(one)),
        does("/alerts/{alert}/acknowledge", post(acknowledge)),
        does("/alerts/{alert}/close", post(close)),
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Query(filter): Query<Filter>) -> Answer {
    let mut alerts = alert::list(&web, filter.all).await?.alerts;
    let full = alerts.len() >= alert::PAGE_LIMIT;
    // The newest stay first among those that somebody has, and among those that nobody has.
    alerts.sort_by_key(|row| (row.stage != "open", row.acknowledged_by.is_some()));
    let place = Place::new(Section::Alerts, "Alerts").lead("What a human must look at.");
    let part = List { now: asked.now, alerts, all: filter.all, full };
    asked.answer(place, part)
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Path(name): Path<String>,
    Query(said): Query<Said>,
) -> Answer {
    let alert = alert::describe(&web, &name).await?;
    let row = &alert.row;
    let lead = format!("{} on {} in {}", part::plain(&row.kind), row.service, row.environment);
    let place = Place::new(Section::Alerts, row.summary.clone()).below("Alerts", "/alerts").lead(lead);
    let responder = asked.may(RESPONDERS);
    let may = responder && row.stage == "open";
    let incident = incident::of_alert(&web, &row.id).await?;
    let part = One { now: asked.now, may, responder, incident, pending: said.pending, alert };
    asked.answer(place, part)
}

async fn acknowledge(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(alert): Path<String>,
) -> Answer {
    let ruled = alert::acknowledge(&web, &person, &alert).await?;
    Ok(act::back(&path(&alert), &ruled))
}

async fn close(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(alert): Path<String>,
    Form(because): Form<Because>,
) -> Answer {
    let ruled = alert::close(&web, &person, &alert, &because).await?;
    Ok(act::back(&path(&alert), &ruled))
}

fn path(alert: &str) -> String {
    format!("/alerts/{}", part::segment(alert))
}
