//! Changes, as the change stage keeps them: with its rulings and the documents it brings.

use bartizan_core::configuration::change::{Change, Content, Gate, Item};
use bartizan_core::document::Document;
use bartizan_core::id::ChangeId;
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::document::Edit;
use crate::engine::{Error, Row, bytes, json, ms};
use crate::signal::NO_ASSET;

/// The most changes that one page holds.
pub const PAGE_LIMIT: usize = 500;

/// What one look of the change stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursor it moves: stage, from, to.
    pub cursor: Option<(&'static str, i64, i64)>,
    pub changes: Vec<Change>,
    /// The changes that are brought to an environment: their content becomes its documents.
    pub applied: Vec<(ChangeId, String, Content)>,
    /// What it tells whoever is on call.
    pub signals: Vec<Signal>,
    /// What environments ask for from now on.
    pub declared: Vec<(String, Gate)>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

fn read(row: &Row) -> Result<Change, Error> {
    row.json(0, "a change")
}

/// The edits that a content makes to an environment's documents.
fn edits(content: &Content) -> Result<Vec<Edit>, Error> {
    let edit = |(kind, name, item): (&str, &str, &Item)| match item {
        Item::Deleted => Ok(Edit::Delete { kind: kind.to_owned(), name: name.to_owned() }),
        Item::Written(value) => Document::from_value("a change", value.clone())
            .map(|document| Edit::Put(Box::new(document)))
            .map_err(|fault| Error::corrupt("a change's document", fault)),
    };
    content.items().map(edit).collect()
}

impl Store {
    /// The change with this identifier.
    pub async fn change(&self, id: ChangeId) -> Result<Option<Change>, Error> {
        let reading = self.reading("read a change");
        let row = reading.one("SELECT body FROM change WHERE id = $1", [id.to_string().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Changes, the newest first, at most [`PAGE_LIMIT`].
    pub async fn changes(&self, limit: usize) -> Result<Vec<Change>, Error> {
        let reading = self.reading("list changes");
        let sql = "SELECT body FROM change ORDER BY proposed_at DESC, id DESC LIMIT $1";
        let limit = limit.min(PAGE_LIMIT) as i64;
        reading.all(sql, [limit.into()]).await?.iter().map(read).collect()
    }

    /// Writes what the change stage ruled, with its cursor and the documents that it brings.
    pub async fn commit_changes(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep changes").await?;
        if let Some((stage, from, to)) = batch.cursor {
            tx.move_cursor(stage, 0, from, to).await?;
        }
        for change in &batch.changes {
            tx.run(
                "INSERT INTO change (id, service, digest, open, proposed_at, body)
                 VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, open = excluded.open,
                    body = excluded.body",
                [
                    change.id.to_string().into(),
                    change.service.clone().into(),
                    bytes(&change.digest),
                    i64::from(!change.withdrawn).into(),
                    ms(change.proposed_at),
                    json(change, "a change")?,
                ],
            )
            .await?;
            // By which right it came to each environment stands in the open: `self_approved` is said
            // wherever it is so.
            let applied = change.applied.iter().map(|applied| {
                serde_json::json!({"target": applied.target, "digest": applied.digest, "path": applied.path})
            });
            let body = serde_json::json!({
                "change": change.id, "digest": change.digest, "service": change.service,
                "applied": applied.collect::<Vec<_>>(),
            });
            tx.stage("change", "change", now, &Body::Open(body.to_string())).await?;
        }
        for (id, environment, content) in &batch.applied {
            tx.edit_documents(environment, &edits(content)?, Some(*id), None, now).await?;
        }
        for (environment, gate) in &batch.declared {
            tx.declare(environment, *gate, now).await?;
            let body = serde_json::json!({"environment": environment, "gate": gate}).to_string();
            tx.stage("change", "environment", now, &Body::Open(body)).await?;
        }
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        let signals: Vec<_> = batch.signals.iter().map(|signal| (NO_ASSET, signal)).collect();
        tx.append_signals(&signals).await?;
        tx.commit().await
    }
}
