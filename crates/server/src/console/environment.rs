//! Environments: the ladder that changes climb, and declaring what a rung asks for.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::person::Person;

use super::act::{self, Said};
use super::frame::{Place, Section};
use super::part;
use super::{Answer, Asked};
use crate::api::environment::{self, Declared, Row};
use crate::auth::{ADMINS, READERS};
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "environment/list.html")]
struct List {
    environments: Vec<Row>,
    may: bool,
    pending: bool,
}

impl HtmlSafe for List {}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/environments",
            roles: Some(READERS),
            summary: None,
            handler: get(list),
        },
        Route {
            method: Method::POST,
            path: "/environments/{environment}/declare",
            roles: Some(ADMINS),
            summary: None,
            handler: post(declare),
        },
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Query(said): Query<Said>) -> Answer {
    let environments = environment::list(&web).await?.environments;
    let place = Place::new(Section::Environments, "Environments")
        .lead("The rungs that a change climbs, the lowest first, and what each asks for.");
    let may = asked.may(ADMINS);
    asked.answer(place, List { environments, may, pending: said.pending })
}

async fn declare(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(environment): Path<String>,
    Form(declared): Form<Declared>,
) -> Answer {
    let ruled = environment::declare(&web, &person, &environment, declared).await?;
    Ok(act::back("/environments", &ruled))
}
