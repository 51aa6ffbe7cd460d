//! Environments: what each asks for before a change is applied there, where somebody declared it.

use bartizan_core::configuration::change::{Gate, Ladder};
use bartizan_core::time::Timestamp;

use crate::Store;
use crate::engine::{Error, Transaction, ms};

/// The most environments that anybody declared something of.
const PAGE_LIMIT: usize = 1_000;

impl Transaction {
    /// Keeps what an environment asks for from now on.
    pub(crate) async fn declare(&self, environment: &str, gate: Gate, now: Timestamp) -> Result<(), Error> {
        self.run(
            "INSERT INTO environment (name, gate, declared_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET gate = excluded.gate, declared_at = excluded.declared_at",
            [environment.into(), gate.as_str().into(), ms(now)],
        )
        .await
        .map(|_| ())
    }
}

impl Store {
    /// The ladder of environments, with what was declared of them.
    pub async fn ladder(&self) -> Result<Ladder, Error> {
        let reading = self.reading("read the ladder of environments");
        let sql = format!("SELECT name, gate FROM environment ORDER BY name LIMIT {PAGE_LIMIT}");
        let mut ladder = Ladder::default();
        for row in reading.all(&sql, []).await? {
            let (name, gate): (String, String) = (row.get(0)?, row.get(1)?);
            let known = [Gate::Open, Gate::SelfApproved, Gate::Approved];
            let gate = known.into_iter().find(|known| known.as_str() == gate);
            let gate = gate.ok_or_else(|| Error::corrupt("an environment", "no such gate"))?;
            ladder = ladder.declared(&name, gate);
        }
        Ok(ladder)
    }
}
