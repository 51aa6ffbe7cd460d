//! Enrolment keys: by which hosts may still come in, who made each, and taking one back.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use bartizan_core::person::Person;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::alert::Filter;
use crate::api::enrolment::{self, Row};
use crate::auth::{KEEPERS, READERS};
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "enrolment/list.html")]
struct List {
    now: Now,
    keys: Vec<Row>,
    all: bool,
    may: bool,
}

impl HtmlSafe for List {}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/enrolment-keys",
            roles: Some(READERS),
            summary: None,
            handler: get(list),
        },
        Route {
            method: Method::POST,
            path: "/enrolment-keys/{key}/revoke",
            roles: Some(KEEPERS),
            summary: None,
            handler: post(revoke),
        },
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Query(filter): Query<Filter>) -> Answer {
    let keys = enrolment::list(&web, filter.all).await?.keys;
    let place = Place::new(Section::Assets, "Enrolment keys")
        .below("Assets", "/assets")
        .lead("By which hosts may come in, as what, and who made each. A key's secret is shown once, where it is made.");
    let may = asked.may(KEEPERS);
    let part = List { now: asked.now, keys, all: filter.all, may };
    asked.answer(place, part)
}

async fn revoke(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(key): Path<String>,
) -> Answer {
    enrolment::revoke(&web, &person, &key).await?;
    Ok(Redirect::to("/enrolment-keys").into_response())
}
