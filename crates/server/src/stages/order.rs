//! The order stage: turns rules that are not met, and whose fix an applied `Enforcement` document asks
//! for, into signed orders, and takes in what agents tell of them.
//!
//! It looks at an asset when one of its rules changed its verdict or when it told of an order; at all
//! that miss an enforced rule when documents changed, after its own start, and once an hour.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bartizan_core::asset::{Asset, Life};
use bartizan_core::configuration::enforcement::{self, AGAIN_AFTER, Draft, Input, Next, Open, Tried, Wanted};
use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::order::{End, Ending, Order, Step, StepOutcome};
use bartizan_core::posture::index::{About, Plane};
use bartizan_core::posture::{AssetNumber, Change};
use bartizan_core::severity::Severity;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Verdict;
use bartizan_store::log::Log;
use bartizan_store::order::{Batch, Given, Told};
use bartizan_store::posture;
use bartizan_store::subject::Subject;
use tokio::sync::Mutex;

use super::{Context, Error, Look};
use crate::policy::Environment;
use crate::signal::own_signal;

/// Its cursor in each shard's transitions.
const TRANSITIONS: &str = "order/transition";

/// Its cursor in what agents told.
const OUTCOMES: &str = "order/outcome";

/// The most transitions that one look reads of a shard.
const TRANSITIONS_LIMIT: usize = 1_000;

/// The most assets that one look judges.
const ASSETS_LIMIT: usize = 500;

/// How often all that miss an enforced rule are looked at, whatever changed.
const SWEEP: Duration = Duration::from_hours(1);

/// The subject of what is told of orders.
const SUBJECT: &str = "orders";

/// What this replica remembers between looks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// When it looked at all, and the digest of what was enforced then.
    swept: Option<(Timestamp, Digest)>,
    /// Whom it has not looked at yet.
    waiting: BTreeSet<AssetNumber>,
}

pub(super) async fn look(context: Context, memory: Arc<Mutex<Memory>>) -> Result<Look, Error> {
    let mut memory = memory.lock().await;
    let now = context.ambient.now();
    let enforced = Enforced::read(&context).await?;
    let mut work = Work { context: &context, enforced: &enforced, now, batch: Batch::default() };
    let mut chosen = work.told().await?;
    let told = !chosen.is_empty();
    let (moved, more) = work.moved().await?;
    chosen.extend(moved);
    let due = memory.swept.is_none_or(|(at, digest)| digest != enforced.digest || now.since(at) >= SWEEP);
    if due {
        memory.waiting.extend(work.all().await?);
        memory.swept = Some((now, enforced.digest));
    }
    let swept: Vec<AssetNumber> = memory.waiting.iter().copied().take(ASSETS_LIMIT).collect();
    chosen.extend(&swept);
    work.judge(&chosen).await?;
    let batch = work.batch;
    if !batch.is_empty() {
        context.store.commit_orders(&batch, now).await?;
    }
    // Not before all is committed: what the store refused is looked at again.
    memory.waiting.retain(|number| !swept.contains(number));
    if !batch.given.is_empty() || !batch.ended.is_empty() {
        context.orders.changed();
        context.nudges.orders();
    }
    if !batch.signals.is_empty() {
        context.nudges.alert();
    }
    Ok(if told || more || !memory.waiting.is_empty() { Look::More } else { Look::Done })
}

/// What one look works on.
struct Work<'a> {
    context: &'a Context,
    enforced: &'a Enforced,
    now: Timestamp,
    batch: Batch,
}

