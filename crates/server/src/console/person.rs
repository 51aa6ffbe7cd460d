//! People: who signs in, by which roles, and what an admin does about it.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use serde::Deserialize;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::person::{self, Grant, Row, Waiting, Wanted};
use crate::auth::{ADMINS, CONFIRMERS, READERS};
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "person/list.html")]
struct List {
    now: Now,
    people: Vec<Row>,
    requests: Vec<Waiting>,
    /// Who looks, to whom the requests that they may confirm have a button.
    name: String,
}

impl HtmlSafe for List {}

/// A form above the list, which a refresh leaves alone.
#[derive(Template)]
#[template(path = "person/form.html")]
struct Make {
    may: bool,
}

impl HtmlSafe for Make {}

#[derive(Template)]
#[template(path = "person/one.html")]
struct One {
    row: Row,
    roles: Vec<&'static str>,
    /// Whether who looks may act on them.
    may: bool,
    /// Whether it is who looks.
    own: bool,
    /// A link that was made just now.
    link: Option<String>,
}

impl HtmlSafe for One {}

#[derive(Debug, Deserialize)]
struct Given {
    role: String,
    /// Service names, separated by commas or spaces.
    #[serde(default)]
    services: String,
}

pub(super) fn routes() -> Vec<Route> {
    let route =
        |method, path, roles, handler| Route { method, path, roles: Some(roles), summary: None, handler };
    let page = |path, handler| route(Method::GET, path, READERS, handler);
    let act = |path, handler| route(Method::POST, path, ADMINS, handler);
    vec![
        page("/people", get(list)),
        page("/people/{person}", get(one)),
        act("/people", post(make)),
        act("/people/{person}/grant", post(grant)),
        act("/people/{person}/revoke", post(revoke)),
        act("/people/{person}/disable", post(disable)),
        act("/people/{person}/enable", post(enable)),
        act("/people/{person}/reset", post(reset)),
        act("/people/{person}/sign-in-link", post(link)),
        route(Method::POST, "/role-requests/{request}/confirm", CONFIRMERS, post(confirm)),
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Extension(by): Extension<Person>) -> Answer {
    let person::List { people, requests } = person::list(&web).await?;
    let place = Place::new(Section::People, "People").lead("Who signs in, and by which roles.");
    let above = Make { may: asked.may(ADMINS) };
    let part = List { now: asked.now, people, requests, name: by.name };
    asked.answer_with(place, above, part)
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Extension(by): Extension<Person>,
    Path(name): Path<String>,
) -> Answer {
    page(&web, asked, &by, &name, None).await
}

async fn page(web: &Web, asked: Asked, by: &Person, name: &str, link: Option<String>) -> Answer {
    let person = person::named(web, name).await?;
    let id = person.id.to_string();
    let rows = person::list(web).await?.people;
    let not_found = || crate::problem::Problem::not_found("person", name);
    let row = rows.into_iter().find(|row| row.id == id).ok_or_else(not_found)?;
    let place = Place::new(Section::People, row.name.clone()).below("People", "/people").still();
    let (may, own) = (asked.may(ADMINS), by.id == person.id);
    let roles = Role::ALL.iter().map(|role| role.as_str()).collect();
    asked.answer(place, One { row, roles, may, own, link })
}

fn back(name: &str) -> Answer {
    Ok(Redirect::to(&format!("/people/{}", part::segment(name))).into_response())
}

async fn make(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Form(wanted): Form<Wanted>,
) -> Answer {
    person::create(&web, &by, wanted.name.trim()).await?;
    back(wanted.name.trim())
}

async fn grant(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Path(name): Path<String>,
    Form(given): Form<Given>,
) -> Answer {
    let services = given.services.split([',', ' ']).filter(|service| !service.is_empty());
    let wanted = Grant { role: given.role, services: services.map(ToOwned::to_owned).collect() };
    let granted = person::grant(&web, &by, &name, &wanted).await?;
    // What waits is shown where it is confirmed.
    if granted.waiting.is_some() { Ok(Redirect::to("/people").into_response()) } else { back(&name) }
}

async fn revoke(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Path(name): Path<String>,
    Form(given): Form<Given>,
) -> Answer {
    person::revoke(&web, &by, &name, &given.role).await?;
    back(&name)
}

async fn plain(web: &Web, by: &Person, name: &str, act: &str) -> Answer {
    person::plain(web, by, name, act).await?;
    back(name)
}

async fn disable(State(web): State<Web>, by: Extension<Person>, Path(name): Path<String>) -> Answer {
    plain(&web, &by, &name, "person.disable").await
}

async fn enable(State(web): State<Web>, by: Extension<Person>, Path(name): Path<String>) -> Answer {
    plain(&web, &by, &name, "person.enable").await
}

async fn reset(State(web): State<Web>, by: Extension<Person>, Path(name): Path<String>) -> Answer {
    plain(&web, &by, &name, "person.reset").await
}

/// The link stands in the answer itself: it is shown once, and kept nowhere.
async fn link(
    State(web): State<Web>,
    asked: Asked,
    Extension(by): Extension<Person>,
    Path(name): Path<String>,
) -> Answer {
    let made = person::link(&web, &by, &name).await?;
    page(&web, asked, &by, &name, Some(made.path)).await
}

async fn confirm(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Path(request): Path<String>,
) -> Answer {
    person::confirm(&web, &by, &request).await?;
    Ok(Redirect::to("/people").into_response())
}
