//! Who is absent, laid over the posture when it is read: what was met there is unknown since they
//! were last heard of. No verdict is rewritten, so that a host that is heard again stands as it
//! stood; what was not met stays so, with its age.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::posture::{AssetNumber, Standing, SubjectNumber};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_store::posture::count::Standings;
use bartizan_store::{Error, Store};
use roaring::RoaringBitmap;

/// The overlay as it is now; the absence stage alone writes it.
#[derive(Clone, Debug, Default)]
pub struct Stale(Arc<RwLock<Arc<Overlay>>>);

/// The absent assets, and what of theirs was met.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// Counts its changes.
    version: u64,
    assets: BTreeMap<AssetNumber, Absent>,
    /// On how many of them each subject was met.
    met: BTreeMap<SubjectNumber, u64>,
}

/// One absent asset.
#[derive(Clone, Debug)]
struct Absent {
    heard: Timestamp,
    met: Vec<SubjectNumber>,
}

impl Stale {
    /// The overlay, to be laid over figures and records that are read at the same time.
    pub fn read(&self) -> Arc<Overlay> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes who came to be absent, each with when it was last heard of, and who is there again. Records are
    /// read of those alone who came: nobody absent reports another verdict. Whether anything changed.
    pub(crate) async fn change(
        &self,
        store: &Store,
        came: &[(AssetNumber, Timestamp)],
        went: &[AssetNumber],
    ) -> Result<bool, Error> {
        let held = self.read();
        let mut fresh = Vec::new();
        for (number, heard) in came.iter().filter(|(number, heard)| held.since(*number) != Some(*heard)) {
            let record = store.record(*number).await?;
            let met = record.verdicts().filter(|(_, standing)| standing.verdict == Verdict::Met);
            fresh.push((*number, Absent { heard: *heard, met: met.map(|(subject, _)| subject).collect() }));
        }
        if fresh.is_empty() && went.iter().all(|number| held.since(*number).is_none()) {
            return Ok(false);
        }
        drop(held);
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever reads it meanwhile keeps it as it was.
        let overlay = Arc::make_mut(&mut held);
        overlay.version += 1;
        for number in went.iter().chain(fresh.iter().map(|(number, _)| number)) {
            overlay.remove(*number);
        }
        for (number, absent) in fresh {
            for subject in &absent.met {
                *overlay.met.entry(*subject).or_default() += 1;
            }
            overlay.assets.insert(number, absent);
        }
        Ok(true)
    }
}

impl Overlay {
    fn remove(&mut self, number: AssetNumber) {
        let Some(absent) = self.assets.remove(&number) else { return };
        for subject in absent.met {
            if let Some(count) = self.met.get_mut(&subject) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Counts its changes: whoever looks at it again knows by that whether it is another one.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Who is absent.
    pub fn absent(&self) -> RoaringBitmap {
        self.assets.keys().copied().collect()
    }

    /// Since when what an asset tells is stale; none where it is heard of.
    pub fn since(&self, number: AssetNumber) -> Option<Timestamp> {
        self.assets.get(&number).map(|absent| absent.heard)
    }

    /// How a rule stands on an asset, with the overlay over it.
    pub fn standing(&self, number: AssetNumber, standing: Standing) -> Standing {
        match (self.since(number), standing.verdict) {
            (Some(since), Verdict::Met) => Standing { verdict: Verdict::Unknown(Reason::Stale), since },
            _ => standing,
        }
    }

    /// How all subjects stand over the fleet: each counts once for each asset that has it.
    pub async fn total(&self, store: &Store) -> Result<Standings, Error> {
        let mut total = Standings::default();
        for (subject, standings) in store.standings().await? {
            let standings = self.standings(subject, standings);
            total.assigned += standings.assigned;
            total.met += standings.met;
            total.not_met += standings.not_met;
            total.unknown += standings.unknown;
        }
        Ok(total)
    }

    /// How a subject stands over the fleet, with the overlay over it.
    pub fn standings(&self, subject: SubjectNumber, standings: Standings) -> Standings {
        let stale = self.met.get(&subject).copied().unwrap_or(0).min(standings.met);
        Standings { met: standings.met - stale, unknown: standings.unknown + stale, ..standings }
    }
}
