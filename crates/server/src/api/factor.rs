//! The second factor of whoever is signed in: setting it up, showing it, its recovery codes.

use axum::extract::{Extension, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::post;
use bartizan_core::error::Class;
use bartizan_core::factor::{Factor, Refusal};
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_store::factor::{Held, Told};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::openapi::Shape;
use crate::auth::Signed;
use crate::auth::factor::{Secret, recovery_codes, recovery_digest};
use crate::problem::{Body, Problem};
use crate::web::{Route, Web};

/// A code that a device or a list of recovery codes shows.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Code {
    pub(crate) code: String,
}

/// The session has passed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Passed {
    /// How many recovery codes are left.
    pub recovery_codes: usize,
}

/// What the route reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::post::<Passed>("/api/v1/session/factor").body::<Code>()]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::POST,
        path: "/api/v1/session/factor",
        roles: Some(&Role::ALL),
        summary: Some("Show the code of the second factor, or a recovery code, for this session."),
        handler: post(show),
    }]
}

async fn show(
    State(web): State<Web>,
    Extension(person): Extension<Person>,
    Extension(signed): Extension<Signed>,
    Body(code): Body<Code>,
) -> Answer<Passed> {
    let factor = pass(&web, &person, &signed, &code.code).await?;
    Ok(Json(Passed { recovery_codes: factor.recovery.len() }))
}

/// The name under which a person's secret is sealed.
fn seal_name(person: PersonId) -> String {
    format!("factor/{person}")
}

fn sealed(error: &crate::keys::Error) -> Problem {
    tracing::error!(error = %error, "a second factor can't be sealed or opened");
    Problem::new(Class::Bug, "the second factor can't be read")
}

pub(crate) fn open(web: &Web, person: PersonId, held: &Held) -> Result<Secret, Problem> {
    let opened = web.wrapping.open_sealed(&seal_name(person), &held.sealed);
    opened.map(Secret::from_bytes).map_err(|error| sealed(&error))
}

fn none() -> Problem {
    Problem::new(Class::Conflict, "you have no second factor").hint("set one up on the page /factor")
}

/// Begins to set a factor up: a fresh secret, which counts for nothing until a code confirms it in the
/// same session. Whoever else signs in as this person starts anew: else they could know the secret that
/// its owner confirms.
pub(crate) async fn begin(web: &Web, person: &Person, signed: &Signed) -> Result<(), Problem> {
    let secret = Secret::mint(&web.ambient);
    let kept = web.wrapping.seal(&seal_name(person.id), secret.as_bytes(), &web.ambient);
    let factor = Factor { begun_by: Some(signed.token), ..Factor::new(web.ambient.now()) };
    let kept = kept.map_err(|error| sealed(&error))?;
    web.store.make_factor(person.id, kept, &factor).await.map_err(|error| match error.class() {
        Class::Conflict => Problem::new(Class::Conflict, "you have a second factor already")
            .hint("remove it first, by a code that it shows"),
        _ => error.into(),
    })
}

/// Shows a code; where it is good, the session has passed from now on.
pub(crate) async fn pass(web: &Web, person: &Person, signed: &Signed, code: &str) -> Result<Factor, Problem> {
    let held = web.store.factor(person.id).await?.ok_or_else(none)?;
    if held.factor.confirmed_at.is_none() {
        return Err(none());
    }
    Ok(judge(web, person, signed, &held, code, |_| {}).await?.factor)
}

/// Confirms a factor by its first code; gives the recovery codes, which are shown this once.
pub(crate) async fn confirm(
    web: &Web,
    person: &Person,
    signed: &Signed,
    code: &str,
) -> Result<Vec<String>, Problem> {
    let held = web.store.factor(person.id).await?.ok_or_else(none)?;
    if held.factor.confirmed_at.is_some() {
        return Err(Problem::new(Class::Conflict, "the second factor is confirmed already"));
    }
    let codes = recovery_codes(&web.ambient);
    let keep =
        |factor: &mut Factor| factor.recovery = codes.iter().map(|code| recovery_digest(code)).collect();
    judge(web, person, signed, &held, code, keep).await?;
    Ok(codes)
}

/// New recovery codes in place of those that are left, by a code of the device.
pub(crate) async fn renew(
    web: &Web,
    person: &Person,
    signed: &Signed,
    code: &str,
) -> Result<Vec<String>, Problem> {
    let held = web.store.factor(person.id).await?.ok_or_else(none)?;
    let codes = recovery_codes(&web.ambient);
    let keep =
        |factor: &mut Factor| factor.recovery = codes.iter().map(|code| recovery_digest(code)).collect();
    judge(web, person, signed, &held, code, keep).await?;
    Ok(codes)
}

/// Takes the factor away, by a code that it shows.
pub(crate) async fn remove(web: &Web, person: &Person, signed: &Signed, code: &str) -> Result<(), Problem> {
    let held = web.store.factor(person.id).await?.ok_or_else(none)?;
    judge(web, person, signed, &held, code, |_| {}).await?;
    let (now, salt) = (web.ambient.now(), web.ambient.random());
    web.store.remove_factor(person.id, now, salt).await?;
    Ok(())
}

/// Judges a code, and keeps what follows, whichever way it went.
async fn judge(
    web: &Web,
    person: &Person,
    signed: &Signed,
    held: &Held,
    code: &str,
    keep: impl FnOnce(&mut Factor),
) -> Result<Held, Problem> {
    if !held.factor.is_open_to(&signed.token) {
        return Err(none());
    }
    let now = web.ambient.now();
    let shown = open(web, person.id, held)?.read(code, now);
    let before = &held.factor;
    let (mut next, judged) = before.judge(shown, now);
    if judged.is_ok() {
        keep(&mut next);
    }
    let what = match judged {
        Ok(()) if before.confirmed_at.is_none() => Some("confirmed"),
        Ok(()) if next.recovery != before.recovery => Some("recovery_codes_changed"),
        Err(_) if next.locked_until != before.locked_until => Some("locked"),
        _ => None,
    };
    if next != *before {
        let told = what.map(|what| Told { what, salt: web.ambient.random() });
        let passed = judged.is_ok().then_some(&signed.token);
        web.store.move_factor(person.id, held, &next, passed, told, now).await?;
    }
    match judged {
        Ok(()) => Ok(Held { factor: next, generation: held.generation + 1, sealed: held.sealed.clone() }),
        Err(refusal) => {
            tracing::warn!(person.id = %person.id, failures = next.failures, "a second factor was refused");
            Err(refused(refusal))
        }
    }
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Wrong => Problem::new(Class::Denied, refusal)
            .hint("a device shows a new code every 30 seconds: is its clock right?"),
        Refusal::Used | Refusal::Locked { .. } => Problem::new(Class::Denied, refusal),
    }
}
