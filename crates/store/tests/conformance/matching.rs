//! Matches on every engine: what is kept, and what is logged of their changes.

use bartizan_core::severity::Severity;
use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::advisory::Rating;
use bartizan_core::vulnerability::matching::{FixState, Match, Tuple, Verdict};
use bartizan_store::Store;
use bartizan_store::matching::{Matched, Moved, Progress, TUPLES, Told};
use bartizan_store::report::{Outcome, Report};

use crate::suite::{builds, commit, enrol, later, report, secret, tuple};

pub(crate) fn found(
    vulnerability: &str,
    source: &str,
    verdict: Verdict,
    severity: impl Into<Option<Severity>>,
) -> Match {
    let rating =
        |rating| Rating { rating, score_tenths: None, vector: None, version: None, source: "t".to_owned() };
    Match {
        vulnerability: vulnerability.to_owned(),
        advisories: Vec::new(),
        source: source.to_owned(),
        verdict,
        fix_state: (verdict == Verdict::Affected).then_some(FixState::Published),
        fixed: (verdict == Verdict::Affected).then(|| "2".to_owned()),
        severity: severity.into().map(rating),
        feed: "debian-tracker".to_owned(),
        evidence: format!("{source} and {vulnerability}"),
    }
}

fn matched(tuple: u32, matches: Vec<Match>) -> Matched {
    Matched { tuple, covered: true, matches }
}

pub(crate) async fn matches_keep_their_first_time(store: Store) {
    let asset = enrol(&store, 1).await;
    let present = Report { tuples: builds([tuple("openssl"), tuple("bash")]), ..report(&asset, 1, &[]) };
    commit(&store, present).await;
    let feeds = secret("feeds");
    store.match_again(None, &feeds, later(1)).await.unwrap();
    let waiting = store.tuples_from(store.cursor(TUPLES, 0).await.unwrap(), 10).await.unwrap();
    assert_eq!(waiting.len(), 2);
    let told = |evidence: &str| Match {
        evidence: evidence.to_owned(),
        ..found("CVE-2024-1", "openssl", Verdict::Affected, Severity::High)
    };
    let all = |evidence: &str| -> Vec<Matched> {
        waiting.iter().map(|(number, _)| matched(*number, vec![told(evidence)])).collect()
    };
    store.put_matches(&all("1 < 2"), &feeds, Progress::Tuples(0, 2), later(1)).await.unwrap();
    assert_eq!(store.cursor(TUPLES, 0).await.unwrap(), 2);
    let newer = secret("newer feeds");
    store.put_matches(&all("1 < 3"), &newer, Progress::Feeds { before: feeds }, later(2)).await.unwrap();
    assert_eq!(store.matched_feeds().await.unwrap(), Some(newer));
    let known = store.matches_of("CVE-2024-1").await.unwrap();
    assert_eq!(known.len(), 2);
    assert!(known.iter().all(|known| known.known_at == later(1) && known.found.evidence == "1 < 3"));
    store.put_matches(&[matched(0, Vec::new())], &newer, Progress::Part, later(3)).await.unwrap();
    assert_eq!(store.matches(&[0, 1]).await.unwrap().len(), 1);
    // Feeds that somebody else has replaced meanwhile, and a cursor that moved: nothing is written.
    let late = store.put_matches(&all("1 < 4"), &newer, Progress::Feeds { before: feeds }, later(4)).await;
    assert_eq!(late.unwrap_err().class(), bartizan_core::error::Class::Conflict);
    let late = store.put_matches(&all("1 < 4"), &newer, Progress::Tuples(0, 2), later(4)).await;
    assert_eq!(late.unwrap_err().class(), bartizan_core::error::Class::Conflict);
    assert_eq!(store.matches(&[1]).await.unwrap()[0].found.evidence, "1 < 3");
    // Judging anew begins at the first build.
    store.match_again(Some(&newer), &feeds, later(5)).await.unwrap();
    assert_eq!(store.cursor(TUPLES, 0).await.unwrap(), 0);
}

