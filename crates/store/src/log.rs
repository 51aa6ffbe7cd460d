//! Logs and cursors: how stages read, each row once, without missing one.
//!
//! A log's rows are numbered from its head row, updated last before the commit: whoever
//! numbers rows waits for the one before to commit, so that the order of numbers is the order
//! of commits. A stage's cursor moves by compare-and-set, in the transaction of its output.

use crate::Store;
use crate::engine::{Error, Transaction};

/// The logs that stages read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Changes of posture; sharded.
    Transition,
    /// What was learned of builds.
    Match,
    Signal,
    Decision,
    /// That orders were given, or came to their end.
    Order,
    /// What agents told of orders.
    OrderOutcome,
    /// Numbers of assets, subjects and tuples, which are given in order of commit, too.
    Asset,
    Subject,
    Tuple,
    Ledger,
    /// Assets whose life changed.
    Life,
}

impl Log {
    /// Its word in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Log::Transition => "transition",
            Log::Match => "match",
            Log::Signal => "signal",
            Log::Decision => "decision",
            Log::Order => "order",
            Log::OrderOutcome => "order_outcome",
            Log::Asset => "asset",
            Log::Subject => "subject",
            Log::Tuple => "tuple",
            Log::Ledger => "ledger",
            Log::Life => "life",
        }
    }
}

impl Transaction {
    /// Takes `count` numbers from a log; gives the first. Numbers start at 0.
    pub(crate) async fn take_numbers(&self, log: Log, shard: u32, count: usize) -> Result<i64, Error> {
        let count = i64::try_from(count).map_err(|error| Error::corrupt("a count", error))?;
        let row = self
            .one(
                "INSERT INTO log_head (log, shard, next) VALUES ($1, $2, $3)
                 ON CONFLICT (log, shard) DO UPDATE SET next = log_head.next + excluded.next RETURNING next",
                [log.as_str().into(), i64::from(shard).into(), count.into()],
            )
            .await?;
        let row = row.ok_or_else(|| Error::corrupt("a log's head", "it gave no number"))?;
        Ok(row.get::<i64>(0)? - count)
    }

    /// Moves a stage's cursor; a conflict where another replica moved it first.
    pub(crate) async fn move_cursor(&self, stage: &str, shard: u32, from: i64, to: i64) -> Result<(), Error> {
        if from == to {
            return Ok(());
        }
        let moved = self
            .run(
                "INSERT INTO stage_cursor (stage, shard, position) VALUES ($1, $2, $4)
                 ON CONFLICT (stage, shard) DO UPDATE SET position = excluded.position
                 WHERE stage_cursor.position = $3",
                [stage.into(), i64::from(shard).into(), from.into(), to.into()],
            )
            .await?;
        if moved == 1 {
            Ok(())
        } else {
            Err(Error::Conflict(format!("another replica has moved the cursor of {stage}")))
        }
    }
}

impl Store {
    /// Where a stage stands in its log: the number of the next row that it reads.
    pub async fn cursor(&self, stage: &str, shard: u32) -> Result<i64, Error> {
        let reading = self.reading("read a cursor");
        let row = reading
            .one(
                "SELECT position FROM stage_cursor WHERE stage = $1 AND shard = $2",
                [stage.into(), i64::from(shard).into()],
            )
            .await?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    /// The number that a log's next row gets.
    pub async fn head(&self, log: Log, shard: u32) -> Result<i64, Error> {
        let reading = self.reading("read a log's head");
        let row = reading
            .one(
                "SELECT next FROM log_head WHERE log = $1 AND shard = $2",
                [log.as_str().into(), i64::from(shard).into()],
            )
            .await?;
        row.map_or(Ok(0), |row| row.get(0))
    }

    /// The shards that a log has rows in.
    pub async fn shards(&self, log: Log) -> Result<Vec<u32>, Error> {
        let reading = self.reading("read a log's shards");
        let sql = "SELECT shard FROM log_head WHERE log = $1 ORDER BY shard";
        reading.all(sql, [log.as_str().into()]).await?.iter().map(|row| row.number(0)).collect()
    }
}
