//! The `processes` section: who still runs what is no longer on disk.
//!
//! Maps and open files are read in each process's own view: paths of a container's process are
//! those of its mount namespace. A process that ends while it is looked at is not there.

use std::collections::BTreeSet;

use bartizan_core::fact::Section;
use bartizan_core::fact::process::{Interpreter, Processes, Stale};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use nix::unistd::geteuid;

use crate::look::{ATTRIBUTE, TABLE, text};
use crate::root::{Error, Root};

/// Ticks of a second in `/proc/PID/stat`: USER_HZ is 100 wherever Linux runs servers.
const TICKS: i64 = 100;

/// What the kernel writes after the path of a file that has no name any more.
const DELETED: &str = " (deleted)";

/// Places whose files are deleted while they are used, by design: nothing there is code of a package,
/// unless it is mapped to be run.
const TRANSIENT: [&str; 10] =
    ["/dev/", "/memfd:", "/SYSV", "/[aio]", "/run/", "/tmp/", "/var/tmp/", "/i915", "/drm", "/anon_hugepage"];

/// Interpreters, by how their files' names begin; what follows may only be a version. Shells are left out:
/// they come and go with every job, and what they run is read as they go.
const INTERPRETERS: [&str; 13] = [
    "beam.smp", "java", "lua", "mono", "node", "nodejs", "perl", "php", "php-fpm", "pypy", "python", "ruby",
    "tclsh",
];

/// Deleted paths that are kept of one process.
const PATHS_LIMIT: usize = 1_000;

pub fn collect(root: &Root) -> Section<Processes> {
    let mut section = Section::new(Processes::default());
    if root.is_host() {
        read(root, &mut section);
        hidden(root, &mut section);
    } else {
        section.miss("processes", Reason::Unsupported);
    }
    section
}

fn read(root: &Root, section: &mut Section<Processes>) {
    let table = text(root, "/proc/stat", TABLE, section).unwrap_or_default();
    let Some(boot_ms) = boot_ms(&table) else { return section.miss("/proc/stat", Reason::Unparsable) };
    let pids = match pids(root) {
        Ok(pids) => pids,
        Err(error) => return section.miss("/proc", error.reason()),
    };
    let own = namespace(root, "self", "mnt").ok().flatten();
    let mut denied = 0_u64;
    for pid in pids {
        match process(root, pid, boot_ms, own.as_deref()) {
            Ok(Some((stale, interpreter))) => {
                section.body.stale.extend(stale);
                section.body.interpreters.extend(interpreter);
            }
            Ok(None) | Err(Error::Missing { .. } | Error::Read { .. }) => {}
            Err(Error::Denied { .. }) => denied += 1,
            Err(error) => section.miss(format!("/proc/{pid}"), error.reason()),
        }
    }
    if denied > 0 {
        section.miss(format!("maps and open files of {denied} processes"), Reason::Denied);
    }
    section.body.stale.sort_by_key(|stale| (stale.pid, stale.started));
    section.body.interpreters.sort_by_key(|interpreter| (interpreter.pid, interpreter.started));
}

/// Notes that /proc hides processes of others (`hidepid`, proc(5)).
fn hidden(root: &Root, section: &mut Section<Processes>) {
    if geteuid().is_root() {
        return;
    }
    let table = text(root, "/proc/self/mounts", TABLE, section).unwrap_or_default();
    let hides = |line: &&str| {
        let mut fields = line.split(' ');
        fields.nth(1) == Some("/proc")
            && fields.nth(1).is_some_and(|options| {
                options
                    .split(',')
                    .any(|option| matches!(option, "hidepid=2" | "hidepid=invisible" | "hidepid=ptraceable"))
            })
    };
    if table.lines().any(|line| hides(&line)) {
        section.miss("processes that /proc hides", Reason::Denied);
    }
}

/// The numbers of the processes there are, ascending.
pub(crate) fn pids(root: &Root) -> Result<Vec<u32>, Error> {
    let mut pids: Vec<u32> = root.names("/proc")?.iter().filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}

/// The process's own name for itself (`comm`); none once it has ended.
pub(crate) fn name(root: &Root, pid: u32) -> Option<String> {
    let text = root.read_text(format!("/proc/{pid}/comm"), ATTRIBUTE).ok()?.text;
    Some(text.trim_end_matches('\n').to_owned())
}

