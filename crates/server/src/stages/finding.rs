//! The finding stage: rules on what people put on findings, and follows how those findings end.
//!
//! A finding has a row once somebody owned it or said something of it. Only rows are looked at: when their
//! asset's posture moved, when a feed changed what it says of their vulnerability, when documents were
//! applied, and after the stage's own start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bartizan_core::asset::{Asset, Life};
use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::finding::look::Look as Stands;
use bartizan_core::finding::{self, Act, Entry, Event, Finding, Key, Observation, Refusal, Subject};
use bartizan_core::id::PersonId;
use bartizan_core::posture::{AssetNumber, Change, shard};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_store::decision::{Decision, Numbered, Outcome, Refused};
use bartizan_store::finding::{Batch, Held};
use bartizan_store::log::Log;
use bartizan_store::matching::{CHANGES_LIMIT, TUPLES};
use bartizan_store::posture::Transition;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Context, Error, Look};
use crate::auth::RESPONDERS;

mod sight;

use sight::{Sight, observed};

/// Its cursors, by log.
const TRANSITIONS: &str = "finding/transition";
const MATCHES: &str = "finding/match";
const LIVES: &str = "finding/life";
const DECISIONS: &str = "finding/decision";

/// Moved by every commit: whoever saw that there are no findings, or read one, before another replica wrote
/// one has looked too early.
const TURN: &str = "finding/turn";

/// How the acts that it rules on begin.
pub(super) const ACTS: &str = "finding.";

pub(crate) const ASSIGN: &str = "finding.assign";
pub(crate) const COMMENT: &str = "finding.comment";

/// The most rows of each log that one look takes in.
const BATCH_LIMIT: usize = 1_000;

/// The most decisions that one look rules on.
const DECISIONS_LIMIT: usize = 200;

/// The most findings that one look reads anew because documents changed, or since it was started.
const LOOKS_LIMIT: usize = 500;

/// What an act carries beside its words. Its target is the finding's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) subject: Subject,
    /// Whose it is to be.
    #[serde(default)]
    pub(crate) to: Option<PersonId>,
}

/// What this replica remembers between looks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The documents under which all were looked at.
    documents: Option<Digest>,
    /// Which it has not looked at since.
    waiting: BTreeSet<Key>,
    /// Those of whose builds some were not matched yet, and how far matching was.
    unjudged: BTreeSet<Key>,
    matched: i64,
}

/// What one look works on: findings as they stand with all that was taken in so far.
struct Work<'a> {
    context: &'a Context,
    now: Timestamp,
    batch: Batch,
    findings: BTreeMap<Key, Held>,
    changed: BTreeSet<Key>,
    /// Which have to be held against posture as it is now.
    stale: BTreeSet<Key>,
    unknown: BTreeSet<Key>,
    /// The next transition of each shard that it has not read.
    read_to: BTreeMap<u32, i64>,
    sight: Sight<'a>,
}

/// Why an act is not done: it is refused, or it can't be judged now.
enum Stop {
    Refused(Refused, String),
    Failed(Error),
}

