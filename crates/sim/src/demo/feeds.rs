//! The demo's feeds: small files of our own in the shapes that feeds are published in, brought in
//! by the real import. Every vulnerability in them is made up.

use std::fs;
use std::path::{Path, PathBuf};

use bartizan_core::time::{Duration, Timestamp};
use serde_json::{Value, json};

use super::Error;

/// What the story brings later.
pub(super) const EXPLOITED: &str = "CVE-2026-90117";

/// The source package that has it, and the version that mends it.
pub(super) const EXPLOITED_IN: &str = "haproxy";
pub(super) const MENDED_BY: &str = "2.6.12-1+deb12u3";

/// How long the catalogue of exploited vulnerabilities gives for it.
const DUE_IN: Duration = Duration::from_days(14);

/// An older one that is exploited as well, on hosts that are behind; its day has come.
const EXPLOITED_BEFORE: &str = "CVE-2026-90011";

const TRACKER: &str = include_str!("feeds/tracker.json");
const TRACKER_MORE: &str = include_str!("feeds/tracker-more.json");
const OSV: &str = include_str!("feeds/osv.json");
const EPSS: &str = include_str!("feeds/epss.csv");

/// Writes the feeds as of `now` into a folder, with what comes later or without it. Gives the day by
/// which the exploited one has to be gone.
pub(super) fn write(folder: &Path, now: Timestamp, later: bool) -> Result<String, Error> {
    let disk = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Disk { path, source }
    };
    let osv = folder.join("osv");
    fs::create_dir_all(&osv).map_err(disk(&osv))?;
    let put = |path: PathBuf, text: &str| fs::write(&path, text).map_err(disk(&path));
    let today = day(now);
    put(folder.join("tracker.json"), &TRACKER.replace("{{MORE}}", if later { TRACKER_MORE } else { "" }))?;
    put(folder.join("epss_scores.csv"), &EPSS.replace("{{TODAY}}", &today))?;
    let due = day(now.plus(DUE_IN));
    let mut exploited = vec![entry(
        EXPLOITED_BEFORE,
        "OpenSSL",
        day(now.minus(Duration::from_days(40))),
        day(now.minus(Duration::from_days(19))),
    )];
    if later {
        exploited.push(entry(EXPLOITED, "HAProxy", today.clone(), due.clone()));
    }
    let catalogue = json!({"title": "Made up for a demo", "catalogVersion": today.replace('-', "."),
        "dateReleased": format!("{today}T00:00:00.000Z"), "count": exploited.len(), "vulnerabilities": exploited});
    put(folder.join("known_exploited_vulnerabilities.json"), &catalogue.to_string())?;
    let records: Vec<Value> =
        serde_json::from_str(&OSV.replace("{{TODAY}}", &today)).map_err(Error::Shipped)?;
    for mut record in records {
        let waits = record.as_object_mut().and_then(|record| record.remove("arrives")).is_some();
        let id = record.get("id").and_then(Value::as_str).unwrap_or_default().replace(':', "-");
        if later || !waits {
            put(osv.join(format!("{id}.json")), &record.to_string())?;
        }
    }
    Ok(due)
}

fn entry(cve: &str, product: &str, added: String, due: String) -> Value {
    json!({"cveID": cve, "vendorProject": product, "product": product,
        "vulnerabilityName": format!("A made-up vulnerability of {product}"), "dateAdded": added,
        "shortDescription": "Made up for a demo.", "requiredAction": "Update.", "dueDate": due,
        "knownRansomwareCampaignUse": "Unknown"})
}

/// `2026-03-04`.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_feeds::library::Library;

    #[test]
    fn the_real_import_takes_every_file_before_and_after() {
        let folder = tempfile::tempdir().unwrap();
        let (raw, library) = (folder.path().join("raw"), folder.path().join("library"));
        let now: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        let mut records = Vec::new();
        for later in [false, true] {
            assert_eq!(write(&raw, now, later).unwrap(), "2026-03-18");
            let summary = Library::import(&raw, &library, now, false, &mut |_| {}).unwrap();
            assert!(summary.failed.is_empty(), "{:?}", summary.failed);
            let status = Library::open(&library).unwrap();
            records.push(status.status().iter().map(|feed| feed.records).sum::<u64>());
            let names: Vec<&str> = status.status().iter().map(|feed| feed.name.as_str()).collect();
            assert!(["debian-tracker", "epss", "kev"].iter().all(|feed| names.contains(feed)), "{names:?}");
        }
        assert_eq!(
            records[1] - records[0],
            3,
            "a record of the tracker, an advisory, an entry of the catalogue"
        );
    }
}
