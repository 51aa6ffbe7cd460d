//! What a program and all its children cost, as /proc tells.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Ticks of a second in `/proc/PID/stat`: USER_HZ is 100 wherever Linux runs servers.
const TICKS: u64 = 100;

/// A cost so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) at: Instant,
    /// Proportional set size now.
    pub(super) bytes: u64,
    /// Processor time, of the program's whole life.
    pub(super) time: Duration,
}

impl Default for Cost {
    fn default() -> Self {
        Self { at: Instant::now(), bytes: 0, time: Duration::ZERO }
    }
}

/// One process of the table.
struct Process {
    pid: u32,
    parent: u32,
    /// Its own time and that of its children that ended and were waited for, in ticks.
    ticks: u64,
}

/// The cost of a process and everything below it.
pub(super) fn cost(pid: u32) -> Result<Cost> {
    let all = processes()?;
    let mut family = vec![pid];
    let mut place = 0;
    while let Some(parent) = family.get(place).copied() {
        family.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        place += 1;
    }
    let mut bytes = 0;
    for member in &family {
        match proportional(*member) {
            Ok(found) => bytes += found,
            // A child may end while it is looked at; the program itself may not.
            Err(error) if *member == pid => return Err(error),
            Err(_) => {}
        }
    }
    let ticks =
        all.iter().filter(|process| family.contains(&process.pid)).map(|process| process.ticks).sum::<u64>();
    Ok(Cost { at: Instant::now(), bytes, time: Duration::from_millis(ticks * 1000 / TICKS) })
}

fn processes() -> Result<Vec<Process>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(line) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        all.extend(parse(pid, &line));
    }
    Ok(all)
}

/// The name, second field, may hold anything: fields are counted after its end (proc_pid_stat(5)).
fn parse(pid: u32, line: &str) -> Option<Process> {
    let (_, fields) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let parent = fields.get(1)?.parse().ok()?;
    let ticks: Vec<u64> = fields.get(11..15)?.iter().map_while(|field| field.parse().ok()).collect();
    Some(Process { pid, parent, ticks: ticks.iter().sum() })
}

fn proportional(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("can't read the memory of process {pid}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("it has no Pss")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("its Pss is no number")?;
    Ok(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_children_that_ended_counts_and_a_name_may_hold_anything() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 5 6 7";
        let process = parse(7, line).unwrap();
        assert_eq!((process.parent, process.ticks), (1, 4_330));
        assert!(parse(7, "7 (a) S 1").is_none());
    }

    #[test]
    fn this_process_and_its_children_cost_something() {
        let own = cost(std::process::id()).unwrap();
        let mut child =
            std::process::Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let both = cost(std::process::id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(own.bytes > 0 && both.bytes > 0);
    }
}
