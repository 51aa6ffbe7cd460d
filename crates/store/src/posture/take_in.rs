//! Taking in: a shard's bitmaps and figures follow the logs of transitions and of matches.
//!
//! Everything is read and computed before the transaction, which only writes: on SQLite nobody
//! waits for the counting. What was read is still so at the commit, since the stage's looks take
//! turns (a counter that moves by compare-and-set), and whatever a feed changes meanwhile is in
//! the log of matches, past the cursor that is committed.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::posture::index::{About, Cohorts, Edits, First, Plane, collect};
use bartizan_core::posture::{AssetNumber, Change, SubjectNumber, TupleNumber};
use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::affected::{Build, Count, Pair, Places, Release, count};
use roaring::RoaringBitmap;

use super::{BATCH_LIMIT, Key, MATCHES, STAGE, Transition, bitmap};
use crate::Store;
use crate::engine::{Error, places};
use crate::log::Log;
use crate::matching::{CHANGES_LIMIT, Known, ranked};
use crate::tuple::BATCH;

mod write;

/// Counts the looks of all shards, so that no two compute from the same figures.
pub const TURN: &str = "posture/turn";

/// How far the logs had come when the index was last thrown away: what is taken in again up to there
/// ended its backlog before.
const REBUILT: &str = "posture/rebuilt";

/// The most changes of verdicts and packages that one look takes in: some hundred megabytes of edits. While a
/// fleet enrols each look touches nearly every build there is: few large ones cost far less than many.
const EDITS_LIMIT: usize = 2_500_000;

/// How many transitions are read at a time, on the way to that limit.
const TRANSITIONS_READ: usize = 1_000;

/// What one look took in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub transitions: usize,
    /// Builds whose matches had changed.
    pub matches: usize,
    /// Whether there may be more.
    pub more: bool,
}

/// What is to be written, in one transaction.
#[derive(Debug, Default)]
struct Movement {
    shard: u32,
    turn: i64,
    /// Stage, from, to.
    cursors: Vec<(&'static str, i64, i64)>,
    planes: Vec<(Key, Cohorts, Cohorts)>,
    subjects: BTreeMap<SubjectNumber, Figures>,
    /// Figures of this shard.
    counts: BTreeMap<Pair, Count>,
    /// Figures over the fleet; with the match that is shown, where it is another or may have changed.
    totals: BTreeMap<Pair, (Count, Option<Known>)>,
    releases: BTreeMap<Release, RoaringBitmap>,
    backlog: Ended,
}

/// What the figures themselves don't say of the backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ended {
    /// How many of its findings ended, at least: where as many came at once as went, nobody sees it.
    count: u64,
    /// The first and the last look at an asset for the first time.
    looks: Option<(Timestamp, Timestamp)>,
}

/// How many more assets stand how on a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    assigned: i64,
    met: i64,
    not_met: i64,
    unknown: i64,
    backlog: i64,
}

impl Store {
    /// Takes what was told since the last look into a shard's bitmaps and figures, and moves the stage's
    /// cursors, in one transaction. A conflict where another replica did it.
    pub async fn take_in(&self, shard: u32) -> Result<Taken, Error> {
        let turn = self.cursor(TURN, 0).await?;
        let from = self.cursor(STAGE, shard).await?;
        let matches_from = self.cursor(MATCHES, shard).await?;
        let head = self.head(Log::Match, 0).await?;
        let (transitions, more) = self.waiting(shard, from).await?;
        // A shard that has no figures yet counts by the matches as they are: their past says nothing more.
        let changed =
            if from == 0 { Vec::new() } else { self.match_changes(matches_from, CHANGES_LIMIT).await? };
        if transitions.is_empty() && changed.is_empty() {
            return Ok(Taken::default());
        }
        let matches_to = match changed.last() {
            Some(last) => last.seq + 1,
            None if from == 0 => head,
            None => matches_from,
        };
        let taken = Taken {
            transitions: transitions.len(),
            matches: changed.len(),
            more: more || changed.len() == CHANGES_LIMIT,
        };
        let to = transitions.last().map_or(from, |last| last.seq + 1);
        let mut movement = Movement {
            shard,
            turn,
            cursors: vec![(STAGE, from, to), (MATCHES, matches_from, matches_to)],
            ..Movement::default()
        };
        let mut present = self.edit(&transitions, &mut movement).await?;
        let touched: Vec<TupleNumber> = present.present.keys().copied().collect();
        let mut pairs = self.pairs_of(&touched).await?;
        let mut told = BTreeSet::new();
        for change in changed {
            for moved in change.moved {
                told.insert(Pair { vulnerability: moved.vulnerability, source: change.source.clone() });
            }
        }
        pairs.extend(told.iter().cloned());
        self.tally(&pairs, &told, &mut present, &mut movement).await?;
        self.place(&transitions, &touched, &mut movement).await?;
        let first = transitions.iter().filter(|each| each.first_verdicts || each.first_packages);
        movement.backlog.looks = first.fold(None, |looks, Transition { at, .. }| {
            let (first, last) = looks.unwrap_or((*at, *at));
            Some((first.min(*at), last.max(*at)))
        });
        if from < self.cursor(REBUILT, shard).await? {
            movement.backlog.count = 0;
        }
        self.commit_movement(&movement).await?;
        Ok(taken)
    }

