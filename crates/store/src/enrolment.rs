//! Enrolment keys, and the enrolments they are used up by.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bartizan_core::asset::Asset;
use bartizan_core::digest::Digest;
use bartizan_core::enrolment::{Key, Refusal};
use bartizan_core::id::{AssetId, EnrolmentKeyId, PersonId};
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::Body;

use crate::Store;
use crate::asset::Identity;
use crate::engine::{Error, Row, Transaction, bytes, json, ms, places};
use crate::person::By;

/// The most hosts that one transaction enrols.
pub const BATCH_LIMIT: usize = 256;

/// The most keys that one page holds.
pub const PAGE_LIMIT: usize = 200;

/// A key, and by whose hands it came and went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub key: Key,
    pub at: Timestamp,
    /// Nobody where the server's own machine did, or an earlier program kept no name.
    pub by: Option<PersonId>,
    pub revoked_by: Option<PersonId>,
}

/// Who asks to be enrolled.
#[derive(Clone, Debug)]
pub struct Request {
    /// The digest of the key's secret.
    pub secret: Digest,
    pub address: IpAddr,
    pub name: String,
    pub identity: Identity,
    /// The identifier that the asset gets.
    pub fresh: AssetId,
    pub now: Timestamp,
}

/// What is read of a key and of who made it.
const MADE: &str = "id, uses_left, expires_at, grants, revoked_at, created_at, made_by, revoked_by";

fn read(row: &Row) -> Result<Key, Error> {
    Ok(Key {
        id: row.parse(0, "an enrolment key's identifier")?,
        uses_left: row.number(1)?,
        expires_at: row.time(2)?,
        grant: row.json(3, "an enrolment key's grant")?,
        revoked_at: row.get::<Option<i64>>(4)?.map(Timestamp::from_millis),
    })
}

fn made(row: &Row) -> Result<Made, Error> {
    Ok(Made { key: read(row)?, at: row.time(5)?, by: person(row, 6)?, revoked_by: person(row, 7)? })
}

fn person(row: &Row, column: usize) -> Result<Option<PersonId>, Error> {
    let id: Option<String> = row.get(column)?;
    let id = id.map(|id| id.parse()).transpose();
    id.map_err(|error| Error::corrupt("a person's identifier", error))
}

