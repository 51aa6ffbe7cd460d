//! The alert stage: transitions and signals become alerts; people's acts on alerts are ruled on.

use std::collections::BTreeMap;

use bartizan_core::asset::Asset;
use bartizan_core::configuration::change;
use bartizan_core::digest::Digest;
use bartizan_core::id::{AlertId, AssetId};
use bartizan_core::monitoring::alert::{self, Alert, Group, Member, Step};
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::monitoring::{flood, glass};
use bartizan_core::posture::{AssetNumber, Change, SubjectNumber};
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_store::alert::{Batch, Place};
use bartizan_store::decision::{Decision, Numbered, Outcome, Refused};
use bartizan_store::log::Log;
use bartizan_store::posture::Transition;
use bartizan_store::subject::Subject;

use super::{Context, Error, Look};

/// Its cursors, by log.
const TRANSITIONS: &str = "alert/transition";
const SIGNALS: &str = "alert/signal";
/// Moved whenever an alert is written: what another replica wrote since the alerts were read is in none of
/// ours, whichever log it came from.
const TURN: &str = "alert/turn";
/// The cursor of decisions: whoever waits for an outcome waits for this stage.
pub const DECISIONS: &str = "alert/decision";

/// The acts that it rules on.
const ACKNOWLEDGE: &str = "alert.acknowledge";
const CLOSE: &str = "alert.close";
const ACTS: [&str; 2] = [ACKNOWLEDGE, CLOSE];

/// The most rows of each log that one look takes in.
const BATCH_LIMIT: usize = 500;

/// What one look works on: alerts and members as they stand with all that was taken in so far.
struct Work<'a> {
    context: &'a Context,
    now: Timestamp,
    /// The open alert of each group that was touched; none where there is none.
    open: BTreeMap<Digest, Option<Alert>>,
    members: BTreeMap<(AlertId, Digest), Option<Member>>,
    assets: BTreeMap<AssetNumber, Option<Asset>>,
    changed: BTreeMap<AlertId, Alert>,
    /// How many alerts the agents of assets opened within the last hour.
    opened: BTreeMap<AssetId, u64>,
    /// How many places assets have in alerts.
    crowds: BTreeMap<(AlertId, AssetId), u64>,
    places: BTreeMap<(AlertId, Digest), Place>,
    ruled: Vec<(i64, Outcome, [u8; 32])>,
}

pub(super) async fn look(context: Context) -> Result<Look, Error> {
    let store = &context.store;
    let turn = store.cursor(TURN, 0).await?;
    let mut cursors = Vec::new();
    let mut more = Look::Done;
    let mut signals = Vec::new();
    let mut work = Work {
        context: &context,
        now: context.ambient.now(),
        open: BTreeMap::new(),
        members: BTreeMap::new(),
        assets: BTreeMap::new(),
        changed: BTreeMap::new(),
        opened: BTreeMap::new(),
        crowds: BTreeMap::new(),
        places: BTreeMap::new(),
        ruled: Vec::new(),
    };
    for shard in store.shards(Log::Transition).await? {
        let from = store.cursor(TRANSITIONS, shard).await?;
        let transitions = store.transitions(shard, from, BATCH_LIMIT).await?;
        let Some(last) = transitions.last() else { continue };
        cursors.push((TRANSITIONS, shard, from, last.seq + 1));
        signals.extend(work.deviations(&transitions).await?);
        if transitions.len() == BATCH_LIMIT {
            more = Look::More;
        }
    }
    let from = store.cursor(SIGNALS, 0).await?;
    let told = store.signals(from, BATCH_LIMIT).await?;
    if let Some((last, _)) = told.last() {
        cursors.push((SIGNALS, 0, from, last + 1));
        if told.len() == BATCH_LIMIT {
            more = Look::More;
        }
    }
    signals.extend(told.into_iter().map(|(_, signal)| signal));
    for signal in &signals {
        work.take(signal).await?;
    }
    let from = store.cursor(DECISIONS, 0).await?;
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    if let Some(last) = decisions.last() {
        cursors.push((DECISIONS, 0, from, last.seq + 1));
    }
    // An act that no stage owns would wait for ever: this one refuses it.
    let ours = |numbered: &&Numbered| {
        numbered.outcome.is_none()
            && !super::OWNED_ACTS.iter().any(|owned| numbered.decision.act.starts_with(owned))
    };
    for decision in decisions.iter().filter(ours) {
        work.rule(decision).await?;
    }
    if cursors.is_empty() {
        return Ok(Look::Done);
    }
    let (changed, ruled) = (!work.changed.is_empty(), !work.ruled.is_empty());
    if changed {
        cursors.push((TURN, 0, turn, turn + 1));
    }
    let places = work.places.into_iter().map(|((alert, _), place)| (alert, place)).collect();
    let batch = Batch { cursors, alerts: work.changed.into_values().collect(), places, ruled: work.ruled };
    store.commit_alerts(&batch, work.now).await?;
    if changed {
        context.nudges.alerts_changed();
    } else if ruled {
        context.nudges.show();
    }
    Ok(more)
}

