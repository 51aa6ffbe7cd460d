//! Assets: enrolling, looking up, retiring.

use std::collections::BTreeMap;

use bartizan_core::asset::{Asset, Life};
use bartizan_core::digest::Digest;
use bartizan_core::id::{AssetId, PersonId};
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::{Body, Salt};

use crate::Store;
use crate::decision::Outcome;
use crate::engine::{Error, Row, Transaction, json, ms, places};
use crate::log::Log;
use crate::tuple::BATCH;

/// The most assets that one page of a list holds.
pub const PAGE_LIMIT: usize = 1_000;

const COLUMNS: &str = "number, id, name, class, service, environment, labels, life, enrolled_at";

/// What an agent is known by: the key that its certificate was made for, and its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The digest of its public key (SubjectPublicKeyInfo).
    pub public_key: Digest,
    /// What the host says of itself (its machine-id): a hint to find clones by, never a proof.
    pub machine: String,
}

/// What one look of the asset stage writes, all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    /// The cursor it moves: stage, from, to.
    pub cursor: Option<(&'static str, i64, i64)>,
    /// Assets that move on in their life.
    pub lives: Vec<(Asset, Life)>,
    /// What ends by that.
    pub signals: Vec<(AssetNumber, Signal)>,
    /// What it ruled on decisions, by their numbers.
    pub ruled: Vec<(i64, Outcome, Salt)>,
}

/// Where an asset's reports stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub epoch: u64,
    pub sequence: u64,
    pub digest: Digest,
    pub root: Digest,
    pub observed_at: Timestamp,
    pub recorded_at: Timestamp,
    /// How many reports were recorded.
    pub reports: u64,
}

pub(crate) fn read(row: &Row) -> Result<Asset, Error> {
    Ok(Asset {
        number: row.number(0)?,
        id: row.parse(1, "an asset's identifier")?,
        name: row.get(2)?,
        class: row.parse(3, "an asset's class")?,
        service: row.get(4)?,
        environment: row.get(5)?,
        labels: row.json(6, "an asset's labels")?,
        life: row.parse(7, "an asset's life")?,
        enrolled_at: row.time(8)?,
    })
}

impl Transaction {
    /// Writes new assets; their numbers are given here, in their order.
    pub(crate) async fn insert_assets(&self, fresh: Vec<(Asset, Identity)>) -> Result<Vec<Asset>, Error> {
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.take_numbers(Log::Asset, 0, fresh.len()).await?;
        let (mut assets, mut rows) = (Vec::with_capacity(fresh.len()), Vec::with_capacity(fresh.len()));
        for (number, (mut asset, identity)) in (first..).zip(fresh) {
            asset.number = u32::try_from(number).map_err(|_| Error::Limit {
                what: "the assets ever enrolled are",
                found: usize::MAX,
                limit: u32::MAX as usize,
            })?;
            rows.push(vec![
                number.into(),
                asset.id.to_string().into(),
                asset.name.clone().into(),
                asset.class.as_str().into(),
                asset.service.clone().into(),
                asset.environment.clone().into(),
                json(&asset.labels, "labels")?,
                asset.life.as_str().into(),
                ms(asset.enrolled_at),
                identity.public_key.as_bytes().to_vec().into(),
                identity.machine.into(),
            ]);
            assets.push(asset);
        }
        let into = "asset (number, id, name, class, service, environment, labels, life, enrolled_at,
                        public_key, machine)";
        self.insert(into, &rows, "").await?;
        Ok(assets)
    }
}

