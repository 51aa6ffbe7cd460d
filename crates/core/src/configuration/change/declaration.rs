//! Declaring what an environment asks for before a change is applied there.
//!
//! A team of one has nobody who could review or approve: it may declare an environment
//! `self-approved`, and each change there says so. Where somebody else approves, or ever did, the
//! declaration would be a way around that person, and is refused: one admin could disable them,
//! declare, apply, and enable them again.

use super::{Actor, Gate, Granted, Ladder};
use crate::error::Class;
use crate::person::Person;
use crate::role::Role;

/// Why a declaration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no environment `{0}`")]
    NoSuchEnvironment(String),
    #[error("`{0}` asks for nothing by its nature; there is nothing to declare")]
    AsksForNothing(String),
    #[error("an environment is declared `self-approved`, or `approved` again")]
    NoSuchGate,
    #[error("`{environment}` is declared `{gate}` already")]
    Already { environment: String, gate: &'static str },
    #[error(
        "{0} has or had the role security: `self-approved` is for a team of one. Give the role to a second person, who approves, or break the glass"
    )]
    SomebodyElse(String),
    #[error("this takes the role admin")]
    Role,
    #[error("a reason is needed, of at most {} bytes", super::REASON_BYTES_LIMIT)]
    Reason,
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::NoSuchEnvironment(_) => Class::NotFound,
            Refusal::NoSuchGate | Refusal::Reason => Class::Invalid,
            Refusal::AsksForNothing(_) | Refusal::Already { .. } => Class::Conflict,
            Refusal::SomebodyElse(_) | Refusal::Role => Class::Denied,
        }
    }
}

/// Judges what somebody declares of an environment; `people` is everybody there is.
///
/// Asking for approval again is always possible: it takes nothing from anybody.
pub fn declare(
    ladder: &Ladder,
    actor: &Actor,
    people: &[Person],
    environment: &str,
    gate: Gate,
    reason: &str,
) -> Result<Ladder, Refusal> {
    let missing = || Refusal::NoSuchEnvironment(environment.to_owned());
    let rung = ladder.rung(environment).map_err(|_| missing())?;
    match (rung.gate, gate) {
        (_, Gate::Open) => return Err(Refusal::NoSuchGate),
        (Gate::Open, _) => return Err(Refusal::AsksForNothing(environment.to_owned())),
        (held, asked) if held == asked => {
            return Err(Refusal::Already { environment: environment.to_owned(), gate: gate.as_str() });
        }
        _ => {}
    }
    if !actor.roles.contains(&Role::Admin) {
        return Err(Refusal::Role);
    }
    if reason.trim().is_empty() || reason.len() > super::REASON_BYTES_LIMIT {
        return Err(Refusal::Reason);
    }
    let other = people.iter().find(|person| person.id != actor.person && ever_approved(person));
    match other {
        Some(other) if gate == Gate::SelfApproved => Err(Refusal::SomebodyElse(other.name.clone())),
        _ => Ok(ladder.clone().declared(environment, gate)),
    }
}

/// Whether they have the role security, disabled or not, or had it once.
fn ever_approved(person: &Person) -> bool {
    let security = Granted::Role(Role::Security);
    person.roles.contains(&Role::Security) || person.grants.iter().any(|grant| grant.what == security)
}

#[cfg(test)]
mod tests {
    use super::super::Grant;
    use super::*;
    use crate::id::PersonId;
    use crate::time::Timestamp;

    fn person(n: u8, roles: &[Role]) -> Person {
        Person {
            id: PersonId::mint(Timestamp::from_millis(0), [n; 10]),
            name: format!("person {n}"),
            roles: roles.iter().copied().collect(),
            services: Default::default(),
            grants: Vec::new(),
            disabled: false,
        }
    }

    fn try_it(people: &[Person], environment: &str, gate: Gate) -> Result<Ladder, Refusal> {
        declare(&Ladder::default(), &people[0].actor(), people, environment, gate, "we are one")
    }

    #[test]
    fn a_team_of_one_declares_an_environment_self_approved_and_takes_it_back() {
        let alone = person(1, &[Role::Admin, Role::Security, Role::Operator]);
        let people = [alone.clone(), person(2, &[Role::Operator, Role::Auditor])];
        let ladder = try_it(&people, "prod", Gate::SelfApproved).unwrap();
        assert_eq!(ladder.rung("prod").unwrap().gate, Gate::SelfApproved);
        let again = declare(&ladder, &alone.actor(), &people, "prod", Gate::SelfApproved, "twice");
        assert!(matches!(again, Err(Refusal::Already { .. })));
        let grown = [alone.clone(), person(3, &[Role::Security])];
        let back = declare(&ladder, &alone.actor(), &grown, "prod", Gate::Approved, "we are two").unwrap();
        assert_eq!(back, Ladder::default());
    }

    #[test]
    fn nobody_declares_around_somebody_who_could_approve_or_ever_could() {
        let people = [person(1, &[Role::Admin]), person(2, &[Role::Security])];
        let refused = try_it(&people, "prod", Gate::SelfApproved);
        assert_eq!(refused, Err(Refusal::SomebodyElse("person 2".to_owned())));
        let disabled = Person { disabled: true, ..people[1].clone() };
        assert_eq!(try_it(&[people[0].clone(), disabled], "prod", Gate::SelfApproved), refused);
        let grant = Grant {
            what: Granted::Role(Role::Security),
            at: Timestamp::from_millis(0),
            by: [people[0].id, person(3, &[]).id].into(),
        };
        let revoked = Person { grants: vec![grant], ..person(2, &[Role::Auditor]) };
        assert_eq!(try_it(&[people[0].clone(), revoked], "prod", Gate::SelfApproved), refused);
    }

    #[test]
    fn a_declaration_takes_an_admin_a_reason_and_an_environment_that_asks_for_approval() {
        let admin = [person(1, &[Role::Admin])];
        let operator = [person(1, &[Role::Operator])];
        assert_eq!(try_it(&operator, "prod", Gate::SelfApproved), Err(Refusal::Role));
        assert!(matches!(try_it(&admin, "dev", Gate::SelfApproved), Err(Refusal::AsksForNothing(_))));
        assert!(matches!(try_it(&admin, "moon", Gate::SelfApproved), Err(Refusal::NoSuchEnvironment(_))));
        assert_eq!(try_it(&admin, "prod", Gate::Open), Err(Refusal::NoSuchGate));
        let ladder = Ladder::default();
        let silent = declare(&ladder, &admin[0].actor(), &admin, "prod", Gate::SelfApproved, " ");
        assert_eq!(silent, Err(Refusal::Reason));
    }
}
