//! Findings that people have put something on, as the finding stage keeps them.
//!
//! Whatever else is open in the fleet has no row: it is read from posture. A history's entries are
//! numbered without a gap, and the number is part of the key: who writes from an older look collides,
//! and looks again.

use bartizan_core::finding::{Entry, Finding, Key, Subject};
use bartizan_core::id::PersonId;
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, Row, bytes, json, ms, places};
use crate::tuple::BATCH;

/// The most findings or entries that one page holds.
pub const PAGE_LIMIT: usize = 500;

/// A finding, and the number of its asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub number: AssetNumber,
    pub finding: Finding,
}

/// What one look of the finding stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursors it moves: stage, shard, from, to.
    pub cursors: Vec<(&'static str, u32, i64, i64)>,
    pub findings: Vec<Held>,
    /// New entries of histories. The salt hides what people wrote in the ledger's leaf.
    pub entries: Vec<(Key, Entry, Salt)>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

/// Whose findings are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// None asks for everybody's.
    pub owner: Option<PersonId>,
    /// Whether those that have ended are asked for, too.
    pub ended: bool,
}

const COLUMNS: &str = "number, body";

fn read(row: &Row) -> Result<Held, Error> {
    Ok(Held { number: row.number(0)?, finding: row.json(1, "a finding")? })
}

/// What is wrong, on whichever asset: a rule (`BASELINE/RULE`) or a vulnerability.
fn name(subject: &Subject) -> String {
    match subject {
        Subject::Deviation { baseline, rule, .. } => format!("{baseline}/{rule}"),
        Subject::Vulnerability { id, .. } => id.clone(),
        Subject::Drift { object, .. } | Subject::Clock { object, .. } => object.clone(),
        Subject::Coverage { scope, .. } => scope.clone(),
        Subject::Assessment { location, .. } => location.clone(),
    }
}

impl Store {
    /// The finding with this key; none where nobody has put anything on it.
    pub async fn finding(&self, key: &Key) -> Result<Option<Held>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM finding WHERE key = $1");
        let row = self.reading("read a finding").one(&sql, [bytes(&key.digest())]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Whether anybody has put anything on any finding.
    pub async fn has_findings(&self) -> Result<bool, Error> {
        let row = self.reading("look for findings").one("SELECT key FROM finding LIMIT 1", []).await?;
        Ok(row.is_some())
    }

    /// Findings, those that changed last before the others, at most [`PAGE_LIMIT`].
    pub async fn findings(&self, filter: Filter) -> Result<Vec<Held>, Error> {
        let open = i64::from(!filter.ended);
        let (among, values) = match filter.owner {
            None => ("", vec![open.into()]),
            Some(owner) => ("owner = $2 AND ", vec![open.into(), owner.to_string().into()]),
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM finding WHERE {among}open >= $1
             ORDER BY open DESC, changed_at DESC, key LIMIT {PAGE_LIMIT}"
        );
        self.reading("list findings").all(&sql, values).await?.iter().map(read).collect()
    }

    /// The findings of these assets.
    pub async fn findings_on(&self, numbers: &[AssetNumber]) -> Result<Vec<Held>, Error> {
        let reading = self.reading("read the findings of assets");
        let mut found = Vec::new();
        for batch in numbers.chunks(BATCH) {
            let among = places(1, batch.len());
            let sql = format!("SELECT {COLUMNS} FROM finding WHERE number IN {among} ORDER BY key");
            let rows = reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await?;
            found.extend(rows.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// The findings of a kind that are about one of these: rules (`BASELINE/RULE`) or vulnerabilities.
    pub async fn findings_about(&self, kind: &str, names: &[&str]) -> Result<Vec<Held>, Error> {
        let reading = self.reading("read the findings about something");
        let mut found = Vec::new();
        for batch in names.chunks(BATCH) {
            let among = places(2, batch.len());
            let sql =
                format!("SELECT {COLUMNS} FROM finding WHERE kind = $1 AND name IN {among} ORDER BY key");
            let values = [kind.into()].into_iter().chain(batch.iter().map(|name| (*name).into()));
            found.extend(reading.all(&sql, values).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// The keys of open findings after one of them, in their order, at most [`PAGE_LIMIT`].
    pub async fn open_findings(&self, after: Option<Key>) -> Result<Vec<Key>, Error> {
        let reading = self.reading("list the keys of open findings");
        let sql =
            format!("SELECT key FROM finding WHERE open = 1 AND key > $1 ORDER BY key LIMIT {PAGE_LIMIT}");
        let after = after.map(|key| key.digest().as_bytes().to_vec()).unwrap_or_default();
        let rows = reading.all(&sql, [after.into()]).await?;
        rows.iter().map(|row| row.digest(0).map(Key::from_digest)).collect()
    }

    /// The newest entries of a finding's history, the newest first; at most [`PAGE_LIMIT`].
    pub async fn finding_entries(&self, key: &Key, limit: usize) -> Result<Vec<Entry>, Error> {
        let reading = self.reading("read a finding's history");
        let sql = "SELECT body FROM finding_event WHERE key = $1 ORDER BY seq DESC LIMIT $2";
        let limit = limit.min(PAGE_LIMIT) as i64;
        let rows = reading.all(sql, [bytes(&key.digest()), limit.into()]).await?;
        rows.iter().map(|row| row.json(0, "an entry of a finding's history")).collect()
    }

    /// Writes what the finding stage did, with its cursors. A history that somebody else wrote on
    /// meanwhile is a conflict: nothing is written.
    pub async fn commit_findings(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep findings").await?;
        for (stage, shard, from, to) in &batch.cursors {
            tx.move_cursor(stage, *shard, *from, *to).await?;
        }
        for Held { number, finding } in &batch.findings {
            let values = [
                bytes(&finding.subject.key().digest()),
                i64::from(*number).into(),
                finding.subject.kind().into(),
                name(&finding.subject).into(),
                finding.owner.map(|owner| owner.to_string()).into(),
                i64::from(finding.is_open()).into(),
                ms(now),
                json(finding, "a finding")?,
            ];
            let sql = "INSERT INTO finding (key, number, kind, name, owner, open, changed_at, body)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                       ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, open = excluded.open,
                          changed_at = excluded.changed_at, body = excluded.body";
            tx.run(sql, values).await?;
        }
        for (key, entry, salt) in &batch.entries {
            let body = json(entry, "an entry of a finding's history")?;
            let sql = "INSERT INTO finding_event (key, seq, at, body) VALUES ($1, $2, $3, $4)";
            let number = i64::from(entry.number);
            tx.run(sql, [bytes(&key.digest()), number.into(), ms(entry.at), body]).await?;
            let text = serde_json::json!({"finding": key, "entry": entry}).to_string();
            tx.stage("finding", "finding_entry", now, &Body::Salted { text, salt: *salt }).await?;
        }
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        tx.commit().await
    }
}
