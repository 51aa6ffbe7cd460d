//! Tuples: each build of a binary package once, numbered, and what the feeds say of it.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::posture::TupleNumber;
use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::matching::{Match, Tuple};

use crate::Store;
use crate::engine::{Error, Row, Transaction, bytes, json, ms, places};
use crate::log::Log;

/// How many values one statement takes: both engines allow many more.
const BATCH: usize = 500;

/// A match as it is kept: since when it has been known.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub tuple: TupleNumber,
    pub known_at: Timestamp,
    pub found: Match,
}

fn digest(tuple: &Tuple) -> Result<Digest, Error> {
    let value = Value::from_data(tuple).map_err(|error| Error::corrupt("a tuple", error))?;
    Ok(Digest::derived("tuple", [value]))
}

impl Transaction {
    /// The numbers of tuples, in their order; those that are new are numbered.
    pub(crate) async fn number_tuples(&self, tuples: &[Tuple]) -> Result<Vec<TupleNumber>, Error> {
        let digests: Vec<Digest> = tuples.iter().map(digest).collect::<Result<_, _>>()?;
        let mut known: BTreeMap<Digest, TupleNumber> = BTreeMap::new();
        for batch in digests.chunks(BATCH) {
            let sql = format!("SELECT digest, id FROM tuple WHERE digest IN {}", places(1, batch.len()));
            for row in self.all(&sql, batch.iter().map(bytes)).await? {
                known.insert(row.digest(0)?, row.number(1)?);
            }
        }
        let mut fresh: BTreeMap<Digest, &Tuple> = BTreeMap::new();
        for (digest, tuple) in digests.iter().zip(tuples) {
            if !known.contains_key(digest) {
                fresh.insert(*digest, tuple);
            }
        }
        if !fresh.is_empty() {
            let mut next = self.take_numbers(Log::Tuple, 0, fresh.len()).await?;
            for (digest, tuple) in fresh {
                self.run(
                    "INSERT INTO tuple (id, digest, ecosystem, source, body) VALUES ($1, $2, $3, $4, $5)",
                    [
                        next.into(),
                        bytes(&digest),
                        tuple.ecosystem.clone().into(),
                        tuple.source.clone().into(),
                        json(tuple, "a tuple")?,
                    ],
                )
                .await?;
                let number =
                    u32::try_from(next).map_err(|error| Error::corrupt("a tuple's number", error))?;
                known.insert(digest, number);
                next += 1;
            }
        }
        let number =
            |digest| known.get(digest).copied().ok_or_else(|| Error::corrupt("a tuple", "no number"));
        digests.iter().map(number).collect()
    }
}

