//! Incidents, their timelines, and which alert belongs to which, as the incident stage keeps them.
//!
//! A timeline's entries are numbered without a gap, and the number is part of the key: who
//! writes from an older look collides, and looks again. That an alert was taken is a line of
//! the same table under the alert's own identifier, numbered 0: no two incidents can take it.

use bartizan_core::id::{AlertId, IncidentId};
use bartizan_core::incident::{Entry, Happened, Incident, Origin};
use bartizan_core::monitoring::alert::Alert;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, Row, json, ms};

/// The most incidents, alerts or entries that one page holds.
pub const PAGE_LIMIT: usize = 500;

/// What one look of the incident stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursors it moves: stage, shard, from, to.
    pub cursors: Vec<(&'static str, u32, i64, i64)>,
    pub incidents: Vec<Incident>,
    /// New entries of timelines. The salt hides what people wrote in the ledger's leaf.
    pub entries: Vec<(IncidentId, Entry, Salt)>,
    /// The alerts it took, each into one incident.
    pub taken: Vec<(AlertId, IncidentId)>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

/// The line that says where an alert went.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    taken_into: IncidentId,
}

fn read(row: &Row) -> Result<Incident, Error> {
    row.json(0, "an incident")
}

impl Store {
    /// The incident with this identifier.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, Error> {
        let reading = self.reading("read an incident");
        let row = reading.one("SELECT body FROM incident WHERE id = $1", [id.to_string().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Incidents, the newest first, at most [`PAGE_LIMIT`]; only open ones where `open` says so.
    pub async fn incidents(&self, open: bool, limit: usize) -> Result<Vec<Incident>, Error> {
        let reading = self.reading("list incidents");
        let sql = "SELECT body FROM incident WHERE open >= $1 ORDER BY opened_at DESC, id DESC LIMIT $2";
        let limit = limit.min(PAGE_LIMIT) as i64;
        reading.all(sql, [i64::from(open).into(), limit.into()]).await?.iter().map(read).collect()
    }

    /// The open incidents of an origin, however many others are open.
    pub async fn open_incidents_of(&self, origin: &Origin) -> Result<Vec<Incident>, Error> {
        let reading = self.reading("find the open incidents of a rule");
        let sql = "SELECT body FROM incident WHERE open = 1 AND body LIKE $1";
        let rows = reading.all(sql, [format!("%\"{}\"%", origin.group).into()]).await?;
        let found = rows.iter().map(read).collect::<Result<Vec<Incident>, _>>()?;
        // The group may stand in a title, too.
        Ok(found.into_iter().filter(|incident| incident.origin.as_ref() == Some(origin)).collect())
    }

    /// Entries of an incident's timeline from a number on, at most [`PAGE_LIMIT`].
    pub async fn incident_entries(&self, incident: IncidentId, from: u32) -> Result<Vec<Entry>, Error> {
        let reading = self.reading("read a timeline");
        let sql = format!(
            "SELECT body FROM incident_event WHERE incident = $1 AND seq >= $2 ORDER BY seq LIMIT {PAGE_LIMIT}"
        );
        let rows = reading.all(&sql, [incident.to_string().into(), i64::from(from).into()]).await?;
        rows.iter().map(|row| row.json(0, "an entry of a timeline")).collect()
    }

    /// The incident that took an alert; none where none did.
    pub async fn incident_of(&self, alert: AlertId) -> Result<Option<IncidentId>, Error> {
        let reading = self.reading("read where an alert went");
        let sql = "SELECT body FROM incident_event WHERE incident = $1 AND seq = 0";
        let row = reading.one(sql, [alert.to_string().into()]).await?;
        let taken: Option<Taken> = row.map(|row| row.json(0, "where an alert went")).transpose()?;
        Ok(taken.map(|taken| taken.taken_into))
    }

    /// Open alerts that no incident took, the oldest first, at most `limit` after one of them.
    pub async fn untaken_alerts(
        &self,
        after: Option<(Timestamp, AlertId)>,
        limit: usize,
    ) -> Result<Vec<Alert>, Error> {
        let (at, id) = match after {
            Some((at, id)) => (ms(at), id.to_string()),
            None => (i64::MIN.into(), String::new()),
        };
        let reading = self.reading("list alerts without an incident");
        let sql = "SELECT body FROM alert
             WHERE open = 1 AND (opened_at > $1 OR (opened_at = $1 AND id > $2)) AND NOT EXISTS (
                SELECT 1 FROM incident_event WHERE incident_event.incident = alert.id AND seq = 0)
             ORDER BY opened_at, id LIMIT $3";
        let limit = limit.min(PAGE_LIMIT) as i64;
        let rows = reading.all(sql, [at, id.into(), limit.into()]).await?;
        rows.iter().map(|row| row.json(0, "an alert")).collect()
    }

    /// Writes what the incident stage did, with its cursors. A timeline that somebody else
    /// wrote on meanwhile, or an alert that they took, is a conflict: nothing is written.
    pub async fn commit_incidents(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep incidents").await?;
        for (stage, shard, from, to) in &batch.cursors {
            tx.move_cursor(stage, *shard, *from, *to).await?;
        }
        for incident in &batch.incidents {
            tx.run(
                "INSERT INTO incident (id, open, opened_at, body) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (id) DO UPDATE SET open = excluded.open, body = excluded.body",
                [
                    incident.id.to_string().into(),
                    i64::from(incident.is_open()).into(),
                    ms(incident.opened_at),
                    json(incident, "an incident")?,
                ],
            )
            .await?;
        }
        let event = "INSERT INTO incident_event (incident, seq, at, body) VALUES ($1, $2, $3, $4)";
        for (incident, entry, salt) in &batch.entries {
            let body = json(entry, "an entry of a timeline")?;
            let number = i64::from(entry.number);
            tx.run(event, [incident.to_string().into(), number.into(), ms(entry.at), body]).await?;
            let kind = match entry.happened {
                Happened::Opened { .. } => "incident_opened",
                Happened::Closed { .. } => "incident_closed",
                _ => "incident_entry",
            };
            let text = serde_json::json!({"incident": incident, "entry": entry}).to_string();
            tx.stage("incident", kind, now, &Body::Salted { text, salt: *salt }).await?;
        }
        for (alert, incident) in &batch.taken {
            let body = json(&Taken { taken_into: *incident }, "where an alert went")?;
            tx.run(event, [alert.to_string().into(), 0_i64.into(), ms(now), body]).await?;
        }
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        tx.commit().await
    }
}