/// The file it runs, and whether that was deleted; none for a kernel thread.
pub(crate) fn executable(root: &Root, pid: u32) -> Result<Option<(String, bool)>, Error> {
    let target = match root.link(format!("/proc/{pid}/exe")) {
        Ok(Some(target)) => target.to_string_lossy().into_owned(),
        Ok(None) | Err(Error::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(match target.strip_suffix(DELETED) {
        Some(path) => (path.to_owned(), true),
        None => (target, false),
    }))
}

/// The identity of a process's namespace: `mnt:[4026531841]`.
pub(crate) fn namespace(root: &Root, pid: &str, kind: &str) -> Result<Option<String>, Error> {
    let target = root.link(format!("/proc/{pid}/ns/{kind}"))?;
    Ok(target.map(|target| target.to_string_lossy().into_owned()))
}

/// Where the open files of a process lead, by descriptor.
pub(crate) fn open_files(root: &Root, pid: u32) -> Result<Vec<String>, Error> {
    let folder = format!("/proc/{pid}/fd");
    let mut files = Vec::new();
    for descriptor in root.names(&folder)? {
        // One that was closed meanwhile is not open.
        if let Ok(Some(target)) = root.link(format!("{folder}/{descriptor}")) {
            files.push(target.to_string_lossy().into_owned());
        }
    }
    Ok(files)
}

/// When the kernel started, in milliseconds since 1970 (`btime`, proc_stat(5)).
pub(crate) fn boot_ms(table: &str) -> Option<i64> {
    let line = table.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse::<i64>().ok()?.checked_mul(1000)
}

/// When a process started (field 22 of proc_pid_stat(5)).
pub(crate) fn started(root: &Root, pid: u32, boot_ms: i64) -> Result<Option<Timestamp>, Error> {
    let line = root.read_text(format!("/proc/{pid}/stat"), ATTRIBUTE)?.text;
    Ok(start_ticks(&line).map(|ticks| instant(boot_ms, ticks)))
}

/// The instant so many ticks after the kernel's start.
fn instant(boot_ms: i64, ticks: i64) -> Timestamp {
    Timestamp::from_millis(boot_ms.saturating_add(ticks.saturating_mul(1000 / TICKS)))
}

/// The name, second field, may hold spaces and parentheses: fields are counted after its end.
fn start_ticks(line: &str) -> Option<i64> {
    let (_, fields) = line.rsplit_once(") ")?;
    fields.split(' ').nth(19)?.parse().ok()
}

type Seen = (Option<Stale>, Option<Interpreter>);

/// What is worth keeping of a process; none where it is the kernel's own.
fn process(root: &Root, pid: u32, boot_ms: i64, own: Option<&str>) -> Result<Option<Seen>, Error> {
    let Some((executable, executable_deleted)) = executable(root, pid)? else { return Ok(None) };
    let Some(started) = started(root, pid, boot_ms)? else { return Ok(None) };
    let namespace = namespace(root, &pid.to_string(), "mnt")?;
    let foreign = namespace.is_some() && namespace.as_deref() != own;
    let maps = root.read_text(format!("/proc/{pid}/maps"), TABLE)?.text;
    let mapped = bounded(maps.lines().filter_map(deleted_map));
    let held = bounded(open_files(root, pid)?.iter().filter_map(|target| deleted_file(target)));
    let stale = executable_deleted || !mapped.is_empty() || !held.is_empty();
    Ok(Some((
        stale.then(|| Stale {
            pid,
            started,
            name: name(root, pid).unwrap_or_default(),
            executable: Some(executable.clone()),
            executable_deleted,
            foreign,
            mapped,
            held,
        }),
        is_interpreter(&executable).then_some(Interpreter { pid, started, executable, foreign }),
    )))
}

fn bounded(paths: impl Iterator<Item = String>) -> Vec<String> {
    let paths: BTreeSet<String> = paths.collect();
    paths.into_iter().take(PATHS_LIMIT).collect()
}

/// The deleted file of a line of proc_pid_maps(5), where it is one that matters.
fn deleted_map(line: &str) -> Option<String> {
    let path = line.get(line.find('/')?..)?.strip_suffix(DELETED)?;
    let runs = line.split(' ').nth(1).is_some_and(|permissions| permissions.contains('x'));
    let memory = path.starts_with("/memfd:") || path.starts_with("/SYSV") || path.starts_with("/dev/");
    (!is_transient(path) || (runs && !memory)).then(|| path.to_owned())
}

fn deleted_file(target: &str) -> Option<String> {
    let path = target.strip_suffix(DELETED).filter(|path| path.starts_with('/'))?;
    (!is_transient(path)).then(|| path.to_owned())
}

fn is_transient(path: &str) -> bool {
    TRANSIENT.iter().any(|place| path.starts_with(place))
}

fn is_interpreter(executable: &str) -> bool {
    let name = executable.rsplit('/').next().unwrap_or_default();
    INTERPRETERS.iter().any(|interpreter| {
        name.strip_prefix(interpreter)
            .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-')))
    })
}

#[cfg(test)]
mod tests;