impl Store {
    /// Tuples by their numbers; those that don't exist are left out.
    pub async fn tuples(&self, numbers: &[TupleNumber]) -> Result<BTreeMap<TupleNumber, Tuple>, Error> {
        let reading = self.reading("read tuples");
        let mut found = BTreeMap::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!("SELECT id, body FROM tuple WHERE id IN {}", places(1, batch.len()));
            for row in reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await? {
                found.insert(row.number(0)?, row.json(1, "a tuple")?);
            }
        }
        Ok(found)
    }

    /// Tuples that were not matched against the feeds at this digest yet, at most `limit`.
    pub async fn tuples_to_match(
        &self,
        feeds: &Digest,
        limit: usize,
    ) -> Result<Vec<(TupleNumber, Tuple)>, Error> {
        let reading = self.reading("find tuples to match");
        let sql = "SELECT tuple.id, tuple.body FROM tuple
                   LEFT JOIN tuple_matched ON tuple_matched.tuple = tuple.id
                   WHERE tuple_matched.tuple IS NULL OR tuple_matched.feeds <> $1
                   ORDER BY tuple.id LIMIT $2";
        let rows = reading.all(sql, [bytes(feeds), (limit as i64).into()]).await?;
        rows.iter().map(|row| Ok((row.number(0)?, row.json(1, "a tuple")?))).collect()
    }

    /// Which of these tuples were matched before, by whatever feeds.
    pub async fn tuples_matched(&self, numbers: &[TupleNumber]) -> Result<BTreeSet<TupleNumber>, Error> {
        let reading = self.reading("read which tuples were matched");
        let mut found = BTreeSet::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!("SELECT tuple FROM tuple_matched WHERE tuple IN {}", places(1, batch.len()));
            for row in reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await? {
                found.insert(row.number(0)?);
            }
        }
        Ok(found)
    }

    /// What is known of tuples: their matches.
    pub async fn matches(&self, numbers: &[TupleNumber]) -> Result<Vec<Known>, Error> {
        let reading = self.reading("read matches");
        let mut found = Vec::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!(
                "SELECT tuple, known_at, body FROM vulnerability_match WHERE tuple IN {}
                 ORDER BY tuple, vulnerability",
                places(1, batch.len())
            );
            let rows = reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await?;
            for row in &rows {
                found.push(known(row)?);
            }
        }
        Ok(found)
    }

    /// The matches of one vulnerability, over all tuples.
    pub async fn matches_of(&self, vulnerability: &str) -> Result<Vec<Known>, Error> {
        let reading = self.reading("read the matches of a vulnerability");
        let sql =
            "SELECT tuple, known_at, body FROM vulnerability_match WHERE vulnerability = $1 ORDER BY tuple";
        reading.all(sql, [vulnerability.into()]).await?.iter().map(known).collect()
    }

    /// Every build that a vulnerability affects, by vulnerability; at most `limit` pairs.
    pub async fn affected(&self, limit: usize) -> Result<Vec<(String, Known)>, Error> {
        let reading = self.reading("read what is affected");
        let sql = "SELECT tuple, known_at, body, vulnerability FROM vulnerability_match
                   WHERE verdict = 'affected' ORDER BY vulnerability, tuple LIMIT $1";
        let rows = reading.all(sql, [(limit as i64).into()]).await?;
        rows.iter().map(|row| Ok((row.get(3)?, known(row)?))).collect()
    }

    /// Replaces what is known of tuples after they were matched against the feeds at this
    /// digest. A pair that was known keeps its first time.
    pub async fn put_matches(
        &self,
        matched: &[(TupleNumber, Vec<Match>)],
        feeds: &Digest,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("keep matches").await?;
        for (tuple, matches) in matched {
            let tuple = i64::from(*tuple);
            let held = tx
                .all("SELECT vulnerability, body FROM vulnerability_match WHERE tuple = $1", [tuple.into()])
                .await?;
            let mut held: BTreeMap<String, String> =
                held.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, Error>>()?;
            for found in matches {
                let body = serde_json::to_string(found).map_err(|error| Error::corrupt("a match", error))?;
                if held.remove(&found.vulnerability).is_some_and(|held| held == body) {
                    continue;
                }
                tx.run(
                    "INSERT INTO vulnerability_match (tuple, vulnerability, verdict, known_at, body)
                     VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (tuple, vulnerability) DO UPDATE
                     SET verdict = excluded.verdict, body = excluded.body",
                    [
                        tuple.into(),
                        found.vulnerability.clone().into(),
                        found.verdict.as_str().into(),
                        ms(now),
                        body.into(),
                    ],
                )
                .await?;
            }
            for vulnerability in held.into_keys() {
                let sql = "DELETE FROM vulnerability_match WHERE tuple = $1 AND vulnerability = $2";
                tx.run(sql, [tuple.into(), vulnerability.into()]).await?;
            }
            tx.run(
                "INSERT INTO tuple_matched (tuple, feeds, at) VALUES ($1, $2, $3)
                 ON CONFLICT (tuple) DO UPDATE SET feeds = excluded.feeds, at = excluded.at",
                [tuple.into(), bytes(feeds), ms(now)],
            )
            .await?;
        }
        tx.commit().await
    }
}

fn known(row: &Row) -> Result<Known, Error> {
    Ok(Known { tuple: row.number(0)?, known_at: row.time(1)?, found: row.json(2, "a match")? })
}
