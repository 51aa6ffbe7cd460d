//! The matching stage: what the feeds say of the builds in the fleet, and which hosts that moves.
//!
//! A build is matched when it is first seen, and again when the records about its package change.
//! What came with a change of packages, or with news about packages that are there, is a signal; what
//! the first sight of a host or the first feed about a release finds is backlog, and none.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::asset::Asset;
use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::posture::TupleNumber;
use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::matching::Tuple;
use bartizan_feeds::library::Library;
use bartizan_store::log::Log;
use bartizan_store::matching::{Matched, Progress, TUPLES, Told};
use bartizan_store::tuple::Package;

use super::{Context, Error, Look};
use crate::signal::own_signal;

mod follow;
mod news;

/// Builds matched in one transaction.
const TUPLES_BATCH: usize = 500;

/// The most packages whose changed records are looked up one by one; beyond it every build is matched again.
const PACKAGES_LIMIT: usize = 5_000;

/// The feeds as they were imported last; none before the first import.
#[derive(Clone, Debug, Default)]
pub struct Feeds(Arc<RwLock<Held>>);

#[derive(Debug, Default)]
struct Held {
    now: Option<Arc<Library>>,
    /// Those that the builds were judged by, as far as this replica knows: what changed is told by comparing.
    judged: Option<Arc<Library>>,
}

impl Feeds {
    /// Takes newly imported feeds.
    pub fn replace(&self, library: Library) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).now = Some(Arc::new(library));
    }

    /// The feeds as they are now.
    pub fn get(&self) -> Option<Arc<Library>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    fn judged(&self) -> Option<Arc<Library>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).judged.clone()
    }

    fn judged_by(&self, library: &Arc<Library>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).judged = Some(Arc::clone(library));
    }
}

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let Some(library) = context.feeds.get() else { return Ok(Look::Done) };
    let digest = library.digest();
    let held = context.store.matched_feeds().await?;
    if held != Some(digest) {
        take_feeds(&context, &library, held, &digest).await?;
        return Ok(Look::More);
    }
    context.feeds.judged_by(&library);
    // Builds that come while these are matched are for the next look, and so are the transitions that brought them.
    let heads = follow::heads(&context).await?;
    if match_tuples(&context, &library, &digest).await? == Look::More {
        return Ok(Look::More);
    }
    let news = news::look(&context).await?;
    let moved = follow::look(&context, &heads).await?;
    Ok(if news == Look::More { news } else { moved })
}

/// Goes over to other feeds: builds whose packages' records changed are matched again, and where
/// that can't be told, or is most of them, every build is.
async fn take_feeds(
    context: &Context,
    library: &Arc<Library>,
    held: Option<Digest>,
    digest: &Digest,
) -> Result<(), Error> {
    let now = context.ambient.now();
    let judged = context.feeds.judged().filter(|judged| Some(judged.digest()) == held);
    let (Some(judged), Some(before)) = (judged, held) else {
        return Ok(context.store.match_again(held.as_ref(), digest, now).await?);
    };
    let (newer, older) = (Arc::clone(library), judged);
    let changed = tokio::task::spawn_blocking(move || newer.changed_since(&older)).await;
    let changed = changed.map_err(|error| Error::Other(error.to_string()))?;
    if changed.len() > PACKAGES_LIMIT {
        return Ok(context.store.match_again(held.as_ref(), digest, now).await?);
    }
    let mut tuples: BTreeMap<TupleNumber, Tuple> = BTreeMap::new();
    for [ecosystem, release, name] in changed {
        tuples.extend(context.store.tuples_of(&Package { ecosystem, release, name }).await?);
    }
    let tuples: Vec<(TupleNumber, Tuple)> = tuples.into_iter().collect();
    let mut batches = tuples.chunks(TUPLES_BATCH).peekable();
    if batches.peek().is_none() {
        context.store.put_matches(&[], digest, Progress::Feeds { before }, now).await?;
    }
    while let Some(batch) = batches.next() {
        let matched = judge(library, batch.to_vec()).await?;
        // Until the last, the builds count as judged by the feeds before: a crash begins anew.
        let last = batches.peek().is_none();
        let progress = if last { Progress::Feeds { before } } else { Progress::Part };
        context.store.put_matches(&matched, digest, progress, now).await?;
    }
    context.nudges.matches();
    context.nudges.show();
    Ok(())
}

/// Matches builds that nobody has judged yet.
async fn match_tuples(context: &Context, library: &Arc<Library>, digest: &Digest) -> Result<Look, Error> {
    let from = context.store.cursor(TUPLES, 0).await?;
    if from >= context.store.head(Log::Tuple, 0).await? {
        return Ok(Look::Done);
    }
    let waiting = context.store.tuples_from(from, TUPLES_BATCH).await?;
    let Some((last, _)) = waiting.last() else { return Ok(Look::Done) };
    let progress = Progress::Tuples(from, i64::from(*last) + 1);
    let matched = judge(library, waiting).await?;
    context.store.put_matches(&matched, digest, progress, context.ambient.now()).await?;
    context.nudges.matches();
    context.nudges.show();
    Ok(Look::More)
}

/// Judges builds. Reading feeds is work for a thread of its own: requests go on meanwhile.
async fn judge(library: &Arc<Library>, tuples: Vec<(TupleNumber, Tuple)>) -> Result<Vec<Matched>, Error> {
    let library = Arc::clone(library);
    let judged = tokio::task::spawn_blocking(move || {
        let one = |(number, tuple): (TupleNumber, Tuple)| {
            let covered = library.covers(&tuple.ecosystem, &tuple.release);
            library.matches(&tuple).map(|matches| Matched { tuple: number, covered, matches })
        };
        tuples.into_iter().map(one).collect::<Result<Vec<_>, _>>()
    });
    let judged = judged.await.map_err(|error| Error::Other(error.to_string()))?;
    judged.map_err(|error| Error::Other(error.to_string()))
}

/// A vulnerability that came to a host, or went from it.
fn signal(asset: &Asset, source: &str, name: &str, told: &Told, state: State, at: Timestamp) -> Signal {
    let host = &asset.name;
    let summary = match (&state, &told.fixed) {
        (State::Firing, Some(fixed)) => format!("{host}: {source} has {name}, fixed in {fixed}"),
        (State::Firing, None) => format!("{host}: {source} has {name}, and there is no fix yet"),
        _ => format!("{host}: {source} no longer has {name}"),
    };
    let own = own_signal(asset, Kind::Vulnerability, name, summary, at);
    Signal { state, object: source.to_owned(), severity: told.severity, ..own }
}
