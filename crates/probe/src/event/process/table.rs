//! Starts of processes, seen by looking at /proc again and again.
//!
//! Each look compares the processes there are with those of the last one. What starts and ends between
//! two looks is not seen; each look says how many at most.

use std::collections::BTreeMap;

use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;

use super::{Look, STARTS_LIMIT, Start};
use crate::look::TABLE;
use crate::process::{boot_ms, executable, pids, started};
use crate::root::{Error, Root};

/// The processes of this host at the last look.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// What each process ran; none before the first look.
    known: Option<BTreeMap<u32, Program>>,
    /// Forks since the kernel's start.
    forks: u64,
}

/// What tells one program in a process from the next: a number is used again, and a process may run
/// another file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    started: Timestamp,
    executable: Option<String>,
}

impl Table {
    /// Starts since the last look. The first one gives none: what runs already is no news.
    pub(super) fn look(&mut self, root: &Root) -> Result<Look, Reason> {
        if !root.is_host() {
            return Err(Reason::Unsupported);
        }
        let table = root.read_text("/proc/stat", TABLE).map_err(|error| error.reason())?.text;
        let (boot_ms, forks) = boot_ms(&table).zip(forks(&table)).ok_or(Reason::Unparsable)?;
        let now = programs(root, boot_ms).map_err(|error| error.reason())?;
        let mut look = Look::default();
        if let Some(before) = &self.known {
            let new = now.iter().filter(|(pid, program)| before.get(pid) != Some(program));
            let mut forked = 0;
            for (pid, program) in new {
                let same_process = before.get(pid).is_some_and(|known| known.started == program.started);
                forked += u64::from(!same_process);
                if look.starts.len() == STARTS_LIMIT {
                    look.dropped += 1;
                } else if let Some(start) = Start::read(root, *pid, boot_ms) {
                    look.starts.push(start);
                }
            }
            look.missed_at_most = forks.saturating_sub(self.forks).saturating_sub(forked);
        }
        look.starts.sort_by_key(|start| (start.started, start.pid));
        self.known = Some(now);
        self.forks = forks;
        Ok(look)
    }
}

/// `processes` of proc_stat(5).
fn forks(table: &str) -> Option<u64> {
    table.lines().find_map(|line| line.strip_prefix("processes "))?.trim().parse().ok()
}

/// What each process runs; one that ends while it is looked at is left out.
fn programs(root: &Root, boot_ms: i64) -> Result<BTreeMap<u32, Program>, Error> {
    let mut programs = BTreeMap::new();
    for pid in pids(root)? {
        let Ok(Some(started)) = started(root, pid, boot_ms) else { continue };
        let executable = executable(root, pid).ok().flatten().map(|(path, _)| path);
        programs.insert(pid, Program { started, executable });
    }
    Ok(programs)
}
