//! What posture and the feeds say of single findings: read where somebody has put something on one.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::asset::Asset;
use bartizan_core::configuration::baseline;
use bartizan_core::configuration::change::{Change, Item};
use bartizan_core::finding::look::{self, Build, Look, Told};
use bartizan_core::finding::{Event, Observation, Subject};
use bartizan_core::id::ChangeId;
use bartizan_core::posture::index::{self, About, Edits, First, Plane};
use bartizan_core::posture::{AssetNumber, Record, SubjectNumber, TupleNumber, shard};
use bartizan_core::verdict::Verdict;
use bartizan_core::vulnerability::matching;
use bartizan_store::{posture, subject};

use super::super::{Context, Error};

/// The most reports of one asset that the index may be behind by.
const WAITING_LIMIT: usize = 100;

/// One look; what it has read of assets it reads once.
pub(super) struct Sight<'a> {
    context: &'a Context,
    subjects: BTreeMap<SubjectNumber, subject::Subject>,
    records: BTreeMap<AssetNumber, Record>,
}

impl<'a> Sight<'a> {
    pub(super) const fn new(context: &'a Context) -> Self {
        Self { context, subjects: BTreeMap::new(), records: BTreeMap::new() }
    }

    /// Whether a number is one of a rule's: it has one for each check that it had.
    pub(super) async fn is_of(&mut self, number: SubjectNumber, subject: &Subject) -> Result<bool, Error> {
        let Subject::Deviation { baseline, rule, .. } = subject else { return Ok(false) };
        if !self.subjects.contains_key(&number) {
            self.subjects = self.context.store.subjects().await?;
        }
        let named = self.subjects.get(&number);
        Ok(named.is_some_and(|named| named.baseline == *baseline && named.rule == *rule))
    }

    /// How a finding stands on its asset. `seen_by` is what it was seen by last.
    pub(super) async fn look(
        &mut self,
        asset: &Asset,
        subject: &Subject,
        seen_by: &BTreeSet<u32>,
    ) -> Result<Look, Error> {
        if !self.records.contains_key(&asset.number) {
            let record = self.context.store.record(asset.number).await?;
            self.records.insert(asset.number, record);
        }
        let record = self.records.get(&asset.number).cloned().unwrap_or_default();
        match subject {
            Subject::Deviation { baseline, rule, .. } => {
                let mut standings = Vec::new();
                for (number, standing) in record.verdicts() {
                    if self.is_of(number, subject).await? {
                        standings.push((number, standing));
                    }
                }
                let policy = self.context.policies.policy(asset).await?;
                let applies = policy.rule(baseline, rule).is_some();
                Ok(look::of_rule(&standings, seen_by, applies))
            }
            Subject::Vulnerability { id, source_package, .. } => {
                let builds = self.builds(&record, id, source_package).await?;
                let standing = self.context.store.asset_standing(asset.number).await?;
                let observed_at = standing.map_or(asset.enrolled_at, |standing| standing.recorded_at);
                Ok(look::of_builds(&builds, seen_by, observed_at))
            }
            // Nobody puts anything on these yet.
            Subject::Drift { .. }
            | Subject::Coverage { .. }
            | Subject::Clock { .. }
            | Subject::Assessment { .. } => Ok(Look::Unknown),
        }
    }

    /// The builds of a source package that are on an asset, and what the feeds say of each.
    async fn builds(&self, record: &Record, id: &str, source: &str) -> Result<Vec<Build>, Error> {
        let store = &self.context.store;
        let present: BTreeMap<TupleNumber, _> = record.present().collect();
        let numbers: Vec<TupleNumber> = present.keys().copied().collect();
        let mut ours = store.tuples(&numbers).await?;
        ours.retain(|_, tuple| tuple.source == source);
        let known = store.matches_of(id).await?.into_iter();
        let mut told: BTreeMap<TupleNumber, Told> = BTreeMap::new();
        for known in known.filter(|known| known.found.source == source) {
            let matched = Told::Matched { verdict: known.found.verdict, known_at: known.known_at };
            told.insert(known.tuple, matched);
        }
        // A record may name another source than the package's own: what it affects is looked at all the same.
        let affected = told.keys().filter(|tuple| present.contains_key(tuple));
        let numbers: BTreeSet<TupleNumber> = ours.keys().chain(affected).copied().collect();
        let numbers: Vec<TupleNumber> = numbers.into_iter().collect();
        let judged = store.judged(&numbers).await?;
        let build = |tuple: TupleNumber| {
            let since = *present.get(&tuple)?;
            let said = told.get(&tuple).copied().unwrap_or(Told::Nothing);
            Some(Build { tuple, since, told: judged.contains(&tuple).then_some(said) })
        };
        Ok(numbers.into_iter().filter_map(build).collect())
    }

