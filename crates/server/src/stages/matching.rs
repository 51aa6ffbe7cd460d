//! The matching stage: what the feeds say of the builds in the fleet, and which hosts that moves.
//!
//! A build is matched once for each state of the feeds. What came with a change of packages, or
//! with news about packages that are there, is a signal; what the first sight of a host or the
//! first import of feeds finds is backlog, and none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::asset::Asset;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::posture::{AssetNumber, Change, TupleNumber};
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::matching::Verdict;
use bartizan_feeds::library::Library;
use bartizan_store::log::Log;
use bartizan_store::posture::Transition;

use super::{Context, Error, Look};
use crate::signal::own_signal;

/// Its cursor in the log of transitions.
const STAGE: &str = "matching/transition";

/// Builds matched in one transaction.
const TUPLES_BATCH: usize = 500;

/// Transitions looked at in one go.
const TRANSITIONS_BATCH: usize = 200;

/// The feeds as they were imported last; none before the first import.
#[derive(Clone, Debug, Default)]
pub struct Feeds(Arc<RwLock<Option<Arc<Library>>>>);

impl Feeds {
    /// Takes newly imported feeds.
    pub fn replace(&self, library: Library) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(library));
    }

    /// The feeds as they are now.
    pub fn get(&self) -> Option<Arc<Library>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let Some(library) = context.feeds.get() else { return Ok(Look::Done) };
    if match_tuples(&context, library).await? == Look::More {
        return Ok(Look::More);
    }
    follow(&context).await
}

/// Matches builds that these feeds have not judged yet.
async fn match_tuples(context: &Context, library: Arc<Library>) -> Result<Look, Error> {
    let digest = library.digest();
    let waiting = context.store.tuples_to_match(&digest, TUPLES_BATCH).await?;
    if waiting.is_empty() {
        return Ok(Look::Done);
    }
    let numbers: Vec<TupleNumber> = waiting.iter().map(|(number, _)| *number).collect();
    let seen = context.store.tuples_matched(&numbers).await?;
    let before = affected(context, &numbers).await?;
    // Reading feeds is work for a thread of its own: requests go on meanwhile.
    let judged = tokio::task::spawn_blocking(move || {
        waiting
            .into_iter()
            .map(|(number, tuple)| library.matches(&tuple).map(|matches| (number, matches)))
            .collect::<Result<Vec<_>, _>>()
    });
    let judged = judged.await.map_err(|error| Error::Other(error.to_string()))?;
    let judged = judged.map_err(|error| Error::Other(error.to_string()))?;
    context.store.put_matches(&judged, &digest, context.ambient.now()).await?;
    let after = affected(context, &numbers).await?;
    let mut signals = Vec::new();
    for number in numbers.into_iter().filter(|number| seen.contains(number)) {
        let (was, is) = (before.get(&number), after.get(&number));
        if was != is {
            signals.extend(news(context, number, was, is).await?);
        }
    }
    if !signals.is_empty() {
        context.store.append_signals(&signals).await?;
        context.nudges.alert();
    }
    context.nudges.show();
    Ok(Look::More)
}

/// Vulnerabilities that affect builds, with what has to be said of them: by build, then by name.
type Affected = BTreeMap<TupleNumber, BTreeMap<String, Told>>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    source: String,
    severity: Severity,
    fixed: Option<String>,
}

async fn affected(context: &Context, numbers: &[TupleNumber]) -> Result<Affected, Error> {
    let mut all = Affected::new();
    for known in context.store.matches(numbers).await? {
        if known.found.verdict == Verdict::Affected {
            let told = Told {
                source: known.found.source,
                severity: known.found.severity.map_or(Severity::Medium, |rating| rating.rating),
                fixed: known.found.fixed,
            };
            all.entry(known.tuple).or_default().insert(known.found.vulnerability, told);
        }
    }
    Ok(all)
}

/// The signals of news about one build, for every host that has it.
async fn news(
    context: &Context,
    number: TupleNumber,
    was: Option<&BTreeMap<String, Told>>,
    is: Option<&BTreeMap<String, Told>>,
) -> Result<Vec<(AssetNumber, Signal)>, Error> {
    let empty = BTreeMap::new();
    let (was, is) = (was.unwrap_or(&empty), is.unwrap_or(&empty));
    let mut signals = Vec::new();
    let now = context.ambient.now();
    for host in context.store.present(&[number]).await? {
        let Some(asset) = context.store.asset_by_number(host).await? else { continue };
        let came = is.iter().filter(|(name, _)| !was.contains_key(*name));
        let went = was.iter().filter(|(name, _)| !is.contains_key(*name));
        signals.extend(came.map(|(name, told)| (host, signal(&asset, name, told, State::Firing, now))));
        signals.extend(went.map(|(name, told)| (host, signal(&asset, name, told, State::Resolved, now))));
    }
    Ok(signals)
}

/// Follows the hosts' own changes: what an installation brought, and what an update closed.
async fn follow(context: &Context) -> Result<Look, Error> {
    let mut more = Look::Done;
    for shard in context.store.shards(Log::Transition).await? {
        let from = context.store.cursor(STAGE, shard).await?;
        let transitions = context.store.transitions(shard, from, TRANSITIONS_BATCH).await?;
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
    let mut record = context.store.record(transition.number).await?;
    let present: BTreeSet<TupleNumber> = record.present().map(|(tuple, _)| tuple).collect();
    drop(std::mem::take(&mut record));
    let kept: Vec<TupleNumber> = present.iter().copied().filter(|tuple| !came.contains(tuple)).collect();
    let by_name =
        |affected: Affected| -> BTreeMap<String, Told> { affected.into_values().flatten().collect() };
    let (kept, came, went) = (
        by_name(affected(context, &kept).await?),
        by_name(affected(context, &came).await?),
        by_name(affected(context, &went).await?),
    );
    let new = came.iter().filter(|(name, _)| !kept.contains_key(*name) && !went.contains_key(*name));
    let gone = went.iter().filter(|(name, _)| !kept.contains_key(*name) && !came.contains_key(*name));
    let at = transition.at;
    let firing = new.map(|(name, told)| signal(&asset, name, told, State::Firing, at));
    let resolved = gone.map(|(name, told)| signal(&asset, name, told, State::Resolved, at));
    Ok(firing.chain(resolved).map(|signal| (transition.number, signal)).collect())
}

fn signal(asset: &Asset, name: &str, told: &Told, state: State, at: Timestamp) -> Signal {
    let (host, source) = (&asset.name, &told.source);
    let summary = match (&state, &told.fixed) {
        (State::Firing, Some(fixed)) => format!("{host}: {source} has {name}, fixed in {fixed}"),
        (State::Firing, None) => format!("{host}: {source} has {name}, and there is no fix yet"),
        _ => format!("{host}: {source} no longer has {name}"),
    };
    let own = own_signal(asset, Kind::Vulnerability, name, summary, at);
    Signal { state, object: source.clone(), severity: told.severity, ..own }
}
