//! When each asset was last heard of: kept in memory, written every 30 s as one array a shard.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::posture::{AssetNumber, SHARD_BITS, shard};
use bartizan_core::time::Timestamp;
use bartizan_store::{Error, Store};

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

    /// Writes what this replica has heard: one row a shard, however many assets there are.
    pub async fn flush(&self, store: &Store, replica: &str, now: Timestamp) -> Result<(), Error> {
        let shards = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (shard, times) in shards {
            store.put_last_seen(shard, replica, &times, now).await?;
        }
        Ok(())
    }
}

fn place(number: AssetNumber) -> usize {
    let mask = (1 << SHARD_BITS) - 1;
    usize::try_from(number & mask).unwrap_or(0)
}
