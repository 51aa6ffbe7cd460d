//! Following the hosts' own changes: what an installation brought, and what an update closed.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::monitoring::signal::{Signal, State};
use bartizan_core::posture::{AssetNumber, Change, TupleNumber};
use bartizan_core::vulnerability::affected::Pair;
use bartizan_core::vulnerability::matching::Match;
use bartizan_store::log::Log;
use bartizan_store::matching::Told;
use bartizan_store::posture::Transition;

use super::{Context, Error, Look, signal};

/// Its cursor in the log of transitions.
const STAGE: &str = "matching/transition";

/// Transitions looked at in one go.
const TRANSITIONS_BATCH: usize = 200;

/// The most transitions of one host that are taken back to see what it had before them.
const LATER_LIMIT: usize = 1_000;

/// Vulnerabilities that affect a host by source package, with what has to be said of them.
type Affected = BTreeMap<Pair, Told>;

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
    let arrived: BTreeSet<TupleNumber> = came.iter().copied().collect();
    let kept: Vec<TupleNumber> =
        present_after(context, transition).await?.difference(&arrived).copied().collect();
    let (kept, came, went) =
        (affected(context, &kept).await?, affected(context, &came).await?, affected(context, &went).await?);
    let says = |(pair, told, state): (&Pair, &Told, State)| {
        signal(&asset, &pair.source, &pair.vulnerability, told, state, transition.at)
    };
    let signals = news(&kept, &came, &went).map(says);
    Ok(signals.map(|signal| (transition.number, signal)).collect())
}

/// What came to a host and what went from it, by what affects the builds that it kept, got and lost.
fn news<'a>(
    kept: &'a Affected,
    came: &'a Affected,
    went: &'a Affected,
) -> impl Iterator<Item = (&'a Pair, &'a Told, State)> {
    let new = came.iter().filter(|(pair, _)| !kept.contains_key(*pair) && !went.contains_key(*pair));
    let gone = went.iter().filter(|(pair, _)| !kept.contains_key(*pair) && !came.contains_key(*pair));
    let firing = new.map(|(pair, told)| (pair, told, State::Firing));
    firing.chain(gone.map(|(pair, told)| (pair, told, State::Resolved)))
}

/// What a host had right after a transition: what it has now, without what came since and with what went.
async fn present_after(context: &Context, transition: &Transition) -> Result<BTreeSet<TupleNumber>, Error> {
    let store = &context.store;
    // The record is read first: what is committed in between is among the transitions, and taken back.
    let record = store.record(transition.number).await?;
    let later = store.transitions_after(transition.number, transition.seq, LATER_LIMIT).await?;
    let present = record.present().map(|(tuple, _)| tuple).collect();
    Ok(take_back(present, later.iter().flat_map(|later| &later.changes)))
}

/// Takes changes back, the last first.
fn take_back<'a>(
    mut present: BTreeSet<TupleNumber>,
    later: impl Iterator<Item = &'a Change>,
) -> BTreeSet<TupleNumber> {
    let later: Vec<&Change> = later.collect();
    for change in later.into_iter().rev() {
        match change {
            Change::Present { tuple, to: Some(_), .. } => present.remove(tuple),
            Change::Present { tuple, to: None, .. } => present.insert(*tuple),
            Change::Verdict { .. } => false,
        };
    }
    present
}

async fn affected(context: &Context, numbers: &[TupleNumber]) -> Result<Affected, Error> {
    let mut all = Affected::new();
    for known in context.store.matches(numbers).await? {
        if let Some(told) = Told::of(&known.found) {
            let Match { vulnerability, source, .. } = known.found;
            all.insert(Pair { vulnerability, source }, told);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use bartizan_core::severity::Severity;
    use bartizan_core::time::Timestamp;

    use super::*;

    fn affected(pairs: &[(&str, &str)]) -> Affected {
        let told = Told { severity: Severity::High, fixed: None };
        let pair = |&(vulnerability, source): &(&str, &str)| Pair {
            vulnerability: vulnerability.to_owned(),
            source: source.to_owned(),
        };
        pairs.iter().map(|one| (pair(one), told.clone())).collect()
    }

    fn told(kept: &Affected, came: &Affected, went: &Affected) -> Vec<(String, State)> {
        news(kept, came, went).map(|(pair, _, state)| (pair.source.clone(), state)).collect()
    }

    #[test]
    fn one_vulnerability_in_two_source_packages_comes_and_goes_with_each() {
        let (zlib, rsync) = (affected(&[("CVE-1", "zlib")]), affected(&[("CVE-1", "rsync")]));
        let none = Affected::new();
        assert_eq!(told(&zlib, &rsync, &none), [("rsync".to_owned(), State::Firing)]);
        assert_eq!(told(&zlib, &none, &rsync), [("rsync".to_owned(), State::Resolved)]);
        assert_eq!(told(&zlib, &zlib, &none), [], "it was there before");
    }

    #[test]
    fn what_later_transitions_brought_was_not_there_before_them() {
        let at = Some(Timestamp::from_millis(1));
        let came = |tuple| Change::Present { tuple, from: None, to: at };
        let went = |tuple| Change::Present { tuple, from: at, to: None };
        let later = [came(2), went(3), came(4), went(4)];
        assert_eq!(take_back([1, 2].into(), later.iter()), [1, 3].into());
        // What was read before they were committed comes to the same.
        assert_eq!(take_back([1, 3].into(), later.iter()), [1, 3].into());
    }
}
