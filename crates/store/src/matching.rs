//! Matches: what the feeds say of each build, and the log of what changed in that.
//!
//! The matching stage writes here. Whoever derives something from matches reads the log of their
//! changes past a cursor of its own, so that a crash between two steps loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::digest::Digest;
use bartizan_core::posture::TupleNumber;
use bartizan_core::severity::{Severity, presumed};
use bartizan_core::time::Timestamp;
use bartizan_core::vulnerability::affected::{self, Build, Pair};
use bartizan_core::vulnerability::matching::{Match, Verdict};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::engine::{Error, Row, Transaction, bytes, ms, places};
use crate::log::Log;
use crate::tuple::BATCH;

/// The stage's cursor in the log of tuples: those below it were matched.
pub const TUPLES: &str = "matching/tuple";

/// The most changes that one look at the log reads.
pub const CHANGES_LIMIT: usize = 20_000;

/// A match as it is kept: since when it has been known.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub tuple: TupleNumber,
    pub known_at: Timestamp,
    pub found: Match,
    /// Whether its build was affected when it was first judged: on hosts that had it from the first it is backlog.
    pub quiet: bool,
}

/// One build as it was matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched {
    pub tuple: TupleNumber,
    /// Whether any feed speaks of its release.
    pub covered: bool,
    pub matches: Vec<Match>,
}

/// What changed in what is known of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub seq: i64,
    pub tuple: TupleNumber,
    /// The source package.
    pub source: String,
    pub at: Timestamp,
    /// Whether no feed spoke of the build before: what it brings is backlog.
    pub first: bool,
    pub moved: Vec<Moved>,
}

/// What changed about one vulnerability in one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub vulnerability: String,
    /// How it was where it affected the build; none where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<Told>,
    /// How it is where it affects the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Told>,
}

/// What people are told of a vulnerability that affects a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The level of an alert about it.
    pub severity: Severity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

/// What a commit of matches moves beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The cursor of tuples: from, to.
    Tuples(i64, i64),
    /// The last changes of newer feeds: every build below the cursor is judged by them.
    Feeds { before: Digest },
    /// More of the same feeds' changes follow.
    Part,
}

impl Told {
    /// What is told of a match; nothing where it does not affect its build.
    pub fn of(found: &Match) -> Option<Told> {
        let told = || Told { severity: presumed(affected::severity(found)), fixed: found.fixed.clone() };
        (found.verdict == Verdict::Affected).then(told)
    }
}

fn known(row: &Row) -> Result<Known, Error> {
    let quiet = row.number::<i64>(3)? != 0;
    Ok(Known { tuple: row.number(0)?, known_at: row.time(1)?, found: row.json(2, "a match")?, quiet })
}

/// The rank of what no feed rates: below every severity, so that any rating is worse.
const UNRATED: i64 = -1;

pub(crate) fn rank(severity: Option<Severity>) -> i64 {
    severity.map_or(UNRATED, |severity| severity as i64)
}

/// The severity of a rank; none where no feed rates.
pub(crate) fn ranked(row: &Row, column: usize) -> Result<Option<Severity>, Error> {
    let rank: i64 = row.get(column)?;
    if rank == UNRATED {
        return Ok(None);
    }
    let severity = usize::try_from(rank).ok().and_then(|rank| Severity::ALL.get(rank));
    severity.copied().map(Some).ok_or_else(|| Error::corrupt("a severity", rank))
}

