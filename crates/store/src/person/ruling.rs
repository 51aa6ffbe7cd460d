//! What the person stage writes: people, requests for roles, and the ends of sessions.

use bartizan_core::id::PersonId;
use bartizan_core::person::{Command, Person, Request};
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, Transaction, json};

/// What one look of the person stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursor it moves: stage, from, to.
    pub cursor: Option<(&'static str, i64, i64)>,
    pub commands: Vec<(Command, Salt)>,
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

impl Transaction {
    /// Keeps a person, new or changed, and stages them for the ledger.
    pub(super) async fn put_person(&self, person: &Person, now: Timestamp, salt: Salt) -> Result<(), Error> {
        self.run(
            "INSERT INTO person (id, name, body) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
            [person.id.to_string().into(), person.name.clone().into(), json(person, "a person")?],
        )
        .await?;
        let text = serde_json::to_string(person).map_err(|error| Error::corrupt("a person", error))?;
        self.stage("person", "person", now, &Body::Salted { text, salt }).await
    }

    async fn keep_request(&self, request: &Request, now: Timestamp, salt: Salt) -> Result<(), Error> {
        self.run(
            "INSERT INTO role_request (id, person, open, body) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body",
            [
                request.id.to_string().into(),
                request.person.to_string().into(),
                i64::from(request.open).into(),
                json(request, "a request for a role")?,
            ],
        )
        .await?;
        let text = serde_json::to_string(request).map_err(|error| Error::corrupt("a request", error))?;
        self.stage("person", "role_request", now, &Body::Salted { text, salt }).await
    }

    async fn end_sessions(&self, person: PersonId) -> Result<(), Error> {
        for sql in ["DELETE FROM session WHERE person = $1", "DELETE FROM sign_in_link WHERE person = $1"] {
            self.run(sql, [person.to_string().into()]).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Commits what the person stage ruled.
    pub async fn commit_people(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("commit what was ruled on people").await?;
        for (command, salt) in &batch.commands {
            match command {
                Command::Put(person) => tx.put_person(person, now, *salt).await?,
                Command::Keep(request) => tx.keep_request(request, now, *salt).await?,
                Command::EndSessions(person) => tx.end_sessions(*person).await?,
                Command::RemoveFactor(person) => drop(tx.remove_factor(*person).await?),
            }
        }
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        if let Some((stage, from, to)) = batch.cursor {
            tx.move_cursor(stage, 0, from, to).await?;
        }
        tx.commit().await
    }

    /// Requests for roles that wait for a second person, the oldest first.
    pub async fn role_requests(&self) -> Result<Vec<Request>, Error> {
        let reading = self.reading("list requests for roles");
        let limit = super::PAGE_LIMIT;
        let sql = format!("SELECT body FROM role_request WHERE open = 1 ORDER BY id LIMIT {limit}");
        let rows = reading.all(&sql, []).await?;
        rows.iter().map(|row| row.json(0, "a request for a role")).collect()
    }
}