impl Work<'_> {
    /// Takes in what agents told; gives who did.
    async fn told(&mut self) -> Result<BTreeSet<AssetNumber>, Error> {
        let store = &self.context.store;
        let from = store.cursor(OUTCOMES, 0).await?;
        let told = store.order_outcomes(from).await?;
        let Some(last) = told.last() else { return Ok(BTreeSet::new()) };
        self.batch.cursors.push((OUTCOMES, 0, from, last.seq + 1));
        let mut numbers = BTreeSet::new();
        for told in told {
            numbers.insert(told.number);
            self.take(told).await?;
        }
        Ok(numbers)
    }

    /// Takes in what an agent told of an order.
    async fn take(&mut self, told: Told) -> Result<(), Error> {
        let store = &self.context.store;
        let Some(asset) = store.asset_by_number(told.number).await? else { return Ok(()) };
        let held = store.order(told.number, told.outcome.generation).await?;
        let ours = held.filter(|held| held.digest().is_ok_and(|digest| digest == told.outcome.digest));
        let Some(held) = ours else {
            self.batch.signals.push((told.number, strange(&asset, &told)));
            return Ok(());
        };
        let again = self.batch.ended.iter().any(|(ended, _)| ended == &held);
        if held.told().is_some() || again {
            return Ok(());
        }
        let late = told.outcome.at >= held.order.not_after;
        if late && matches!(told.outcome.ending, Ending::Refused(_)) {
            // It came too late to it: that says nothing of the host.
            if held.is_open() {
                self.batch.ended.push((held, End::Lapsed));
            }
            return Ok(());
        }
        let news = news(&asset, &told, &held.order).into_iter().map(|signal| (told.number, signal));
        self.batch.signals.extend(news);
        self.batch.ended.push((held, End::Told(told.outcome.ending)));
        Ok(())
    }

    /// Whose verdicts changed past the cursors, and whether there may be more.
    async fn moved(&mut self) -> Result<(BTreeSet<AssetNumber>, bool), Error> {
        let store = &self.context.store;
        let (mut numbers, mut more) = (BTreeSet::new(), false);
        for shard in store.shards(Log::Transition).await? {
            let from = store.cursor(TRANSITIONS, shard).await?;
            if self.enforced.environments.is_empty() {
                // Nothing is asked for anywhere: who misses a rule is found in the index when something is, and
                // what the index has not taken in yet is still to be read here then.
                let indexed = store.cursor(posture::STAGE, shard).await?;
                let head = store.head(Log::Transition, shard).await?.min(indexed);
                self.batch.cursors.extend((head > from).then_some((TRANSITIONS, shard, from, head)));
                continue;
            }
            let transitions = store.transitions(shard, from, TRANSITIONS_LIMIT).await?;
            let Some(last) = transitions.last() else { continue };
            self.batch.cursors.push((TRANSITIONS, shard, from, last.seq + 1));
            more |= transitions.len() == TRANSITIONS_LIMIT;
            let verdict = |change: &Change| matches!(change, Change::Verdict { .. });
            let ours = transitions.iter().filter(|transition| transition.changes.iter().any(verdict));
            numbers.extend(ours.map(|transition| transition.number));
        }
        Ok((numbers, more))
    }

    /// Everybody who misses a rule that is enforced somewhere, or has an order: it may not be asked for
    /// any more.
    async fn all(&self) -> Result<BTreeSet<AssetNumber>, Error> {
        let store = &self.context.store;
        let mut numbers: BTreeSet<AssetNumber> = store.open_orders().await?.into_keys().collect();
        let shards = store.shards(Log::Transition).await?;
        for (number, _) in self.enforced.subjects.iter().filter(|(_, subject)| self.enforced.takes(subject)) {
            for shard in &shards {
                let cohorts = store.cohorts(*shard, (About::Subject(*number), Plane::NotMet)).await?;
                numbers.extend(cohorts.all());
            }
        }
        Ok(numbers)
    }

    /// Finds what each of these assets is to be ordered now.
    async fn judge(&mut self, chosen: &BTreeSet<AssetNumber>) -> Result<(), Error> {
        if chosen.is_empty() {
            return Ok(());
        }
        let chosen: Vec<AssetNumber> = chosen.iter().copied().collect();
        let store = &self.context.store;
        let mut orders = store.orders_since(&chosen, self.now.minus(AGAIN_AFTER)).await?;
        for asset in store.assets_by_number(&chosen).await?.into_values() {
            let mut held = orders.remove(&asset.number).unwrap_or_default();
            // With what was told just now.
            for (ended, end) in &self.batch.ended {
                let same = held.iter_mut().filter(|given| *given == ended);
                same.for_each(|given| given.end = Some((self.now, end.clone())));
            }
            self.judge_one(&asset, &held).await?;
        }
        Ok(())
    }

    async fn judge_one(&mut self, asset: &Asset, held: &[Given]) -> Result<(), Error> {
        let now = self.now;
        let wanted = self.enforced.wanted(self.context, asset).await?;
        let mended = mended(asset, held, &wanted, now).into_iter().map(|signal| (asset.number, signal));
        self.batch.signals.extend(mended);
        let open = held.iter().find(|given| given.is_open());
        let tried = tried(held, now);
        let stands = open.map(|given| Open {
            plan: given.order.plan,
            not_after: given.order.not_after,
            steps: given.order.steps.iter().map(name).collect(),
        });
        let input = Input { now, wanted: &wanted, open: stands.as_ref(), tried: &tried };
        let next = enforcement::next(&input);
        let goes = matches!(next, Next::Withdraw | Next::Give(_));
        if let Some(open) = open.filter(|_| goes) {
            let end = if now >= open.order.not_after { End::Lapsed } else { End::Withdrawn };
            self.batch.ended.push((open.clone(), end));
        }
        if let Next::Give(draft) = next {
            let last = held.iter().map(|given| given.order.generation).max().unwrap_or_default();
            self.batch.given.push(give(self.context, asset, last + 1, draft, now)?);
        }
        Ok(())
    }
}

