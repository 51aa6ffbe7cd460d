//! Sessions: signing in and out, and who one is.

use axum::Form;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::openapi::Shape;
use crate::auth;
use crate::problem::{Body, Problem};
use crate::web::{Route, Web};

/// Who is signed in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    pub name: String,
    pub roles: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Link {
    link: String,
}

/// A session for a program.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub token: String,
}

/// A way in that works once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignInLink {
    /// What follows the server's address.
    pub path: String,
    pub expires_at: String,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::post::<Session>("/api/v1/session").body::<Link>(),
        Shape::get::<Me>("/api/v1/me"),
        Shape::post::<SignInLink>("/api/v1/sign-in-links"),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route { method: Method::POST, path: "/sign-in", roles: None, summary: None, handler: post(sign_in) },
        Route {
            method: Method::POST,
            path: "/api/v1/session",
            roles: None,
            summary: Some("Open a session by a sign-in link's token."),
            handler: post(open),
        },
        Route {
            method: Method::POST,
            path: "/sign-out",
            roles: Some(&bartizan_core::role::Role::ALL),
            summary: None,
            handler: post(sign_out),
        },
        Route {
            method: Method::GET,
            path: "/api/v1/me",
            roles: Some(&bartizan_core::role::Role::ALL),
            summary: Some("Who is signed in."),
            handler: get(me),
        },
        Route {
            method: Method::POST,
            path: "/api/v1/sign-in-links",
            roles: Some(&bartizan_core::role::Role::ALL),
            summary: Some("Make a link by which the same person signs in once more, in a browser."),
            handler: post(another),
        },
    ]
}

/// Another site must not sign a browser in here as somebody else: they would act in a name not theirs.
async fn sign_in(
    State(web): State<Web>,
    uri: Uri,
    headers: HeaderMap,
    Form(form): Form<Link>,
) -> Result<Response, Problem> {
    auth::same_origin(&uri, &headers)?;
    let token = used(&web, &form.link).await?;
    Ok(([(header::SET_COOKIE, auth::set_cookie(&token))], Redirect::to("/")).into_response())
}

async fn open(State(web): State<Web>, Body(form): Body<Link>) -> Answer<Session> {
    Ok(Json(Session { token: used(&web, &form.link).await? }))
}

async fn used(web: &Web, link: &str) -> Result<String, Problem> {
    let no_good = || {
        Problem::new(Class::Denied, "the sign-in link was used already, or has expired")
            .hint("`bartizan sign-in` prints another")
    };
    auth::sign_in(web, link).await?.ok_or_else(no_good)
}

async fn sign_out(State(web): State<Web>, headers: HeaderMap) -> Result<Response, Problem> {
    auth::sign_out(&web, &headers).await?;
    Ok((
        StatusCode::SEE_OTHER,
        [(header::SET_COOKIE, auth::clear_cookie()), (header::LOCATION, "/sign-in".to_owned())],
    )
        .into_response())
}

async fn me(Extension(person): Extension<Person>) -> Json<Me> {
    let roles = person.roles.iter().map(|role| role.as_str().to_owned()).collect();
    Json(Me { name: person.name, roles })
}

async fn another(State(web): State<Web>, Extension(person): Extension<Person>) -> Answer<SignInLink> {
    let path = auth::link(&web, person.id).await?;
    let expires_at = web.ambient.now().plus(auth::LINK).to_string();
    Ok(Json(SignInLink { path, expires_at }))
}
