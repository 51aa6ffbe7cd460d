//! Enrolment keys: made here and shown once, listed without their secrets, revoked.

use axum::extract::{Extension, Path, State};
use axum::http::Method;
use axum::response::Json;
use axum::routing::{get, post};
use bartizan_core::digest::Digest;
use bartizan_core::enrolment::{Grant, Key, USES_LIMIT};
use bartizan_core::error::Class;
use bartizan_core::id::{EnrolmentKeyId, PersonId};
use bartizan_core::person::Person;
use bartizan_core::selector::Labels;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::enrolment::Made;
use bartizan_store::person::By;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Answer;
use super::alert::Filter;
use super::openapi::Shape;
use super::person::Names;
use crate::auth::{KEEPERS, READERS};
use crate::problem::{Body, Problem, Query};
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

/// One key, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    pub id: String,
    /// `usable`, `used`, `expired` or `revoked`.
    pub state: String,
    /// Who made it; none where the server's own machine did.
    pub made_by: Option<String>,
    pub made_at: String,
    pub uses_left: u32,
    pub expires_at: String,
    pub revoked_by: Option<String>,
    pub revoked_at: Option<String>,
    /// What hosts become that enrol by it.
    pub service: String,
    pub environment: String,
    pub class: String,
    pub labels: Labels,
    /// Where hosts may enrol from; anywhere where it is empty.
    pub networks: Vec<String>,
    /// Whether each host waits in quarantine until a person lets it in.
    pub approval: bool,
}

/// A page of keys, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct List {
    pub keys: Vec<Row>,
}

/// What each of these routes reads and answers with.
pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::get::<List>("/api/v1/enrolment-keys").query::<Filter>(),
        Shape::post::<Created>("/api/v1/enrolment-keys").body::<Wanted>(),
        Shape::post::<Row>("/api/v1/enrolment-keys/{key}/revoke"),
    ]
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/api/v1/enrolment-keys",
            roles: Some(READERS),
            summary: Some(
                "List the keys by which hosts may enrol now; `all=true` lists those that are used up, expired or revoked, too.",
            ),
            handler: get(|State(web): State<Web>, Query(filter): Query<Filter>| async move {
                list(&web, filter.all).await.map(Json)
            }),
        },
        Route {
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
        },
        Route {
            method: Method::POST,
            path: "/api/v1/enrolment-keys/{key}/revoke",
            roles: Some(KEEPERS),
            summary: Some("Let nobody in by a key any more. Hosts that enrolled by it stay."),
            handler: post(
                |State(web): State<Web>, Extension(person): Extension<Person>, Path(key): Path<String>| async move {
                    let revoked: Answer<Row> = revoke(&web, &person, &key).await.map(Json);
                    revoked
                },
            ),
        },
    ]
}

/// Keys, the newest first; those that let nobody in any more where `all` asks for them.
pub(crate) async fn list(web: &Web, all: bool) -> Result<List, Problem> {
    let now = web.ambient.now();
    let (mut keys, mut names) = (Vec::new(), Names::default());
    for made in web.store.enrolment_keys(all, now).await? {
        keys.push(row(web, &made, now, &mut names).await?);
    }
    Ok(List { keys })
}

async fn row(web: &Web, made: &Made, now: Timestamp, names: &mut Names) -> Result<Row, Problem> {
    let (made_by, revoked_by) = (name(web, made.by, names).await?, name(web, made.revoked_by, names).await?);
    let Key { id, uses_left, expires_at, revoked_at, grant } = &made.key;
    Ok(Row {
        id: id.to_string(),
        state: made.key.state(now).as_str().to_owned(),
        made_by,
        made_at: made.at.to_string(),
        uses_left: *uses_left,
        expires_at: expires_at.to_string(),
        revoked_by,
        revoked_at: revoked_at.map(|at| at.to_string()),
        service: grant.service.clone(),
        environment: grant.environment.clone(),
        class: grant.class.to_string(),
        labels: grant.labels.clone(),
        networks: grant.networks.iter().map(ToString::to_string).collect(),
        approval: grant.approval,
    })
}

async fn name(web: &Web, person: Option<PersonId>, names: &mut Names) -> Result<Option<String>, Problem> {
    match person {
        Some(person) => names.name(web, person).await.map(Some),
        None => Ok(None),
    }
}

/// Lets nobody in by a key any more.
pub(crate) async fn revoke(web: &Web, person: &Person, key: &str) -> Result<Row, Problem> {
    let not_found = || Problem::not_found("enrolment key", key);
    let id: EnrolmentKeyId = key.parse().map_err(|_| not_found())?;
    let held = web.store.enrolment_key(id).await?.ok_or_else(not_found)?;
    let may = held.key.grant.may_be_made(&person.actor(), &web.store.ladder().await?);
    may.map_err(|refusal| Problem::new(refusal.class(), refusal))?;
    if let Some(at) = held.key.revoked_at {
        return Err(Problem::new(Class::Conflict, format_args!("it was revoked before, at {at}")));
    }
    let now = web.ambient.now();
    let by = By { person: person.id, salt: web.ambient.random() };
    web.store.revoke_enrolment_key(id, by, now).await?;
    tracing::info!(person.id = %person.id, enrolment_key.id = %id, "an enrolment key was revoked");
    web.nudges.show();
    let revoked = web.store.enrolment_key(id).await?.ok_or_else(not_found)?;
    row(web, &revoked, now, &mut Names::default()).await
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
        revoked_at: None,
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
