//! The person stage: rules on who may sign in, by which roles.

use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::id::{PersonId, RequestId};
use bartizan_core::person::{self, Command, Directory, Event, Refusal};
use bartizan_core::role::Role;
use bartizan_store::decision::{Decision, Outcome, Refused};
use bartizan_store::person::Batch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use super::{Context, Error, Look};

/// The cursor of decisions.
const DECISIONS: &str = "person/decision";

/// How the acts that it rules on begin.
pub(super) const ACTS: &str = "person.";

/// The most decisions that one look takes in.
const BATCH_LIMIT: usize = 200;

/// What an act on a person carries. Its target is the person, of a confirmation the request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Role>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) services: BTreeSet<String>,
    /// The identifier that a request gets where the role waits for a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<RequestId>,
}

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let store = &context.store;
    let from = store.cursor(DECISIONS, 0).await?;
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    let Some(last) = decisions.last() else { return Ok(Look::Done) };
    let now = context.ambient.now();
    let mut batch = Batch { cursor: Some((DECISIONS, from, last.seq + 1)), ..Batch::default() };
    let ours = |decision: &Decision| decision.act.starts_with(ACTS);
    if decisions.iter().any(|numbered| ours(&numbered.decision)) {
        let mut directory = directory(&context).await?;
        for numbered in decisions.iter().filter(|numbered| ours(&numbered.decision)) {
            let outcome = match rule(&directory, &numbered.decision) {
                Ok(commands) => {
                    for command in commands {
                        follow(&mut directory, &command);
                        batch.commands.push((command, context.ambient.random()));
                    }
                    Outcome::Accepted
                }
                Err(outcome) => outcome,
            };
            batch.ruled.push((numbered.seq, outcome, context.ambient.random()));
        }
    }
    let ruled = !batch.ruled.is_empty();
    store.commit_people(&batch, now).await?;
    if ruled {
        context.nudges.people_changed();
    }
    Ok(if decisions.len() == BATCH_LIMIT { Look::More } else { Look::Done })
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    let ruled = rule(&directory(context).await?, decision);
    Ok(ruled.map_or_else(|refused| refused, |_| Outcome::Accepted))
}

/// Everybody, and what waits.
async fn directory(context: &Context) -> Result<Directory, Error> {
    let people = context.store.people().await?;
    let requests = context.store.role_requests().await?;
    Ok(Directory {
        people: people.into_iter().map(|person| (person.id, person)).collect(),
        requests: requests.into_iter().map(|request| (request.id, request)).collect(),
    })
}

/// What the next act of the same look finds.
fn follow(directory: &mut Directory, command: &Command) {
    match command {
        Command::Put(person) => drop(directory.people.insert(person.id, person.clone())),
        Command::Keep(request) => drop(directory.requests.insert(request.id, request.clone())),
        Command::EndSessions(_) | Command::RemoveFactor(_) => {}
    }
}

fn rule(directory: &Directory, decision: &Decision) -> Result<Vec<Command>, Outcome> {
    let event = event(decision)?;
    person::step(directory, decision.person, &event, decision.at).map_err(|refusal| refused(&refusal))
}

fn refused(refusal: &Refusal) -> Outcome {
    let class = match refusal.class() {
        Class::NotFound => Refused::NotFound,
        Class::Invalid | Class::Limit => Refused::Invalid,
        Class::Denied => Refused::Denied,
        Class::Conflict | Class::Unavailable | Class::Bug => Refused::Conflict,
    };
    Outcome::Refused { class, reason: refusal.to_string() }
}

/// What the act is, in the words of the judge.
fn event(decision: &Decision) -> Result<Event, Outcome> {
    let invalid = |reason: &str| Outcome::Refused { class: Refused::Invalid, reason: reason.to_owned() };
    let details = decision.details.as_ref().map(Value::to_data::<Details>).transpose();
    let details = details.map_err(|_| invalid("what the act carries can't be read"))?.unwrap_or_default();
    if decision.act == "person.confirm" {
        let request = decision.target.parse().map_err(|_| refused(&Refusal::NoRequest))?;
        return Ok(Event::Confirmed { request });
    }
    let person: PersonId = decision.target.parse().map_err(|_| refused(&Refusal::NoPerson))?;
    let role = || details.role.ok_or_else(|| invalid("the act has to name a role"));
    Ok(match decision.act.as_str() {
        "person.create" => {
            let name = details.name.ok_or_else(|| invalid("a person has a name"))?;
            Event::Created { id: person, name }
        }
        "person.grant" => {
            let request = details.request.ok_or_else(|| invalid("the act has to name its request"))?;
            Event::Granted { person, role: role()?, services: details.services.clone(), request }
        }
        "person.revoke" => Event::Revoked { person, role: role()? },
        "person.disable" => Event::Disabled { person },
        "person.enable" => Event::Enabled { person },
        "person.link" => Event::LinkMade { person },
        "person.reset" => Event::CredentialReset { person },
        other => return Err(invalid(&format!("there is no act `{other}`"))),
    })
}