impl Work<'_> {
    /// The signals that transitions of verdicts are.
    async fn deviations(&mut self, transitions: &[Transition]) -> Result<Vec<Signal>, Error> {
        // What the first sight of an asset finds is its backlog, and opens nothing: `alert::step`.
        let verdicts = |transition: &&Transition| {
            let told = transition.changes.iter().any(|change| matches!(change, Change::Verdict { .. }));
            told && !transition.first_verdicts
        };
        if !transitions.iter().any(|transition| verdicts(&transition)) {
            return Ok(Vec::new());
        }
        let subjects = self.context.store.subjects().await?;
        let mut signals = Vec::new();
        for transition in transitions.iter().filter(verdicts) {
            let Some(asset) = self.asset(transition.number).await? else { continue };
            let environment = self.context.policies.environment(&asset.environment).await?;
            for change in &transition.changes {
                let Some((number, state)) = state(change) else { continue };
                let Some(subject) = subjects.get(&number) else { continue };
                let rule = environment.rule(&subject.baseline, &subject.rule);
                signals.push(deviation(&asset, subject, rule, state, transition));
            }
        }
        Ok(signals)
    }

    async fn asset(&mut self, number: AssetNumber) -> Result<Option<Asset>, Error> {
        if let Some(known) = self.assets.get(&number) {
            return Ok(known.clone());
        }
        let asset = self.context.store.asset_by_number(number).await?;
        self.assets.insert(number, asset.clone());
        Ok(asset)
    }

    /// Takes one signal into its group's alert.
    async fn take(&mut self, signal: &Signal) -> Result<(), Error> {
        if flood::is_surplus(signal) {
            return self.count(signal).await;
        }
        let group = Group::of(signal).key();
        let open = self.open_alert(&group).await?;
        let key = signal.member_key();
        let member = match &open {
            None => None,
            Some(alert) => match self.members.get(&(alert.id, key)) {
                Some(member) => *member,
                None => self.context.store.alert_member(alert.id, &key).await?,
            },
        };
        let fresh = AlertId::mint(self.now, self.context.ambient.random());
        match alert::step(open.as_ref(), member, signal, fresh, self.now) {
            Step::Nothing => {
                self.open.insert(group, open);
            }
            Step::Opened(..) if flood::is_limited(signal.kind) && self.is_flood(signal).await? => {
                return self.count(&flood::surplus(signal)).await;
            }
            Step::Changed(alert, _)
                if member.is_none()
                    && flood::is_limited(signal.kind)
                    && self.is_crowded(alert.id, signal.asset).await? =>
            {
                return self.count(&flood::surplus(signal)).await;
            }
            Step::Opened(alert, member) | Step::Changed(alert, member) => {
                self.keep(group, alert, member, signal, signal.summary.clone());
            }
        }
        Ok(())
    }

    /// The open alert of a group, with all that was taken in so far.
    async fn open_alert(&self, group: &Digest) -> Result<Option<Alert>, Error> {
        Ok(match self.open.get(group) {
            Some(open) => open.clone(),
            None => self.context.store.open_alert(group).await?,
        })
    }

    fn keep(&mut self, group: Digest, alert: Alert, member: Member, signal: &Signal, summary: String) {
        let key = signal.member_key();
        self.members.insert((alert.id, key), Some(member));
        let (asset, object) = (signal.asset, signal.object.clone());
        let place = Place { member: key, asset, object, summary, standing: member };
        self.places.insert((alert.id, key), place);
        self.open.insert(group, Some(alert.clone()));
        self.changed.insert(alert.id, alert);
    }

    /// Counts a signal that is told in its asset's surplus alone.
    async fn count(&mut self, signal: &Signal) -> Result<(), Error> {
        let group = Group::of(signal).key();
        let open = self.open_alert(&group).await?;
        let fresh = AlertId::mint(self.now, self.context.ambient.random());
        let (alert, member) = flood::count(open.as_ref(), signal, fresh);
        let summary = alert.summary.clone();
        self.keep(group, alert, member, signal, summary);
        Ok(())
    }

    /// Whether the asset of a signal that opens an alert has opened its share of them; if not, this one counts.
    async fn is_flood(&mut self, signal: &Signal) -> Result<bool, Error> {
        let opened = match self.opened.get(&signal.asset) {
            Some(opened) => *opened,
            None => {
                let alerts =
                    self.context.store.alerts_opened_by(signal.asset, flood::since(self.now)).await?;
                alerts.iter().filter(|alert| flood::is_limited(alert.group.kind)).count() as u64
            }
        };
        let flood = opened >= flood::ALERTS_LIMIT;
        self.opened.insert(signal.asset, if flood { opened } else { opened + 1 });
        Ok(flood)
    }

    /// Whether an asset has its share of an alert's places; if not, this one counts.
    async fn is_crowded(&mut self, alert: AlertId, asset: AssetId) -> Result<bool, Error> {
        let places = match self.crowds.get(&(alert, asset)) {
            Some(places) => *places,
            None => {
                let kept = self.context.store.alert_places_of(alert, asset).await?;
                // Those of this look are not in the store yet, and those that are kept may be among them.
                let ours = self.places.iter().filter(|((of, _), place)| *of == alert && place.asset == asset);
                kept.max(ours.count() as u64)
            }
        };
        let crowded = places >= flood::PLACES_LIMIT;
        self.crowds.insert((alert, asset), if crowded { places } else { places + 1 });
        Ok(crowded)
    }

    /// Rules on what a person did with an alert.
    async fn rule(&mut self, numbered: &Numbered) -> Result<(), Error> {
        let decision = &numbered.decision;
        let held = match decision.target.parse::<AlertId>() {
            Ok(id) => match self.changed.get(&id) {
                Some(alert) => Some(alert.clone()),
                None => self.context.store.alert(id).await?,
            },
            Err(_) => None,
        };
        let barred = barred(self.context, held.as_ref(), decision).await?;
        let outcome = match barred.map_or_else(|| act(held, decision), Err) {
            Ok(next) => {
                self.open.insert(next.group.key(), Some(next.clone()));
                self.changed.insert(next.id, next);
                Outcome::Accepted
            }
            Err(refused) => refused,
        };
        self.ruled.push((numbered.seq, outcome, self.context.ambient.random()));
        Ok(())
    }
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    let held = match decision.target.parse::<AlertId>() {
        Ok(id) => context.store.alert(id).await?,
        Err(_) => None,
    };
    if let Some(barred) = barred(context, held.as_ref(), decision).await? {
        return Ok(barred);
    }
    Ok(act(held, decision).map_or_else(|refused| refused, |_| Outcome::Accepted))
}

