//! The acceptance stage: rules on what people do with risk acceptances, and watches their controls.
//!
//! It looks at controls whenever the bitmaps of posture moved past its cursors. One that is seen
//! to fail ends its acceptance at once: its findings are open again, and the owner is told by an
//! alert for each service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bartizan_core::acceptance::{
    self, Acceptance, Command, Control, End, Event, Flag, Observation, Proposal, State as Life,
};
use bartizan_core::canonical::Value;
use bartizan_core::error::Class;
use bartizan_core::id::AcceptanceId;
use bartizan_core::monitoring::alert::Member;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::person::Person;
use bartizan_core::posture::AssetNumber;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_store::acceptance::{Batch, PAGE_LIMIT};
use bartizan_store::decision::{Decision, Numbered, Outcome, Refused};
use bartizan_store::log::Log;
use bartizan_store::posture::{MATCHES, STAGE as POSTURE};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::{Context, Error, Look};
use crate::acceptance::Look as Index;
use crate::signal::own_signal;

/// Its cursor in the log of decisions.
const DECISIONS: &str = "acceptance/decision";

/// Moved whenever an acceptance is written: what another replica wrote since they were read is not overwritten.
const TURN: &str = "acceptance/turn";

/// How far it has seen the index of each shard.
const SEEN: &str = "acceptance/posture";

/// How far it has seen, in each shard, which matches the figures of the index count.
const MATCHED: &str = "acceptance/match";

/// How the acts that it rules on begin.
pub(super) const ACTS: &str = "acceptance.";

/// The most decisions that one look rules on.
const BATCH_LIMIT: usize = 200;

/// The place of an alert that tells of a control which nobody can see.
const CONTROL: &str = "control";

/// What `acceptance.review` carries.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Review {
    pub(crate) holds: bool,
    /// When to look next; it says nothing where the control does not hold.
    pub(crate) review_by: Timestamp,
}

/// What one look works on: acceptances as they stand with all that was done so far.
struct Work<'a> {
    context: &'a Context,
    now: Timestamp,
    acceptances: BTreeMap<AcceptanceId, Acceptance>,
    batch: Batch,
    changed: BTreeMap<AcceptanceId, Acceptance>,
    index: Index<'a>,
}

/// Why an act is not done: it is refused, or it can't be judged now.
enum Stop {
    Refused(Refused, String),
    Failed(Error),
}

/// Which overlay of absent assets the controls were last looked at under.
pub(super) type Memory = Arc<AtomicU64>;

