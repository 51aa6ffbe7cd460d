//! The intake: what agents send, authenticated, checked, committed and acknowledged.
//!
//! An agent is known by the certificate that our authority signed for the key of its asset.
//! What it sends is hostile until checked. A report is acknowledged when it is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bartizan_core::asset::{Asset, Life};
use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::id::AssetId;
use bartizan_core::time::Timestamp;
use bartizan_store::Store;
use bartizan_store::asset::Standing;
use bartizan_wire::checkin::Pace;

use crate::ambient::Ambient;
use crate::keys::Keys;
use crate::keys::authority::Peer;
use crate::listener::Connection;
use crate::nudge::Nudges;
use crate::order::Orders;
use crate::policy::Policies;
use crate::problem::Problem;

mod batch;
mod check;
mod checkin;
mod enrol;
pub mod last_seen;
mod nudge;
mod order;
mod policy;
mod report;

/// The pace that the server sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// How often an agent checks in, before the server spreads it.
    pub interval: Duration,
    /// How often a replica writes down who was heard of.
    pub flush: Duration,
}

impl Default for Pacing {
    /// A check-in each 10 s, written down each 30 s.
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), flush: Duration::from_secs(30) }
    }
}

/// How far the pace is spread to either side, in percent.
const SPREAD_PERCENT: u32 = 20;

/// How long what is known of an agent is believed before the store is asked again.
const KNOWN_FOR: bartizan_core::time::Duration = bartizan_core::time::Duration::from_secs(5);

/// The most agents that are remembered at once.
const KNOWN_LIMIT: usize = 200_000;

/// What the intake works with.
#[derive(Clone, Debug)]
pub struct Intake {
    pub store: Store,
    pub ambient: Ambient,
    pub keys: Arc<Keys>,
    pub nudges: Nudges,
    pub policies: Policies,
    pub orders: Orders,
    pub last_seen: last_seen::LastSeen,
    pacing: Pacing,
    batch: batch::Batcher<bartizan_store::report::Report, bartizan_store::report::Outcome>,
    enrolments: batch::Batcher<bartizan_store::enrolment::Request, enrol::Enrolled>,
    known: Arc<RwLock<BTreeMap<AssetId, Known>>>,
    checkpoints: checkin::Checkpoints,
    enrolling: Arc<tokio::sync::Semaphore>,
}

/// An agent as the store had it a moment ago.
#[derive(Clone, Debug)]
struct Known {
    asset: Asset,
    public_key: Digest,
    read_at: Timestamp,
}

impl Intake {
    /// An intake; the batcher that commits its reports ends with `stop`.
    pub async fn start(
        store: Store,
        ambient: Ambient,
        keys: Arc<Keys>,
        nudges: Nudges,
        policies: Policies,
        pacing: Pacing,
        tasks: &crate::tasks::Tasks,
    ) -> Self {
        let batch = report::batcher(&store, &nudges, tasks).await;
        let enrolments = enrol::batcher(&store, tasks).await;
        let orders = Orders::new(store.clone(), ambient.clone());
        let last_seen = last_seen::LastSeen::default();
        let enrolling = Arc::new(tokio::sync::Semaphore::new(enrol::ENROLMENTS_LIMIT));
        let (known, checkpoints) = (Arc::default(), checkin::Checkpoints::default());
        Self {
            store,
            ambient,
            keys,
            nudges,
            policies,
            orders,
            last_seen,
            pacing,
            batch,
            enrolments,
            known,
            checkpoints,
            enrolling,
        }
    }

    /// The routes of the agents' listener.
    pub fn router(self) -> Router {
        let enrol = post(enrol::enrol).layer(DefaultBodyLimit::max(bartizan_wire::ENROLMENT_BYTES_LIMIT));
        Router::new()
            .route("/agent/v1/renew", post(enrol::renew))
            .route("/agent/v1/reports", post(report::receive))
            .route("/agent/v1/heartbeat", post(checkin::heartbeat))
            .route("/agent/v1/policy", get(policy::policy))
            .route("/agent/v1/order", get(order::order))
            .route("/agent/v1/nudges", get(nudge::nudges))
            // Whoever is no agent is told so before any body is waited for.
            .route_layer(middleware::from_fn(agents_alone))
            .route("/agent/v1/enrol", enrol)
            .layer(DefaultBodyLimit::max(bartizan_wire::PACKED_BYTES_LIMIT))
            .with_state(self)
    }

