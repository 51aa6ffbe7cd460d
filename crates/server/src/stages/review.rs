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

/// A baseline wherever it is applied, and each of its documents.
pub(crate) type Baselines = BTreeMap<String, Vec<(Applied, bartizan_store::document::Applied)>>;

pub(super) async fn look(context: Context, memory: Memory) -> Result<Look, Error> {
    let store = &context.store;
    let mut seen = memory.lock().await;
    let now = context.ambient.now();
    let from = store.cursor(DECISIONS, 0).await?;
    let decisions = store.decisions(from, BATCH_LIMIT).await?;
    let ours = |decision: &Decision| decision.act.starts_with(ACTS);
    let digest = documents(&context).await?;
    let due = seen.is_none_or(|(at, held)| held != digest || now.since(at) >= EVERY);
    let asked = decisions.iter().any(|numbered| ours(&numbered.decision));
    let mut batch = Batch::default();
    if let Some(last) = decisions.last() {
        batch.cursor = Some((DECISIONS, from, last.seq + 1));
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
async fn documents(context: &Context) -> Result<Digest, Error> {
    let mut parts = Vec::new();
    for name in context.store.environments().await? {
        let etag = context.policies.environment(&name).await?.etag();
        parts.extend([Value::from(name), Value::from(etag.to_string())]);
    }
    Ok(Digest::derived("documents", parts))
}

/// Every baseline that is applied, with who wrote it as far as a change tells.
pub(crate) async fn baselines(store: &Store) -> Result<Baselines, bartizan_store::Error> {
    let mut baselines = Baselines::new();
    for held in store.documents_of_kind(baseline::KIND).await? {
        let change = match held.change {
            Some(id) => store.change(id).await?,
            None => None,
        };
        let authors = change.map(|change| change.authors).unwrap_or_default();
        let applied = Applied { digest: held.document.digest, owner: held.document.owner.clone(), authors };
        baselines.entry(held.document.name.clone()).or_default().push((applied, held));
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
        for (name, applied) in self.baselines {
            let owner = applied.iter().find_map(|(applied, _)| applied.owner.clone());
            if let Some(review) = self.reviews.get_mut(name) {
                review.owner = owner;
                continue;
            }
            let first = applied.iter().map(|(_, held)| held.applied_at).min();
            let review = Review::new(name.clone(), owner, first.unwrap_or(self.now));
            batch.reviews.push((review.clone(), None, self.context.ambient.random()));
            self.reviews.insert(name.clone(), review);
        }
        Ok(())
    }

    fn applied(&self, name: &str) -> Vec<Applied> {
        let held = self.baselines.get(name).map(Vec::as_slice).unwrap_or_default();
        held.iter().map(|(applied, _)| applied.clone()).collect()
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
        let next = match review::say(held, &applied, &person.actor(), (details.side, said)) {
            Ok(next) => next,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        let concluded = next.last != held.last;
        let document = self.baselines.get(&decision.target).filter(|_| concluded).and_then(|all| {
            all.iter()
                .find(|(applied, _)| applied.digest == digest)
                .map(|(_, held)| held.document.written.clone())
        });
        batch.reviews.push((next.clone(), document, self.context.ambient.random()));
        self.reviews.insert(decision.target.clone(), next);
        Ok(Outcome::Accepted)
    }

    /// Looks at every clock.
    fn watch(&self, batch: &mut Batch) {
        for (name, review) in &self.reviews {
            let Some(next) = review::observe(review, &self.applied(name), self.now) else { continue };
            batch.signals.push(self.signal(&next));
            batch.reviews.push((next, None, self.context.ambient.random()));
        }
    }

    /// What is told of a clock: on no asset, the baseline stands in its place.
    fn signal(&self, review: &Review) -> Signal {
        let Review { baseline, owner, told, .. } = review;
        let owner = owner.as_deref().unwrap_or("nobody");
        let held = self.baselines.get(baseline).map(Vec::as_slice).unwrap_or_default();
        let environments: BTreeSet<&str> = held.iter().map(|(_, held)| held.environment.as_str()).collect();
        let environment = environments.into_iter().next_back().unwrap_or_default();
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
