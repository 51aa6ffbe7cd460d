//! When each asset was last heard of: kept in memory, written every 30 s as one array a shard.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::posture::{AssetNumber, SHARD_BITS, shard};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::{Error, Store};

/// How old what a replica wrote may be before another takes it over.
const GONE_AFTER: Duration = Duration::from_hours(1);

/// How many of its writings a replica may miss before it counts as gone.
const MISSED_WRITINGS: u32 = 3;

/// The times of all shards.
#[derive(Clone, Debug, Default)]
pub struct LastSeen(Arc<RwLock<BTreeMap<u32, Shard>>>);

/// One shard's times, in milliseconds; 0 for never.
#[derive(Clone, Debug, Default)]
struct Shard {
    times: Vec<i64>,
    /// Whether anybody was heard since they were written.
    moved: bool,
}

impl LastSeen {
    /// An asset was heard of.
    pub fn heard(&self, number: AssetNumber, now: Timestamp) {
        let mut shards = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let shard = shards.entry(shard(number)).or_default();
        let place = place(number);
        if shard.times.len() <= place {
            shard.times.resize(place + 1, 0);
        }
        if let Some(time) = shard.times.get_mut(place).filter(|time| **time < now.as_millis()) {
            *time = now.as_millis();
            shard.moved = true;
        }
    }

    /// When an asset was last heard of: here, or by another replica as of the last writing.
    pub fn of(&self, number: AssetNumber) -> Option<Timestamp> {
        let shards = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let time = shards.get(&shard(number))?.times.get(place(number)).copied()?;
        (time != 0).then(|| Timestamp::from_millis(time))
    }

    /// Takes in what any replica wrote, so that a restart forgets nobody.
    pub async fn recall(&self, store: &Store) -> Result<(), Error> {
        for (number, at) in store.last_seen().await? {
            self.heard(number, at);
        }
        Ok(())
    }

    /// Writes what this replica has heard: one row a shard, however many assets there are, and none where
    /// nobody was. What others wrote is taken in; rows of those that are gone are folded in and deleted, and a
    /// replica that still runs writes its own anew. Whether no other replica wrote lately.
    pub async fn flush(
        &self,
        store: &Store,
        replica: &str,
        now: Timestamp,
        every: std::time::Duration,
    ) -> Result<bool, Error> {
        let (others, written) = store.last_seen_but(replica).await?;
        for (number, at) in others {
            self.heard(number, at);
        }
        let moved = {
            let shards = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let moved = shards.iter().filter(|(_, shard)| shard.moved);
            moved.map(|(number, shard)| (*number, shard.times.clone())).collect::<Vec<_>>()
        };
        for (number, times) in moved {
            store.put_last_seen(number, replica, &times, now).await?;
            let mut shards = self.0.write().unwrap_or_else(PoisonError::into_inner);
            // Who was heard while it was written is written the next time.
            if let Some(shard) = shards.get_mut(&number).filter(|shard| shard.times == times) {
                shard.moved = false;
            }
        }
        if written.iter().any(|at| *at < now.minus(GONE_AFTER)) {
            store.drop_last_seen(replica, now.minus(GONE_AFTER)).await?;
        }
        let lately = (every * MISSED_WRITINGS).as_millis();
        Ok(written.iter().all(|at| now.since(*at).to_std().as_millis() > lately))
    }
}

fn place(number: AssetNumber) -> usize {
    let mask = (1 << SHARD_BITS) - 1;
    usize::try_from(number & mask).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bartizan_store::Place;

    use super::*;

    #[tokio::test]
    async fn who_restarts_knows_who_was_heard_and_leaves_one_row() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Place::Sqlite(folder.path().join("bartizan.db"))).await.unwrap();
        let (long_ago, now) = (Timestamp::from_millis(1_000), Timestamp::from_millis(90_000_000));
        let before = LastSeen::default();
        before.heard(7, long_ago);
        let every = std::time::Duration::from_secs(30);
        assert!(before.flush(&store, "before", long_ago, every).await.unwrap(), "there is no other");
        let after = LastSeen::default();
        after.recall(&store).await.unwrap();
        assert_eq!(after.of(7), Some(long_ago));
        after.heard(8, now);
        assert!(after.flush(&store, "after", now, every).await.unwrap(), "the other is gone");
        // What was folded in stays when its row is gone, and at the next flush too.
        for _ in 0..2 {
            assert_eq!(store.last_seen().await.unwrap(), [(7, long_ago), (8, now)].into());
            after.flush(&store, "after", now, every).await.unwrap();
        }
        store.drop_last_seen("before", now.plus(GONE_AFTER)).await.unwrap();
        assert!(store.last_seen().await.unwrap().is_empty(), "only the row of who runs was left");
    }

    #[tokio::test]
    async fn what_another_replica_heard_comes_with_a_writing_and_nobody_heard_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Place::Sqlite(folder.path().join("bartizan.db"))).await.unwrap();
        let now = Timestamp::from_millis(90_000_000);
        let every = std::time::Duration::from_secs(30);
        let (one, two) = (LastSeen::default(), LastSeen::default());
        two.heard(7, now);
        two.flush(&store, "two", now, every).await.unwrap();
        assert_eq!(one.of(7), None);
        assert!(!one.flush(&store, "one", now, every).await.unwrap(), "two hears assets, too");
        assert_eq!(one.of(7), Some(now));
        let (rows, _) = store.volume().await.unwrap();
        two.flush(&store, "two", now, every).await.unwrap();
        assert_eq!(store.volume().await.unwrap().0, rows);
    }
}
