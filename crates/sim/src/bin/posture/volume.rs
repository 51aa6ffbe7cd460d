//! How much was written: by this process, and into the store.

use bartizan_store::Store;

use crate::Failure;

/// What was written so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Bytes that this process handed to the kernel, log and database file alike (proc(5), `wchar`).
    pub(crate) bytes: u64,
    /// Rows that were inserted, updated or deleted.
    pub(crate) rows: u64,
    /// What the store takes on disk.
    pub(crate) stored: u64,
}

/// What was written so far.
pub(crate) async fn volume(store: &Store) -> Result<Volume, Failure> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let written = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    let bytes = written.ok_or("/proc/self/io does not tell what was written")?.parse()?;
    let (rows, stored) = store.volume().await?;
    Ok(Volume { bytes, rows, stored })
}

impl Volume {
    /// What was written since.
    pub(crate) fn since(self, earlier: Volume) -> Volume {
        Volume {
            bytes: self.bytes - earlier.bytes,
            rows: self.rows - earlier.rows,
            stored: self.stored.saturating_sub(earlier.stored),
        }
    }
}