impl Store {
    /// What is known of tuples: their matches.
    pub async fn matches(&self, numbers: &[TupleNumber]) -> Result<Vec<Known>, Error> {
        let reading = self.reading("read matches");
        let mut found = Vec::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!(
                "SELECT tuple, known_at, body, quiet FROM vulnerability_match WHERE tuple IN {}
                 ORDER BY tuple, vulnerability",
                places(1, batch.len())
            );
            let rows = reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await?;
            for row in &rows {
                found.push(known(row)?);
            }
        }
        Ok(found)
    }

    /// The matches of one vulnerability, over all tuples.
    pub async fn matches_of(&self, vulnerability: &str) -> Result<Vec<Known>, Error> {
        let reading = self.reading("read the matches of a vulnerability");
        let sql = "SELECT tuple, known_at, body, quiet FROM vulnerability_match
                   WHERE vulnerability = $1 ORDER BY tuple";
        reading.all(sql, [vulnerability.into()]).await?.iter().map(known).collect()
    }

    /// Those of these builds of which a feed speaks, and that were judged.
    pub async fn judged(&self, numbers: &[TupleNumber]) -> Result<BTreeSet<TupleNumber>, Error> {
        let reading = self.reading("read which builds were judged");
        let mut found = BTreeSet::new();
        for batch in numbers.chunks(BATCH) {
            let among = places(1, batch.len());
            let sql = format!("SELECT tuple FROM tuple_matched WHERE covered = 1 AND tuple IN {among}");
            for row in reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await? {
                found.insert(row.number(0)?);
            }
        }
        Ok(found)
    }

    /// What affects, or may affect, each of these builds: what their being somewhere counts for.
    pub(crate) async fn pairs_of(&self, numbers: &[TupleNumber]) -> Result<BTreeSet<Pair>, Error> {
        let reading = self.reading("read what affects builds");
        let mut found = BTreeSet::new();
        for batch in numbers.chunks(BATCH) {
            let sql = format!(
                "SELECT DISTINCT vulnerability, source FROM vulnerability_match
                 WHERE tuple IN {} AND verdict IN ('affected', 'unknown')",
                places(1, batch.len())
            );
            for row in reading.all(&sql, batch.iter().map(|number| i64::from(*number).into())).await? {
                found.insert(Pair { vulnerability: row.get(0)?, source: row.get(1)? });
            }
        }
        Ok(found)
    }

    /// The builds that each pair affects, or may affect.
    pub(crate) async fn builds_of(
        &self,
        pairs: &BTreeSet<Pair>,
    ) -> Result<BTreeMap<Pair, Vec<Build>>, Error> {
        let reading = self.reading("read which builds are affected");
        let names: BTreeSet<&String> = pairs.iter().map(|pair| &pair.vulnerability).collect();
        let names: Vec<&String> = names.into_iter().collect();
        let mut found: BTreeMap<Pair, Vec<Build>> = BTreeMap::new();
        for batch in names.chunks(BATCH) {
            let sql = format!(
                "SELECT vulnerability, source, tuple, verdict, severity, quiet FROM vulnerability_match
                 WHERE vulnerability IN {} AND verdict IN ('affected', 'unknown')",
                places(1, batch.len())
            );
            for row in reading.all(&sql, batch.iter().map(|name| (*name).clone().into())).await? {
                let pair = Pair { vulnerability: row.get(0)?, source: row.get(1)? };
                if pairs.contains(&pair) {
                    let verdict: String = row.get(3)?;
                    let affected = verdict == Verdict::Affected.as_str();
                    let quiet = row.number::<i64>(5)? != 0;
                    let build = Build { tuple: row.number(2)?, affected, severity: ranked(&row, 4)?, quiet };
                    found.entry(pair).or_default().push(build);
                }
            }
        }
        Ok(found)
    }

    /// Changes of matches from a number on, in their order; at most [`CHANGES_LIMIT`].
    pub async fn match_changes(&self, from: i64, limit: usize) -> Result<Vec<Change>, Error> {
        let reading = self.reading("read what changed in matches");
        let sql = "SELECT seq, tuple, source, at, first, body FROM match_change
                   WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let limit = limit.min(CHANGES_LIMIT) as i64;
        let rows = reading.all(sql, [from.into(), limit.into()]).await?;
        let change = |row: &Row| {
            Ok(Change {
                seq: row.get(0)?,
                tuple: row.number(1)?,
                source: row.get(2)?,
                at: row.time(3)?,
                first: row.number::<i64>(4)? != 0,
                moved: row.json(5, "a change of matches")?,
            })
        };
        rows.iter().map(change).collect()
    }

    /// The feeds by which the builds below the cursor were judged; none before the first.
    pub async fn matched_feeds(&self) -> Result<Option<Digest>, Error> {
        let reading = self.reading("read which feeds the builds were judged by");
        let row = reading.one("SELECT digest FROM matched_feeds", []).await?;
        row.map(|row| row.digest(0)).transpose()
    }

    /// Has every build judged anew, by these feeds: the cursor goes back to the first.
    pub async fn match_again(
        &self,
        before: Option<&Digest>,
        feeds: &Digest,
        now: Timestamp,
    ) -> Result<(), Error> {
        let from = self.cursor(TUPLES, 0).await?;
        let tx = self.begin("judge every build anew").await?;
        tx.judge_by(before, feeds, now).await?;
        tx.move_cursor(TUPLES, 0, from, 0).await?;
        tx.commit().await
    }

    /// Replaces what is known of tuples after they were matched against the feeds at this digest, logs what
    /// changed, and moves what `progress` says. A pair that was known keeps its first time, but for one that
    /// comes to be affected after it was not: its clock starts then. What is as it was is not written.
    pub async fn put_matches(
        &self,
        matched: &[Matched],
        feeds: &Digest,
        progress: Progress,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tx = self.begin("keep matches").await?;
        match progress {
            Progress::Tuples(from, to) => tx.move_cursor(TUPLES, 0, from, to).await?,
            Progress::Feeds { before } => tx.judge_by(Some(&before), feeds, now).await?,
            Progress::Part => {}
        }
        let mut changes = Vec::new();
        for batch in matched.chunks(BATCH) {
            tx.put_batch(batch, feeds, now, &mut changes).await?;
        }
        tx.append_changes(changes).await?;
        tx.commit().await
    }
}

