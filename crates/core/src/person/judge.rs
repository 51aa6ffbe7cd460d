//! The judge of people: who may make, grant, confirm, revoke and disable, and what follows.

use std::collections::{BTreeMap, BTreeSet};

use super::{GRANTS_LIMIT, Person, Request, SERVICES_LIMIT, is_name};
use crate::configuration::change::{Grant, Granted};
use crate::error::Class;
use crate::id::{PersonId, RequestId};
use crate::role::Role;
use crate::time::Timestamp;

/// Everybody, and what waits for a second person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    pub people: BTreeMap<PersonId, Person>,
    pub requests: BTreeMap<RequestId, Request>,
}

/// What somebody does about people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Created {
        id: PersonId,
        name: String,
    },
    /// `request` is the identifier that the request gets where the role waits for a second person.
    Granted {
        person: PersonId,
        role: Role,
        services: BTreeSet<String>,
        request: RequestId,
    },
    Confirmed {
        request: RequestId,
    },
    Revoked {
        person: PersonId,
        role: Role,
    },
    Disabled {
        person: PersonId,
    },
    Enabled {
        person: PersonId,
    },
    /// A link was made by which somebody else signs in.
    LinkMade {
        person: PersonId,
    },
    /// The second factor was taken away, so that another can be set up.
    CredentialReset {
        person: PersonId,
    },
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Put(Person),
    /// A request that is new, or was answered.
    Keep(Request),
    /// Their sessions and links end.
    EndSessions(PersonId),
    RemoveFactor(PersonId),
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this takes the role {0}")]
    Role(&'static str),
    #[error("there is no such person")]
    NoPerson,
    #[error("there is no such request, or it was answered already")]
    NoRequest,
    #[error("`{0}` is no name: 1 to 64 of the letters a to z, digits and . _ @ + -, first a letter or digit")]
    Name(String),
    #[error("there is a person `{0}` already")]
    Taken(String),
    #[error("a person is on the team of at most {SERVICES_LIMIT} services")]
    Services,
    #[error("{0} has that already")]
    Already(String),
    #[error("who asked for a role may not confirm it: a second person does, with the role admin or security")]
    OwnRequest,
    #[error(
        "a second person has to confirm this, with the role admin or security, who is neither you nor {0} nor somebody whom you alone made: there is none. Make one first (`bartizan person create NAME`, `bartizan person grant NAME admin`, `bartizan person sign-in-link NAME`), and let them ask: you confirm. Whoever is disabled and keeps such a role counts until it is revoked"
    )]
    NoConfirmer(String),
    #[error("nobody confirms a role for themselves")]
    OwnRole,
    #[error("nobody gives themselves a role that approves: another admin asks for it")]
    ForOneself,
    #[error(
        "your role or credential was made or reset by whoever asks, or by one person alone since it was asked: another person confirms this"
    )]
    FreshGrant,
    #[error("you alone made whoever asks, and {0} could confirm this")]
    OwnAsker(String),
    #[error("{0} is the last admin: make another one first")]
    LastAdmin(String),
    #[error("{0} is disabled")]
    Disabled(String),
    #[error(
        "{0} was given roles and links by {GRANTS_LIMIT} different people and pairs of people, and none of that is forgotten: make another person for them"
    )]
    Grants(String),
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::NoPerson | Refusal::NoRequest => Class::NotFound,
            Refusal::Name(_) | Refusal::Services => Class::Invalid,
            Refusal::Taken(_)
            | Refusal::Already(_)
            | Refusal::LastAdmin(_)
            | Refusal::NoConfirmer(_)
            | Refusal::Disabled(_) => Class::Conflict,
            Refusal::Grants(_) => Class::Limit,
            Refusal::Role(_)
            | Refusal::OwnRequest
            | Refusal::OwnRole
            | Refusal::ForOneself
            | Refusal::FreshGrant
            | Refusal::OwnAsker(_) => Class::Denied,
        }
    }
}

type Outcome = Result<Vec<Command>, Refusal>;

/// Judges an act of `actor`; what follows has to be done together.
pub fn step(directory: &Directory, actor: PersonId, event: &Event, now: Timestamp) -> Outcome {
    let actor = directory.people.get(&actor).ok_or(Refusal::NoPerson)?;
    let act = Act { directory, actor, now };
    if let Event::Confirmed { request } = event {
        return act.confirm(*request);
    }
    if !actor.has_any(&[Role::Admin]) {
        return Err(Refusal::Role("admin"));
    }
    match event {
        Event::Created { id, name } => act.create(*id, name),
        Event::Granted { person, role, services, request } => act.grant(*person, *role, services, *request),
        Event::Confirmed { request } => act.confirm(*request),
        Event::Revoked { person, role } => act.revoke(*person, *role),
        Event::Disabled { person } => act.disable(*person),
        Event::Enabled { person } => act.enable(*person),
        Event::LinkMade { person } => act.credential(*person, false),
        Event::CredentialReset { person } => act.credential(*person, true),
    }
}

