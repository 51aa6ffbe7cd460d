//! Risk acceptances, as the acceptance stage keeps them.

use bartizan_core::acceptance::{Acceptance, State};
use bartizan_core::id::AcceptanceId;
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, Row, json, ms};

/// The most acceptances that one page holds.
pub const PAGE_LIMIT: usize = 1_000;

/// What one look of the acceptance stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursors it moves: stage, shard, from, to.
    pub cursors: Vec<(&'static str, u32, i64, i64)>,
    /// Each with a salt that hides its people and reason in the ledger's leaf.
    pub acceptances: Vec<(Acceptance, Salt)>,
    /// What their owners have to be told, each on one asset.
    pub signals: Vec<(AssetNumber, Signal)>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

fn read(row: &Row) -> Result<Acceptance, Error> {
    row.json(0, "an acceptance")
}

impl Store {
    /// The acceptance with this identifier.
    pub async fn acceptance(&self, id: AcceptanceId) -> Result<Option<Acceptance>, Error> {
        let reading = self.reading("read an acceptance");
        let row = reading.one("SELECT body FROM acceptance WHERE id = $1", [id.to_string().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Acceptances, those that end first before the others, at most [`PAGE_LIMIT`]; only such as
    /// have not ended where `open` says so.
    pub async fn acceptances(&self, open: bool) -> Result<Vec<Acceptance>, Error> {
        let reading = self.reading("list acceptances");
        let sql = format!(
            "SELECT body FROM acceptance WHERE open >= $1 ORDER BY open DESC, ends_at, id LIMIT {PAGE_LIMIT}"
        );
        reading.all(&sql, [i64::from(open).into()]).await?.iter().map(read).collect()
    }

    /// Writes what the acceptance stage did, with its cursors; each state is an entry of the ledger.
    pub async fn commit_acceptances(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep acceptances").await?;
        for (stage, shard, from, to) in &batch.cursors {
            tx.move_cursor(stage, *shard, *from, *to).await?;
        }
        for (acceptance, salt) in &batch.acceptances {
            let open = i64::from(!matches!(acceptance.state, State::Ended { .. }));
            // What has ended stays so, whoever else had an older look at it.
            let kept = tx
                .run(
                    "INSERT INTO acceptance (id, open, ends_at, body) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (id) DO UPDATE SET open = excluded.open, ends_at = excluded.ends_at,
                        body = excluded.body
                     WHERE acceptance.open = 1",
                    [
                        acceptance.id.to_string().into(),
                        open.into(),
                        ms(acceptance.until),
                        json(acceptance, "an acceptance")?,
                    ],
                )
                .await?;
            if kept == 0 {
                return Err(Error::Conflict(format!("the acceptance {} has ended meanwhile", acceptance.id)));
            }
            let text =
                serde_json::to_string(acceptance).map_err(|error| Error::corrupt("an acceptance", error))?;
            tx.stage("acceptance", "acceptance", now, &Body::Salted { text, salt: *salt }).await?;
        }
        let signals: Vec<(AssetNumber, &Signal)> =
            batch.signals.iter().map(|(number, signal)| (*number, signal)).collect();
        tx.append_signals(&signals).await?;
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        tx.commit().await
    }
}
