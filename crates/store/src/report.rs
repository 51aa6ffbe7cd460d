//! Committing reports: facts, verdicts, packages and signals of an asset, in one transaction.
//!
//! A report is acknowledged when this returns, and only then: everything it told is durable,
//! and the stages will find what it changed past their cursors. A repeat writes nothing.

use std::collections::BTreeMap;

use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::order;
use bartizan_core::posture::{AssetNumber, Change, Record, shard};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_ledger::entry::Body;

use crate::Store;
use crate::engine::{Error, Transaction, ms};
use crate::subject::Subject;
use crate::tuple::Build;

mod held;

use held::Numbers;

/// The most reports that one transaction commits.
pub const BATCH_LIMIT: usize = 256;

/// One report, after the intake has authenticated and checked it.
#[derive(Clone, Debug)]
pub struct Report {
    pub number: AssetNumber,
    pub epoch: u64,
    pub sequence: u64,
    /// Over the report's bytes as they came: the same place with another digest is a clone.
    pub digest: Digest,
    pub root: Digest,
    pub observed_at: Timestamp,
    pub recorded_at: Timestamp,
    pub sections: Vec<SectionBody>,
    pub verdicts: Verdicts,
    /// All packages present; none where the report does not tell of them.
    pub tuples: Option<Vec<Build>>,
    /// Whether some could not be seen. What is not among the packages may then be there all the same, but for
    /// another version of one that is: missing data closes nothing.
    pub partial: bool,
    pub signals: Vec<Signal>,
    /// What became of orders.
    pub outcomes: Vec<order::Outcome>,
}

/// A section by its hash, with its body where it came along.
#[derive(Clone, Debug)]
pub struct SectionBody {
    pub name: String,
    pub hash: Digest,
    /// Canonical JSON whose digest is `hash`.
    pub body: Option<Vec<u8>>,
}

/// Verdicts of a report.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// Whether these are all that the asset has: what is not among them is withdrawn.
    pub whole: bool,
    pub looks: Vec<(Subject, Verdict, Timestamp)>,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable. `wanted` names sections whose bodies this asset has not sent.
    Committed { changes: usize, first: bool, wanted: Vec<String> },
    /// It was committed before.
    Repeat,
    /// A later one was committed before; this one adds nothing.
    Older,
    /// The place is taken by another report: two machines report as one asset.
    Clone { held: Digest },
    /// The asset was retired: nothing is known of it any more.
    Retired,
    /// The asset waits in quarantine: nothing of it is taken before a person let it in.
    Quarantined,
}

/// A report's row in the log of transitions, before it has its number.
struct Transition {
    number: AssetNumber,
    at: Timestamp,
    first_sight: i64,
    changes: Vec<u8>,
}

/// Bits of a transition's `first_sight`: which of its changes are the asset's backlog.
pub(crate) const FIRST_VERDICTS: i64 = 1;
pub(crate) const FIRST_PACKAGES: i64 = 2;