struct Act<'a> {
    directory: &'a Directory,
    actor: &'a Person,
    now: Timestamp,
}

impl Directory {
    /// Who could confirm a request: enabled, admin or security, neither who asked nor who gets it,
    /// nor made by who asked.
    pub fn confirmers(&self, request: &Request) -> impl Iterator<Item = &Person> {
        let (by, person, at) = (request.by, request.person, request.at);
        let able = move |one: &&Person| {
            let others = one.id != by && one.id != person && one.has_any(CONFIRMERS);
            others && !one.actor().is_tainted(&BTreeSet::from([by]), at)
        };
        self.people.values().filter(able)
    }

    /// Whether somebody else holds a role that confirms. Whoever is disabled counts: else one admin
    /// would shut the others out, make a second person of their own, and let them in again.
    fn has_other_confirmer(&self, asker: PersonId, person: PersonId) -> bool {
        let confirms = |one: &Person| one.roles.iter().any(|role| role.confirms());
        self.people.values().any(|one| one.id != asker && one.id != person && confirms(one))
    }
}

/// Who confirms a role that was asked for somebody.
const CONFIRMERS: &[Role] = &[Role::Admin, Role::Security];

impl Act<'_> {
    fn person(&self, id: PersonId) -> Result<Person, Refusal> {
        self.directory.people.get(&id).cloned().ok_or(Refusal::NoPerson)
    }

    fn create(&self, id: PersonId, name: &str) -> Outcome {
        if !is_name(name) {
            return Err(Refusal::Name(name.to_owned()));
        }
        let taken = |person: &Person| person.id == id || person.name.eq_ignore_ascii_case(name);
        if self.directory.people.values().any(taken) {
            return Err(Refusal::Taken(name.to_owned()));
        }
        let grants = vec![self.granted(Granted::Credential, [self.actor.id])];
        let (roles, services) = (BTreeSet::new(), BTreeSet::new());
        Ok(vec![Command::Put(Person { id, name: name.to_owned(), roles, services, grants, disabled: false })])
    }

    fn grant(&self, id: PersonId, role: Role, services: &BTreeSet<String>, request: RequestId) -> Outcome {
        let person = self.person(id)?;
        if person.disabled {
            return Err(Refusal::Disabled(person.name));
        }
        if person.roles.contains(&role) && services.is_subset(&person.services) {
            return Err(Refusal::Already(person.name));
        }
        if person.services.union(services).count() > SERVICES_LIMIT {
            return Err(Refusal::Services);
        }
        // An admin confirms what approvers get: one who is made alone would be one's own second person.
        let takes_two =
            role.approves() || (role == Role::Admin && self.directory.has_other_confirmer(self.actor.id, id));
        // Whoever is on a team reviews its changes by the role operator: that is approving, too.
        if !takes_two && services.is_subset(&person.services) {
            return Ok(vec![Command::Put(self.given(person, role, services, [self.actor.id])?)]);
        }
        if person.id == self.actor.id {
            return Err(Refusal::ForOneself);
        }
        let same = |waiting: &&Request| {
            waiting.open && waiting.person == id && waiting.role == role && waiting.services == *services
        };
        if self.directory.requests.values().any(|waiting| same(&waiting)) {
            return Err(Refusal::Already(format!("a request for {}", person.name)));
        }
        let (by, at) = (self.actor.id, self.now);
        let request =
            Request { id: request, person: id, role, services: services.clone(), by, at, open: true };
        if self.directory.confirmers(&request).next().is_none() {
            return Err(Refusal::NoConfirmer(person.name));
        }
        Ok(vec![Command::Keep(request)])
    }

    fn confirm(&self, id: RequestId) -> Outcome {
        if !self.actor.has_any(CONFIRMERS) {
            return Err(Refusal::Role("admin or security"));
        }
        let request = self.directory.requests.get(&id).filter(|request| request.open);
        let request = request.ok_or(Refusal::NoRequest)?;
        if request.by == self.actor.id {
            return Err(Refusal::OwnRequest);
        }
        if request.person == self.actor.id {
            return Err(Refusal::OwnRole);
        }
        if self.actor.actor().is_tainted(&BTreeSet::from([request.by]), request.at) {
            return Err(Refusal::FreshGrant);
        }
        self.not_own_asker(request)?;
        let person = self.person(request.person)?;
        if person.disabled {
            return Err(Refusal::Disabled(person.name));
        }
        let both = [request.by, self.actor.id];
        let given = self.given(person.clone(), request.role, &request.services, both)?;
        // Who made the link that they signed in by may have kept a session in their name.
        let ended = is_cleared(&person, &given).then_some(Command::EndSessions(person.id));
        let answered = Request { open: false, ..request.clone() };
        Ok([Command::Put(given), Command::Keep(answered)].into_iter().chain(ended).collect())
    }

    /// That nobody asks by the hand of somebody whom they made, and confirms by their own: except
    /// where there is nobody else yet, since a house of one has to grow.
    fn not_own_asker(&self, request: &Request) -> Result<(), Refusal> {
        let made = self.person(request.by)?.actor().is_made_by(self.actor.id);
        let mut others = self.directory.confirmers(request).filter(|one| one.id != self.actor.id);
        match others.next() {
            Some(other) if made => Err(Refusal::OwnAsker(other.name.clone())),
            _ => Ok(()),
        }
    }

    fn revoke(&self, id: PersonId, role: Role) -> Outcome {
        let mut person = self.person(id)?;
        if role == Role::Admin {
            self.another_admin(&person)?;
        }
        let mut commands = self.withdrawn(|request| request.person == id && request.role == role);
        let held = person.roles.remove(&role);
        if !held && commands.is_empty() {
            return Err(Refusal::Already(format!("{}, who lacks the role {role},", person.name)));
        }
        // Whoever set the house up has roles that nobody gave: that they had one is kept when it goes.
        let what = Granted::Role(role);
        if held && !person.grants.iter().any(|grant| grant.what == what) {
            push(&mut person, self.granted(what, []))?;
        }
        commands.insert(0, Command::Put(person));
        Ok(commands)
    }

    fn disable(&self, id: PersonId) -> Outcome {
        let mut person = self.person(id)?;
        if person.disabled {
            return Err(Refusal::Already(person.name));
        }
        self.another_admin(&person)?;
        person.disabled = true;
        // What they asked for, or would get, is not confirmed behind their back.
        let mut commands = self.withdrawn(|request| request.person == id || request.by == id);
        commands.extend([Command::Put(person), Command::EndSessions(id)]);
        Ok(commands)
    }

    fn enable(&self, id: PersonId) -> Outcome {
        let mut person = self.person(id)?;
        if !person.disabled {
            return Err(Refusal::Already(person.name));
        }
        person.disabled = false;
        // Whoever lets somebody in again gives them their roles again.
        push(&mut person, self.granted(Granted::Credential, [self.actor.id]))?;
        Ok(vec![Command::Put(person)])
    }

    fn credential(&self, id: PersonId, reset: bool) -> Outcome {
        let mut person = self.person(id)?;
        if person.disabled {
            return Err(Refusal::Disabled(person.name));
        }
        // Nobody else's word counts more for having been locked out by it.
        push(&mut person, self.granted(Granted::Credential, [self.actor.id]))?;
        if reset {
            return Ok(vec![Command::Put(person), Command::RemoveFactor(id), Command::EndSessions(id)]);
        }
        Ok(vec![Command::Put(person)])
    }

    /// That somebody else is admin, where this one is.
    fn another_admin(&self, person: &Person) -> Result<(), Refusal> {
        let admin = |one: &&Person| one.has_any(&[Role::Admin]);
        let others = self.directory.people.values().filter(|one| one.id != person.id);
        if admin(&person) && others.filter(admin).count() == 0 {
            return Err(Refusal::LastAdmin(person.name.clone()));
        }
        Ok(())
    }

    fn withdrawn(&self, which: impl Fn(&Request) -> bool) -> Vec<Command> {
        let open = self.directory.requests.values().filter(|request| request.open && which(request));
        open.map(|request| Command::Keep(Request { open: false, ..request.clone() })).collect()
    }

    fn given(
        &self,
        mut person: Person,
        role: Role,
        services: &BTreeSet<String>,
        by: impl IntoIterator<Item = PersonId>,
    ) -> Result<Person, Refusal> {
        person.roles.insert(role);
        person.services.extend(services.iter().cloned());
        push(&mut person, self.granted(Granted::Role(role), by))?;
        Ok(person)
    }

    fn granted(&self, what: Granted, by: impl IntoIterator<Item = PersonId>) -> Grant {
        Grant { what, at: self.now, by: by.into_iter().collect() }
    }
}

/// Adds a grant to what is known of a person, and forgets nothing that a judge looks at.
///
/// Of several that gave the same by the same people the newest tells all: whoever looks back to a
/// proposal, to the last time that a third person stood by, or for a role that was ever held,
/// judges alike with it and with all of them.
fn push(person: &mut Person, grant: Grant) -> Result<(), Refusal> {
    let mut newest: Vec<Grant> = Vec::new();
    for grant in std::iter::once(grant).chain(person.grants.drain(..).rev()) {
        if !newest.iter().any(|later| later.what == grant.what && later.by == grant.by) {
            newest.push(grant);
        }
    }
    newest.reverse();
    person.grants = newest;
    if person.grants.len() > GRANTS_LIMIT { Err(Refusal::Grants(person.name.clone())) } else { Ok(()) }
}

/// Whether somebody who could act in the person's name by what they alone gave them no longer
/// counts as their maker, since a third person stood by.
fn is_cleared(before: &Person, after: &Person) -> bool {
    let (before, after) = (before.actor(), after.actor());
    let makers = before.grants.iter().flat_map(|grant| &grant.by);
    makers.into_iter().any(|maker| before.is_made_by(*maker) && !after.is_made_by(*maker))
}
