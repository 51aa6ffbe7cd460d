//! Alerts: what a human must look at, one of them, and what people do about it.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use bartizan_core::person::Person;
use serde::Deserialize;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::Ruled;
use crate::api::alert::{self, Because, Described, Filter, Row};
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
    /// Whether an act of theirs waits for its ruling.
    pending: bool,
}

impl HtmlSafe for One {}

#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    pending: bool,
}

pub(super) fn routes() -> Vec<Route> {
    let page =
        |path, handler| Route { method: Method::GET, path, roles: Some(READERS), summary: None, handler };
    let act =
        |path, handler| Route { method: Method::POST, path, roles: Some(RESPONDERS), summary: None, handler };
    vec![
        page("/alerts", get(list)),
        page("/alerts/{alert}", get(one)),
        act("/alerts/{alert}/acknowledge", post(acknowledge)),
        act("/alerts/{alert}/close", post(close)),
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
    let may = asked.may(RESPONDERS) && row.stage == "open";
    let part = One { now: asked.now, may, pending: said.pending, alert };
    asked.answer(place, part)
}

async fn acknowledge(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(alert): Path<String>,
) -> Answer {
    let ruled = alert::acknowledge(&web, &person, &alert).await?;
    Ok(back(&alert, &ruled))
}

async fn close(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(alert): Path<String>,
    Form(because): Form<Because>,
) -> Answer {
    let ruled = alert::close(&web, &person, &alert, &because).await?;
    Ok(back(&alert, &ruled))
}

/// To the alert's page, which tells what became of the act.
fn back(alert: &str, ruled: &Ruled) -> axum::response::Response {
    let path = format!("/alerts/{}", part::segment(alert));
    match ruled {
        Ruled::Accepted => Redirect::to(&path).into_response(),
        Ruled::Pending => Redirect::to(&format!("{path}?pending=true")).into_response(),
    }
}
