//! The change stage: rules on what people do with changes, and brings what may be brought.

use std::collections::BTreeMap;

use bartizan_core::canonical::Value;
use bartizan_core::configuration::change::{
    self, Change, Command, Content, Event, Gate, Item, Ladder, declaration,
};
use bartizan_core::digest::Digest;
use bartizan_core::document::Document;
use bartizan_core::error::Class;
use bartizan_core::id::{AssetId, ChangeId};
use bartizan_core::monitoring::glass;
use bartizan_core::monitoring::signal::{Signal, State};
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_store::change::Batch;
use bartizan_store::decision::{Decision, Outcome, Refused};
use serde::{Deserialize, Serialize};

use super::{Context, Error, Look};

/// The cursor of decisions.
const DECISIONS: &str = "change/decision";

/// How the acts that it rules on begin.
pub(super) const ACTS: &str = "change.";

/// How the acts begin by which people declare what an environment asks for.
pub(super) const DECLARATIONS: &str = "environment.";

/// The most decisions that one look takes in.
const BATCH_LIMIT: usize = 200;

/// What `environment.declare` carries beside its reason.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Declaration {
    pub(crate) gate: Gate,
}

/// What an act on a change carries beside its digest and reason.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The environment that the act is on the way to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The lower environment where it was tested.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub environment: String,
    /// Whether a test there failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let store = &context.store;
    let from = store.cursor(DECISIONS, 0).await?;
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    let Some(last) = decisions.last() else { return Ok(Look::Done) };
    let now = context.ambient.now();
    let mut batch = Batch { cursor: Some((DECISIONS, from, last.seq + 1)), ..Batch::default() };
    let mut changed: BTreeMap<ChangeId, Change> = BTreeMap::new();
    let mut ladder = store.ladder().await?;
    let ours = |act: &str| act.starts_with(ACTS) || act.starts_with(DECLARATIONS);
    for numbered in decisions.iter().filter(|numbered| ours(&numbered.decision.act)) {
        let decision = &numbered.decision;
        let outcome = if decision.act.starts_with(DECLARATIONS) {
            match declare(&context, decision, &ladder).await? {
                Ok((declared, gate)) => {
                    ladder = declared;
                    batch.declared.push((decision.target.clone(), gate));
                    Outcome::Accepted
                }
                Err(refused) => refused,
            }
        } else {
            match rule(&context, decision, &changed, &ladder).await? {
                Ok((change, commands)) => {
                    take(&mut batch, &change, commands, decision.at);
                    changed.insert(change.id, change);
                    Outcome::Accepted
                }
                Err(refused) => refused,
            }
        };
        batch.ruled.push((numbered.seq, outcome, context.ambient.random()));
    }
    batch.changes = changed.into_values().collect();
    let (ruled, applied) = (!batch.ruled.is_empty(), !batch.applied.is_empty());
    let told = !batch.signals.is_empty();
    store.commit_changes(&batch, now).await?;
    if applied {
        context.policies.changed();
        context.nudges.policies();
    }
    if told {
        context.nudges.alert();
    }
    if ruled {
        context.nudges.show();
    }
    Ok(if decisions.len() == BATCH_LIMIT { Look::More } else { Look::Done })
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    let ladder = context.store.ladder().await?;
    let refused = if decision.act.starts_with(DECLARATIONS) {
        declare(context, decision, &ladder).await?.err()
    } else {
        rule(context, decision, &BTreeMap::new(), &ladder).await?.err()
    };
    Ok(refused.unwrap_or(Outcome::Accepted))
}

/// Takes what an act asks for into what the look writes.
fn take(batch: &mut Batch, change: &Change, commands: Vec<Command>, at: Timestamp) {
    for command in commands {
        match command {
            Command::Apply { target, .. } => {
                batch.applied.push((change.id, target, change.content.clone()));
            }
            Command::Page { target, due } => {
                let why = change.broken_glass.get(&target).map_or("", |glass| glass.reason.as_str());
                let summary = format!(
                    "the glass was broken for {target}: {why}; test, review and approval are due at {due}"
                );
                batch.signals.push(broken(change, &target, State::Firing, summary, at));
            }
            Command::Settle { target } => {
                let summary = if change.withdrawn {
                    format!(
                        "the glass was broken for {target}, and the change withdrawn before it came there"
                    )
                } else {
                    format!("what was brought to {target} by breaking the glass is approved")
                };
                batch.signals.push(broken(change, &target, State::Resolved, summary, at));
            }
            // The change itself says what is void and what it waits for: its page is read from that.
            Command::Void { .. } | Command::AskReview { .. } | Command::AskApproval { .. } => {}
        }
    }
}

/// Broken glass is louder than every other path: it pages at once, and stands until the decisions are there.
fn broken(change: &Change, target: &str, state: State, summary: String, at: Timestamp) -> Signal {
    let labels = [("service", change.service.as_str()), ("environment", target)];
    Signal {
        kind: glass::KIND,
        subject: glass::subject(change.id),
        // It is on no asset: the change stands in its place.
        asset: AssetId::from_uuid(change.id.as_uuid()),
        object: String::new(),
        state,
        severity: Severity::Critical,
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        summary,
        at,
        backlog: false,
    }
}

fn refused(class: Refused, reason: impl std::fmt::Display) -> Outcome {
    Outcome::Refused { class, reason: reason.to_string() }
}

fn refusal(class: Class, refusal: impl std::fmt::Display) -> Outcome {
    let class = match class {
        Class::NotFound => Refused::NotFound,
        Class::Invalid | Class::Limit => Refused::Invalid,
        Class::Denied => Refused::Denied,
        Class::Conflict | Class::Unavailable | Class::Bug => Refused::Conflict,
    };
    refused(class, refusal)
}