impl Store {
    /// Keeps a new key; `secret` is the digest of what is shown once, and nobody made it where the
    /// server's own machine did.
    pub async fn create_enrolment_key(
        &self,
        key: &Key,
        secret: Digest,
        by: Option<By>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("create an enrolment key").await?;
        tx.run(
            "INSERT INTO enrolment_key (id, secret, uses_left, expires_at, grants, created_at, made_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                key.id.to_string().into(),
                bytes(&secret),
                i64::from(key.uses_left).into(),
                ms(key.expires_at),
                json(&key.grant, "a grant")?,
                ms(now),
                by.map(|by| by.person.to_string()).into(),
            ],
        )
        .await?;
        let told = serde_json::json!({
            "key": key.id, "uses": key.uses_left, "expires_at": key.expires_at, "grant": key.grant,
            "by": by.map(|by| by.person),
        });
        let text = told.to_string();
        let body = match by {
            None => Body::Open(text),
            Some(By { salt, .. }) => Body::Salted { text, salt },
        };
        tx.stage("enrolment", "enrolment_key", now, &body).await?;
        tx.commit().await
    }

    /// Whether a key would admit a host now, read without a write: most that is sent to an open door is
    /// refused here.
    pub async fn admits(
        &self,
        secret: &Digest,
        address: std::net::IpAddr,
        now: Timestamp,
    ) -> Result<Result<(), Refusal>, Error> {
        let reading = self.reading("read an enrolment key");
        let sql = "SELECT id, uses_left, expires_at, grants, revoked_at FROM enrolment_key WHERE secret = $1";
        let row = reading.one(sql, [bytes(secret)]).await?;
        let key = row.as_ref().map(read).transpose()?;
        Ok(key.map_or(Err(Refusal::Unknown), |key| key.admit(address, now).map(drop)))
    }

    /// Keys, the newest first, at most [`PAGE_LIMIT`]; only those that let hosts in now where `all` does not
    /// ask for the others.
    pub async fn enrolment_keys(&self, all: bool, now: Timestamp) -> Result<Vec<Made>, Error> {
        let reading = self.reading("list enrolment keys");
        let sql = format!(
            "SELECT {MADE} FROM enrolment_key
             WHERE $1 = 1 OR (uses_left > 0 AND expires_at > $2 AND revoked_at IS NULL)
             ORDER BY created_at DESC, id DESC LIMIT {PAGE_LIMIT}"
        );
        reading.all(&sql, [i64::from(all).into(), ms(now)]).await?.iter().map(made).collect()
    }

    /// The key with this identifier.
    pub async fn enrolment_key(&self, id: EnrolmentKeyId) -> Result<Option<Made>, Error> {
        let reading = self.reading("read an enrolment key");
        let sql = format!("SELECT {MADE} FROM enrolment_key WHERE id = $1");
        reading.one(&sql, [id.to_string().into()]).await?.as_ref().map(made).transpose()
    }

    /// Lets nobody in by a key any more; who enrolled by it stays. A conflict where it was revoked before.
    pub async fn revoke_enrolment_key(
        &self,
        id: EnrolmentKeyId,
        by: By,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("revoke an enrolment key").await?;
        let sql = "UPDATE enrolment_key SET revoked_at = $1, revoked_by = $2
                   WHERE id = $3 AND revoked_at IS NULL";
        let values = [ms(now), by.person.to_string().into(), id.to_string().into()];
        if tx.run(sql, values).await? == 0 {
            return Err(Error::Conflict(format!("there is no enrolment key `{id}` that is not revoked")));
        }
        let text = serde_json::json!({"key": id, "by": by.person}).to_string();
        let body = Body::Salted { text, salt: by.salt };
        tx.stage("enrolment", "enrolment_key_revoked", now, &body).await?;
        tx.commit().await
    }

    /// Enrols one host, as [`Store::enrol_all`] does many.
    pub async fn enrol(&self, request: Request) -> Result<Result<Asset, Refusal>, Error> {
        let enrolled = self.enrol_all(&[request]).await?.pop();
        enrolled.ok_or_else(|| Error::corrupt("an enrolment", "it has no outcome"))
    }

    /// Enrols hosts: for each one use of its key and the new asset, all in one transaction. The inner
    /// errors say why a host may not; then nothing is used up for it.
    pub async fn enrol_all(&self, requests: &[Request]) -> Result<Vec<Result<Asset, Refusal>>, Error> {
        if requests.len() > BATCH_LIMIT {
            let (found, limit) = (requests.len(), BATCH_LIMIT);
            return Err(Error::Limit { what: "the enrolments of one batch are", found, limit });
        }
        let tx = self.begin("enrol hosts").await?;
        let mut keys = tx.enrolment_keys(requests).await?;
        let mut outcomes = Vec::with_capacity(requests.len());
        let (mut fresh, mut told) = (Vec::new(), Vec::new());
        for request in requests {
            let admitted = match keys.get_mut(&request.secret) {
                None => Err(Refusal::Unknown),
                Some(key) => key.admit(request.address, request.now).map(|life| (key, life)),
            };
            outcomes.push(admitted.map(|(key, life)| {
                key.uses_left = key.uses_left.saturating_sub(1);
                let asset = Asset {
                    id: request.fresh,
                    number: 0,
                    name: request.name.clone(),
                    class: key.grant.class,
                    service: key.grant.service.clone(),
                    environment: key.grant.environment.clone(),
                    labels: key.grant.labels.clone(),
                    life,
                    enrolled_at: request.now,
                };
                told.push((key.id, request.identity.public_key, request.now));
                fresh.push((asset, request.identity.clone()));
                fresh.len() - 1
            }));
        }
        let used: BTreeSet<EnrolmentKeyId> = told.iter().map(|(key, ..)| *key).collect();
        for key in keys.values().filter(|key| used.contains(&key.id)) {
            let sql = "UPDATE enrolment_key SET uses_left = $1 WHERE id = $2";
            tx.run(sql, [i64::from(key.uses_left).into(), key.id.to_string().into()]).await?;
        }
        let assets = tx.insert_assets(fresh).await?;
        let body = |(asset, (key, public_key, at)): (&Asset, &(EnrolmentKeyId, Digest, Timestamp))| {
            let body = serde_json::json!({"asset": asset, "key": key, "public_key": public_key});
            (*at, Body::Open(body.to_string()))
        };
        let bodies: Vec<(Timestamp, Body)> = assets.iter().zip(&told).map(body).collect();
        let entries: Vec<_> = bodies.iter().map(|(at, body)| ("enrolment", *at, body)).collect();
        tx.stage_all("enrolment", &entries).await?;
        tx.commit().await?;
        let enrolled = |place: usize| assets.get(place).cloned();
        let gone = || Error::corrupt("an enrolment", "it has no asset");
        outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Ok(place) => enrolled(place).ok_or_else(gone).map(Ok),
                Err(refusal) => Ok(Err(refusal)),
            })
            .collect()
    }
}

impl Transaction {
    /// The keys that requests name, by their secret. The rows are held, so that a key with one use is
    /// used once.
    async fn enrolment_keys(&self, requests: &[Request]) -> Result<BTreeMap<Digest, Key>, Error> {
        let secrets: BTreeSet<&Digest> = requests.iter().map(|request| &request.secret).collect();
        if secrets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = format!(
            "SELECT id, uses_left, expires_at, grants, revoked_at, secret FROM enrolment_key WHERE secret IN {}
             ORDER BY id{}",
            places(1, secrets.len()),
            self.for_update()
        );
        let rows = self.all(&sql, secrets.into_iter().map(bytes)).await?;
        rows.iter().map(|row| Ok((row.digest(5)?, read(row)?))).collect()
    }
}
