//! Writing what a look moves: bitmaps and figures, many rows in one statement.

use std::collections::BTreeMap;

use bartizan_core::posture::index::Cohorts;
use bartizan_core::vulnerability::affected::{Count, Pair};
use roaring::RoaringBitmap;
use sea_orm::Value;

use super::super::{Key, about};
use super::{Ended, Figures, Movement};
use crate::engine::{Error, Transaction, ms};
use crate::matching::{Known, rank};
use crate::report::signed;
use crate::vulnerability::text;

fn serialized(bitmap: &RoaringBitmap) -> Result<Value, Error> {
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).map_err(|error| Error::corrupt("a bitmap", error))?;
    Ok(bytes.into())
}

impl Transaction {
    pub(super) async fn write(&self, movement: &Movement) -> Result<(), Error> {
        let mut rows = Vec::new();
        for (key, before, after) in &movement.planes {
            self.put_cohorts(movement.shard, *key, before, after, &mut rows).await?;
        }
        let tail = "ON CONFLICT (about, id, shard, plane, since_hour) DO UPDATE SET bitmap = excluded.bitmap";
        self.insert("posture (about, id, shard, plane, since_hour, bitmap)", &rows, tail).await?;
        self.put_figures(&movement.subjects).await?;
        self.put_counts(movement.shard, &movement.counts).await?;
        self.put_totals(&movement.totals).await?;
        self.put_backlog(&movement.backlog).await?;
        for (release, assets) in &movement.releases {
            let key = [release.ecosystem.clone(), release.release.clone()].map(Value::from);
            let mut values = key.to_vec();
            values.push(i64::from(movement.shard).into());
            let sql = if assets.is_empty() {
                "DELETE FROM release_count WHERE ecosystem = $1 AND release = $2 AND shard = $3"
            } else {
                values.extend([signed(assets.len())?.into(), serialized(assets)?]);
                "INSERT INTO release_count (ecosystem, release, shard, assets, bitmap)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (ecosystem, release, shard)
                 DO UPDATE SET assets = excluded.assets, bitmap = excluded.bitmap"
            };
            self.run(sql, values).await?;
        }
        Ok(())
    }

    /// Takes the cohorts away that are no more, and adds rows for those that are not as they were.
    async fn put_cohorts(
        &self,
        shard: u32,
        (subject, plane): Key,
        before: &Cohorts,
        after: &Cohorts,
        rows: &mut Vec<Vec<Value>>,
    ) -> Result<(), Error> {
        let (kind, id) = about(subject);
        let key = || [kind.into(), id.into(), i64::from(shard).into(), plane.as_str().into()];
        let held: BTreeMap<i64, &RoaringBitmap> = before.iter().collect();
        let kept: BTreeMap<i64, &RoaringBitmap> = after.iter().collect();
        for hour in held.keys().filter(|hour| !kept.contains_key(hour)) {
            let sql = "DELETE FROM posture
                       WHERE about = $1 AND id = $2 AND shard = $3 AND plane = $4 AND since_hour = $5";
            self.run(sql, key().into_iter().chain([(*hour).into()])).await?;
        }
        for (hour, bitmap) in kept.iter().filter(|(hour, bitmap)| held.get(hour) != Some(bitmap)) {
            rows.push(key().into_iter().chain([(*hour).into(), serialized(bitmap)?]).collect());
        }
        Ok(())
    }

    async fn put_figures(&self, subjects: &BTreeMap<u32, Figures>) -> Result<(), Error> {
        let moved = subjects.iter().filter(|(_, figures)| **figures != Figures::default());
        let row = |(subject, figures): (&u32, &Figures)| {
            let Figures { assigned, met, not_met, unknown, backlog } = *figures;
            [i64::from(*subject), assigned, met, not_met, unknown, backlog].map(Value::from).to_vec()
        };
        let rows: Vec<_> = moved.map(row).collect();
        let tail = "ON CONFLICT (subject) DO UPDATE SET assigned = subject_count.assigned + excluded.assigned,
                        met = subject_count.met + excluded.met, not_met = subject_count.not_met + excluded.not_met,
                        unknown = subject_count.unknown + excluded.unknown,
                        backlog = subject_count.backlog + excluded.backlog";
        self.insert("subject_count (subject, assigned, met, not_met, unknown, backlog)", &rows, tail).await?;
        if !rows.is_empty() {
            self.run("DELETE FROM subject_count WHERE assigned = 0", []).await?;
        }
        Ok(())
    }

