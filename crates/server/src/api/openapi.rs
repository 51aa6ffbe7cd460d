//! The published description of the API: OpenAPI 3.1, made from the table of routes.
//!
//! Methods, paths, roles and summaries come from the routes, shapes of bodies and queries from the
//! types that handlers read and answer with ([`Shape`]). A test holds that each route has its shape.

use std::collections::BTreeMap;

use axum::http::Method;
use axum::response::Json;
use axum::routing::get;
use bartizan_core::error::Class;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::web::{Route, has_dry_run};

pub(super) mod shape;

pub use shape::Shape;
use shape::{Answer, Maker};

/// Where components lie in the document.
const SCHEMAS: &str = "#/components/schemas/";

/// What every answer of the API that is no success is written as.
const PROBLEM: &str = "Problem";

/// What a dry run answers.
const REHEARSED: &str = "Rehearsed";

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/api/v1/openapi.json",
        // It tells what the source tells; nothing of this server is in it.
        roles: None,
        summary: Some("The description of this API."),
        handler: get(|| async { Json(document()) }),
    }]
}

pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::get::<Value>("/api/v1/openapi.json")]
}

/// The OpenAPI document of every route of the API.
pub fn document() -> Value {
    let shapes = super::shapes();
    let mut nouns: BTreeMap<&'static str, Noun> = BTreeMap::new();
    let mut paths: Map<String, Value> = Map::new();
    for route in super::routes() {
        let Some(summary) = route.summary else { continue };
        let shape = shapes.iter().find(|(_, shape)| shape.is_of(&route.method, route.path));
        let Some((name, shape)) = shape else { continue };
        let noun = nouns.entry(name).or_insert_with(|| Noun::new(name));
        let operation = operation(&route, summary, shape, noun);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_lowercase(), operation);
        }
    }
    paths.sort_keys();
    let mut schemas: Map<String, Value> = Map::new();
    schemas.insert(PROBLEM.to_owned(), problem());
    schemas.insert(REHEARSED.to_owned(), rehearsed());
    for noun in nouns.into_values() {
        schemas.extend(noun.definitions());
    }
    schemas.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bartizan",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the console shows and the command line asks for. An operation names in \
                `x-roles` the roles of which one is needed; where that is empty, being signed in is not asked for.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"session": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problems(),
            "securitySchemes": {
                "session": {
                    "type": "http", "scheme": "bearer",
                    "description": "The token of a session, which `POST /api/v1/session` gives for a sign-in link.",
                },
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": crate::auth::COOKIE,
                    "description": "A browser's session. What changes anything must come from this origin.",
                },
            },
        },
    })
}

/// The components of one noun: their names begin with it, since each noun has its `Row` and its `List`.
struct Noun {
    name: &'static str,
    /// What is read, and what is answered: a field with a default may be left out of the first alone.
    read: SchemaGenerator,
    told: SchemaGenerator,
}

impl Noun {
    fn new(name: &'static str) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = SCHEMAS.trim_start_matches('#').trim_end_matches('/').into();
            settings.meta_schema = None;
        });
        let (read, told) = (settings.clone().for_deserialize(), settings.for_serialize());
        Self { name, read: read.into_generator(), told: told.into_generator() }
    }

    fn prefix(&self) -> String {
        let words = self.name.split('_').map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        });
        words.collect()
    }

    /// A reference to what is answered.
    fn answer(&mut self, make: Maker) -> Value {
        let mut schema = make(&mut self.told).to_value();
        rename(&mut schema, &self.prefix());
        schema
    }

    /// A reference to what is read.
    fn body(&mut self, make: Maker) -> Value {
        let mut schema = make(&mut self.read).to_value();
        rename(&mut schema, &self.prefix());
        schema
    }

    /// A query's fields, as parameters.
    fn query(&mut self, make: Maker) -> Vec<Value> {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let mut schema = make(&mut settings.for_deserialize().into_generator()).to_value();
        let required = schema.get("required").cloned().unwrap_or_default();
        let properties = schema.get_mut("properties").map(Value::take).unwrap_or_default();
        let Value::Object(properties) = properties else { return Vec::new() };
        let parameter = |(name, mut schema): (String, Value)| {
            let is_required = required.as_array().is_some_and(|names| names.iter().any(|n| *n == name));
            let told = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let mut parameter = json!({"name": name, "in": "query", "required": is_required});
            put(&mut parameter, "description", told);
            put(&mut parameter, "schema", Some(without_null(schema)));
            parameter
        };
        properties.into_iter().map(parameter).collect()
    }

    fn definitions(mut self) -> impl Iterator<Item = (String, Value)> {
        let prefix = self.prefix();
        let mut all = self.told.take_definitions(true);
        all.extend(self.read.take_definitions(true));
        all.into_iter().map(move |(name, mut schema)| {
            rename(&mut schema, &prefix);
            (format!("{prefix}{name}"), schema)
        })
    }
}

/// A query leaves a parameter out; it has no word for null.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema.get_mut("type")
        && let Some(list) = kinds.as_array_mut()
    {
        list.retain(|kind| kind != "null");
        if let [one] = list.as_slice() {
            *kinds = one.clone();
        }
    }
    schema
}

/// Puts the noun's name into every reference.
fn rename(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(name) = target.strip_prefix(SCHEMAS) {
                            *target = format!("{SCHEMAS}{prefix}{name}");
                        }
                    }
                    other => rename(other, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, prefix)),
        _ => {}
    }
}

