//! What is there of the assets that a batch of reports tells of: read once, moved in memory, written once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bartizan_core::asset::Life;
use bartizan_core::digest::Digest;
use bartizan_core::posture::{AssetNumber, Change, Record, SubjectNumber, TupleNumber};
use bartizan_core::vulnerability::matching::Tuple;

use super::{FIRST_PACKAGES, FIRST_VERDICTS, Outcome, Report, Transition, signed};
use crate::asset::Standing;
use crate::engine::{Error, Transaction, bytes, ms, places};
use crate::numbers::{Known, Numbered};
use crate::section::{Packed, Section};
use crate::subject::Subject;
use crate::{asset, tuple};

/// The assets of one batch.
#[derive(Debug, Default)]
pub(super) struct Held<'a> {
    assets: BTreeMap<AssetNumber, Asset>,
    /// Bodies that came along, by their hash.
    bodies: BTreeMap<Digest, &'a [u8]>,
}

/// One asset as the batch has it so far.
#[derive(Debug, Default)]
struct Asset {
    life: Option<Life>,
    standing: Option<Standing>,
    sections: BTreeMap<String, Digest>,
    /// Those of its sections that the batch changed.
    moved: BTreeMap<String, Section>,
    record: Record,
    /// Whether the batch changed the record.
    is_moved: bool,
}

/// The numbers of all subjects and tuples that a batch tells of.
pub(super) struct Numbers<'a> {
    pub(super) subjects: &'a HashMap<Subject, SubjectNumber>,
    pub(super) tuples: &'a HashMap<Digest, TupleNumber>,
    /// What assets had whose reports are partial.
    pub(super) unseen: &'a BTreeMap<TupleNumber, Tuple>,
}

impl Numbers<'_> {
    /// Those of an asset's packages that a partial report says nothing of: neither the same build nor another of
    /// that package.
    fn unseen<'b>(
        &'b self,
        record: &'b Record,
        builds: &[tuple::Build],
    ) -> impl Iterator<Item = TupleNumber> + 'b {
        let told: BTreeSet<(String, String)> = builds
            .iter()
            .map(|build| (build.tuple.package.clone(), build.tuple.architecture.clone()))
            .collect();
        record.present().map(|(number, _)| number).filter(move |number| {
            self.unseen
                .get(number)
                .is_some_and(|tuple| !told.contains(&(tuple.package.clone(), tuple.architecture.clone())))
        })
    }
}

impl<'a> Held<'a> {
    /// Whether a report is to be committed, and is its asset's first; else what becomes of it.
    pub(super) fn admit(&mut self, report: &Report) -> Result<bool, Outcome> {
        let held = self.assets.entry(report.number).or_default();
        match held.life {
            Some(Life::Retired) => return Err(Outcome::Retired),
            Some(Life::Quarantined) => return Err(Outcome::Quarantined),
            Some(Life::Enrolled | Life::Declared) | None => {}
        }
        let first = held.standing.is_none();
        if let Some(standing) = &held.standing {
            let (place, last) = ((report.epoch, report.sequence), (standing.epoch, standing.sequence));
            if place == last && standing.digest == report.digest {
                return Err(Outcome::Repeat);
            }
            if place == last {
                return Err(Outcome::Clone { held: standing.digest });
            }
            if place < last {
                return Err(Outcome::Older);
            }
        }
        held.standing = Some(Standing {
            epoch: report.epoch,
            sequence: report.sequence,
            digest: report.digest,
            root: report.root,
            observed_at: report.observed_at,
            recorded_at: report.recorded_at,
            reports: held.standing.as_ref().map_or(0, |standing| standing.reports) + 1,
        });
        Ok(first)
    }

    /// Takes a report's sections; gives the names of those whose bodies are missing. A hash alone is
    /// good where this asset has that body already: another's would be had by guessing what it holds.
    pub(super) fn take_sections(&mut self, report: &'a Report) -> Vec<String> {
        let Some(held) = self.assets.get_mut(&report.number) else { return Vec::new() };
        let mut known: BTreeSet<Digest> = held.sections.values().copied().collect();
        for section in &report.sections {
            if let Some(body) = &section.body {
                self.bodies.insert(section.hash, body);
                known.insert(section.hash);
            }
        }
        let mut wanted = Vec::new();
        for section in &report.sections {
            if held.sections.get(&section.name) == Some(&section.hash) {
                continue;
            }
            if !known.contains(&section.hash) {
                wanted.push(section.name.clone());
                continue;
            }
            let moved = Section {
                name: section.name.clone(),
                hash: section.hash,
                observed_at: report.observed_at,
                recorded_at: report.recorded_at,
            };
            held.sections.insert(section.name.clone(), section.hash);
            held.moved.insert(section.name.clone(), moved);
        }
        wanted
    }

