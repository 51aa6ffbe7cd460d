//! People, their sessions, and the links by which they sign in.

use bartizan_core::digest::Digest;
use bartizan_core::factor::Origin;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::Salt;

use crate::Store;
use crate::engine::{Error, bytes, ms};

mod ruling;

pub use ruling::Batch;

/// The most people that one list holds.
const PAGE_LIMIT: usize = 10_000;

/// Who did something, and the salt that hides them in the ledger's leaf.
#[derive(Clone, Copy, Debug)]
pub struct By {
    pub person: PersonId,
    pub salt: Salt,
}

/// Somebody who is signed in, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub person: Person,
    pub origin: Origin,
    /// When it passed the second factor.
    pub passed_at: Option<Timestamp>,
    /// Whether the person has a second factor.
    pub has_factor: bool,
}

impl Store {
    /// Keeps a person, new or changed. The salt hides them in the ledger's leaf.
    pub async fn put_person(&self, person: &Person, now: Timestamp, salt: Salt) -> Result<(), Error> {
        let tx = self.begin("keep a person").await?;
        tx.put_person(person, now, salt).await?;
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

    /// Opens a session without a link, for whoever runs the server on its own machine.
    pub async fn open_local_session(
        &self,
        token: &Digest,
        person: PersonId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("open a session").await?;
        tx.run(
            "INSERT INTO session (token, person, created_at, expires_at, origin) VALUES ($1, $2, $3, $4, 'local')",
            [bytes(token), person.to_string().into(), ms(now), ms(expires_at)],
        )
        .await?;
        tx.commit().await
    }

    /// A session, while it lasts and its person may sign in.
    pub async fn session(&self, token: &Digest, now: Timestamp) -> Result<Option<Session>, Error> {
        let reading = self.reading("read a session");
        let sql = "SELECT person.body, session.origin, session.passed_at, factor.confirmed FROM session
                   JOIN person ON person.id = session.person
                   LEFT JOIN factor ON factor.person = session.person
                   WHERE session.token = $1 AND session.expires_at > $2";
        let Some(row) = reading.one(sql, [bytes(token), ms(now)]).await? else { return Ok(None) };
        let person: Person = row.json(0, "a person")?;
        let word: String = row.get(1)?;
        let origin = match word.as_str() {
            "link" => Origin::Link,
            "local" => Origin::Local,
            other => return Err(Error::corrupt("a session's origin", other)),
        };
        let passed_at = row.get::<Option<i64>>(2)?.map(Timestamp::from_millis);
        let has_factor = row.get::<Option<i64>>(3)? == Some(1);
        Ok((!person.disabled).then_some(Session { person, origin, passed_at, has_factor }))
    }

    /// Ends a session; one that is not there is no error.
    pub async fn end_session(&self, token: &Digest) -> Result<(), Error> {
        let tx = self.begin("end a session").await?;
        tx.run("DELETE FROM session WHERE token = $1", [bytes(token)]).await?;
        tx.commit().await
    }
}
