//! Trends: the fleet's figures by minute, hour and day, and the backlog of now.

use bartizan_core::time::Timestamp;
use bartizan_core::trend::{Backlog, Figures, Sample, Step};

use crate::Store;
use crate::engine::{Error, json, ms};

/// The most samples of one step that are read: more than any is kept for.
const SAMPLES_LIMIT: usize = 1_000;

impl Store {
    /// The backlog as it is now: figures that the posture stage keeps.
    pub async fn backlog(&self) -> Result<Backlog, Error> {
        let reading = self.reading("count the backlog");
        let sql = "SELECT CAST(COALESCE((SELECT SUM(backlog) FROM subject_count), 0) AS BIGINT),
                          CAST(COALESCE((SELECT SUM(backlog) FROM vulnerability_summary), 0) AS BIGINT)";
        let mut backlog = Backlog::default();
        if let Some(row) = reading.one(sql, []).await? {
            backlog.open = row.number::<u64>(0)? + row.number::<u64>(1)?;
        }
        if let Some(row) = reading.one("SELECT ended, first_at, last_at FROM backlog", []).await? {
            backlog.ended = row.number(0)?;
            let at = |at: Option<i64>| at.map(Timestamp::from_millis);
            (backlog.first, backlog.last) = (at(row.get(1)?), at(row.get(2)?));
        }
        Ok(backlog)
    }

    /// Writes down how the fleet stands: each step that `at` lies in ends with these figures, so far.
    /// What is older than its step is kept goes, but for the last that holds on.
    pub async fn put_trend(&self, at: Timestamp, figures: &Figures) -> Result<(), Error> {
        let tx = self.begin("keep the fleet's figures").await?;
        let body = json(figures, "figures")?;
        for step in Step::ALL {
            let sql = "INSERT INTO trend (step, start, at, body) VALUES ($1, $2, $3, $4)
                       ON CONFLICT (step, start) DO UPDATE SET at = excluded.at, body = excluded.body
                       WHERE trend.at <= excluded.at";
            tx.run(sql, [step.as_str().into(), ms(step.start(at)), ms(at), body.clone()]).await?;
            let sql = "DELETE FROM trend WHERE step = $1 AND start <
                           (SELECT MAX(start) FROM trend WHERE step = $1 AND start <= $2)";
            tx.run(sql, [step.as_str().into(), ms(at.minus(step.kept()))]).await?;
        }
        tx.commit().await
    }

    /// The samples of a step from a time on, and the one before that holds until then, in their order.
    pub async fn trend(&self, step: Step, from: Timestamp) -> Result<Vec<Sample>, Error> {
        let reading = self.reading("read the fleet's figures over time");
        let sql = "SELECT start, body FROM trend WHERE step = $1 AND start >=
                       COALESCE((SELECT MAX(start) FROM trend WHERE step = $1 AND start <= $2), $2)
                   ORDER BY start LIMIT $3";
        let values = [step.as_str().into(), ms(step.start(from)), (SAMPLES_LIMIT as i64).into()];
        let rows = reading.all(sql, values).await?;
        let sample =
            |row: &crate::engine::Row| Ok(Sample { start: row.time(0)?, figures: row.json(1, "figures")? });
        rows.iter().map(sample).collect()
    }

    /// When the first and the last figures were written down; none before the first.
    pub async fn trend_span(&self) -> Result<Option<(Timestamp, Timestamp)>, Error> {
        let reading = self.reading("read since when there are figures");
        let Some(row) = reading.one("SELECT MIN(at), MAX(at) FROM trend", []).await? else { return Ok(None) };
        let (first, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        Ok(first.zip(last).map(|(first, last)| (Timestamp::from_millis(first), Timestamp::from_millis(last))))
    }
}
