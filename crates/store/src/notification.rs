//! Notifications: each attempt is written before it is made, and its outcome after.
//!
//! A crash between the two leaves a claimed row, which is attempted again under the same
//! idempotency key: no page is lost, and at most the one in flight is sent twice. A receiver may
//! have several ways, a URL and some addresses: each has an outcome of its own, and what was
//! delivered by one way is not repeated because another failed.

use bartizan_core::id::AlertId;
use bartizan_core::monitoring::notification::Sent;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::engine::{Error, Row, json, ms};

/// The most attempts at one notification; then it has failed.
pub const ATTEMPTS_LIMIT: u32 = 12;

/// One notification on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub alert: AlertId,
    pub receiver: String,
    pub sent: Sent,
    pub idempotency_key: String,
    /// How often it was attempted, the one in hand included.
    pub attempts: u32,
}

/// How the last attempt by one way went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub receiver: String,
    pub number: u32,
    /// Its word: `webhook`, `mail:person@example.org`.
    pub way: String,
    /// Why it failed; none where it was delivered.
    pub problem: Option<String>,
    pub at: Timestamp,
}

/// How far a notification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Claimed,
    Delivered,
    Failed,
}

impl State {
    /// Its word in the store and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Claimed => "claimed",
            State::Delivered => "delivered",
            State::Failed => "failed",
        }
    }
}

const COLUMNS: &str = "alert, receiver, number, occasion, severity, at, idempotency_key, attempts";

fn sent(row: &Row) -> Result<Sent, Error> {
    Ok(Sent {
        number: row.number(2)?,
        occasion: row.json(3, "an occasion")?,
        severity: row.json(4, "a severity")?,
        at: row.time(5)?,
    })
}

fn read(row: &Row) -> Result<Notification, Error> {
    Ok(Notification {
        alert: row.parse(0, "an alert's identifier")?,
        receiver: row.get(1)?,
        sent: sent(row)?,
        idempotency_key: row.get(6)?,
        attempts: row.number(7)?,
    })
}

impl Store {
    /// The last notification that a receiver was sent about an alert, delivered or on its way.
    pub async fn last_sent(&self, alert: AlertId, receiver: &str) -> Result<Option<Sent>, Error> {
        let reading = self.reading("read what was sent");
        let sql = format!(
            "SELECT {COLUMNS} FROM notification WHERE alert = $1 AND receiver = $2 ORDER BY number DESC LIMIT 1"
        );
        let row = reading.one(&sql, [alert.to_string().into(), receiver.into()]).await?;
        row.as_ref().map(sent).transpose()
    }

