use super::*;
use crate::configuration::change::{Grant, Granted};
use crate::id::AssetId;

const DAY: i64 = 86_400_000;

fn at(day: i64) -> Timestamp {
    Timestamp::from_millis(day * DAY)
}

fn person(n: u8) -> PersonId {
    PersonId::mint(at(0), [n; 10])
}

fn actor(n: u8, roles: &[Role]) -> Actor {
    Actor {
        person: person(n),
        roles: roles.iter().copied().collect(),
        services: BTreeSet::new(),
        grants: Vec::new(),
    }
}

/// Person 1 writes, person 2 owns the risk, person 3 is security.
fn security() -> Actor {
    actor(3, &[Role::Security])
}

fn rule() -> Control {
    Control::Rule { baseline: "debian-12".to_owned(), rule: "firewall".to_owned() }
}

fn manual(review_day: i64) -> Control {
    Control::Manual { name: "guarded by hand".to_owned(), review_by: at(review_day) }
}

fn proposal(control: Control) -> Proposal {
    Proposal {
        owner: person(2),
        reason: "no fix is out".to_owned(),
        scope: Selector::new(vec![
            "vulnerability=CVE-2024-1".parse().unwrap(),
            "service=web".parse().unwrap(),
        ]),
        until: Some(at(100)),
        control: Some(control),
    }
}

fn proposed(control: Control) -> Acceptance {
    propose(AcceptanceId::mint(at(0), [0; 10]), person(1), &proposal(control), at(10)).unwrap()
}

fn approved(control: Control) -> Acceptance {
    step(&proposed(control), &Event::Approved, &security(), at(11)).unwrap().0
}

fn in_force() -> Acceptance {
    let (acceptance, commands) = observe(&approved(rule()), Observation::Control(Verdict::Met), at(12));
    assert_eq!(commands, [Command::Cover]);
    acceptance
}

fn subject() -> Subject {
    let asset = AssetId::mint(at(0), [1; 10]);
    Subject::Vulnerability { asset, id: "CVE-2024-1".to_owned(), source_package: "openssl".to_owned() }
}

fn web() -> Labels {
    Labels::from([("service".to_owned(), "web".to_owned())])
}

#[test]
fn it_covers_once_security_approved_it_and_its_control_is_seen_to_hold() {
    let covers = |acceptance: &Acceptance| acceptance.covers(&subject(), &web(), at(13));
    assert!(!covers(&proposed(rule())));
    let (waiting, commands) = step(&proposed(rule()), &Event::Approved, &security(), at(11)).unwrap();
    assert_eq!(commands, [Command::LookAtControl]);
    assert!(!covers(&waiting));
    let (unknown, commands) =
        observe(&waiting, Observation::Control(Verdict::Unknown(Reason::Unseen)), at(12));
    assert!(!covers(&unknown) && commands.is_empty(), "what nobody saw holds nothing");
    assert!(covers(&in_force()));
    assert!(covers(&approved(manual(20))), "a manual control holds until its review is due");
    assert!(!in_force().covers(&subject(), &Labels::new(), at(13)), "another service");
}

#[test]
fn it_ends_at_once_when_the_control_fails_and_not_when_nobody_can_say() {
    let (flagged, commands) =
        observe(&in_force(), Observation::Control(Verdict::Unknown(Reason::Stale)), at(20));
    let flag = Flag { since: at(20), reason: Reason::Stale };
    assert_eq!(commands, [Command::Flag(flag)]);
    assert!(flagged.covers(&subject(), &web(), at(21)));
    let again = observe(&flagged, Observation::Control(Verdict::Unknown(Reason::Denied)), at(22));
    assert_eq!(again, (flagged.clone(), Vec::new()), "it is told once");
    let (well, commands) = observe(&flagged, Observation::Control(Verdict::Met), at(23));
    assert_eq!((&well, commands), (&in_force(), vec![Command::Unflag]));
    let (ended, commands) = observe(&flagged, Observation::Control(Verdict::NotMet), at(24));
    assert_eq!(commands, [Command::Uncover]);
    assert!(matches!(ended.state, State::Ended { end: End::ControlFailed, approval: Some(_), .. }));
    let back = observe(&ended, Observation::Control(Verdict::Met), at(25));
    assert_eq!(back, (ended, Vec::new()), "what has ended is proposed anew");
}

