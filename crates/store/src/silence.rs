//! Silences: who asked not to be told, of what, and until when.

use bartizan_core::digest::Digest;
use bartizan_core::monitoring::silence::Silence;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::engine::{Error, json, ms};
use crate::person::By;

/// The most silences that one page holds.
const PAGE_LIMIT: usize = 1_000;

impl Store {
    /// Keeps a silence; its identity is its content. The salt hides its owner in the ledger's leaf.
    pub async fn create_silence(
        &self,
        silence: &Silence,
        now: Timestamp,
        salt: Salt,
    ) -> Result<String, Error> {
        let text = serde_json::to_string(silence).map_err(|error| Error::corrupt("a silence", error))?;
        let id = Digest::of_bytes(text.as_bytes()).short();
        let tx = self.begin("keep a silence").await?;
        let sql = "INSERT INTO silence (id, ends_at, body) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
        tx.run(sql, [id.clone().into(), ms(silence.ends_at), text.clone().into()]).await?;
        tx.stage("silence", "silence", now, &Body::Salted { text, salt }).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Ends a silence at a time.
    pub async fn end_silence(&self, id: &str, by: By, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("end a silence").await?;
        let row = tx.one("SELECT body FROM silence WHERE id = $1", [id.into()]).await?;
        let not_found = || Error::NotFound { what: "silence", name: id.to_owned() };
        let mut silence: Silence = row.ok_or_else(not_found)?.json(0, "a silence")?;
        silence.ends_at = now.min(silence.ends_at);
        let sql = "UPDATE silence SET ends_at = $1, body = $2 WHERE id = $3";
        tx.run(sql, [ms(silence.ends_at), json(&silence, "a silence")?, id.into()]).await?;
        let told = serde_json::json!({"silence": id, "ends_at": silence.ends_at, "by": by.person});
        let body = Body::Salted { text: told.to_string(), salt: by.salt };
        tx.stage("silence", "silence_ended", now, &body).await?;
        tx.commit().await
    }

    /// Silences that have not ended, with their identifiers.
    pub async fn silences(&self, now: Timestamp) -> Result<Vec<(String, Silence)>, Error> {
        let reading = self.reading("read silences");
        let sql =
            format!("SELECT id, body FROM silence WHERE ends_at > $1 ORDER BY ends_at LIMIT {PAGE_LIMIT}");
        let rows = reading.all(&sql, [ms(now)]).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.json(1, "a silence")?))).collect()
    }
}
