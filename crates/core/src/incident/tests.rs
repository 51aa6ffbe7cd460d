use proptest::prelude::*;

use super::severity::{Impact, Sensitivity, Spread};
use super::*;
use crate::monitoring::alert::{Counts, Group, Stage as AlertStage};
use crate::monitoring::signal::Kind;
use crate::severity::Severity;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

pub(super) fn alert(number: u8, severity: Severity) -> Alert {
    Alert {
        id: AlertId::mint(NOW, [number; 10]),
        group: Group {
            kind: Kind::Detection,
            subject: "reverse-shell".to_owned(),
            service: "shop".to_owned(),
            environment: "prod".to_owned(),
        },
        severity,
        summary: "web-1: a shell went out".to_owned(),
        opened_at: NOW,
        grown_at: NOW,
        counts: Counts { firing: 1, ..Counts::default() },
        acknowledged: None,
        stage: AlertStage::Open,
        opened_by: None,
        surplus: 0,
    }
}

fn person(number: u8) -> PersonId {
    PersonId::mint(NOW, [number; 10])
}

fn opened() -> Incident {
    let (id, alert) = (IncidentId::mint(NOW, [7; 10]), alert(1, Severity::High));
    open_by_rule(id, "A shell went out", Origin::of("severe", &alert), &alert, NOW).unwrap().0
}

fn at(stages: &[Stage]) -> Incident {
    stages.iter().fold(opened(), |incident, to| {
        step(&incident, &Event::Advanced { by: person(1), to: *to }, NOW).unwrap().0
    })
}

fn close(reason: &str) -> Event {
    Event::Closed { by: person(1), reason: reason.to_owned() }
}

#[test]
fn a_rule_opens_it_with_its_alert_and_what_that_tells() {
    let alert = alert(1, Severity::High);
    let id = IncidentId::mint(NOW, [7; 10]);
    let (incident, commands) =
        open_by_rule(id, "A shell went out", Origin::of("severe", &alert), &alert, NOW).unwrap();
    assert_eq!(incident.rating.level(), Severity::High);
    assert_eq!((incident.owner, incident.stage_word()), (None, "detect"));
    let entry = |number, happened| Entry { number, at: NOW, by: None, happened };
    let expected = [
        Command::Write(entry(0, Happened::Opened { title: "A shell went out".to_owned() })),
        Command::Write(entry(1, Happened::TookIn { alert: alert.id })),
        Command::Take(alert.id),
    ];
    assert_eq!(commands, expected);
}

#[test]
fn who_opens_it_by_hand_owns_it() {
    let (incident, commands) =
        open(IncidentId::mint(NOW, [7; 10]), "Odd logins", person(3), None, NOW).unwrap();
    assert_eq!((incident.owner, incident.origin, commands.len()), (Some(person(3)), None, 1));
}

#[test]
fn it_goes_back_from_stabilise_to_diagnose_and_closes_with_a_reason() {
    use Stage::{Assess, Diagnose, Stabilise};
    let incident = at(&[Assess, Diagnose, Stabilise, Diagnose, Stabilise]);
    assert_eq!(incident.owner, Some(person(1)), "who moved it first owns it");
    assert_eq!(step(&incident, &close(" "), NOW).unwrap_err(), Refusal::Missing("a reason"));
    let closed = step(&incident, &close("the host was rebuilt"), NOW).unwrap().0;
    assert!(!closed.is_open());
    assert_eq!(closed.entries, 10, "with who works on it, and whose it is");
    let again = Event::Noted { by: person(1), text: "late".to_owned() };
    assert_eq!(step(&closed, &again, NOW).unwrap_err(), Refusal::Closed);
}

#[test]
fn it_closes_from_assess_and_stabilise_alone() {
    use Stage::{Assess, Diagnose, Stabilise};
    let table: [(&[Stage], bool); 4] = [
        (&[], false),
        (&[Assess], true),
        (&[Assess, Diagnose], false),
        (&[Assess, Diagnose, Stabilise], true),
    ];
    for (stages, may) in table {
        assert_eq!(step(&at(stages), &close("false alarm"), NOW).is_ok(), may, "{stages:?}");
    }
}

