//! Signing in: a link that works once, used by a button and never by merely being opened.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::Query;
use axum::http::Method;
use axum::routing::get;
use serde::Deserialize;

use super::frame::{Place, Section};
use super::{Answer, Asked};
use crate::web::Route;

#[derive(Debug, Default, Deserialize)]
struct Link {
    #[serde(default)]
    link: String,
}

#[derive(Template)]
#[template(path = "session/sign_in.html")]
struct SignIn {
    link: String,
}

impl HtmlSafe for SignIn {}

pub(super) fn routes() -> Vec<Route> {
    vec![Route { method: Method::GET, path: "/sign-in", roles: None, summary: None, handler: get(sign_in) }]
}

async fn sign_in(asked: Asked, Query(link): Query<Link>) -> Answer {
    asked.answer(Place::new(Section::Elsewhere, "Sign in").still(), SignIn { link: link.link })
}
