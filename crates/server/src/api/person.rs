//! People: who signs in, by which roles, and what waits for a second person.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::id::{PersonId, RequestId};
use bartizan_core::person::{Directory, Person, Request};
use bartizan_core::role::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::Shape;
use super::session::SignInLink;
use super::{Act, Answer, Ruled, decide_with};
use crate::auth::{self, ADMINS, CONFIRMERS, READERS};
use crate::problem::{Body, Problem};
use crate::stages::person::Details;
use crate::web::{Route, Web};

/// One person.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    pub name: String,
    pub roles: Vec<String>,
    /// The services on whose team they are.
    pub services: Vec<String>,
    pub disabled: bool,
    /// Whether they have a second factor.
    pub second_factor: bool,
}

/// A role that waits for a second person.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    pub id: String,
    pub person: String,
    pub role: String,
    pub services: Vec<String>,
    /// Who asked for it.
    pub by: String,
    pub at: String,
    /// Who could confirm it.
    pub confirmers: Vec<String>,
}

/// Everybody, and what waits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub people: Vec<Row>,
    pub requests: Vec<Waiting>,
}

/// Somebody who is to sign in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub name: String,
}

/// Who was made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub id: String,
    pub name: String,
    #[serde(flatten)]
    pub ruled: Ruled,
}

/// A role for somebody, and the teams that they come on by it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    pub role: String,
    #[serde(default)]
    pub services: Vec<String>,
}

/// A role that somebody has no more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    pub role: String,
}

/// What became of a role that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Granted {
    #[serde(flatten)]
    pub ruled: Ruled,
    /// Set where the role waits for a second person.
    pub waiting: Option<Waiting>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/people"),
        Shape::post::<Created>("/api/v1/people").body::<Wanted>(),
        Shape::post::<Granted>("/api/v1/people/{person}/grant").body::<Grant>(),
        Shape::post::<Ruled>("/api/v1/people/{person}/revoke").body::<Taken>(),
        Shape::post::<Ruled>("/api/v1/people/{person}/disable"),
        Shape::post::<Ruled>("/api/v1/people/{person}/enable"),
        Shape::post::<Ruled>("/api/v1/people/{person}/reset"),
        Shape::post::<SignInLink>("/api/v1/people/{person}/sign-in-link"),
        Shape::post::<Ruled>("/api/v1/role-requests/{request}/confirm"),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    let act = |path, summary, handler| Route {
        method: Method::POST,
        path,
        roles: Some(ADMINS),
        summary: Some(summary),
        handler,
    };
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/people",
            roles: Some(READERS),
            summary: Some("List people with their roles, and the roles that wait for a second person."),
            handler: get(|State(web): State<Web>| async move { list(&web).await.map(Json) }),
        },
        act("/api/v1/people", "Make a person, without any role.", post(make)),
        act("/api/v1/people/{person}/grant", "Give a person a role, or ask a second person to.", post(give)),
        act("/api/v1/people/{person}/revoke", "Take a role from a person.", post(take)),
        act(
            "/api/v1/people/{person}/disable",
            "Let a person in no more, and end their sessions.",
            post(shut),
        ),
        act("/api/v1/people/{person}/enable", "Let a person in again.", post(open)),
        act(
            "/api/v1/people/{person}/reset",
            "Take a person's second factor away, so that they set up another.",
            post(reset_factor),
        ),
        act("/api/v1/people/{person}/sign-in-link", "Make a link that signs a person in once.", post(invite)),
        Route {
            method: Method::POST,
            path: "/api/v1/role-requests/{request}/confirm",
            roles: Some(CONFIRMERS),
            summary: Some("Confirm a role that somebody else asked for."),
            handler: post(agree),
        },
    ]
}

async fn directory(web: &Web) -> Result<Directory, Problem> {
    let people = web.store.people().await?;
    let requests = web.store.role_requests().await?;
    Ok(Directory {
        people: people.into_iter().map(|person| (person.id, person)).collect(),
        requests: requests.into_iter().map(|request| (request.id, request)).collect(),
    })
}

/// Everybody by name, and what waits.
pub(crate) async fn list(web: &Web) -> Result<List, Problem> {
    let directory = directory(web).await?;
    let holders = web.store.factor_holders().await?;
    let mut people: Vec<Row> = directory.people.values().map(|person| row(person, &holders)).collect();
    people.sort_by(|one, other| one.name.cmp(&other.name));
    let requests = directory.requests.values().map(|request| waiting(&directory, request)).collect();
    Ok(List { people, requests })
}

fn row(person: &Person, holders: &BTreeSet<PersonId>) -> Row {
    Row {
        id: person.id.to_string(),
        name: person.name.clone(),
        roles: person.roles.iter().map(ToString::to_string).collect(),
        services: person.services.iter().cloned().collect(),
        disabled: person.disabled,
        second_factor: holders.contains(&person.id),
    }
}

fn waiting(directory: &Directory, request: &Request) -> Waiting {
    let name = |id| directory.people.get(&id).map_or_else(|| id.to_string(), |person| person.name.clone());
    Waiting {
        id: request.id.to_string(),
        person: name(request.person),
        role: request.role.to_string(),
        services: request.services.iter().cloned().collect(),
        by: name(request.by),
        at: request.at.to_string(),
        confirmers: directory.confirmers(request).map(|person| person.name.clone()).collect(),
    }
}

/// The person of this name or identifier.
pub(crate) async fn named(web: &Web, name: &str) -> Result<Person, Problem> {
    let found = match name.parse::<PersonId>() {
        Ok(id) => web.store.person(id).await?,
        Err(_) => web.store.people().await?.into_iter().find(|person| person.name == name),
    };
    found.ok_or_else(|| Problem::not_found("person", name))
}

