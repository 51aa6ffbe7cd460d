//! The ledger's rows: what waits for its number, the leaves, the tree, the signed heads.
//!
//! A business transaction stages an entry under its source's next counter. One stage alone
//! numbers what is staged, in the order of the counters, and keeps the signed head with it.

use std::collections::BTreeMap;

use bartizan_core::digest::Digest;
use bartizan_core::time::Timestamp;
use bartizan_ledger::bundle::Entry;
use bartizan_ledger::entry::{BODY_BYTES_LIMIT, Body, Envelope, Salt};
use bartizan_ledger::tree::{Frontier, Node, append};

use crate::Store;
use crate::engine::{Error, Row, Transaction, bytes, ms};
use crate::log::Log;

/// The most entries that get their number in one transaction.
pub const BATCH_LIMIT: usize = 1_000;

/// A signed head as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    pub at: Timestamp,
    /// The signed note.
    pub note: String,
}

impl Transaction {
    /// Stages an entry for the ledger, under its source's next counter.
    pub(crate) async fn stage(
        &self,
        source: &str,
        kind: &str,
        at: Timestamp,
        body: &Body,
    ) -> Result<(), Error> {
        self.stage_all(source, &[(kind, at, body)]).await
    }

    /// Stages entries (kind, time, body) for the ledger, under their source's next counters.
    pub(crate) async fn stage_all(
        &self,
        source: &str,
        entries: &[(&str, Timestamp, &Body)],
    ) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        if let Some(found) =
            entries.iter().map(|(.., body)| body.text().len()).find(|found| *found > BODY_BYTES_LIMIT)
        {
            return Err(Error::Limit {
                what: "the bytes of a ledger entry are",
                found,
                limit: BODY_BYTES_LIMIT,
            });
        }
        let count = crate::report::signed(entries.len() as u64)?;
        let row = self
            .one(
                "INSERT INTO ledger_source (source, last) VALUES ($1, $2)
                 ON CONFLICT (source) DO UPDATE SET last = ledger_source.last + excluded.last RETURNING last",
                [source.into(), count.into()],
            )
            .await?;
        let last: i64 = row.ok_or_else(|| Error::corrupt("a ledger source", "no counter"))?.get(0)?;
        let row = |(counter, (kind, at, body)): (i64, &(&str, Timestamp, &Body))| {
            let salt = match body {
                Body::Open(_) => None,
                Body::Salted { salt, .. } => Some(salt.to_vec()),
            };
            vec![source.into(), counter.into(), (*kind).into(), ms(*at), body.text().into(), salt.into()]
        };
        let rows: Vec<_> = (last - count + 1..).zip(entries).map(row).collect();
        self.insert("ledger_staged (source, counter, kind, at, body, salt)", &rows, "").await.map(drop)
    }
}

impl Transaction {
    /// The right edge of the tree as it is stored.
    async fn frontier(&self, size: i64) -> Result<Frontier, Error> {
        let size = u64::try_from(size).map_err(|error| Error::corrupt("the ledger's size", error))?;
        let mut wanted = Vec::new();
        // A first pass asks for the nodes, a second gets them: the tree knows which they are.
        let _ = Frontier::resume(size, |node| {
            wanted.push(node);
            Some(bartizan_ledger::tree::empty_root())
        });
        let mut found = BTreeMap::new();
        for node in wanted {
            let sql = "SELECT hash FROM ledger_node WHERE level = $1 AND place = $2";
            let values = [i64::from(node.level).into(), crate::report::signed(node.index)?.into()];
            if let Some(row) = self.one(sql, values).await? {
                found.insert(node, row.digest(0)?);
            }
        }
        Frontier::resume(size, |node| found.get(&node).copied())
            .map_err(|error| Error::corrupt("the ledger's tree", error))
    }
}

fn body(text: Option<String>, salt: Option<Vec<u8>>) -> Result<Option<Body>, Error> {
    let salt = salt.map(Salt::try_from).transpose();
    let salt = salt.map_err(|bytes| Error::corrupt("a salt", bytes.len()))?;
    Ok(text.map(|text| match salt {
        Some(salt) => Body::Salted { text, salt },
        None => Body::Open(text),
    }))
}

fn entry(row: &Row) -> Result<(u64, Entry), Error> {
    let envelope: String = row.get(1)?;
    let envelope = Envelope::parse(&envelope).map_err(|error| Error::corrupt("a leaf", error))?;
    Ok((row.number(0)?, Entry { envelope, body: body(row.get(2)?, row.get(3)?)? }))
}

fn staged(row: &Row) -> Result<(Envelope, Body), Error> {
    let body = body(row.get(4)?, row.get(5)?)?.ok_or_else(|| Error::corrupt("an entry", "no body"))?;
    let envelope = Envelope {
        source: row.get(0)?,
        counter: row.number(1)?,
        kind: row.get(2)?,
        at: row.time(3)?,
        seal: body.seal(),
    };
    Ok((envelope, body))
}

/// By time, but within a source by counter, whatever its entries' times say.
fn in_order(staged: Vec<(Envelope, Body)>) -> Vec<(Envelope, Body)> {
    let mut latest: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut keyed: Vec<(Timestamp, (Envelope, Body))> = Vec::with_capacity(staged.len());
    for (envelope, body) in staged {
        let time = latest.entry(envelope.source.clone()).or_insert(envelope.at);
        *time = envelope.at.max(*time);
        keyed.push((*time, (envelope, body)));
    }
    keyed.sort_by(|(a, (x, _)), (b, (y, _))| (a, &x.source, x.counter).cmp(&(b, &y.source, y.counter)));
    keyed.into_iter().map(|(_, staged)| staged).collect()
}

