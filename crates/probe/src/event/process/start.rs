//! What is told of a program that started, as /proc has it a moment later (proc_pid_status(5), proc_pid_cmdline(5)).

use std::io::Read as _;

use bartizan_core::time::Timestamp;

use crate::look::ATTRIBUTE;
use crate::process::{executable, started};
use crate::root::Root;

/// The most that is read of a command line, in bytes; the kernel allows some megabytes.
const COMMAND_LINE_BYTES: u64 = 32 << 10;

/// The most that is kept of one, in characters.
const COMMAND_LINE_LIMIT: usize = 8 << 10;

/// A process that runs a program which it did not run before.
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

impl Start {
    /// Reads what a process runs now; none where it is the kernel's own, or has ended.
    pub(super) fn read(root: &Root, pid: u32, boot_ms: i64) -> Option<Start> {
        let started = started(root, pid, boot_ms).ok()??;
        let executable = executable(root, pid).ok().flatten().map(|(path, _)| path);
        let line = command_line(root, pid)?;
        // Kernel threads, and what has ended and waits for its parent, have neither a file nor a command line.
        if executable.is_none() && line.is_empty() {
            return None;
        }
        let status = root.read_text(format!("/proc/{pid}/status"), ATTRIBUTE).ok()?.text;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_ascii_whitespace().next()
        };
        let number = |name: &str| -> Option<u32> { field(name)?.parse().ok() };
        let parent = number("PPid")?;
        let of_parent = crate::process::executable(root, parent).ok().flatten();
        Some(Start {
            pid,
            started,
            name: crate::process::name(root, pid)?,
            executable,
            command_line: line,
            uid: number("Uid")?,
            parent,
            parent_executable: of_parent.map(|(path, _)| path),
        })
    }

    /// What it takes of memory, roughly, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let paths = [&self.executable, &self.parent_executable].into_iter().flatten().map(String::len);
        size_of::<Start>() + self.name.len() + self.command_line.len() + paths.sum::<usize>()
    }
}

/// The beginning of the command line; none where the process is gone.
fn command_line(root: &Root, pid: u32) -> Option<String> {
    let file = root.open(format!("/proc/{pid}/cmdline")).ok()?;
    let mut bytes = Vec::new();
    file.take(COMMAND_LINE_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.trim_end_matches('\0').replace('\0', " ").chars().take(COMMAND_LINE_LIMIT).collect())
}
