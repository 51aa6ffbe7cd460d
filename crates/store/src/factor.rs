//! Second factors: the sealed secret of each, and how it stands.
//!
//! A factor moves by compare-and-set over its generation, so that two requests that show the same
//! code at the same time do not both pass.

use std::collections::BTreeSet;

use bartizan_core::digest::Digest;
use bartizan_core::factor::Factor;
use bartizan_core::id::PersonId;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::engine::{Error, Transaction, bytes, json, ms};

/// A factor with its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// Counted up with every change.
    pub generation: i64,
    pub factor: Factor,
}

/// What is written down of a change of a factor, in the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What happened: `confirmed`, `locked`, `recovered`.
    pub what: &'a str,
    pub salt: Salt,
}

impl Transaction {
    pub(crate) async fn remove_factor(&self, person: PersonId) -> Result<u64, Error> {
        let name = person.to_string();
        self.run("UPDATE session SET passed_at = NULL WHERE person = $1", [name.clone().into()]).await?;
        self.run("DELETE FROM factor WHERE person = $1", [name.into()]).await
    }

    async fn tell(&self, person: PersonId, told: Told<'_>, now: Timestamp) -> Result<(), Error> {
        let text = serde_json::json!({"person": person, "factor": told.what}).to_string();
        self.stage("person", "factor", now, &Body::Salted { text, salt: told.salt }).await
    }
}

impl Store {
    /// A person's factor, confirmed or not.
    pub async fn factor(&self, person: PersonId) -> Result<Option<Held>, Error> {
        let reading = self.reading("read a second factor");
        let sql = "SELECT sealed, generation, body FROM factor WHERE person = $1";
        let row = reading.one(sql, [person.to_string().into()]).await?;
        row.map(|row| {
            Ok(Held { sealed: row.get(0)?, generation: row.get(1)?, factor: row.json(2, "a factor")? })
        })
        .transpose()
    }

    /// Keeps a new factor; a conflict where there is one already.
    pub async fn make_factor(&self, person: PersonId, sealed: Vec<u8>, factor: &Factor) -> Result<(), Error> {
        let tx = self.begin("keep a second factor").await?;
        // One that was begun and never confirmed gives way: its secret was shown to nobody else.
        tx.run("DELETE FROM factor WHERE person = $1 AND confirmed = 0", [person.to_string().into()]).await?;
        tx.run(
            "INSERT INTO factor (person, sealed, generation, confirmed, body) VALUES ($1, $2, 1, 0, $3)",
            [person.to_string().into(), sealed.into(), json(factor, "a factor")?],
        )
        .await?;
        tx.commit().await
    }

    /// Moves a factor on from what was read; a conflict where somebody else moved it first. The
    /// session that showed the code has passed from then on.
    pub async fn move_factor(
        &self,
        person: PersonId,
        from: &Held,
        to: &Factor,
        passed: Option<&Digest>,
        told: Option<Told<'_>>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("keep a second factor").await?;
        let moved = tx
            .run(
                "UPDATE factor SET generation = generation + 1, confirmed = $1, body = $2
                 WHERE person = $3 AND generation = $4 AND sealed = $5",
                [
                    i64::from(to.confirmed_at.is_some()).into(),
                    json(to, "a factor")?,
                    person.to_string().into(),
                    from.generation.into(),
                    // One that was begun anew counts from the same generation on.
                    from.sealed.clone().into(),
                ],
            )
            .await?;
        if moved == 0 {
            return Err(Error::Conflict("another code was shown at the same time; try again".to_owned()));
        }
        if let Some(token) = passed {
            let sql = "UPDATE session SET passed_at = $1 WHERE token = $2 AND person = $3";
            tx.run(sql, [ms(now), bytes(token), person.to_string().into()]).await?;
        }
        if let Some(told) = told {
            tx.tell(person, told, now).await?;
        }
        tx.commit().await
    }

    /// Takes a factor away; what its sessions passed counts no more.
    pub async fn remove_factor(&self, person: PersonId, now: Timestamp, salt: Salt) -> Result<(), Error> {
        let tx = self.begin("take a second factor away").await?;
        if tx.remove_factor(person).await? > 0 {
            tx.tell(person, Told { what: "removed", salt }, now).await?;
        }
        tx.commit().await
    }

    /// Everybody who has a confirmed factor.
    pub async fn factor_holders(&self) -> Result<BTreeSet<PersonId>, Error> {
        let reading = self.reading("list second factors");
        let rows = reading.all("SELECT person FROM factor WHERE confirmed = 1", []).await?;
        rows.iter().map(|row| row.parse(0, "a person's identifier")).collect()
    }

    /// Everybody who is signed in by a link.
    pub async fn signed_in(&self, now: Timestamp) -> Result<BTreeSet<PersonId>, Error> {
        let reading = self.reading("list sessions");
        let sql = "SELECT DISTINCT person FROM session WHERE origin = 'link' AND expires_at > $1";
        let rows = reading.all(sql, [ms(now)]).await?;
        rows.iter().map(|row| row.parse(0, "a person's identifier")).collect()
    }
}
