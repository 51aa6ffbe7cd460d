//! Committing reports: facts, verdicts, packages and signals of an asset, in one transaction.
//!
//! A report is acknowledged when this returns, and only then: everything it told is durable,
//! and the stages will find what it changed past their cursors. A repeat writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::asset::Life;
use bartizan_core::digest::Digest;
use bartizan_core::monitoring::signal::Signal;
use bartizan_core::posture::{AssetNumber, Change, Record, shard};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_core::vulnerability::matching::Tuple;
use bartizan_ledger::entry::Body;

use crate::engine::{Error, Transaction, bytes, ms};
use crate::section::Section;
use crate::subject::Subject;
use crate::{Store, asset};

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
    pub tuples: Option<Vec<Tuple>>,
    pub signals: Vec<Signal>,
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
    /// It is durable. `wanted` names sections whose bodies nobody has sent yet.
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
    pub async fn commit_reports(&self, reports: &[Report]) -> Result<Vec<Outcome>, Error> {
        if reports.len() > BATCH_LIMIT {
            let (found, limit) = (reports.len(), BATCH_LIMIT);
            return Err(Error::Limit { what: "the reports of one batch are", found, limit });
        }
        let tx = self.begin("commit reports").await?;
        let mut outcomes = Vec::with_capacity(reports.len());
        let mut transitions: BTreeMap<u32, Vec<Transition>> = BTreeMap::new();
        let mut signals = Vec::new();
        for report in reports {
            let (outcome, transition) = tx.commit_report(report).await?;
            if let Some(transition) = transition {
                transitions.entry(shard(report.number)).or_default().push(transition);
            }
            if matches!(outcome, Outcome::Committed { .. }) {
                signals.extend(report.signals.iter().map(|signal| (report.number, signal)));
            }
            outcomes.push(outcome);
        }
        // The heads of the logs are taken last: whoever else commits waits for us from here on.
        for (shard, transitions) in transitions {
            tx.append_transitions(shard, &transitions).await?;
        }
        tx.append_signals(&signals).await?;
        tx.commit().await?;
        Ok(outcomes)
    }
}

impl Transaction {
    async fn commit_report(&self, report: &Report) -> Result<(Outcome, Option<Transition>), Error> {
        let number = i64::from(report.number);
        // The update locks the row, as retiring does: whoever comes second sees what the first committed.
        let sql = "UPDATE asset SET life = life WHERE number = $1 RETURNING life";
        let life = self.one(sql, [number.into()]).await?;
        let life: Option<String> = life.map(|row| row.get(0)).transpose()?;
        match life.as_deref() {
            Some(life) if life == Life::Retired.as_str() => return Ok((Outcome::Retired, None)),
            Some(life) if life == Life::Quarantined.as_str() => return Ok((Outcome::Quarantined, None)),
            _ => {}
        }
        // The update locks the row: the same asset's reports wait for each other.
        let row = self
            .one(
                "UPDATE asset_report SET reports = reports WHERE number = $1
                 RETURNING epoch, sequence, digest, root, observed_at, recorded_at, reports",
                [number.into()],
            )
            .await?;
        let held = row.as_ref().map(asset::standing).transpose()?;
        if let Some(held) = &held {
            let (place, last) = ((report.epoch, report.sequence), (held.epoch, held.sequence));
            if place == last {
                let same = held.digest == report.digest;
                return Ok((if same { Outcome::Repeat } else { Outcome::Clone { held: held.digest } }, None));
            }
            if place < last {
                return Ok((Outcome::Older, None));
            }
        }
        let wanted = self.commit_sections(report).await?;
        let transition = self.commit_posture(report).await?;
        self.run(
            "INSERT INTO asset_report (number, epoch, sequence, digest, root, observed_at, recorded_at, reports)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 1)
             ON CONFLICT (number) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence,
                digest = excluded.digest, root = excluded.root, observed_at = excluded.observed_at,
                recorded_at = excluded.recorded_at, reports = asset_report.reports + 1",
            [
                number.into(),
                signed(report.epoch)?.into(),
                signed(report.sequence)?.into(),
                bytes(&report.digest),
                bytes(&report.root),
                ms(report.observed_at),
                ms(report.recorded_at),
            ],
        )
        .await?;
        let changes = transition.as_ref().map_or(0, |(count, _)| *count);
        let outcome = Outcome::Committed { changes, first: held.is_none(), wanted };
        Ok((outcome, transition.map(|(_, transition)| transition)))
    }

