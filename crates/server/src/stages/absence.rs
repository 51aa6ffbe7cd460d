//! The silence stage: notices assets that should report and don't, and writes down who was heard.
//!
//! After its own start a server calls nobody silent for one whole interval and the time between
//! two writings: until then it may not have heard of an asset that is well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bartizan_core::asset::{Asset, Life};
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Context, Error};
use crate::signal::own_signal;

/// How often the overlay is looked at, at most.
const EVERY: Duration = Duration::from_secs(1);

/// After how many intervals without a word an asset is silent.
const INTERVALS: u32 = 3;

/// The subject of every silence.
const SUBJECT: &str = "silence";

pub(super) async fn run(context: Context, stop: CancellationToken) {
    let started = context.ambient.now();
    let replica = hex::encode(context.ambient.random::<8>());
    let mut silent: Option<BTreeSet<AssetId>> = None;
    let mut flushed = started;
    if let Err(error) = context.last_seen.recall(&context.store).await {
        tracing::error!(error = %error, "can't read who was heard of before");
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY.min(context.pacing.interval)) => {}
            () = stop.cancelled() => break,
        }
        let now = context.ambient.now();
        if let Err(error) = look(&context, started, now, &mut silent).await {
            tracing::error!(error = %error, "can't look who is silent");
        }
        if now.since(flushed).to_std() >= context.pacing.flush {
            flush(&context, &replica, now).await;
            flushed = now;
        }
    }
    flush(&context, &replica, context.ambient.now()).await;
}

async fn flush(context: &Context, replica: &str, now: Timestamp) {
    if let Err(error) = context.last_seen.flush(&context.store, replica, now).await {
        tracing::error!(error = %error, "can't write who was heard of");
    }
}

async fn look(
    context: &Context,
    started: Timestamp,
    now: Timestamp,
    silent: &mut Option<BTreeSet<AssetId>>,
) -> Result<(), Error> {
    let (interval, flush) = (context.pacing.interval, context.pacing.flush);
    let limit = interval * INTERVALS;
    if now.since(started).to_std() < limit.max(interval + flush) {
        return Ok(());
    }
    let known = match silent.as_ref() {
        Some(known) => known.clone(),
        // Who was silent when this server started: their alerts are open.
        None => context.store.firing_assets(Kind::Silence).await?,
    };
    let mut next = known.clone();
    let elsewhere = context.store.last_seen().await?;
    let mut signals = Vec::new();
    let mut stale = BTreeMap::new();
    let mut after = None;
    loop {
        let assets = context.store.assets(after, bartizan_store::asset::PAGE_LIMIT).await?;
        let Some(last) = assets.last() else { break };
        after = Some(last.number);
        for asset in assets {
            let here = context.last_seen.of(asset.number);
            let heard = here.max(elsewhere.get(&asset.number).copied()).unwrap_or(asset.enrolled_at);
            let missing = asset.life == Life::Enrolled && now.since(heard).to_std() >= limit;
            if missing {
                stale.insert(asset.number, heard);
            }
            if missing != known.contains(&asset.id) {
                signals.push((asset.number, signal(&asset, missing, heard, now)));
                if missing {
                    next.insert(asset.id)
                } else {
                    next.remove(&asset.id)
                };
            }
        }
    }
    if !signals.is_empty() {
        context.store.append_signals(&signals).await?;
        context.nudges.alert();
    }
    if context.stale.set(&context.store, &stale).await? {
        context.nudges.show();
    }
    // Not before the signals are committed: what the store refused is noticed again by the next look.
    *silent = Some(next);
    Ok(())
}

fn signal(asset: &Asset, missing: bool, heard: Timestamp, now: Timestamp) -> Signal {
    let name = &asset.name;
    let (state, summary) = match (missing, asset.life) {
        (true, _) => (State::Firing, format!("{name} was last heard of at {heard}")),
        // Nobody misses it any more: that ends the silence, and says nothing of its health.
        (false, Life::Retired) => (State::Resolved, format!("{name} was retired")),
        (false, _) => (State::Resolved, format!("{name} reports again")),
    };
    Signal { state, ..own_signal(asset, Kind::Silence, SUBJECT, summary, now) }
}
