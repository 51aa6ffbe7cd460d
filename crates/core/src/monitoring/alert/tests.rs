use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn asset(number: u8) -> crate::id::AssetId {
    crate::id::AssetId::mint(at(0), [number; 10])
}

fn person() -> PersonId {
    PersonId::mint(at(0), [7; 10])
}

fn fresh(number: u8) -> AlertId {
    AlertId::mint(at(0), [number; 10])
}

fn signal(host: u8, state: State, seconds: i64) -> Signal {
    Signal {
        kind: Kind::Deviation,
        subject: "ssh-root-login".to_owned(),
        asset: asset(host),
        object: String::new(),
        state,
        severity: Severity::High,
        labels: Labels::from([("service".to_owned(), "web".to_owned())]),
        summary: format!("host {host}"),
        at: at(seconds),
        backlog: false,
    }
}

const UNKNOWN: State = State::Unknown(Reason::Unseen);

/// Alerts and members as a store would keep them.
#[derive(Default)]
struct Kept {
    open: Option<Alert>,
    ended: Vec<Alert>,
    members: BTreeMap<(AlertId, Digest), Member>,
    minted: u8,
}

impl Kept {
    fn take(&mut self, signal: &Signal) -> bool {
        let key = signal.member_key();
        let member = self.open.as_ref().and_then(|alert| self.members.get(&(alert.id, key))).copied();
        self.minted += 1;
        let (alert, member) = match step(self.open.as_ref(), member, signal, fresh(self.minted), signal.at) {
            Step::Nothing => return false,
            Step::Opened(alert, member) | Step::Changed(alert, member) => (alert, member),
        };
        self.members.insert((alert.id, key), member);
        match alert.stage {
            Stage::Open => self.open = Some(alert),
            Stage::Resolved { .. } | Stage::Closed { .. } => {
                self.open = None;
                self.ended.push(alert);
            }
        }
        true
    }
}

#[test]
fn a_firing_signal_opens_an_alert() {
    let mut kept = Kept::default();
    assert!(kept.take(&signal(1, State::Firing, 1)));
    let alert = kept.open.unwrap();
    assert_eq!(alert.counts, Counts { firing: 1, unknown: 0, resolved: 0 });
    assert_eq!(alert.group.service, "web");
}

#[test]
fn the_first_sight_of_an_asset_opens_nothing() {
    let mut kept = Kept::default();
    assert!(!kept.take(&Signal { backlog: true, ..signal(1, State::Firing, 1) }));
    assert!(kept.open.is_none());
}

#[test]
fn a_repeated_signal_changes_nothing() {
    let mut kept = Kept::default();
    kept.take(&signal(1, State::Firing, 1));
    assert!(!kept.take(&signal(1, State::Firing, 2)));
}

#[test]
fn many_assets_are_one_alert_and_each_must_be_well_again() {
    let mut kept = Kept::default();
    for host in 1..=3 {
        kept.take(&signal(host, State::Firing, 1));
    }
    kept.take(&signal(1, State::Resolved, 2));
    kept.take(&signal(2, State::Resolved, 3));
    assert_eq!(kept.open.as_ref().unwrap().counts, Counts { firing: 1, unknown: 0, resolved: 2 });
    kept.take(&signal(3, State::Resolved, 4));
    assert_eq!(kept.ended[0].stage, Stage::Resolved { at: at(4) });
}

#[test]
fn what_can_no_longer_be_seen_keeps_the_alert_open() {
    let mut kept = Kept::default();
    kept.take(&signal(1, State::Firing, 1));
    kept.take(&signal(1, UNKNOWN, 2));
    let alert = kept.open.clone().unwrap();
    assert_eq!((alert.counts.firing, alert.counts.unknown), (0, 1));
    assert!(kept.take(&signal(1, State::Resolved, 3)));
    assert_eq!(kept.ended.len(), 1);
}

