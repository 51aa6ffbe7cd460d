use std::io::{Cursor, Write};

use bartizan_core::severity;
use proptest::prelude::*;

use super::*;

const ADVISORY: &str = r#"{"schema_version": "1.7.0", "id": "DSA-9001-1", "modified": "2026-08-21T00:00:00Z",
  "upstream": ["CVE-2026-0002", "CVE-2026-0001", "OTHER-1"],
  "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
               {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}],
  "affected": [
    {"package": {"ecosystem": "Debian:12", "name": "tool"},
     "ranges": [{"type": "GIT", "repo": "https://example.org/tool", "events": [{"introduced": "abc"}, {"fixed": "def"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2-3+deb12u1"}]}]},
    {"package": {"ecosystem": "Debian:13", "name": "tool"},
     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.5"}, {"last_affected": "1.6"}, {"introduced": "2"}]}],
     "versions": ["0.9"]},
    {"package": {"ecosystem": "npm", "name": "tool"}, "ranges": []},
    {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}
  ]}"#;

fn zipped(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn unzipped(bytes: &[u8]) -> Result<Vec<Record>, Error> {
    let mut all = Vec::new();
    read_zip(Cursor::new(bytes), "all.zip", &mut |parsed, _| {
        all.extend(parsed.records);
        Ok(())
    })?;
    Ok(all)
}

#[test]
fn an_advisory_becomes_a_record_for_each_release() {
    let parsed = read(ADVISORY.as_bytes(), "DSA-9001-1.json").unwrap();
    assert_eq!(parsed.modified.as_deref(), Some("2026-08-21T00:00:00Z"));
    let [bookworm, trixie] = parsed.records.as_slice() else { panic!("{parsed:?}") };
    assert_eq!((bookworm.release.as_str(), trixie.release.as_str()), ("bookworm", "trixie"));
    assert_eq!(bookworm.vulnerabilities, ["CVE-2026-0001", "CVE-2026-0002"]);
    assert_eq!(bookworm.package, Named::Source("tool".into()));
    let rating = bookworm.severity.as_ref().unwrap();
    assert_eq!((rating.rating, rating.score_tenths), (severity::Severity::Critical, Some(98)));
    let range = |introduced: Option<&str>, end| Range { introduced: introduced.map(str::to_owned), end };
    assert_eq!(
        bookworm.statement,
        Statement::Affected {
            ranges: vec![range(None, End::Fixed("1.2-3+deb12u1".into()))],
            versions: Vec::new()
        }
    );
    assert_eq!(
        trixie.statement,
        Statement::Affected {
            ranges: vec![range(Some("1.5"), End::LastAffected("1.6".into())), range(Some("2"), End::Open)],
            versions: vec!["0.9".into()]
        }
    );
}

#[test]
fn events_become_the_same_spans_in_whatever_order_they_are_written() {
    let range = |introduced: Option<&str>, end| Range { introduced: introduced.map(str::to_owned), end };
    let fixed = |version: &str| End::Fixed(version.to_owned());
    let last = |version: &str| End::LastAffected(version.to_owned());
    for (events, expected) in [
        (r#"{"fixed": "2"}, {"introduced": "0"}"#, vec![range(None, fixed("2"))]),
        (
            r#"{"fixed": "10"}, {"introduced": "9"}, {"introduced": "0"}, {"fixed": "2~rc1"}"#,
            vec![range(None, fixed("2~rc1")), range(Some("9"), fixed("10"))],
        ),
        (
            r#"{"introduced": "3"}, {"last_affected": "2"}, {"introduced": "1"}"#,
            vec![range(Some("1"), last("2")), range(Some("3"), End::Open)],
        ),
        // An end and a beginning at one version: nothing between them, and no gap.
        (r#"{"fixed": "2"}, {"introduced": "2"}"#, vec![range(Some("2"), fixed("2"))]),
        (
            r#"{"fixed": "3"}, {"introduced": "2"}, {"fixed": "2"}, {"introduced": "0"}"#,
            vec![range(None, fixed("2")), range(Some("2"), fixed("3"))],
        ),
        // What begins within a span is part of it.
        (r#"{"introduced": "1"}, {"introduced": "2"}, {"fixed": "3"}"#, vec![range(Some("1"), fixed("3"))]),
        // A version that dpkg does not compare: as it is written, after the beginning of all.
        (r#"{"fixed": "x:1"}, {"introduced": "0"}"#, vec![range(None, fixed("x:1"))]),
        (r#"{"limit": "5"}, {"fixed": "2"}, {"introduced": "0"}"#, vec![range(None, fixed("2"))]),
        // A version 0 may be an end too; nothing is before it.
        (r#"{"fixed": "0"}, {"introduced": "0"}"#, vec![range(None, fixed("0"))]),
    ] {
        let text = format!(
            r#"{{"id": "DSA-1", "affected": [{{"package": {{"ecosystem": "Debian:12", "name": "tool"}},
               "ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}]}}]}}"#
        );
        let records = read(text.as_bytes(), "DSA-1.json").unwrap().records;
        let Statement::Affected { ranges, .. } = &records[0].statement else { panic!("{records:?}") };
        assert_eq!(*ranges, expected, "{events}");
    }
}

#[test]
fn a_withdrawn_record_says_nothing() {
    let withdrawn = ADVISORY.replacen('{', "{\"withdrawn\": \"2026-08-22T00:00:00Z\", ", 1);
    assert!(read(withdrawn.as_bytes(), "x").unwrap().records.is_empty());
}

#[test]
fn related_cves_count_where_a_record_names_none_otherwise() {
    let binary = ADVISORY.replace("Debian:12", "AlmaLinux:9");
    let related = binary.replace("\"upstream\"", "\"related\"");
    let record = read(related.as_bytes(), "x").unwrap().records.remove(0);
    assert_eq!(record.vulnerabilities, ["CVE-2026-0001", "CVE-2026-0002"]);
    assert_eq!(record.package, Named::Binary("tool".into()));
    let both = binary.replacen('{', "{\"related\": [\"CVE-2026-0009\"], ", 1);
    let record = read(both.as_bytes(), "x").unwrap().records.remove(0);
    assert_eq!(record.vulnerabilities, ["CVE-2026-0001", "CVE-2026-0002"]);
}

#[test]
fn a_zip_is_read_entry_by_entry() {
    let second = ADVISORY.replace("DSA-9001-1", "DSA-9002-1");
    let zip =
        zipped(&[("DSA-9001-1.json", ADVISORY), ("notes.txt", "no record"), ("DSA-9002-1.json", &second)]);
    let ids: Vec<_> = unzipped(&zip).unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(ids, ["DSA-9001-1", "DSA-9001-1", "DSA-9002-1", "DSA-9002-1"]);
}

#[test]
fn a_broken_record_names_archive_entry_and_place() {
    let zip = zipped(&[("DSA-9001-1.json", &ADVISORY.replace("\"tool\"", "7"))]);
    let error = unzipped(&zip).unwrap_err().to_string();
    assert!(
        error.starts_with("all.zip/DSA-9001-1.json at affected[0].package.name: invalid type: integer"),
        "{error}"
    );
    let mut cut = zipped(&[("DSA-9001-1.json", ADVISORY)]);
    cut.truncate(cut.len() / 2);
    assert!(unzipped(&cut).unwrap_err().to_string().starts_with("all.zip"));
}

#[test]
fn more_ranges_than_the_limit_are_refused() {
    let range = r#"{"type": "ECOSYSTEM", "events": [{"introduced": "1"}]}"#;
    let many = vec![range; RANGES_LIMIT + 1].join(",");
    let record = format!(
        r#"{{"id": "X", "affected": [{{"package": {{"ecosystem": "Debian:12", "name": "t"}}, "ranges": [{many}]}}]}}"#
    );
    assert!(matches!(read(record.as_bytes(), "x"), Err(Error::Limit { .. })));
}

proptest! {
    #[test]
    fn no_bytes_panic_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, "x");
        let _ = unzipped(&bytes);
        let _ = crate::kev::read(&bytes, "x");
        let _ = crate::epss::read(bytes.as_slice(), "x");
    }

    #[test]
    fn no_damage_to_a_zip_panics_the_reader(at in 0usize..900, byte: u8) {
        let mut bytes = zipped(&[("a.json", ADVISORY)]);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let _ = unzipped(&bytes);
    }
}