    /// Keeps the sections; gives the names of those whose bodies are missing.
    async fn commit_sections(&self, report: &Report) -> Result<Vec<String>, Error> {
        let held = self
            .all("SELECT name, hash FROM asset_section WHERE number = $1", [i64::from(report.number).into()])
            .await?;
        let held: BTreeMap<String, Digest> =
            held.iter().map(|row| Ok((row.get(0)?, row.digest(1)?))).collect::<Result<_, Error>>()?;
        let mut wanted = Vec::new();
        for section in &report.sections {
            if held.get(&section.name) == Some(&section.hash) {
                continue;
            }
            match &section.body {
                Some(body) => self.put_section(&section.hash, body).await?,
                None if self.has_section(&section.hash).await? => {}
                None => {
                    wanted.push(section.name.clone());
                    continue;
                }
            }
            let kept = Section {
                name: section.name.clone(),
                hash: section.hash,
                observed_at: report.observed_at,
                recorded_at: report.recorded_at,
            };
            self.set_asset_section(report.number, &kept).await?;
        }
        Ok(wanted)
    }

    /// Moves the asset's record; gives how much changed and the row that tells of it.
    async fn commit_posture(&self, report: &Report) -> Result<Option<(usize, Transition)>, Error> {
        if report.verdicts.looks.is_empty() && !report.verdicts.whole && report.tuples.is_none() {
            return Ok(None);
        }
        let mut record = self.record(report.number).await?.unwrap_or_default();
        let first_verdicts = if record.verdicts().next().is_none() { FIRST_VERDICTS } else { 0 };
        let first_packages = if record.present().next().is_none() { FIRST_PACKAGES } else { 0 };
        let mut changes = Vec::new();
        let subjects: Vec<&Subject> = report.verdicts.looks.iter().map(|(subject, ..)| subject).collect();
        let numbers = self.number_subjects(&subjects).await?;
        for (subject, verdict, at) in &report.verdicts.looks {
            if let Some(number) = numbers.get(subject) {
                changes.extend(record.observe(*number, *verdict, *at));
            }
        }
        if report.verdicts.whole {
            let kept: BTreeSet<u32> = numbers.values().copied().collect();
            let gone: Vec<u32> =
                record.verdicts().map(|(number, _)| number).filter(|number| !kept.contains(number)).collect();
            changes.extend(gone.into_iter().filter_map(|number| record.withdraw(number)));
        }
        if let Some(tuples) = &report.tuples {
            let numbers = self.number_tuples(tuples).await?;
            changes.extend(record.install(&numbers, report.recorded_at));
        }
        if changes.is_empty() {
            return Ok(None);
        }
        self.put_record(report.number, &record).await?;
        let transition = Transition {
            number: report.number,
            at: report.recorded_at,
            first_sight: first_verdicts | first_packages,
            changes: Change::encode(&changes),
        };
        Ok(Some((changes.len(), transition)))
    }

    pub(crate) async fn record(&self, number: AssetNumber) -> Result<Option<Record>, Error> {
        let row =
            self.one("SELECT record FROM asset_state WHERE number = $1", [i64::from(number).into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let bytes: Vec<u8> = row.get(0)?;
        Record::decode(&bytes).map(Some).map_err(|error| Error::corrupt("a posture record", error))
    }

    async fn put_record(&self, number: AssetNumber, record: &Record) -> Result<(), Error> {
        self.run(
            "INSERT INTO asset_state (number, record) VALUES ($1, $2)
             ON CONFLICT (number) DO UPDATE SET record = excluded.record",
            [i64::from(number).into(), record.encode().into()],
        )
        .await
        .map(drop)
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
        for (place, transition) in transitions.iter().enumerate() {
            self.run(
                "INSERT INTO transition (shard, seq, number, at, first_sight, changes)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                [
                    i64::from(shard).into(),
                    (first + place as i64).into(),
                    i64::from(transition.number).into(),
                    ms(transition.at),
                    transition.first_sight.into(),
                    transition.changes.clone().into(),
                ],
            )
            .await?;
        }
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
        self.put_record(number, &record).await?;
        let changes = Change::encode(&changes);
        self.append_transitions(shard(number), &[Transition { number, at: now, first_sight: 0, changes }])
            .await
    }
}

pub(crate) fn signed(count: u64) -> Result<i64, Error> {
    i64::try_from(count).map_err(|_| Error::corrupt("a count", count))
}
