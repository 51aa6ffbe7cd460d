//! Who is silent, laid over the posture when it is read: what was met there is unknown since they
//! were last heard of. No verdict is rewritten, so that a host that is heard again stands as it
//! stood; what was not met stays so, with its age.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bartizan_core::posture::{AssetNumber, Standing, SubjectNumber};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_store::posture::count::Standings;
use bartizan_store::{Error, Store};

/// The overlay as it is now; the silence stage alone writes it.
#[derive(Clone, Debug, Default)]
pub struct Stale(Arc<RwLock<Arc<Overlay>>>);

/// The silent assets, and what of theirs was met.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    assets: BTreeMap<AssetNumber, Silent>,
    /// On how many of them each subject was met.
    met: BTreeMap<SubjectNumber, u64>,
}

/// One silent asset.
#[derive(Clone, Debug)]
struct Silent {
    heard: Timestamp,
    met: Vec<SubjectNumber>,
}

impl Stale {
    /// The overlay, to be laid over figures and records that are read at the same time.
    pub fn read(&self) -> Arc<Overlay> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes who is silent, each with when it was last heard of. Records are read of those alone
    /// who fell silent since: nobody silent reports another verdict. Whether anything changed.
    pub(crate) async fn set(
        &self,
        store: &Store,
        silent: &BTreeMap<AssetNumber, Timestamp>,
    ) -> Result<bool, Error> {
        let held = self.read();
        let same = |(number, heard): (&AssetNumber, &Timestamp)| held.since(*number) == Some(*heard);
        if held.assets.len() == silent.len() && silent.iter().all(same) {
            return Ok(false);
        }
        let mut next = Overlay::default();
        for (number, heard) in silent {
            let known = held.assets.get(number).filter(|known| known.heard == *heard);
            let met = match known {
                Some(known) => known.met.clone(),
                None => {
                    let record = store.record(*number).await?;
                    let met = record.verdicts().filter(|(_, standing)| standing.verdict == Verdict::Met);
                    met.map(|(subject, _)| subject).collect()
                }
            };
            for subject in &met {
                *next.met.entry(*subject).or_default() += 1;
            }
            next.assets.insert(*number, Silent { heard: *heard, met });
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(true)
    }
}

impl Overlay {
    /// Since when what an asset tells is stale; none where it is heard of.
    pub fn since(&self, number: AssetNumber) -> Option<Timestamp> {
        self.assets.get(&number).map(|silent| silent.heard)
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
