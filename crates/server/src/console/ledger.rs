//! The ledger: its head, its entries, and how anybody checks them without this server.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Query, State};
use axum::http::Method;
use axum::routing::get;

use super::frame::{Place, Section};
use super::part::{self, Now};
use super::{Answer, Asked};
use crate::api::ledger::{self, Page};
use crate::auth::READERS;
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "ledger/list.html")]
struct List {
    now: Now,
    list: ledger::List,
    /// Where the next page ends; none on the last.
    before: Option<u64>,
}

impl HtmlSafe for List {}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/ledger",
        roles: Some(READERS),
        summary: None,
        handler: get(list),
    }]
}

async fn list(State(web): State<Web>, asked: Asked, Query(page): Query<Page>) -> Answer {
    let list = ledger::list(&web, page.before).await?;
    let before = list.entries.last().map(|entry| entry.leaf).filter(|leaf| *leaf > 0);
    let place = Place::new(Section::Ledger, "Ledger")
        .lead("Everything that was decided and done, in one signed log that can't be rewritten unseen.");
    let part = List { now: asked.now, list, before };
    asked.answer(place, part)
}
