//! Heartbeats: an asset that has nothing new is there, and learns what is new for it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::response::Response;
use bartizan_core::asset::Life;
use bartizan_core::fact::Name;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_ledger::tree::proof;
use bartizan_store::Store;
use bartizan_store::ledger::Head;
use bartizan_wire::checkin::{Answer, Checkpoint, Heartbeat};
use bartizan_wire::{VERSION, unpack_versioned};

use super::check::VERDICTS;
use super::{Asked, answer};
use crate::problem::Problem;

/// How long the newest head is believed to be that: a new one is signed each second at most.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// The most proofs that are kept, each some kilobytes: agents keep few different heads.
const PROOFS_LIMIT: usize = 1_000;

/// Answers a heartbeat. Where nothing is new, nothing is written.
pub(super) async fn heartbeat((state, connection, body): Asked) -> Result<Response, Problem> {
    let (asset, standing) = state.checks_in(&connection).await?;
    let now = state.ambient.now();
    state.last_seen.heard(asset.number, now);
    if asset.life == Life::Quarantined {
        return Err(super::waits(&asset));
    }
    let beat: Heartbeat = unpack_versioned(&body)?;
    let wanted = match standing {
        Some(standing) if standing.root == beat.root => Vec::new(),
        // A report in flight explains a difference; it is acknowledged before the next heartbeat.
        Some(standing) if (standing.epoch, standing.sequence) > (beat.epoch, beat.sequence) => Vec::new(),
        _ => Name::ALL.iter().map(|name| name.as_str().to_owned()).chain([VERDICTS.to_owned()]).collect(),
    };
    let policy = state.policies.policy(&asset).await?;
    let explained = state.policies.explained(asset.number).await?;
    answer(&Answer {
        wire: VERSION,
        pace: state.pace(),
        policy: policy.etag_with(&explained),
        wanted,
        order: state.orders.of(asset.number).await?,
        checkpoint: state.checkpoints.after(&state.store, beat.checkpoint, now).await?,
        at: now,
    })
}

/// The newest head, and the proofs from those that agents keep: a fleet in step asks for few of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Checkpoints(Arc<RwLock<Held>>);

#[derive(Debug, Default)]
struct Held {
    read_at: Option<Timestamp>,
    head: Option<Head>,
    /// The head with its proof, by the size that an agent keeps.
    proved: BTreeMap<u64, Checkpoint>,
}

impl Checkpoints {
    /// The newest head with its proof, where it is newer than what the agent keeps.
    async fn after(&self, store: &Store, held: u64, now: Timestamp) -> Result<Option<Checkpoint>, Problem> {
        let Some(head) = self.head(store, now).await? else { return Ok(None) };
        if head.size == held {
            return Ok(None);
        }
        let proved = self.0.read().unwrap_or_else(PoisonError::into_inner).proved.get(&held).cloned();
        if let Some(proved) = proved.filter(|proved| proved.note == head.note) {
            return Ok(Some(proved));
        }
        let checkpoint = prove(store, held, head).await?;
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.proved.len() >= PROOFS_LIMIT {
            all.proved.clear();
        }
        all.proved.insert(held, checkpoint.clone());
        Ok(Some(checkpoint))
    }

    async fn head(&self, store: &Store, now: Timestamp) -> Result<Option<Head>, Problem> {
        {
            let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if held.read_at.is_some_and(|at| now.since(at) < BELIEVED_FOR) {
                return Ok(held.head.clone());
            }
        }
        let head = store.checkpoint().await?;
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.head != head {
            held.proved.clear();
            held.head.clone_from(&head);
        }
        held.read_at = Some(now);
        Ok(head)
    }
}

/// A head with the proof that it follows one of this size.
async fn prove(store: &Store, held: u64, head: Head) -> Result<Checkpoint, Problem> {
    let mut wanted = Vec::new();
    // A first pass asks for the nodes; an agent ahead of us gets no proof, and will say so.
    let _ = proof::consistency(held, head.size, |node| {
        wanted.push(node);
        Some(bartizan_ledger::tree::empty_root())
    });
    let nodes = store.nodes(&wanted).await?;
    let proof = proof::consistency(held, head.size, |node| nodes.get(&node).copied()).unwrap_or_default();
    Ok(Checkpoint { note: head.note, proof })
}
