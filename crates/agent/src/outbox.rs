//! The outbox: what is composed goes to disk before it goes anywhere, and leaves it when the
//! server has it. What is lost on the way is told until the server knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bartizan_core::time::Timestamp;
use bartizan_wire::report::{BATCH_LIMIT, Batch, Outcome, Receipt, Report};

use crate::report::{Composed, Composer};
use crate::spool::{self, Counts, Limits, Place, Spool};

/// How many packed bytes go in one batch. Text of facts packs some fifteenfold, so that this stays
/// below what a server unpacks of one message; a single report may have more.
const BATCH_BYTES_LIMIT: usize = 1 << 20;

/// The source under which reports that the server refused are counted.
const REFUSED: &str = "refused";

/// Why the outbox can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Spool(#[from] spool::Error),
    #[error("can't pack a report: {0}")]
    Pack(#[from] bartizan_wire::Error),
}

/// What waits for the server, and what is still to be composed.
#[derive(Debug)]
pub struct Outbox {
    pub composer: Composer,
    spool: Spool,
    /// The losses that each waiting report tells of.
    told: BTreeMap<Place, Counts>,
    /// Waiting reports of this start that make good for any dropped before them.
    complete: BTreeSet<Place>,
    epoch: u64,
}

/// Reports on their way.
#[derive(Debug)]
pub struct Parcel {
    pub places: Vec<Place>,
    /// Which of them carry all verdicts.
    whole: Vec<bool>,
    /// The packed batch.
    pub packed: Vec<u8>,
}

/// What the server made of a parcel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub acknowledged: Option<Place>,
    /// Why reports were refused; they are dropped and counted.
    pub refused: Vec<String>,
    /// Another machine reports as this asset.
    pub clone: bool,
}

impl Outbox {
    /// Opens the folder of what waits.
    pub fn open(folder: impl Into<PathBuf>, limits: Limits, epoch: u64) -> Result<Outbox, Error> {
        let spool = Spool::open(folder, limits)?;
        let mut told = BTreeMap::new();
        for place in spool.places() {
            let payload = spool.payload(place).unwrap_or_default();
            if let Ok(report) = bartizan_wire::unpack::<Report>(&payload) {
                told.insert(place, losses(&report));
            }
        }
        Ok(Outbox { composer: Composer::new(epoch), spool, told, complete: BTreeSet::new(), epoch })
    }

    /// How many reports wait.
    pub fn waiting(&self) -> usize {
        self.spool.len()
    }

    /// What was lost and is not acknowledged as lost yet, by source.
    pub fn lost(&self) -> &Counts {
        self.spool.lost()
    }

    /// Counts what a source dropped.
    pub fn dropped(&mut self, counts: &Counts) -> Result<(), Error> {
        if !counts.is_empty() {
            self.spool.count_lost(counts)?;
        }
        Ok(())
    }

    /// Composes a report where there is something to tell, and puts it on disk.
    pub fn compose(&mut self, now: Timestamp) -> Result<bool, Error> {
        let untold = self.untold();
        let Some(Composed { report, carries, told, complete }) = self.composer.compose(now, untold) else {
            return Ok(false);
        };
        let place = Place { epoch: self.epoch, sequence: report.sequence };
        let packed = bartizan_wire::pack(&report)?;
        let waited = self.spool.len();
        if let Err(error) = self.spool.push(place, &packed, carries.clone()) {
            // It was taken out of the composer and reached no disk: it is lost, and known to be.
            self.composer.resync();
            let _ = self.spool.count_lost(&carries);
            return Err(error.into());
        }
        self.told.insert(place, told);
        if complete {
            self.complete.insert(place);
        }
        if self.spool.len() <= waited {
            // Older ones went for it: what they told has to be told anew, once.
            self.told.retain(|place, _| self.spool.holds(*place));
            self.complete.retain(|place| self.spool.holds(*place));
            if self.complete.is_empty() {
                self.composer.resync();
            }
        }
        Ok(true)
    }

    /// The oldest reports as one message; none where none waits.
    pub fn parcel(&mut self) -> Result<Option<Parcel>, Error> {
        let mut reports = Vec::new();
        let mut places = Vec::new();
        for (place, payload) in self.spool.first(BATCH_LIMIT, BATCH_BYTES_LIMIT)? {
            match bartizan_wire::unpack_versioned::<Report>(&payload) {
                Ok(report) => {
                    places.push(place);
                    reports.push(report);
                }
                // An older program wrote it, too old for the server too.
                Err(_) => self.drop_report(place)?,
            }
        }
        if reports.is_empty() {
            return Ok(None);
        }
        let whole = reports.iter().map(|report| report.whole).collect();
        let packed = bartizan_wire::pack(&Batch { wire: bartizan_wire::VERSION, reports })?;
        Ok(Some(Parcel { places, whole, packed }))
    }

    /// The server has answered to a parcel.
    pub fn settle(&mut self, parcel: &Parcel, receipt: Receipt) -> Result<Settled, Error> {
        let mut settled = Settled::default();
        let whole = parcel.whole.iter().copied();
        for ((place, whole), outcome) in parcel.places.iter().zip(whole).zip(receipt.outcomes) {
            match outcome {
                Outcome::Committed { wanted } => {
                    self.acknowledge(*place)?;
                    settled.acknowledged = Some(*place);
                    if !wanted.is_empty() {
                        self.composer.want(&wanted);
                    }
                }
                Outcome::Known => {
                    self.acknowledge(*place)?;
                    settled.acknowledged = Some(*place);
                }
                Outcome::Clone => {
                    settled.clone = true;
                    break;
                }
                Outcome::Refused { problem } => {
                    self.drop_report(*place)?;
                    settled.refused.push(problem);
                    // Where all of it was refused once, telling all of it again brings nothing.
                    if !whole {
                        self.composer.resync();
                    }
                }
            }
        }
        Ok(settled)
    }

    /// The server will not take this parcel however often it is sent.
    pub fn refuse(&mut self, parcel: &Parcel) -> Result<(), Error> {
        parcel.places.iter().try_for_each(|place| self.drop_report(*place))?;
        if !parcel.whole.contains(&true) {
            self.composer.resync();
        }
        Ok(())
    }

    fn acknowledge(&mut self, place: Place) -> Result<(), Error> {
        // The report goes first: after a crash between the two its losses are told once more, and never fewer.
        self.spool.remove(place)?;
        self.complete.remove(&place);
        match self.told.remove(&place) {
            Some(told) if !told.is_empty() => Ok(self.spool.acknowledge_lost(&told)?),
            _ => Ok(()),
        }
    }

    fn drop_report(&mut self, place: Place) -> Result<(), Error> {
        let mut counts = self.spool.carried(place);
        *counts.entry(REFUSED.to_owned()).or_default() += 1;
        self.spool.count_lost(&counts)?;
        self.told.remove(&place);
        self.complete.remove(&place);
        Ok(self.spool.remove(place)?)
    }

    /// Losses that no waiting report tells of.
    fn untold(&self) -> Counts {
        let mut untold = self.spool.lost().clone();
        for told in self.told.values() {
            for (source, count) in told {
                if let Some(left) = untold.get_mut(source) {
                    *left = left.saturating_sub(*count);
                }
            }
        }
        untold.retain(|_, count| *count > 0);
        untold
    }
}

fn losses(report: &Report) -> Counts {
    let dropped = report.loss.iter().map(|(source, loss)| (source.clone(), loss.dropped));
    dropped.filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests;
