use proptest::prelude::*;

use super::*;
use crate::verdict::Reason;

fn asset(n: u8) -> AssetId {
    AssetId::mint(Timestamp::from_millis(1), [n; 10])
}

fn subject() -> Subject {
    Subject::Vulnerability { asset: asset(1), id: "CVE-2026-1".into(), source_package: "curl".into() }
}

fn scope(name: &str) -> Option<Digest> {
    Some(Digest::of_bytes(name.as_bytes()))
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn seen(verdict: Verdict, ms: i64) -> Event {
    Event::Observed(Observation { verdict, scope: scope("agent"), observed_at: at(ms), first_sight: false })
}

fn opened() -> Finding {
    step(None, &subject(), &seen(Verdict::NotMet, 10), at(11)).0.unwrap()
}

#[test]
fn a_fault_opens_a_finding_and_a_good_look_opens_nothing() {
    let (finding, command) = step(None, &subject(), &seen(Verdict::NotMet, 10), at(11));
    assert_eq!((finding.unwrap().since, command), (at(10), Some(Command::Open)));
    for verdict in [Verdict::Met, Verdict::Unknown(Reason::Denied)] {
        assert_eq!(step(None, &subject(), &seen(verdict, 10), at(11)), (None, None));
    }
}

#[test]
fn first_sight_of_an_asset_opens_backlog_that_pages_nobody() {
    let first = Observation {
        verdict: Verdict::NotMet,
        scope: scope("agent"),
        observed_at: at(10),
        first_sight: true,
    };
    let (finding, command) = step(None, &subject(), &Event::Observed(first), at(11));
    assert_eq!((finding.unwrap().backlog, command), (true, Some(Command::OpenQuietly)));
}

#[test]
fn a_repeat_keeps_it_open_and_says_nothing() {
    let (finding, command) = step(Some(&opened()), &subject(), &seen(Verdict::NotMet, 20), at(21));
    let finding = finding.unwrap();
    assert_eq!((finding.since, finding.last_seen, command), (at(10), at(20), None));
}

#[test]
fn only_a_newer_look_by_the_same_authenticated_scope_closes_it() {
    let look = |scope, observed_at| {
        let look = Observation { verdict: Verdict::Met, scope, observed_at, first_sight: false };
        step(Some(&opened()), &subject(), &Event::Observed(look), at(30)).1
    };
    assert_eq!(look(scope("agent"), at(20)), Some(Command::End));
    assert_eq!(look(scope("another"), at(20)), None);
    assert_eq!(look(None, at(20)), None);
    assert_eq!(look(scope("agent"), at(9)), None, "an older observation that came late");
}

#[test]
fn what_is_unknown_or_absent_never_closes() {
    for reason in Reason::ALL {
        let (finding, command) =
            step(Some(&opened()), &subject(), &seen(Verdict::Unknown(reason), 20), at(21));
        assert!(finding.unwrap().is_open() && command.is_none(), "{reason}");
    }
}

#[test]
fn each_other_end_is_called_by_its_own_name() {
    let table = [
        (Event::Withdrawn { by: "change".into() }, End::Withdrawn { by: "change".into() }),
        (Event::Retired, End::Retired),
        (Event::Superseded { by: subject().key() }, End::Superseded { by: subject().key() }),
    ];
    for (event, end) in table {
        let (finding, command) = step(Some(&opened()), &subject(), &event, at(30));
        let finding = finding.unwrap();
        assert_eq!(finding.state, State::Ended { at: at(30), end });
        assert_eq!(command, Some(Command::End));
        assert_eq!(step(Some(&finding), &subject(), &event, at(40)), (Some(finding.clone()), None));
    }
}

#[test]
fn a_fault_that_comes_back_opens_the_same_finding_again_and_is_no_backlog() {
    let closed = step(Some(&opened()), &subject(), &seen(Verdict::Met, 20), at(21)).0.unwrap();
    let (again, command) = step(Some(&closed), &subject(), &seen(Verdict::NotMet, 30), at(31));
    let again = again.unwrap();
    assert_eq!(
        (again.returns, again.since, again.backlog, command),
        (1, at(30), false, Some(Command::Reopen))
    );
    assert_eq!(step(Some(&closed), &subject(), &seen(Verdict::NotMet, 15), at(31)).1, None, "it came late");
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
    for subject in table {
        let json = serde_json::to_string(&subject).unwrap();
        assert_eq!(serde_json::from_str::<Subject>(&json).unwrap(), subject);
        assert_eq!(subject.labels().get("kind").unwrap(), subject.kind());
    }
}

proptest! {
    #[test]
    fn no_row_of_looks_verifies_without_a_newer_good_look_of_the_opening_scope(
        looks in prop::collection::vec((0_u8..3, 0_u8..3, 0_i64..50, any::<bool>()), 0..40)
    ) {
        let mut finding: Option<Finding> = None;
        for (tick, (verdict, who, ms, first_sight)) in looks.into_iter().enumerate() {
            let verdict = [Verdict::Met, Verdict::NotMet, Verdict::Unknown(Reason::Error)][verdict as usize];
            let scope = [scope("a"), scope("b"), None][who as usize];
            let look = Observation { verdict, scope, observed_at: at(ms), first_sight };
            let before = finding.clone();
            let (after, command) = step(finding.as_ref(), &subject(), &Event::Observed(look), at(100 + tick as i64));
            if command == Some(Command::End) {
                let before = before.unwrap();
                prop_assert!(verdict == Verdict::Met && scope == Some(before.scope) && at(ms) > before.last_seen);
            }
            finding = after;
        }
    }
}
