//! Documents: what is applied, where, and by which change.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::http::Method;
use axum::routing::get;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::document::{self, Row};
use crate::auth::READERS;
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "document/list.html")]
struct List {
    now: Now,
    documents: Vec<Row>,
}

impl HtmlSafe for List {}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/documents",
        roles: Some(READERS),
        summary: None,
        handler: get(list),
    }]
}

async fn list(State(web): State<Web>, asked: Asked) -> Answer {
    let documents = document::list(&web).await?.documents;
    let place =
        Place::new(Section::Documents, "Documents").lead("The policy that people wrote, as it is applied.");
    let part = List { now: asked.now, documents };
    asked.answer(place, part)
}
