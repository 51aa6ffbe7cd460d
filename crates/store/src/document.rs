//! Policy documents as they stand applied in an environment.

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::document::Document;
use bartizan_core::id::{ChangeId, PersonId};
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::Body;

use crate::Store;
use crate::engine::{Error, Row, Transaction, bytes, ms};
use crate::person::By;

/// One document, and by which change it came.
#[derive(Clone, Debug)]
pub struct Applied {
    pub environment: String,
    pub document: Document,
    pub applied_at: Timestamp,
    pub change: Option<ChangeId>,
    /// Who applied it by hand, where no change brought it; the server itself is nobody.
    pub by: Option<PersonId>,
}

/// What happens to a document of an environment.
#[derive(Clone, Debug)]
pub enum Edit {
    Put(Box<Document>),
    Delete { kind: String, name: String },
}

fn read(row: &Row) -> Result<Applied, Error> {
    let written: String = row.get(1)?;
    let value = Value::parse(&written).map_err(|error| Error::corrupt("a document", error))?;
    let document =
        Document::from_value("the store", value).map_err(|fault| Error::corrupt("a document", fault))?;
    let change: Option<String> = row.get(3)?;
    let change = change.map(|id| id.parse()).transpose();
    let by: Option<String> = row.get(4)?;
    let by = by.map(|id| id.parse()).transpose();
    Ok(Applied {
        by: by.map_err(|error| Error::corrupt("a person's identifier", error))?,
        environment: row.get(0)?,
        document,
        applied_at: row.time(2)?,
        change: change.map_err(|error| Error::corrupt("a change's identifier", error))?,
    })
}

/// What an edit is about.
fn named(edit: &Edit) -> serde_json::Value {
    match edit {
        Edit::Put(document) => {
            serde_json::json!({"kind": document.kind, "name": document.name, "digest": document.digest})
        }
        Edit::Delete { kind, name } => serde_json::json!({"kind": kind, "name": name, "deleted": true}),
    }
}

impl Transaction {
    /// Applies edits to an environment's documents, and stages each for the ledger.
    pub(crate) async fn edit_documents(
        &self,
        environment: &str,
        edits: &[Edit],
        change: Option<ChangeId>,
        by: Option<PersonId>,
        now: Timestamp,
    ) -> Result<(), Error> {
        for edit in edits {
            let told = match edit {
                Edit::Put(document) => {
                    self.run(
                        "INSERT INTO document (environment, kind, name, digest, written, applied_at, change,
                            applied_by)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                         ON CONFLICT (environment, kind, name) DO UPDATE SET digest = excluded.digest,
                            written = excluded.written, applied_at = excluded.applied_at,
                            change = excluded.change, applied_by = excluded.applied_by",
                        [
                            environment.into(),
                            document.kind.clone().into(),
                            document.name.clone().into(),
                            bytes(&document.digest),
                            document.written.to_canonical().into(),
                            ms(now),
                            change.map(|change| change.to_string()).into(),
                            by.map(|by| by.to_string()).into(),
                        ],
                    )
                    .await?;
                    serde_json::json!({"environment": environment, "change": change,
                        "digest": document.digest, "document": document.written})
                }
                Edit::Delete { kind, name } => {
                    let sql = "DELETE FROM document WHERE environment = $1 AND kind = $2 AND name = $3";
                    self.run(sql, [environment.into(), kind.clone().into(), name.clone().into()]).await?;
                    serde_json::json!({"environment": environment, "change": change,
                        "deleted": {"kind": kind, "name": name}})
                }
            };
            self.stage("document", "document", now, &Body::Open(told.to_string())).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Applies edits to an environment that asks for no decisions; by nobody where the server itself does.
    /// The documents lie open in the ledger, and who brought them beside it in an entry of its own.
    pub async fn edit_documents(
        &self,
        environment: &str,
        edits: &[Edit],
        by: Option<By>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("apply documents").await?;
        tx.edit_documents(environment, edits, None, by.map(|by| by.person), now).await?;
        if let Some(By { person, salt }) = by {
            let named: Vec<serde_json::Value> = edits.iter().map(named).collect();
            let told = serde_json::json!({"environment": environment, "by": person, "documents": named});
            let body = Body::Salted { text: told.to_string(), salt };
            tx.stage("document", "documents_applied", now, &body).await?;
        }
        tx.commit().await
    }

    /// All documents of an environment, by kind and name.
    pub async fn documents(&self, environment: &str) -> Result<Vec<Applied>, Error> {
        let reading = self.reading("read documents");
        let sql = "SELECT environment, written, applied_at, change, applied_by FROM document
                   WHERE environment = $1 ORDER BY kind, name";
        reading.all(sql, [environment.into()]).await?.iter().map(read).collect()
    }

    /// All documents of a kind, by environment and name.
    pub async fn documents_of_kind(&self, kind: &str) -> Result<Vec<Applied>, Error> {
        let reading = self.reading("read documents");
        let sql = "SELECT environment, written, applied_at, change, applied_by FROM document
                   WHERE kind = $1 ORDER BY environment, name";
        reading.all(sql, [kind.into()]).await?.iter().map(read).collect()
    }

    /// The environments that have documents.
    pub async fn environments(&self) -> Result<Vec<String>, Error> {
        let reading = self.reading("read the environments");
        let sql = "SELECT DISTINCT environment FROM document ORDER BY environment";
        reading.all(sql, []).await?.iter().map(|row| row.get(0)).collect()
    }

    /// One digest over all documents of an environment: it changes when any of them does.
    pub async fn documents_etag(&self, environment: &str) -> Result<Digest, Error> {
        let reading = self.reading("read the digests of documents");
        let sql = "SELECT kind, name, digest FROM document WHERE environment = $1 ORDER BY kind, name";
        let rows = reading.all(sql, [environment.into()]).await?;
        let mut parts = Vec::with_capacity(rows.len() * 3);
        for row in &rows {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            parts.extend([Value::from(kind), Value::from(name), Value::from(row.digest(2)?.to_string())]);
        }
        Ok(Digest::derived("policy", parts))
    }
}
