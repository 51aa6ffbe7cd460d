use proptest::prelude::*;

use super::*;

/// Source `tool` has a vulnerability in each state that the tracker knows.
const EXPORT: &str = r#"{
  "tool": {
    "CVE-2026-0001": {"scope": "remote", "debianbug": 1, "description": "d", "releases": {
      "bookworm": {"status": "resolved", "repositories": {"bookworm": "1.2-3"}, "fixed_version": "1.2-3+deb12u1", "urgency": "high**"}}},
    "CVE-2026-0002": {"releases": {
      "bookworm": {"status": "open", "repositories": {"bookworm": "1.2-3"}, "urgency": "not yet assigned"}}},
    "CVE-2026-0003": {"releases": {
      "bookworm": {"status": "undetermined", "repositories": {}, "urgency": "not yet assigned"}}},
    "CVE-2026-0004": {"releases": {
      "bookworm": {"status": "open", "urgency": "low", "nodsa": "Minor issue", "nodsa_reason": "postponed"}}},
    "CVE-2026-0005": {"releases": {
      "bookworm": {"status": "open", "urgency": "low", "nodsa": "Too intrusive", "nodsa_reason": "ignored"}}},
    "CVE-2026-0006": {"releases": {
      "bookworm": {"status": "open", "urgency": "unimportant"}}},
    "CVE-2026-0007": {"releases": {
      "bookworm": {"status": "open", "urgency": "end-of-life"}}},
    "CVE-2026-0008": {"releases": {
      "bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "medium"}}},
    "CVE-2026-0009": {"releases": {
      "bookworm": {"status": "open", "urgency": "low", "nodsa": "Minor issue", "nodsa_reason": ""}}},
    "TEMP-0000001-ABCDEF": {"releases": {
      "bookworm": {"status": "open", "urgency": "not yet assigned"},
      "trixie": {"status": "resolved", "fixed_version": "2-1", "urgency": "not yet assigned"}}}
  },
  "other": {}
}"#;

fn all(export: &str) -> Result<Vec<Record>, Error> {
    let mut all = Vec::new();
    read(export.as_bytes(), "tracker.json", &mut |records| {
        all.extend(records);
        Ok(())
    })?;
    Ok(all)
}

fn open(fix: NoFix) -> Statement {
    Statement::Open { fix }
}

fn fixed(version: &str) -> Statement {
    Statement::Fixed { version: version.to_owned() }
}

#[test]
fn each_state_of_the_tracker_becomes_its_statement() {
    let records = all(EXPORT).unwrap();
    let expected = [
        ("CVE-2026-0001", "bookworm", fixed("1.2-3+deb12u1"), Some(Severity::High)),
        ("CVE-2026-0002", "bookworm", open(NoFix::NoneYet), None),
        ("CVE-2026-0003", "bookworm", Statement::Undetermined, None),
        ("CVE-2026-0004", "bookworm", open(NoFix::Postponed), Some(Severity::Low)),
        ("CVE-2026-0005", "bookworm", open(NoFix::Ignored), Some(Severity::Low)),
        ("CVE-2026-0006", "bookworm", open(NoFix::NoneYet), Some(Severity::None)),
        ("CVE-2026-0007", "bookworm", open(NoFix::EndOfLife), None),
        ("CVE-2026-0008", "bookworm", fixed("0"), Some(Severity::Medium)),
        ("CVE-2026-0009", "bookworm", open(NoFix::NoneYet), Some(Severity::Low)),
        ("TEMP-0000001-ABCDEF", "bookworm", open(NoFix::NoneYet), None),
        ("TEMP-0000001-ABCDEF", "trixie", fixed("2-1"), None),
    ];
    assert_eq!(records.len(), expected.len());
    for (record, (id, release, statement, severity)) in records.iter().zip(expected) {
        assert_eq!((record.id.as_str(), record.release.as_str()), (id, release));
        assert_eq!(record.statement, statement, "{id}");
        assert_eq!(record.severity.as_ref().map(|rating| rating.rating), severity, "{id}");
        assert_eq!(record.package, Named::Source("tool".into()));
        assert_eq!(record.standing, Standing::Tracker);
        assert_eq!(record.vulnerabilities.is_empty(), id.starts_with("TEMP-"), "{id}");
    }
}

#[test]
fn one_source_package_is_handed_out_at_a_time() {
    let mut sizes = Vec::new();
    read(EXPORT.as_bytes(), "tracker.json", &mut |records| {
        sizes.push(records.len());
        Ok(())
    })
    .unwrap();
    assert_eq!(sizes, [11, 0]);
}

#[test]
fn a_broken_export_names_file_and_place() {
    for (from, to, expected) in [
        (
            "\"resolved\", \"repositories\"",
            "\"solved\", \"repositories\"",
            "tracker.json at tool.CVE-2026-0001.releases.bookworm.status: unknown variant `solved`",
        ),
        (
            "\"1.2-3+deb12u1\"",
            "12",
            "tracker.json at tool.CVE-2026-0001.releases.bookworm.fixed_version: invalid type: integer",
        ),
        (
            "\"fixed_version\": \"0\", ",
            "",
            "tracker.json at tool.CVE-2026-0008.releases.bookworm: it is resolved, but has no fixed_version",
        ),
        ("\"other\": {}", "\"other\": []", "tracker.json at other: invalid type: sequence"),
    ] {
        assert!(EXPORT.contains(from), "{from}");
        let error = all(&EXPORT.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_cut_export_is_an_error_wherever_it_was_cut() {
    for end in (0..EXPORT.len()).step_by(37) {
        let error = all(EXPORT.get(..end).unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("tracker.json"), "{error}");
    }
    assert!(all(&format!("{EXPORT} {{}}")).is_err());
}

#[test]
fn an_error_of_whoever_takes_the_records_comes_back() {
    let error = read(EXPORT.as_bytes(), "tracker.json", &mut |_| Err(Error::NoFeed { path: "x".into() }));
    assert!(matches!(error, Err(Error::NoFeed { .. })));
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(bytes.as_slice(), "x", &mut |_| Ok(()));
    }

    #[test]
    fn no_damage_to_an_export_panics_the_reader(at in 0..EXPORT.len(), byte: u8) {
        let mut bytes = EXPORT.as_bytes().to_vec();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let _ = read(bytes.as_slice(), "x", &mut |_| Ok(()));
    }
}
