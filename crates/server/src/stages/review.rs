//! The review stage: rules on what people say of baselines, and watches the yearly clock of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bartizan_core::canonical::Value;
use bartizan_core::configuration::baseline;
use bartizan_core::configuration::review::{self, Applied, Refusal, Review, Said, Side, Word};
use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_store::Store;
use bartizan_store::decision::{Decision, Outcome, Refused};
use bartizan_store::review::Batch;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{Context, Error, Look};

/// The cursor of decisions.
const DECISIONS: &str = "review/decision";

/// Counts what was written of reviews, so that no two replicas write over each other's.
const TURN: &str = "review/turn";

/// How the acts that it rules on begin.
pub(super) const ACTS: &str = "review.";

/// The most decisions that one look takes in.
const BATCH_LIMIT: usize = 200;

/// How often the clocks are looked at where nothing changes: they run for a year.
const EVERY: Duration = Duration::from_hours(1);

/// What `review.say` carries beside the digest of what was seen and its reason. Its target is the baseline.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Details {
    pub(crate) side: Side,
    pub(crate) word: Word,
}

/// When the clocks were looked at, and over which documents.
pub(super) type Memory = Arc<Mutex<Option<(Timestamp, Digest)>>>;

/// A baseline that is applied.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The document of the highest environment that has one: what a review is about.
    pub(crate) top: Applied,
    /// Wherever it is applied, the highest environment first.
    pub(crate) held: Vec<bartizan_store::document::Applied>,
}

/// The baselines that are applied, by name.
pub(crate) type Baselines = BTreeMap<String, Standing>;

pub(super) async fn look(context: Context, memory: Memory) -> Result<Look, Error> {
    let store = &context.store;
    let mut seen = memory.lock().await;
    let now = context.ambient.now();
    let (from, turn) = (store.cursor(DECISIONS, 0).await?, store.cursor(TURN, 0).await?);
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    let ours = |decision: &Decision| decision.act.starts_with(ACTS);
    let digest = documents(&context).await?;
    let due = seen.is_none_or(|(at, held)| held != digest || now.since(at) >= EVERY);
    let asked = decisions.iter().any(|numbered| ours(&numbered.decision));
    let mut batch = Batch::default();
    if let Some(last) = decisions.last() {
        batch.cursors.push((DECISIONS, from, last.seq + 1));
    }
    if due || asked {
        let baselines = baselines(store).await?;
        let mut work = Work { context: &context, now, baselines: &baselines, reviews: BTreeMap::new() };
        work.read(&mut batch).await?;
        for numbered in decisions.iter().filter(|numbered| ours(&numbered.decision)) {
            let outcome = work.rule(&numbered.decision, &mut batch).await?;
            batch.ruled.push((numbered.seq, outcome, context.ambient.random()));
        }
        work.watch(&mut batch);
    }
    if !batch.reviews.is_empty() {
        // Whoever read the reviews before these were written comes too late.
        batch.cursors.push((TURN, turn, turn + 1));
    }
    if !batch.is_empty() {
        store.commit_reviews(&batch, now).await?;
    }
    if due {
        *seen = Some((now, digest));
    }
    if !batch.signals.is_empty() {
        context.nudges.alert();
    }
    if !batch.ruled.is_empty() || !batch.reviews.is_empty() {
        context.nudges.reviews_changed();
    }
    Ok(if decisions.len() == BATCH_LIMIT { Look::More } else { Look::Done })
}

/// How it would rule on an act now.
pub(super) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    let baselines = baselines(&context.store).await?;
    let now = context.ambient.now();
    let mut work = Work { context, now, baselines: &baselines, reviews: BTreeMap::new() };
    let mut batch = Batch::default();
    work.read(&mut batch).await?;
    work.rule(decision, &mut batch).await
}

/// One digest over the documents of every environment.
pub(super) async fn documents(context: &Context) -> Result<Digest, Error> {
    let mut parts = Vec::new();
    for name in context.store.environments().await? {
        let etag = context.policies.environment(&name).await?.etag();
        parts.extend([Value::from(name), Value::from(etag.to_string())]);
    }
    Ok(Digest::derived("documents", parts))
}

/// Every baseline that is applied, with who wrote it as far as changes tell: whoever brought the same
/// content to any environment, by a change or by hand.
pub(crate) async fn baselines(store: &Store) -> Result<Baselines, bartizan_store::Error> {
    let ladder = store.ladder().await?;
    let height = |name: &str| ladder.rungs().iter().position(|rung| rung.name == name);
    let mut all: BTreeMap<String, Vec<bartizan_store::document::Applied>> = BTreeMap::new();
    for held in store.documents_of_kind(baseline::KIND).await? {
        all.entry(held.document.name.clone()).or_default().push(held);
    }
    let mut baselines = Baselines::new();
    for (name, mut held) in all {
        held.sort_by_key(|held| std::cmp::Reverse(height(&held.environment)));
        let Some(first) = held.first() else { continue };
        let mut authors = BTreeSet::new();
        for same in held.iter().filter(|held| held.document.digest == first.document.digest) {
            authors.extend(same.by);
            if let Some(id) = same.change {
                authors.extend(store.change(id).await?.into_iter().flat_map(|change| change.authors));
            }
        }
        let top = Applied { digest: first.document.digest, owner: first.document.owner.clone(), authors };
        baselines.insert(name, Standing { top, held });
    }
    Ok(baselines)
}

