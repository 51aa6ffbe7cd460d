//! What a risk acceptance lies over now, and how its control stands there: bitmaps of the index.
//!
//! Nothing here is kept: who is covered follows from posture each time it is asked for, so that
//! an asset which comes to have the same finding is covered at once, and one that was mended is not.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::acceptance::scope::Scope;
use bartizan_core::asset::Asset;
use bartizan_core::finding::Subject;
use bartizan_core::id::AssetId;
use bartizan_core::posture::index::{About, Plane};
use bartizan_core::posture::{AssetNumber, SubjectNumber};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_core::vulnerability::matching;
use bartizan_store::log::Log;
use bartizan_store::vulnerability::{Filter, PAGE_LIMIT};
use bartizan_store::{Error, Store};
use roaring::RoaringBitmap;

use crate::stale::Overlay;

/// The most pairs of vulnerability and source package that a scope which names no vulnerability is held against.
const PAIRS_LIMIT: usize = 1_000_000;

/// What is wrong, on whichever asset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Rule { baseline: String, rule: String },
    Vulnerability { id: String, source: String },
}

impl Fault {
    /// The fault by its kind, subject and object, as the API names them.
    pub fn named(kind: &str, subject: &str, object: &str) -> Option<Fault> {
        if kind == "vulnerability" {
            return Some(Fault::Vulnerability { id: subject.to_owned(), source: object.to_owned() });
        }
        let (baseline, rule) = subject.split_once('/').filter(|_| kind == "deviation")?;
        Some(Fault::Rule { baseline: baseline.to_owned(), rule: rule.to_owned() })
    }

    /// Its kind, subject and object, as the API names them.
    pub fn names(&self) -> [String; 3] {
        match self {
            Fault::Rule { baseline, rule } => {
                ["deviation".to_owned(), format!("{baseline}/{rule}"), String::new()]
            }
            Fault::Vulnerability { id, source } => ["vulnerability".to_owned(), id.clone(), source.clone()],
        }
    }

    /// The finding that it is on an asset.
    pub fn on(&self, asset: AssetId) -> Subject {
        match self.clone() {
            Fault::Rule { baseline, rule } => Subject::Deviation { asset, baseline, rule },
            Fault::Vulnerability { id, source } => {
                Subject::Vulnerability { asset, id, source_package: source }
            }
        }
    }

    /// The same on no asset in particular, for what a scope says of findings alone.
    pub(crate) fn anywhere(&self) -> Subject {
        self.on(AssetId::mint(Timestamp::from_millis(0), [0; 10]))
    }
}

/// One look at the index; what it has read of assets it reads once.
#[derive(Debug)]
pub struct Look<'a> {
    store: &'a Store,
    assets: BTreeMap<AssetNumber, Asset>,
    read: bool,
}

impl<'a> Look<'a> {
    /// Nothing read yet.
    pub const fn new(store: &'a Store) -> Self {
        Self { store, assets: BTreeMap::new(), read: false }
    }

    /// The findings that a scope takes in, with the assets that have them; none without any.
    pub async fn covered(&mut self, scope: &Scope) -> Result<Vec<(Fault, RoaringBitmap)>, Error> {
        let mut covered = Vec::new();
        for (fault, assets) in self.concerned(scope).await? {
            let assets = self.within(scope, &fault, assets).await?;
            if !assets.is_empty() {
                covered.push((fault, assets));
            }
        }
        Ok(covered)
    }

    /// Of the assets that have a fault, those where the scope takes it in.
    pub async fn within(
        &mut self,
        scope: &Scope,
        fault: &Fault,
        assets: RoaringBitmap,
    ) -> Result<RoaringBitmap, Error> {
        let anywhere = fault.anywhere();
        if !scope.concerns(&anywhere) {
            return Ok(RoaringBitmap::new());
        }
        if !scope.chooses_assets(&anywhere) || assets.is_empty() {
            return Ok(assets);
        }
        self.read().await?;
        let inside = assets.into_iter().filter(|number| {
            let asset = self.assets.get(number);
            asset.is_some_and(|asset| scope.contains(&fault.on(asset.id), &asset.labels()))
        });
        Ok(inside.collect())
    }

    /// The assets that have a fault.
    pub async fn with(&self, fault: &Fault) -> Result<RoaringBitmap, Error> {
        match fault {
            Fault::Rule { baseline, rule } => {
                let numbers = self.numbers(baseline, rule).await?;
                self.plane(&numbers, Plane::NotMet).await
            }
            Fault::Vulnerability { id, source } => {
                let known = self.store.matches_of(id).await?.into_iter();
                let ours = known.filter(|known| {
                    known.found.verdict == matching::Verdict::Affected && known.found.source == *source
                });
                self.store.present(&ours.map(|known| known.tuple).collect::<Vec<_>>()).await
            }
        }
    }

