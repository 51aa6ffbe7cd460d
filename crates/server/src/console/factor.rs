//! The second factor: set up, confirmed, shown, and its recovery codes. The one page that a session
//! without it reaches from beyond this machine.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use bartizan_core::person::Person;
use bartizan_core::role::Role;

use super::frame::{Place, Section};
use super::part::Now;
use super::{Answer, Asked};
use crate::api::factor::{self, Code};
use crate::auth::Signed;
use crate::auth::factor::{Drawing, draw};
use crate::problem::Problem;
use crate::web::{Route, Web};

/// Where the page is.
const PATH: &str = "/factor";

/// What the page shows.
enum Standing {
    /// There is none yet.
    None,
    /// A secret waits for its first code.
    Begun { drawing: Option<Drawing>, groups: String },
    /// A code is asked for before anything else.
    Ask,
    /// It is there, and was shown.
    Stands { since: String, left: usize },
    /// Codes that are shown this once.
    Codes(Vec<String>),
}

#[derive(Template)]
#[template(path = "factor/part.html")]
struct Part {
    now: Now,
    state: Standing,
}

impl HtmlSafe for Part {}

pub(super) fn routes() -> Vec<Route> {
    let route =
        |method, path, handler| Route { method, path, roles: Some(&Role::ALL), summary: None, handler };
    vec![
        route(Method::GET, PATH, get(page)),
        route(Method::POST, "/factor/begin", post(begin)),
        route(Method::POST, "/factor/confirm", post(confirm)),
        route(Method::POST, "/factor/show", post(show)),
        route(Method::POST, "/factor/recovery-codes", post(renew)),
        route(Method::POST, "/factor/remove", post(remove)),
    ]
}

fn place() -> Place {
    let lead = "A code from a device of yours, beside the link that signs you in.";
    Place::new(Section::Elsewhere, "Second factor").lead(lead).still()
}

async fn page(
    State(web): State<Web>,
    asked: Asked,
    Extension(person): Extension<Person>,
    Extension(signed): Extension<Signed>,
) -> Answer {
    let held = web.store.factor(person.id).await?;
    let state = match &held {
        None => Standing::None,
        Some(held) if !held.factor.is_open_to(&signed.token) => Standing::None,
        Some(held) if held.factor.confirmed_at.is_none() => {
            let secret = factor::open(&web, person.id, held)?;
            Standing::Begun { drawing: draw(&secret.uri(&person.name)), groups: secret.groups() }
        }
        Some(_) if !signed.passed => Standing::Ask,
        Some(held) => Standing::Stands {
            since: held.factor.confirmed_at.map(|at| at.to_string()).unwrap_or_default(),
            left: held.factor.recovery.len(),
        },
    };
    let part = Part { now: asked.now, state };
    asked.answer(place(), part)
}

async fn begin(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Extension(signed): Extension<Signed>,
) -> Answer {
    factor::begin(&web, &person, &signed).await?;
    Ok(Redirect::to(PATH).into_response())
}

async fn confirm(
    State(web): State<Web>,
    asked: Asked,
    Extension(person): Extension<Person>,
    Extension(signed): Extension<Signed>,
    Form(code): Form<Code>,
) -> Answer {
    let codes = factor::confirm(&web, &person, &signed, &code.code).await?;
    codes_page(asked, codes)
}

async fn show(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Extension(signed): Extension<Signed>,
    Form(code): Form<Code>,
) -> Answer {
    factor::pass(&web, &person, &signed, &code.code).await?;
    Ok(Redirect::to("/").into_response())
}

async fn renew(
    State(web): State<Web>,
    asked: Asked,
    Extension(person): Extension<Person>,
    Extension(signed): Extension<Signed>,
    Form(code): Form<Code>,
) -> Answer {
    let codes = factor::renew(&web, &person, &signed, &code.code).await?;
    codes_page(asked, codes)
}

async fn remove(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Extension(signed): Extension<Signed>,
    Form(code): Form<Code>,
) -> Answer {
    factor::remove(&web, &person, &signed, &code.code).await?;
    Ok(Redirect::to(PATH).into_response())
}

/// The codes, in the answer itself: nothing keeps them, and no other page shows them.
fn codes_page(asked: Asked, codes: Vec<String>) -> Result<axum::response::Response, Problem> {
    let part = Part { now: asked.now, state: Standing::Codes(codes) };
    asked.answer(place(), part)
}
