//! Incidents: coordinated responses, how far each has come, and what people do with them.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::incident::stage::Stage;
use bartizan_core::person::Person;
use serde::Deserialize;

use super::act::{self, Said};
use super::frame::{Place, Section};
use super::part::{self, Now, Step};
use super::{Answer, Asked};
use crate::api::alert::{self, Because, Filter};
use crate::api::incident::{self, Described, Judged, Next, Note, Owner, Row, Wanted};
use crate::auth::{READERS, RESPONDERS};
use crate::web::{Route, Web};

/// What each stage is for, in its order; the last one is the end.
const STAGES: [(&str, &str); 5] = [
    ("detect", "noticed"),
    ("assess", "what it touches, how badly"),
    ("diagnose", "why it happens"),
    ("stabilise", "held and mended"),
    ("close", "over, with the reason"),
];

const IMPACTS: [&str; 4] = ["unnoticed", "degraded", "serious", "lost"];
const SPREADS: [&str; 3] = ["one_asset", "one_service", "many_services"];
const SENSITIVITIES: [&str; 4] = ["public", "internal", "secret", "customer"];

#[derive(Template)]
#[template(path = "incident/list.html")]
struct List {
    now: Now,
    incidents: Vec<Row>,
    all: bool,
    full: bool,
    may: bool,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "incident/new.html")]
struct New {
    alert: Option<alert::Row>,
}

impl HtmlSafe for New {}

#[derive(Template)]
#[template(path = "incident/one.html")]
struct One {
    now: Now,
    incident: Described,
    alerts: Vec<alert::Row>,
    steps: Vec<Step>,
    /// The stages that it may advance to.
    next: Vec<&'static str>,
    may_close: bool,
    /// Whether who looks may act on it.
    may: bool,
    pending: bool,
    /// Who looks, and who else may own it.
    me: String,
    owners: Vec<String>,
}

impl HtmlSafe for One {}

/// The alert that an incident is to be about.
#[derive(Debug, Default, Deserialize)]
struct About {
    #[serde(default)]
    alert: Option<String>,
}

/// What a form says of an incident to be opened; a field that is left empty says nothing.
#[derive(Debug, Deserialize)]
struct Opening {
    title: String,
    #[serde(default)]
    alert: String,
}