#[test]
fn no_stage_is_left_out() {
    let skip = Event::Advanced { by: person(1), to: Stage::Stabilise };
    let refusal = Refusal::NoSuchStep { from: Stage::Detect, to: Stage::Stabilise };
    assert_eq!(step(&opened(), &skip, NOW).unwrap_err(), refusal);
}

#[test]
fn further_alerts_join_once_and_make_it_no_milder() {
    let incident = opened();
    let joined = |number, severity| {
        let alert = alert(number, severity);
        Event::Joined { alert: alert.id, rating: Rating::of(&alert) }
    };
    let (worse, commands) = step(&incident, &joined(2, Severity::Critical), NOW).unwrap();
    assert_eq!(worse.rating.level(), Severity::Critical);
    assert!(commands.contains(&Command::Take(alert(2, Severity::Critical).id)));
    let (same, _) = step(&worse, &joined(3, Severity::Low), NOW).unwrap();
    assert_eq!(same.rating, worse.rating);
    assert_eq!(step(&same, &joined(2, Severity::Critical), NOW).unwrap_err(), Refusal::AlreadyIn);
}

#[test]
fn people_may_rate_it_lower_and_say_why() {
    let rated =
        |reason: &str| Event::Rated { by: person(1), rating: Rating::default(), reason: reason.into() };
    assert_eq!(step(&opened(), &rated(""), NOW).unwrap_err(), Refusal::Missing("a reason"));
    let (lower, _) = step(&opened(), &rated("a drill"), NOW).unwrap();
    assert_eq!(lower.rating.level(), Severity::Low);
}

#[test]
fn it_is_given_to_somebody_once() {
    let assigned = Event::Assigned { by: person(1), to: person(2) };
    let (owned, _) = step(&opened(), &assigned, NOW).unwrap();
    assert_eq!(owned.owner, Some(person(2)));
    assert_eq!(step(&owned, &assigned, NOW).unwrap_err(), Refusal::AlreadyOwner);
}

#[test]
fn what_is_too_long_or_too_much_is_refused_and_a_full_one_can_still_be_closed() {
    let long = "x".repeat(TEXT_CHARACTERS_LIMIT + 1);
    let noted = |text: &str| Event::Noted { by: person(1), text: text.to_owned() };
    assert!(matches!(step(&opened(), &noted(&long), NOW), Err(Refusal::Long { .. })));
    let mut full = at(&[Stage::Assess]);
    full.entries = ENTRIES_LIMIT;
    assert_eq!(step(&full, &noted("more"), NOW).unwrap_err(), Refusal::TooManyEntries);
    assert!(step(&full, &close("done"), NOW).is_ok());
    let mut crowded = opened();
    let minted = |n: usize| AlertId::mint(Timestamp::from_millis(n as i64), [0; 10]);
    crowded.alerts = (0..ALERTS_LIMIT).map(minted).collect();
    let joined = Event::Joined { alert: minted(ALERTS_LIMIT), rating: Rating::default() };
    assert_eq!(step(&crowded, &joined, NOW).unwrap_err(), Refusal::TooManyAlerts);
}

#[test]
fn two_rules_and_two_groups_are_two_origins() {
    let one = alert(1, Severity::High);
    let mut other = alert(2, Severity::Low);
    assert_eq!(Origin::of("severe", &one), Origin::of("severe", &other));
    assert_ne!(Origin::of("severe", &one), Origin::of("shells", &one));
    other.group.environment = "dev".to_owned();
    assert_ne!(Origin::of("severe", &one), Origin::of("severe", &other));
}

