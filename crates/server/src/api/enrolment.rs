//! Enrolment keys: made here, shown once.

use axum::extract::{Extension, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::post;
use bartizan_core::digest::Digest;
use bartizan_core::enrolment::{Grant, Key, USES_LIMIT};
use bartizan_core::error::Class;
use bartizan_core::id::EnrolmentKeyId;
use bartizan_core::person::Person;
use bartizan_core::time::Duration;
use bartizan_store::person::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::openapi::Shape;
use crate::auth::KEEPERS;
use crate::problem::{Body, Problem};
use crate::web::{Route, Web};

/// How long a key works where nobody says.
const EXPIRES_IN: Duration = Duration::from_hours(1);

/// The longest that a key may work.
const EXPIRES_IN_LIMIT: Duration = Duration::from_days(365);

/// What a key is to be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// How many hosts may enrol by it.
    #[serde(default = "one")]
    pub uses: u32,
    #[serde(default = "hour")]
    pub expires_in: Duration,
    #[serde(flatten)]
    pub grant: Grant,
}

const fn one() -> u32 {
    1
}

const fn hour() -> Duration {
    EXPIRES_IN
}

/// A key: its secret is not shown again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub id: String,
    pub key: String,
    pub expires_at: String,
    pub uses: u32,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![Shape::post::<Created>("/api/v1/enrolment-keys").body::<Wanted>()]
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::POST,
        path: "/api/v1/enrolment-keys",
        roles: Some(KEEPERS),
        summary: Some("Make a key by which hosts enrol. It is shown once."),
        handler: post(
            |State(web): State<Web>, Extension(person): Extension<Person>, Body(wanted): Body<Wanted>| async move {
                let made: Answer<Created> = create_by(&web, Some(&person), wanted).await.map(Json);
                made
            },
        ),
    }]
}

/// Makes a key for the server's own machine, or for hosts that are made up: nobody asks for it.
pub async fn create(web: &Web, wanted: Wanted) -> Result<Created, Problem> {
    create_by(web, None, wanted).await
}

async fn create_by(web: &Web, person: Option<&Person>, wanted: Wanted) -> Result<Created, Problem> {
    let wrong = |what: String| Problem::new(Class::Invalid, what);
    if let Some(person) = person {
        let made = wanted.grant.may_be_made(&person.actor(), &web.store.ladder().await?);
        made.map_err(|refusal| Problem::new(refusal.class(), refusal))?;
    }
    wanted.grant.check().map_err(|refusal| Problem::new(refusal.class(), refusal))?;
    if wanted.uses == 0 || wanted.uses > USES_LIMIT {
        return Err(wrong(format!("`uses` is from 1 to {USES_LIMIT}")));
    }
    if wanted.expires_in > EXPIRES_IN_LIMIT {
        return Err(wrong(format!("`expires_in` is at most {EXPIRES_IN_LIMIT}")));
    }
    let now = web.ambient.now();
    let secret = web.ambient.token();
    let key = Key {
        id: EnrolmentKeyId::mint(now, web.ambient.random()),
        uses_left: wanted.uses,
        expires_at: now.plus(wanted.expires_in),
        grant: wanted.grant,
    };
    let by = person.map(|person| By { person: person.id, salt: web.ambient.random() });
    web.store.create_enrolment_key(&key, Digest::of_bytes(secret.as_bytes()), by, now).await?;
    Ok(Created {
        id: key.id.to_string(),
        key: secret,
        expires_at: key.expires_at.to_string(),
        uses: key.uses_left,
    })
}