impl Store {
    /// Stages an entry that belongs to no other transaction.
    pub async fn stage(&self, source: &str, kind: &str, at: Timestamp, body: &Body) -> Result<(), Error> {
        let tx = self.begin("stage a ledger entry").await?;
        tx.stage(source, kind, at, body).await?;
        tx.commit().await
    }

    /// Numbers what is staged, at most [`BATCH_LIMIT`] entries, and keeps the head that `sign`
    /// makes over the new size and root. Gives how many got their number.
    pub async fn number_leaves(
        &self,
        now: Timestamp,
        sign: impl FnOnce(u64, Digest) -> Result<String, String>,
    ) -> Result<usize, Error> {
        let size = self.head(Log::Ledger, 0).await?;
        let tx = self.begin("number ledger entries").await?;
        // By source and counter: what is read of each source is a beginning of what waits, without a gap.
        let sql = format!(
            "SELECT source, counter, kind, at, body, salt FROM ledger_staged
             ORDER BY source, counter LIMIT {BATCH_LIMIT}"
        );
        let staged = tx.all(&sql, []).await?.iter().map(staged).collect::<Result<Vec<_>, _>>()?;
        if staged.is_empty() {
            return Ok(0);
        }
        let staged = in_order(staged);
        let mut frontier = tx.frontier(size).await?;
        let first = frontier.size();
        let (mut hashes, mut leaves) = (Vec::with_capacity(staged.len()), Vec::with_capacity(staged.len()));
        let mut numbered: BTreeMap<&str, u64> = BTreeMap::new();
        for (place, (envelope, body)) in (first..).zip(&staged) {
            let text = envelope.to_text().map_err(|error| Error::corrupt("an entry", error))?;
            hashes.push(bartizan_ledger::tree::leaf_hash(text.as_bytes()));
            let salt = match body {
                Body::Open(_) => None,
                Body::Salted { salt, .. } => Some(salt.to_vec()),
            };
            leaves.push(vec![
                crate::report::signed(place)?.into(),
                text.into(),
                envelope.kind.clone().into(),
                ms(envelope.at),
                body.text().into(),
                salt.into(),
            ]);
            let last = numbered.entry(&envelope.source).or_default();
            *last = envelope.counter.max(*last);
        }
        tx.insert("ledger_leaf (leaf, envelope, kind, at, body, salt)", &leaves, "").await?;
        for (source, last) in numbered {
            // What was read of a source is a beginning of what waits.
            let sql = "DELETE FROM ledger_staged WHERE source = $1 AND counter <= $2";
            tx.run(sql, [source.into(), crate::report::signed(last)?.into()]).await?;
        }
        let nodes = append(&mut frontier, hashes).map_err(|error| Error::corrupt("the tree", error))?;
        let mut rows = Vec::with_capacity(nodes.len());
        for (node, hash) in nodes {
            let index = crate::report::signed(node.index)?;
            rows.push(vec![i64::from(node.level).into(), index.into(), bytes(&hash)]);
        }
        tx.insert("ledger_node (level, place, hash)", &rows, "").await?;
        let note = sign(frontier.size(), frontier.root()).map_err(|error| Error::corrupt("a head", error))?;
        let signed = crate::report::signed(frontier.size())?;
        tx.run(
            "INSERT INTO ledger_checkpoint (size, at, note) VALUES ($1, $2, $3)",
            [signed.into(), ms(now), note.into()],
        )
        .await?;
        let taken = tx.take_numbers(Log::Ledger, 0, staged.len()).await?;
        if taken != size {
            return Err(Error::Conflict("another replica has numbered ledger entries".to_owned()));
        }
        tx.commit().await?;
        Ok(staged.len())
    }

    /// The newest signed head.
    pub async fn checkpoint(&self) -> Result<Option<Head>, Error> {
        let reading = self.reading("read the ledger's head");
        let sql = "SELECT size, at, note FROM ledger_checkpoint ORDER BY size DESC LIMIT 1";
        let row = reading.one(sql, []).await?;
        row.map(|row| Ok(Head { size: row.number(0)?, at: row.time(1)?, note: row.get(2)? })).transpose()
    }

    /// Leaves from a number on, in their order.
    pub async fn leaves(&self, from: u64, limit: usize) -> Result<Vec<(u64, Entry)>, Error> {
        let reading = self.reading("read ledger entries");
        let sql =
            "SELECT leaf, envelope, body, salt FROM ledger_leaf WHERE leaf >= $1 ORDER BY leaf LIMIT $2";
        let from = crate::report::signed(from)?;
        reading.all(sql, [from.into(), (limit as i64).into()]).await?.iter().map(entry).collect()
    }

    /// The hashes of nodes of the tree, for a proof.
    pub async fn nodes(&self, wanted: &[Node]) -> Result<BTreeMap<Node, Digest>, Error> {
        let reading = self.reading("read the ledger's tree");
        let mut found = BTreeMap::new();
        for node in wanted {
            let sql = "SELECT hash FROM ledger_node WHERE level = $1 AND place = $2";
            let values = [i64::from(node.level).into(), crate::report::signed(node.index)?.into()];
            if let Some(row) = reading.one(sql, values).await? {
                found.insert(*node, row.digest(0)?);
            }
        }
        Ok(found)
    }

    /// How many entries wait for their number.
    pub async fn staged(&self) -> Result<u64, Error> {
        let reading = self.reading("count staged entries");
        let row = reading.one("SELECT COUNT(*) FROM ledger_staged", []).await?;
        row.map_or(Ok(0), |row| row.number(0))
    }
}
