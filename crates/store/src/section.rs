//! Sections of facts: each body once, however many assets share it.

use bartizan_core::digest::Digest;
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;

use crate::Store;
use crate::engine::{Error, Transaction, bytes, ms};

/// The largest body of a section, in bytes of canonical JSON: a host with 20,000 packages.
pub const BODY_BYTES_LIMIT: usize = 16 << 20;

/// How hard bodies are compressed: they are written once and read seldom.
const COMPRESSION_LEVEL: i32 = 3;

/// One section of an asset, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub hash: Digest,
    pub observed_at: Timestamp,
    pub recorded_at: Timestamp,
}

impl Transaction {
    /// Keeps a body under its hash.
    pub(crate) async fn put_section(&self, hash: &Digest, body: &[u8]) -> Result<(), Error> {
        let packed = zstd::bulk::compress(body, COMPRESSION_LEVEL)
            .map_err(|error| Error::corrupt("a section", error))?;
        let sql = "INSERT INTO section (hash, body) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
        self.run(sql, [bytes(hash), packed.into()]).await.map(drop)
    }

    pub(crate) async fn has_section(&self, hash: &Digest) -> Result<bool, Error> {
        Ok(self.one("SELECT 1 FROM section WHERE hash = $1", [bytes(hash)]).await?.is_some())
    }

    /// Says which body an asset's section has now.
    pub(crate) async fn set_asset_section(
        &self,
        number: AssetNumber,
        section: &Section,
    ) -> Result<(), Error> {
        self.run(
            "INSERT INTO asset_section (number, name, hash, observed_at, recorded_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (number, name) DO UPDATE SET hash = excluded.hash,
                observed_at = excluded.observed_at, recorded_at = excluded.recorded_at",
            [
                i64::from(number).into(),
                section.name.clone().into(),
                bytes(&section.hash),
                ms(section.observed_at),
                ms(section.recorded_at),
            ],
        )
        .await
        .map(drop)
    }
}

impl Store {
    /// The sections of an asset, by name.
    pub async fn sections(&self, number: AssetNumber) -> Result<Vec<Section>, Error> {
        let reading = self.reading("read an asset's sections");
        let sql =
            "SELECT name, hash, observed_at, recorded_at FROM asset_section WHERE number = $1 ORDER BY name";
        let rows = reading.all(sql, [i64::from(number).into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(Section {
                    name: row.get(0)?,
                    hash: row.digest(1)?,
                    observed_at: row.time(2)?,
                    recorded_at: row.time(3)?,
                })
            })
            .collect()
    }

    /// The body under a hash: canonical JSON.
    pub async fn section_body(&self, hash: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let reading = self.reading("read a section");
        let row = reading.one("SELECT body FROM section WHERE hash = $1", [bytes(hash)]).await?;
        let Some(row) = row else { return Ok(None) };
        let packed: Vec<u8> = row.get(0)?;
        let body = zstd::bulk::decompress(&packed, BODY_BYTES_LIMIT);
        body.map(Some).map_err(|error| Error::corrupt("a section", error))
    }

    /// The body of an asset's section of this name.
    pub async fn asset_section(&self, number: AssetNumber, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let reading = self.reading("read a section");
        let sql = "SELECT section.body FROM asset_section JOIN section ON section.hash = asset_section.hash
                   WHERE number = $1 AND name = $2";
        let row = reading.one(sql, [i64::from(number).into(), name.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let packed: Vec<u8> = row.get(0)?;
        let body = zstd::bulk::decompress(&packed, BODY_BYTES_LIMIT);
        body.map(Some).map_err(|error| Error::corrupt("a section", error))
    }
}
