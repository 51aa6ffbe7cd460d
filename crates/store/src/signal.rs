//! The log of signals, which the alert stage reads.

use bartizan_core::monitoring::signal::Signal;
use bartizan_core::posture::AssetNumber;

use crate::Store;
use crate::engine::{Error, Transaction, json, ms};
use crate::log::Log;

/// Stands in the log where what was noticed is on no asset: a change, a receiver.
pub const NO_ASSET: AssetNumber = AssetNumber::MAX;

impl Transaction {
    pub(crate) async fn append_signals(&self, signals: &[(AssetNumber, &Signal)]) -> Result<(), Error> {
        if signals.is_empty() {
            return Ok(());
        }
        let first = self.take_numbers(Log::Signal, 0, signals.len()).await?;
        let row = |(seq, (number, signal)): (i64, &(AssetNumber, &Signal))| {
            Ok(vec![seq.into(), i64::from(*number).into(), ms(signal.at), json(signal, "a signal")?])
        };
        let rows: Vec<_> = (first..).zip(signals).map(row).collect::<Result<_, Error>>()?;
        self.insert("signal (seq, number, at, body)", &rows, "").await.map(drop)
    }
}

impl Store {
    /// Appends signals that the server itself noticed (absence, a clock).
    pub async fn append_signals(&self, signals: &[(AssetNumber, Signal)]) -> Result<(), Error> {
        let tx = self.begin("append signals").await?;
        let signals: Vec<(AssetNumber, &Signal)> =
            signals.iter().map(|(number, signal)| (*number, signal)).collect();
        tx.append_signals(&signals).await?;
        tx.commit().await
    }

    /// Appends the signals that a stage found in a log, and moves its cursor: stage, shard, from, to.
    pub async fn commit_signals(
        &self,
        signals: &[(AssetNumber, Signal)],
        (stage, shard, from, to): (&str, u32, i64, i64),
    ) -> Result<(), Error> {
        let tx = self.begin("append signals").await?;
        tx.move_cursor(stage, shard, from, to).await?;
        let signals: Vec<(AssetNumber, &Signal)> =
            signals.iter().map(|(number, signal)| (*number, signal)).collect();
        tx.append_signals(&signals).await?;
        tx.commit().await
    }

    /// Signals from a number on, in their order.
    pub async fn signals(&self, from: i64, limit: usize) -> Result<Vec<(i64, Signal)>, Error> {
        let reading = self.reading("read signals");
        let sql = "SELECT seq, body FROM signal WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let rows = reading.all(sql, [from.into(), (limit as i64).into()]).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.json(1, "a signal")?))).collect()
    }
}
