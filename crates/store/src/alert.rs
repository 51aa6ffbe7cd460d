//! Alerts and their members, as the alert stage keeps them.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::digest::Digest;
use bartizan_core::id::{AlertId, AssetId};
use bartizan_core::monitoring::alert::{Alert, Member, Stage};
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, Row, Transaction, bytes, json, ms, places};
use crate::tuple::BATCH;

/// The most alerts or members that one page holds.
pub const PAGE_LIMIT: usize = 500;

/// One place of one asset in an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub member: Digest,
    pub asset: AssetId,
    pub object: String,
    /// What was said of it last.
    pub summary: String,
    pub standing: Member,
}

/// What one look of the alert stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursors it moves: stage, shard, from, to.
    pub cursors: Vec<(&'static str, u32, i64, i64)>,
    pub alerts: Vec<Alert>,
    pub places: Vec<(AlertId, Place)>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

fn read(row: &Row) -> Result<Alert, Error> {
    row.json(0, "an alert")
}

fn place(row: &Row) -> Result<Place, Error> {
    Ok(Place {
        member: row.digest(0)?,
        asset: row.parse(1, "an asset's identifier")?,
        object: row.get(2)?,
        summary: row.get(3)?,
        standing: row.json(4, "an alert's member")?,
    })
}

impl Store {
    /// The alerts that this asset's signals have opened since then.
    pub async fn alerts_opened_by(&self, asset: AssetId, since: Timestamp) -> Result<Vec<Alert>, Error> {
        let reading = self.reading("count the alerts that an asset opened");
        // An alert's identifier holds when it was made, by this server's clock: its own stamp is the agent's.
        let first = AlertId::mint(since, [0; 10]).to_string();
        let sql = "SELECT body FROM alert WHERE id >= $1 AND body LIKE $2";
        let opener = format!("%\"opened_by\":\"{asset}\"%");
        let rows = reading.all(sql, [first.into(), opener.into()]).await?;
        let alerts: Vec<Alert> = rows.iter().map(|row| row.json(0, "an alert")).collect::<Result<_, _>>()?;
        // The text may stand in a summary, too: an agent words those.
        Ok(alerts.into_iter().filter(|alert| alert.opened_by == Some(asset)).collect())
    }

    /// The open alert of a group.
    pub async fn open_alert(&self, group: &Digest) -> Result<Option<Alert>, Error> {
        let reading = self.reading("read an alert");
        let sql = "SELECT body FROM alert WHERE group_key = $1 AND open = 1";
        reading.one(sql, [bytes(group)]).await?.as_ref().map(read).transpose()
    }

    /// The alert with this identifier.
    pub async fn alert(&self, id: AlertId) -> Result<Option<Alert>, Error> {
        let reading = self.reading("read an alert");
        let row = reading.one("SELECT body FROM alert WHERE id = $1", [id.to_string().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Alerts, the newest first; only open ones where `open` says so.
    pub async fn alerts(&self, open: bool, limit: usize) -> Result<Vec<Alert>, Error> {
        let reading = self.reading("list alerts");
        let sql = "SELECT body FROM alert WHERE open >= $1 ORDER BY opened_at DESC, id DESC LIMIT $2";
        let limit = limit.min(PAGE_LIMIT) as i64;
        reading.all(sql, [i64::from(open).into(), limit.into()]).await?.iter().map(read).collect()
    }

    /// How many alerts are open, and how many of them nobody has taken on.
    pub async fn open_alert_counts(&self) -> Result<(u64, u64), Error> {
        let reading = self.reading("count the open alerts");
        let sql = "SELECT COUNT(*), COUNT(CASE WHEN acknowledged = 0 THEN 1 END) FROM alert WHERE open = 1";
        let row = reading.one(sql, []).await?;
        let read = |row: Row| Ok((row.number(0)?, row.number(1)?));
        row.map(read).transpose().map(Option::unwrap_or_default)
    }

    /// Every asset that fires in an open alert of a kind, however many alerts are open.
    pub async fn firing_assets(&self, kind: Kind) -> Result<BTreeSet<AssetId>, Error> {
        let reading = self.reading("read who fires");
        let open = reading.all("SELECT body FROM alert WHERE open = 1", []).await?;
        let mut firing = BTreeSet::new();
        for alert in open.iter().map(read).collect::<Result<Vec<_>, _>>()? {
            if alert.group.kind != kind {
                continue;
            }
            let sql = "SELECT asset, standing FROM alert_member WHERE alert = $1";
            for row in reading.all(sql, [alert.id.to_string().into()]).await? {
                if let Member::Firing { .. } = row.json(1, "an alert's member")? {
                    firing.insert(row.parse(0, "an asset's identifier")?);
                }
            }
        }
        Ok(firing)
    }

    /// Alerts that are open or changed at or after a time, the oldest first: those after the last of the page
    /// before, at most [`PAGE_LIMIT`].
    pub async fn alerts_changed(
        &self,
        since: Timestamp,
        after: Option<(Timestamp, AlertId)>,
    ) -> Result<Vec<Alert>, Error> {
        let reading = self.reading("list alerts");
        let sql = "SELECT body FROM alert
                   WHERE (open = 1 OR changed_at >= $1) AND (opened_at, id) > ($2, $3)
                   ORDER BY opened_at, id LIMIT $4";
        let after = after.map_or((i64::MIN, String::new()), |(at, id)| (at.as_millis(), id.to_string()));
        let values = [ms(since), after.0.into(), after.1.into(), (PAGE_LIMIT as i64).into()];
        reading.all(sql, values).await?.iter().map(read).collect()
    }

    /// How many places an asset has in an alert.
    pub async fn alert_places_of(&self, alert: AlertId, asset: AssetId) -> Result<u64, Error> {
        let reading = self.reading("count an asset's places in an alert");
        let sql = "SELECT COUNT(*) FROM alert_member WHERE alert = $1 AND asset = $2";
        let row = reading.one(sql, [alert.to_string().into(), asset.to_string().into()]).await?;
        row.map_or(Ok(0), |row| row.number(0))
    }

    /// The places of an alert, at most [`PAGE_LIMIT`].
    pub async fn alert_places(&self, alert: AlertId) -> Result<Vec<Place>, Error> {
        let reading = self.reading("read an alert's members");
        let sql = format!(
            "SELECT member, asset, object, summary, standing FROM alert_member
             WHERE alert = $1 ORDER BY asset, object LIMIT {PAGE_LIMIT}"
        );
        reading.all(&sql, [alert.to_string().into()]).await?.iter().map(place).collect()
    }

    /// How one place of an alert stands.
    pub async fn alert_member(&self, alert: AlertId, member: &Digest) -> Result<Option<Member>, Error> {
        let reading = self.reading("read an alert's member");
        let sql = "SELECT standing FROM alert_member WHERE alert = $1 AND member = $2";
        let row = reading.one(sql, [alert.to_string().into(), bytes(member)]).await?;
        row.map(|row| row.json(0, "an alert's member")).transpose()
    }

    /// Writes what the alert stage found, with its cursors.
    pub async fn commit_alerts(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("keep alerts").await?;
        for (stage, shard, from, to) in &batch.cursors {
            tx.move_cursor(stage, *shard, *from, *to).await?;
        }
        tx.put_alerts(&batch.alerts, now).await?;
        let mut rows = Vec::with_capacity(batch.places.len());
        for (alert, place) in &batch.places {
            rows.push(vec![
                alert.to_string().into(),
                bytes(&place.member),
                place.asset.to_string().into(),
                place.object.clone().into(),
                place.summary.clone().into(),
                json(&place.standing, "an alert's member")?,
            ]);
        }
        let tail = "ON CONFLICT (alert, member) DO UPDATE SET summary = excluded.summary,
                        standing = excluded.standing";
        tx.insert("alert_member (alert, member, asset, object, summary, standing)", &rows, tail).await?;
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        tx.commit().await
    }
}

impl Transaction {
    /// Writes alerts, each once, and stages for the ledger which of them opened or ended.
    async fn put_alerts(&self, alerts: &[Alert], now: Timestamp) -> Result<(), Error> {
        let mut before: BTreeMap<String, i64> = BTreeMap::new();
        for some in alerts.chunks(BATCH) {
            let sql = format!("SELECT id, open FROM alert WHERE id IN {}", places(1, some.len()));
            for row in self.all(&sql, some.iter().map(|alert| alert.id.to_string().into())).await? {
                before.insert(row.get(0)?, row.get(1)?);
            }
        }
        let (mut rows, mut told) = (Vec::with_capacity(alerts.len()), Vec::new());
        for alert in alerts {
            let (id, open) = (alert.id.to_string(), i64::from(alert.stage == Stage::Open));
            if before.get(&id) != Some(&open) {
                let kind = if open == 1 { "alert_opened" } else { "alert_ended" };
                let body =
                    serde_json::json!({"alert": alert.id, "group": alert.group, "severity": alert.severity});
                told.push((kind, Body::Open(body.to_string())));
            }
            rows.push(vec![
                id.into(),
                bytes(&alert.group.key()),
                open.into(),
                ms(alert.opened_at),
                ms(now),
                json(alert, "an alert")?,
                i64::from(alert.acknowledged.is_some()).into(),
            ]);
        }
        let tail = "ON CONFLICT (id) DO UPDATE SET open = excluded.open, changed_at = excluded.changed_at,
                        body = excluded.body, acknowledged = excluded.acknowledged";
        let into = "alert (id, group_key, open, opened_at, changed_at, body, acknowledged)";
        self.insert(into, &rows, tail).await?;
        let entries: Vec<_> = told.iter().map(|(kind, body)| (*kind, now, body)).collect();
        self.stage_all("alert", &entries).await
    }
}
