use std::collections::BTreeSet;

use super::*;
use crate::configuration::change::{Grant, Granted};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn id(number: u8) -> PersonId {
    PersonId::mint(at(0), [number; 10])
}

fn request(number: u8) -> RequestId {
    RequestId::mint(at(0), [number; 10])
}

fn person(number: u8, name: &str, roles: &[Role]) -> Person {
    Person {
        id: id(number),
        name: name.to_owned(),
        roles: roles.iter().copied().collect(),
        services: BTreeSet::new(),
        grants: Vec::new(),
        disabled: false,
    }
}

/// Ada and Grace are admins, Edsger is nobody yet.
fn house() -> Directory {
    let people =
        [person(1, "ada", &[Role::Admin]), person(2, "grace", &[Role::Admin]), person(3, "edsger", &[])];
    Directory { people: people.into_iter().map(|one| (one.id, one)).collect(), requests: Default::default() }
}

/// Does what follows, as the store would.
fn act(directory: &mut Directory, actor: u8, event: Event, now: i64) -> Result<Vec<Command>, Refusal> {
    let commands = step(directory, id(actor), &event, at(now))?;
    for command in &commands {
        match command {
            Command::Put(person) => drop(directory.people.insert(person.id, person.clone())),
            Command::Keep(request) => drop(directory.requests.insert(request.id, request.clone())),
            Command::EndSessions(_) | Command::RemoveFactor(_) => {}
        }
    }
    Ok(commands)
}

fn grant(person: u8, role: Role, number: u8) -> Event {
    Event::Granted { person: id(person), role, services: BTreeSet::new(), request: request(number) }
}

fn confirm(number: u8) -> Event {
    Event::Confirmed { request: request(number) }
}

#[test]
fn a_role_that_approves_comes_into_force_when_a_second_person_confirms_it() {
    let mut house = house();
    act(&mut house, 1, grant(3, Role::Security, 1), 10).unwrap();
    assert!(house.people[&id(3)].roles.is_empty(), "it waits");
    assert_eq!(act(&mut house, 1, confirm(1), 11), Err(Refusal::OwnRequest));
    act(&mut house, 2, confirm(1), 12).unwrap();
    let edsger = &house.people[&id(3)];
    assert!(edsger.roles.contains(&Role::Security));
    assert_eq!(edsger.grants.last().unwrap().by, [id(1), id(2)].into());
    assert_eq!(act(&mut house, 2, confirm(1), 13), Err(Refusal::NoRequest), "once");
}

#[test]
fn every_other_role_is_in_force_at_once() {
    for role in Role::ALL.into_iter().filter(|role| !role.approves() && *role != Role::Admin) {
        let mut house = house();
        act(&mut house, 1, grant(3, role, 1), 10).unwrap();
        assert!(house.people[&id(3)].roles.contains(&role), "{role}");
        assert_eq!(house.people[&id(3)].grants.last().unwrap().by, [id(1)].into());
    }
}

#[test]
fn coming_onto_a_team_waits_for_a_second_person_whatever_the_role() {
    let mut house = house();
    let services = BTreeSet::from(["shop".to_owned()]);
    let event = Event::Granted { person: id(3), role: Role::Responder, services, request: request(1) };
    act(&mut house, 1, event, 10).unwrap();
    assert!(house.people[&id(3)].services.is_empty());
    act(&mut house, 2, confirm(1), 11).unwrap();
    assert!(house.people[&id(3)].services.contains("shop"));
}

#[test]
fn nobody_confirms_for_themselves_or_after_being_made_able_to_by_who_asked() {
    let mut house = house();
    house.people.insert(id(4), person(4, "barbara", &[Role::Security]));
    act(&mut house, 1, grant(2, Role::Security, 1), 10).unwrap();
    assert_eq!(act(&mut house, 2, confirm(1), 11), Err(Refusal::OwnRole));
    assert_eq!(act(&mut house, 1, grant(1, Role::Security, 2), 12), Err(Refusal::ForOneself));
    // Ada takes over one who was there before.
    let mut house = self::house();
    act(&mut house, 1, grant(3, Role::Security, 1), 10).unwrap();
    act(&mut house, 1, Event::CredentialReset { person: id(2) }, 11).unwrap();
    assert_eq!(act(&mut house, 2, confirm(1), 12), Err(Refusal::FreshGrant));
}

