//! The retention stage: takes away what is past, a bounded batch at a time, and goes round each table.
//!
//! What is kept for how long stands in [`bartizan_store::retention`]. Replicas may sweep at the same time:
//! what one has taken away the other does not find.

use std::collections::BTreeMap;
use std::time::Duration;

use bartizan_core::digest::Digest;
use bartizan_core::posture::AssetNumber;
use bartizan_store::log::Log;
use bartizan_store::retention::Swept;
use tokio_util::sync::CancellationToken;

use super::{Context, Error};

/// How long after one sweep the next comes while there is something to take away.
const BUSY: Duration = Duration::from_secs(1);

/// The same where the last sweep found nothing: what is kept for days need not go within a minute.
const IDLE: Duration = Duration::from_secs(60);

/// Where the sweeps go on.
#[derive(Debug, Default)]
struct Positions {
    section: Option<Digest>,
    signal: Option<i64>,
    transitions: BTreeMap<u32, AssetNumber>,
}

pub(super) async fn run(context: Context, stop: CancellationToken) {
    let mut positions = Positions::default();
    let mut wait = IDLE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => break,
        }
        wait = match sweep(&context, &mut positions).await {
            Ok(rows) if rows > 0 => {
                tracing::info!(retention.rows = rows, "took away what is past");
                BUSY
            }
            Ok(_) => IDLE,
            Err(error) => {
                tracing::error!(error = %error, "can't take away what is past");
                IDLE
            }
        };
    }
}

/// One batch of each kind; gives how many rows were taken away.
async fn sweep(context: &Context, positions: &mut Positions) -> Result<u64, Error> {
    let (store, now) = (&context.store, context.ambient.now());
    let mut rows = store.sweep_sessions(now).await?;
    rows += store.sweep_match_changes(now).await?;
    rows += store.sweep_orders(now).await?;
    rows += store.sweep_explanations(now).await?;
    let sections = store.sweep_sections(positions.section).await?;
    positions.section = sections.next;
    let signals = store.sweep_signals(positions.signal, now).await?;
    positions.signal = signals.next;
    rows += sections.rows + signals.rows;
    for shard in store.shards(Log::Transition).await? {
        let after = positions.transitions.remove(&shard);
        let Swept { rows: folded, next } = store.fold_transitions(shard, after, now).await?;
        positions.transitions.extend(next.map(|next| (shard, next)));
        rows += folded;
    }
    Ok(rows)
}
