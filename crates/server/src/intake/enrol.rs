//! Enrolment and renewal of certificates.

use std::sync::Arc;

use axum::response::Response;
use bartizan_core::asset::{Asset, NAME_BYTES_LIMIT};
use bartizan_core::digest::Digest;
use bartizan_core::enrolment::Refusal;
use bartizan_core::error::Class;
use bartizan_core::id::AssetId;
use bartizan_store::asset::Identity;
use bartizan_store::{Store, enrolment};
use bartizan_wire::enrol::{Renewal, Renewed, Reply, Request};
use bartizan_wire::{VERSION, unpack_enrolment, unpack_versioned};

use super::batch::Batcher;
use super::{Asked, answer};
use crate::problem::Problem;
use crate::tasks::Tasks;

/// The longest machine-id that is kept, in bytes.
const MACHINE_BYTES_LIMIT: usize = 128;

/// How many hosts enrol at once: anybody may ask, and each that has a key costs a signature and a write.
pub(super) const ENROLMENTS_LIMIT: usize = 128;

/// How long one waits for its turn.
const ENROLMENT_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// What became of a request.
pub(super) type Enrolled = Result<Asset, Refusal>;

/// Hosts that enrol at the same time are one transaction.
pub(super) async fn batcher(store: &Store, tasks: &Tasks) -> Batcher<enrolment::Request, Enrolled> {
    let store = store.clone();
    let work = move |requests: Arc<Vec<enrolment::Request>>| {
        let store = store.clone();
        async move { store.enrol_all(&requests).await }
    };
    Batcher::start("enrolment batcher", enrolment::BATCH_LIMIT, work, tasks).await
}

/// Makes a host an asset, by one use of an enrolment key.
pub(super) async fn enrol(
    axum::extract::State(state): axum::extract::State<super::Intake>,
    axum::Extension(connection): axum::Extension<crate::listener::Connection>,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    let busy =
        || Problem::new(Class::Unavailable, "many hosts enrol at this moment").hint("try again in a minute");
    let place = tokio::time::timeout(ENROLMENT_WAIT, state.enrolling.acquire()).await;
    let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
    let request: Request = unpack_enrolment(&body)?;
    check(&request)?;
    let now = state.ambient.now();
    // Whoever has no key costs no signature and no write.
    let (secret, address) = (Digest::of_bytes(request.key.as_bytes()), connection.address.ip());
    let admitted = state.store.admits(&secret, address, now).await?;
    admitted.map_err(|refusal| Problem::new(refusal.class(), refusal))?;
    let fresh = AssetId::mint(now, state.ambient.random());
    let invalid = |error| Problem::new(Class::Invalid, error);
    let (certificate, public_key) =
        state.keys.authority.sign(&request.request, fresh, now).map_err(invalid)?;
    let enrolled = state
        .enrolments
        .commit(enrolment::Request {
            secret,
            address,
            name: request.name,
            identity: Identity { public_key, machine: request.machine },
            fresh,
            now,
        })
        .await?;
    // A certificate that was signed for nothing names an asset that does not exist: it opens no door.
    let asset = enrolled.map_err(|refusal| Problem::new(refusal.class(), refusal))?;
    tracing::info!(asset.id = %asset.id, asset.name = asset.name, peer.address = %connection.address, "enrolled");
    answer(&Reply {
        wire: VERSION,
        asset: asset.id,
        certificate,
        authority: state.keys.authority.pem().to_owned(),
        ledger: state.keys.ledger.key().to_string(),
        orders: state.keys.orders(),
        pace: state.pace(),
    })
}

fn check(request: &Request) -> Result<(), Problem> {
    let wrong = |what: &str| Problem::new(Class::Invalid, what);
    let name = request.name.as_str();
    if name.is_empty() || name.len() > NAME_BYTES_LIMIT || name.chars().any(char::is_control) {
        return Err(wrong("the host's name is empty, longer than 253 bytes, or holds control characters"));
    }
    if request.machine.len() > MACHINE_BYTES_LIMIT || request.machine.chars().any(char::is_control) {
        return Err(wrong("the machine-id is longer than 128 bytes, or holds control characters"));
    }
    Ok(())
}

/// Gives an agent its next certificate, for the key that it has.
pub(super) async fn renew((state, connection, body): Asked) -> Result<Response, Problem> {
    let asset = state.agent(&connection).await?;
    let renewal: Renewal = unpack_versioned(&body)?;
    let invalid = |error| Problem::new(Class::Invalid, error);
    let signed = state.keys.authority.sign(&renewal.request, asset.id, state.ambient.now());
    let (certificate, public_key) = signed.map_err(invalid)?;
    let held = connection.peer.as_ref().map(|peer| peer.public_key);
    if held != Some(public_key) {
        let problem =
            Problem::new(Class::Denied, "the request is for another key than the certificate it came with");
        return Err(problem.hint("an agent that lost its key enrols anew"));
    }
    answer(&Renewed { wire: VERSION, certificate })
}
