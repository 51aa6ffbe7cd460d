//! When each asset was last heard of: kept in memory, written every 30 s as one array a shard.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::posture::{AssetNumber, SHARD_BITS, shard};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::{Error, Store};

/// How old what a replica wrote may be before another takes it over.
const GONE_AFTER: Duration = Duration::from_hours(1);

/// The times of all shards, in milliseconds; 0 for never.
#[derive(Clone, Debug, Default)]
pub struct LastSeen(Arc<RwLock<BTreeMap<u32, Vec<i64>>>>);

impl LastSeen {
    /// An asset was heard of.
    pub fn heard(&self, number: AssetNumber, now: Timestamp) {
        let mut shards = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let times = shards.entry(shard(number)).or_default();
        let place = place(number);
        if times.len() <= place {
            times.resize(place + 1, 0);
        }
        if let Some(time) = times.get_mut(place) {
            *time = now.as_millis().max(*time);
        }
    }

    /// When an asset was last heard of here.
    pub fn of(&self, number: AssetNumber) -> Option<Timestamp> {
        let shards = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let time = shards.get(&shard(number))?.get(place(number)).copied()?;
        (time != 0).then(|| Timestamp::from_millis(time))
    }

    /// Takes in what any replica wrote, so that a restart forgets nobody.
    pub async fn recall(&self, store: &Store) -> Result<(), Error> {
        for (number, at) in store.last_seen().await? {
            self.heard(number, at);
        }
        Ok(())
    }

    /// Writes what this replica has heard: one row a shard, however many assets there are. Rows that
    /// others wrote long ago are folded in and deleted; a replica that still runs writes its own anew.
    pub async fn flush(&self, store: &Store, replica: &str, now: Timestamp) -> Result<(), Error> {
        self.recall(store).await?;
        let shards = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (shard, times) in shards {
            store.put_last_seen(shard, replica, &times, now).await?;
        }
        store.drop_last_seen(replica, now.minus(GONE_AFTER)).await
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
        before.flush(&store, "before", long_ago).await.unwrap();
        let after = LastSeen::default();
        after.recall(&store).await.unwrap();
        assert_eq!(after.of(7), Some(long_ago));
        after.heard(8, now);
        after.flush(&store, "after", now).await.unwrap();
        // What was folded in stays when its row is gone, and at the next flush too.
        for _ in 0..2 {
            assert_eq!(store.last_seen().await.unwrap(), [(7, long_ago), (8, now)].into());
            after.flush(&store, "after", now).await.unwrap();
        }
        store.drop_last_seen("before", now.plus(GONE_AFTER)).await.unwrap();
        assert!(store.last_seen().await.unwrap().is_empty(), "only the row of who runs was left");
    }
}
