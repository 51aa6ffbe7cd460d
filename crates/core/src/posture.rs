//! Posture: what stands how on which asset, and since when.
//!
//! The truth is one compact [`Record`] for each asset and the [`Change`]s that a report made to
//! it. The fleet's bitmaps ([`index`]) are derived from the changes and can be rebuilt from
//! them at any time. Subjects and tuples are numbered by the store, so that a record of a
//! thousand verdicts takes a few kilobytes.

use std::collections::BTreeMap;

use crate::time::Timestamp;
use crate::verdict::{Reason, Verdict};

mod codec;
pub mod fold;
pub mod index;

pub use codec::Malformed;

/// The number of a subject: a rule at one digest of its check, numbered once by the store.
pub type SubjectNumber = u32;

/// The number of a tuple: one build of one binary package, numbered once by the store.
pub type TupleNumber = u32;

/// The number of an asset, given at enrolment and never given again.
pub type AssetNumber = u32;

/// How many assets one shard holds: a shard is the upper half of the number.
pub const SHARD_BITS: u32 = 16;

/// The shard of an asset.
pub const fn shard(number: AssetNumber) -> u32 {
    number >> SHARD_BITS
}

/// One verdict and its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    pub verdict: Verdict,
    /// Since when the verdict is this one.
    pub since: Timestamp,
}

/// All that is known of one asset: its verdicts, and the packages present on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    verdicts: BTreeMap<SubjectNumber, Standing>,
    present: BTreeMap<TupleNumber, Timestamp>,
}

/// What one observation changed in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A verdict came, changed or went with its obligation.
    Verdict { subject: SubjectNumber, from: Option<Standing>, to: Option<Standing> },
    /// A package came (`to`) or went.
    Present { tuple: TupleNumber, from: Option<Timestamp>, to: Option<Timestamp> },
}

impl Record {
    /// Takes in what is known of one subject at a time; nothing where it stood so already.
    ///
    /// Looks come in the order in which they were taken. One with an earlier stamp than the last is from a clock
    /// that was set back: it counts, and the verdict is no older than the one it follows.
    pub fn observe(&mut self, subject: SubjectNumber, verdict: Verdict, at: Timestamp) -> Option<Change> {
        let from = self.verdicts.get(&subject).copied();
        if from.is_some_and(|from| from.verdict == verdict) {
            return None;
        }
        let to = Standing { verdict, since: from.map_or(at, |from| at.max(from.since)) };
        self.verdicts.insert(subject, to);
        Some(Change::Verdict { subject, from, to: Some(to) })
    }

    /// Takes an obligation away: the rule was withdrawn, or applies no more.
    pub fn withdraw(&mut self, subject: SubjectNumber) -> Option<Change> {
        let from = self.verdicts.remove(&subject)?;
        Some(Change::Verdict { subject, from: Some(from), to: None })
    }

    /// Takes in the whole set of packages present; `tuples` need not be sorted.
    pub fn install(&mut self, tuples: &[TupleNumber], at: Timestamp) -> Vec<Change> {
        let now: std::collections::BTreeSet<TupleNumber> = tuples.iter().copied().collect();
        let gone: Vec<TupleNumber> =
            self.present.keys().copied().filter(|tuple| !now.contains(tuple)).collect();
        let mut changes = Vec::new();
        for tuple in gone {
            let from = self.present.remove(&tuple);
            changes.push(Change::Present { tuple, from, to: None });
        }
        for tuple in now {
            if let std::collections::btree_map::Entry::Vacant(place) = self.present.entry(tuple) {
                place.insert(at);
                changes.push(Change::Present { tuple, from: None, to: Some(at) });
            }
        }
        changes
    }

    /// Takes everything away: the asset was retired.
    pub fn clear(&mut self) -> Vec<Change> {
        let verdicts = std::mem::take(&mut self.verdicts).into_iter();
        let present = std::mem::take(&mut self.present).into_iter();
        let verdicts =
            verdicts.map(|(subject, from)| Change::Verdict { subject, from: Some(from), to: None });
        let present = present.map(|(tuple, from)| Change::Present { tuple, from: Some(from), to: None });
        verdicts.chain(present).collect()
    }

    /// Applies changes that were made elsewhere, in their order.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Verdict { subject, to: Some(to), .. } => {
                    self.verdicts.insert(subject, to);
                }
                Change::Verdict { subject, to: None, .. } => {
                    self.verdicts.remove(&subject);
                }
                Change::Present { tuple, to: Some(to), .. } => {
                    self.present.insert(tuple, to);
                }
                Change::Present { tuple, to: None, .. } => {
                    self.present.remove(&tuple);
                }
            }
        }
    }

    /// Every verdict, by its subject's number.
    pub fn verdicts(&self) -> impl Iterator<Item = (SubjectNumber, Standing)> {
        self.verdicts.iter().map(|(subject, standing)| (*subject, *standing))
    }

    /// How one subject stands.
    pub fn standing(&self, subject: SubjectNumber) -> Option<Standing> {
        self.verdicts.get(&subject).copied()
    }

    /// Every package present, and since when.
    pub fn present(&self) -> impl Iterator<Item = (TupleNumber, Timestamp)> {
        self.present.iter().map(|(tuple, since)| (*tuple, *since))
    }

    /// The record as bytes, for the store.
    pub fn encode(&self) -> Vec<u8> {
        codec::record(self)
    }

    /// Reads a record back from its bytes.
    pub fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        codec::read_record(bytes)
    }
}

impl Change {
    /// Changes as bytes, for the transition log.
    pub fn encode(changes: &[Change]) -> Vec<u8> {
        codec::changes(changes)
    }

    /// Reads changes back from their bytes.
    pub fn decode(bytes: &[u8]) -> Result<Vec<Change>, Malformed> {
        codec::read_changes(bytes)
    }
}

/// A verdict in one small number, for the codec: 0 met, 1 not met, 2 and up unknown by reason.
const fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Met => 0,
        Verdict::NotMet => 1,
        Verdict::Unknown(reason) => 2 + reason as u8,
    }
}

/// The verdict of a small number.
fn verdict(code: u8) -> Option<Verdict> {
    match code {
        0 => Some(Verdict::Met),
        1 => Some(Verdict::NotMet),
        code => Reason::ALL.get(usize::from(code) - 2).copied().map(Verdict::Unknown),
    }
}

#[cfg(test)]
mod tests;