#[test]
fn only_admins_act_and_only_admins_and_security_confirm() {
    let mut house = house();
    act(&mut house, 1, grant(3, Role::Auditor, 1), 10).unwrap();
    let events = [
        Event::Created { id: id(9), name: "x".to_owned() },
        grant(3, Role::Admin, 1),
        Event::Revoked { person: id(1), role: Role::Admin },
        Event::Disabled { person: id(1) },
        Event::Enabled { person: id(1) },
        Event::LinkMade { person: id(1) },
        Event::CredentialReset { person: id(1) },
    ];
    for event in events {
        assert_eq!(act(&mut house, 3, event.clone(), 11), Err(Refusal::Role("admin")), "{event:?}");
    }
    assert_eq!(act(&mut house, 3, confirm(1), 11), Err(Refusal::Role("admin or security")));
}

#[test]
fn the_last_admin_stays_and_a_disabled_one_does_not_count() {
    let mut house = house();
    act(&mut house, 1, Event::Disabled { person: id(2) }, 10).unwrap();
    let last = Err(Refusal::LastAdmin("ada".to_owned()));
    assert_eq!(act(&mut house, 1, Event::Revoked { person: id(1), role: Role::Admin }, 11), last);
    assert_eq!(act(&mut house, 1, Event::Disabled { person: id(1) }, 11), last);
    act(&mut house, 1, Event::Enabled { person: id(2) }, 12).unwrap();
    act(&mut house, 1, Event::Revoked { person: id(1), role: Role::Admin }, 13).unwrap();
}

#[test]
fn who_is_disabled_loses_sessions_and_what_waited_because_of_them() {
    let mut house = house();
    act(&mut house, 1, grant(3, Role::Security, 1), 10).unwrap();
    let commands = act(&mut house, 2, Event::Disabled { person: id(1) }, 11).unwrap();
    assert!(commands.contains(&Command::EndSessions(id(1))));
    assert_eq!(act(&mut house, 2, confirm(1), 12), Err(Refusal::NoRequest));
    assert_eq!(act(&mut house, 1, grant(3, Role::Auditor, 2), 13), Err(Refusal::Role("admin")));
}

#[test]
fn a_reset_credential_and_a_link_for_somebody_else_are_remembered() {
    for event in [Event::CredentialReset { person: id(3) }, Event::LinkMade { person: id(3) }] {
        let mut house = house();
        let commands = act(&mut house, 1, event.clone(), 10).unwrap();
        let grant = house.people[&id(3)].grants.last().unwrap().clone();
        assert_eq!((grant.what, grant.by), (Granted::Credential, [id(1)].into()));
        let reset = matches!(event, Event::CredentialReset { .. });
        assert_eq!(commands.contains(&Command::RemoveFactor(id(3))), reset);
    }
}

#[test]
fn names_are_one_line_and_no_two_look_the_same() {
    let mut house = house();
    for bad in ["", "a b", "-x", "\u{430}da", "a\n", "a<b>", &"a".repeat(65)] {
        let event = Event::Created { id: id(9), name: bad.to_owned() };
        assert_eq!(act(&mut house, 1, event, 10), Err(Refusal::Name(bad.to_owned())), "{bad:?}");
    }
    let event = |name: &str| Event::Created { id: id(9), name: name.to_owned() };
    assert_eq!(act(&mut house, 1, event("Ada"), 10), Err(Refusal::Taken("Ada".to_owned())));
    act(&mut house, 1, event("linus@example.org"), 10).unwrap();
}