    /// How a control stands on these assets together: it fails where it fails anywhere, and holds
    /// where it holds everywhere. Where an asset is absent nobody sees that it holds.
    pub async fn control(
        &self,
        baseline: &str,
        rule: &str,
        assets: &RoaringBitmap,
        overlay: &Overlay,
    ) -> Result<Verdict, Error> {
        let numbers = self.numbers(baseline, rule).await?;
        if !self.plane(&numbers, Plane::NotMet).await?.is_disjoint(assets) {
            return Ok(Verdict::NotMet);
        }
        let met = self.plane(&numbers, Plane::Met).await?;
        let Some(unseen) = (assets - &met).min() else {
            let stale = !overlay.absent().is_disjoint(assets);
            return Ok(if stale { Verdict::Unknown(Reason::Stale) } else { Verdict::Met });
        };
        let record = self.store.record(unseen).await?;
        let standing = numbers.iter().find_map(|number| record.standing(*number));
        Ok(match standing.map(|standing| standing.verdict) {
            Some(Verdict::Unknown(reason)) => Verdict::Unknown(reason),
            // The index is a moment behind the record, or nobody asks for the rule there.
            Some(Verdict::Met | Verdict::NotMet) => Verdict::Unknown(Reason::Unseen),
            None => Verdict::Unknown(Reason::Unassigned),
        })
    }

    /// One asset of each service in each environment, and how many there are of it.
    pub async fn by_service(&mut self, assets: &RoaringBitmap) -> Result<Vec<(Asset, u64)>, Error> {
        self.read().await?;
        let mut services: BTreeMap<(&str, &str), (&Asset, u64)> = BTreeMap::new();
        for asset in assets.iter().filter_map(|number| self.assets.get(&number)) {
            let service = services.entry((&asset.service, &asset.environment)).or_insert((asset, 0));
            service.1 += 1;
        }
        Ok(services.into_values().map(|(asset, count)| (asset.clone(), count)).collect())
    }

    /// The faults that a scope could take in, with the assets that have them.
    async fn concerned(&self, scope: &Scope) -> Result<Vec<(Fault, RoaringBitmap)>, Error> {
        let subjects = self.store.subjects().await?.into_values();
        let rules = subjects.map(|one| Fault::Rule { baseline: one.baseline, rule: one.rule });
        let mut faults: BTreeSet<Fault> = rules.collect();
        match scope.vulnerability() {
            Some(id) => {
                let known = self.store.matches_of(id).await?.into_iter();
                faults.extend(
                    known.map(|known| Fault::Vulnerability { id: id.to_owned(), source: known.found.source }),
                );
            }
            None => {
                let any = Filter::default();
                for place in (0..PAIRS_LIMIT).step_by(PAGE_LIMIT) {
                    let rows = self.store.vulnerabilities(&any, place, PAGE_LIMIT).await?;
                    let whole = rows.len() == PAGE_LIMIT;
                    let pairs = rows.into_iter().map(|row| row.pair);
                    faults.extend(
                        pairs
                            .map(|pair| Fault::Vulnerability { id: pair.vulnerability, source: pair.source }),
                    );
                    if !whole {
                        break;
                    }
                }
            }
        }
        faults.retain(|fault| scope.concerns(&fault.anywhere()));
        let mut concerned = Vec::with_capacity(faults.len());
        for fault in faults {
            let assets = self.with(&fault).await?;
            concerned.push((fault, assets));
        }
        Ok(concerned)
    }

    /// The numbers of a rule: one for each digest that its check had.
    async fn numbers(&self, baseline: &str, rule: &str) -> Result<Vec<SubjectNumber>, Error> {
        let subjects = self.store.subjects().await?.into_iter();
        let ours = subjects.filter(|(_, subject)| subject.baseline == baseline && subject.rule == rule);
        Ok(ours.map(|(number, _)| number).collect())
    }

    async fn plane(&self, numbers: &[SubjectNumber], plane: Plane) -> Result<RoaringBitmap, Error> {
        let mut assets = RoaringBitmap::new();
        for shard in self.store.shards(Log::Transition).await? {
            for number in numbers {
                assets |= self.store.cohorts(shard, (About::Subject(*number), plane)).await?.all();
            }
        }
        Ok(assets)
    }

    async fn read(&mut self) -> Result<(), Error> {
        let mut after = None;
        while !self.read {
            let page = self.store.assets(after, bartizan_store::asset::PAGE_LIMIT).await?;
            after = page.last().map(|asset| asset.number);
            self.read = after.is_none();
            self.assets.extend(page.into_iter().map(|asset| (asset.number, asset)));
        }
        Ok(())
    }
}
