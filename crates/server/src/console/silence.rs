//! Silences: who asked not to be told of what, and until when.

use std::str::FromStr as _;

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use bartizan_core::selector::{Matcher, Selector};
use bartizan_core::time::Duration;
use serde::Deserialize;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::alert;
use crate::api::silence::{self, Row, Wanted};
use crate::auth::{READERS, RESPONDERS};
use crate::problem::Problem;
use crate::web::{Route, Web};

/// How long a silence made on the page may last: as it is asked for, and as people say it.
const SPANS: [(&str, &str); 6] = [
    ("30m", "30 minutes"),
    ("2h", "2 hours"),
    ("8h", "8 hours"),
    ("24h", "a day"),
    ("7d", "a week"),
    ("30d", "30 days"),
];

/// How long it lasts where nobody chooses.
const SPAN: &str = "2h";

/// The labels of an alert that a silence about it names: its severity may change.
const NAMED: [&str; 3] = ["alertname", "service", "environment"];

#[derive(Template)]
#[template(path = "silence/list.html")]
struct List {
    now: Now,
    silences: Vec<Row>,
    may: bool,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "silence/form.html")]
struct Fields {
    may: bool,
    matchers: String,
}

impl HtmlSafe for Fields {}

/// The alert that a silence is to be about.
#[derive(Debug, Default, Deserialize)]
struct About {
    #[serde(default)]
    alert: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Written {
    /// One in a line.
    matchers: String,
    reason: String,
    lasts: String,
}

pub(super) fn routes() -> Vec<Route> {
    let does =
        |path, handler| Route { method: Method::POST, path, roles: Some(RESPONDERS), summary: None, handler };
    vec![
        Route {
            method: Method::GET,
            path: "/silences",
            roles: Some(READERS),
            summary: None,
            handler: get(list),
        },
        does("/silences", post(create)),
        does("/silences/{silence}/end", post(end)),
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Query(about): Query<About>) -> Answer {
    let silences = silence::list(&web).await?.silences;
    let matchers = match &about.alert {
        Some(alert) => {
            let mut labels = alert::labels(&web, alert).await?;
            labels.retain(|name, _| NAMED.contains(&name.as_str()));
            labels.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
        }
        None => String::new(),
    };
    let place = Place::new(Section::Silences, "Silences")
        .lead("Nobody is told of what a silence names, while it lasts. It opens and is seen all the same.");
    let may = asked.may(RESPONDERS);
    let part = List { now: asked.now, silences, may };
    asked.answer_with(place, Fields { may, matchers }, part)
}

async fn create(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Form(written): Form<Written>,
) -> Answer {
    let invalid = |error: &dyn std::fmt::Display| Problem::new(Class::Invalid, error);
    let lines = written.matchers.lines().map(str::trim).filter(|line| !line.is_empty());
    let matchers: Result<Vec<Matcher>, _> = lines.map(Matcher::from_str).collect();
    let matchers =
        matchers.map_err(|error| invalid(&error).hint("write one matcher in a line, as service=shop"))?;
    let lasts: Duration = written.lasts.parse().map_err(|error| invalid(&error))?;
    let wanted = Wanted { matchers: Selector::new(matchers), reason: written.reason, lasts };
    silence::create(&web, &person, wanted).await?;
    Ok(Redirect::to("/silences").into_response())
}

async fn end(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(silence): Path<String>,
) -> Answer {
    silence::end(&web, &person, &silence).await?;
    Ok(Redirect::to("/silences").into_response())
}
