//! CISA's catalogue of known exploited vulnerabilities
//! (<https://www.cisa.gov/known-exploited-vulnerabilities-catalog>).

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The feed's name.
pub const FEED: &str = "kev";

/// The largest catalogue, in bytes: today's has 1.5 MB.
pub const BYTES: u64 = 64 << 20;

/// The most entries: today's has some 1,500.
const ENTRIES: usize = 200_000;

/// The catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// When it was published, as it is written there (RFC 3339).
    pub released: Option<String>,
    /// Sorted by CVE, each once.
    pub entries: Vec<Exploited>,
}

/// One vulnerability that is known to be exploited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploited {
    pub cve: String,
    pub name: String,
    /// The day it was added, `YYYY-MM-DD`.
    pub added: String,
    /// The day by which the catalogue wants it gone, `YYYY-MM-DD`.
    pub due: String,
    /// Whether extortionists are known to use it.
    pub ransomware: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    date_released: Option<String>,
    vulnerabilities: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve: String,
    #[serde(default)]
    vulnerability_name: String,
    date_added: String,
    due_date: String,
    #[serde(default)]
    known_ransomware_campaign_use: Option<String>,
}

/// Reads the catalogue's JSON.
pub fn read(bytes: &[u8], file: &str) -> Result<Catalogue, Error> {
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let read = File::deserialize(serde_path_to_error::Deserializer::new(&mut input, &mut track));
    let catalogue = read
        .and_then(|catalogue| input.end().map(|()| catalogue))
        .map_err(|error| Error::json(file, &track.path().to_string(), error))?;
    if catalogue.vulnerabilities.len() > ENTRIES {
        return Err(Error::Limit { file: file.to_owned(), what: "entries", limit: ENTRIES as u64 });
    }
    let mut entries = Vec::with_capacity(catalogue.vulnerabilities.len());
    for (index, entry) in catalogue.vulnerabilities.into_iter().enumerate() {
        for (field, day) in [("dateAdded", &entry.date_added), ("dueDate", &entry.due_date)] {
            if !is_day(day) {
                let place = format!("vulnerabilities[{index}].{field}");
                return Err(Error::broken(file, place, format_args!("`{day}` is no day: YYYY-MM-DD")));
            }
        }
        entries.push(Exploited {
            cve: entry.cve,
            name: entry.vulnerability_name,
            added: entry.date_added,
            due: entry.due_date,
            ransomware: entry.known_ransomware_campaign_use.as_deref() == Some("Known"),
        });
    }
    entries.sort_by(|a, b| a.cve.cmp(&b.cve));
    entries.dedup_by(|a, b| a.cve == b.cve);
    Ok(Catalogue { released: catalogue.date_released, entries })
}

fn is_day(text: &str) -> bool {
    format!("{text}T00:00:00Z").parse::<bartizan_core::time::Timestamp>().is_ok() && text.len() == 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &str = r#"{"title": "x", "dateReleased": "2026-01-02T03:04:05Z", "vulnerabilities": [
        {"cveID": "CVE-2026-0002", "vulnerabilityName": "B", "dateAdded": "2026-01-02", "dueDate": "2026-01-23",
         "knownRansomwareCampaignUse": "Known"},
        {"cveID": "CVE-2026-0001", "vulnerabilityName": "A", "dateAdded": "2026-01-01", "dueDate": "2026-01-22"}]}"#;

    #[test]
    fn the_catalogue_is_read_in_the_order_of_its_names() {
        let catalogue = read(CATALOGUE.as_bytes(), "kev.json").unwrap();
        let rows: Vec<_> =
            catalogue.entries.iter().map(|e| (e.cve.as_str(), e.due.as_str(), e.ransomware)).collect();
        assert_eq!(rows, [("CVE-2026-0001", "2026-01-22", false), ("CVE-2026-0002", "2026-01-23", true)]);
    }

    #[test]
    fn a_broken_catalogue_names_the_place() {
        for (from, to, expected) in [
            ("\"2026-01-23\"", "\"soon\"", "kev.json at vulnerabilities[0].dueDate: `soon` is no day"),
            ("\"2026-01-02\",", "7,", "kev.json at vulnerabilities[0].dateAdded: invalid type: integer `7`"),
            ("}]}", "}", "kev.json at vulnerabilities: EOF"),
        ] {
            let error = read(CATALOGUE.replace(from, to).as_bytes(), "kev.json").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