/// What one look works on.
struct Work<'a> {
    context: &'a Context,
    now: Timestamp,
    baselines: &'a Baselines,
    reviews: BTreeMap<String, Review>,
}

impl Work<'_> {
    /// Reads the reviews; a baseline that is new gets one, and its clock starts.
    async fn read(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let held = self.context.store.reviews().await?;
        self.reviews = held.into_iter().map(|review| (review.baseline.clone(), review)).collect();
        for (name, standing) in self.baselines {
            let owner = standing.top.owner.clone();
            if let Some(review) = self.reviews.get_mut(name) {
                review.owner = owner;
                continue;
            }
            let first = standing.held.iter().map(|held| held.applied_at).min();
            let review = Review::new(name.clone(), owner, first.unwrap_or(self.now));
            batch.reviews.push((review.clone(), None, self.context.ambient.random()));
            self.reviews.insert(name.clone(), review);
        }
        Ok(())
    }

    fn applied(&self, name: &str) -> Option<&Applied> {
        self.baselines.get(name).map(|standing| &standing.top)
    }

    /// Rules on what somebody said.
    async fn rule(&mut self, decision: &Decision, batch: &mut Batch) -> Result<Outcome, Error> {
        let invalid = |reason: String| Outcome::Refused { class: Refused::Invalid, reason };
        if decision.act != "review.say" {
            return Ok(invalid(format!("there is no act `{}`", decision.act)));
        }
        let details = decision.details.as_ref().map(Value::to_data::<Details>);
        let digest = decision.expected.as_deref().and_then(|text| text.parse::<Digest>().ok());
        let (Some(Ok(details)), Some(digest)) = (details, digest) else {
            return Ok(invalid(
                "a review names a side, what is said, and the digest of what was seen".to_owned(),
            ));
        };
        let Some(held) = self.reviews.get(&decision.target) else {
            let reason = format!("there is no baseline `{}`", decision.target);
            return Ok(Outcome::Refused { class: Refused::NotFound, reason });
        };
        let Some(person) = self.context.store.person(decision.person).await? else {
            let reason = "whoever acted is not known any more".to_owned();
            return Ok(Outcome::Refused { class: Refused::Denied, reason });
        };
        let (by, word, reason, at) = (person.id, details.word, decision.reason.clone(), decision.at);
        let said = Said { by, digest, word, reason, at };
        let applied = self.applied(&decision.target);
        let next = match review::say(held, applied, &person.actor(), (details.side, said)) {
            Ok(next) => next,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        let concluded = next.last != held.last;
        let standing = self.baselines.get(&decision.target).filter(|_| concluded);
        let document = standing.and_then(|standing| standing.held.first());
        let document = document.map(|held| held.document.written.clone());
        batch.reviews.push((next.clone(), document, self.context.ambient.random()));
        self.reviews.insert(decision.target.clone(), next);
        Ok(Outcome::Accepted)
    }

    /// Looks at every clock.
    fn watch(&self, batch: &mut Batch) {
        for (name, review) in &self.reviews {
            let Some(next) = review::observe(review, self.applied(name), self.now) else { continue };
            batch.signals.push(self.signal(&next));
            batch.reviews.push((next, None, self.context.ambient.random()));
        }
    }

    /// What is told of a clock: on no asset, the baseline stands in its place.
    fn signal(&self, review: &Review) -> Signal {
        let Review { baseline, owner, told, .. } = review;
        let owner = owner.as_deref().unwrap_or("nobody");
        let top = self.baselines.get(baseline).and_then(|standing| standing.held.first());
        let environment = top.map_or("", |held| held.environment.as_str());
        let summary = if *told {
            format!("the baseline {baseline} was not reviewed for a year; {owner} answers for it")
        } else {
            format!("the baseline {baseline} is reviewed")
        };
        let labels = [("service", owner), ("environment", environment)];
        Signal {
            kind: Kind::Clock,
            subject: format!("review/{baseline}"),
            asset: AssetId::mint(Timestamp::from_millis(0), [0; 10]),
            object: String::new(),
            state: if *told { State::Firing } else { State::Resolved },
            severity: Severity::Medium,
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            summary,
            at: self.now,
            backlog: false,
        }
    }
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