/// What people have to know of an order that ended: whether the host does what it is asked at all, and
/// each rule whose fix it can't make.
fn news(asset: &Asset, told: &Told, order: &Order) -> Vec<Signal> {
    let name = &asset.name;
    let signal = |object: String, state, severity, summary| {
        let signal = own_signal(asset, Kind::Order, SUBJECT, summary, told.recorded_at);
        Signal { object, state, severity, ..signal }
    };
    let host = |state, summary| signal(String::new(), state, Severity::Low, summary);
    let steps = match &told.outcome.ending {
        Ending::Refused(reason) => {
            let summary = format!("{name} does not make the fixes that it was asked for: {reason}");
            return vec![host(State::Firing, summary)];
        }
        Ending::CarriedOut(steps) => steps,
    };
    if steps.len() != order.steps.len() {
        let (told, asked) = (steps.len(), order.steps.len());
        let summary = format!("{name} was asked for {asked} fixes, and tells of {told}: that is no answer");
        return vec![host(State::Firing, summary)];
    }
    let mut news = vec![host(State::Resolved, format!("{name} does what it is asked for"))];
    for (step, outcome) in order.steps.iter().zip(steps) {
        let Step::Fix { baseline, rule, .. } = step;
        let rule = format!("{baseline}/{rule}");
        if let StepOutcome::Failed { problem } = outcome {
            let summary = format!("{name} can't make the fix for {rule}: {problem}");
            news.push(signal(rule, State::Firing, Severity::Medium, summary));
        }
    }
    news
}

/// The fixes that failed before, and whose rule is met now, or that nobody asks for any more.
fn mended(asset: &Asset, held: &[Given], wanted: &[Wanted], now: Timestamp) -> Vec<Signal> {
    let mut mended = BTreeSet::new();
    for given in held {
        let Some(Ending::CarriedOut(steps)) = given.told() else { continue };
        for (step, outcome) in given.order.steps.iter().zip(steps) {
            let (baseline, rule) = name(step);
            let missed = wanted.iter().any(|wanted| wanted.baseline == baseline && wanted.rule == rule);
            if matches!(outcome, StepOutcome::Failed { .. }) && !missed {
                mended.insert(format!("{baseline}/{rule}"));
            }
        }
    }
    let signal = |rule: String| {
        let summary = format!("{}: {rule} is met, or its fix is not asked for any more", asset.name);
        let signal = own_signal(asset, Kind::Order, SUBJECT, summary, now);
        Signal { object: rule, state: State::Resolved, ..signal }
    };
    mended.into_iter().map(signal).collect()
}

/// This server did not give that order: whoever gave it has its key.
fn strange(asset: &Asset, told: &Told) -> Signal {
    let became = match &told.outcome.ending {
        Ending::Refused(reason) => format!("refused it: {reason}"),
        Ending::CarriedOut(_) => "carried it out".to_owned(),
    };
    let (name, generation) = (&asset.name, told.outcome.generation);
    let summary =
        format!("{name} was given an order (generation {generation}) by another server, and {became}");
    let signal = own_signal(asset, Kind::Fork, SUBJECT, summary, told.recorded_at);
    Signal { severity: Severity::Critical, ..signal }
}