pub(crate) async fn a_match_that_comes_back_is_known_since_it_came_back(store: Store) {
    let asset = enrol(&store, 1).await;
    commit(&store, Report { tuples: builds([tuple("openssl")]), ..report(&asset, 1, &[]) }).await;
    let feeds = secret("feeds");
    let put = async |verdict, at| {
        let found = found("CVE-2024-1", "openssl", verdict, Severity::High);
        let matched = [matched(0, vec![found])];
        store.put_matches(&matched, &feeds, Progress::Part, later(at)).await.unwrap();
        store.matches(&[0]).await.unwrap()[0].known_at
    };
    assert_eq!(put(Verdict::Fixed, 1).await, later(1));
    assert_eq!(put(Verdict::Affected, 2).await, later(2), "nobody was late before it was affected");
    assert_eq!(put(Verdict::Unknown(Reason::Stale), 3).await, later(2));
    assert_eq!(put(Verdict::Affected, 4).await, later(2), "not to know for a while starts no clock anew");
    assert_eq!(put(Verdict::NotAffected, 5).await, later(2));
    assert_eq!(put(Verdict::Affected, 6).await, later(6));
}

pub(crate) async fn changed_matches_are_logged_once(store: Store) {
    let asset = enrol(&store, 1).await;
    commit(&store, Report { tuples: builds([tuple("openssl")]), ..report(&asset, 1, &[]) }).await;
    let feeds = secret("feeds");
    let put = async |covered, matches: Vec<Match>, at| {
        let matched = [Matched { tuple: 0, covered, matches }];
        store.put_matches(&matched, &feeds, Progress::Part, later(at)).await.unwrap();
    };
    let affected = || found("CVE-2024-1", "openssl", Verdict::Affected, Severity::High);
    put(false, Vec::new(), 1).await;
    put(true, vec![affected()], 2).await;
    put(true, vec![affected()], 3).await;
    let fixed = found("CVE-2024-1", "openssl", Verdict::Fixed, Severity::High);
    let second = found("CVE-2024-2", "openssl", Verdict::Affected, Severity::Low);
    put(true, vec![fixed, second], 4).await;
    put(true, Vec::new(), 5).await;
    let log = store.match_changes(0, 10).await.unwrap();
    let told = |severity| Some(Told { severity, fixed: Some("2".to_owned()) });
    let moved = |id: &str, was, is| Moved { vulnerability: id.to_owned(), was, is };
    let (high, low) = (told(Severity::High), told(Severity::Low));
    let expected = [
        (0, true, vec![moved("CVE-2024-1", None, high.clone())]),
        (1, false, vec![moved("CVE-2024-1", high, None), moved("CVE-2024-2", None, low.clone())]),
        (2, false, vec![moved("CVE-2024-1", None, None), moved("CVE-2024-2", low, None)]),
    ];
    let seen: Vec<_> = log.into_iter().map(|change| (change.seq, change.first, change.moved)).collect();
    assert_eq!(seen, expected);
    assert_eq!(store.match_changes(2, 10).await.unwrap()[0].source, "openssl");
}

pub(crate) async fn a_partial_report_takes_no_package_away_that_it_does_not_replace(store: Store) {
    let asset = enrol(&store, 1).await;
    let newer = Tuple { version: "2".to_owned(), source_version: "2".to_owned(), ..tuple("openssl") };
    let commit = async |sequence, tuples: Vec<Tuple>, partial| {
        let report = Report { tuples: builds(tuples), partial, ..report(&asset, sequence, &[]) };
        match commit(&store, report).await {
            Outcome::Committed { changes, .. } => changes,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(commit(1, vec![tuple("openssl"), tuple("bash")], false).await, 2);
    assert_eq!(commit(2, vec![tuple("bash")], true).await, 0, "openssl may be there all the same");
    assert_eq!(commit(3, vec![newer.clone()], true).await, 2, "the older openssl went, bash may be there");
    assert_eq!(commit(4, vec![newer], false).await, 1, "all was seen, and bash was not");
}
