//! Shapes: what a route reads and answers with, by its types.

use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of one type.
pub(super) type Maker = fn(&mut SchemaGenerator) -> Schema;

/// What one route reads and answers with.
#[derive(Clone, Debug)]
pub struct Shape {
    method: Method,
    path: &'static str,
    pub(super) query: Option<Maker>,
    pub(super) body: Option<Maker>,
    pub(super) answer: Answer,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Json(Maker),
    /// Something else, of this media type.
    Text(&'static str),
}

fn maker<T: JsonSchema>() -> Maker {
    SchemaGenerator::subschema_for::<T>
}

impl Shape {
    /// Something to read: it answers with a `T` in JSON.
    pub(crate) fn get<T: JsonSchema>(path: &'static str) -> Self {
        Self { method: Method::GET, path, query: None, body: None, answer: Answer::Json(maker::<T>()) }
    }

    /// Something to read that is no JSON.
    pub(crate) fn download(path: &'static str, media: &'static str) -> Self {
        Self { method: Method::GET, path, query: None, body: None, answer: Answer::Text(media) }
    }

    /// Something to do: it answers with a `T` in JSON.
    pub(crate) fn post<T: JsonSchema>(path: &'static str) -> Self {
        Self { method: Method::POST, ..Self::get::<T>(path) }
    }

    /// With a query of these fields.
    pub(crate) fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(maker::<T>()), ..self }
    }

    /// With a body of this shape.
    pub(crate) fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(maker::<T>()), ..self }
    }

    /// Whether it is this route's.
    pub(super) fn is_of(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path == path
    }
}
