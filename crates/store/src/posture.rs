//! Posture: the assets' records, the log of transitions, and the index derived from it.
//!
//! The index is bitmaps and the figures that pages show. [`Store::take_in`] moves both in the
//! transaction that moves the stage's cursors; [`count`] reads the figures.

pub mod count;
mod take_in;

use std::collections::BTreeSet;

use bartizan_core::posture::index::{About, Cohorts, Plane};
use bartizan_core::posture::{AssetNumber, Change, Record, shard};
use bartizan_core::time::Timestamp;
use roaring::RoaringBitmap;

use crate::Store;
use crate::engine::Error;
use crate::report::{FIRST_PACKAGES, FIRST_VERDICTS};
use crate::tuple::BATCH;

pub use take_in::{TURN, Taken};

/// The stage whose cursor the index stands at, in each shard's transitions.
pub const STAGE: &str = "posture";

/// Its cursor in the log of what changed in matches, by shard: each has the figures of its own.
pub const MATCHES: &str = "posture/match";

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

    /// The transitions of one asset after a number, in their order.
    pub async fn transitions_after(
        &self,
        number: AssetNumber,
        seq: i64,
        limit: usize,
    ) -> Result<Vec<Transition>, Error> {
        let reading = self.reading("read an asset's later transitions");
        let sql = "SELECT seq, number, at, first_sight, changes FROM transition
                   WHERE shard = $1 AND number = $2 AND seq > $3 ORDER BY seq LIMIT $4";
        let limit = limit.min(BATCH_LIMIT) as i64;
        let place = [i64::from(shard(number)).into(), i64::from(number).into(), seq.into(), limit.into()];
        reading.all(sql, place).await?.iter().map(transition).collect()
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

    /// Of these, those in whose plane an asset lies: a plane that has no ages.
    pub async fn lies_in(
        &self,
        number: AssetNumber,
        plane: Plane,
        abouts: &[About],
    ) -> Result<BTreeSet<About>, Error> {
        let reading = self.reading("find in which planes an asset lies");
        let mut found = BTreeSet::new();
        for batch in abouts.chunks(BATCH) {
            let sql = format!(
                "SELECT about, id, bitmap FROM posture WHERE shard = $1 AND plane = $2 AND id IN {}",
                crate::engine::places(3, batch.len())
            );
            let place = [i64::from(shard(number)).into(), plane.as_str().into()];
            let ids = batch.iter().map(|one| about(*one).1.into());
            for row in reading.all(&sql, place.into_iter().chain(ids)).await? {
                let id = row.number(1)?;
                let one =
                    if row.get::<String>(0)? == "tuple" { About::Tuple(id) } else { About::Subject(id) };
                if bitmap(&row.get::<Vec<u8>>(2)?)?.contains(number) {
                    found.insert(one);
                }
            }
        }
        Ok(found)
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
