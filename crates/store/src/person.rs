//! People, their sessions, and the links by which they sign in.

use bartizan_core::digest::Digest;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::engine::{Error, bytes, json, ms};

/// The most people that one list holds.
const PAGE_LIMIT: usize = 10_000;

impl Store {
    /// Keeps a person, new or changed. The salt hides them in the ledger's leaf.
    pub async fn put_person(&self, person: &Person, now: Timestamp, salt: Salt) -> Result<(), Error> {
        let tx = self.begin("keep a person").await?;
        tx.run(
            "INSERT INTO person (id, name, body) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
            [person.id.to_string().into(), person.name.clone().into(), json(person, "a person")?],
        )
        .await?;
        let text = serde_json::to_string(person).map_err(|error| Error::corrupt("a person", error))?;
        tx.stage("person", "person", now, &Body::Salted { text, salt }).await?;
        tx.commit().await
    }

    /// The person with this identifier.
    pub async fn person(&self, id: PersonId) -> Result<Option<Person>, Error> {
        let reading = self.reading("read a person");
        let row = reading.one("SELECT body FROM person WHERE id = $1", [id.to_string().into()]).await?;
        row.map(|row| row.json(0, "a person")).transpose()
    }

    /// Everybody, by name.
    pub async fn people(&self) -> Result<Vec<Person>, Error> {
        let reading = self.reading("list people");
        let rows =
            reading.all(&format!("SELECT body FROM person ORDER BY name LIMIT {PAGE_LIMIT}"), []).await?;
        rows.iter().map(|row| row.json(0, "a person")).collect()
    }

    /// Keeps a link that signs a person in once; `token` is the digest of what it holds.
    pub async fn create_sign_in_link(
        &self,
        token: &Digest,
        person: PersonId,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("keep a sign-in link").await?;
        tx.run(
            "INSERT INTO sign_in_link (token, person, expires_at) VALUES ($1, $2, $3)",
            [bytes(token), person.to_string().into(), ms(expires_at)],
        )
        .await?;
        tx.commit().await
    }

    /// Uses a link up and opens a session; none where the link is unknown, used or expired.
    pub async fn sign_in(
        &self,
        link: &Digest,
        session: &Digest,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<PersonId>, Error> {
        let tx = self.begin("sign in").await?;
        let sql = "DELETE FROM sign_in_link WHERE token = $1 RETURNING person, expires_at";
        let Some(row) = tx.one(sql, [bytes(link)]).await? else { return Ok(None) };
        let person: PersonId = row.parse(0, "a person's identifier")?;
        if row.time(1)? > now {
            tx.run(
                "INSERT INTO session (token, person, created_at, expires_at) VALUES ($1, $2, $3, $4)",
                [bytes(session), person.to_string().into(), ms(now), ms(expires_at)],
            )
            .await?;
            tx.commit().await?;
            return Ok(Some(person));
        }
        tx.commit().await?;
        Ok(None)
    }

    /// Whose session this is, while it lasts.
    pub async fn session(&self, token: &Digest, now: Timestamp) -> Result<Option<Person>, Error> {
        let reading = self.reading("read a session");
        let sql = "SELECT person.body FROM session JOIN person ON person.id = session.person
                   WHERE token = $1 AND expires_at > $2";
        let row = reading.one(sql, [bytes(token), ms(now)]).await?;
        let person: Option<Person> = row.map(|row| row.json(0, "a person")).transpose()?;
        Ok(person.filter(|person| !person.disabled))
    }

    /// Ends a session; one that is not there is no error.
    pub async fn end_session(&self, token: &Digest) -> Result<(), Error> {
        let tx = self.begin("end a session").await?;
        tx.run("DELETE FROM session WHERE token = $1", [bytes(token)]).await?;
        tx.commit().await
    }
}