/// What is enforced, in every environment.
struct Enforced {
    /// Over all documents that say what is enforced and how.
    digest: Digest,
    environments: BTreeMap<String, Arc<Environment>>,
    subjects: BTreeMap<u32, Subject>,
}

impl Enforced {
    async fn read(context: &Context) -> Result<Self, Error> {
        let mut environments = BTreeMap::new();
        for name in context.store.environments().await? {
            let environment = context.policies.environment(&name).await?;
            if !environment.enforcements.is_empty() {
                environments.insert(name, environment);
            }
        }
        let etags = environments
            .iter()
            .flat_map(|(name, environment)| [name.clone(), environment.etag().to_string()]);
        let digest = Digest::derived("enforced", etags.map(bartizan_core::canonical::Value::from));
        let subjects =
            if environments.is_empty() { BTreeMap::new() } else { context.store.subjects().await? };
        Ok(Self { digest, environments, subjects })
    }

    /// Whether any document takes a rule anywhere.
    fn takes(&self, subject: &Subject) -> bool {
        self.environments.values().any(|environment| {
            environment
                .enforcements
                .iter()
                .any(|held| held.enforcement.takes(&subject.baseline, &subject.rule).is_some())
        })
    }

    /// What is asked for on one asset, by its own record.
    async fn wanted(&self, context: &Context, asset: &Asset) -> Result<Vec<Wanted>, Error> {
        let Some(environment) = self.environments.get(&asset.environment) else { return Ok(Vec::new()) };
        if asset.life != Life::Enrolled {
            return Ok(Vec::new());
        }
        let labels = asset.labels();
        let mut wanted = Vec::new();
        for (number, standing) in context.store.record(asset.number).await?.verdicts() {
            let Some(subject) = self.subjects.get(&number) else { continue };
            if standing.verdict != Verdict::NotMet {
                continue;
            }
            let Some(rule) = environment.rule(&subject.baseline, &subject.rule) else { continue };
            let Some(fix) = &rule.fix else { continue };
            let ours = environment.enforcements.iter().filter(|held| held.scope.matches(&labels));
            let takes = ours.filter_map(|held| {
                held.enforcement.takes(&subject.baseline, &subject.rule).map(|taken| (held, taken))
            });
            // By its own name, where another document takes it among others.
            let Some((held, taken)) = takes.max_by_key(|(_, taken)| *taken) else { continue };
            wanted.push(Wanted {
                baseline: subject.baseline.clone(),
                rule: subject.rule.clone(),
                fix: fix.clone(),
                since: standing.since,
                taken,
                by: [held.enforcement.digest, rule.document],
                within: held.enforcement.within,
            });
        }
        wanted.sort_by(|a, b| (&a.baseline, &a.rule).cmp(&(&b.baseline, &b.rule)));
        Ok(wanted)
    }
}

fn name(step: &Step) -> enforcement::Name {
    let Step::Fix { baseline, rule, .. } = step;
    (baseline.clone(), rule.clone())
}

/// What was tried lately.
fn tried(held: &[Given], now: Timestamp) -> Vec<Tried> {
    let recent = held.iter().filter(|given| given.is_recent(now));
    let ends = recent.filter_map(|given| given.end.as_ref().map(|(at, end)| (&given.order, end, *at)));
    ends.flat_map(|(order, end, at)| enforcement::tried(order, end, at)).collect()
}

fn give(
    context: &Context,
    asset: &Asset,
    generation: u64,
    draft: Draft,
    now: Timestamp,
) -> Result<Given, Error> {
    let order = Order {
        asset: asset.id,
        generation,
        plan: draft.plan,
        not_before: now,
        not_after: now.plus(draft.within),
        steps: draft.steps,
    };
    let bytes =
        order.signed_bytes().map_err(|error| Error::Other(format!("an order can't be signed: {error}")))?;
    let signature = context.keys.sign_order(&bytes);
    Ok(Given { number: asset.number, order, signature, given_at: now, end: None })
}