    async fn put_counts(&self, shard: u32, counts: &BTreeMap<Pair, Count>) -> Result<(), Error> {
        let mut rows = Vec::new();
        for (pair, count) in counts {
            let mut row =
                vec![pair.vulnerability.clone().into(), pair.source.clone().into(), i64::from(shard).into()];
            if count.is_none() {
                let sql = "DELETE FROM vulnerability_count
                           WHERE vulnerability = $1 AND source = $2 AND shard = $3";
                self.run(sql, row).await?;
                continue;
            }
            row.extend(figures(count)?);
            row.push(count.shown.map(i64::from).into());
            rows.push(row);
        }
        let into =
            "vulnerability_count (vulnerability, source, shard, affected, unknown, severity, backlog, shown)";
        let tail = "ON CONFLICT (vulnerability, source, shard) DO UPDATE SET affected = excluded.affected,
                        unknown = excluded.unknown, severity = excluded.severity, backlog = excluded.backlog,
                        shown = excluded.shown";
        self.insert(into, &rows, tail).await.map(drop)
    }

    async fn put_totals(&self, totals: &BTreeMap<Pair, (Count, Option<Known>)>) -> Result<(), Error> {
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for (pair, (count, known)) in totals {
            let mut row: Vec<Value> = vec![pair.vulnerability.clone().into(), pair.source.clone().into()];
            if count.is_none() {
                let sql = "DELETE FROM vulnerability_summary WHERE vulnerability = $1 AND source = $2";
                self.run(sql, row).await?;
                continue;
            }
            row.extend(figures(count)?);
            let Some(Known { found, .. }) = known else {
                bare.push(row);
                continue;
            };
            row.extend([
                found.evidence.clone().into(),
                found.fixed.clone().into(),
                found.fix_state.map(|state| state.as_str().to_owned()).into(),
                text(pair, &found.evidence).into(),
            ]);
            whole.push(row);
        }
        let key = "vulnerability_summary (vulnerability, source, affected, unknown, severity, backlog";
        let tail = "ON CONFLICT (vulnerability, source) DO UPDATE SET affected = excluded.affected,
                        unknown = excluded.unknown, severity = excluded.severity, backlog = excluded.backlog";
        self.insert(&format!("{key})"), &bare, tail).await?;
        let words = ", title = excluded.title, fixed = excluded.fixed, fix_state = excluded.fix_state,
                        text = excluded.text";
        let into = format!("{key}, title, fixed, fix_state, text)");
        self.insert(&into, &whole, &format!("{tail}{words}")).await.map(drop)
    }

    async fn put_backlog(&self, backlog: &Ended) -> Result<(), Error> {
        if *backlog == Ended::default() {
            return Ok(());
        }
        let looks = backlog.looks.map_or([None, None], |(first, last)| [Some(first), Some(last)]);
        let [first, last] = looks.map(|at| at.map_or(Value::BigInt(None), ms));
        // The smaller and the larger of two, where the one that is kept may be none.
        let sql = "INSERT INTO backlog (one, ended, first_at, last_at) VALUES (1, $1, $2, $3)
                   ON CONFLICT (one) DO UPDATE SET ended = backlog.ended + excluded.ended,
                       first_at = CASE WHEN backlog.first_at <= COALESCE(excluded.first_at, backlog.first_at)
                           THEN backlog.first_at ELSE excluded.first_at END,
                       last_at = CASE WHEN backlog.last_at >= COALESCE(excluded.last_at, backlog.last_at)
                           THEN backlog.last_at ELSE excluded.last_at END";
        self.run(sql, [signed(backlog.count)?.into(), first, last]).await.map(drop)
    }
}

fn figures(count: &Count) -> Result<[Value; 4], Error> {
    let Count { affected, unknown, backlog, severity, .. } = *count;
    let numbers = [signed(affected)?, signed(unknown)?, rank(severity), signed(backlog)?];
    Ok(numbers.map(Value::from))
}