    /// The transitions that a look takes in, and whether there may be more.
    async fn waiting(&self, shard: u32, from: i64) -> Result<(Vec<Transition>, bool), Error> {
        let mut waiting: Vec<Transition> = Vec::new();
        let mut edits = 0;
        loop {
            let next = waiting.last().map_or(from, |last| last.seq + 1);
            let read = self.transitions(shard, next, TRANSITIONS_READ).await?;
            let last = read.len() < TRANSITIONS_READ;
            edits += read.iter().map(|transition| transition.changes.len()).sum::<usize>();
            waiting.extend(read);
            if last || edits >= EDITS_LIMIT || waiting.len() >= BATCH_LIMIT {
                return Ok((waiting, !last));
            }
        }
    }

    /// Edits the planes that transitions touch; gives where the touched builds are then.
    async fn edit(&self, transitions: &[Transition], movement: &mut Movement) -> Result<Places, Error> {
        let mut edits = Edits::new();
        for transition in transitions {
            let first = First { verdicts: transition.first_verdicts, packages: transition.first_packages };
            collect(&mut edits, transition.number, &transition.changes, first);
        }
        let mut planes = self.planes(movement.shard, &edits).await?;
        let mut places = Places::default();
        for (key, edits) in &edits {
            let before = planes.remove(key).unwrap_or_default();
            let mut after = before.clone();
            after.edit(key.1, edits);
            match key.0 {
                About::Tuple(tuple) if key.1 == Plane::Came => {
                    places.came.insert(tuple, after.all());
                }
                About::Tuple(tuple) => {
                    places.present.insert(tuple, after.all());
                }
                About::Subject(subject) => {
                    let more = after.len().cast_signed() - before.len().cast_signed();
                    let figures = movement.subjects.entry(subject).or_default();
                    match key.1 {
                        Plane::Assigned => figures.assigned += more,
                        Plane::Met => figures.met += more,
                        Plane::NotMet => figures.not_met += more,
                        Plane::Unknown => figures.unknown += more,
                        Plane::Backlog => {
                            figures.backlog += more;
                            movement.backlog.count += more.min(0).unsigned_abs();
                        }
                        Plane::Present | Plane::Came | Plane::Is => {}
                    }
                }
            }
            movement.planes.push((*key, before, after));
        }
        for ((about, _), came) in planes {
            about.tuple().into_iter().for_each(|tuple| drop(places.came.insert(tuple, came.all())));
        }
        Ok(places)
    }

    /// The planes that edits touch, as they are; and to whom the touched builds came later.
    async fn planes(&self, shard: u32, edits: &Edits) -> Result<BTreeMap<Key, Cohorts>, Error> {
        let reading = self.reading("read the posture's index");
        let mut stored: BTreeMap<Key, Vec<(i64, RoaringBitmap)>> = BTreeMap::new();
        let subjects: BTreeSet<u32> = edits.keys().filter_map(|(about, _)| about.subject()).collect();
        let tuples: BTreeSet<u32> = edits.keys().filter_map(|(about, _)| about.tuple()).collect();
        let (subjects, tuples): (Vec<u32>, Vec<u32>) =
            (subjects.into_iter().collect(), tuples.into_iter().collect());
        for (kind, numbers) in [("subject", &subjects), ("tuple", &tuples)] {
            for batch in numbers.chunks(BATCH) {
                let sql = format!(
                    "SELECT id, plane, since_hour, bitmap FROM posture
                     WHERE about = $1 AND shard = $2 AND id IN {}",
                    places(3, batch.len())
                );
                let values = [kind.into(), i64::from(shard).into()].into_iter();
                let values = values.chain(batch.iter().map(|id| i64::from(*id).into()));
                for row in reading.all(&sql, values).await? {
                    let number = row.number(0)?;
                    let about = if kind == "tuple" { About::Tuple(number) } else { About::Subject(number) };
                    let key = (about, row.parse(1, "a plane")?);
                    if edits.contains_key(&key) || key.1 == Plane::Came {
                        let cohort = (row.get(2)?, bitmap(&row.get::<Vec<u8>>(3)?)?);
                        stored.entry(key).or_default().push(cohort);
                    }
                }
            }
        }
        Ok(stored.into_iter().map(|(key, cohorts)| (key, Cohorts::new(cohorts))).collect())
    }

