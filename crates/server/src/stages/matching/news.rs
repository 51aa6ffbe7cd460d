//! News: what changed feeds say of builds that are there, told for every host that has them.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::monitoring::signal::{Signal, State};
use bartizan_core::posture::{AssetNumber, TupleNumber};
use bartizan_store::log::Log;
use bartizan_store::matching::{Change, Known, Moved, Told};
use bartizan_store::posture::MATCHES;
use roaring::RoaringBitmap;

use super::{Context, Error, Look, signal};

/// Its cursor in the log of what changed in matches.
const STAGE: &str = "matching/news";

/// Changes looked at in one go.
const CHANGES_BATCH: usize = 500;

/// From how many pairs of a host and a vulnerability on a look takes in no further change: each costs some
/// hundred bytes until it is told.
const PAIRS_LIMIT: usize = 100_000;

/// Signals appended in one transaction: what else is written waits for no more than these.
const SIGNALS_BATCH: usize = 2_000;

/// Tells what the posture's figures already show: the hosts are found in the same index.
pub(super) async fn look(context: &Context) -> Result<Look, Error> {
    let store = &context.store;
    let from = store.cursor(STAGE, 0).await?;
    let mut counted = store.head(Log::Match, 0).await?;
    for shard in store.shards(Log::Transition).await? {
        counted = counted.min(store.cursor(MATCHES, shard).await?);
    }
    let mut changes = store.match_changes(from, CHANGES_BATCH).await?;
    changes.retain(|change| change.seq < counted);
    let Some(last) = changes.last().map(|change| change.seq) else { return Ok(Look::Done) };
    let whole = changes.len() == CHANGES_BATCH;
    let (signals, passed) = told(context, &changes).await?;
    let passed = passed.unwrap_or(last);
    let cursor = (STAGE, 0, from, passed + 1);
    // A crash between two of these tells the first again; an alert knows whom it has.
    let mut batches = signals.chunks(SIGNALS_BATCH).peekable();
    if batches.peek().is_none() {
        store.commit_signals(&[], cursor).await?;
    }
    while let Some(batch) = batches.next() {
        match batches.peek() {
            Some(_) => store.append_signals(batch).await?,
            None => store.commit_signals(batch, cursor).await?,
        }
        context.nudges.alert();
    }
    Ok(if whole || passed < last { Look::More } else { Look::Done })
}

/// What moved on each host, by vulnerability and source package.
type OnHosts<'a> = BTreeMap<(AssetNumber, &'a str, &'a str), &'a Moved>;

/// The signals that changes are, and up to which change where that is not the last.
async fn told(
    context: &Context,
    changes: &[Change],
) -> Result<(Vec<(AssetNumber, Signal)>, Option<i64>), Error> {
    // One signal for each host, vulnerability and source package, however many builds of it a host has.
    let mut moved = OnHosts::new();
    let mut passed = None;
    for change in changes.iter().filter(|change| !change.first) {
        if news(change).next().is_none() {
            continue;
        }
        let hosts = context.store.present(&[change.tuple]).await?;
        if take_in(&mut moved, change, &hosts) {
            passed = Some(change.seq);
            break;
        }
    }
    spare(context, &mut moved).await?;
    let hosts: BTreeSet<AssetNumber> = moved.keys().map(|(host, ..)| *host).collect();
    let hosts: Vec<AssetNumber> = hosts.into_iter().collect();
    let assets = context.store.assets_by_number(&hosts).await?;
    let now = context.ambient.now();
    let signals = moved.into_iter().filter_map(|((host, name, source), moved)| {
        let asset = assets.get(&host)?;
        let (told, state) = match (&moved.is, &moved.was) {
            (Some(told), _) => (told, State::Firing),
            (None, Some(told)) => (told, State::Resolved),
            (None, None) => return None,
        };
        Some((host, signal(asset, source, name, told, state, now)))
    });
    Ok((signals.collect(), passed))
}

/// What came to affect a build, or affects it no more.
fn news(change: &Change) -> impl Iterator<Item = &Moved> {
    change.moved.iter().filter(|moved| moved.was.is_some() != moved.is.is_some())
}

/// Takes a change in, as a whole, on the hosts that have the build; whether a look has enough by it.
fn take_in<'a>(moved: &mut OnHosts<'a>, change: &'a Change, hosts: &RoaringBitmap) -> bool {
    for host in hosts {
        for news in news(change) {
            let key = (host, news.vulnerability.as_str(), change.source.as_str());
            let held = moved.entry(key).or_insert(news);
            if news.is.is_some() {
                *held = news;
            }
        }
    }
    moved.len() >= PAIRS_LIMIT
}

/// Leaves out what went from one build of a host while another build of that source there still has it.
async fn spare(context: &Context, moved: &mut OnHosts<'_>) -> Result<(), Error> {
    let gone = moved.iter().filter(|(_, moved)| moved.is.is_none());
    let pairs: BTreeSet<(String, String)> =
        gone.map(|((_, name, source), _)| ((*name).to_owned(), (*source).to_owned())).collect();
    for (name, source) in pairs {
        let known = context.store.matches_of(&name).await?;
        let affects = |known: &Known| known.found.source == source && Told::of(&known.found).is_some();
        let builds: Vec<TupleNumber> = known.into_iter().filter(affects).map(|known| known.tuple).collect();
        let hosts = context.store.present(&builds).await?;
        moved.retain(|(host, of, from), moved| {
            moved.is.is_some() || *of != name || *from != source || !hosts.contains(*host)
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bartizan_core::severity::Severity;
    use bartizan_core::time::Timestamp;

    use super::*;

    /// A build of `openssl` came to be affected.
    fn change(seq: i64, vulnerability: &str) -> Change {
        let is = Some(Told { severity: Severity::High, fixed: None });
        Change {
            seq,
            tuple: TupleNumber::try_from(seq).unwrap(),
            source: "openssl".to_owned(),
            at: Timestamp::from_millis(0),
            first: false,
            moved: vec![Moved { vulnerability: vulnerability.to_owned(), was: None, is }],
        }
    }

    fn hosts(many: usize) -> RoaringBitmap {
        (0..u32::try_from(many).unwrap()).collect()
    }

    #[test]
    fn a_look_takes_no_further_change_in_once_it_has_enough() {
        let changes = [change(1, "CVE-2024-1"), change(2, "CVE-2024-2")];
        let (mut moved, half) = (OnHosts::new(), hosts(PAIRS_LIMIT / 2));
        assert!(!take_in(&mut moved, &changes[0], &half));
        assert!(
            !take_in(&mut moved, &changes[0], &half),
            "another build of the same package is no other pair"
        );
        assert!(take_in(&mut moved, &changes[1], &half));
        assert_eq!(moved.len(), PAIRS_LIMIT);
    }

    #[test]
    fn a_change_of_a_build_that_every_host_has_is_taken_in_as_a_whole() {
        let (mut moved, change) = (OnHosts::new(), change(1, "CVE-2024-1"));
        assert!(take_in(&mut moved, &change, &hosts(PAIRS_LIMIT + 1)));
        assert_eq!(moved.len(), PAIRS_LIMIT + 1);
    }
}
