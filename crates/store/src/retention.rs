//! Retention: what nobody refers to and nobody has to read any more is taken away, a bounded batch at a time.
//!
//! Whoever sweeps keeps a position in each table and goes round: a sweep costs what it reads, never the table.
//! The ledger is append-only and is not swept.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::digest::Digest;
use bartizan_core::monitoring::alert::Group;
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::posture::fold::fold;
use bartizan_core::posture::index::First;
use bartizan_core::posture::{AssetNumber, Change, SHARD_BITS};
use bartizan_core::time::{Duration, Timestamp};

use crate::Store;
use crate::engine::{Error, Transaction, bytes, ms, places};
use crate::log::Log;
use crate::posture::{MATCHES, STAGE, Transition};
use crate::report::{FIRST_PACKAGES, FIRST_VERDICTS};

/// How long signals are kept whose alert has ended.
pub const SIGNALS_KEPT: Duration = Duration::from_days(90);

/// How long each change of posture and of matches is kept by itself.
pub const CHANGES_KEPT: Duration = Duration::from_days(30);

/// How long orders are kept that ended, beside the last of each asset.
pub const ORDERS_KEPT: Duration = Duration::from_days(90);

/// The most rows that one sweep looks at or takes away.
pub const SWEEP_LIMIT: usize = 500;

/// The most assets whose transitions one sweep folds, and the most transitions of each.
const FOLDED_LIMIT: usize = 50;
const TRANSITIONS_LIMIT: usize = 1_000;

/// An asset's old transitions are folded into this many.
const FOLDED_INTO: i64 = 2;

/// The stages that read transitions: what one of them has not passed stays.
const READERS: [&str; 5] =
    [STAGE, "alert/transition", "finding/transition", "matching/transition", "order/transition"];

/// The stages that read changes of matches beside the posture's, which has a cursor for each shard.
const NEWS: [&str; 2] = ["matching/news", "finding/match"];
const SIGNALS: &str = "alert/signal";

/// How far the order stage has taken in what agents told.
const OUTCOMES: &str = "order/outcome";

/// Counts folds, so that no two rewrite the same rows.
const TURN: &str = "retention/turn";

/// What one sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept<P> {
    /// Rows that were taken away.
    pub rows: u64,
    /// Where the next sweep goes on; none where it starts from the beginning.
    pub next: Option<P>,
}

impl Store {
    /// Takes away bodies of sections that no asset refers to, from a hash on.
    pub async fn sweep_sections(&self, after: Option<Digest>) -> Result<Swept<Digest>, Error> {
        let reading = self.reading("look for sections that nobody has");
        let sql = "SELECT hash, EXISTS (SELECT 1 FROM asset_section WHERE asset_section.hash = section.hash)
                   FROM section WHERE hash > $1 ORDER BY hash LIMIT $2";
        let from: Vec<u8> = after.map(|hash| hash.as_bytes().to_vec()).unwrap_or_default();
        let rows = reading.all(sql, [from.into(), (SWEEP_LIMIT as i64).into()]).await?;
        let mut loose = Vec::new();
        for row in &rows {
            // SQLite has no truth values of its own.
            let held = row.get::<bool>(1).or_else(|_| row.get::<i64>(1).map(|held| held != 0))?;
            if !held {
                loose.push(row.digest(0)?);
            }
        }
        let next =
            if rows.len() == SWEEP_LIMIT { rows.last().map(|row| row.digest(0)).transpose()? } else { None };
        if loose.is_empty() {
            return Ok(Swept { rows: 0, next });
        }
        let tx = self.begin("sweep sections").await?;
        let among = places(1, loose.len());
        // Held first, then asked again: a report that was about to refer to one has it, or packs it anew.
        let sql = format!("SELECT hash FROM section WHERE hash IN {among} ORDER BY hash{}", tx.for_update());
        tx.all(&sql, loose.iter().map(bytes)).await?;
        let sql = format!(
            "DELETE FROM section WHERE hash IN {among}
             AND NOT EXISTS (SELECT 1 FROM asset_section WHERE asset_section.hash = section.hash)"
        );
        let rows = tx.run(&sql, loose.iter().map(bytes)).await?;
        tx.commit().await?;
        Ok(Swept { rows, next })
    }