impl Store {
    /// Commits reports, all or none; gives what became of each. At most [`BATCH_LIMIT`].
    ///
    /// What is there of their assets is read once for all of them, and each table is written once.
    pub async fn commit_reports(&self, reports: &[Report]) -> Result<Vec<Outcome>, Error> {
        if reports.len() > BATCH_LIMIT {
            let (found, limit) = (reports.len(), BATCH_LIMIT);
            return Err(Error::Limit { what: "the reports of one batch are", found, limit });
        }
        // Packing is no work for a transaction: what nobody has yet is packed before.
        let packed = self.pack_bodies(reports).await?;
        let tx = self.begin("commit reports").await?;
        let mut held = tx.hold(reports).await?;
        let admitted: Vec<Result<bool, Outcome>> = reports.iter().map(|report| held.admit(report)).collect();
        let accepted: Vec<&Report> = reports
            .iter()
            .zip(&admitted)
            .filter(|(_, admitted)| admitted.is_ok())
            .map(|(report, _)| report)
            .collect();
        tx.read_records(&accepted, &mut held).await?;
        let (subjects, tuples) = tx.number(&self.numbers, &accepted).await?;
        let unseen = tx.unseen(&accepted, &held).await?;
        let numbers = Numbers { subjects: &subjects.by_key, tuples: &tuples.by_key, unseen: &unseen };
        let mut outcomes = Vec::with_capacity(reports.len());
        let mut transitions: BTreeMap<u32, Vec<Transition>> = BTreeMap::new();
        let (mut signals, mut told) = (Vec::new(), Vec::new());
        for (report, admitted) in reports.iter().zip(admitted) {
            let first = match admitted {
                Ok(first) => first,
                Err(outcome) => {
                    outcomes.push(outcome);
                    continue;
                }
            };
            let wanted = held.take_sections(report);
            let (changes, transition) = held.take_posture(report, &numbers)?;
            if let Some(transition) = transition {
                transitions.entry(shard(report.number)).or_default().push(transition);
            }
            signals.extend(report.signals.iter().map(|signal| (report.number, signal)));
            let of = report.outcomes.iter();
            told.extend(of.map(|outcome| (report.number, report.recorded_at, outcome)));
            outcomes.push(Outcome::Committed { changes, first, wanted });
        }
        tx.put_held(&held, &accepted, &packed).await?;
        // The heads of the logs are taken last: whoever else commits waits for us from here on.
        for (shard, transitions) in transitions {
            tx.append_transitions(shard, &transitions).await?;
        }
        tx.append_signals(&signals).await?;
        tx.append_outcomes(&told).await?;
        tx.commit().await?;
        self.numbers.subjects.learn(subjects.fresh);
        self.numbers.tuples.learn(tuples.fresh);
        Ok(outcomes)
    }
}

impl Transaction {
    pub(crate) async fn record(&self, number: AssetNumber) -> Result<Option<Record>, Error> {
        let row =
            self.one("SELECT record FROM asset_state WHERE number = $1", [i64::from(number).into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let bytes: Vec<u8> = row.get(0)?;
        Record::decode(&bytes).map(Some).map_err(|error| Error::corrupt("a posture record", error))
    }

    /// Numbers and keeps transitions of one shard, and stages their digest for the ledger.
    async fn append_transitions(&self, shard: u32, transitions: &[Transition]) -> Result<(), Error> {
        let mut joined = Vec::new();
        for transition in transitions {
            joined.extend_from_slice(&transition.number.to_be_bytes());
            joined.extend_from_slice(&transition.changes);
        }
        let at = transitions.iter().map(|transition| transition.at).max();
        let first = self.take_numbers(crate::log::Log::Transition, shard, transitions.len()).await?;
        let row = |(seq, transition): (i64, &Transition)| {
            vec![
                i64::from(shard).into(),
                seq.into(),
                i64::from(transition.number).into(),
                ms(transition.at),
                transition.first_sight.into(),
                transition.changes.clone().into(),
            ]
        };
        let rows: Vec<_> = (first..).zip(transitions).map(row).collect();
        self.insert("transition (shard, seq, number, at, first_sight, changes)", &rows, "").await?;
        let Some(at) = at else { return Ok(()) };
        let body = serde_json::json!({
            "shard": shard, "first": first, "count": transitions.len(), "digest": Digest::of_bytes(&joined),
        });
        self.stage("intake", "transitions", at, &Body::Open(body.to_string())).await
    }

    /// Takes away all that an asset's record says, by a transition.
    pub(crate) async fn clear_posture(&self, number: AssetNumber, now: Timestamp) -> Result<(), Error> {
        let Some(mut record) = self.record(number).await? else { return Ok(()) };
        let changes = record.clear();
        if changes.is_empty() {
            return Ok(());
        }
        self.put_records(&[(number, &record)]).await?;
        let changes = Change::encode(&changes);
        self.append_transitions(shard(number), &[Transition { number, at: now, first_sight: 0, changes }])
            .await
    }
}

pub(crate) fn signed(count: u64) -> Result<i64, Error> {
    i64::try_from(count).map_err(|_| Error::corrupt("a count", count))
}