impl Store {
    /// The asset with this identifier.
    pub async fn asset(&self, id: AssetId) -> Result<Option<Asset>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM asset WHERE id = $1");
        let row = self.reading("read an asset").one(&sql, [id.to_string().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// The asset with this number.
    pub async fn asset_by_number(&self, number: AssetNumber) -> Result<Option<Asset>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM asset WHERE number = $1");
        let row = self.reading("read an asset").one(&sql, [i64::from(number).into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Assets by their numbers; those that don't exist are left out.
    pub async fn assets_by_number(
        &self,
        numbers: &[AssetNumber],
    ) -> Result<BTreeMap<AssetNumber, Asset>, Error> {
        let reading = self.reading("read assets");
        let mut found = BTreeMap::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!("SELECT {COLUMNS} FROM asset WHERE number IN {}", places(1, batch.len()));
            for row in reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await? {
                let asset = read(&row)?;
                found.insert(asset.number, asset);
            }
        }
        Ok(found)
    }

    /// Assets in the order of their numbers, from `after` on, at most [`PAGE_LIMIT`].
    pub async fn assets(&self, after: Option<AssetNumber>, limit: usize) -> Result<Vec<Asset>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM asset WHERE number > $1 ORDER BY number LIMIT $2");
        let after = after.map_or(-1, i64::from);
        let limit = limit.min(PAGE_LIMIT) as i64;
        let rows = self.reading("list assets").all(&sql, [after.into(), limit.into()]).await?;
        rows.iter().map(read).collect()
    }

    /// Whose life changed, from a number of that log on, in their order.
    pub async fn asset_lives(&self, from: i64, limit: usize) -> Result<Vec<(i64, AssetNumber)>, Error> {
        let reading = self.reading("read whose life changed");
        let sql = "SELECT seq, number FROM asset_life WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let rows = reading.all(sql, [from.into(), (limit as i64).into()]).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.number(1)?))).collect()
    }

    /// Assets by name; more than one host may bear the same.
    pub async fn assets_named(&self, name: &str) -> Result<Vec<Asset>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM asset WHERE name = $1 ORDER BY number LIMIT {PAGE_LIMIT}");
        let rows = self.reading("read assets by name").all(&sql, [name.into()]).await?;
        rows.iter().map(read).collect()
    }

    /// What an asset's agent is known by.
    pub async fn asset_identity(&self, id: AssetId) -> Result<Option<Identity>, Error> {
        let reading = self.reading("read an asset's identity");
        let sql = "SELECT public_key, machine FROM asset WHERE id = $1";
        let row = reading.one(sql, [id.to_string().into()]).await?;
        row.map(|row| Ok(Identity { public_key: row.digest(0)?, machine: row.get(1)? })).transpose()
    }

    /// An asset, what its agent is known by, and where its reports stand, in one read: what a check-in asks for.
    pub async fn asset_at_checkin(
        &self,
        id: AssetId,
    ) -> Result<Option<(Asset, Identity, Option<Standing>)>, Error> {
        let reading = self.reading("read an asset that checks in");
        let sql = format!(
            "SELECT asset.{}, public_key, machine, epoch, sequence, digest, root, observed_at, recorded_at, reports
             FROM asset LEFT JOIN asset_report ON asset_report.number = asset.number WHERE id = $1",
            COLUMNS
        );
        let Some(row) = reading.one(&sql, [id.to_string().into()]).await? else { return Ok(None) };
        let identity = Identity { public_key: row.digest(9)?, machine: row.get(10)? };
        let reported: Option<i64> = row.get(11)?;
        let standing = reported.map(|_| standing_from(&row, 11)).transpose()?;
        Ok(Some((read(&row)?, identity, standing)))
    }

    /// Where an asset's reports stand; none before its first.
    pub async fn asset_standing(&self, number: AssetNumber) -> Result<Option<Standing>, Error> {
        let reading = self.reading("read where an asset's reports stand");
        let sql = "SELECT epoch, sequence, digest, root, observed_at, recorded_at, reports
                   FROM asset_report WHERE number = $1";
        let row = reading.one(sql, [i64::from(number).into()]).await?;
        row.as_ref().map(standing).transpose()
    }

    /// Writes assets down that no agent runs on, all of them or none. A name that an asset bears which
    /// was not retired is a conflict: two of one name could not be told apart.
    pub async fn declare_assets(
        &self,
        assets: Vec<Asset>,
        by: PersonId,
        now: Timestamp,
    ) -> Result<Vec<Asset>, Error> {
        let tx = self.begin("declare assets").await?;
        // No key has this digest: nobody enrols as one of them.
        let nobody = Identity { public_key: Digest::from_bytes([0; 32]), machine: String::new() };
        let mut declared = Vec::with_capacity(assets.len());
        for asset in assets {
            let sql = "SELECT number FROM asset WHERE name = $1 AND life <> 'retired' LIMIT 1";
            if tx.one(sql, [asset.name.clone().into()]).await?.is_some() {
                return Err(Error::Conflict(format!("there is an asset `{}` already", asset.name)));
            }
            let fresh = vec![(Asset { life: Life::Declared, ..asset }, nobody.clone())];
            for asset in tx.insert_assets(fresh).await? {
                let body = serde_json::json!({"asset": asset, "by": by}).to_string();
                tx.stage("asset", "asset_declared", now, &Body::Open(body)).await?;
                declared.push(asset);
            }
        }
        tx.commit().await?;
        Ok(declared)
    }

    /// Whether any asset that was not retired belongs to a service. Where none does, every asset was looked at:
    /// this is for what a person asks once, and for no list.
    pub async fn has_service(&self, service: &str) -> Result<bool, Error> {
        let reading = self.reading("look for a service's assets");
        let sql = "SELECT number FROM asset WHERE service = $1 AND life <> 'retired' LIMIT 1";
        Ok(reading.one(sql, [service.into()]).await?.is_some())
    }

    /// How many assets no agent runs on.
    pub async fn declared_assets(&self) -> Result<u64, Error> {
        let reading = self.reading("count declared assets");
        let row = reading.one("SELECT COUNT(*) FROM asset WHERE life = 'declared'", []).await?;
        row.map_or(Ok(0), |row| row.number(0))
    }

    /// Writes what the asset stage ruled, with its cursor and what follows. Retiring takes an asset's
    /// posture away, by a transition.
    pub async fn commit_assets(&self, batch: &Batch, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("change assets' lives").await?;
        if let Some((stage, from, to)) = batch.cursor {
            tx.move_cursor(stage, 0, from, to).await?;
        }
        for (asset, life) in &batch.lives {
            let number = i64::from(asset.number);
            tx.run("UPDATE asset SET life = $1 WHERE number = $2", [life.as_str().into(), number.into()])
                .await?;
            if *life == Life::Retired {
                tx.clear_posture(asset.number, now).await?;
            }
            let body = serde_json::json!({"asset": asset.id, "life": life.as_str()}).to_string();
            tx.stage("asset", "asset_life", now, &Body::Open(body)).await?;
        }
        if !batch.lives.is_empty() {
            let first = tx.take_numbers(Log::Life, 0, batch.lives.len()).await?;
            let row = |(seq, (asset, life)): (i64, &(Asset, Life))| {
                vec![seq.into(), i64::from(asset.number).into(), life.as_str().into(), ms(now)]
            };
            let rows: Vec<_> = (first..).zip(&batch.lives).map(row).collect();
            tx.insert("asset_life (seq, number, life, at)", &rows, "").await?;
        }
        for (seq, outcome, salt) in &batch.ruled {
            tx.rule(*seq, outcome, now, *salt).await?;
        }
        let signals: Vec<_> = batch.signals.iter().map(|(number, signal)| (*number, signal)).collect();
        tx.append_signals(&signals).await?;
        tx.commit().await
    }
}

pub(crate) fn standing(row: &Row) -> Result<Standing, Error> {
    standing_from(row, 0)
}

/// A standing whose columns begin at this one.
fn standing_from(row: &Row, first: usize) -> Result<Standing, Error> {
    Ok(Standing {
        epoch: row.number(first)?,
        sequence: row.number(first + 1)?,
        digest: row.digest(first + 2)?,
        root: row.digest(first + 3)?,
        observed_at: row.time(first + 4)?,
        recorded_at: row.time(first + 5)?,
        reports: row.number(first + 6)?,
    })
}
