//! Sections of facts: each body once, however many assets share it.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::digest::Digest;
use bartizan_core::posture::AssetNumber;
use bartizan_core::time::Timestamp;

use crate::Store;
use crate::engine::{Error, Transaction, bytes, ms, places};
use crate::report::Report;
use crate::tuple::BATCH;

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

/// Bodies as they are kept, by their hash.
pub(crate) type Packed = BTreeMap<Digest, Vec<u8>>;

fn pack(body: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(body, COMPRESSION_LEVEL).map_err(|error| Error::corrupt("a section", error))
}

impl Transaction {
    /// Keeps bodies under their hashes. What is there already is neither packed nor written again.
    pub(crate) async fn put_bodies(
        &self,
        bodies: &BTreeMap<Digest, &[u8]>,
        packed: &Packed,
    ) -> Result<(), Error> {
        let hashes: Vec<&Digest> = bodies.keys().collect();
        let mut held = BTreeSet::new();
        for batch in hashes.chunks(BATCH) {
            // Held until the end: what nobody refers to yet may be about to be swept.
            let sql = format!(
                "SELECT hash FROM section WHERE hash IN {} ORDER BY hash{}",
                places(1, batch.len()),
                self.for_share()
            );
            for row in self.all(&sql, batch.iter().map(|hash| bytes(hash))).await? {
                held.insert(row.digest(0)?);
            }
        }
        let mut rows = Vec::new();
        for (hash, body) in bodies.iter().filter(|(hash, _)| !held.contains(*hash)) {
            let packed = match packed.get(hash) {
                Some(packed) => packed.clone(),
                None => pack(body)?,
            };
            rows.push(vec![bytes(hash), packed.into()]);
        }
        self.insert("section (hash, body)", &rows, "ON CONFLICT (hash) DO NOTHING").await.map(drop)
    }

    /// Says which bodies assets' sections have now.
    pub(crate) async fn put_asset_sections(&self, sections: &[(AssetNumber, &Section)]) -> Result<(), Error> {
        let row = |(number, section): &(AssetNumber, &Section)| {
            vec![
                i64::from(*number).into(),
                section.name.clone().into(),
                bytes(&section.hash),
                ms(section.observed_at),
                ms(section.recorded_at),
            ]
        };
        let rows: Vec<_> = sections.iter().map(row).collect();
        let tail = "ON CONFLICT (number, name) DO UPDATE SET hash = excluded.hash,
                        observed_at = excluded.observed_at, recorded_at = excluded.recorded_at";
        self.insert("asset_section (number, name, hash, observed_at, recorded_at)", &rows, tail)
            .await
            .map(drop)
    }
}

impl Store {
    /// Packs the bodies that reports bring and that are not there, each once however many bring it.
    pub(crate) async fn pack_bodies(&self, reports: &[Report]) -> Result<Packed, Error> {
        let sections = reports.iter().flat_map(|report| &report.sections);
        let bodies: BTreeMap<&Digest, &Vec<u8>> =
            sections.filter_map(|section| Some((&section.hash, section.body.as_ref()?))).collect();
        let hashes: Vec<&Digest> = bodies.keys().copied().collect();
        let reading = self.reading("look which sections are there");
        let mut held = BTreeSet::new();
        for batch in hashes.chunks(BATCH) {
            let sql = format!("SELECT hash FROM section WHERE hash IN {}", places(1, batch.len()));
            for row in reading.all(&sql, batch.iter().map(|hash| bytes(hash))).await? {
                held.insert(row.digest(0)?);
            }
        }
        let missing = bodies.into_iter().filter(|(hash, _)| !held.contains(*hash));
        missing.map(|(hash, body)| Ok((*hash, pack(body)?))).collect()
    }

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

    /// Each body that assets have of one section, with the assets that share it. Others have none.
    pub async fn shared_section(
        &self,
        numbers: &[AssetNumber],
        name: &str,
    ) -> Result<Vec<(Vec<AssetNumber>, Vec<u8>)>, Error> {
        let reading = self.reading("read a section of assets");
        let mut sharing: BTreeMap<Digest, Vec<AssetNumber>> = BTreeMap::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!(
                "SELECT number, hash FROM asset_section WHERE name = $1 AND number IN {}",
                places(2, batch.len())
            );
            let values = batch.iter().map(|number| i64::from(*number).into());
            for row in reading.all(&sql, std::iter::once(name.into()).chain(values)).await? {
                sharing.entry(row.digest(1)?).or_default().push(row.number(0)?);
            }
        }
        let mut found = Vec::new();
        for (hash, assets) in sharing {
            if let Some(body) = self.section_body(&hash).await? {
                found.push((assets, body));
            }
        }
        Ok(found)
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