    /// Whether first sight of the asset brought the fault.
    pub(super) async fn is_backlog(
        &self,
        number: AssetNumber,
        subject: &Subject,
        seen_by: &BTreeSet<u32>,
    ) -> Result<bool, Error> {
        let store = &self.context.store;
        let Subject::Vulnerability { id, .. } = subject else {
            let abouts: Vec<About> = seen_by.iter().map(|number| About::Subject(*number)).collect();
            return Ok(!self.lies_in(number, Plane::Backlog, &abouts).await?.is_empty());
        };
        let known = store.matches_of(id).await?.into_iter();
        let quiet = known.filter(|known| {
            known.quiet
                && known.found.verdict == matching::Verdict::Affected
                && seen_by.contains(&known.tuple)
        });
        let abouts: Vec<About> = quiet.map(|known| About::Tuple(known.tuple)).collect();
        let came = self.lies_in(number, Plane::Came, &abouts).await?;
        Ok(abouts.iter().any(|about| !came.contains(about)))
    }

    /// Of these, those in whose plane an asset lies, with what the index has not taken in yet: what is written down
    /// of a finding now stays.
    async fn lies_in(
        &self,
        number: AssetNumber,
        plane: Plane,
        abouts: &[About],
    ) -> Result<BTreeSet<About>, Error> {
        let store = &self.context.store;
        // Read first: what the index takes in meanwhile is laid over it once more.
        let from = store.cursor(posture::STAGE, shard(number)).await?;
        let mut lies = store.lies_in(number, plane, abouts).await?;
        let mut edits = Edits::new();
        for told in store.transitions_after(number, from - 1, WAITING_LIMIT).await? {
            let first = First { verdicts: told.first_verdicts, packages: told.first_packages };
            index::collect(&mut edits, number, &told.changes, first);
        }
        for about in abouts {
            match edits.get(&(*about, plane)).and_then(|edits| edits.last()) {
                Some(edit) if edit.present => drop(lies.insert(*about)),
                Some(_) => drop(lies.remove(about)),
                None => {}
            }
        }
        Ok(lies)
    }

    /// What a look tells of a finding; nothing where nobody can say.
    pub(super) async fn event(
        &self,
        asset: &Asset,
        subject: &Subject,
        look: Look,
    ) -> Result<Option<Event>, Error> {
        let none = BTreeSet::new();
        Ok(Some(match look {
            Look::Seen { since, seen_by } => observed(Verdict::NotMet, since, seen_by),
            Look::Gone { observed_at } => observed(Verdict::Met, observed_at, none),
            Look::TakenBack => Event::Withdrawn { by: self.taken_back_by(asset, subject).await? },
            Look::Unknown => return Ok(None),
        }))
    }

    /// What took an obligation back: the change that did it, or the feeds.
    async fn taken_back_by(&self, asset: &Asset, subject: &Subject) -> Result<String, Error> {
        let store = &self.context.store;
        let Subject::Deviation { baseline, .. } = subject else {
            let feeds = store.matched_feeds().await?;
            return Ok(feeds.map_or_else(|| "the feeds".to_owned(), |digest| format!("the feeds {digest}")));
        };
        let environment = &asset.environment;
        let held = store.documents_of_kind(baseline::KIND).await?.into_iter();
        let mut held =
            held.filter(|held| held.environment == *environment && held.document.name == *baseline);
        if let Some(held) = held.next() {
            return Ok(match held.change {
                Some(change) => in_words(change),
                None => format!("the baseline {baseline} as it was applied to {environment} by hand"),
            });
        }
        let changes = store.changes(bartizan_store::change::PAGE_LIMIT).await?;
        let applied =
            changes.iter().filter_map(|change| Some((deleted(change, environment, baseline)?, change)));
        let last = applied.max_by_key(|(at, _)| *at);
        Ok(match last {
            Some((_, change)) => in_words(change.id),
            None => format!("the baseline {baseline} was taken from {environment} by hand"),
        })
    }
}

/// An observation of a finding.
pub(super) fn observed(
    verdict: Verdict,
    observed_at: bartizan_core::time::Timestamp,
    seen_by: BTreeSet<u32>,
) -> Event {
    Event::Observed(Observation { verdict, observed_at, seen_by })
}

fn in_words(change: ChangeId) -> String {
    format!("change {change}")
}

/// When a change took a baseline from an environment, where it did.
fn deleted(change: &Change, environment: &str, baseline: &str) -> Option<bartizan_core::time::Timestamp> {
    let takes = |(kind, name, item): (&str, &str, &Item)| {
        kind == baseline::KIND && name == baseline && matches!(item, Item::Deleted)
    };
    let mut items = change.content.items();
    items.any(takes).then(|| {
        let there = change.applied.iter().filter(|applied| applied.target == environment);
        there.map(|applied| applied.at).max()
    })?
}
