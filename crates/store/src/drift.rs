//! Drift that people accounted for, as the drift stage keeps it.

use bartizan_core::configuration::drift::Explained;
use bartizan_core::id::PersonId;
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, ms};
use crate::retention::SWEEP_LIMIT;

/// How long an explanation is kept: the agent takes it within a check-in, and keeps it from then on. A host
/// that is away for longer is told of anew.
pub const EXPLANATIONS_KEPT: Duration = Duration::from_days(90);

/// The most explanations that agents are told of.
pub const EXPLANATIONS_LIMIT: usize = 20_000;

/// A person's word that a drift is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub number: AssetNumber,
    pub explained: Explained,
    pub person: PersonId,
    pub at: Timestamp,
    pub reason: String,
}

/// What one look of the drift stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursor it moves: stage, from, to.
    pub cursor: Option<(&'static str, i64, i64)>,
    pub explanations: Vec<(Explanation, Salt)>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

impl Store {
    /// Writes what the drift stage ruled, with its cursor. A later explanation of an object takes the place of
    /// the one before; the ledger has both.
    pub async fn commit_explanations(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep what explains drift").await?;
        if let Some((stage, from, to)) = batch.cursor {
            tx.move_cursor(stage, 0, from, to).await?;
        }
        for (explanation, salt) in &batch.explanations {
            let Explanation { number, explained, person, at, reason } = explanation;
            tx.run(
                "INSERT INTO explanation (number, object, standing, person, at, reason)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (number, object) DO UPDATE SET standing = excluded.standing,
                    person = excluded.person, at = excluded.at, reason = excluded.reason",
                [
                    i64::from(*number).into(),
                    explained.object.clone().into(),
                    explained.after.clone().into(),
                    person.to_string().into(),
                    ms(*at),
                    reason.clone().into(),
                ],
            )
            .await?;
            let told = serde_json::json!({
                "asset": number, "object": explained.object, "standing": explained.after,
                "by": person, "reason": reason,
            });
            let body = Body::Salted { text: told.to_string(), salt: *salt };
            tx.stage("drift", "drift_explained", now, &body).await?;
        }
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        tx.commit().await
    }

    /// What people accounted for, the newest first.
    pub async fn explanations(&self) -> Result<Vec<Explanation>, Error> {
        let reading = self.reading("read what explains drift");
        let sql = format!(
            "SELECT number, object, standing, person, at, reason FROM explanation
             ORDER BY at DESC, number, object LIMIT {EXPLANATIONS_LIMIT}"
        );
        let rows = reading.all(&sql, []).await?;
        rows.iter()
            .map(|row| {
                let person: String = row.get(3)?;
                Ok(Explanation {
                    number: row.number(0)?,
                    explained: Explained { object: row.get(1)?, after: row.get(2)?, at: row.time(4)? },
                    person: person.parse().map_err(|error| Error::corrupt("a person", error))?,
                    at: row.time(4)?,
                    reason: row.get(5)?,
                })
            })
            .collect()
    }

    /// Takes away explanations that every agent has long taken; gives how many went.
    pub async fn sweep_explanations(&self, now: Timestamp) -> Result<u64, Error> {
        let tx = self.begin("take away old explanations").await?;
        let swept = tx
            .run(
                "DELETE FROM explanation WHERE (number, object) IN (
                    SELECT number, object FROM explanation WHERE at < $1 ORDER BY at LIMIT $2)",
                [ms(now.minus(EXPLANATIONS_KEPT)), (SWEEP_LIMIT as i64).into()],
            )
            .await?;
        tx.commit().await?;
        Ok(swept)
    }
}