    /// Counts the touched pairs anew, in this shard and over the fleet. `told` are those whose matches changed.
    async fn tally(
        &self,
        pairs: &BTreeSet<Pair>,
        told: &BTreeSet<Pair>,
        present: &mut Places,
        movement: &mut Movement,
    ) -> Result<(), Error> {
        let builds = self.builds_of(pairs).await?;
        let others: BTreeSet<TupleNumber> = builds
            .values()
            .flatten()
            .map(|build| build.tuple)
            .filter(|tuple| !present.present.contains_key(tuple))
            .collect();
        self.places_of(movement.shard, &others, present).await?;
        let held = self.counts_of(pairs).await?;
        let none: (&[Build], BTreeMap<u32, Count>) = (&[], BTreeMap::new());
        let mut shown = BTreeMap::new();
        for pair in pairs {
            let is = count(builds.get(pair).map_or(none.0, Vec::as_slice), present);
            let by_shard = held.get(pair).unwrap_or(&none.1);
            let was = by_shard.get(&movement.shard).copied().unwrap_or(Count::NONE);
            if is == was && (is.is_none() || !told.contains(pair)) {
                continue;
            }
            movement.backlog.count += was.backlog.saturating_sub(is.backlog);
            movement.counts.insert(pair.clone(), is);
            let others = by_shard.iter().filter(|(shard, _)| **shard != movement.shard);
            let others = others.fold(Count::NONE, |all, (_, count)| all.join(*count));
            let (before, after) = (others.join(was), others.join(is));
            movement.totals.insert(pair.clone(), (after, None));
            if let Some(tuple) = after.shown.filter(|_| before.shown != after.shown || told.contains(pair)) {
                shown.insert(pair.clone(), tuple);
            }
        }
        let tuples: BTreeSet<TupleNumber> = shown.values().copied().collect();
        let tuples: Vec<TupleNumber> = tuples.into_iter().collect();
        for known in self.matches(&tuples).await? {
            let (vulnerability, source) = (known.found.vulnerability.clone(), known.found.source.clone());
            let pair = Pair { vulnerability, source };
            if shown.get(&pair) == Some(&known.tuple)
                && let Some((_, words)) = movement.totals.get_mut(&pair)
            {
                *words = Some(known);
            }
        }
        Ok(())
    }

    /// Adds where builds are, and to whom of these they came later, in one shard.
    async fn places_of(
        &self,
        shard: u32,
        tuples: &BTreeSet<TupleNumber>,
        places_of: &mut Places,
    ) -> Result<(), Error> {
        let reading = self.reading("read where builds are");
        let tuples: Vec<TupleNumber> = tuples.iter().copied().collect();
        for batch in tuples.chunks(BATCH) {
            let sql = format!(
                "SELECT id, bitmap, plane FROM posture
                 WHERE about = 'tuple' AND plane IN ('present', 'came') AND shard = $1 AND id IN {}",
                places(2, batch.len())
            );
            let values = batch.iter().map(|tuple| i64::from(*tuple).into());
            for row in reading.all(&sql, [i64::from(shard).into()].into_iter().chain(values)).await? {
                let came = row.get::<String>(2)? == Plane::Came.as_str();
                let held = if came { &mut places_of.came } else { &mut places_of.present };
                *held.entry(row.number(0)?).or_default() |= bitmap(&row.get::<Vec<u8>>(1)?)?;
            }
        }
        Ok(())
    }

    /// The figures of pairs as they are, by shard.
    async fn counts_of(&self, pairs: &BTreeSet<Pair>) -> Result<BTreeMap<Pair, BTreeMap<u32, Count>>, Error> {
        let reading = self.reading("read how many are affected");
        let names: BTreeSet<&String> = pairs.iter().map(|pair| &pair.vulnerability).collect();
        let names: Vec<&String> = names.into_iter().collect();
        let mut found: BTreeMap<Pair, BTreeMap<u32, Count>> = BTreeMap::new();
        for batch in names.chunks(BATCH) {
            let sql = format!(
                "SELECT vulnerability, source, shard, affected, unknown, severity, shown, backlog
                 FROM vulnerability_count WHERE vulnerability IN {}",
                places(1, batch.len())
            );
            for row in reading.all(&sql, batch.iter().map(|name| (*name).clone().into())).await? {
                let pair = Pair { vulnerability: row.get(0)?, source: row.get(1)? };
                let shown: Option<i64> = row.get(6)?;
                let shown = shown.map(TupleNumber::try_from).transpose();
                let count = Count {
                    affected: row.number(3)?,
                    unknown: row.number(4)?,
                    backlog: row.number(7)?,
                    severity: ranked(&row, 5)?,
                    shown: shown.map_err(|error| Error::corrupt("a tuple's number", error))?,
                };
                found.entry(pair).or_default().insert(row.number(2)?, count);
            }
        }
        Ok(found)
    }

