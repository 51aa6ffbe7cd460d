//! The JSON API: one file for each noun, each with the shapes that it answers with.
//!
//! The console's pages are drawn from the same functions, so that a page never shows what the
//! API does not tell.

use axum::response::Json;
use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::person::Person;
use bartizan_store::decision::{Decision, Outcome, Refused};
use std::time::Duration;

use crate::problem::Problem;
use crate::stages;
use crate::web::{Route, Web};

pub mod acceptance;
pub mod alert;
pub mod asset;
pub mod baseline;
pub mod change;
pub mod document;
pub mod drift;
pub mod enrolment;
pub mod environment;
pub mod factor;
pub mod feed;
pub mod finding;
pub mod incident;
pub mod ledger;
pub mod openapi;
pub mod order;
pub mod person;
pub mod posture;
pub mod review;
pub mod server;
pub mod session;
pub mod silence;
pub mod trend;
pub mod vulnerability;

/// How long an act waits for its stage before it is answered as pending.
const RULING: Duration = Duration::from_secs(1);

/// The longest reason of an act, in bytes: a page of text.
const REASON_BYTES_LIMIT: usize = 4 << 10;

/// The longest name of what an act is about, in bytes, and of what was seen of it.
const TARGET_BYTES_LIMIT: usize = 1 << 10;

/// The routes of every noun.
pub fn routes() -> Vec<Route> {
    let nouns = [
        acceptance::routes(),
        alert::routes(),
        asset::routes(),
        baseline::routes(),
        change::routes(),
        document::routes(),
        drift::routes(),
        environment::routes(),
        enrolment::routes(),
        factor::routes(),
        feed::routes(),
        finding::routes(),
        incident::routes(),
        ledger::routes(),
        openapi::routes(),
        order::routes(),
        person::routes(),
        posture::routes(),
        review::routes(),
        server::routes(),
        session::routes(),
        silence::routes(),
        trend::routes(),
        vulnerability::routes(),
    ];
    nouns.into_iter().flatten().collect()
}

/// The shape of every route, with the name of its noun.
pub(crate) fn shapes() -> Vec<(&'static str, openapi::Shape)> {
    let nouns = [
        ("acceptance", acceptance::shapes()),
        ("alert", alert::shapes()),
        ("asset", asset::shapes()),
        ("baseline", baseline::shapes()),
        ("change", change::shapes()),
        ("document", document::shapes()),
        ("drift", drift::shapes()),
        ("environment", environment::shapes()),
        ("enrolment", enrolment::shapes()),
        ("factor", factor::shapes()),
        ("feed", feed::shapes()),
        ("finding", finding::shapes()),
        ("incident", incident::shapes()),
        ("ledger", ledger::shapes()),
        ("openapi", openapi::shapes()),
        ("order", order::shapes()),
        ("person", person::shapes()),
        ("posture", posture::shapes()),
        ("review", review::shapes()),
        ("server", server::shapes()),
        ("session", session::shapes()),
        ("silence", silence::shapes()),
        ("trend", trend::shapes()),
        ("vulnerability", vulnerability::shapes()),
    ];
    let named = nouns.into_iter().map(|(noun, shapes)| shapes.into_iter().map(move |shape| (noun, shape)));
    named.flatten().collect()
}

/// An answer in JSON, or a problem.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

/// What became of an act.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Ruled {
    Accepted,
    /// Its stage has not ruled yet; it will.
    Pending,
}

/// What a person does.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    /// The noun and verb.
    pub(crate) act: String,
    pub(crate) target: String,
    /// The digest or generation of what they saw.
    pub(crate) expected: Option<String>,
    pub(crate) reason: String,
    pub(crate) details: Option<Value>,
}

impl Act {
    pub(crate) fn new(act: &str, target: &str) -> Self {
        let (act, target) = (act.to_owned(), target.to_owned());
        Self { act, target, expected: None, reason: String::new(), details: None }
    }
}

/// Appends a person's act that carries nothing but a reason, and waits for its ruling.
pub(crate) async fn decide(
    web: &Web,
    person: &Person,
    act: &str,
    target: &str,
    reason: &str,
) -> Result<Ruled, Problem> {
    decide_with(web, person, Act { reason: reason.to_owned(), ..Act::new(act, target) }).await
}

/// What an act names, and why it is done, as far as it may be kept: it stands in the ledger for good, before
/// any stage has ruled whether there is such a thing.
fn check(act: &Act) -> Result<(), Problem> {
    let expected = act.expected.as_deref().unwrap_or_default();
    let texts = [
        ("target", act.target.as_str(), TARGET_BYTES_LIMIT),
        ("expected", expected, TARGET_BYTES_LIMIT),
        ("reason", act.reason.as_str(), REASON_BYTES_LIMIT),
    ];
    for (what, text, limit) in texts {
        if text.len() > limit {
            let found = text.len();
            return Err(Problem::new(Class::Invalid, format_args!("`{what}` has {found} bytes of {limit}")));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Problem::new(Class::Invalid, format_args!("`{what}` holds control characters")));
        }
    }
    Ok(())
}

/// Appends a person's act, and waits a moment for its owning stage to rule.
pub(crate) async fn decide_with(web: &Web, person: &Person, act: Act) -> Result<Ruled, Problem> {
    check(&act)?;
    let decision = Decision {
        at: web.ambient.now(),
        person: person.id,
        role: person.roles.first().copied(),
        act: act.act,
        target: act.target,
        expected: act.expected,
        reason: act.reason,
        details: act.details,
    };
    if web.store.is_read_only() {
        return Err(match stages::rehearse(&web.stages, &decision).await {
            Ok(Outcome::Accepted) => Problem::rehearsed(),
            Ok(Outcome::Refused { class, reason }) => Problem::new(refused(class), reason),
            Err(stages::Error::Store(error)) => error.into(),
            Err(error) => Problem::new(Class::Unavailable, error),
        });
    }
    let mut shown = web.nudges.shown();
    let seq = web.store.append_decision(&decision, web.ambient.random()).await?;
    web.nudges.decisions();
    let deadline = tokio::time::Instant::now() + RULING;
    loop {
        match web.store.outcome(seq).await? {
            Some(Outcome::Accepted) => return Ok(Ruled::Accepted),
            Some(Outcome::Refused { class, reason }) => return Err(Problem::new(refused(class), reason)),
            None => {}
        }
        if tokio::time::timeout_at(deadline, shown.changed()).await.is_err() {
            return Ok(Ruled::Pending);
        }
    }
}

/// The word that a plain enum is written as.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

const fn refused(class: Refused) -> Class {
    match class {
        Refused::Invalid => Class::Invalid,
        Refused::NotFound => Class::NotFound,
        Refused::Conflict => Class::Conflict,
        Refused::Denied => Class::Denied,
    }
}
