use std::fs;

use bartizan_core::fact::PackageManager;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::matching::{FixState, Verdict};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// An export of the tracker in which each of these packages has three vulnerabilities: fixed in 2-1,
/// open, and never there.
fn tracker(packages: impl IntoIterator<Item = String>) -> String {
    let of = |package: String| {
        format!(
            r#""{package}": {{
            "CVE-2026-0001": {{"releases": {{"bookworm": {{"status": "resolved", "fixed_version": "2-1", "urgency": "low"}}}}}},
            "CVE-2026-0002": {{"releases": {{"bookworm": {{"status": "open", "urgency": "high"}}}}}},
            "CVE-2026-0003": {{"releases": {{"bookworm": {{"status": "resolved", "fixed_version": "0", "urgency": "low"}}}}}}}}"#
        )
    };
    format!("{{{}}}", packages.into_iter().map(of).collect::<Vec<_>>().join(","))
}

const ADVISORY: &str = r#"{"id": "DSA-9001-1", "modified": "2023-11-01T00:00:00Z", "upstream": ["CVE-2026-0001", "CVE-2026-0009"],
  "affected": [{"package": {"ecosystem": "Debian:12", "name": "p7"},
    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3-1"}]}]}]}"#;

const KEV: &str = r#"{"catalogVersion": "1", "dateReleased": "2023-11-02T00:00:00Z", "vulnerabilities": [
  {"cveID": "CVE-2026-0002", "vulnerabilityName": "P", "dateAdded": "2023-11-01", "dueDate": "2023-11-22"}]}"#;

const EPSS: &str =
    "#model_version:v1,score_date:2023-11-03T00:00:00+0000\ncve,epss,percentile\nCVE-2026-0002,0.5,0.9\n";

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("p{n}"))
}

/// A folder of raw feeds, and one for the library.
fn folders() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (raw, into) = (folder.path().join("raw"), folder.path().join("library"));
    fs::create_dir_all(raw.join("osv")).unwrap();
    fs::write(raw.join("tracker.json"), tracker(names(20))).unwrap();
    fs::write(raw.join("osv/DSA-9001-1.json"), ADVISORY).unwrap();
    fs::write(raw.join("known_exploited_vulnerabilities.json"), KEV).unwrap();
    fs::write(raw.join("epss_scores.csv"), EPSS).unwrap();
    (folder, raw, into)
}

fn import(raw: &Path, into: &Path, force: bool) -> Summary {
    Library::import(raw, into, NOW, force, &mut |_| {}).unwrap()
}

fn tuple(source: &str, version: &str) -> Tuple {
    Tuple {
        ecosystem: "debian".into(),
        release: "bookworm".into(),
        origin: None,
        source: source.into(),
        source_version: version.into(),
        package: format!("lib{source}"),
        version: version.into(),
        architecture: "amd64".into(),
        manager: PackageManager::Dpkg,
    }
}

fn verdicts(library: &Library, tuple: &Tuple) -> Vec<(String, Verdict, Option<FixState>)> {
    let matches = library.matches(tuple).unwrap();
    matches.into_iter().map(|found| (found.vulnerability, found.verdict, found.fix_state)).collect()
}

