//! Orders, as the order stage keeps them, and the log of what agents told of theirs.
//!
//! The intake appends to the log in the transaction that commits the report; the stage alone writes
//! orders, and reads the log past its cursor.

use std::collections::BTreeMap;

use bartizan_core::configuration::enforcement::AGAIN_AFTER;
use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::order::{End, Ending, Order, Outcome};
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::Body;

use crate::Store;
use crate::engine::{Error, Row, Transaction, bytes, json, ms, places};
use crate::log::Log;
use crate::report::signed;
use crate::tuple::BATCH;

/// The most orders that one page holds, and the most outcomes that one look reads.
pub const PAGE_LIMIT: usize = 500;

const COLUMNS: &str = "number, given_at, over_at, ending, signature, body";

/// An order as it was given, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub number: AssetNumber,
    pub order: Order,
    /// Ed25519, in hexadecimal.
    pub signature: String,
    pub given_at: Timestamp,
    pub end: Option<(Timestamp, End)>,
}

/// What an agent told of an order, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub seq: i64,
    pub number: AssetNumber,
    pub recorded_at: Timestamp,
    pub outcome: Outcome,
}

/// What one look of the order stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursors it moves: stage, shard, from, to.
    pub cursors: Vec<(&'static str, u32, i64, i64)>,
    /// Orders that come to their end, and how.
    pub ended: Vec<(Given, End)>,
    pub given: Vec<Given>,
    pub signals: Vec<(AssetNumber, Signal)>,
}

fn read(row: &Row) -> Result<Given, Error> {
    let (over, ending): (Option<i64>, Option<String>) = (row.get(2)?, row.get(3)?);
    let end = |text: String| serde_json::from_str(&text).map_err(|error| Error::corrupt("an end", error));
    Ok(Given {
        number: row.number(0)?,
        given_at: row.time(1)?,
        end: over.map(Timestamp::from_millis).zip(ending.map(end).transpose()?),
        signature: row.get(4)?,
        order: row.json(5, "an order")?,
    })
}

impl Transaction {
    /// Appends what agents told of orders to their log.
    pub(crate) async fn append_outcomes(
        &self,
        outcomes: &[(AssetNumber, Timestamp, &Outcome)],
    ) -> Result<(), Error> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let first = self.take_numbers(Log::OrderOutcome, 0, outcomes.len()).await?;
        let row = |(seq, (number, at, outcome)): (i64, &(AssetNumber, Timestamp, &Outcome))| {
            Ok(vec![
                seq.into(),
                i64::from(*number).into(),
                signed(outcome.generation)?.into(),
                bytes(&outcome.digest),
                ms(*at),
                json(outcome, "an order's outcome")?,
            ])
        };
        let rows: Vec<_> = (first..).zip(outcomes).map(row).collect::<Result<_, Error>>()?;
        let into = "order_outcome (seq, number, generation, digest, recorded_at, body)";
        self.insert(into, &rows, "").await.map(drop)
    }

    async fn end_order(&self, given: &Given, end: &End, now: Timestamp) -> Result<(), Error> {
        let Order { asset, generation, .. } = given.order;
        let sql = "UPDATE asset_order SET over_at = $3, ending = $4
                   WHERE number = $1 AND generation = $2 AND COALESCE(over_at, -1) = $5";
        let key = [i64::from(given.number).into(), signed(generation)?.into()];
        // As it was when it was judged: what another replica wrote meanwhile stays.
        let was = given.end.as_ref().map_or(-1, |(at, _)| at.as_millis());
        let values = key.into_iter().chain([ms(now), json(end, "an end")?, was.into()]);
        if self.run(sql, values).await? == 0 {
            return Err(Error::Conflict(format!("the order {generation} of {asset} ended meanwhile")));
        }
        let digest = given.digest()?;
        let body = serde_json::json!({
            "asset": asset, "generation": generation, "digest": digest, "end": end,
        });
        let body = body.to_string();
        self.stage("order", "order_end", now, &Body::Open(body)).await
    }

    async fn give_order(&self, given: &Given) -> Result<(), Error> {
        let digest = given.digest()?;
        self.run(
            "INSERT INTO asset_order (number, generation, digest, given_at, signature, body)
             VALUES ($1, $2, $3, $4, $5, $6)",
            [
                i64::from(given.number).into(),
                signed(given.order.generation)?.into(),
                bytes(&digest),
                ms(given.given_at),
                given.signature.clone().into(),
                json(&given.order, "an order")?,
            ],
        )
        .await?;
        let body = serde_json::json!({"order": given.order, "digest": digest}).to_string();
        self.stage("order", "order", given.given_at, &Body::Open(body)).await
    }
}