    /// Takes away signals older than [`SIGNALS_KEPT`] whose alert has ended, from a number on.
    pub async fn sweep_signals(&self, from: Option<i64>, now: Timestamp) -> Result<Swept<i64>, Error> {
        let passed = self.cursor(SIGNALS, 0).await?;
        let reading = self.reading("look for old signals");
        let sql = "SELECT seq, at, body FROM signal WHERE seq >= $1 AND seq < $2 ORDER BY seq LIMIT $3";
        let values = [from.unwrap_or(0).into(), passed.into(), (SWEEP_LIMIT as i64).into()];
        let rows = reading.all(sql, values).await?;
        let mut old: BTreeMap<Digest, Vec<i64>> = BTreeMap::new();
        let mut next = (rows.len() == SWEEP_LIMIT).then_some(0);
        for row in &rows {
            let seq: i64 = row.get(0)?;
            if now.since(row.time(1)?) < SIGNALS_KEPT {
                // Those behind it are younger.
                next = None;
                break;
            }
            let signal: Signal = row.json(2, "a signal")?;
            old.entry(Group::of(&signal).key()).or_default().push(seq);
            next = next.map(|_| seq + 1);
        }
        let groups: Vec<&Digest> = old.keys().collect();
        let mut open = BTreeSet::new();
        if !groups.is_empty() {
            let sql = format!(
                "SELECT group_key FROM alert WHERE open = 1 AND group_key IN {}",
                places(1, groups.len())
            );
            for row in reading.all(&sql, groups.into_iter().map(bytes)).await? {
                open.insert(row.digest(0)?);
            }
        }
        let ended = old.into_iter().filter(|(group, _)| !open.contains(group)).flat_map(|(_, seqs)| seqs);
        let ended: Vec<i64> = ended.collect();
        if ended.is_empty() {
            return Ok(Swept { rows: 0, next });
        }
        let tx = self.begin("sweep signals").await?;
        let sql = format!("DELETE FROM signal WHERE seq IN {}", places(1, ended.len()));
        let rows = tx.run(&sql, ended.into_iter().map(Into::into)).await?;
        tx.commit().await?;
        Ok(Swept { rows, next })
    }

    /// Takes away sessions and sign-in links that have expired; whether there may be more is in the count.
    pub async fn sweep_sessions(&self, now: Timestamp) -> Result<u64, Error> {
        let mut rows = 0;
        for table in ["session", "sign_in_link"] {
            let sql =
                format!("SELECT token FROM {table} WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2");
            let reading = self.reading("look for sessions that have expired");
            let expired = reading.all(&sql, [ms(now), (SWEEP_LIMIT as i64).into()]).await?;
            if expired.is_empty() {
                continue;
            }
            let tokens = expired.iter().map(|row| row.digest(0)).collect::<Result<Vec<_>, _>>()?;
            let tx = self.begin("sweep sessions").await?;
            let sql = format!("DELETE FROM {table} WHERE token IN {}", places(1, tokens.len()));
            rows += tx.run(&sql, tokens.iter().map(bytes)).await?;
            tx.commit().await?;
        }
        Ok(rows)
    }

