//! Starts of processes, seen by looking at /proc again and again.
//!
//! The kernel's process connector would tell of every start, but its socket can't be opened in safe
//! code by what this room may use. So each look compares the processes there are with those of the last
//! one. What starts and ends between two looks is not seen: each look says so, and how many at most.

use std::collections::BTreeMap;

use bartizan_core::fact::Unseen;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;

use crate::look::{ATTRIBUTE, TABLE};
use crate::process::{boot_ms, executable, name, pids, started};
use crate::root::{Error, Limit, Root};

/// Starts that one look gives; what is beyond is dropped and counted.
pub const STARTS_LIMIT: usize = 10_000;

/// The most that is read of a command line, in bytes; the kernel allows some megabytes.
const COMMAND_LINE: Limit = Limit { name: "command line", bytes: 4 << 20 };

/// The most that is kept of one, in characters.
const COMMAND_LINE_LIMIT: usize = 8 << 10;

/// Watches the processes of this host.
#[derive(Debug, Default)]
pub struct Starts {
    /// What each process ran at the last look; none before the first.
    known: Option<BTreeMap<u32, Program>>,
    /// Forks since the kernel's start, at the last look.
    forks: u64,
}

/// What tells one program in a process from the next: a number is used again, and a process may run
/// another file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    started: Timestamp,
    executable: Option<String>,
}

/// A process that runs a program which it did not run at the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub pid: u32,
    /// When the process started; the program itself may be younger.
    pub started: Timestamp,
    /// The process's own name for itself, cut at 15 bytes by the kernel.
    pub name: String,
    /// The file it runs, in its own mount namespace; none where that may not be seen.
    pub executable: Option<String>,
    /// The command line, words parted by single spaces. It may hold secrets: it must not leave the host unasked.
    pub command_line: String,
    /// The real user's number.
    pub uid: u32,
    pub parent: u32,
    pub parent_executable: Option<String>,
}

/// What one look brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub starts: Vec<Start>,
    /// Starts that were seen and passed over.
    pub dropped: u64,
    /// How many starts were not seen, at most: the kernel counts threads with them.
    pub missed_at_most: u64,
    /// What this source can't see.
    pub unknown: Vec<Unseen>,
}

impl Starts {
    /// Starts since the last look. The first one gives none: what runs already is no news.
    pub fn look(&mut self, root: &Root) -> Result<Look, Reason> {
        if !root.is_host() {
            return Err(Reason::Unsupported);
        }
        let table = root.read_text("/proc/stat", TABLE).map_err(|error| error.reason())?.text;
        let (boot_ms, forks) = boot_ms(&table).zip(forks(&table)).ok_or(Reason::Unparsable)?;
        let now = programs(root, boot_ms).map_err(|error| error.reason())?;
        let mut look = Look {
            unknown: vec![Unseen {
                what: "processes that start and end between two looks".to_owned(),
                reason: Reason::Unsupported,
            }],
            ..Look::default()
        };
        if let Some(before) = &self.known {
            let new = now.iter().filter(|(pid, program)| before.get(pid) != Some(program));
            let mut forked = 0;
            for (pid, program) in new {
                let same_process = before.get(pid).is_some_and(|known| known.started == program.started);
                forked += u64::from(!same_process);
                if look.starts.len() == STARTS_LIMIT {
                    look.dropped += 1;
                } else if let Some(start) = start(root, *pid, program, &now) {
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

/// More about a process; none where it is the kernel's own, or has ended.
fn start(root: &Root, pid: u32, program: &Program, all: &BTreeMap<u32, Program>) -> Option<Start> {
    let status = root.read_text(format!("/proc/{pid}/status"), ATTRIBUTE).ok()?.text;
    let field = |name: &str| -> Option<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let line = root.read_text(format!("/proc/{pid}/cmdline"), COMMAND_LINE).ok()?.text;
    // Kernel threads have neither a file nor a command line.
    if program.executable.is_none() && line.is_empty() {
        return None;
    }
    let parent = field("PPid")?;
    Some(Start {
        pid,
        started: program.started,
        name: name(root, pid)?,
        executable: program.executable.clone(),
        command_line: line
            .trim_end_matches('\0')
            .replace('\0', " ")
            .chars()
            .take(COMMAND_LINE_LIMIT)
            .collect(),
        uid: field("Uid")?,
        parent,
        parent_executable: all.get(&parent).and_then(|parent| parent.executable.clone()),
    })
}

#[cfg(test)]
mod tests;