#[test]
fn who_is_alone_is_told_what_to_do_before_anything_waits_in_vain() {
    let mut house = house();
    act(&mut house, 1, Event::Revoked { person: id(2), role: Role::Admin }, 9).unwrap();
    let refused = act(&mut house, 1, grant(3, Role::Security, 1), 10).unwrap_err();
    assert!(refused.to_string().contains("bartizan person grant NAME admin"), "{refused}");
    act(&mut house, 1, grant(2, Role::Admin, 2), 11).unwrap();
    // Grace is of Ada's making: Ada's word beside hers would be one person's. Grace asks, Ada confirms.
    assert!(matches!(act(&mut house, 1, grant(3, Role::Security, 1), 12), Err(Refusal::NoConfirmer(_))));
    act(&mut house, 2, grant(3, Role::Security, 1), 12).unwrap();
    let able: Vec<_> = house.confirmers(&house.requests[&request(1)]).map(|one| one.name.clone()).collect();
    assert_eq!(able, ["ada"]);
    act(&mut house, 1, confirm(1), 13).unwrap();
}

#[test]
fn an_admin_takes_two_people_as_soon_as_there_is_a_second_even_a_disabled_one() {
    let mut house = house();
    act(&mut house, 1, Event::Disabled { person: id(2) }, 10).unwrap();
    assert!(matches!(act(&mut house, 1, grant(3, Role::Admin, 1), 11), Err(Refusal::NoConfirmer(_))));
    act(&mut house, 1, Event::Enabled { person: id(2) }, 12).unwrap();
    // Whom Ada let in again is not the second person of what she asks, until somebody else stands by them.
    assert!(matches!(act(&mut house, 1, grant(3, Role::Admin, 1), 13), Err(Refusal::NoConfirmer(_))));
    let mut house = self::house();
    act(&mut house, 1, grant(3, Role::Admin, 1), 11).unwrap();
    assert!(house.people[&id(3)].roles.is_empty(), "it waits");
    act(&mut house, 2, confirm(1), 12).unwrap();
    assert!(house.people[&id(3)].roles.contains(&Role::Admin));
}

#[test]
fn nobody_makes_a_second_person_of_their_own_however_long_ago() {
    let mut house = house();
    house.people.insert(id(4), person(4, "barbara", &[]));
    // Grace is gone when Ada makes Edsger an admin; a year later he would confirm what she asks.
    act(&mut house, 1, Event::Revoked { person: id(2), role: Role::Admin }, 9).unwrap();
    act(&mut house, 1, grant(3, Role::Admin, 1), 10).unwrap();
    act(&mut house, 3, grant(2, Role::Admin, 2), 11).unwrap();
    act(&mut house, 1, confirm(2), 12).unwrap();
    act(&mut house, 1, grant(4, Role::Security, 3), 30_000_000).unwrap();
    assert_eq!(act(&mut house, 3, confirm(3), 30_000_001), Err(Refusal::FreshGrant));
    // Nor does he ask, and she confirm, now that there is Grace.
    act(&mut house, 3, grant(4, Role::Legal, 4), 30_000_002).unwrap();
    let own = Err(Refusal::OwnAsker("grace".to_owned()));
    assert_eq!(act(&mut house, 1, confirm(4), 30_000_003), own);
    // Once two people, one of them neither, gave him a role, he counts.
    act(&mut house, 1, grant(3, Role::Security, 5), 30_000_004).unwrap();
    act(&mut house, 2, confirm(5), 30_000_005).unwrap();
    act(&mut house, 1, grant(4, Role::Privacy, 6), 30_000_006).unwrap();
    act(&mut house, 3, confirm(6), 30_000_007).unwrap();
}

