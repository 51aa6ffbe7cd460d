//! Problems as pages: what went wrong and what to do, for a browser.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bartizan_core::error::Class;
use bartizan_core::person::Person;

use super::frame::{Nothing, Page, Place, Section, Shell};
use super::{demo, html};
use crate::auth::wants_page;
use crate::problem::Problem;
use crate::web::Web;

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
pub(crate) async fn pages(State(web): State<Web>, request: Request, next: Next) -> Response {
    let asked = wants_page(request.headers()) && !request.uri().path().starts_with(PROGRAMS);
    let location = if *request.method() == Method::GET {
        request.uri().path().to_owned()
    } else {
        came_from(request.headers())
    };
    let response = next.run(request).await;
    let status = response.status();
    if !asked || !(status.is_client_error() || status.is_server_error()) || is_page(response.headers()) {
        return response;
    }
    let problem = response.extensions().get::<Problem>().cloned().unwrap_or_else(|| unnamed(status));
    let person = response.extensions().get::<Person>().cloned();
    let seats = demo::seats(&web).await;
    match draw(&problem, status, person.as_ref(), location, seats) {
        Ok(page) => (status, page).into_response(),
        Err(_) => response,
    }
}

/// No such page: the router knows no route to it.
pub(crate) async fn lost(request: Request) -> Problem {
    Problem::not_found("page", request.uri().path())
}

/// The page whose form was sent: what was sent can't be asked for again.
fn came_from(headers: &HeaderMap) -> String {
    let referrer = headers.get(header::REFERER).and_then(|referrer| referrer.to_str().ok());
    let page = referrer.and_then(|referrer| referrer.parse::<Uri>().ok());
    page.map_or_else(|| "/".to_owned(), |page| page.path().to_owned())
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
    seats: Option<demo::Seats>,
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
    let shell = Shell::new(place, person, location, seats);
    html(&Page { shell, above: Nothing, part: Part { status: status.as_u16(), detail } })
}

/// With its first letter as a sentence has it.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