    /// Moves the asset's record; gives how much changed and the row that tells of it.
    pub(super) fn take_posture(
        &mut self,
        report: &Report,
        numbers: &Numbers<'_>,
    ) -> Result<(usize, Option<Transition>), Error> {
        let Some(held) = self.assets.get_mut(&report.number) else { return Ok((0, None)) };
        let record = &mut held.record;
        let first_verdicts = if record.verdicts().next().is_none() { FIRST_VERDICTS } else { 0 };
        let first_packages = if record.present().next().is_none() { FIRST_PACKAGES } else { 0 };
        let unnumbered = |what| Error::corrupt(what, "it has no number");
        let mut changes = Vec::new();
        let mut kept = BTreeSet::new();
        for (subject, verdict, at) in &report.verdicts.looks {
            let number = numbers.subjects.get(subject).ok_or_else(|| unnumbered("a subject"))?;
            kept.insert(*number);
            changes.extend(record.observe(*number, *verdict, *at));
        }
        if report.verdicts.whole {
            let gone: Vec<u32> =
                record.verdicts().map(|(number, _)| number).filter(|number| !kept.contains(number)).collect();
            changes.extend(gone.into_iter().filter_map(|number| record.withdraw(number)));
        }
        if let Some(builds) = &report.tuples {
            let number = |build: &tuple::Build| {
                numbers.tuples.get(&build.digest).copied().ok_or_else(|| unnumbered("a tuple"))
            };
            let mut present = builds.iter().map(number).collect::<Result<Vec<_>, _>>()?;
            if report.partial {
                present.extend(numbers.unseen(record, builds));
            }
            changes.extend(record.install(&present, report.recorded_at));
        }
        if changes.is_empty() {
            return Ok((0, None));
        }
        held.is_moved = true;
        let transition = Transition {
            number: report.number,
            at: report.recorded_at,
            first_sight: first_verdicts | first_packages,
            changes: Change::encode(&changes),
        };
        Ok((changes.len(), Some(transition)))
    }
}

fn values(numbers: &[AssetNumber]) -> impl Iterator<Item = sea_orm::Value> {
    numbers.iter().map(|number| i64::from(*number).into())
}

