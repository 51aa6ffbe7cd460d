//! The design system, shown with its own parts: whoever adds a page looks here first.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::State;
use axum::http::Method;
use axum::routing::get;
use bartizan_core::role::Role;
use bartizan_core::time::Duration;

use super::chart::{self, Columns, Share};
use super::frame::{Place, Section};
use super::part::{self, Now, Step};
use super::{Answer, Asked};
use crate::api::asset::Verdicts;
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "design/part.html")]
struct Part {
    now: Now,
    /// A while ago (RFC 3339).
    earlier: String,
    share: Share,
    columns: Columns,
    steps: Vec<Step>,
}

impl HtmlSafe for Part {}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/design",
        roles: Some(&Role::ALL),
        summary: None,
        handler: get(design),
    }]
}

async fn design(State(web): State<Web>, asked: Asked) -> Answer {
    let now = web.ambient.now();
    let times: Vec<_> =
        [1, 2, 2, 3, 5, 5, 5, 8].into_iter().map(|days| now.minus(Duration::from_days(days))).collect();
    let part = Part {
        now: asked.now,
        earlier: now.minus(Duration::from_hours(3)).to_string(),
        share: chart::share(&Verdicts { met: 70, not_met: 18, unknown: 12 }),
        columns: chart::by_day("Examples", &times, now, 14),
        steps: vec![
            Step::new("first").note("lies behind").done(),
            Step::new("second").note("is where one stands").here(),
            Step::new("third").note("lies ahead"),
        ],
    };
    let place = Place::new(Section::Elsewhere, "Design system")
        .lead("What pages are made of. A page that needs something else adds it here first.")
        .still();
    asked.answer(place, part)
}