pub(super) async fn look(context: Context, memory: Memory) -> Result<Look, Error> {
    let store = &context.store;
    let absent = context.stale.read().version();
    let (from, turn) = (store.cursor(DECISIONS, 0).await?, store.cursor(TURN, 0).await?);
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    let mut work = Work::new(&context).await?;
    if let Some(last) = decisions.last() {
        work.batch.cursors.push((DECISIONS, 0, from, last.seq + 1));
    }
    for numbered in decisions.iter().filter(|numbered| numbered.decision.act.starts_with(ACTS)) {
        work.rule(numbered).await?;
    }
    // Where nothing is accepted nobody has to look.
    let moved = !work.acceptances.is_empty() && work.moved().await?;
    work.watch(moved || memory.load(Ordering::SeqCst) != absent).await?;
    let Work { mut batch, changed, now, .. } = work;
    if batch.cursors.is_empty() && changed.is_empty() {
        memory.store(absent, Ordering::SeqCst);
        return Ok(Look::Done);
    }
    if !changed.is_empty() {
        batch.cursors.push((TURN, 0, turn, turn + 1));
    }
    let news = !changed.is_empty() || !batch.ruled.is_empty();
    let salted = changed.into_values().map(|acceptance| (acceptance, context.ambient.random()));
    batch.acceptances = salted.collect();
    store.commit_acceptances(&batch, now).await?;
    memory.store(absent, Ordering::SeqCst);
    if news {
        context.nudges.acceptances_changed();
    }
    Ok(if decisions.len() == BATCH_LIMIT { Look::More } else { Look::Done })
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    match Work::new(context).await?.act(decision).await {
        Ok(_) => Ok(Outcome::Accepted),
        Err(Stop::Refused(class, reason)) => Ok(Outcome::Refused { class, reason }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

impl<'a> Work<'a> {
    async fn new(context: &'a Context) -> Result<Self, Error> {
        let open = context.store.acceptances(true).await?;
        Ok(Work {
            context,
            now: context.ambient.now(),
            acceptances: open.into_iter().map(|acceptance| (acceptance.id, acceptance)).collect(),
            batch: Batch::default(),
            changed: BTreeMap::new(),
            index: Index::new(&context.store),
        })
    }
}

impl Work<'_> {
    /// Whether the index moved since this stage saw it; its cursors follow.
    async fn moved(&mut self) -> Result<bool, Error> {
        let store = &self.context.store;
        let mut moved = false;
        for shard in store.shards(Log::Transition).await? {
            for (seen, stands) in [(SEEN, POSTURE), (MATCHED, MATCHES)] {
                let (from, to) = (store.cursor(seen, shard).await?, store.cursor(stands, shard).await?);
                if from < to {
                    self.batch.cursors.push((seen, shard, from, to));
                    moved = true;
                }
            }
        }
        Ok(moved)
    }

    /// Looks at the clock of every open acceptance, and at its control where there is news.
    async fn watch(&mut self, moved: bool) -> Result<(), Error> {
        let open: Vec<Acceptance> = self.acceptances.values().cloned().collect();
        for acceptance in open {
            if matches!(acceptance.state, Life::Ended { .. }) {
                continue;
            }
            let (mut next, mut commands) = acceptance::observe(&acceptance, Observation::Time, self.now);
            let ruled = self.changed.contains_key(&acceptance.id);
            let watched = matches!(next.state, Life::Approved { .. } | Life::InForce { .. });
            if let (true, Control::Rule { baseline, rule }) = (watched && (moved || ruled), &next.control) {
                let covered = self.covered(&next).await?;
                // Where nothing is covered the control guards nothing, and says nothing.
                if !covered.is_empty() {
                    let verdict =
                        self.index.control(baseline, rule, &covered, &self.context.stale.read()).await?;
                    let seen = Observation::Control(verdict);
                    let (seen, more) = acceptance::observe(&next, seen, self.now);
                    next = seen;
                    commands.extend(more);
                }
            }
            if next != acceptance {
                self.tell(&acceptance, &next, &commands).await?;
                self.keep(next);
            }
        }
        Ok(())
    }

    fn keep(&mut self, acceptance: Acceptance) {
        self.changed.insert(acceptance.id, acceptance.clone());
        self.acceptances.insert(acceptance.id, acceptance);
    }

    /// The assets with a finding in its scope.
    async fn covered(&mut self, acceptance: &Acceptance) -> Result<RoaringBitmap, Error> {
        let covered = self.index.covered(&acceptance.scope).await?;
        Ok(covered.into_iter().fold(RoaringBitmap::new(), |all, (_, assets)| all | assets))
    }

    /// Tells the owner what became of it, by a signal on one asset of each service.
    async fn tell(
        &mut self,
        before: &Acceptance,
        after: &Acceptance,
        commands: &[Command],
    ) -> Result<(), Error> {
        let flag = commands.iter().find_map(|command| match command {
            Command::Flag(flag) => Some(*flag),
            _ => None,
        });
        let was_flagged = matches!(before.state, Life::InForce { flag: Some(_), .. });
        let is_flagged = matches!(after.state, Life::InForce { flag: Some(_), .. });
        if was_flagged && !is_flagged {
            self.resolve(after).await?;
        }
        let news = match (&after.state, flag) {
            (Life::Ended { end, .. }, _) => ended(after, end).map(|words| (words, "", Severity::High)),
            (_, Some(flag)) => Some((unseen(after, flag), CONTROL, Severity::Medium)),
            _ => None,
        };
        let Some((words, object, severity)) = news else { return Ok(()) };
        let owner = self.context.store.person(after.owner).await?;
        let owner = owner.map_or_else(|| after.owner.to_string(), |person| person.name);
        let covered = self.covered(after).await?;
        for (asset, count) in self.index.by_service(&covered).await? {
            let assets = if count == 1 { "1 asset".to_owned() } else { format!("{count} assets") };
            let summary = format!("{words}, on {assets} of {}; it was owned by {owner}", asset.service);
            let signal = own_signal(&asset, Kind::Acceptance, &subject(after.id), summary, self.now);
            let signal = Signal { object: object.to_owned(), severity, ..signal };
            self.batch.signals.push((asset.number, signal));
        }
        Ok(())
    }

    /// Takes back what was told of a control that nobody could see.
    async fn resolve(&mut self, acceptance: &Acceptance) -> Result<(), Error> {
        let store = &self.context.store;
        let about = subject(acceptance.id);
        for alert in store.alerts(true, bartizan_store::alert::PAGE_LIMIT).await? {
            if alert.group.kind != Kind::Acceptance || alert.group.subject != about {
                continue;
            }
            for place in store.alert_places(alert.id).await? {
                let firing = matches!(place.standing, Member::Firing { .. }) && place.object == CONTROL;
                let Some(asset) = store.asset(place.asset).await?.filter(|_| firing) else { continue };
                let summary = "its control is seen again".to_owned();
                let signal = own_signal(&asset, Kind::Acceptance, &about, summary, self.now);
                let number: AssetNumber = asset.number;
                let signal = Signal { object: CONTROL.to_owned(), state: State::Resolved, ..signal };
                self.batch.signals.push((number, signal));
            }
        }
        Ok(())
    }

    /// Rules on what a person did.
    async fn rule(&mut self, numbered: &Numbered) -> Result<(), Error> {
        let outcome = match self.act(&numbered.decision).await {
            Ok((before, after)) => {
                if let Some(before) = before {
                    self.tell(&before, &after, &[]).await?;
                }
                self.keep(after);
                Outcome::Accepted
            }
            Err(Stop::Refused(class, reason)) => Outcome::Refused { class, reason },
            Err(Stop::Failed(error)) => return Err(error),
        };
        self.batch.ruled.push((numbered.seq, outcome, self.context.ambient.random()));
        Ok(())
    }

    /// The acceptance before and after an act.
    async fn act(&self, decision: &Decision) -> Result<(Option<Acceptance>, Acceptance), Stop> {
        let none =
            || Stop::Refused(Refused::NotFound, format!("there is no acceptance `{}`", decision.target));
        let id: AcceptanceId = decision.target.parse().map_err(|_| none())?;
        let person = self.context.store.person(decision.person).await.map_err(Error::from)?;
        let gone = || Stop::Refused(Refused::Denied, "whoever acted is not known any more".to_owned());
        let person = person.ok_or_else(gone)?;
        let held = match self.acceptances.get(&id) {
            Some(acceptance) => Some(acceptance.clone()),
            None => self.context.store.acceptance(id).await.map_err(Error::from)?,
        };
        if decision.act == "acceptance.propose" {
            return Ok((None, self.propose(id, decision, &person, held.is_some()).await?));
        }
        let event = match decision.act.as_str() {
            "acceptance.approve" => Event::Approved,
            "acceptance.withdraw" => Event::Withdrawn { reason: decision.reason.clone() },
            "acceptance.review" => {
                let Review { holds, review_by } = details(decision)?;
                Event::Reviewed { holds, review_by }
            }
            other => return Err(Stop::Refused(Refused::Invalid, format!("there is no act `{other}`"))),
        };
        let held = held.ok_or_else(none)?;
        let (next, _) = acceptance::step(&held, &event, &person.actor(), decision.at)?;
        Ok((Some(held), next))
    }

    async fn propose(
        &self,
        id: AcceptanceId,
        decision: &Decision,
        person: &Person,
        taken: bool,
    ) -> Result<Acceptance, Stop> {
        let conflict = |reason: String| Stop::Refused(Refused::Conflict, reason);
        if taken {
            return Err(conflict(format!("there is an acceptance `{id}` already")));
        }
        if self.acceptances.len() >= PAGE_LIMIT {
            return Err(conflict(format!("{PAGE_LIMIT} acceptances are open: withdraw some first")));
        }
        let proposal: Proposal = details(decision)?;
        let owner = self.context.store.person(proposal.owner).await.map_err(Error::from)?;
        if owner.is_none_or(|owner| owner.disabled) {
            let reason = format!("nobody is `{}`: an acceptance needs an owner", proposal.owner);
            return Err(Stop::Refused(Refused::NotFound, reason));
        }
        Ok(acceptance::propose(id, person.id, &proposal, decision.at)?)
    }
}

/// What the alerts about an acceptance are about.
fn subject(id: AcceptanceId) -> String {
    format!("acceptance/{id}")
}

/// What its owner has to know of its end; nothing where a person ended it.
fn ended(acceptance: &Acceptance, end: &End) -> Option<String> {
    let what = scope(acceptance);
    match end {
        End::Expired => Some(format!("the acceptance of {what} has expired, its findings are open again")),
        End::ControlFailed => {
            let control = control(acceptance);
            Some(format!(
                "the acceptance of {what} ended since its control {control} failed, its findings are open again"
            ))
        }
        End::Withdrawn { .. } => None,
    }
}

fn unseen(acceptance: &Acceptance, flag: Flag) -> String {
    let (what, control) = (scope(acceptance), control(acceptance));
    format!(
        "nobody can say whether {control} holds ({}), which guards what was accepted: {what}",
        flag.reason
    )
}

fn scope(acceptance: &Acceptance) -> String {
    let matchers: Vec<String> =
        acceptance.scope.selector().matchers().iter().map(ToString::to_string).collect();
    matchers.join(", ")
}

fn control(acceptance: &Acceptance) -> String {
    match &acceptance.control {
        Control::Rule { baseline, rule } => format!("{baseline}/{rule}"),
        Control::Manual { name, .. } => format!("`{name}`"),
    }
}

fn details<T: serde::de::DeserializeOwned>(decision: &Decision) -> Result<T, Stop> {
    let details = decision.details.as_ref().unwrap_or(&Value::Null);
    details.to_data().map_err(|error| {
        Stop::Refused(Refused::Invalid, format!("`{}` lacks what it needs: {error}", decision.act))
    })
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<acceptance::Refusal> for Stop {
    fn from(refusal: acceptance::Refusal) -> Self {
        let class = match refusal.class() {
            Class::Invalid => Refused::Invalid,
            Class::NotFound => Refused::NotFound,
            Class::Denied => Refused::Denied,
            Class::Conflict | Class::Limit | Class::Unavailable | Class::Bug => Refused::Conflict,
        };
        Stop::Refused(class, refusal.to_string())
    }
}
