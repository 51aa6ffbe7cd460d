//! Enrolment keys, and the enrolments they are used up by.

use bartizan_core::asset::Asset;
use bartizan_core::digest::Digest;
use bartizan_core::enrolment::{Key, Refusal};
use bartizan_core::id::AssetId;
use bartizan_core::time::Timestamp;
use bartizan_ledger::entry::Body;
use std::net::IpAddr;

use crate::Store;
use crate::asset::Identity;
use crate::engine::{Error, Row, bytes, json, ms};

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

fn read(row: &Row) -> Result<Key, Error> {
    Ok(Key {
        id: row.parse(0, "an enrolment key's identifier")?,
        uses_left: row.number(1)?,
        expires_at: row.time(2)?,
        grant: row.json(3, "an enrolment key's grant")?,
    })
}

impl Store {
    /// Keeps a new key; `secret` is the digest of what is shown once.
    pub async fn create_enrolment_key(&self, key: &Key, secret: Digest, now: Timestamp) -> Result<(), Error> {
        let tx = self.begin("create an enrolment key").await?;
        tx.run(
            "INSERT INTO enrolment_key (id, secret, uses_left, expires_at, grants, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            [
                key.id.to_string().into(),
                bytes(&secret),
                i64::from(key.uses_left).into(),
                ms(key.expires_at),
                json(&key.grant, "a grant")?,
                ms(now),
            ],
        )
        .await?;
        let body = serde_json::json!({
            "key": key.id, "uses": key.uses_left, "expires_at": key.expires_at, "grant": key.grant,
        });
        tx.stage("enrolment", "enrolment_key", now, &Body::Open(body.to_string())).await?;
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
        let sql = "SELECT id, uses_left, expires_at, grants FROM enrolment_key WHERE secret = $1";
        let row = reading.one(sql, [bytes(secret)]).await?;
        let key = row.as_ref().map(read).transpose()?;
        Ok(key.map_or(Err(Refusal::Unknown), |key| key.admit(address, now).map(drop)))
    }

    /// Enrols a host: one use of its key and the new asset, in one transaction. The inner
    /// error says why the host may not; then nothing is used up.
    pub async fn enrol(&self, request: Request) -> Result<Result<Asset, Refusal>, Error> {
        let tx = self.begin("enrol a host").await?;
        // The row is locked by the update, so that a key with one use is used once.
        let row = tx
            .one(
                "UPDATE enrolment_key SET uses_left = uses_left WHERE secret = $1
                 RETURNING id, uses_left, expires_at, grants",
                [bytes(&request.secret)],
            )
            .await?;
        let Some(key) = row.as_ref().map(read).transpose()? else { return Ok(Err(Refusal::Unknown)) };
        let life = match key.admit(request.address, request.now) {
            Ok(life) => life,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = key.id.to_string();
        tx.run("UPDATE enrolment_key SET uses_left = uses_left - 1 WHERE id = $1", [id.clone().into()])
            .await?;
        let asset = Asset {
            id: request.fresh,
            number: 0,
            name: request.name,
            class: key.grant.class,
            service: key.grant.service,
            environment: key.grant.environment,
            labels: key.grant.labels,
            life,
            enrolled_at: request.now,
        };
        let asset = tx.insert_asset(asset, &request.identity).await?;
        let body = serde_json::json!({"asset": asset, "key": id, "public_key": request.identity.public_key});
        tx.stage("enrolment", "enrolment", request.now, &Body::Open(body.to_string())).await?;
        tx.commit().await?;
        Ok(Ok(asset))
    }
}
