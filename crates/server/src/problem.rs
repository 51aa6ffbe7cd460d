//! Problems: how an error becomes an answer (RFC 9457), by its class.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bartizan_core::error::Class;
use bartizan_wire::problem;
use schemars::JsonSchema;
use serde::Serialize;

/// An answer that says what went wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    class: Class,
    title: String,
    detail: Option<String>,
    /// Set where the caller has to sign in first (401).
    unauthenticated: bool,
    /// Set where nothing stood in the way but that it was a dry run.
    rehearsed: bool,
    /// What a dry run has to say beside that.
    warnings: Vec<String>,
}

impl Problem {
    /// A problem of this class; the text goes to the caller.
    pub fn new(class: Class, title: impl std::fmt::Display) -> Self {
        let title = title.to_string();
        Self { class, title, detail: None, unauthenticated: false, rehearsed: false, warnings: Vec::new() }
    }

    /// No problem: a dry run came to where it would have written.
    pub fn rehearsed() -> Self {
        Self { rehearsed: true, ..Self::new(Class::Conflict, "a dry run changes nothing") }
    }

    /// The caller has to say who it is.
    pub fn unauthenticated(title: impl std::fmt::Display) -> Self {
        Self { unauthenticated: true, ..Self::new(Class::Denied, title) }
    }

    /// What the caller named does not exist.
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Self {
        Self::new(Class::NotFound, format_args!("there is no {what} `{name}`"))
    }

    /// The same problem, with a sentence that says what to do.
    #[must_use]
    pub fn hint(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// The same, with what whoever rehearses an act has to be told beside what becomes of it.
    #[must_use]
    pub fn warn(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// Its class.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What went wrong, in one line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What to do.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        if self.unauthenticated {
            return StatusCode::UNAUTHORIZED;
        }
        StatusCode::from_u16(self.class.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<bartizan_store::Error> for Problem {
    fn from(error: bartizan_store::Error) -> Self {
        if matches!(error, bartizan_store::Error::ReadsOnly(_)) {
            return Self::rehearsed();
        }
        match error.class() {
            // What stands in our way is for our log, not for whoever asked.
            class @ (Class::Unavailable | Class::Bug) => {
                tracing::error!(error = %error, "the store stood in the way");
                Self::new(class, "the server's store stood in the way; try again")
            }
            class => Self::new(class, error),
        }
    }
}

impl From<bartizan_wire::Error> for Problem {
    fn from(error: bartizan_wire::Error) -> Self {
        Self::new(error.class(), error)
    }
}

/// What a dry run answers where the act would be accepted, as far as that can be said beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub struct Rehearsed {
    /// Always true: nothing was changed.
    pub dry_run: bool,
    pub state: Foreseen,
    /// What does not stand in the way, and may yet be a mistake.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What would become of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Foreseen {
    Accepted,
}

impl Rehearsed {
    const fn good(warnings: Vec<String>) -> Rehearsed {
        Rehearsed { dry_run: true, state: Foreseen::Accepted, warnings }
    }
}

/// A request's body in JSON; one that can't be read is a problem that says where.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Body(body)),
            Err(rejection) => {
                let class = match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Class::Limit,
                    _ => Class::Invalid,
                };
                Err(Problem::new(class, told(&rejection.body_text())))
            }
        }
    }
}

/// The fields of a request's query; those that make no sense are a problem that names them.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Query(query)),
            Err(rejection) => Err(Problem::new(Class::Invalid, told(&rejection.body_text()))),
        }
    }
}

/// How the framework begins what it says of a request that makes no sense.
const PREFIXES: [&str; 3] = [
    "Failed to deserialize the JSON body into the target type: ",
    "Failed to deserialize query string: ",
    "Failed to parse the request body as JSON: ",
];

/// Our types, and what they are to whoever writes a request.
const TYPES: [(&str, &str); 9] = [
    ("expected u64", "expected a whole number"),
    ("expected u32", "expected a whole number"),
    ("expected u16", "expected a whole number"),
    ("expected usize", "expected a whole number"),
    ("expected i64", "expected a whole number"),
    ("expected f64", "expected a number"),
    ("expected a sequence", "expected a list"),
    ("expected a map", "expected an object"),
    ("expected a boolean", "expected true or false"),
];

/// What is wrong with a request, in the words of its field: neither the framework's nor our types'.
fn told(text: &str) -> String {
    let Some(inner) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
        return text.to_owned();
    };
    // The body may have been written by a program, as one line: its columns say nothing to a person.
    let inner = inner.rsplit_once(" at line ").map_or(inner, |(inner, _)| inner);
    let mut inner = TYPES.iter().fold(inner.to_owned(), |text, (ours, theirs)| text.replace(ours, theirs));
    if let Some((before, _)) = inner.split_once("expected struct ") {
        inner = format!("{before}expected an object");
    }
    match inner.split_once(": ") {
        Some((field, what)) if !field.is_empty() && !field.contains(' ') => format!("`{field}`: {what}"),
        _ => inner,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.rehearsed {
            return axum::Json(Rehearsed::good(self.warnings)).into_response();
        }
        let status = self.status();
        let told = self.clone();
        let body = problem::Problem { status: status.as_u16(), title: self.title, detail: self.detail };
        let mut response = (status, axum::Json(body)).into_response();
        let media = HeaderValue::from_static(problem::MEDIA_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        // The console draws it as a page for whoever asks for one.
        response.extensions_mut().insert(told);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_makes_no_sense_is_told_by_its_field_and_without_our_types() {
        let json = "Failed to deserialize the JSON body into the target type: ";
        for (text, expected) in [
            (
                "lasts: `99y` is not a duration: write it like 90d at line 1 column 60",
                "`lasts`: `99y` is not a duration: write it like 90d",
            ),
            (
                "matchers[0]: the pattern in `service=~(` can't be read: unclosed group at line 1 column 9",
                "`matchers[0]`: the pattern in `service=~(` can't be read: unclosed group",
            ),
            ("missing field `reason` at line 1 column 2", "missing field `reason`"),
            (
                "limit: invalid type: string \"x\", expected usize at line 1 column 2",
                "`limit`: invalid type: string \"x\", expected a whole number",
            ),
            (
                "assets[0]: invalid type: integer `1`, expected struct Declared at line 1 column 2",
                "`assets[0]`: invalid type: integer `1`, expected an object",
            ),
        ] {
            assert_eq!(told(&format!("{json}{text}")), expected);
        }
    }
}
