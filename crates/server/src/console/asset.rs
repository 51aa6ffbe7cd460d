//! Assets: who is watched, and all that is told of one.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::Method;
use axum::routing::{get, post};
use bartizan_core::asset::Life;
use bartizan_core::person::Person;

use super::act::{self, Said};
use super::chart::{self, Share};
use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::asset::{self, Because, Described, Page, Row};
use crate::api::drift::{self, Explanation};
use crate::api::order;
use crate::auth::{CONFIRMERS, OPERATORS, READERS};
use crate::problem::Problem;
use crate::web::{Route, Web};

/// The longest text of facts that a page shows, in bytes; the API gives it whole.
const FACTS_BYTES_LIMIT: usize = 512 << 10;

/// The most orders that an asset's page shows; the API gives more.
const ORDERS_LIMIT: usize = 10;

#[derive(Template)]
#[template(path = "asset/list.html")]
struct List {
    now: Now,
    assets: Vec<Row>,
    after: Option<u32>,
}

impl HtmlSafe for List {}

#[derive(Template)]
#[template(path = "asset/one.html")]
struct One {
    now: Now,
    asset: Described,
    share: Share,
    /// Whether who looks may let it in.
    may: bool,
    /// Whether an act of theirs waits for its ruling.
    pending: bool,
    orders: Vec<order::Row>,
    drift: drift::List,
    /// Whether who looks may account for what drifts.
    explains: bool,
}

impl HtmlSafe for One {}

#[derive(Template)]
#[template(path = "asset/facts.html")]
struct Facts {
    id: String,
    section: String,
    text: String,
    /// Whether the text ends before the facts do.
    cut: bool,
}

impl HtmlSafe for Facts {}

pub(super) fn routes() -> Vec<Route> {
    let page =
        |path, handler| Route { method: Method::GET, path, roles: Some(READERS), summary: None, handler };
    vec![
        page("/assets", get(list)),
        page("/assets/{asset}", get(one)),
        page("/assets/{asset}/facts/{section}", get(facts)),
        Route {
            method: Method::POST,
            path: "/assets/{asset}/approve",
            roles: Some(CONFIRMERS),
            summary: None,
            handler: post(approve),
        },
        Route {
            method: Method::POST,
            path: "/assets/{asset}/drift",
            roles: Some(OPERATORS),
            summary: None,
            handler: post(explain),
        },
    ]
}

async fn list(State(web): State<Web>, asked: Asked, Query(page): Query<Page>) -> Answer {
    let asset::List { assets, after } = asset::list(&web, page.after).await?;
    let place = Place::new(Section::Assets, "Assets").lead("Everything that is watched, and how it stands.");
    let part = List { now: asked.now, assets, after };
    asked.answer(place, part)
}

async fn one(
    State(web): State<Web>,
    asked: Asked,
    Path(name): Path<String>,
    Query(said): Query<Said>,
) -> Answer {
    let asset = asset::describe(&web, &name).await?;
    let held = asset::find(&web, &asset.row.id).await?;
    let orders = order::list(&web, Some(&held), ORDERS_LIMIT).await?.orders;
    let drift = drift::list(&web, &held).await?;
    let row = &asset.row;
    let lead = format!("{} of {} in {}", part::plain(&row.class), row.service, row.environment);
    let place = Place::new(Section::Assets, row.name.clone()).below("Assets", "/assets").lead(lead);
    let may = row.life == Life::Quarantined.as_str() && asked.may(CONFIRMERS);
    let share = chart::share(&row.verdicts);
    let explains = asked.may(OPERATORS);
    let part = One { now: asked.now, share, may, pending: said.pending, asset, orders, drift, explains };
    asked.answer(place, part)
}

async fn approve(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
    Form(because): Form<Because>,
) -> Answer {
    let ruled = asset::approve(&web, &person, &name, &because).await?;
    Ok(act::back(&format!("/assets/{}", part::segment(&name)), &ruled))
}

async fn explain(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Path(name): Path<String>,
    Form(explanation): Form<Explanation>,
) -> Answer {
    let ruled = drift::explain(&web, &person, &name, explanation).await?;
    Ok(act::back(&format!("/assets/{}", part::segment(&name)), &ruled))
}

/// How many findings nobody accepted.
fn open(findings: &[crate::api::finding::Finding]) -> usize {
    findings.iter().filter(|finding| finding.accepted.is_none()).count()
}

async fn facts(
    State(web): State<Web>,
    asked: Asked,
    Path((name, section)): Path<(String, String)>,
) -> Answer {
    let asset = asset::find(&web, &name).await?;
    let value = asset::facts(&web, &asset, &section).await?;
    let bug = |error: serde_json::Error| Problem::new(bartizan_core::error::Class::Bug, error);
    let mut text = serde_json::to_string_pretty(&value).map_err(bug)?;
    let cut = text.len() > FACTS_BYTES_LIMIT;
    text.truncate(text.floor_char_boundary(FACTS_BYTES_LIMIT));
    let id = asset.id.to_string();
    let place = Place::new(Section::Assets, section.clone())
        .below("Assets", "/assets")
        .below(asset.name, format!("/assets/{id}"))
        .still();
    asked.answer(place, Facts { id, section, text, cut })
}