impl Store {
    /// Writes what the order stage came to.
    pub async fn commit_orders(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep orders").await?;
        for (stage, shard, from, to) in &batch.cursors {
            tx.move_cursor(stage, *shard, *from, *to).await?;
        }
        for (given, end) in &batch.ended {
            tx.end_order(given, end, now).await?;
        }
        for given in &batch.given {
            tx.give_order(given).await?;
        }
        let signals: Vec<_> = batch.signals.iter().map(|(number, signal)| (*number, signal)).collect();
        tx.append_signals(&signals).await?;
        if !batch.ended.is_empty() || !batch.given.is_empty() {
            // Every replica sees by this head that orders changed.
            tx.take_numbers(Log::Order, 0, 1).await?;
        }
        tx.commit().await
    }

    /// What agents told of orders, from a number on, in its order; at most [`PAGE_LIMIT`].
    pub async fn order_outcomes(&self, from: i64) -> Result<Vec<Told>, Error> {
        let reading = self.reading("read what became of orders");
        let sql = format!(
            "SELECT seq, number, recorded_at, body FROM order_outcome WHERE seq >= $1
             ORDER BY seq LIMIT {PAGE_LIMIT}"
        );
        let read = |row: &Row| {
            Ok(Told {
                seq: row.get(0)?,
                number: row.number(1)?,
                recorded_at: row.time(2)?,
                outcome: row.json(3, "an order's outcome")?,
            })
        };
        reading.all(&sql, [from.into()]).await?.iter().map(read).collect()
    }

    /// The orders that wait for their outcome: by asset, the generation.
    pub async fn open_orders(&self) -> Result<BTreeMap<AssetNumber, u64>, Error> {
        let reading = self.reading("read which orders are open");
        let sql = "SELECT number, generation FROM asset_order WHERE over_at IS NULL ORDER BY generation";
        let rows = reading.all(sql, []).await?;
        rows.iter().map(|row| Ok((row.number(0)?, row.number(1)?))).collect()
    }

    /// One order of an asset.
    pub async fn order(&self, number: AssetNumber, generation: u64) -> Result<Option<Given>, Error> {
        let reading = self.reading("read an order");
        let sql = format!("SELECT {COLUMNS} FROM asset_order WHERE number = $1 AND generation = $2");
        let row = reading.one(&sql, [i64::from(number).into(), signed(generation)?.into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// The orders of these assets that are open, are the last, or ended after a time.
    pub async fn orders_since(
        &self,
        numbers: &[AssetNumber],
        since: Timestamp,
    ) -> Result<BTreeMap<AssetNumber, Vec<Given>>, Error> {
        let reading = self.reading("read orders");
        let mut found: BTreeMap<AssetNumber, Vec<Given>> = BTreeMap::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!(
                "SELECT {COLUMNS} FROM asset_order AS held WHERE number IN {}
                 AND (over_at IS NULL OR over_at > $1 OR generation = (SELECT MAX(generation)
                    FROM asset_order AS newest WHERE newest.number = held.number))
                 ORDER BY number, generation",
                places(2, batch.len())
            );
            let numbers = batch.iter().map(|number| i64::from(*number).into());
            for row in reading.all(&sql, std::iter::once(ms(since)).chain(numbers)).await? {
                let given = read(&row)?;
                found.entry(given.number).or_default().push(given);
            }
        }
        Ok(found)
    }

    /// Orders, the newest first; of one asset where it is named. At most [`PAGE_LIMIT`].
    pub async fn orders(&self, of: Option<AssetNumber>, limit: usize) -> Result<Vec<Given>, Error> {
        let reading = self.reading("list orders");
        let limit = (limit.min(PAGE_LIMIT) as i64).into();
        let rows = match of {
            Some(number) => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM asset_order WHERE number = $1 ORDER BY generation DESC LIMIT $2"
                );
                reading.all(&sql, [i64::from(number).into(), limit]).await?
            }
            None => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM asset_order
                     ORDER BY given_at DESC, number, generation DESC LIMIT $1"
                );
                reading.all(&sql, [limit]).await?
            }
        };
        rows.iter().map(read).collect()
    }
}

impl Batch {
    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.cursors.is_empty() && self.ended.is_empty() && self.given.is_empty() && self.signals.is_empty()
    }
}

impl Given {
    /// Whether the agent may still tell of it.
    pub const fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Whether it says something of what was tried lately.
    pub fn is_recent(&self, now: Timestamp) -> bool {
        self.end.as_ref().is_some_and(|(at, _)| now.since(*at) < AGAIN_AFTER)
    }

    /// The digest that the agent names it by.
    pub fn digest(&self) -> Result<Digest, Error> {
        self.order.digest().map_err(|error| Error::corrupt("an order", error))
    }

    /// How its agent said that it ended; nothing where the agent said nothing.
    pub fn told(&self) -> Option<&Ending> {
        match &self.end {
            Some((_, End::Told(ending))) => Some(ending),
            _ => None,
        }
    }
}