#[test]
fn a_resolution_nobody_asked_for_opens_nothing() {
    let mut kept = Kept::default();
    assert!(!kept.take(&signal(1, State::Resolved, 1)));
    assert!(!kept.take(&signal(1, UNKNOWN, 1)));
    assert!(kept.open.is_none());
}

#[test]
fn after_it_ended_a_new_alert_opens_with_a_new_identifier() {
    let mut kept = Kept::default();
    kept.take(&signal(1, State::Firing, 1));
    kept.take(&signal(1, State::Resolved, 2));
    kept.take(&signal(1, State::Firing, 3));
    assert_ne!(kept.open.unwrap().id, kept.ended[0].id);
}

#[test]
fn an_alert_is_acknowledged_once_and_only_while_open() {
    let mut kept = Kept::default();
    kept.take(&signal(1, State::Firing, 1));
    let alert = kept.open.clone().unwrap();
    let taken = alert.acknowledge(person(), at(2)).unwrap();
    assert_eq!(taken.acknowledge(person(), at(3)), Err(Refusal::AlreadyAcknowledged));
    kept.take(&signal(1, State::Resolved, 2));
    assert_eq!(kept.ended[0].acknowledge(person(), at(3)), Err(Refusal::Ended));
}

#[test]
fn closing_takes_a_reason_within_its_limit() {
    let mut kept = Kept::default();
    kept.take(&signal(1, State::Firing, 1));
    let alert = kept.open.unwrap();
    assert_eq!(alert.close(person(), "  ", at(2)), Err(Refusal::NoReason));
    let long = "x".repeat(REASON_CHARACTERS_LIMIT + 1);
    assert_eq!(alert.close(person(), &long, at(2)), Err(Refusal::LongReason(long.len())));
    assert!(alert.close(person(), "a test of the pager", at(2)).is_ok());
}

proptest! {
    #[test]
    fn counts_equal_the_members_and_nothing_ends_unobserved(
        signals in prop::collection::vec((0u8..4, 0u8..3), 0..60),
    ) {
        let mut kept = Kept::default();
        for (seconds, (host, state)) in signals.into_iter().enumerate() {
            let state = [State::Firing, State::Resolved, UNKNOWN][state as usize];
            kept.take(&signal(host, state, seconds as i64));
            for alert in kept.open.iter().chain(&kept.ended) {
                let mut counts = Counts::default();
                for ((id, _), member) in &kept.members {
                    if *id == alert.id {
                        *counts.of(*member) += 1;
                    }
                }
                prop_assert_eq!(counts, alert.counts);
                let ended = alert.stage != Stage::Open;
                prop_assert_eq!(ended, counts.firing == 0 && counts.unknown == 0);
            }
        }
    }
}

#[test]
fn who_joins_later_does_not_word_the_alert_anew() {
    let first = signal(1, State::Firing, 1);
    let Step::Opened(alert, _) = step(None, None, &first, fresh(1), at(1)) else { panic!("it opens") };
    let later = Signal { summary: "nothing to see here".to_owned(), ..signal(2, State::Firing, 2) };
    let Step::Changed(grown, _) = step(Some(&alert), None, &later, fresh(2), at(2)) else {
        panic!("it grows")
    };
    assert_eq!((grown.summary, grown.counts.firing), (first.summary, 2));
}

#[test]
fn an_alert_has_grown_when_a_member_was_taken_in_whatever_its_host_says_of_the_time() {
    let Step::Opened(alert, _) = step(None, None, &signal(1, State::Firing, 1), fresh(1), at(9)) else {
        panic!("it opens")
    };
    assert_eq!((alert.opened_at, alert.grown_at), (at(1), at(9)));
    let late = signal(2, State::Firing, -1_000_000);
    let Step::Changed(grown, _) = step(Some(&alert), None, &late, fresh(2), at(20)) else {
        panic!("it grows")
    };
    assert_eq!(grown.grown_at, at(20), "a page that was due stays due");
}
