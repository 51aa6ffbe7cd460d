//! Following the hosts' own changes: what an installation brought, and what an update closed.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::monitoring::signal::{Signal, State};
use bartizan_core::posture::{AssetNumber, Change, TupleNumber};
use bartizan_store::log::Log;
use bartizan_store::matching::Told;
use bartizan_store::posture::Transition;

use super::{Context, Error, Look, signal};

/// Its cursor in the log of transitions.
const STAGE: &str = "matching/transition";

/// Transitions looked at in one go.
const TRANSITIONS_BATCH: usize = 200;

/// Vulnerabilities that affect a host, with what has to be said of them.
type Affected = BTreeMap<String, (String, Told)>;

/// Where the transitions of each shard end.
pub(super) async fn heads(context: &Context) -> Result<Vec<(u32, i64)>, Error> {
    let mut heads = Vec::new();
    for shard in context.store.shards(Log::Transition).await? {
        heads.push((shard, context.store.head(Log::Transition, shard).await?));
    }
    Ok(heads)
}

/// Follows the transitions below these heads: every build that they tell of was matched.
pub(super) async fn look(context: &Context, heads: &[(u32, i64)]) -> Result<Look, Error> {
    let mut more = Look::Done;
    for &(shard, head) in heads {
        let from = context.store.cursor(STAGE, shard).await?;
        let mut transitions = context.store.transitions(shard, from, TRANSITIONS_BATCH).await?;
        transitions.retain(|transition| transition.seq < head);
        let Some(last) = transitions.last() else { continue };
        let mut signals = Vec::new();
        for transition in &transitions {
            signals.extend(moved(context, transition).await?);
        }
        context.store.commit_signals(&signals, (STAGE, shard, from, last.seq + 1)).await?;
        if !signals.is_empty() {
            context.nudges.alert();
        }
        if transitions.len() == TRANSITIONS_BATCH {
            more = Look::More;
        }
    }
    Ok(more)
}

async fn moved(context: &Context, transition: &Transition) -> Result<Vec<(AssetNumber, Signal)>, Error> {
    let mut came = Vec::new();
    let mut went = Vec::new();
    for change in &transition.changes {
        match change {
            Change::Present { tuple, to: Some(_), .. } => came.push(*tuple),
            Change::Present { tuple, to: None, .. } => went.push(*tuple),
            Change::Verdict { .. } => {}
        }
    }
    if transition.first_packages || (came.is_empty() && went.is_empty()) {
        return Ok(Vec::new());
    }
    let Some(asset) = context.store.asset_by_number(transition.number).await? else { return Ok(Vec::new()) };
    let record = context.store.record(transition.number).await?;
    let arrived: BTreeSet<TupleNumber> = came.iter().copied().collect();
    let kept: Vec<TupleNumber> =
        record.present().map(|(tuple, _)| tuple).filter(|tuple| !arrived.contains(tuple)).collect();
    let (kept, came, went) =
        (affected(context, &kept).await?, affected(context, &came).await?, affected(context, &went).await?);
    let new = came.iter().filter(|(name, _)| !kept.contains_key(*name) && !went.contains_key(*name));
    let gone = went.iter().filter(|(name, _)| !kept.contains_key(*name) && !came.contains_key(*name));
    let at = transition.at;
    let firing = new.map(|(name, (source, told))| signal(&asset, source, name, told, State::Firing, at));
    let resolved = gone.map(|(name, (source, told))| signal(&asset, source, name, told, State::Resolved, at));
    Ok(firing.chain(resolved).map(|signal| (transition.number, signal)).collect())
}

async fn affected(context: &Context, numbers: &[TupleNumber]) -> Result<Affected, Error> {
    let mut all = Affected::new();
    for known in context.store.matches(numbers).await? {
        if let Some(told) = Told::of(&known.found) {
            all.insert(known.found.vulnerability, (known.found.source, told));
        }
    }
    Ok(all)
}
