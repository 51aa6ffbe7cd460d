//! Secrets, sealed by their owner before they come here: this room never sees one.

use crate::Store;
use crate::engine::{Error, Transaction};

impl Transaction {
    async fn held(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let row = self.one("SELECT sealed FROM secret WHERE name = $1", [name.into()]).await?;
        row.map(|row| row.get(0)).transpose()
    }
}

impl Store {
    /// The sealed secret of this name.
    pub async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let reading = self.reading("read a secret");
        let row = reading.one("SELECT sealed FROM secret WHERE name = $1", [name.into()]).await?;
        row.map(|row| row.get(0)).transpose()
    }

    /// Keeps a secret unless there is one of this name; gives the one that stands now, so that
    /// replicas that start together end up with the same.
    pub async fn mint_secret(&self, name: &str, sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let tx = self.begin("keep a secret").await?;
        let sql = "INSERT INTO secret (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        tx.run(sql, [name.into(), sealed.into()]).await?;
        let held = tx.held(name).await?;
        tx.commit().await?;
        held.ok_or_else(|| Error::corrupt("a secret", "it was not kept"))
    }
}