#[test]
fn imported_feeds_answer_for_each_package() {
    let (_folder, raw, into) = folders();
    let summary = import(&raw, &into, false);
    assert!(summary.failed.is_empty(), "{summary:?}");
    let library = Library::open(&into).unwrap();
    let rows: Vec<_> = library.status().iter().map(|feed| (feed.name.as_str(), feed.records)).collect();
    assert_eq!(rows, [("debian-tracker", 60), ("epss", 1), ("kev", 1), ("osv-debian", 1)]);
    for number in 0..20 {
        let mut expected = vec![
            ("CVE-2026-0001".to_owned(), Verdict::Affected, Some(FixState::Published)),
            ("CVE-2026-0002".to_owned(), Verdict::Affected, Some(FixState::NoneYet)),
            ("CVE-2026-0003".to_owned(), Verdict::NotAffected, None),
        ];
        if number == 7 {
            expected.push(("CVE-2026-0009".to_owned(), Verdict::Affected, Some(FixState::Published)));
        }
        assert_eq!(verdicts(&library, &tuple(&format!("p{number}"), "1-1")), expected, "p{number}");
    }
    assert!(verdicts(&library, &tuple("p", "1-1")).is_empty());
    assert!(library.covers("debian", "bookworm"));
    for (ecosystem, release) in [("debian", "book"), ("debian", "trixie"), ("ubuntu", "24.04")] {
        assert!(!library.covers(ecosystem, release), "{ecosystem} {release}");
    }
    assert_eq!(library.kev("CVE-2026-0002").unwrap().due, "2023-11-22");
    assert_eq!(library.kev("CVE-2026-0001"), None);
    assert_eq!(library.epss("CVE-2026-0002").unwrap().probability_millionths, 500_000);
    assert_eq!(library.epss("CVE-2026-0001"), None);
}

#[test]
fn where_the_tracker_speaks_it_decides_and_the_advisory_is_named() {
    let (_folder, raw, into) = folders();
    import(&raw, &into, false);
    let matches = Library::open(&into).unwrap().matches(&tuple("p7", "2-1")).unwrap();
    let first = matches.first().unwrap();
    assert_eq!((first.verdict, first.feed.as_str()), (Verdict::Fixed, "debian-tracker"));
    assert_eq!(first.advisories, ["DSA-9001-1"]);
}

#[test]
fn a_build_from_elsewhere_is_unknown_beside_the_distributions_own() {
    let (_folder, raw, into) = folders();
    import(&raw, &into, false);
    let library = Library::open(&into).unwrap();
    let elsewhere = Tuple { origin: Some("apt.postgresql.org".into()), ..tuple("p1", "1-1.pgdg120+1") };
    for found in library.matches(&elsewhere).unwrap() {
        assert_eq!(found.verdict, Verdict::Unknown(Reason::Unassigned), "{found:?}");
    }
    let own = Tuple { origin: Some("Debian".into()), ..tuple("p1", "1-1") };
    assert_eq!(library.matches(&own).unwrap().first().unwrap().verdict, Verdict::Affected);
}

#[test]
fn a_feed_that_shrinks_is_held_back_unless_forced() {
    let (_folder, raw, into) = folders();
    import(&raw, &into, false);
    let before = Library::open(&into).unwrap().digest();
    fs::write(raw.join("tracker.json"), tracker(names(9))).unwrap();
    let summary = import(&raw, &into, false);
    assert_eq!(summary.held_back.len(), 1, "{summary:?}");
    let library = Library::open(&into).unwrap();
    assert_eq!(library.digest(), before);
    let feed = library.feed("debian-tracker").unwrap();
    assert_eq!(feed.records, 60);
    assert!(feed.held_back.as_ref().unwrap().contains("27 records where 60 stood"), "{feed:?}");

    assert!(import(&raw, &into, true).held_back.is_empty());
    let library = Library::open(&into).unwrap();
    let feed = library.feed("debian-tracker").unwrap();
    assert_eq!((feed.records, feed.held_back.as_ref()), (27, None));
    assert_ne!(library.digest(), before);
    let files = fs::read_dir(&into)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "feed"));
    assert_eq!(files.count(), 4);
}

#[test]
fn a_broken_feed_leaves_the_old_one_and_the_others_are_imported() {
    let (_folder, raw, into) = folders();
    import(&raw, &into, false);
    let text = tracker(names(30));
    fs::write(raw.join("tracker.json"), text.get(..text.len() / 2).unwrap()).unwrap();
    let summary = import(&raw, &into, false);
    let [failed] = summary.failed.as_slice() else { panic!("{summary:?}") };
    assert_eq!((failed.what.as_str(), failed.reason), ("debian-tracker", Reason::Unparsable));
    assert!(failed.problem.contains("tracker.json"), "{failed:?}");
    assert_eq!(summary.imported.len(), 3);
    let library = Library::open(&into).unwrap();
    assert_eq!(library.failed(), summary.failed);
    assert_eq!(library.feed("debian-tracker").unwrap().records, 60);
}

