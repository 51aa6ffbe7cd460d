//! The incident stage: alerts that a rule names open incidents or join them; people's acts on
//! incidents are ruled on.
//!
//! It reads no log of alerts: an open alert that no incident took is what waits. So a look that
//! is lost, or made twice, takes nothing twice; and a rule that is applied later finds the alerts
//! that were open before it.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::id::{AlertId, IncidentId, PersonId};
use bartizan_core::incident::rule::IncidentRule;
use bartizan_core::incident::severity::Rating;
use bartizan_core::incident::stage::Stage;
use bartizan_core::incident::{self, Command, Entry, Event, Incident, Origin, Refusal};
use bartizan_core::monitoring::alert::Alert;
use bartizan_core::time::Timestamp;
use bartizan_store::decision::{Decision, Numbered, Outcome, Refused};
use bartizan_store::incident::Batch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Context, Error, Look};
use crate::auth::RESPONDERS;

/// Its cursor in the log of decisions.
const DECISIONS: &str = "incident/decision";

/// The acts that it rules on.
pub(super) const ACTS: &str = "incident.";

/// The most decisions that one look rules on, and the most alerts that it takes.
const BATCH_LIMIT: usize = 200;

/// What `incident.open` needs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) title: String,
    pub(crate) alert: Option<AlertId>,
}

/// What `incident.assign` needs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) to: PersonId,
}

/// What `incident.advance` needs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Advance {
    pub(crate) to: Stage,
}

/// What one look works on: incidents as they stand with all that was done so far.
struct Work<'a> {
    context: &'a Context,
    now: Timestamp,
    incidents: BTreeMap<IncidentId, Incident>,
    changed: BTreeSet<IncidentId>,
    entries: Vec<(IncidentId, Entry, [u8; 32])>,
    taken: BTreeMap<AlertId, IncidentId>,
    ruled: Vec<(i64, Outcome, [u8; 32])>,
}

/// A rule of one environment.
struct Rule {
    environment: String,
    name: String,
    rule: IncidentRule,
}

