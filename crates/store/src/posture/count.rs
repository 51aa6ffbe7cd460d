//! The figures that pages show, as the posture stage keeps them.

use std::collections::BTreeMap;

use bartizan_core::asset::Life;
use bartizan_core::posture::SubjectNumber;
use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::affected::Release;

use super::{MATCHES, STAGE};
use crate::Store;
use crate::engine::Error;
use crate::log::Log;
use crate::matching::TUPLES;

/// On how many assets a subject stands how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    pub assigned: u64,
    pub met: u64,
    pub not_met: u64,
    pub unknown: u64,
}

/// How far the figures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// When the newest report that they hold was recorded; none before the first.
    pub at: Option<Timestamp>,
    /// How many reports that changed something wait.
    pub waiting: u64,
    /// How many builds no feed was asked about yet.
    pub builds: u64,
    /// How many changes of what feeds say of builds wait.
    pub matches: u64,
}

/// How many assets stand where in their life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetCounts {
    pub watched: u64,
    pub retired: u64,
    /// Those that wait for a person to let them in: they are not watched yet.
    pub quarantined: u64,
}

impl Store {
    /// On how many assets each subject stands how.
    pub async fn standings(&self) -> Result<BTreeMap<SubjectNumber, Standings>, Error> {
        let reading = self.reading("count the posture");
        let sql = "SELECT subject, assigned, met, not_met, unknown FROM subject_count";
        let read = |row: &crate::engine::Row| {
            let standings = Standings {
                assigned: row.number(1)?,
                met: row.number(2)?,
                not_met: row.number(3)?,
                unknown: row.number(4)?,
            };
            Ok((row.number(0)?, standings))
        };
        reading.all(sql, []).await?.iter().map(read).collect()
    }

    /// How many assets have builds of each release.
    pub async fn releases(&self) -> Result<BTreeMap<Release, u64>, Error> {
        let reading = self.reading("count who runs which release");
        let sql = "SELECT ecosystem, release, assets FROM release_count";
        let mut found = BTreeMap::new();
        for row in reading.all(sql, []).await? {
            let release = Release { ecosystem: row.get(0)?, release: row.get(1)? };
            *found.entry(release).or_default() += row.number::<u64>(2)?;
        }
        Ok(found)
    }

    /// How far the figures are.
    pub async fn as_of(&self) -> Result<AsOf, Error> {
        let mut as_of = AsOf::default();
        for shard in self.shards(Log::Transition).await? {
            let (cursor, head) = (self.cursor(STAGE, shard).await?, self.head(Log::Transition, shard).await?);
            as_of.waiting += u64::try_from(head - cursor).unwrap_or(0);
            let sql = "SELECT at FROM transition WHERE shard = $1 AND seq = $2";
            let reading = self.reading("read how far the posture is");
            let row = reading.one(sql, [i64::from(shard).into(), (cursor - 1).into()]).await?;
            as_of.at = as_of.at.max(row.map(|row| row.time(0)).transpose()?);
        }
        let said = self.head(Log::Match, 0).await?;
        for shard in self.shards(Log::Transition).await? {
            let behind = u64::try_from(said - self.cursor(MATCHES, shard).await?).unwrap_or(0);
            as_of.matches = as_of.matches.max(behind);
        }
        let matched = self.cursor(TUPLES, 0).await?;
        as_of.builds = u64::try_from(self.head(Log::Tuple, 0).await? - matched).unwrap_or(0);
        Ok(as_of)
    }

    /// How many assets stand where in their life.
    pub async fn asset_counts(&self) -> Result<AssetCounts, Error> {
        let reading = self.reading("count the assets");
        let sql = "SELECT life, COUNT(*) FROM asset WHERE life IN ('retired', 'quarantined') GROUP BY life";
        let mut counts = AssetCounts::default();
        for row in reading.all(sql, []).await? {
            match row.parse(0, "an asset's life")? {
                Life::Retired => counts.retired = row.number(1)?,
                _ => counts.quarantined = row.number(1)?,
            }
        }
        let all = u64::try_from(self.head(Log::Asset, 0).await?).unwrap_or(0);
        counts.watched = all.saturating_sub(counts.retired + counts.quarantined);
        Ok(counts)
    }
}