/// A match as its row is: body, source, severity's rank.
type Held = BTreeMap<(TupleNumber, String), (String, String, i64)>;

impl Transaction {
    /// Notes the feeds by which builds are judged; a conflict where another replica was quicker.
    async fn judge_by(&self, before: Option<&Digest>, feeds: &Digest, now: Timestamp) -> Result<(), Error> {
        let changed = match before {
            None => {
                let sql = "INSERT INTO matched_feeds (one, digest, at) VALUES (1, $1, $2)
                           ON CONFLICT (one) DO NOTHING";
                self.run(sql, [bytes(feeds), ms(now)]).await?
            }
            Some(before) => {
                let sql = "UPDATE matched_feeds SET digest = $1, at = $2 WHERE digest = $3";
                self.run(sql, [bytes(feeds), ms(now), bytes(before)]).await?
            }
        };
        if changed == 1 {
            Ok(())
        } else {
            Err(Error::Conflict("another replica has taken other feeds".to_owned()))
        }
    }

    async fn put_batch(
        &self,
        batch: &[Matched],
        feeds: &Digest,
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Result<(), Error> {
        let numbers = || batch.iter().map(|matched| i64::from(matched.tuple).into());
        let covered = format!(
            "SELECT tuple FROM tuple_matched WHERE covered = 1 AND tuple IN {}",
            places(1, batch.len())
        );
        let seen = self.all(&covered, numbers()).await?;
        let seen: BTreeSet<TupleNumber> = seen.iter().map(|row| row.number(0)).collect::<Result<_, _>>()?;
        let mut held = self.held_matches(numbers(), batch.len()).await?;
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for matched in batch {
            let mut moved = Vec::new();
            let mut source = String::new();
            let first = !seen.contains(&matched.tuple);
            for found in &matched.matches {
                let body = serde_json::to_string(found).map_err(|error| Error::corrupt("a match", error))?;
                let severity = rank(affected::severity(found));
                let row = (body, found.source.clone(), severity);
                let before = held.remove(&(matched.tuple, found.vulnerability.clone()));
                if before.as_ref() == Some(&row) {
                    continue;
                }
                source.clone_from(&found.source);
                moved.push(moved_to(&found.vulnerability, before.as_ref(), Some(found))?);
                rows.push(vec![
                    i64::from(matched.tuple).into(),
                    found.vulnerability.clone().into(),
                    found.verdict.as_str().into(),
                    ms(now),
                    row.0.into(),
                    row.1.into(),
                    severity.into(),
                    i64::from(first && found.verdict == Verdict::Affected).into(),
                ]);
            }
            let left = held.range((matched.tuple, String::new())..).map(|(key, row)| (key.clone(), row));
            for ((tuple, vulnerability), row) in left.take_while(|((tuple, _), _)| *tuple == matched.tuple) {
                source.clone_from(&row.1);
                moved.push(moved_to(&vulnerability, Some(row), None)?);
                gone.push((tuple, vulnerability));
            }
            if !moved.is_empty() {
                changes.push(Change { seq: 0, tuple: matched.tuple, source, at: now, first, moved });
            }
        }
        self.insert(
            "vulnerability_match (tuple, vulnerability, verdict, known_at, body, source, severity, quiet)",
            &rows,
            "ON CONFLICT (tuple, vulnerability) DO UPDATE SET verdict = excluded.verdict,
                body = excluded.body, source = excluded.source, severity = excluded.severity,
                known_at = CASE
                    WHEN excluded.verdict = 'affected' AND vulnerability_match.verdict IN ('fixed', 'not_affected')
                    THEN excluded.known_at ELSE vulnerability_match.known_at END,
                quiet = CASE WHEN excluded.verdict IN ('affected', 'unknown')
                    THEN vulnerability_match.quiet ELSE 0 END",
        )
        .await?;
        for (tuple, vulnerability) in gone {
            let sql = "DELETE FROM vulnerability_match WHERE tuple = $1 AND vulnerability = $2";
            self.run(sql, [i64::from(tuple).into(), vulnerability.into()]).await?;
        }
        let row = |matched: &Matched| {
            vec![i64::from(matched.tuple).into(), bytes(feeds), ms(now), i64::from(matched.covered).into()]
        };
        let rows: Vec<_> = batch.iter().map(row).collect();
        let tail = "ON CONFLICT (tuple) DO UPDATE SET feeds = excluded.feeds, at = excluded.at,
                        covered = excluded.covered";
        self.insert("tuple_matched (tuple, feeds, at, covered)", &rows, tail).await.map(drop)
    }

    async fn held_matches(
        &self,
        numbers: impl Iterator<Item = sea_orm::Value>,
        count: usize,
    ) -> Result<Held, Error> {
        let sql = format!(
            "SELECT tuple, vulnerability, body, source, severity FROM vulnerability_match WHERE tuple IN {}",
            places(1, count)
        );
        let rows = self.all(&sql, numbers).await?;
        rows.iter()
            .map(|row| Ok(((row.number(0)?, row.get(1)?), (row.get(2)?, row.get(3)?, row.get(4)?))))
            .collect()
    }

    /// Numbers changes last: whoever else commits some waits for us from here on.
    async fn append_changes(&self, changes: Vec<Change>) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let first = self.take_numbers(Log::Match, 0, changes.len()).await?;
        let row = |(seq, change): (i64, &Change)| {
            let body = serde_json::to_string(&change.moved);
            Ok(vec![
                seq.into(),
                i64::from(change.tuple).into(),
                change.source.clone().into(),
                ms(change.at),
                i64::from(change.first).into(),
                body.map_err(|error| Error::corrupt("a change of matches", error))?.into(),
            ])
        };
        let rows: Vec<_> = (first..).zip(&changes).map(row).collect::<Result<_, Error>>()?;
        self.insert("match_change (seq, tuple, source, at, first, body)", &rows, "").await.map(drop)
    }
}

fn moved_to(
    vulnerability: &str,
    before: Option<&(String, String, i64)>,
    after: Option<&Match>,
) -> Result<Moved, Error> {
    let before: Option<Match> = match before {
        Some((body, ..)) => {
            Some(serde_json::from_str(body).map_err(|error| Error::corrupt("a match", error))?)
        }
        None => None,
    };
    Ok(Moved {
        vulnerability: vulnerability.to_owned(),
        was: before.as_ref().and_then(Told::of),
        is: after.and_then(Told::of),
    })
}