/// Carol is security, asked by Grace and confirmed by Ada; Ada makes her a link and floods her grants.
fn flooded() -> Directory {
    let mut house = house();
    act(&mut house, 2, grant(3, Role::Security, 1), 10).unwrap();
    act(&mut house, 1, confirm(1), 11).unwrap();
    act(&mut house, 1, Event::LinkMade { person: id(3) }, 12).unwrap();
    for turn in 0..GRANTS_LIMIT as i64 + 1 {
        act(&mut house, 1, grant(3, Role::Auditor, 2), 100 + turn).unwrap();
        act(&mut house, 1, Event::Revoked { person: id(3), role: Role::Auditor }, 100 + turn).unwrap();
    }
    house
}

#[test]
fn no_flood_of_harmless_grants_washes_off_who_made_the_link() {
    let mut house = flooded();
    assert!(house.people[&id(3)].actor().is_made_by(id(1)));
    house.people.insert(id(4), person(4, "eve", &[]));
    let services = BTreeSet::from(["shop".to_owned()]);
    let event = Event::Granted { person: id(4), role: Role::Operator, services, request: request(3) };
    act(&mut house, 1, event, 5_000).unwrap();
    assert_eq!(act(&mut house, 3, confirm(3), 5_001), Err(Refusal::FreshGrant));
}

#[test]
fn a_flood_of_grants_leaves_each_kind_by_each_giver_once_and_the_newest_of_it() {
    let edsger = &flooded().people[&id(3)];
    let kinds: Vec<Granted> = edsger.grants.iter().map(|grant| grant.what).collect();
    let auditor = Granted::Role(Role::Auditor);
    assert_eq!(kinds, [Granted::Role(Role::Security), Granted::Credential, auditor]);
    assert_eq!(edsger.grants.last().unwrap().at, at(100 + GRANTS_LIMIT as i64));
}

#[test]
fn whoever_was_given_to_by_too_many_people_gets_no_more_and_forgets_nothing() {
    let mut house = house();
    let others = |number: usize| PersonId::mint(at(number as i64), [7; 10]);
    let given = |number| Grant { what: Granted::Credential, at: at(1), by: [others(number)].into() };
    house.people.get_mut(&id(3)).unwrap().grants = (0..GRANTS_LIMIT).map(given).collect();
    let refused = Err(Refusal::Grants("edsger".to_owned()));
    for event in [grant(3, Role::Auditor, 1), Event::LinkMade { person: id(3) }] {
        assert_eq!(act(&mut house, 1, event.clone(), 10), refused, "{event:?}");
    }
    act(&mut house, 1, grant(3, Role::Security, 1), 11).unwrap();
    assert_eq!(act(&mut house, 2, confirm(1), 12), refused);
    // They can still be shut out, and what is known of them stays.
    act(&mut house, 1, Event::Disabled { person: id(3) }, 13).unwrap();
    assert_eq!(house.people[&id(3)].grants.len(), GRANTS_LIMIT);
}

#[test]
fn a_confirmed_role_ends_what_one_alone_opened_in_their_name() {
    let mut house = house();
    act(&mut house, 1, Event::LinkMade { person: id(3) }, 9).unwrap();
    act(&mut house, 1, grant(3, Role::Security, 1), 10).unwrap();
    let commands = act(&mut house, 2, confirm(1), 11).unwrap();
    assert!(commands.contains(&Command::EndSessions(id(3))), "who made the link may have kept a session");
    // Nobody opened anything in their name since: they stay signed in.
    act(&mut house, 1, grant(3, Role::Privacy, 2), 12).unwrap();
    let commands = act(&mut house, 2, confirm(2), 13).unwrap();
    assert!(!commands.contains(&Command::EndSessions(id(3))));
}

#[test]
fn a_role_that_nobody_gave_is_remembered_when_it_is_taken() {
    let mut house = house();
    house.people.get_mut(&id(2)).unwrap().roles.insert(Role::Security);
    act(&mut house, 1, Event::Revoked { person: id(2), role: Role::Security }, 10).unwrap();
    let had = |grant: &Grant| grant.what == Granted::Role(Role::Security) && grant.by.is_empty();
    assert!(house.people[&id(2)].grants.iter().any(had));
}