fn event() -> impl Strategy<Value = Event> {
    let by = (0u8..3).prop_map(person);
    let rating = (0usize..2, 0usize..2, 0usize..2).prop_map(|(impact, spread, sensitivity)| Rating {
        impact: [Impact::Unnoticed, Impact::Lost][impact],
        spread: [Spread::OneAsset, Spread::ManyServices][spread],
        sensitivity: [Sensitivity::Public, Sensitivity::Customer][sensitivity],
    });
    let text = prop_oneof![Just(String::new()), Just("because".to_owned())];
    prop_oneof![
        (0u8..4, rating.clone())
            .prop_map(|(n, rating)| Event::Joined { alert: AlertId::mint(NOW, [n; 10]), rating }),
        (by.clone(), 0u8..3).prop_map(|(by, to)| Event::Assigned { by, to: person(to) }),
        (by.clone(), rating, text.clone()).prop_map(|(by, rating, reason)| Event::Rated {
            by,
            rating,
            reason
        }),
        (by.clone(), 0usize..4).prop_map(|(by, to)| Event::Advanced { by, to: Stage::ALL[to] }),
        (by.clone(), text.clone()).prop_map(|(by, text)| Event::Noted { by, text }),
        (by, text).prop_map(|(by, reason)| Event::Closed { by, reason }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_timeline_has_no_gap_and_tells_every_stage(
        events in proptest::collection::vec(event(), 0..60)
    ) {
        let mut incident = opened();
        let (mut numbers, mut told) = (incident.entries, Stage::Detect);
        for event in &events {
            let Ok((next, commands)) = step(&incident, event, NOW) else { continue };
            prop_assert!(incident.is_open(), "nothing happens to a closed one");
            let mut taken = incident.alerts.clone();
            for command in commands {
                match command {
                    Command::Write(entry) => {
                        prop_assert_eq!(entry.number, numbers);
                        numbers += 1;
                        if let Happened::Advanced { from, to } = entry.happened {
                            prop_assert_eq!(from, told);
                            told = to;
                        }
                    }
                    Command::Take(alert) => prop_assert!(taken.insert(alert)),
                }
            }
            prop_assert_eq!(&taken, &next.alerts);
            prop_assert_eq!(next.entries, numbers);
            match &next.state {
                State::Open { stage } => prop_assert_eq!(*stage, told),
                State::Closed { reason, .. } => prop_assert!(told.may_close() && !reason.is_empty()),
            }
            prop_assert!(told == Stage::Detect || next.owner.is_some(), "who works on it owns it");
            incident = next;
        }
    }
}

#[test]
fn whoever_acknowledges_or_moves_it_first_works_on_it_and_owns_it_and_the_timeline_says_so() {
    let happened = |commands: &[Command]| -> Vec<&'static str> {
        let entries = commands.iter().filter_map(|command| match command {
            Command::Write(entry) => Some(entry.happened.as_str()),
            Command::Take(_) => None,
        });
        entries.collect()
    };
    let fresh = opened();
    let (taken, commands) = step(&fresh, &Event::Acknowledged { by: person(1) }, NOW).unwrap();
    assert_eq!(happened(&commands), ["acknowledged", "assigned"]);
    assert_eq!((taken.owner, taken.acknowledged_at), (Some(person(1)), Some(NOW)));
    let again = step(&taken, &Event::Acknowledged { by: person(2) }, NOW);
    assert_eq!(again.unwrap_err(), Refusal::AlreadyAcknowledged);

    let moved = Event::Advanced { by: person(2), to: Stage::Assess };
    assert_eq!(happened(&step(&fresh, &moved, NOW).unwrap().1), ["acknowledged", "assigned", "advanced"]);
    assert_eq!(happened(&step(&taken, &moved, NOW).unwrap().1), ["advanced"]);

    let given = Event::Assigned { by: person(1), to: person(2) };
    let (given, commands) = step(&fresh, &given, NOW).unwrap();
    assert_eq!((happened(&commands), given.acknowledged_at), (vec!["assigned"], None));
    let (said, commands) = step(&given, &Event::Acknowledged { by: person(2) }, NOW).unwrap();
    assert_eq!((happened(&commands), said.owner), (vec!["acknowledged"], Some(person(2))));
}