    /// Places assets by the releases that their builds are of.
    async fn place(
        &self,
        transitions: &[Transition],
        touched: &[TupleNumber],
        movement: &mut Movement,
    ) -> Result<(), Error> {
        if touched.is_empty() {
            return Ok(());
        }
        let releases = self.releases_of(touched).await?;
        let (mut came, mut left) = (BTreeMap::new(), BTreeSet::new());
        for transition in transitions {
            moved(transition, &releases, &mut came, &mut left);
        }
        let mut stays: BTreeSet<(Release, AssetNumber)> = BTreeSet::new();
        let assets: BTreeSet<AssetNumber> = left.iter().map(|(_, asset)| *asset).collect();
        // Some builds went and none came: whether any is left, the asset's own record says. It may be
        // ahead of the cursor; then a later transition tells what it is ahead by.
        for asset in assets {
            let tuples: Vec<TupleNumber> =
                self.record(asset).await?.present().map(|(tuple, _)| tuple).collect();
            stays.extend(self.releases_of(&tuples).await?.into_values().map(|release| (release, asset)));
        }
        let mut held = self.release_bitmaps(movement.shard).await?;
        let names: BTreeSet<Release> =
            came.keys().chain(left.iter().map(|(release, _)| release)).cloned().collect();
        for release in names {
            let before = held.remove(&release).unwrap_or_default();
            let mut after = &before | came.get(&release).unwrap_or(&RoaringBitmap::new());
            for key in left.iter().filter(|(of, _)| *of == release) {
                if stays.contains(key) {
                    after.insert(key.1)
                } else {
                    after.remove(key.1)
                };
            }
            if after != before {
                movement.releases.insert(release, after);
            }
        }
        Ok(())
    }

    async fn release_bitmaps(&self, shard: u32) -> Result<BTreeMap<Release, RoaringBitmap>, Error> {
        let reading = self.reading("read which releases assets run");
        let sql = "SELECT ecosystem, release, bitmap FROM release_count WHERE shard = $1";
        let rows = reading.all(sql, [i64::from(shard).into()]).await?;
        let read = |row: &crate::engine::Row| {
            let release = Release { ecosystem: row.get(0)?, release: row.get(1)? };
            Ok((release, bitmap(&row.get::<Vec<u8>>(2)?)?))
        };
        rows.iter().map(read).collect()
    }

    /// Throws the whole index and its figures away; the stage builds them anew from the first transition.
    pub async fn drop_index(&self) -> Result<(), Error> {
        let turn = self.cursor(TURN, 0).await?;
        let tx = self.begin("drop the posture's index").await?;
        // Whoever is computing from what goes away now comes too late.
        tx.move_cursor(TURN, 0, turn, turn + 1).await?;
        for table in
            ["posture", "subject_count", "vulnerability_count", "vulnerability_summary", "release_count"]
        {
            tx.run(&format!("DELETE FROM {table}"), []).await?;
        }
        let sql = "DELETE FROM stage_cursor WHERE stage IN ($1, $2, $3)";
        tx.run(sql, [STAGE.into(), MATCHES.into(), REBUILT.into()]).await?;
        let sql = "INSERT INTO stage_cursor (stage, shard, position)
                   SELECT $1, shard, next FROM log_head WHERE log = $2";
        tx.run(sql, [REBUILT.into(), Log::Transition.as_str().into()]).await?;
        tx.commit().await
    }

    async fn commit_movement(&self, movement: &Movement) -> Result<(), Error> {
        let tx = self.begin("take transitions into the posture").await?;
        tx.move_cursor(TURN, 0, movement.turn, movement.turn + 1).await?;
        for (stage, from, to) in &movement.cursors {
            tx.move_cursor(stage, movement.shard, *from, *to).await?;
        }
        tx.write(movement).await?;
        tx.commit().await
    }
}

/// Notes which releases an asset came to by one transition, and those that some of its builds left while
/// none came.
fn moved(
    transition: &Transition,
    releases: &BTreeMap<TupleNumber, Release>,
    came: &mut BTreeMap<Release, RoaringBitmap>,
    left: &mut BTreeSet<(Release, AssetNumber)>,
) {
    let (mut to, mut from) = (BTreeSet::new(), BTreeSet::new());
    for change in &transition.changes {
        if let Change::Present { tuple, to: after, .. } = change
            && let Some(release) = releases.get(tuple)
        {
            if after.is_some() {
                to.insert(release)
            } else {
                from.insert(release)
            };
        }
    }
    for release in &to {
        let key = ((*release).clone(), transition.number);
        left.remove(&key);
        came.entry(key.0).or_default().insert(transition.number);
    }
    left.extend(from.difference(&to).map(|release| ((*release).clone(), transition.number)));
}