/// Why an act is not done: it is refused, or it can't be judged now.
enum Stop {
    Refused(Refused, String),
    Failed(Error),
}

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let mut work = Work::new(&context);
    let mut cursors = Vec::new();
    let from = context.store.cursor(DECISIONS, 0).await?;
    let decisions = context.store.decisions(from, BATCH_LIMIT).await?;
    if let Some(last) = decisions.last() {
        cursors.push((DECISIONS, 0, from, last.seq + 1));
    }
    for numbered in decisions.iter().filter(|numbered| numbered.decision.act.starts_with(ACTS)) {
        work.rule(numbered).await?;
    }
    let mut more = work.take_alerts().await?;
    if decisions.len() == BATCH_LIMIT {
        more = Look::More;
    }
    if cursors.is_empty() && work.changed.is_empty() {
        return Ok(more);
    }
    let changed = !work.changed.is_empty() || !work.ruled.is_empty();
    let incidents = work.changed.iter().filter_map(|id| work.incidents.get(id).cloned()).collect();
    let taken = work.taken.into_iter().collect();
    let batch = Batch { cursors, incidents, entries: work.entries, taken, ruled: work.ruled };
    context.store.commit_incidents(&batch, work.now).await?;
    if changed {
        context.nudges.incidents_changed();
    }
    Ok(more)
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    match Work::new(context).act(decision).await {
        Ok(_) => Ok(Outcome::Accepted),
        Err(Stop::Refused(class, reason)) => Ok(Outcome::Refused { class, reason }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

impl<'a> Work<'a> {
    fn new(context: &'a Context) -> Self {
        Work {
            context,
            now: context.ambient.now(),
            incidents: BTreeMap::new(),
            changed: BTreeSet::new(),
            entries: Vec::new(),
            taken: BTreeMap::new(),
            ruled: Vec::new(),
        }
    }
}

impl Work<'_> {
    /// Takes open alerts that no incident has by the first rule of their environment that names them.
    async fn take_alerts(&mut self) -> Result<Look, Error> {
        let rules = rules(self.context).await?;
        if rules.is_empty() {
            return Ok(Look::Done);
        }
        let mut after = None;
        loop {
            let alerts = self.context.store.untaken_alerts(after, BATCH_LIMIT).await?;
            let Some(last) = alerts.last() else { return Ok(Look::Done) };
            after = Some((last.opened_at, last.id));
            for alert in &alerts {
                let named =
                    |rule: &&Rule| rule.environment == alert.group.environment && rule.rule.takes(alert);
                let Some(rule) = rules.iter().find(named) else { continue };
                let origin = Origin::of(&rule.name, alert);
                self.read_open(&origin).await?;
                self.take(rule, origin, alert);
            }
            if self.taken.len() >= BATCH_LIMIT {
                return Ok(Look::More);
            }
        }
    }

    /// The open incidents that alerts of an origin may join.
    async fn read_open(&mut self, origin: &Origin) -> Result<(), Error> {
        for incident in self.context.store.open_incidents_of(origin).await? {
            self.incidents.entry(incident.id).or_insert(incident);
        }
        Ok(())
    }

    fn take(&mut self, rule: &Rule, origin: Origin, alert: &Alert) {
        if self.taken.contains_key(&alert.id) {
            return;
        }
        let ours = |incident: &&Incident| incident.is_open() && incident.origin.as_ref() == Some(&origin);
        let joined = self.incidents.values().filter(ours).find_map(|incident| {
            let event = Event::Joined { alert: alert.id, rating: Rating::of(alert) };
            incident::step(incident, &event, self.now).ok()
        });
        // None is open, or those that are take no more in.
        let done = match joined {
            Some(done) => Ok(done),
            None => {
                let id = IncidentId::mint(self.now, self.context.ambient.random());
                incident::open_by_rule(id, &rule.rule.title(alert), origin, alert, self.now)
            }
        };
        match done {
            Ok((incident, commands)) => self.keep(incident, commands),
            Err(refusal) => {
                tracing::error!(alert.id = %alert.id, error = %refusal, "no incident could be opened");
            }
        }
    }

    fn keep(&mut self, incident: Incident, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Write(entry) => {
                    self.entries.push((incident.id, entry, self.context.ambient.random()));
                }
                Command::Take(alert) => {
                    self.taken.insert(alert, incident.id);
                }
            }
        }
        self.changed.insert(incident.id);
        self.incidents.insert(incident.id, incident);
    }

    /// Rules on what a person did with an incident.
    async fn rule(&mut self, numbered: &Numbered) -> Result<(), Error> {
        let outcome = match self.act(&numbered.decision).await {
            Ok((incident, commands)) => {
                self.keep(incident, commands);
                Outcome::Accepted
            }
            Err(Stop::Refused(class, reason)) => Outcome::Refused { class, reason },
            Err(Stop::Failed(error)) => return Err(error),
        };
        self.ruled.push((numbered.seq, outcome, self.context.ambient.random()));
        Ok(())
    }

    async fn act(&self, decision: &Decision) -> Result<(Incident, Vec<Command>), Stop> {
        let no_incident = || {
            let reason = format!("there is no incident `{}`", decision.target);
            Stop::Refused(Refused::NotFound, reason)
        };
        let id: IncidentId = decision.target.parse().map_err(|_| no_incident())?;
        let held = self.incident(id).await?;
        let (by, at) = (decision.person, decision.at);
        let Some(verb) = decision.act.strip_prefix(ACTS) else { return Err(no_act(&decision.act)) };
        if verb == "open" {
            let opening: Opening = details(decision)?;
            if held.is_some() {
                return Err(Stop::Refused(Refused::Conflict, format!("there is an incident `{id}` already")));
            }
            let alert = match opening.alert {
                Some(alert) => Some(self.free_alert(alert).await?),
                None => None,
            };
            return Ok(incident::open(id, &opening.title, by, alert.as_ref(), at)?);
        }
        let event = match verb {
            "acknowledge" => Event::Acknowledged { by },
            "assign" => {
                Event::Assigned { by, to: self.responder(details::<Assignment>(decision)?.to).await? }
            }
            "rate" => Event::Rated { by, rating: details(decision)?, reason: decision.reason.clone() },
            "advance" => Event::Advanced { by, to: details::<Advance>(decision)?.to },
            "note" => Event::Noted { by, text: decision.reason.clone() },
            "close" => Event::Closed { by, reason: decision.reason.clone() },
            _ => return Err(no_act(&decision.act)),
        };
        Ok(incident::step(&held.ok_or_else(no_incident)?, &event, at)?)
    }

    async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, Error> {
        match self.incidents.get(&id) {
            Some(incident) => Ok(Some(incident.clone())),
            None => Ok(self.context.store.incident(id).await?),
        }
    }

    /// An alert that no incident has.
    async fn free_alert(&self, id: AlertId) -> Result<Alert, Stop> {
        let store = &self.context.store;
        let taken_into = match self.taken.get(&id) {
            Some(incident) => Some(*incident),
            None => store.incident_of(id).await.map_err(Error::from)?,
        };
        if let Some(incident) = taken_into {
            let reason = format!("the alert belongs to the incident {incident}");
            return Err(Stop::Refused(Refused::Conflict, reason));
        }
        let alert = store.alert(id).await.map_err(Error::from)?;
        alert.ok_or_else(|| Stop::Refused(Refused::NotFound, format!("there is no alert `{id}`")))
    }

    /// Somebody who may work on incidents.
    async fn responder(&self, id: PersonId) -> Result<PersonId, Stop> {
        let person = self.context.store.person(id).await.map_err(Error::from)?;
        match person {
            None => Err(Stop::Refused(Refused::NotFound, format!("there is no person `{id}`"))),
            Some(person) if person.has_any(RESPONDERS) => Ok(person.id),
            Some(person) => {
                let reason = format!("{} has no role that works on incidents", person.name);
                Err(Stop::Refused(Refused::Invalid, reason))
            }
        }
    }
}

/// The rules of all environments, in the order in which they are asked.
async fn rules(context: &Context) -> Result<Vec<Rule>, Error> {
    let mut rules = Vec::new();
    for applied in context.store.documents_of_kind("IncidentRule").await? {
        match IncidentRule::from_document(&applied.document) {
            Ok(rule) => {
                rules.push(Rule { environment: applied.environment, name: applied.document.name, rule });
            }
            // It was good when it was applied: a newer program wrote it.
            Err(fault) => tracing::error!(fault = %fault, "can't read an incident rule"),
        }
    }
    rules.sort_by(|one, other| (&one.environment, &one.name).cmp(&(&other.environment, &other.name)));
    Ok(rules)
}

fn details<T: DeserializeOwned>(decision: &Decision) -> Result<T, Stop> {
    let details = decision.details.as_ref().unwrap_or(&Value::Null);
    details.to_data().map_err(|error| {
        Stop::Refused(Refused::Invalid, format!("`{}` lacks what it needs: {error}", decision.act))
    })
}

fn no_act(act: &str) -> Stop {
    Stop::Refused(Refused::Invalid, format!("there is no act `{act}`"))
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        let class = match refusal.class() {
            Class::Invalid => Refused::Invalid,
            Class::NotFound => Refused::NotFound,
            Class::Denied => Refused::Denied,
            Class::Conflict | Class::Limit | Class::Unavailable | Class::Bug => Refused::Conflict,
        };
        Stop::Refused(class, refusal.to_string())
    }
}