fn put(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}

/// The names in a path's braces.
fn places(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn operation(route: &Route, summary: &str, shape: &Shape, noun: &mut Noun) -> Value {
    let places = places(route.path);
    let mut parameters: Vec<Value> = places
        .iter()
        .map(|name| {
            let told = format!("The {name}, by its identifier or name.");
            let schema = json!({"type": "string", "minLength": 1});
            json!({"name": name, "in": "path", "required": true, "description": told, "schema": schema})
        })
        .collect();
    parameters.extend(shape.query.map(|make| noun.query(make)).unwrap_or_default());
    let has_dry_run = route.method != Method::GET && has_dry_run(route.path);
    if has_dry_run {
        parameters.push(json!({
            "name": "dry_run", "in": "query", "required": false, "schema": {"type": "boolean"},
            "description": "Where it is `true`, nothing is changed: the answer says whether the act would be accepted, \
                as far as that can be said beforehand.",
        }));
    }
    let words =
        route.path.trim_start_matches("/api/v1/").replace(['{', '}'], "").replace(['/', '-', '.'], "_");
    let roles: Vec<&str> = route.roles.unwrap_or_default().iter().map(|role| role.as_str()).collect();
    let good = match shape.answer {
        Answer::Json(make) if !has_dry_run => {
            json!({"application/json": {"schema": noun.answer(make)}})
        }
        // A dry run has an answer of its own.
        Answer::Json(make) => {
            let dry = json!({"$ref": format!("{SCHEMAS}{REHEARSED}")});
            json!({"application/json": {"schema": {"anyOf": [noun.answer(make), dry]}}})
        }
        Answer::Text(media) => json!({media: {"schema": {"type": "string"}}}),
    };
    let mut responses = json!({"200": {"description": "Answered.", "content": good}});
    for status in statuses(route, shape, !places.is_empty()) {
        let key = status.to_string();
        put(&mut responses, &key, Some(json!({"$ref": format!("#/components/responses/{status}")})));
    }
    let mut operation = json!({
        "operationId": format!("{}_{words}", route.method.as_str().to_lowercase()),
        "summary": summary,
        "tags": [noun.name],
        "x-roles": roles,
        "parameters": parameters,
    });
    if route.roles.is_none() {
        put(&mut operation, "security", Some(json!([])));
    }
    if let Some(make) = shape.body {
        let content = json!({"application/json": {"schema": noun.body(make)}});
        put(&mut operation, "requestBody", Some(json!({"required": true, "content": content})));
    }
    put(&mut operation, "responses", Some(responses));
    operation
}

/// What else a route may answer with.
fn statuses(route: &Route, shape: &Shape, names_something: bool) -> Vec<u16> {
    let acts = route.method != Method::GET;
    let table = [
        (
            acts || names_something || shape.query.is_some() || shape.body.is_some(),
            Class::Invalid.http_status(),
        ),
        (route.roles.is_some(), UNAUTHENTICATED),
        (route.roles.is_some() || acts, Class::Denied.http_status()),
        // What a body names may be missing, too.
        (names_something || acts || matches!(shape.answer, Answer::Text(_)), Class::NotFound.http_status()),
        (names_something || acts, Class::Conflict.http_status()),
        (acts, Class::Limit.http_status()),
        (true, Class::Bug.http_status()),
        (true, Class::Unavailable.http_status()),
    ];
    table.into_iter().filter(|(may, _)| *may).map(|(_, status)| status).collect()
}

/// The status of a problem that signing in solves.
const UNAUTHENTICATED: u16 = 401;

fn problems() -> Value {
    let told = [
        (Class::Invalid.http_status(), "The request can't be right; sending it again won't help."),
        (UNAUTHENTICATED, "Sign in first."),
        (Class::Denied.http_status(), "Whoever is signed in may not do this."),
        (Class::NotFound.http_status(), "What was named does not exist."),
        (Class::Conflict.http_status(), "It clashes with what is there by now."),
        (Class::Limit.http_status(), "A named limit was passed."),
        (Class::Bug.http_status(), "A fault in Bartizan."),
        (Class::Unavailable.http_status(), "The server's store stood in the way; trying later may help."),
    ];
    let schema = json!({"$ref": format!("{SCHEMAS}{PROBLEM}")});
    let response = |(status, told): (u16, &str)| {
        let content = json!({bartizan_wire::problem::MEDIA_TYPE: {"schema": schema}});
        (status.to_string(), json!({"description": told, "content": content}))
    };
    Value::Object(told.into_iter().map(response).collect())
}

/// The shape of [`crate::problem::Rehearsed`].
fn rehearsed() -> Value {
    json!({
        "type": "object",
        "description": "What a dry run answers where the act would be accepted: nothing was changed.",
        "required": ["dry_run", "state"],
        "properties": {
            "dry_run": {"const": true},
            "state": {"const": "accepted"},
            "warnings": {"type": "array", "items": {"type": "string"}},
        },
    })
}

/// The shape of [`bartizan_wire::problem::Problem`], which is RFC 9457's.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "What went wrong, and what to do (RFC 9457).",
        "required": ["status", "title"],
        "properties": {
            "status": {"type": "integer", "description": "The HTTP status."},
            "title": {"type": "string", "description": "What went wrong, in one line."},
            "detail": {"type": "string", "description": "What to do about it, where that can be said."},
        },
    })
}

#[cfg(test)]
mod tests;
