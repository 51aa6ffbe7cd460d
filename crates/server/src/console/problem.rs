//! Problems as pages: what went wrong and what to do, for a browser.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bartizan_core::error::Class;
use bartizan_core::person::Person;

use super::frame::{Nothing, Page, Place, Section, Shell};
use super::html;
use crate::auth::wants_page;
use crate::problem::Problem;

/// Where programs ask: they get problems as they are.
const PROGRAMS: &str = "/api/";

#[derive(Template)]
#[template(path = "problem/part.html")]
struct Part {
    status: u16,
    detail: Option<String>,
}

impl HtmlSafe for Part {}

/// Turns problems into pages where a browser asked.
pub(crate) async fn pages(request: Request, next: Next) -> Response {
    let location = request.uri().path().to_owned();
    let asked = wants_page(request.headers()) && !location.starts_with(PROGRAMS);
    let response = next.run(request).await;
    let status = response.status();
    if !asked || !(status.is_client_error() || status.is_server_error()) || is_page(response.headers()) {
        return response;
    }
    let problem = response.extensions().get::<Problem>().cloned().unwrap_or_else(|| unnamed(status));
    let person = response.extensions().get::<Person>();
    match draw(&problem, status, person, location) {
        Ok(page) => (status, page).into_response(),
        Err(_) => response,
    }
}

/// No such page: the router knows no route to it.
pub(crate) async fn lost(request: Request) -> Problem {
    Problem::not_found("page", request.uri().path())
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/html"))
}

/// What the frame around our handlers refused: a query or a form that makes no sense.
fn unnamed(status: StatusCode) -> Problem {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(Class::Invalid, "this address takes no such request"),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Class::Limit, "that is more than one request may bring")
        }
        status if status.is_client_error() => {
            Problem::new(Class::Invalid, "the address or the form makes no sense to the server")
        }
        _ => Problem::new(Class::Bug, "something went wrong in the server"),
    }
}

fn draw(
    problem: &Problem,
    status: StatusCode,
    person: Option<&Person>,
    location: String,
) -> Result<Response, Problem> {
    // What is a fault of ours is told in our log; a page gives none of it away.
    let (title, detail) = match problem.class() {
        Class::Bug => {
            let detail = "The server's log says what. Trying again may help.".to_owned();
            ("Something went wrong in the server".to_owned(), Some(detail))
        }
        _ => (sentence(problem.title()), problem.detail().map(ToOwned::to_owned)),
    };
    let place = Place::new(Section::Elsewhere, title).still();
    let shell = Shell::new(place, person, location);
    html(&Page { shell, above: Nothing, part: Part { status: status.as_u16(), detail } })
}

/// With its first letter as a sentence has it.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