#[test]
fn it_expires_at_its_end_whether_or_not_anybody_writes_it_down() {
    let acceptance = in_force();
    assert!(!acceptance.covers(&subject(), &web(), at(100)));
    let refused = step(&acceptance, &Event::Withdrawn { reason: "late".to_owned() }, &security(), at(100));
    assert_eq!(refused.unwrap_err(), Refusal::Ended);
    let (ended, commands) = observe(&acceptance, Observation::Time, at(100));
    assert!(matches!(ended.state, State::Ended { end: End::Expired, .. }));
    assert_eq!(commands, [Command::Uncover]);
    assert_eq!(observe(&ended, Observation::Time, at(101)).1, []);
}

#[test]
fn a_manual_control_that_nobody_reviewed_is_flagged_and_a_review_lifts_that() {
    let acceptance = approved(manual(20));
    assert_eq!(observe(&acceptance, Observation::Time, at(20)).1, []);
    let (overdue, commands) = observe(&acceptance, Observation::Time, at(21));
    assert!(matches!(commands[..], [Command::Flag(Flag { reason: Reason::Stale, .. })]));
    let reviewed = |holds| Event::Reviewed { holds, review_by: at(50) };
    let (reviewed_well, commands) = step(&overdue, &reviewed(true), &security(), at(22)).unwrap();
    assert_eq!(commands, [Command::Unflag]);
    assert_eq!(reviewed_well.control, manual(50));
    let owner = actor(2, &[Role::Operator]);
    assert_eq!(
        step(&overdue, &reviewed(true), &owner, at(22)).unwrap_err(),
        Refusal::Role("the role security")
    );
    let (ended, _) = step(&overdue, &reviewed(false), &owner, at(22)).unwrap();
    assert!(matches!(ended.state, State::Ended { end: End::ControlFailed, .. }), "bad news is believed");
    let late = Event::Reviewed { holds: true, review_by: at(101) };
    assert_eq!(step(&overdue, &late, &security(), at(22)).unwrap_err(), Refusal::ReviewDate);
    assert_eq!(step(&in_force(), &reviewed(true), &security(), at(22)).unwrap_err(), Refusal::NotManual);
}

#[test]
fn nobody_approves_what_they_wrote_or_own_or_were_made_able_to_approve() {
    let granted = |by: &[u8], day| {
        let by = by.iter().map(|n| person(*n)).collect();
        let grant = Grant { what: Granted::Role(Role::Security), at: at(day), by };
        Actor { grants: vec![grant], ..security() }
    };
    let table = [
        (actor(1, &[Role::Security]), Err(Refusal::OwnAcceptance)),
        (actor(2, &[Role::Security]), Err(Refusal::OwnAcceptance)),
        (actor(4, &[Role::Operator, Role::Admin]), Err(Refusal::Role("the role security"))),
        (granted(&[1, 9], 11), Err(Refusal::FreshGrant)),
        (granted(&[2, 9], 11), Err(Refusal::FreshGrant)),
        (granted(&[9], 11), Err(Refusal::FreshGrant)),
        (granted(&[8, 9], 11), Ok(())),
        (granted(&[9], 9), Ok(())),
        (granted(&[1], 9), Err(Refusal::FreshGrant)),
    ];
    for (actor, expected) in table {
        let outcome = step(&proposed(rule()), &Event::Approved, &actor, at(11)).map(drop);
        assert_eq!(outcome, expected, "{actor:?}");
    }
    let twice = step(&approved(rule()), &Event::Approved, &security(), at(12));
    assert_eq!(twice.unwrap_err(), Refusal::AlreadyApproved);
}

#[test]
fn what_says_too_little_or_lasts_too_long_is_refused() {
    let good = proposal(rule());
    let until = |day| Proposal { until: Some(at(day)), ..good.clone() };
    let nameless = Control::Rule { baseline: String::new(), rule: "x".to_owned() };
    let table = [
        (Proposal { reason: " ".to_owned(), ..good.clone() }, Refusal::Reason),
        (Proposal { reason: "x".repeat(REASON_BYTES_LIMIT + 1), ..good.clone() }, Refusal::Reason),
        (Proposal { scope: Selector::default(), ..good.clone() }, Refusal::Unbounded),
        (Proposal { until: None, ..good.clone() }, Refusal::NoEnd),
        (until(10), Refusal::Past(at(10))),
        (until(10 + 367), Refusal::TooLong),
        (Proposal { control: None, ..good.clone() }, Refusal::NoControl),
        (Proposal { control: Some(nameless), ..good.clone() }, Refusal::NoControl),
        (proposal(manual(10)), Refusal::ReviewDate),
        (proposal(manual(101)), Refusal::ReviewDate),
    ];
    for (proposal, refusal) in table {
        let outcome = propose(AcceptanceId::mint(at(0), [0; 10]), person(1), &proposal, at(10));
        assert_eq!(outcome.unwrap_err(), refusal, "{proposal:?}");
    }
    assert!(propose(AcceptanceId::mint(at(0), [0; 10]), person(1), &until(10 + 366), at(10)).is_ok());
}