/// The names of people, each asked for once.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<PersonId, String>);

impl Names {
    /// A person's name; their identifier where nobody knows them any more.
    pub(crate) async fn name(&mut self, web: &Web, id: PersonId) -> Result<String, Problem> {
        if let Some(name) = self.0.get(&id) {
            return Ok(name.clone());
        }
        let person = web.store.person(id).await?;
        let name = person.map_or_else(|| id.to_string(), |person| person.name);
        self.0.insert(id, name.clone());
        Ok(name)
    }
}

fn role(word: &str) -> Result<Role, Problem> {
    let words: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    word.parse().map_err(|error| {
        Problem::new(Class::Invalid, error).hint(format_args!("the roles are {}", words.join(", ")))
    })
}

fn details(details: &Details) -> Result<Option<Value>, Problem> {
    Value::from_data(details).map(Some).map_err(|error| Problem::new(Class::Invalid, error))
}

/// Makes a person, who has no role yet.
pub(crate) async fn create(web: &Web, by: &Person, name: &str) -> Result<Created, Problem> {
    let id = PersonId::mint(web.ambient.now(), web.ambient.random()).to_string();
    let carried = Details { name: Some(name.to_owned()), ..Details::default() };
    let act = Act { details: details(&carried)?, ..Act::new("person.create", &id) };
    let ruled = decide_with(web, by, act).await?;
    Ok(Created { id, name: name.to_owned(), ruled })
}

/// Gives a role, or asks a second person to.
pub(crate) async fn grant(web: &Web, by: &Person, name: &str, wanted: &Grant) -> Result<Granted, Problem> {
    let person = named(web, name).await?;
    let id = RequestId::mint(web.ambient.now(), web.ambient.random());
    let carried = Details {
        role: Some(role(&wanted.role)?),
        services: wanted.services.iter().map(|service| service.trim().to_owned()).collect(),
        request: Some(id),
        ..Details::default()
    };
    let act = Act { details: details(&carried)?, ..Act::new("person.grant", &person.id.to_string()) };
    let ruled = decide_with(web, by, act).await?;
    let directory = directory(web).await?;
    let waiting = directory.requests.get(&id).map(|request| waiting(&directory, request));
    Ok(Granted { ruled, waiting })
}

/// Confirms what somebody else asked for.
pub(crate) async fn confirm(web: &Web, by: &Person, request: &str) -> Result<Ruled, Problem> {
    decide_with(web, by, Act::new("person.confirm", request)).await
}

/// Takes a role away.
pub(crate) async fn revoke(web: &Web, by: &Person, name: &str, word: &str) -> Result<Ruled, Problem> {
    let person = named(web, name).await?;
    let carried = Details { role: Some(role(word)?), ..Details::default() };
    let act = Act { details: details(&carried)?, ..Act::new("person.revoke", &person.id.to_string()) };
    decide_with(web, by, act).await
}

/// Does something to a person that needs no more words: `person.disable`, `person.enable`, `person.reset`.
pub(crate) async fn plain(web: &Web, by: &Person, name: &str, act: &str) -> Result<Ruled, Problem> {
    let person = named(web, name).await?;
    decide_with(web, by, Act::new(act, &person.id.to_string())).await
}

/// Makes a link by which somebody else signs in; that it was made is remembered of them.
pub(crate) async fn link(web: &Web, by: &Person, name: &str) -> Result<SignInLink, Problem> {
    let person = named(web, name).await?;
    if person.id != by.id {
        let ruled = decide_with(web, by, Act::new("person.link", &person.id.to_string())).await?;
        if ruled == Ruled::Pending {
            let problem =
                Problem::new(Class::Unavailable, "the act was written down and waits for its ruling");
            return Err(problem.hint("ask for the link again in a moment"));
        }
    }
    let path = auth::link(web, person.id).await?;
    Ok(SignInLink { path, expires_at: web.ambient.now().plus(auth::LINK).to_string() })
}

async fn make(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Body(wanted): Body<Wanted>,
) -> Answer<Created> {
    create(&web, &by, &wanted.name).await.map(Json)
}

async fn give(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Path(person): Path<String>,
    Body(wanted): Body<Grant>,
) -> Answer<Granted> {
    grant(&web, &by, &person, &wanted).await.map(Json)
}

async fn agree(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Path(request): Path<String>,
) -> Answer<Ruled> {
    confirm(&web, &by, &request).await.map(Json)
}

async fn take(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Path(person): Path<String>,
    Body(wanted): Body<Taken>,
) -> Answer<Ruled> {
    revoke(&web, &by, &person, &wanted.role).await.map(Json)
}

async fn shut(web: State<Web>, by: Extension<Person>, person: Path<String>) -> Answer<Ruled> {
    plain(&web, &by, &person, "person.disable").await.map(Json)
}

async fn open(web: State<Web>, by: Extension<Person>, person: Path<String>) -> Answer<Ruled> {
    plain(&web, &by, &person, "person.enable").await.map(Json)
}

async fn reset_factor(web: State<Web>, by: Extension<Person>, person: Path<String>) -> Answer<Ruled> {
    plain(&web, &by, &person, "person.reset").await.map(Json)
}

async fn invite(
    State(web): State<Web>,
    Extension(by): Extension<Person>,
    Path(person): Path<String>,
) -> Answer<SignInLink> {
    link(&web, &by, &person).await.map(Json)
}