type Ruling = Result<(Change, Vec<Command>), Outcome>;

/// Rules on one act, given the changes as they stand with the acts before it.
async fn rule(
    context: &Context,
    decision: &Decision,
    changed: &BTreeMap<ChangeId, Change>,
    ladder: &Ladder,
) -> Result<Ruling, Error> {
    let no_change = || refused(Refused::NotFound, format_args!("there is no change `{}`", decision.target));
    let Ok(id) = decision.target.parse::<ChangeId>() else { return Ok(Err(no_change())) };
    let details = decision.details.as_ref().map(Value::to_data::<Details>).transpose();
    let Ok(details) = details else {
        return Ok(Err(refused(Refused::Invalid, "what the act carries can't be read")));
    };
    let details = details.unwrap_or_default();
    let Some(person) = context.store.person(decision.person).await? else {
        return Ok(Err(refused(Refused::Denied, "whoever acted is not known any more")));
    };
    let held = match changed.get(&id) {
        Some(change) => Some(change.clone()),
        None => context.store.change(id).await?,
    };
    if decision.act == "change.propose" {
        return Ok(propose(id, decision, details, held.is_some()));
    }
    let Some(change) = held else { return Ok(Err(no_change())) };
    let digest = decision.expected.as_deref().and_then(|text| text.parse::<Digest>().ok());
    let event = match event(context, decision, details, digest, &change).await? {
        Ok(event) => event,
        Err(outcome) => return Ok(Err(outcome)),
    };
    let stepped = change::step(&change, ladder, &person.actor(), &event, decision.at);
    Ok(stepped.map_err(|refused| refusal(refused.class(), refused)))
}

/// Rules on what somebody declares of an environment.
async fn declare(
    context: &Context,
    decision: &Decision,
    ladder: &Ladder,
) -> Result<Result<(Ladder, Gate), Outcome>, Error> {
    let details = decision.details.as_ref().map(Value::to_data::<Declaration>);
    let Some(Ok(Declaration { gate })) = details else {
        return Ok(Err(refused(Refused::Invalid, "a declaration names what the environment asks for")));
    };
    if decision.act != "environment.declare" {
        return Ok(Err(refused(Refused::Invalid, format_args!("there is no act `{}`", decision.act))));
    }
    let people = context.store.people().await?;
    let Some(person) = people.iter().find(|person| person.id == decision.person) else {
        return Ok(Err(refused(Refused::Denied, "whoever acted is not known any more")));
    };
    let (actor, target, reason) = (person.actor(), &decision.target, &decision.reason);
    let declared = declaration::declare(ladder, &actor, &people, target, gate, reason);
    Ok(declared.map(|ladder| (ladder, gate)).map_err(|refused| refusal(refused.class(), refused)))
}

fn propose(id: ChangeId, decision: &Decision, details: Details, taken: bool) -> Ruling {
    let (Some(service), Some(content)) = (details.service, details.content) else {
        return Err(refused(Refused::Invalid, "a proposal names a service and holds documents"));
    };
    if taken {
        return Err(refused(Refused::Conflict, "a change with this identifier exists"));
    }
    Ok((Change::propose(id, &service, decision.person, content, decision.at), Vec::new()))
}

/// What the act is, in the words of the judge.
async fn event(
    context: &Context,
    decision: &Decision,
    details: Details,
    digest: Option<Digest>,
    change: &Change,
) -> Result<Result<Event, Outcome>, Error> {
    let Details { target, environment, content, failed, .. } = details;
    let reason = decision.reason.clone();
    let act = decision.act.as_str();
    if act == "change.withdraw" {
        return Ok(Ok(Event::Withdrawn { reason }));
    }
    if act == "change.edit" {
        let missing = || refused(Refused::Invalid, "an edit holds documents");
        return Ok(content.map(|content| Event::Edited { content }).ok_or_else(missing));
    }
    let Some(digest) = digest else {
        return Ok(Err(refused(Refused::Invalid, "the act has to name the digest of what was seen")));
    };
    Ok(match act {
        "change.test" => match is_applied(context, change, &environment).await? {
            true => Ok(Event::Tested { environment, target, digest, passed: !failed }),
            false => {
                let problem =
                    format!("`{environment}` does not have this content: apply the change there first");
                Err(refused(Refused::Conflict, problem))
            }
        },
        "change.review" => Ok(Event::Reviewed { target, digest }),
        "change.approve" => Ok(Event::Approved { target, digest }),
        "change.reject" => Ok(Event::Rejected { target, digest, reason }),
        "change.break-glass" => Ok(Event::GlassBroken { target, digest, reason }),
        "change.apply" => Ok(Event::Applied { target, digest }),
        other => Err(refused(Refused::Invalid, format_args!("there is no act `{other}`"))),
    })
}

/// Whether an environment has exactly what the change brings: that is what a test there tests.
async fn is_applied(context: &Context, change: &Change, environment: &str) -> Result<bool, Error> {
    let held = context.store.documents(environment).await?;
    let has = |kind: &str, name: &str| {
        held.iter().find(|applied| applied.document.kind == kind && applied.document.name == name)
    };
    Ok(change.content.items().all(|(kind, name, item)| match item {
        Item::Deleted => has(kind, name).is_none(),
        Item::Written(value) => has(kind, name).is_some_and(|applied| same(&applied.document, value)),
    }))
}

fn same(held: &Document, written: &Value) -> bool {
    held.digest == Digest::of(written)
}