#[test]
fn its_author_its_owner_and_security_withdraw_it_with_a_reason() {
    let withdrawn = |reason: &str| Event::Withdrawn { reason: reason.to_owned() };
    for n in [1, 2] {
        let (ended, commands) = step(&in_force(), &withdrawn("fixed"), &actor(n, &[]), at(20)).unwrap();
        assert!(ended.has_ended(at(20)));
        assert_eq!(commands, [Command::Uncover]);
        assert_eq!(step(&ended, &withdrawn("again"), &actor(n, &[]), at(21)).unwrap_err(), Refusal::Ended);
    }
    assert!(step(&proposed(rule()), &withdrawn("too broad"), &security(), at(20)).is_ok());
    assert_eq!(step(&in_force(), &withdrawn(""), &security(), at(20)).unwrap_err(), Refusal::Reason);
    let stranger = step(&in_force(), &withdrawn("x"), &actor(9, &[Role::Operator]), at(20));
    assert_eq!(stranger.unwrap_err().class(), Class::Denied);
}

#[test]
fn a_control_on_many_assets_fails_anywhere_and_holds_everywhere() {
    use Verdict::{Met, NotMet, Unknown};
    let table: [(&[Verdict], Verdict); 6] = [
        (&[], Unknown(Reason::Unseen)),
        (&[Met, Met], Met),
        (&[Met, Unknown(Reason::Denied), Met], Unknown(Reason::Denied)),
        (&[Unknown(Reason::Stale), Met], Unknown(Reason::Stale)),
        (&[Unknown(Reason::Stale), NotMet], NotMet),
        (&[NotMet, Met, Met], NotMet),
    ];
    for (verdicts, expected) in table {
        assert_eq!(together(verdicts.iter().copied()), expected, "{verdicts:?}");
    }
}

#[test]
fn a_preview_shows_what_would_be_covered() {
    let scope = in_force().scope;
    let (inside, elsewhere) = (subject(), Labels::new());
    let other = Subject::Clock { object: "ssh".to_owned(), clock: "review".to_owned() };
    let web = web();
    assert_eq!(preview(&scope, [(&inside, &web), (&inside, &elsewhere), (&other, &web)]), [&inside]);
}

/// SplitMix64: small, seeded, the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// An onlooker who trusts no state machine notes only: who approved by right, and what the control last said.
#[test]
fn whatever_a_crowd_does_nothing_is_covered_against_the_law() {
    let mut covered = 0;
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let mut acceptance = proposed(rule());
        let (mut rightly_approved, mut held, mut over) = (false, false, false);
        for tick in 0..60 {
            let now = at(11 + tick * 2);
            let roles = [vec![Role::Security], vec![Role::Operator], vec![Role::Security, Role::Admin]];
            let actor = actor(1 + dice.roll(5) as u8, &roles[dice.roll(3)]);
            match dice.roll(8) {
                0 | 1 => {
                    let done = step(&acceptance, &Event::Approved, &actor, now);
                    let free = actor.person != person(1) && actor.person != person(2);
                    if let Ok((next, _)) = done {
                        rightly_approved |= free && actor.roles.contains(&Role::Security);
                        acceptance = next;
                    }
                }
                2 if dice.roll(6) == 0 => {
                    let event = Event::Withdrawn { reason: "done".to_owned() };
                    if let Ok((next, _)) = step(&acceptance, &event, &actor, now) {
                        over = true;
                        acceptance = next;
                    }
                }
                3 => acceptance = observe(&acceptance, Observation::Time, now).0,
                _ => {
                    let verdict = match dice.roll(20) {
                        0 => Verdict::NotMet,
                        1..=6 => Verdict::Unknown(Reason::Stale),
                        _ => Verdict::Met,
                    };
                    held |= rightly_approved && verdict == Verdict::Met;
                    over |= rightly_approved && verdict == Verdict::NotMet;
                    acceptance = observe(&acceptance, Observation::Control(verdict), now).0;
                }
            }
            let lawful = rightly_approved && held && !over && now < at(100);
            assert_eq!(acceptance.covers(&subject(), &web(), now), lawful, "seed {seed}, tick {tick}");
            covered += usize::from(lawful);
        }
    }
    assert!(covered > 1_000, "the crowd must get there by the law: {covered}");
}
