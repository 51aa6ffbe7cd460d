//! Reviews of baselines, as the review stage keeps them.

use bartizan_core::canonical::Value;
use bartizan_core::configuration::review::Review;
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, json};
use crate::signal::NO_ASSET;

/// What one look of the review stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursors it moves: stage, from, to.
    pub cursors: Vec<(&'static str, i64, i64)>,
    /// Reviews as they stand now; with the document where one was concluded.
    pub reviews: Vec<(Review, Option<Value>, Salt)>,
    /// What it tells whoever is on call.
    pub signals: Vec<Signal>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.cursors.is_empty() && self.reviews.is_empty()
    }
}

impl Store {
    /// The reviews of every baseline that was ever applied, by name.
    pub async fn reviews(&self) -> Result<Vec<Review>, Error> {
        let reading = self.reading("read reviews");
        let rows = reading.all("SELECT body FROM review ORDER BY baseline", []).await?;
        rows.iter().map(|row| row.json(0, "a review")).collect()
    }

    /// A baseline's document as it was when it was reviewed last.
    pub async fn reviewed(&self, baseline: &str) -> Result<Option<Value>, Error> {
        let reading = self.reading("read what was reviewed");
        let row = reading.one("SELECT reviewed FROM review WHERE baseline = $1", [baseline.into()]).await?;
        let text: Option<String> = row.map(|row| row.get(0)).transpose()?.flatten();
        let read = |text: String| Value::parse(&text).map_err(|error| Error::corrupt("a document", error));
        text.map(read).transpose()
    }

    /// Writes what the review stage came to, with its cursor. What was said is in the ledger, its authors
    /// behind a salt.
    pub async fn commit_reviews(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep reviews").await?;
        for (stage, from, to) in &batch.cursors {
            tx.move_cursor(stage, 0, *from, *to).await?;
        }
        for (review, document, salt) in &batch.reviews {
            tx.run(
                "INSERT INTO review (baseline, reviewed, body) VALUES ($1, $2, $3)
                 ON CONFLICT (baseline) DO UPDATE SET body = excluded.body,
                    reviewed = COALESCE(excluded.reviewed, review.reviewed)",
                [
                    review.baseline.clone().into(),
                    document.as_ref().map(Value::to_canonical).into(),
                    json(review, "a review")?,
                ],
            )
            .await?;
            let text = serde_json::to_string(review).map_err(|error| Error::corrupt("a review", error))?;
            tx.stage("review", "review", now, &Body::Salted { text, salt: *salt }).await?;
        }
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        let signals: Vec<_> = batch.signals.iter().map(|signal| (NO_ASSET, signal)).collect();
        tx.append_signals(&signals).await?;
        tx.commit().await
    }
}