    /// Who is at the other end: an agent whose certificate is for the key that its asset has now.
    async fn agent(&self, connection: &Connection) -> Result<Asset, Problem> {
        let peer = peer(connection)?;
        let now = self.ambient.now();
        let held = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&peer.asset).cloned();
        match held.filter(|known| now.since(known.read_at) < KNOWN_FOR) {
            Some(known) => known.admit(peer),
            None => Ok(self.checks_in(connection).await?.0),
        }
    }

    /// Who is at the other end, where a person has let it in or nobody has to.
    async fn admitted(&self, connection: &Connection) -> Result<Asset, Problem> {
        let asset = self.agent(connection).await?;
        if asset.life != Life::Quarantined {
            return Ok(asset);
        }
        // It waits, and is there: once it is let in, nobody misses it.
        self.last_seen.heard(asset.number, self.ambient.now());
        Err(waits(&asset))
    }

    /// The same, read anew, with where its reports stand.
    async fn checks_in(&self, connection: &Connection) -> Result<(Asset, Option<Standing>), Problem> {
        let (peer, now) = (peer(connection)?, self.ambient.now());
        let unknown =
            || Problem::new(Class::Denied, "no asset bears this certificate").hint("enrol the host anew");
        let (asset, identity, standing) =
            self.store.asset_at_checkin(peer.asset).await?.ok_or_else(unknown)?;
        let known = Known { asset, public_key: identity.public_key, read_at: now };
        let admitted = known.admit(peer);
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KNOWN_LIMIT {
            all.clear();
        }
        all.insert(peer.asset, known);
        Ok((admitted?, standing))
    }

    /// When an agent comes again: spread, so that a fleet that starts at once does not stay in step.
    fn pace(&self) -> Pace {
        let interval = u32::try_from(self.pacing.interval.as_millis()).unwrap_or(u32::MAX);
        let spread = (u64::from(interval) * u64::from(SPREAD_PERCENT) / 100) as u32;
        let random = u32::from_le_bytes(self.ambient.random()) % (2 * spread + 1);
        Pace { next_ms: interval - spread + random }
    }
}

/// Nothing is given to a host in quarantine, and nothing taken from it: its agent keeps what it has.
fn waits(asset: &Asset) -> Problem {
    let problem = Problem::new(
        Class::Denied,
        format_args!("`{}` waits in quarantine until a person lets it in", asset.name),
    );
    problem.hint(format_args!("security or an admin looks at it: bartizan asset approve {}", asset.id))
}

impl Known {
    /// The asset, where the certificate is for the key that it has, and it is still watched.
    fn admit(&self, peer: &Peer) -> Result<Asset, Problem> {
        if self.public_key != peer.public_key {
            return Err(Problem::new(
                Class::Denied,
                "the certificate was made for another key than the asset has now",
            ));
        }
        if self.asset.life == Life::Retired {
            return Err(Problem::new(Class::Denied, "the asset was retired").hint("enrol the host anew"));
        }
        Ok(self.asset.clone())
    }
}

async fn agents_alone(
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    peer(&connection)?;
    Ok(next.run(request).await)
}

/// The certificate that a connection came with.
fn peer(connection: &Connection) -> Result<&Peer, Problem> {
    connection.peer.as_ref().ok_or_else(|| {
        Problem::unauthenticated("this takes an agent's certificate").hint("enrol the agent first")
    })
}

/// Who asks and what was sent.
type Asked = (State<Intake>, Extension<Connection>, Bytes);

/// A message as an answer.
fn answer<T: serde::Serialize>(message: &T) -> Result<Response, Problem> {
    let bytes = bartizan_wire::pack(message)?;
    Ok(([(header::CONTENT_TYPE, bartizan_wire::MEDIA_TYPE)], bytes).into_response())
}