    /// Takes away changes of matches older than [`CHANGES_KEPT`] that every stage has passed.
    pub async fn sweep_match_changes(&self, now: Timestamp) -> Result<u64, Error> {
        let mut passed = i64::MAX;
        for stage in NEWS {
            passed = passed.min(self.cursor(stage, 0).await?);
        }
        for shard in self.shards(Log::Transition).await? {
            passed = passed.min(self.cursor(MATCHES, shard).await?);
        }
        let reading = self.reading("look for old changes of matches");
        let sql = "SELECT seq, at FROM match_change WHERE seq < $1 ORDER BY seq LIMIT $2";
        let rows = reading.all(sql, [passed.into(), (SWEEP_LIMIT as i64).into()]).await?;
        let mut last = None;
        for row in &rows {
            if now.since(row.time(1)?) >= CHANGES_KEPT {
                last = Some(row.get::<i64>(0)?);
            }
        }
        let Some(last) = last else { return Ok(0) };
        let tx = self.begin("sweep changes of matches").await?;
        let rows = tx.run("DELETE FROM match_change WHERE seq <= $1", [last.into()]).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Takes away what agents told of orders once the stage has taken it in, and orders that ended longer than
    /// [`ORDERS_KEPT`] ago; the last order of an asset stays, since generations count on from it.
    pub async fn sweep_orders(&self, now: Timestamp) -> Result<u64, Error> {
        let told = self.cursor(OUTCOMES, 0).await?;
        let reading = self.reading("look for old orders");
        let sql = "SELECT number, generation FROM asset_order AS held WHERE given_at < $1 AND over_at < $1
                   AND generation < (SELECT MAX(generation) FROM asset_order AS newest
                        WHERE newest.number = held.number)
                   ORDER BY given_at LIMIT $2";
        let old = reading.all(sql, [ms(now.minus(ORDERS_KEPT)), (SWEEP_LIMIT as i64).into()]).await?;
        let sql = "SELECT seq FROM order_outcome WHERE seq < $1 ORDER BY seq LIMIT $2";
        let taken = reading.all(sql, [told.into(), (SWEEP_LIMIT as i64).into()]).await?;
        if old.is_empty() && taken.is_empty() {
            return Ok(0);
        }
        let tx = self.begin("sweep orders").await?;
        let mut rows = 0;
        for row in &old {
            let key = [row.get::<i64>(0)?.into(), row.get::<i64>(1)?.into()];
            rows += tx.run("DELETE FROM asset_order WHERE number = $1 AND generation = $2", key).await?;
        }
        if let Some(last) = taken.last() {
            rows += tx.run("DELETE FROM order_outcome WHERE seq <= $1", [last.get::<i64>(0)?.into()]).await?;
        }
        tx.commit().await?;
        Ok(rows)
    }

    /// Folds the transitions of assets from a number on that are older than [`CHANGES_KEPT`] and that every
    /// stage has passed: the index can still be built from the log's beginning.
    pub async fn fold_transitions(
        &self,
        shard: u32,
        after: Option<AssetNumber>,
        now: Timestamp,
    ) -> Result<Swept<AssetNumber>, Error> {
        let turn = self.cursor(TURN, shard).await?;
        // The last that was passed stays as it is: it says as of when the figures are.
        let mut passed = i64::MAX;
        for stage in READERS {
            passed = passed.min(self.cursor(stage, shard).await? - 1);
        }
        let before = now.minus(CHANGES_KEPT);
        let first = i64::from(shard) << SHARD_BITS;
        let after = after.map_or(first - 1, i64::from);
        let reading = self.reading("look for old transitions");
        let sql = "SELECT number FROM transition WHERE number > $1 AND number < $2 AND at < $3 AND seq < $4
                   GROUP BY number HAVING COUNT(*) > $5 ORDER BY number LIMIT $6";
        let values = [
            after.into(),
            (first + (1 << SHARD_BITS)).into(),
            ms(before),
            passed.into(),
            FOLDED_INTO.into(),
            (FOLDED_LIMIT as i64).into(),
        ];
        let rows = reading.all(sql, values).await?;
        let numbers = rows.iter().map(|row| row.number(0)).collect::<Result<Vec<AssetNumber>, _>>()?;
        let mut folds = Vec::new();
        for number in &numbers {
            let mut old = self.transitions_after(*number, -1, TRANSITIONS_LIMIT).await?;
            // Only a beginning may be folded: what follows builds on it.
            let end =
                old.iter().position(|each| each.at >= before || each.seq >= passed).unwrap_or(old.len());
            old.truncate(end);
            folds.push(old);
        }
        let next = if numbers.len() == FOLDED_LIMIT { numbers.last().copied() } else { None };
        if folds.is_empty() {
            return Ok(Swept { rows: 0, next });
        }
        let tx = self.begin("fold old transitions").await?;
        tx.move_cursor(TURN, shard, turn, turn + 1).await?;
        let mut rows = 0;
        for old in &folds {
            rows += tx.fold(shard, old).await?;
        }
        tx.commit().await?;
        Ok(Swept { rows, next })
    }
}

impl Transaction {
    /// Writes an asset's transitions as two, in the places of the first and of the last.
    async fn fold(&self, shard: u32, old: &[Transition]) -> Result<u64, Error> {
        let ([first, .., last], false) = (old, old.len() <= FOLDED_INTO as usize) else { return Ok(0) };
        let each = |transition: &Transition| First {
            verdicts: transition.first_verdicts,
            packages: transition.first_packages,
        };
        let folded = fold(old.iter().map(|transition| (each(transition), transition.changes.as_slice())));
        let both = FIRST_VERDICTS | FIRST_PACKAGES;
        let mut kept = Vec::new();
        for (seq, bits, changes) in [(first.seq, both, folded.first), (last.seq, 0, folded.later)] {
            if changes.is_empty() || kept.contains(&seq) {
                continue;
            }
            let sql = "UPDATE transition SET first_sight = $1, changes = $2 WHERE shard = $3 AND seq = $4";
            let values = [bits.into(), Change::encode(&changes).into(), i64::from(shard).into(), seq.into()];
            self.run(sql, values).await?;
            kept.push(seq);
        }
        let gone: Vec<i64> = old.iter().map(|each| each.seq).filter(|seq| !kept.contains(seq)).collect();
        let mut rows = 0;
        for batch in gone.chunks(SWEEP_LIMIT) {
            let sql =
                format!("DELETE FROM transition WHERE shard = $1 AND seq IN {}", places(2, batch.len()));
            let values = [i64::from(shard).into()].into_iter().chain(batch.iter().map(|seq| (*seq).into()));
            rows += self.run(&sql, values).await?;
        }
        Ok(rows)
    }
}
