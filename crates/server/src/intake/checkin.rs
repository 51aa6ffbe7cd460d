//! Heartbeats: an asset that has nothing new is there, and learns what is new for it.

use axum::response::Response;
use bartizan_core::fact::Name;
use bartizan_ledger::tree::proof;
use bartizan_store::Store;
use bartizan_wire::checkin::{Answer, Checkpoint, Heartbeat};
use bartizan_wire::{VERSION, unpack_versioned};

use super::report::VERDICTS;
use super::{Asked, answer};
use crate::problem::Problem;

/// Answers a heartbeat. Where nothing is new, nothing is written.
pub(super) async fn heartbeat((state, connection, body): Asked) -> Result<Response, Problem> {
    let asset = state.admitted(&connection).await?;
    let beat: Heartbeat = unpack_versioned(&body)?;
    let now = state.ambient.now();
    state.last_seen.heard(asset.number, now);
    let standing = state.store.asset_standing(asset.number).await?;
    let wanted = match standing {
        Some(standing) if standing.root == beat.root => Vec::new(),
        // A report in flight explains a difference; it is acknowledged before the next heartbeat.
        Some(standing) if (standing.epoch, standing.sequence) > (beat.epoch, beat.sequence) => Vec::new(),
        _ => Name::ALL.iter().map(|name| name.as_str().to_owned()).chain([VERDICTS.to_owned()]).collect(),
    };
    let policy = state.policies.policy(&asset).await?;
    answer(&Answer {
        wire: VERSION,
        pace: state.pace(),
        policy: policy.etag,
        wanted,
        // Nothing on this server gives orders yet.
        order: None,
        checkpoint: checkpoint(&state.store, beat.checkpoint).await?,
        at: now,
    })
}

/// The newest head with its proof, where it is newer than what the agent keeps.
async fn checkpoint(store: &Store, held: u64) -> Result<Option<Checkpoint>, Problem> {
    let Some(head) = store.checkpoint().await? else { return Ok(None) };
    if head.size == held {
        return Ok(None);
    }
    let mut wanted = Vec::new();
    // A first pass asks for the nodes; an agent ahead of us gets no proof, and will say so.
    let _ = proof::consistency(held, head.size, |node| {
        wanted.push(node);
        Some(bartizan_ledger::tree::empty_root())
    });
    let nodes = store.nodes(&wanted).await?;
    let proof = proof::consistency(held, head.size, |node| nodes.get(&node).copied()).unwrap_or_default();
    Ok(Some(Checkpoint { note: head.note, proof }))
}
