//! When assets were last heard of: one array for each shard and replica.

use std::collections::BTreeMap;

use bartizan_core::posture::{AssetNumber, SHARD_BITS};
use bartizan_core::time::Timestamp;

use crate::Store;
use crate::engine::{Error, ms};

impl Store {
    /// The times at which assets were last heard of, by replica; each array is one shard.
    pub async fn put_last_seen(
        &self,
        shard: u32,
        replica: &str,
        seen: &[i64],
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("keep when assets were last heard of").await?;
        let bytes: Vec<u8> = seen.iter().flat_map(|time| time.to_le_bytes()).collect();
        let packed = zstd::bulk::compress(&bytes, 1).map_err(|error| Error::corrupt("the times", error))?;
        tx.run(
            "INSERT INTO last_seen (shard, replica, seen, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (shard, replica) DO UPDATE SET seen = excluded.seen, at = excluded.at",
            [i64::from(shard).into(), replica.into(), packed.into(), ms(now)],
        )
        .await?;
        tx.commit().await
    }

    /// When each asset was last heard of by any replica: milliseconds by number, 0 for never.
    pub async fn last_seen(&self) -> Result<BTreeMap<AssetNumber, Timestamp>, Error> {
        Ok(self.last_seen_but("").await?.0)
    }

    /// The same without what this replica wrote itself, and when each row was written.
    pub async fn last_seen_but(
        &self,
        replica: &str,
    ) -> Result<(BTreeMap<AssetNumber, Timestamp>, Vec<Timestamp>), Error> {
        let reading = self.reading("read when assets were last heard of");
        let (mut times, mut written): (BTreeMap<AssetNumber, Timestamp>, _) = (BTreeMap::new(), Vec::new());
        let sql = "SELECT shard, seen, at FROM last_seen WHERE replica <> $1";
        for row in reading.all(sql, [replica.into()]).await? {
            written.push(row.time(2)?);
            let shard: u32 = row.number(0)?;
            let packed: Vec<u8> = row.get(1)?;
            let bytes = zstd::bulk::decompress(&packed, 8 << SHARD_BITS);
            let bytes = bytes.map_err(|error| Error::corrupt("the times", error))?;
            for (place, chunk) in (0..).zip(bytes.as_chunks::<8>().0) {
                let time = Timestamp::from_millis(i64::from_le_bytes(*chunk));
                if time.as_millis() != 0 {
                    let number = (shard << SHARD_BITS) | place;
                    let held = times.entry(number).or_insert(time);
                    *held = time.max(*held);
                }
            }
        }
        Ok((times, written))
    }

    /// Deletes what other replicas wrote before a time: whoever does so holds what they heard.
    pub async fn drop_last_seen(&self, replica: &str, before: Timestamp) -> Result<(), Error> {
        let tx = self.begin("drop what replicas that are gone have heard").await?;
        let sql = "DELETE FROM last_seen WHERE replica <> $1 AND at < $2";
        tx.run(sql, [replica.into(), ms(before)]).await?;
        tx.commit().await
    }
}
