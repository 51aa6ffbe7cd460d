//! Posture: the assets' records, the log of transitions, and the index derived from it.

use std::collections::BTreeMap;

use bartizan_core::posture::index::{About, Cohorts, Edits, Plane};
use bartizan_core::posture::{AssetNumber, Change, Record};
use bartizan_core::time::Timestamp;
use roaring::RoaringBitmap;

use crate::Store;
use crate::engine::{Error, Transaction, ms};
use crate::report::{FIRST_PACKAGES, FIRST_VERDICTS};

/// The stage whose cursor the index stands at.
pub const STAGE: &str = "posture";

/// The most transitions that the index takes in at once.
pub const BATCH_LIMIT: usize = 20_000;

/// One report's changes, as the stages read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub seq: i64,
    pub number: AssetNumber,
    pub at: Timestamp,
    /// Whether the verdicts in it are the asset's first.
    pub first_verdicts: bool,
    /// Whether the packages in it are the asset's first.
    pub first_packages: bool,
    pub changes: Vec<Change>,
}

/// A plane of a subject in one shard, by age.
pub type Key = (About, Plane);

fn about(about: About) -> (&'static str, i64) {
    match about {
        About::Subject(number) => ("subject", i64::from(number)),
        About::Tuple(number) => ("tuple", i64::from(number)),
    }
}

fn bitmap(bytes: &[u8]) -> Result<RoaringBitmap, Error> {
    RoaringBitmap::deserialize_from(bytes).map_err(|error| Error::corrupt("a bitmap", error))
}

impl Store {
    /// All that is known of one asset.
    pub async fn record(&self, number: AssetNumber) -> Result<Record, Error> {
        let reading = self.reading("read an asset's posture");
        let row = reading
            .one("SELECT record FROM asset_state WHERE number = $1", [i64::from(number).into()])
            .await?;
        let Some(row) = row else { return Ok(Record::default()) };
        let bytes: Vec<u8> = row.get(0)?;
        Record::decode(&bytes).map_err(|error| Error::corrupt("a posture record", error))
    }

    /// A shard's transitions from a number on, in their order; at most [`BATCH_LIMIT`].
    pub async fn transitions(&self, shard: u32, from: i64, limit: usize) -> Result<Vec<Transition>, Error> {
        let reading = self.reading("read transitions");
        let sql = "SELECT seq, number, at, first_sight, changes FROM transition
                   WHERE shard = $1 AND seq >= $2 ORDER BY seq LIMIT $3";
        let limit = limit.min(BATCH_LIMIT) as i64;
        let rows = reading.all(sql, [i64::from(shard).into(), from.into(), limit.into()]).await?;
        rows.iter().map(transition).collect()
    }

    /// The newest transitions of one asset, the newest first.
    pub async fn asset_transitions(
        &self,
        number: AssetNumber,
        limit: usize,
    ) -> Result<Vec<Transition>, Error> {
        let reading = self.reading("read an asset's transitions");
        let sql = "SELECT seq, number, at, first_sight, changes FROM transition
                   WHERE number = $1 ORDER BY at DESC, seq DESC LIMIT $2";
        let rows = reading.all(sql, [i64::from(number).into(), (limit as i64).into()]).await?;
        rows.iter().map(transition).collect()
    }

    /// Takes edits into a shard's index, and moves the stage's cursor, in one transaction.
    /// Each touched plane is read and written once.
    pub async fn edit_index(&self, shard: u32, edits: &Edits, from: i64, to: i64) -> Result<(), Error> {
        let tx = self.begin("edit the posture's index").await?;
        tx.move_cursor(STAGE, shard, from, to).await?;
        for ((subject, plane), edits) in edits {
            let key = (*subject, *plane);
            let before = tx.cohorts(shard, key).await?;
            let mut after = before.clone();
            after.edit(*plane, edits);
            tx.put_cohorts(shard, key, &before, &after).await?;
        }
        tx.commit().await
    }

    /// One plane of a subject in one shard.
    pub async fn cohorts(&self, shard: u32, key: Key) -> Result<Cohorts, Error> {
        let reading = self.reading("read the posture's index");
        let (kind, id) = about(key.0);
        let rows = reading
            .all(
                "SELECT since_hour, bitmap FROM posture
                 WHERE about = $1 AND id = $2 AND shard = $3 AND plane = $4",
                [kind.into(), id.into(), i64::from(shard).into(), key.1.as_str().into()],
            )
            .await?;
        let stored = rows.iter().map(|row| Ok((row.get(0)?, bitmap(&row.get::<Vec<u8>>(1)?)?)));
        stored.collect::<Result<Vec<_>, Error>>().map(Cohorts::new)
    }

    /// How many assets stand in each plane of each subject, over all shards.
    pub async fn plane_counts(&self) -> Result<BTreeMap<(u32, String), u64>, Error> {
        let reading = self.reading("count the posture");
        let rows = reading.all("SELECT id, plane, bitmap FROM posture WHERE about = 'subject'", []).await?;
        let mut counts = BTreeMap::new();
        for row in &rows {
            let key = (row.number(0)?, row.get(1)?);
            *counts.entry(key).or_default() += bitmap(&row.get::<Vec<u8>>(2)?)?.len();
        }
        Ok(counts)
    }

