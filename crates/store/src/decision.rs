//! Decisions: people's acts as they made them, and what the owning stage ruled.

use bartizan_core::canonical::Value;
use bartizan_core::id::PersonId;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::engine::{Error, Row, Transaction, json, ms};
use crate::log::Log;

/// One act of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub at: Timestamp,
    pub person: PersonId,
    /// The role in which they act; none where the act takes none.
    pub role: Option<Role>,
    /// The noun and verb: `alert.acknowledge`, `change.approve`.
    pub act: String,
    /// The identifier of what they act on.
    pub target: String,
    /// The digest or generation of what they saw.
    pub expected: Option<String>,
    pub reason: String,
    /// What else the act needs, in the form of its noun.
    #[serde(default)]
    pub details: Option<Value>,
}

/// What a stage ruled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Accepted,
    Refused { class: Refused, reason: String },
}

/// Why an act was refused, as far as whoever asked has to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    Invalid,
    NotFound,
    Conflict,
    Denied,
}

/// A decision with its place in the log, and its outcome once there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    pub seq: i64,
    pub decision: Decision,
    pub outcome: Option<Outcome>,
}

fn read(row: &Row) -> Result<Numbered, Error> {
    let outcome: Option<String> = row.get(2)?;
    let outcome = outcome.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Numbered {
        seq: row.get(0)?,
        decision: row.json(1, "a decision")?,
        outcome: outcome.map_err(|error| Error::corrupt("an outcome", error))?,
    })
}

impl Transaction {
    /// Writes what a stage ruled, and stages it for the ledger.
    pub(crate) async fn rule(
        &self,
        seq: i64,
        outcome: &Outcome,
        now: Timestamp,
        salt: Salt,
    ) -> Result<(), Error> {
        let sql = "UPDATE decision SET outcome = $1, ruled_at = $2 WHERE seq = $3 AND outcome IS NULL";
        let ruled = self.run(sql, [json(outcome, "an outcome")?, ms(now), seq.into()]).await?;
        if ruled == 0 {
            return Err(Error::Conflict(format!("decision {seq} was ruled on before")));
        }
        let text = serde_json::json!({"decision": seq, "ruled": outcome}).to_string();
        self.stage("decision", "outcome", now, &Body::Salted { text, salt }).await
    }
}

impl Store {
    /// Appends an act; gives its number. The salt hides the person in the ledger's leaf.
    pub async fn append_decision(&self, decision: &Decision, salt: Salt) -> Result<i64, Error> {
        let tx = self.begin("keep a decision").await?;
        let text = serde_json::to_string(decision).map_err(|error| Error::corrupt("a decision", error))?;
        tx.stage("decision", "decision", decision.at, &Body::Salted { text: text.clone(), salt }).await?;
        let seq = tx.take_numbers(Log::Decision, 0, 1).await?;
        tx.run(
            "INSERT INTO decision (seq, at, person, act, target, body) VALUES ($1, $2, $3, $4, $5, $6)",
            [
                seq.into(),
                ms(decision.at),
                decision.person.to_string().into(),
                decision.act.clone().into(),
                decision.target.clone().into(),
                text.into(),
            ],
        )
        .await?;
        tx.commit().await?;
        Ok(seq)
    }

    /// Decisions from a number on, in their order.
    pub async fn decisions(&self, from: i64, limit: usize) -> Result<Vec<Numbered>, Error> {
        let reading = self.reading("read decisions");
        let sql = "SELECT seq, body, outcome FROM decision WHERE seq >= $1 ORDER BY seq LIMIT $2";
        reading.all(sql, [from.into(), (limit as i64).into()]).await?.iter().map(read).collect()
    }

    /// Decisions on one thing, the newest first.
    pub async fn decisions_on(&self, target: &str, limit: usize) -> Result<Vec<Numbered>, Error> {
        let reading = self.reading("read decisions");
        let sql = "SELECT seq, body, outcome FROM decision WHERE target = $1 ORDER BY seq DESC LIMIT $2";
        reading.all(sql, [target.into(), (limit as i64).into()]).await?.iter().map(read).collect()
    }

    /// What became of a decision; none while its stage has not ruled.
    pub async fn outcome(&self, seq: i64) -> Result<Option<Outcome>, Error> {
        let reading = self.reading("read an outcome");
        let row = reading.one("SELECT seq, body, outcome FROM decision WHERE seq = $1", [seq.into()]).await?;
        Ok(row.as_ref().map(read).transpose()?.and_then(|numbered| numbered.outcome))
    }
}
