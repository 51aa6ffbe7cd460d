//! Tuples: each build of a binary package once, numbered.

use std::collections::{BTreeMap, HashMap, HashSet};

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::posture::TupleNumber;
use bartizan_core::vulnerability::affected::Release;
use bartizan_core::vulnerability::matching::Tuple;
use sea_orm::ConnectionTrait;

use crate::Store;
use crate::engine::{Error, Reading, Row, Transaction, bytes, json, places};
use crate::log::Log;
use crate::numbers::{Numbered, Remembered};

/// How many values one statement takes: both engines allow many more.
pub(crate) const BATCH: usize = 500;

/// A package of one release, by its source or its binary name: what a feed's record names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub ecosystem: String,
    pub release: String,
    pub name: String,
}

/// A build as a report tells of it, with the digest that it is kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    pub tuple: Tuple,
    pub(crate) digest: Digest,
}

impl Build {
    /// A build and its digest, which takes a while for a whole host: not a transaction's work.
    pub fn of(tuple: Tuple) -> Result<Build, Error> {
        let value = Value::from_data(&tuple).map_err(|error| Error::corrupt("a tuple", error))?;
        Ok(Build { digest: Digest::derived("tuple", [value]), tuple })
    }
}

impl Transaction {
    /// The numbers of builds, by their digests; those that are new are numbered.
    pub(crate) async fn number_tuples(
        &self,
        known: &Remembered<Digest>,
        builds: &[&Build],
    ) -> Result<Numbered<Digest>, Error> {
        let by_digest: HashMap<&Digest, &Tuple> =
            builds.iter().map(|build| (&build.digest, &build.tuple)).collect();
        let (mut by_key, mut missing) = known.look_up(by_digest.keys().copied());
        missing.sort_unstable();
        let mut fresh: Vec<(Digest, TupleNumber)> = Vec::with_capacity(missing.len());
        for batch in missing.chunks(BATCH) {
            let sql = format!("SELECT digest, id FROM tuple WHERE digest IN {}", places(1, batch.len()));
            for row in self.all(&sql, batch.iter().map(|digest| bytes(digest))).await? {
                fresh.push((row.digest(0)?, row.number(1)?));
            }
        }
        let read: HashSet<Digest> = fresh.iter().map(|(digest, _)| *digest).collect();
        missing.retain(|digest| !read.contains(*digest));
        if !missing.is_empty() {
            let first = self.take_numbers(Log::Tuple, 0, missing.len()).await?;
            let mut rows = Vec::with_capacity(missing.len());
            for (next, digest) in (first..).zip(missing) {
                let Some(tuple) = by_digest.get(digest) else { continue };
                rows.push(vec![
                    next.into(),
                    bytes(digest),
                    tuple.ecosystem.clone().into(),
                    tuple.release.clone().into(),
                    tuple.source.clone().into(),
                    tuple.package.clone().into(),
                    json(tuple, "a tuple")?,
                ]);
                let number =
                    u32::try_from(next).map_err(|error| Error::corrupt("a tuple's number", error))?;
                fresh.push((*digest, number));
            }
            self.insert("tuple (id, digest, ecosystem, release, source, package, body)", &rows, "").await?;
        }
        by_key.extend(fresh.iter().copied());
        Ok(Numbered { by_key, fresh })
    }
}

/// Tuples by their numbers, as a store or one of its transactions sees them.
pub(crate) async fn by_number<C: ConnectionTrait>(
    reading: Reading<'_, C>,
    numbers: &[TupleNumber],
) -> Result<BTreeMap<TupleNumber, Tuple>, Error> {
    let mut found = BTreeMap::new();
    for batch in numbers.chunks(BATCH) {
        let sql = format!("SELECT id, body FROM tuple WHERE id IN {}", places(1, batch.len()));
        for row in reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await? {
            found.insert(row.number(0)?, row.json(1, "a tuple")?);
        }
    }
    Ok(found)
}

impl Store {
    /// Tuples by their numbers; those that don't exist are left out.
    pub async fn tuples(&self, numbers: &[TupleNumber]) -> Result<BTreeMap<TupleNumber, Tuple>, Error> {
        by_number(self.reading("read tuples"), numbers).await
    }

    /// Tuples from a number on, in their order.
    pub async fn tuples_from(&self, from: i64, limit: usize) -> Result<Vec<(TupleNumber, Tuple)>, Error> {
        let reading = self.reading("read tuples");
        let sql = "SELECT id, body FROM tuple WHERE id >= $1 ORDER BY id LIMIT $2";
        let rows = reading.all(sql, [from.into(), (limit as i64).into()]).await?;
        rows.iter().map(numbered).collect()
    }

    /// The tuples that records about a package speak of.
    pub async fn tuples_of(&self, package: &Package) -> Result<Vec<(TupleNumber, Tuple)>, Error> {
        let reading = self.reading("find a package's tuples");
        let sql = "SELECT id, body FROM tuple
                   WHERE ecosystem = $1 AND release = $2 AND (source = $3 OR package = $3) ORDER BY id";
        let values = [&package.ecosystem, &package.release, &package.name];
        let rows = reading.all(sql, values.map(|text| text.clone().into())).await?;
        rows.iter().map(numbered).collect()
    }

    /// The releases that tuples were built for.
    pub(crate) async fn releases_of(
        &self,
        numbers: &[TupleNumber],
    ) -> Result<BTreeMap<TupleNumber, Release>, Error> {
        let reading = self.reading("read the releases of tuples");
        let mut found = BTreeMap::new();
        for batch in numbers.chunks(BATCH) {
            let sql =
                format!("SELECT id, ecosystem, release FROM tuple WHERE id IN {}", places(1, batch.len()));
            for row in reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await? {
                found.insert(row.number(0)?, Release { ecosystem: row.get(1)?, release: row.get(2)? });
            }
        }
        Ok(found)
    }
}

fn numbered(row: &Row) -> Result<(TupleNumber, Tuple), Error> {
    Ok((row.number(0)?, row.json(1, "a tuple")?))
}