    /// Everybody on whom one of these tuples is present, over all shards.
    pub async fn present(&self, tuples: &[u32]) -> Result<RoaringBitmap, Error> {
        let reading = self.reading("find who has a package");
        let mut all = RoaringBitmap::new();
        for batch in tuples.chunks(500) {
            let sql = format!(
                "SELECT bitmap FROM posture WHERE about = 'tuple' AND plane = 'present' AND id IN {}",
                crate::engine::places(1, batch.len())
            );
            for row in reading.all(&sql, batch.iter().map(|tuple| i64::from(*tuple).into())).await? {
                all |= bitmap(&row.get::<Vec<u8>>(0)?)?;
            }
        }
        Ok(all)
    }

    /// On whom each build is present, over all shards.
    pub async fn present_by_tuple(&self) -> Result<BTreeMap<u32, RoaringBitmap>, Error> {
        let reading = self.reading("read who has which package");
        let rows = reading
            .all("SELECT id, bitmap FROM posture WHERE about = 'tuple' AND plane = 'present'", [])
            .await?;
        let mut all: BTreeMap<u32, RoaringBitmap> = BTreeMap::new();
        for row in &rows {
            *all.entry(row.number(0)?).or_default() |= bitmap(&row.get::<Vec<u8>>(1)?)?;
        }
        Ok(all)
    }

    /// Throws the whole index away; the stage builds it anew from the first transition.
    pub async fn drop_index(&self) -> Result<(), Error> {
        let tx = self.begin("drop the posture's index").await?;
        tx.run("DELETE FROM posture", []).await?;
        tx.run("DELETE FROM stage_cursor WHERE stage = $1", [STAGE.into()]).await?;
        tx.commit().await
    }

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
        let reading = self.reading("read when assets were last heard of");
        let mut times: BTreeMap<AssetNumber, Timestamp> = BTreeMap::new();
        for row in reading.all("SELECT shard, seen FROM last_seen", []).await? {
            let shard: u32 = row.number(0)?;
            let packed: Vec<u8> = row.get(1)?;
            let bytes = zstd::bulk::decompress(&packed, 8 << bartizan_core::posture::SHARD_BITS);
            let bytes = bytes.map_err(|error| Error::corrupt("the times", error))?;
            for (place, chunk) in (0..).zip(bytes.as_chunks::<8>().0) {
                let time = Timestamp::from_millis(i64::from_le_bytes(*chunk));
                if time.as_millis() != 0 {
                    let number = (shard << bartizan_core::posture::SHARD_BITS) | place;
                    let held = times.entry(number).or_insert(time);
                    *held = time.max(*held);
                }
            }
        }
        Ok(times)
    }
}

fn transition(row: &crate::engine::Row) -> Result<Transition, Error> {
    let (bits, changes): (i64, Vec<u8>) = (row.get(3)?, row.get(4)?);
    Ok(Transition {
        seq: row.get(0)?,
        number: row.number(1)?,
        at: row.time(2)?,
        first_verdicts: bits & FIRST_VERDICTS != 0,
        first_packages: bits & FIRST_PACKAGES != 0,
        changes: Change::decode(&changes).map_err(|error| Error::corrupt("a transition", error))?,
    })
}

impl Transaction {
    async fn cohorts(&self, shard: u32, (subject, plane): Key) -> Result<Cohorts, Error> {
        let (kind, id) = about(subject);
        let rows = self
            .all(
                "SELECT since_hour, bitmap FROM posture
                 WHERE about = $1 AND id = $2 AND shard = $3 AND plane = $4",
                [kind.into(), id.into(), i64::from(shard).into(), plane.as_str().into()],
            )
            .await?;
        let stored = rows.iter().map(|row| Ok((row.get(0)?, bitmap(&row.get::<Vec<u8>>(1)?)?)));
        stored.collect::<Result<Vec<_>, Error>>().map(Cohorts::new)
    }

    /// Writes the cohorts that are not as they were.
    async fn put_cohorts(
        &self,
        shard: u32,
        (subject, plane): Key,
        before: &Cohorts,
        after: &Cohorts,
    ) -> Result<(), Error> {
        let (kind, id) = about(subject);
        let key = || [kind.into(), id.into(), i64::from(shard).into(), plane.as_str().into()];
        let held: BTreeMap<i64, &RoaringBitmap> = before.iter().collect();
        let kept: BTreeMap<i64, &RoaringBitmap> = after.iter().collect();
        for hour in held.keys().filter(|hour| !kept.contains_key(hour)) {
            let sql = "DELETE FROM posture
                       WHERE about = $1 AND id = $2 AND shard = $3 AND plane = $4 AND since_hour = $5";
            self.run(sql, key().into_iter().chain([(*hour).into()])).await?;
        }
        for (hour, bitmap) in kept.iter().filter(|(hour, bitmap)| held.get(hour) != Some(bitmap)) {
            let mut bytes = Vec::with_capacity(bitmap.serialized_size());
            bitmap.serialize_into(&mut bytes).map_err(|error| Error::corrupt("a bitmap", error))?;
            self.run(
                "INSERT INTO posture (about, id, shard, plane, since_hour, bitmap)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (about, id, shard, plane, since_hour) DO UPDATE SET bitmap = excluded.bitmap",
                key().into_iter().chain([(*hour).into(), bytes.into()]),
            )
            .await?;
        }
        Ok(())
    }
}
