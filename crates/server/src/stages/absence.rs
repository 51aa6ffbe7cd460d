//! The absence stage: notices assets that should report and don't, and writes down who was heard.
//!
//! It looks at whoever is due alone, and at whoever is absent: a fleet that reports costs nothing here but
//! its turn, once in each limit. After its own start a server calls nobody absent for one whole interval
//! and the time between two writings: until then it may not have heard of an asset that is well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bartizan_core::asset::{Asset, Life};
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::{self, Timestamp};
use bartizan_store::asset::PAGE_LIMIT;
use bartizan_store::log::Log;
use tokio_util::sync::CancellationToken;

use super::{Context, Error};
use crate::signal::own_signal;

mod schedule;

use schedule::Schedule;

/// How often it looks, at most.
const EVERY: Duration = Duration::from_secs(1);

/// After how many intervals without a word an asset is absent.
const INTERVALS: u32 = 3;

/// How many writings another replica's word may take to get here: its own, and our reading of it.
const WRITINGS: u32 = 2;

/// The subject of every absence, and what earlier programs called it: their alerts may be open.
const SUBJECT: &str = "absence";
const FORMER_SUBJECT: &str = "silence";

/// What the stage keeps in mind; all of it comes back from the store at a start.
struct Watch {
    schedule: Schedule,
    /// Who is missed, and when each was heard last.
    absent: BTreeMap<AssetNumber, Missed>,
    /// Whose absence was told: their alerts are open.
    told: BTreeSet<AssetId>,
    /// Every asset up to this number is watched or need not be.
    after: Option<AssetNumber>,
    /// The next change of an asset's life that is to be read.
    lives: i64,
    /// Whether whoever was told of before was looked at.
    looked: bool,
    /// After how long an asset is absent, by whether other replicas hear assets, too.
    limit: Limit,
}

#[derive(Clone, Copy)]
struct Limit {
    alone: time::Duration,
    others: time::Duration,
    /// Whether another replica wrote lately.
    is_alone: bool,
}

#[derive(Clone, Copy)]
struct Missed {
    id: AssetId,
    heard: Timestamp,
}

/// What one look found; nothing of it holds before its signals are committed.
#[derive(Default)]
struct Found {
    signals: Vec<(AssetNumber, Signal)>,
    missed: Vec<(AssetNumber, Missed)>,
    /// Who is missed no more, and when it is due again where it is still watched.
    back: Vec<(AssetNumber, AssetId, Option<Timestamp>)>,
}

pub(super) async fn run(context: Context, stop: CancellationToken) {
    let started = context.ambient.now();
    let replica = hex::encode(context.ambient.random::<8>());
    let mut watch: Option<Watch> = None;
    let mut flushed = started;
    if let Err(error) = context.last_seen.recall(&context.store).await {
        tracing::error!(error = %error, "can't read who was heard of before");
    }
    let (interval, flush) = (context.pacing.interval, context.pacing.flush);
    let grace = (interval * INTERVALS).max(interval + flush);
    let mut is_alone = true;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY.min(interval)) => {}
            () = stop.cancelled() => break,
        }
        let now = context.ambient.now();
        if now.since(flushed).to_std() >= flush {
            is_alone = write_down(&context, &replica, now).await.unwrap_or(is_alone);
            flushed = now;
        }
        if now.since(started).to_std() >= grace
            && let Err(error) = look(&context, &mut watch, is_alone, now).await
        {
            tracing::error!(error = %error, "can't look who is absent");
        }
    }
    write_down(&context, &replica, context.ambient.now()).await;
}

/// Writes down who was heard, and takes in what others wrote. Whether no other replica did lately.
async fn write_down(context: &Context, replica: &str, now: Timestamp) -> Option<bool> {
    match context.last_seen.flush(&context.store, replica, now, context.pacing.flush).await {
        Ok(is_alone) => Some(is_alone),
        Err(error) => {
            tracing::error!(error = %error, "can't write who was heard of");
            None
        }
    }
}

async fn look(
    context: &Context,
    watch: &mut Option<Watch>,
    is_alone: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let watch = match watch {
        Some(watch) => watch,
        None => watch.insert(Watch::start(context).await?),
    };
    watch.limit.is_alone = is_alone;
    watch.follow(context).await?;
    let found = watch.find(context, now).await?;
    if !found.signals.is_empty() {
        context.store.append_signals(&found.signals).await?;
        context.nudges.alert();
    }
    let came: Vec<(AssetNumber, Timestamp)> =
        found.missed.iter().map(|(number, missed)| (*number, missed.heard)).collect();
    let went: Vec<AssetNumber> = found.back.iter().map(|(number, ..)| *number).collect();
    if context.stale.change(&context.store, &came, &went).await? {
        context.nudges.show();
    }
    watch.take(found);
    Ok(())
}