#[test]
fn a_single_file_is_imported_beside_what_is_there() {
    let (_folder, raw, into) = folders();
    import(&raw.join("tracker.json"), &into, false);
    assert_eq!(Library::open(&into).unwrap().status().len(), 1);
    import(&raw.join("epss_scores.csv"), &into, false);
    assert_eq!(Library::open(&into).unwrap().status().len(), 2);
}

#[test]
fn a_damaged_file_of_the_library_is_a_failed_feed_or_an_error_never_a_wrong_answer() {
    let (_folder, raw, into) = folders();
    import(&raw, &into, false);
    let library = Library::open(&into).unwrap();
    let expected = library.matches(&tuple("p7", "1-1")).unwrap();
    let path = into.join(library.feed("debian-tracker").unwrap().file());
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(41) {
        let mut bad = good.clone();
        if let Some(byte) = bad.get_mut(at) {
            *byte ^= 0x20;
        }
        fs::write(&path, &bad).unwrap();
        let library = Library::open(&into).unwrap();
        let is_failed = library.failed().iter().any(|failed| failed.what == "debian-tracker");
        match library.matches(&tuple("p7", "1-1")) {
            Ok(matches) if !is_failed => assert_eq!(matches, expected, "byte {at}"),
            Ok(_) | Err(Error::Broken { .. }) => {}
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(Library::open(&into).unwrap().failed().len(), 1);
}

#[test]
fn what_holds_no_feed_and_what_is_missing_are_errors_that_name_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("library");
    let error = Library::import(folder.path(), &into, NOW, false, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::NoFeed { .. }), "{error}");
    let error = Library::import(&folder.path().join("x"), &into, NOW, false, &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(matches!(Library::open(&into).unwrap_err(), Error::Missing { .. }));
}

#[test]
fn progress_ends_with_the_whole_of_each_file() {
    let (_folder, raw, into) = folders();
    let mut last = std::collections::BTreeMap::new();
    Library::import(&raw, &into, NOW, false, &mut |progress| {
        last.insert(progress.file, (progress.done, progress.total));
    })
    .unwrap();
    assert_eq!(last.len(), 4);
    assert!(last.values().all(|(done, total)| done == total), "{last:?}");
}

#[test]
fn what_changed_since_an_older_library_is_told_by_package() {
    let (_folder, raw, into) = folders();
    import(&raw, &into, false);
    let older = Library::open(&into).unwrap();
    assert!(older.changed_since(&older).is_empty());
    // p3 goes, p20 comes, p5 has another fixed version; the export is another file.
    let export = tracker(names(21).filter(|name| name != "p3"));
    let (before, from_five) = export.split_at(export.find("\"p5\"").unwrap());
    fs::write(raw.join("tracker.json"), format!("{before}{}", from_five.replacen("2-1", "2-2", 1))).unwrap();
    import(&raw, &into, false);
    let newer = Library::open(&into).unwrap();
    let package = |name: &str| ["debian", "bookworm", name].map(str::to_owned);
    let expected = ["p20", "p3", "p5"].map(package);
    assert_eq!(newer.changed_since(&older), expected);
    assert_eq!(older.changed_since(&newer), expected);
    // A feed that is gone, or new, changes each of its packages.
    let osv = into.join(newer.feed("osv-debian").unwrap().file());
    fs::remove_file(osv).unwrap();
    let without = Library::open(&into).unwrap();
    assert_eq!(without.changed_since(&newer), [package("p7")]);
    assert_eq!(newer.changed_since(&without), [package("p7")]);
    // Scores and catalogues say nothing of builds.
    fs::write(raw.join("epss_scores.csv"), EPSS.replace("0.5", "0.6")).unwrap();
    import(&raw, &into, false);
    let scored = Library::open(&into).unwrap();
    assert_ne!(scored.digest(), newer.digest());
    assert!(scored.changed_since(&newer).is_empty());
}