impl Transaction {
    /// Reads what is there of the assets that reports are of, but for their records.
    pub(super) async fn hold<'a>(&self, reports: &'a [Report]) -> Result<Held<'a>, Error> {
        let numbers: BTreeSet<AssetNumber> = reports.iter().map(|report| report.number).collect();
        let numbers: Vec<AssetNumber> = numbers.into_iter().collect();
        let mut held = Held::default();
        if numbers.is_empty() {
            return Ok(held);
        }
        let among = places(1, numbers.len());
        // The rows are locked, in their order, as retiring does: whoever comes second sees what the first committed.
        let sql = format!(
            "SELECT number, life FROM asset WHERE number IN {among} ORDER BY number{}",
            self.for_update()
        );
        for row in self.all(&sql, values(&numbers)).await? {
            let life = row.parse(1, "an asset's life")?;
            held.assets.entry(row.number(0)?).or_default().life = Some(life);
        }
        let sql = format!(
            "SELECT epoch, sequence, digest, root, observed_at, recorded_at, reports, number
             FROM asset_report WHERE number IN {among}"
        );
        for row in self.all(&sql, values(&numbers)).await? {
            held.assets.entry(row.number(7)?).or_default().standing = Some(asset::standing(&row)?);
        }
        let sql = format!("SELECT number, name, hash FROM asset_section WHERE number IN {among}");
        for row in self.all(&sql, values(&numbers)).await? {
            let asset = held.assets.entry(row.number(0)?).or_default();
            asset.sections.insert(row.get(1)?, row.digest(2)?);
        }
        Ok(held)
    }

    /// Reads the records of the assets whose posture the reports may move.
    pub(super) async fn read_records(&self, reports: &[&Report], held: &mut Held<'_>) -> Result<(), Error> {
        let moves = |report: &&&Report| {
            !report.verdicts.looks.is_empty() || report.verdicts.whole || report.tuples.is_some()
        };
        let numbers: BTreeSet<AssetNumber> =
            reports.iter().filter(moves).map(|report| report.number).collect();
        let numbers: Vec<AssetNumber> = numbers.into_iter().collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let sql =
            format!("SELECT number, record FROM asset_state WHERE number IN {}", places(1, numbers.len()));
        for row in self.all(&sql, values(&numbers)).await? {
            let packed: Vec<u8> = row.get(1)?;
            let record =
                Record::decode(&packed).map_err(|error| Error::corrupt("a posture record", error))?;
            held.assets.entry(row.number(0)?).or_default().record = record;
        }
        Ok(())
    }

    /// The numbers of what the reports tell of; what is new is numbered.
    pub(super) async fn number(
        &self,
        known: &Known,
        reports: &[&Report],
    ) -> Result<(Numbered<Subject>, Numbered<Digest>), Error> {
        let (mut subjects, mut builds) = (Vec::new(), Vec::new());
        for report in reports {
            subjects.extend(report.verdicts.looks.iter().map(|(subject, ..)| subject));
            builds.extend(report.tuples.iter().flatten());
        }
        let subjects = self.number_subjects(&known.subjects, &subjects).await?;
        let tuples = self.number_tuples(&known.tuples, &builds).await?;
        Ok((subjects, tuples))
    }

    /// The packages that the assets of partial reports had before.
    pub(super) async fn unseen(
        &self,
        reports: &[&Report],
        held: &Held<'_>,
    ) -> Result<BTreeMap<TupleNumber, Tuple>, Error> {
        let partial = reports.iter().filter(|report| report.partial && report.tuples.is_some());
        let had = partial.filter_map(|report| held.assets.get(&report.number));
        let had: BTreeSet<TupleNumber> =
            had.flat_map(|asset| asset.record.present().map(|(number, _)| number)).collect();
        tuple::by_number(self.reading(), &had.into_iter().collect::<Vec<_>>()).await
    }

    /// Writes what the batch moved.
    pub(super) async fn put_held(
        &self,
        held: &Held<'_>,
        accepted: &[&Report],
        packed: &Packed,
    ) -> Result<(), Error> {
        self.put_bodies(&held.bodies, packed).await?;
        let told: BTreeSet<AssetNumber> = accepted.iter().map(|report| report.number).collect();
        let (mut sections, mut records, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for number in told {
            let Some(asset) = held.assets.get(&number) else { continue };
            sections.extend(asset.moved.values().map(|moved| (number, moved)));
            if asset.is_moved {
                records.push((number, &asset.record));
            }
            let Some(standing) = &asset.standing else { continue };
            rows.push(vec![
                i64::from(number).into(),
                signed(standing.epoch)?.into(),
                signed(standing.sequence)?.into(),
                bytes(&standing.digest),
                bytes(&standing.root),
                ms(standing.observed_at),
                ms(standing.recorded_at),
                signed(standing.reports)?.into(),
            ]);
        }
        self.put_asset_sections(&sections).await?;
        self.put_records(&records).await?;
        self.insert(
            "asset_report (number, epoch, sequence, digest, root, observed_at, recorded_at, reports)",
            &rows,
            "ON CONFLICT (number) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence,
                digest = excluded.digest, root = excluded.root, observed_at = excluded.observed_at,
                recorded_at = excluded.recorded_at, reports = excluded.reports",
        )
        .await
        .map(drop)
    }

    pub(super) async fn put_records(&self, records: &[(AssetNumber, &Record)]) -> Result<(), Error> {
        let row = |(number, record): &(AssetNumber, &Record)| {
            vec![i64::from(*number).into(), record.encode().into()]
        };
        let rows: Vec<_> = records.iter().map(row).collect();
        let tail = "ON CONFLICT (number) DO UPDATE SET record = excluded.record";
        self.insert("asset_state (number, record)", &rows, tail).await.map(drop)
    }
}