impl Watch {
    async fn start(context: &Context) -> Result<Watch, Error> {
        let (interval, flush) = (context.pacing.interval, context.pacing.flush);
        let long = |limit: Duration| {
            time::Duration::from_millis(u32::try_from(limit.as_millis()).unwrap_or(u32::MAX))
        };
        let alone = interval * INTERVALS;
        let limit = Limit { alone: long(alone), others: long(alone + flush * WRITINGS), is_alone: true };
        Ok(Watch {
            schedule: Schedule::default(),
            absent: BTreeMap::new(),
            told: context.store.firing_assets(Kind::Absence).await?,
            after: None,
            looked: false,
            // Read before the assets are: what changes meanwhile is read again.
            lives: context.store.head(Log::Life, 0).await?,
            limit,
        })
    }

    /// Takes up new assets, and those whose life changed; each is due as soon as it could be absent.
    async fn follow(&mut self, context: &Context) -> Result<(), Error> {
        let store = &context.store;
        let known = self.after.map_or(0, |number| i64::from(number) + 1);
        if known < store.head(Log::Asset, 0).await? {
            loop {
                let assets = store.assets(self.after, PAGE_LIMIT).await?;
                let Some(last) = assets.last() else { break };
                self.after = Some(last.number);
                for asset in &assets {
                    self.take_up(context, asset);
                }
            }
        }
        if self.lives < store.head(Log::Life, 0).await? {
            let changes = store.asset_lives(self.lives, PAGE_LIMIT).await?;
            let numbers: Vec<AssetNumber> = changes.iter().map(|(_, number)| *number).collect();
            let assets = store.assets_by_number(&numbers).await?;
            for asset in assets.values() {
                self.take_up(context, asset);
            }
            // Another replica may have ruled on it, and the asset's agent may listen here.
            let retired = assets.values().filter(|asset| asset.life == Life::Retired);
            context.nudges.retired(retired.map(|asset| asset.number));
            if let Some((last, _)) = changes.last() {
                self.lives = last + 1;
            }
        }
        Ok(())
    }

    fn take_up(&mut self, context: &Context, asset: &Asset) {
        if asset.life == Life::Enrolled || self.absent.contains_key(&asset.number) {
            let heard = context.last_seen.of(asset.number).unwrap_or(asset.enrolled_at);
            self.schedule.put(asset.number, heard.plus(self.limit.alone));
        } else {
            self.schedule.forget(asset.number);
        }
    }

    /// Finds who came to be absent, and who is there again. At the first look whoever was told of before is
    /// looked at, too.
    async fn find(&mut self, context: &Context, now: Timestamp) -> Result<Found, Error> {
        let limit = if self.limit.is_alone { self.limit.alone } else { self.limit.others };
        let mut look_up: BTreeSet<AssetNumber> = BTreeSet::new();
        let due: Vec<AssetNumber> = self.schedule.due(now).collect();
        for number in due {
            match context.last_seen.of(number) {
                Some(heard) if now.since(heard) < limit => self.schedule.put(number, heard.plus(limit)),
                _ => drop(look_up.insert(number)),
            }
        }
        for (number, missed) in &self.absent {
            if context.last_seen.of(*number).is_some_and(|heard| heard > missed.heard) {
                look_up.insert(*number);
            }
        }
        if !self.looked {
            for id in &self.told {
                look_up.extend(context.store.asset(*id).await?.map(|asset| asset.number));
            }
        }
        let look_up: Vec<AssetNumber> = look_up.into_iter().collect();
        let mut found = Found::default();
        for asset in context.store.assets_by_number(&look_up).await?.values() {
            let heard = context.last_seen.of(asset.number).unwrap_or(asset.enrolled_at);
            let missing = asset.life == Life::Enrolled && now.since(heard) >= limit;
            if missing != self.told.contains(&asset.id) {
                found.signals.push((asset.number, signal(asset, SUBJECT, missing, heard, now)));
                if !missing {
                    found.signals.push((asset.number, signal(asset, FORMER_SUBJECT, false, heard, now)));
                }
            }
            if missing {
                found.missed.push((asset.number, Missed { id: asset.id, heard }));
            } else {
                let due = (asset.life == Life::Enrolled).then(|| heard.plus(limit));
                found.back.push((asset.number, asset.id, due));
            }
        }
        Ok(found)
    }

    fn take(&mut self, found: Found) {
        self.looked = true;
        for (number, missed) in found.missed {
            // It is looked at again when it is heard, or its life changes.
            self.schedule.forget(number);
            self.told.insert(missed.id);
            self.absent.insert(number, missed);
        }
        for (number, id, due) in found.back {
            self.told.remove(&id);
            self.absent.remove(&number);
            match due {
                Some(due) => self.schedule.put(number, due),
                None => self.schedule.forget(number),
            }
        }
    }
}

fn signal(asset: &Asset, subject: &str, missing: bool, heard: Timestamp, now: Timestamp) -> Signal {
    let name = &asset.name;
    let (state, summary) = match (missing, asset.life) {
        (true, _) => (State::Firing, format!("{name} was last heard of at {heard}")),
        // Nobody misses it any more: that ends the absence, and says nothing of its health.
        (false, Life::Retired) => (State::Resolved, format!("{name} was retired")),
        (false, _) => (State::Resolved, format!("{name} reports again")),
    };
    Signal { state, ..own_signal(asset, Kind::Absence, subject, summary, now) }
}
