use proptest::prelude::*;

use super::*;
use crate::verdict::Reason;

fn asset(n: u8) -> AssetId {
    AssetId::mint(Timestamp::from_millis(1), [n; 10])
}

fn person(n: u8) -> PersonId {
    PersonId::mint(Timestamp::from_millis(1), [n; 10])
}

fn subject() -> Subject {
    Subject::Vulnerability { asset: asset(1), id: "CVE-2026-1".into(), source_package: "curl".into() }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn look(verdict: Verdict, ms: i64) -> Observation {
    Observation { verdict, observed_at: at(ms), seen_by: [7].into() }
}

fn seen(verdict: Verdict, ms: i64) -> Event {
    Event::Observed(look(verdict, ms))
}

fn opened() -> Finding {
    Finding::open(subject(), &look(Verdict::NotMet, 10), true).unwrap()
}

fn happened(entry: Option<Entry>) -> Option<Happened> {
    entry.map(|entry| entry.happened)
}

#[test]
fn a_fault_opens_a_finding_and_a_good_look_opens_nothing() {
    assert_eq!((opened().since, opened().backlog), (at(10), true));
    for verdict in [Verdict::Met, Verdict::Unknown(Reason::Denied)] {
        assert_eq!(Finding::open(subject(), &look(verdict, 10), false), None);
    }
}

#[test]
fn a_repeat_keeps_it_open_and_says_nothing() {
    let (finding, entry) = step(&opened(), &seen(Verdict::NotMet, 20), at(21));
    assert_eq!((finding.since, finding.last_seen, entry), (at(10), at(20), None));
}

#[test]
fn only_a_look_that_is_no_older_than_the_fault_closes_it() {
    let ended = |observed_at| happened(step(&opened(), &seen(Verdict::Met, observed_at), at(30)).1);
    for ms in [10, 20] {
        let end = End::Verified { observed_at: at(ms) };
        assert_eq!(ended(ms), Some(Happened::Ended { end }), "at {ms}");
    }
    assert_eq!(ended(9), None, "an older observation that came late");
}

#[test]
fn what_is_unknown_never_closes() {
    for reason in Reason::ALL {
        let (finding, entry) = step(&opened(), &seen(Verdict::Unknown(reason), 20), at(21));
        assert!(finding.is_open() && entry.is_none(), "{reason}");
    }
}

#[test]
fn each_other_end_is_called_by_its_own_name() {
    let table = [
        (Event::Withdrawn { by: "change".into() }, End::Withdrawn { by: "change".into() }),
        (Event::Retired, End::Retired),
    ];
    for (event, end) in table {
        let (finding, entry) = step(&opened(), &event, at(30));
        assert_eq!(finding.state, State::Ended { at: at(30), end: end.clone() });
        assert_eq!(happened(entry), Some(Happened::Ended { end }));
        assert_eq!(step(&finding, &event, at(40)), (finding.clone(), None));
    }
}

#[test]
fn a_fault_that_comes_back_opens_the_same_finding_again_and_is_no_backlog() {
    let closed = step(&opened(), &seen(Verdict::Met, 20), at(21)).0;
    let (again, entry) = step(&closed, &seen(Verdict::NotMet, 30), at(31));
    assert_eq!(
        (again.returns, again.since, again.backlog, happened(entry)),
        (1, at(30), false, Some(Happened::Returned))
    );
    assert_eq!(step(&closed, &seen(Verdict::NotMet, 15), at(31)).1, None, "it came late");
}

#[test]
fn its_history_is_numbered_without_a_gap() {
    let assigned = Act::Assigned { to: person(2), reason: String::new() };
    let (finding, first) = act(&opened(), person(1), &assigned, at(11)).unwrap();
    let (finding, second) = step(&finding, &seen(Verdict::Met, 20), at(21));
    let (finding, third) = step(&finding, &seen(Verdict::NotMet, 30), at(31));
    let numbers = [Some(first), second, third].map(|entry| entry.unwrap().number);
    assert_eq!((numbers, finding.entries, finding.owner), ([0, 1, 2], 3, Some(person(2))));
}

#[test]
fn somebody_owns_what_is_open_and_says_something_of_whatever_it_is() {
    let mine = Act::Assigned { to: person(1), reason: String::new() };
    let says = |text: &str| Act::Commented { text: text.to_owned() };
    let owned = act(&opened(), person(1), &mine, at(11)).unwrap().0;
    assert_eq!(act(&owned, person(2), &mine, at(12)), Err(Refusal::AlreadyOwner));
    let ended = step(&owned, &Event::Retired, at(13)).0;
    assert_eq!(act(&ended, person(2), &mine, at(14)), Err(Refusal::Ended));
    assert!(act(&ended, person(2), &says("it was the old kernel"), at(14)).is_ok());
}

#[test]
fn what_people_write_has_limits() {
    let says = |text: String| act(&opened(), person(1), &Act::Commented { text }, at(11)).map(drop);
    assert_eq!(says(" \n".to_owned()), Err(Refusal::Missing("a comment")));
    assert_eq!(says("ü".repeat(TEXT_CHARACTERS_LIMIT)), Ok(()));
    assert!(matches!(says("ü".repeat(TEXT_CHARACTERS_LIMIT + 1)), Err(Refusal::Long { .. })));
    let full = Finding { entries: ENTRIES_LIMIT, ..opened() };
    let act = act(&full, person(1), &Act::Commented { text: "x".to_owned() }, at(11));
    assert_eq!(act.map(drop), Err(Refusal::TooManyEntries));
    assert!(step(&full, &Event::Retired, at(12)).1.is_some(), "what is observed is told all the same");
}

#[test]
fn a_key_depends_on_kind_and_place_and_on_nothing_else() {
    let table = [
        subject(),
        Subject::Vulnerability { asset: asset(2), id: "CVE-2026-1".into(), source_package: "curl".into() },
        Subject::Deviation { asset: asset(1), baseline: "CVE-2026-1".into(), rule: "curl".into() },
        Subject::Drift { asset: asset(1), object: "file:/etc/hosts".into() },
        Subject::Coverage { scope: "prod".into(), period: "2026-Q1".into(), class: "server".into() },
        Subject::Clock { object: "baseline/debian".into(), clock: "review".into() },
        Subject::Assessment { engagement: "e1".into(), location: "/login".into(), weakness: "CWE-79".into() },
    ];
    let keys: std::collections::BTreeSet<Key> = table.iter().map(Subject::key).collect();
    assert_eq!(keys.len(), table.len());
    assert_eq!(opened().subject.key(), subject().key());
    assert_eq!(subject().key().to_string().parse::<Key>().unwrap(), subject().key());
    for subject in table {
        let json = serde_json::to_string(&subject).unwrap();
        assert_eq!(serde_json::from_str::<Subject>(&json).unwrap(), subject);
        assert_eq!(subject.labels().get("kind").unwrap(), subject.kind());
    }
}

proptest! {
    #[test]
    fn no_row_of_looks_verifies_without_a_good_look_that_is_no_older_than_the_fault(
        looks in prop::collection::vec((0_usize..3, 0_i64..50), 0..40)
    ) {
        let mut finding = opened();
        for (tick, (verdict, ms)) in looks.into_iter().enumerate() {
            let verdict = [Verdict::Met, Verdict::NotMet, Verdict::Unknown(Reason::Error)][verdict];
            let (after, entry) = step(&finding, &seen(verdict, ms), at(100 + i64::try_from(tick).unwrap()));
            if matches!(happened(entry), Some(Happened::Ended { .. })) {
                prop_assert!(verdict == Verdict::Met && at(ms) >= finding.last_seen);
            }
            finding = after;
        }
    }
}
