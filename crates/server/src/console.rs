//! The console: pages for people, drawn from the same functions as the API.
//!
//! Each page is a shell around one part that is a template of its own. The part is all that is
//! answered to a script that refreshes it; a browser without script gets the whole page, and its
//! links and forms work. What agents told is escaped by the templates, always.
//!
//! Read first: [`Asked`] (what every handler takes), [`frame`] (the shell), [`part`] (what pages
//! are made of).

use askama::Template;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use bartizan_core::role::Role;

use crate::problem::Problem;
use crate::web::{Route, Web};

mod acceptance;
mod act;
mod alert;
mod asset;
mod baseline;
mod change;
mod chart;
pub(crate) mod demo;
mod design;
mod document;
mod enrolment;
mod environment;
mod event;
mod factor;
mod file;
mod finding;
mod frame;
mod incident;
mod ledger;
mod part;
mod person;
mod posture;
pub(crate) mod problem;
mod session;
mod silence;
mod trend;
mod vulnerability;

use frame::{Nothing, Page, Place, Shell};
use part::Now;

/// What a script asks with that wants the part alone.
const FRAGMENT: HeaderName = HeaderName::from_static("hx-request");

/// The routes of every page.
pub(crate) fn routes() -> Vec<Route> {
    let nouns = [
        acceptance::routes(),
        alert::routes(),
        asset::routes(),
        baseline::routes(),
        change::routes(),
        design::routes(),
        document::routes(),
        enrolment::routes(),
        environment::routes(),
        event::routes(),
        factor::routes(),
        file::routes(),
        finding::routes(),
        incident::routes(),
        ledger::routes(),
        person::routes(),
        posture::routes(),
        session::routes(),
        silence::routes(),
        vulnerability::routes(),
    ];
    nouns.into_iter().flatten().collect()
}

/// A page, or a problem (which a browser sees as a page, too).
type Answer = Result<Response, Problem>;

/// Who asks for a page, for which, and when.
struct Asked {
    now: Now,
    person: Option<Person>,
    /// The path and query by which the page is asked for again.
    location: String,
    fragment: bool,
    /// The people to become by a click; none where this is no demo.
    seats: Option<demo::Seats>,
}

impl FromRequestParts<Web> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Self::Rejection> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let location = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Asked {
            now: Now::new(web.ambient.now()),
            person: parts.extensions.get::<Person>().cloned(),
            location,
            fragment: parts.headers.contains_key(FRAGMENT),
            seats: demo::seats(web).await,
        })
    }
}

impl Asked {
    /// Whether who asks has one of these roles.
    fn may(&self, roles: &[Role]) -> bool {
        self.person.as_ref().is_some_and(|person| person.has_any(roles))
    }

    /// The page around a part, or the part alone for a script that refreshes it.
    fn answer(self, place: Place, part: impl Template + askama::filters::HtmlSafe) -> Answer {
        self.answer_with(place, Nothing, part)
    }

    /// The same, below something that a refresh leaves alone: a form that somebody fills in.
    fn answer_with(
        self,
        place: Place,
        above: impl Template + askama::filters::HtmlSafe,
        part: impl Template + askama::filters::HtmlSafe,
    ) -> Answer {
        if self.fragment {
            return html(&part);
        }
        let shell = Shell::new(place, self.person.as_ref(), self.location, self.seats);
        html(&Page { shell, above, part })
    }
}

fn html(template: &impl Template) -> Answer {
    let text = template.render().map_err(|error| {
        tracing::error!(error = %error, "a page can't be drawn");
        Problem::new(Class::Bug, "this page can't be drawn")
    })?;
    let media = HeaderValue::from_static("text/html; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}