pub(super) async fn look(context: Context, memory: Arc<Mutex<Memory>>) -> Result<Look, Error> {
    let mut memory = memory.lock().await;
    let store = &context.store;
    let turn = store.cursor(TURN, 0).await?;
    let any = store.has_findings().await?;
    let mut work = Work::new(&context);
    let mut more = work.follow_posture(any).await?;
    more |= work.follow_matches(any).await?;
    more |= work.follow_lives(any).await?;
    if any {
        memory.wake(&context).await?;
    }
    let woken: Vec<Key> = memory.waiting.iter().copied().take(LOOKS_LIMIT).collect();
    work.stale.extend(&woken);
    work.judge().await?;
    more |= work.decisions().await?;
    let Work { mut batch, changed, mut findings, unknown, now, .. } = work;
    batch.findings = changed.iter().filter_map(|key| findings.remove(key)).collect();
    let news = !batch.findings.is_empty() || !batch.ruled.is_empty();
    if !batch.cursors.is_empty() || news {
        batch.cursors.push((TURN, 0, turn, turn + 1));
        store.commit_findings(&batch, now).await?;
    }
    // Not before all is committed: what the store refused is looked at again.
    memory.waiting.retain(|key| !woken.contains(key));
    memory.unjudged.extend(unknown);
    if news {
        context.nudges.findings_changed();
    }
    Ok(if more || !memory.waiting.is_empty() { Look::More } else { Look::Done })
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    match Work::new(context).act(decision).await {
        Ok(_) => Ok(Outcome::Accepted),
        Err(Stop::Refused(class, reason)) => Ok(Outcome::Refused { class, reason }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

impl Memory {
    /// Finds which have to be looked at though no log tells of them: what is asked for changed, or builds
    /// that nobody had judged were matched.
    async fn wake(&mut self, context: &Context) -> Result<(), Error> {
        let documents = super::review::documents(context).await?;
        if self.documents != Some(documents) {
            let mut after = None;
            loop {
                let page = context.store.open_findings(after).await?;
                after = page.last().copied();
                self.waiting.extend(page);
                if after.is_none() {
                    break;
                }
            }
            self.documents = Some(documents);
        }
        let matched = context.store.cursor(TUPLES, 0).await?;
        if self.matched != matched {
            self.waiting.append(&mut self.unjudged);
            self.matched = matched;
        }
        Ok(())
    }
}

impl<'a> Work<'a> {
    fn new(context: &'a Context) -> Self {
        Work {
            context,
            now: context.ambient.now(),
            batch: Batch::default(),
            findings: BTreeMap::new(),
            changed: BTreeSet::new(),
            stale: BTreeSet::new(),
            unknown: BTreeSet::new(),
            read_to: BTreeMap::new(),
            sight: Sight::new(context),
        }
    }
}

impl Work<'_> {
    /// Moves a cursor to the end of its log where nobody has put anything on any finding.
    async fn skip(&mut self, cursor: &'static str, log: Log, shard: u32, from: i64) -> Result<(), Error> {
        let head = self.context.store.head(log, shard).await?;
        self.batch.cursors.extend((head > from).then_some((cursor, shard, from, head)));
        Ok(())
    }

    /// Takes in whose posture moved; whether there may be more.
    async fn follow_posture(&mut self, any: bool) -> Result<bool, Error> {
        let store = &self.context.store;
        let mut more = false;
        for shard in store.shards(Log::Transition).await? {
            let from = store.cursor(TRANSITIONS, shard).await?;
            if !any {
                self.skip(TRANSITIONS, Log::Transition, shard, from).await?;
                continue;
            }
            let transitions = store.transitions(shard, from, BATCH_LIMIT).await?;
            self.read_to.insert(shard, transitions.last().map_or(from, |last| last.seq + 1));
            let Some(last) = transitions.last() else { continue };
            self.batch.cursors.push((TRANSITIONS, shard, from, last.seq + 1));
            more |= transitions.len() == BATCH_LIMIT;
            let numbers: BTreeSet<AssetNumber> =
                transitions.iter().map(|transition| transition.number).collect();
            let held = store.findings_on(&numbers.into_iter().collect::<Vec<_>>()).await?;
            let mut on: BTreeMap<AssetNumber, Vec<Key>> = BTreeMap::new();
            for held in held {
                on.entry(held.number).or_default().push(self.touch(held));
            }
            for transition in &transitions {
                for key in on.get(&transition.number).into_iter().flatten() {
                    self.take(*key, transition).await?;
                }
            }
        }
        Ok(more)
    }

    /// Takes in what one report changed about a rule, in its order: what was mended and broken again
    /// between two looks is told as that.
    async fn take(&mut self, key: Key, transition: &Transition) -> Result<(), Error> {
        for change in &transition.changes {
            let Change::Verdict { subject, to: Some(to), .. } = *change else { continue };
            let Some(held) = self.findings.get(&key).cloned() else { return Ok(()) };
            if !self.sight.is_of(subject, &held.finding.subject).await? {
                continue;
            }
            let same = held.finding.seen_by.contains(&subject);
            match to.verdict {
                Verdict::NotMet => self.apply(key, &observed(Verdict::NotMet, to.since, [subject].into())),
                Verdict::Met if same => self.apply(key, &observed(Verdict::Met, to.since, [].into())),
                // What follows from these is judged by all that stands there now.
                Verdict::Met | Verdict::Unknown(_) => {}
            }
        }
        Ok(())
    }

    /// Takes in what the feeds changed; whether there may be more.
    async fn follow_matches(&mut self, any: bool) -> Result<bool, Error> {
        let store = &self.context.store;
        let from = store.cursor(MATCHES, 0).await?;
        if !any {
            self.skip(MATCHES, Log::Match, 0, from).await?;
            return Ok(false);
        }
        let changes = store.match_changes(from, CHANGES_LIMIT).await?;
        let Some(last) = changes.last() else { return Ok(false) };
        self.batch.cursors.push((MATCHES, 0, from, last.seq + 1));
        let moved = changes.iter().flat_map(|change| &change.moved);
        let names: BTreeSet<&str> = moved.map(|moved| moved.vulnerability.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        for held in store.findings_about("vulnerability", &names).await? {
            self.touch(held);
        }
        Ok(changes.len() == CHANGES_LIMIT)
    }

    /// Takes in whose life changed; whether there may be more.
    async fn follow_lives(&mut self, any: bool) -> Result<bool, Error> {
        let store = &self.context.store;
        let from = store.cursor(LIVES, 0).await?;
        if !any {
            self.skip(LIVES, Log::Life, 0, from).await?;
            return Ok(false);
        }
        let lives = store.asset_lives(from, BATCH_LIMIT).await?;
        let Some((last, _)) = lives.last() else { return Ok(false) };
        self.batch.cursors.push((LIVES, 0, from, last + 1));
        let numbers: Vec<AssetNumber> = lives.iter().map(|(_, number)| *number).collect();
        for held in store.findings_on(&numbers).await? {
            self.touch(held);
        }
        Ok(lives.len() == BATCH_LIMIT)
    }

    /// Keeps a finding that has to be looked at.
    fn touch(&mut self, held: Held) -> Key {
        let key = held.finding.subject.key();
        self.stale.insert(key);
        self.findings.entry(key).or_insert(held);
        key
    }

    /// Holds what has to be looked at against posture and feeds as they are now.
    async fn judge(&mut self) -> Result<(), Error> {
        for key in std::mem::take(&mut self.stale) {
            let Some(Held { number, finding }) = self.held(&key).await? else { continue };
            let Some(asset) = self.context.store.asset_by_number(number).await? else { continue };
            if asset.life == Life::Retired {
                self.apply(key, &Event::Retired);
                continue;
            }
            let look = self.sight.look(&asset, &finding.subject, &finding.seen_by).await?;
            if self.is_ahead(number).await? {
                continue;
            }
            if !finding.is_open() && !matches!(look, Stands::Seen { .. }) {
                continue;
            }
            if look == Stands::Unknown && matches!(finding.subject, Subject::Vulnerability { .. }) {
                self.unknown.insert(key);
            }
            if let Some(event) = self.sight.event(&asset, &finding.subject, look).await? {
                self.apply(key, &event);
            }
        }
        Ok(())
    }

    /// Whether an asset was told of meanwhile. What stands there now came by reports that were not taken in yet: they
    /// are in the next look, in their order.
    async fn is_ahead(&self, number: AssetNumber) -> Result<bool, Error> {
        let Some(next) = self.read_to.get(&shard(number)) else { return Ok(false) };
        let later = self.context.store.transitions_after(number, next - 1, 1).await?;
        Ok(!later.is_empty())
    }

    async fn held(&mut self, key: &Key) -> Result<Option<Held>, Error> {
        if let Some(held) = self.findings.get(key) {
            return Ok(Some(held.clone()));
        }
        let held = self.context.store.finding(key).await?;
        self.findings.extend(held.clone().map(|held| (*key, held)));
        Ok(held)
    }

    fn apply(&mut self, key: Key, event: &Event) {
        let Some(held) = self.findings.get(&key) else { return };
        let (next, entry) = finding::step(&held.finding, event, self.now);
        if next != held.finding {
            self.keep(Held { number: held.number, finding: next }, entry);
        }
    }

    fn keep(&mut self, held: Held, entry: Option<Entry>) {
        let key = held.finding.subject.key();
        let random = &self.context.ambient;
        self.batch.entries.extend(entry.map(|entry| (key, entry, random.random())));
        self.changed.insert(key);
        self.findings.insert(key, held);
    }

    /// Rules on what people did; whether there may be more.
    async fn decisions(&mut self) -> Result<bool, Error> {
        let store = &self.context.store;
        let from = store.cursor(DECISIONS, 0).await?;
        let decisions = store.decisions(from, DECISIONS_LIMIT).await?;
        let Some(last) = decisions.last() else { return Ok(false) };
        self.batch.cursors.push((DECISIONS, 0, from, last.seq + 1));
        for numbered in decisions.iter().filter(|numbered| numbered.decision.act.starts_with(ACTS)) {
            self.rule(numbered).await?;
        }
        Ok(decisions.len() == DECISIONS_LIMIT)
    }

    async fn rule(&mut self, numbered: &Numbered) -> Result<(), Error> {
        let outcome = match self.act(&numbered.decision).await {
            Ok((held, entry)) => {
                self.keep(held, Some(entry));
                Outcome::Accepted
            }
            Err(Stop::Refused(class, reason)) => Outcome::Refused { class, reason },
            Err(Stop::Failed(error)) => return Err(error),
        };
        self.batch.ruled.push((numbered.seq, outcome, self.context.ambient.random()));
        Ok(())
    }

    /// The finding after an act, and what its history tells of it.
    async fn act(&mut self, decision: &Decision) -> Result<(Held, Entry), Stop> {
        let details = decision.details.as_ref().unwrap_or(&Value::Null);
        let details: Details = details
            .to_data()
            .map_err(|error| invalid(format!("`{}` lacks what it needs: {error}", decision.act)))?;
        let key = details.subject.key();
        if key.to_string() != decision.target {
            return Err(invalid(format!("`{}` is not the key of what it names", decision.target)));
        }
        let person = self.context.store.person(decision.person).await.map_err(Error::from)?;
        if !person.is_some_and(|person| person.has_any(RESPONDERS)) {
            let reason = "whoever acted has no role that works on findings".to_owned();
            return Err(Stop::Refused(Refused::Denied, reason));
        }
        let act = match decision.act.as_str() {
            ASSIGN => {
                let to = details.to.ok_or_else(|| invalid("an assignment names a person".to_owned()))?;
                Act::Assigned { to: self.worker(to).await?, reason: decision.reason.clone() }
            }
            COMMENT => Act::Commented { text: decision.reason.clone() },
            other => return Err(invalid(format!("there is no act `{other}`"))),
        };
        let held = match self.held(&key).await? {
            Some(held) => held,
            None => self.open(details.subject).await?,
        };
        let (finding, entry) = finding::act(&held.finding, decision.person, &act, decision.at)?;
        Ok((Held { finding, ..held }, entry))
    }

    /// Somebody who may work on findings.
    async fn worker(&self, id: PersonId) -> Result<PersonId, Stop> {
        match self.context.store.person(id).await.map_err(Error::from)? {
            None => Err(Stop::Refused(Refused::NotFound, format!("there is no person `{id}`"))),
            Some(person) if person.has_any(RESPONDERS) => Ok(person.id),
            Some(person) => Err(invalid(format!("{} has no role that works on findings", person.name))),
        }
    }

    /// The finding that nobody has put anything on yet, as its asset shows it now.
    async fn open(&mut self, subject: Subject) -> Result<Held, Stop> {
        let none = || {
            let reason = "the asset has no such finding now: it was fixed or withdrawn, or never was";
            Stop::Refused(Refused::NotFound, reason.to_owned())
        };
        let id = subject.asset().ok_or_else(none)?;
        let asset: Asset = self.context.store.asset(id).await.map_err(Error::from)?.ok_or_else(none)?;
        let look = self.sight.look(&asset, &subject, &BTreeSet::new()).await?;
        let Stands::Seen { since, seen_by } = look else {
            if look != Stands::Unknown {
                return Err(none());
            }
            let reason = "nobody can say whether it is there: it is unknown, and no finding yet".to_owned();
            return Err(Stop::Refused(Refused::Conflict, reason));
        };
        let backlog = self.sight.is_backlog(asset.number, &subject, &seen_by).await?;
        let seen = Observation { verdict: Verdict::NotMet, observed_at: since, seen_by };
        let finding = Finding::open(subject, &seen, backlog).ok_or_else(none)?;
        Ok(Held { number: asset.number, finding })
    }
}

const fn invalid(reason: String) -> Stop {
    Stop::Refused(Refused::Invalid, reason)
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
