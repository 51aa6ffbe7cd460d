//! Feeds: which were imported, at which digest, and what stood in the way of the others.

use bartizan_core::digest::Digest;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::Body;

use crate::Store;
use crate::engine::{Error, Row, bytes, ms};

/// One feed as it was imported last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    pub name: String,
    pub digest: Digest,
    pub records: u64,
    pub imported_at: Timestamp,
    pub published_at: Option<Timestamp>,
    /// What stood in the way of a later import, since when.
    pub problem: Option<(String, Timestamp)>,
}

fn read(row: &Row) -> Result<Feed, Error> {
    let published: Option<i64> = row.get(4)?;
    let (problem, at): (Option<String>, Option<i64>) = (row.get(5)?, row.get(6)?);
    Ok(Feed {
        name: row.get(0)?,
        digest: row.digest(1)?,
        records: row.number(2)?,
        imported_at: row.time(3)?,
        published_at: published.map(Timestamp::from_millis),
        problem: problem.zip(at.map(Timestamp::from_millis)),
    })
}

impl Store {
    /// Keeps what an import brought, and stages it for the ledger.
    pub async fn put_feed(&self, feed: &Feed) -> Result<(), Error> {
        let tx = self.begin("keep a feed").await?;
        let records = crate::report::signed(feed.records)?;
        let problem = feed.problem.clone();
        tx.run(
            "INSERT INTO feed (name, digest, records, imported_at, published_at, problem, problem_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, records = excluded.records,
                imported_at = excluded.imported_at, published_at = excluded.published_at,
                problem = excluded.problem, problem_at = excluded.problem_at",
            [
                feed.name.clone().into(),
                bytes(&feed.digest),
                records.into(),
                ms(feed.imported_at),
                feed.published_at.map(Timestamp::as_millis).into(),
                problem.as_ref().map(|(problem, _)| problem.clone()).into(),
                problem.as_ref().map(|(_, at)| at.as_millis()).into(),
            ],
        )
        .await?;
        let body = serde_json::json!({"feed": feed.name, "digest": feed.digest, "records": feed.records});
        tx.stage("feed", "feed_import", feed.imported_at, &Body::Open(body.to_string())).await?;
        tx.commit().await
    }

    /// Every feed, by name.
    pub async fn feeds(&self) -> Result<Vec<Feed>, Error> {
        let reading = self.reading("list feeds");
        let sql = "SELECT name, digest, records, imported_at, published_at, problem, problem_at
                   FROM feed ORDER BY name";
        reading.all(sql, []).await?.iter().map(read).collect()
    }
}