/// Why whoever acts may not end an alert that tells of broken glass; nothing for every other act.
async fn barred(
    context: &Context,
    held: Option<&Alert>,
    decision: &Decision,
) -> Result<Option<Outcome>, Error> {
    let Some(alert) = held.filter(|_| decision.act == CLOSE) else { return Ok(None) };
    let Some(id) = glass::change_of(&alert.group) else { return Ok(None) };
    let Some(change) = context.store.change(id).await? else { return Ok(None) };
    let closes = match context.store.person(decision.person).await? {
        Some(person) => change.closes_glass(&alert.group.environment, &person.actor()),
        None => Ok(()),
    };
    let refused =
        |refusal: change::Refusal| Outcome::Refused { class: Refused::Denied, reason: refusal.to_string() };
    Ok(closes.err().map(refused))
}

/// The alert after what a person did with it.
fn act(held: Option<Alert>, decision: &Decision) -> Result<Alert, Outcome> {
    let refused = |class, reason: String| Outcome::Refused { class, reason };
    if !ACTS.contains(&decision.act.as_str()) {
        return Err(refused(Refused::Invalid, format!("there is no act `{}`", decision.act)));
    }
    let none = || refused(Refused::NotFound, format!("there is no alert `{}`", decision.target));
    let alert = held.ok_or_else(none)?;
    let next = if decision.act == ACKNOWLEDGE {
        alert.acknowledge(decision.person, decision.at)
    } else {
        alert.close(decision.person, &decision.reason, decision.at)
    };
    next.map_err(|refusal| refused(Refused::Conflict, refusal.to_string()))
}

/// What a change of a verdict tells; nothing where a verdict first came as met or unknown.
fn state(change: &Change) -> Option<(SubjectNumber, State)> {
    let Change::Verdict { subject, from, to } = change else { return None };
    let state = match to.map(|to| to.verdict) {
        Some(Verdict::NotMet) => State::Firing,
        Some(Verdict::Met) => State::Resolved,
        Some(Verdict::Unknown(reason)) => State::Unknown(reason),
        // The rule was withdrawn or its check edited: nobody asks for it any more.
        None => State::Resolved,
    };
    (from.is_some() || state == State::Firing).then_some((*subject, state))
}

fn deviation(
    asset: &Asset,
    subject: &Subject,
    rule: Option<&crate::policy::Rule>,
    state: State,
    transition: &Transition,
) -> Signal {
    let title = rule.map_or(subject.rule.as_str(), |rule| rule.title.as_str());
    // A rule's title says how things should be: alone it would read as good news.
    let word = if state == State::Firing { "not met: " } else { "" };
    Signal {
        kind: Kind::Deviation,
        subject: format!("{}/{}", subject.baseline, subject.rule),
        asset: asset.id,
        object: String::new(),
        state,
        severity: rule.map_or(Severity::Medium, |rule| rule.severity),
        labels: asset.labels(),
        summary: format!("{}: {word}{title}", asset.name),
        at: transition.at,
        backlog: transition.first_verdicts,
    }
}
