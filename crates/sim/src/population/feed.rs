//! The population's vulnerabilities as feeds publish them: Debian's tracker, OSV's zip.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use serde_json::json;
use zip::write::SimpleFileOptions;

use super::{
    DISTRIBUTIONS, Distribution, NEWS, NEWS_FIXED, NEWS_SOURCE, Population, SOURCES, VULNERABILITIES,
};

/// Base vectors of CVSS 3.1 from low to critical.
const VECTORS: [&str; 4] = [
    "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N",
    "CVSS:3.1/AV:N/AC:H/PR:L/UI:R/S:U/C:L/I:L/A:L",
    "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:L/A:L",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
];

/// The same in the words of Debian's tracker, which knows nothing above high.
const URGENCIES: [&str; 4] = ["low", "medium", "high", "high"];

/// Writes `tracker.json` and `all.zip` into a folder; with the news where it is out.
pub fn write(population: &Population, folder: &Path, news: bool) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (place, distribution) in DISTRIBUTIONS.iter().enumerate() {
        if distribution.osv.is_none() {
            tracker(population, place, distribution, &folder.join("tracker.json"), news)?;
        }
    }
    zip(population, &folder.join("all.zip"), news)
}

fn tracker(
    population: &Population,
    place: usize,
    distribution: &Distribution,
    path: &Path,
    news: bool,
) -> io::Result<()> {
    let issue = |fixed: u32, urgency: &str| {
        let fixed = distribution.version(fixed);
        json!({"description": "made up", "scope": "remote", "releases": {
            distribution.codename: {"status": "resolved", "fixed_version": fixed, "urgency": urgency},
        }})
    };
    let mut sources = BTreeMap::new();
    for source in 0..SOURCES {
        let mut issues = BTreeMap::new();
        for number in 0..VULNERABILITIES {
            let urgency = URGENCIES.get(number as usize).copied().unwrap_or_default();
            let name = distribution.vulnerability(place, source, number);
            issues.insert(name, issue(population.fixed(place, source, number), urgency));
        }
        if news && distribution.source(source) == NEWS_SOURCE {
            issues.insert(NEWS.to_owned(), issue(NEWS_FIXED, "high"));
        }
        sources.insert(distribution.source(source), issues);
    }
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer(&mut file, &sources)?;
    file.flush()
}

fn zip(population: &Population, path: &Path, news: bool) -> io::Result<()> {
    let mut archive = zip::ZipWriter::new(BufWriter::new(File::create(path)?));
    let mut add = |name: String, record: &serde_json::Value| -> io::Result<()> {
        archive.start_file(format!("{name}.json"), SimpleFileOptions::default())?;
        serde_json::to_writer(&mut archive, record).map_err(io::Error::other)
    };
    for (place, distribution) in DISTRIBUTIONS.iter().enumerate() {
        let Some(ecosystem) = distribution.osv else { continue };
        let record = |cve: &str, source: u32, fixed: u32, vector: &str| {
            let id = format!("{}-{cve}", distribution.id.to_uppercase());
            let events = json!([{"introduced": "0"}, {"fixed": distribution.version(fixed)}]);
            let record = json!({
                "schema_version": "1.6.0", "id": id, "modified": "2026-11-01T00:00:00Z", "upstream": [cve],
                "severity": [{"type": "CVSS_V3", "score": vector}],
                "affected": [{
                    "package": {"ecosystem": ecosystem, "name": distribution.source(source)},
                    "ranges": [{"type": "ECOSYSTEM", "events": events}],
                }],
            });
            (id, record)
        };
        for source in 0..SOURCES {
            for number in 0..VULNERABILITIES {
                let cve = distribution.vulnerability(place, source, number);
                let vector = VECTORS.get(number as usize).copied().unwrap_or_default();
                let (id, record) = record(&cve, source, population.fixed(place, source, number), vector);
                add(id, &record)?;
            }
        }
        if news {
            let (id, record) = record(NEWS, 0, NEWS_FIXED, VECTORS.last().copied().unwrap_or_default());
            add(id, &record)?;
        }
    }
    archive.finish()?.flush()
}