    /// Claims the next notification of an alert to a receiver; a conflict where another
    /// replica claimed it first. Until `until` nobody else attempts it.
    pub async fn claim_notification(&self, claim: &Notification, until: Timestamp) -> Result<(), Error> {
        let tx = self.begin("claim a notification").await?;
        tx.run(
            "INSERT INTO notification (alert, receiver, number, occasion, severity, at, idempotency_key,
                state, attempts, next_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'claimed', 1, $8)",
            [
                claim.alert.to_string().into(),
                claim.receiver.clone().into(),
                i64::from(claim.sent.number).into(),
                json(&claim.sent.occasion, "an occasion")?,
                json(&claim.sent.severity, "a severity")?,
                ms(claim.sent.at),
                claim.idempotency_key.clone().into(),
                ms(until),
            ],
        )
        .await?;
        tx.commit().await
    }

    /// Claims one notification whose last attempt failed or was cut off, if one is due.
    pub async fn reclaim_notification(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Notification>, Error> {
        let tx = self.begin("claim a notification again").await?;
        let sql = format!(
            "SELECT {COLUMNS}, next_at FROM notification WHERE state = 'claimed' AND next_at <= $1
             ORDER BY next_at LIMIT 1"
        );
        let Some(row) = tx.one(&sql, [ms(now)]).await? else { return Ok(None) };
        let mut found = read(&row)?;
        let claimed = tx
            .run(
                "UPDATE notification SET attempts = attempts + 1, next_at = $1
                 WHERE alert = $2 AND receiver = $3 AND number = $4 AND state = 'claimed' AND next_at = $5",
                [
                    ms(until),
                    found.alert.to_string().into(),
                    found.receiver.clone().into(),
                    i64::from(found.sent.number).into(),
                    ms(row.time(8)?),
                ],
            )
            .await?;
        if claimed == 0 {
            return Ok(None);
        }
        found.attempts += 1;
        tx.commit().await?;
        Ok(Some(found))
    }

    /// Writes how an attempt by one way went; a way that was delivered stays so.
    pub async fn finish_way(
        &self,
        attempted: &Notification,
        way: &str,
        problem: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("write how a way went").await?;
        tx.run(
            "INSERT INTO notification_way (alert, receiver, number, way, delivered, problem, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (alert, receiver, number, way) DO UPDATE SET delivered = excluded.delivered,
                problem = excluded.problem, at = excluded.at
             WHERE notification_way.delivered = 0",
            [
                attempted.alert.to_string().into(),
                attempted.receiver.clone().into(),
                i64::from(attempted.sent.number).into(),
                way.into(),
                i64::from(problem.is_none()).into(),
                problem.map(ToOwned::to_owned).into(),
                ms(now),
            ],
        )
        .await?;
        tx.commit().await
    }

    /// How each way of every notification of an alert went, in the order of receivers and numbers.
    pub async fn notification_ways(&self, alert: AlertId) -> Result<Vec<Way>, Error> {
        let reading = self.reading("read the ways of notifications");
        let sql = "SELECT receiver, number, way, problem, at FROM notification_way
                   WHERE alert = $1 ORDER BY receiver, number, way";
        let rows = reading.all(sql, [alert.to_string().into()]).await?;
        let read = |row: &Row| {
            let (receiver, number) = (row.get(0)?, row.number(1)?);
            Ok(Way { receiver, number, way: row.get(2)?, problem: row.get(3)?, at: row.time(4)? })
        };
        rows.iter().map(read).collect()
    }

    /// Writes how an attempt went: delivered, or why not and when to try again. The salt hides in
    /// the ledger's leaf who was told.
    pub async fn finish_notification(
        &self,
        attempted: &Notification,
        outcome: Result<(), (String, Timestamp)>,
        now: Timestamp,
        salt: Salt,
    ) -> Result<State, Error> {
        let state = match &outcome {
            Ok(()) => State::Delivered,
            Err(_) if attempted.attempts >= ATTEMPTS_LIMIT => State::Failed,
            Err(_) => State::Claimed,
        };
        let (problem, next_at) = match outcome {
            Ok(()) => (None, now),
            Err((problem, next_at)) => (Some(problem), next_at),
        };
        let tx = self.begin("write how a notification went").await?;
        tx.run(
            "UPDATE notification SET state = $1, problem = $2, next_at = $3
             WHERE alert = $4 AND receiver = $5 AND number = $6",
            [
                state.as_str().into(),
                problem.clone().into(),
                ms(next_at),
                attempted.alert.to_string().into(),
                attempted.receiver.clone().into(),
                i64::from(attempted.sent.number).into(),
            ],
        )
        .await?;
        if state != State::Claimed {
            let body = serde_json::json!({
                "alert": attempted.alert, "receiver": attempted.receiver, "number": attempted.sent.number,
                "occasion": attempted.sent.occasion, "state": state.as_str(),
                "attempts": attempted.attempts, "problem": problem,
            });
            let told = Body::Salted { text: body.to_string(), salt };
            tx.stage("notification", "delivery", now, &told).await?;
        }
        tx.commit().await?;
        Ok(state)
    }

    /// Who was told of an alert, and how it went: notification, state, problem.
    pub async fn notifications(
        &self,
        alert: AlertId,
    ) -> Result<Vec<(Notification, String, Option<String>)>, Error> {
        let reading = self.reading("read notifications");
        let sql = format!(
            "SELECT {COLUMNS}, state, problem FROM notification WHERE alert = $1 ORDER BY at, receiver, number"
        );
        let rows = reading.all(&sql, [alert.to_string().into()]).await?;
        rows.iter().map(|row| Ok((read(row)?, row.get(8)?, row.get(9)?))).collect()
    }
}