pub(super) fn routes() -> Vec<Route> {
    let page = |path, roles, handler| Route {
        method: Method::GET,
        path,
        roles: Some(roles),
        summary: None,
        handler,
    };
    let does =
        |path, handler| Route { method: Method::POST, path, roles: Some(RESPONDERS), summary: None, handler };
    vec![
        page("/incidents", READERS, get(list)),
        page("/incidents/new", RESPONDERS, get(new)),
        page("/incidents/{incident}", READERS, get(one)),
        does("/incidents", post(open)),
        does("/incidents/{incident}/acknowledge", post(acknowledge)),
        does("/incidents/{incident}/assign", post(assign)),
        does("/incidents/{incident}/rate", post(rate)),
        does("/incidents/{incident}/advance", post(advance)),
        does("/incidents/{incident}/note", post(note)),
        does("/incidents/{incident}/close", post(close)),
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Query(filter): Query<Filter>) -> Answer {
    let incidents = incident::list(&web, filter.all).await?.incidents;
    let full = incidents.len() >= incident::PAGE_LIMIT;
    let place = Place::new(Section::Incidents, "Incidents")
        .lead("Coordinated responses, each from its detection to its end.");
    let may = asked.may(RESPONDERS);
    let part = List { now: asked.now, incidents, all: filter.all, full, may };
    asked.answer(place, part)
}

async fn new(State(web): State<Web>, asked: Asked, Query(about): Query<About>) -> Answer {
    let alert = match about.alert {
        Some(id) => Some(alert::describe(&web, &id).await?.row),
        None => None,
    };
    let place = Place::new(Section::Incidents, "Open an incident")
        .below("Incidents", "/incidents")
        .lead("What happened, in one line. Who leads it and how bad it is come next.")
        .still();
    asked.answer(place, New { alert })
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Path(name): Path<String>,
    Query(said): Query<Said>,
) -> Answer {
    let incident = incident::describe(&web, &name).await?;
    let row = &incident.row;
    let lead = match &row.rule {
        Some(rule) => format!("Opened by the rule {rule}"),
        None => "Opened by hand".to_owned(),
    };
    let place = Place::new(Section::Incidents, row.title.clone()).below("Incidents", "/incidents").lead(lead);
    let stage = row.stage.parse::<Stage>().ok();
    let next = Stage::ALL.into_iter().filter(|next| stage.is_some_and(|stage| stage.leads_to(*next)));
    let may = asked.may(RESPONDERS) && stage.is_some();
    let part = One {
        now: asked.now,
        alerts: alert::named(&web, &incident.alert_ids).await?,
        steps: steps(&row.stage),
        next: next.map(Stage::as_str).collect(),
        may_close: stage.is_some_and(Stage::may_close),
        may,
        pending: said.pending,
        me: asked.person.as_ref().map(|person| person.name.clone()).unwrap_or_default(),
        owners: if may { incident::owners(&web).await? } else { Vec::new() },
        incident,
    };
    asked.answer(place, part)
}

/// The five stages, with those that lie behind and the one where it is.
fn steps(stage: &str) -> Vec<Step> {
    let here = STAGES.iter().position(|(word, _)| *word == stage);
    let steps = STAGES.iter().enumerate().map(|(place, (word, words))| {
        let step = Step::new(*word).note(*words);
        match here {
            // What has ended lies behind as a whole.
            Some(here) if place < here || stage == "close" => step.done(),
            Some(here) if place == here => step.here(),
            _ => step,
        }
    });
    steps.collect()
}

async fn open(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Form(Opening { title, alert }): Form<Opening>,
) -> Answer {
    let wanted = Wanted { title, alert: Some(alert).filter(|alert| !alert.is_empty()) };
    let opened = incident::open(&web, &person, wanted).await?;
    Ok(act::back(&path(&opened.id), &opened.ruled))
}

async fn acknowledge(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(incident): Path<String>,
) -> Answer {
    let ruled = incident::acknowledge(&web, &person, &incident).await?;
    Ok(act::back(&path(&incident), &ruled))
}

async fn assign(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(incident): Path<String>,
    Form(owner): Form<Owner>,
) -> Answer {
    let ruled = incident::assign(&web, &person, &incident, owner).await?;
    Ok(act::back(&path(&incident), &ruled))
}

async fn rate(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(incident): Path<String>,
    Form(judged): Form<Judged>,
) -> Answer {
    let ruled = incident::rate(&web, &person, &incident, judged).await?;
    Ok(act::back(&path(&incident), &ruled))
}

async fn advance(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(incident): Path<String>,
    Form(next): Form<Next>,
) -> Answer {
    let ruled = incident::advance(&web, &person, &incident, &next).await?;
    Ok(act::back(&path(&incident), &ruled))
}

async fn note(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(incident): Path<String>,
    Form(note): Form<Note>,
) -> Answer {
    let ruled = incident::note(&web, &person, &incident, note).await?;
    Ok(act::back(&path(&incident), &ruled))
}

async fn close(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(incident): Path<String>,
    Form(because): Form<Because>,
) -> Answer {
    let ruled = incident::close(&web, &person, &incident, because).await?;
    Ok(act::back(&path(&incident), &ruled))
}

fn path(incident: &str) -> String {
    format!("/incidents/{}", part::segment(incident))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stepper_has_every_stage_of_the_judge_and_the_end() {
        let words: Vec<&str> = STAGES.iter().map(|(word, _)| *word).collect();
        let stages: Vec<&str> = Stage::ALL.into_iter().map(Stage::as_str).chain(["close"]).collect();
        assert_eq!(words, stages);
    }
}
