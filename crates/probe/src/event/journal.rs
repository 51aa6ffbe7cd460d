//! systemd's journal, as its own reader tells it: a child that follows it, restarted where it ends and ended
//! with the agent (journalctl(1)).
//!
//! What was said to the facilities of authentication is asked for, which is what the authentication log
//! holds; journald's own fields say who really said it. The cursor of the last entry outlives a restart:
//! what came meanwhile is read then. A child that is not read waits, and so loses nothing.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use bartizan_core::fact::Unseen;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::root::Root;

mod entry;

pub use entry::Entry;

/// Where the reader lies.
const PROGRAMS: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];

/// Where journals lie: kept, and until the next boot (systemd-journald.service(8)).
const FOLDERS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// What journald listens at while it runs.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Facilities of authentication, `auth` and `authpriv` (RFC 5424, table 1).
const FACILITIES: [&str; 2] = ["SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10"];

/// The most that one look reads, in bytes: what is beyond comes with the next.
const LOOK_BYTES_LIMIT: usize = 256 << 10;

/// The longest entry, in bytes: the reader itself leaves out fields of more than 4 KiB, but writes each byte
/// of what is no text as a number.
const ENTRY_BYTES_LIMIT: usize = 64 << 10;

/// The longest cursor that is taken, in bytes; journald's have some hundred and thirty.
const CURSOR_BYTES_LIMIT: usize = 512;

/// How long a reader that ended is let be: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a reader runs before it is held to be well though no entry came: the journal is quiet.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// Readers that may end without an entry before their cursor is held to be what they stumble over.
const CURSOR_TRIES: u32 = 3;

/// Follows the journal of a host.
#[derive(Debug)]
pub struct Journal {
    program: PathBuf,
    /// Where the journal's files lie; none for the running host's own.
    folder: Option<PathBuf>,
    cursor: Option<String>,
    reader: Option<Reader>,
    partial: Vec<u8>,
    skipping: bool,
    /// Readers that ended in a row.
    failures: u32,
    /// Those of them that gave no entry.
    barren: u32,
    not_before: Timestamp,
    started_at: Timestamp,
}

/// The child, and the end of its pipe.
#[derive(Debug)]
struct Reader {
    child: Child,
    output: ChildStdout,
}

/// What one look brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub entries: Vec<Entry>,
    /// Entries that were passed over, and stretches of the journal that were jumped.
    pub dropped: u64,
}

impl Journal {
    /// The running host's journal, from its end; what stands in the way, where there is one that can't be
    /// followed; none where there is no journal.
    pub fn find(root: &Root) -> Option<Result<Journal, Unseen>> {
        if !root.is_host() || !root.exists(SOCKET) {
            return None;
        }
        let files: Vec<String> = FOLDERS.iter().flat_map(|folder| system_journals(root, folder)).collect();
        let unseen = |what: &str, reason| Some(Err(Unseen { what: what.to_owned(), reason }));
        let Some(program) = PROGRAMS.into_iter().find(|program| root.exists(program)) else {
            return unseen("the journal: there is no journalctl", Reason::Unsupported);
        };
        let first = files.first()?;
        let opened: Vec<_> = files.iter().map(|file| root.open(file)).collect();
        if opened.iter().all(Result::is_err) {
            let reason =
                opened.into_iter().find_map(Result::err).map_or(Reason::Error, |error| error.reason());
            return unseen(first, reason);
        }
        Some(Ok(Journal::new(PathBuf::from(program), None)))
    }

    /// The journal whose files lie in a folder, read by this program.
    pub fn new(program: PathBuf, folder: Option<PathBuf>) -> Journal {
        Journal {
            program,
            folder,
            cursor: None,
            reader: None,
            partial: Vec::new(),
            skipping: false,
            failures: 0,
            barren: 0,
            not_before: Timestamp::default(),
            started_at: Timestamp::default(),
        }
    }

    /// Goes on behind this entry; a cursor that can't be one is passed over.
    pub fn after(mut self, cursor: Option<String>) -> Journal {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b';' | b'-');
        self.cursor =
            cursor.filter(|cursor| cursor.len() <= CURSOR_BYTES_LIMIT && cursor.bytes().all(is_plain));
        self
    }

    /// The last entry that a look gave; none before the first.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// What can't be seen now.
    pub fn unknown(&self) -> Option<Unseen> {
        (self.failures > 0).then(|| Unseen { what: "the journal".to_owned(), reason: Reason::Error })
    }

    /// Entries since the last look. It never waits for any.
    pub fn look(&mut self, now: Timestamp) -> Look {
        let mut look = Look::default();
        if self.reader.is_none() {
            // A clock that was set back must not keep the reader away.
            self.not_before = self.not_before.min(now.plus(BACKOFF.1));
            if now < self.not_before {
                return look;
            }
            match self.start() {
                Ok(reader) => (self.reader, self.started_at) = (Some(reader), now),
                Err(_) => {
                    self.failed(now, &mut look);
                    return look;
                }
            }
        }
        if self.read(&mut look) {
            self.reader = None;
            // What it had not written to its end comes again from the next one.
            self.partial.clear();
            self.skipping = false;
            self.failed(now, &mut look);
        } else if now.since(self.started_at) >= WELL_AFTER {
            self.failures = 0;
        }
        look
    }

    fn start(&self) -> std::io::Result<Reader> {
        let mut command = Command::new(&self.program);
        command.args(["--follow", "--output=json", "--quiet", "--no-pager"]).arg(Entry::FIELDS);
        if let Some(folder) = &self.folder {
            command.arg(join("--directory=", folder));
        }
        match &self.cursor {
            Some(cursor) => command.arg("--no-tail").arg(format!("--after-cursor={cursor}")),
            None => command.arg("--lines=0"),
        };
        // Following is of the current boot alone else, and what was said before it would be passed over. Readers
        // before systemd 240 do not know the word: every other try goes without it.
        if self.barren.is_multiple_of(2) {
            command.arg("--boot=all");
        }
        command.args(FACILITIES).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        let reader = Reader { child, output };
        fcntl(&reader.output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(reader)
    }

    /// Reads what the child has written; whether it has ended.
    fn read(&mut self, look: &mut Look) -> bool {
        let mut block = [0; 8 << 10];
        let mut taken = 0;
        while taken < LOOK_BYTES_LIMIT {
            let Some(reader) = &mut self.reader else { return true };
            match reader.output.read(&mut block) {
                Ok(0) => return true,
                Ok(read) => {
                    taken += read;
                    let bytes = block.get(..read).unwrap_or_default();
                    bytes.split_inclusive(|byte| *byte == b'\n').for_each(|piece| self.take(piece, look));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    fn take(&mut self, piece: &[u8], look: &mut Look) {
        let (text, ended) = match piece.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (piece, false),
        };
        if self.partial.len() + text.len() > ENTRY_BYTES_LIMIT && !self.skipping {
            self.skipping = true;
            look.dropped += 1;
        }
        if !self.skipping {
            self.partial.extend(text);
        }
        if !ended {
            return;
        }
        let whole = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.skipping) || whole.is_empty() {
            return;
        }
        match Entry::parse(&whole) {
            Some(entry) => {
                (self.failures, self.barren) = (0, 0);
                self.cursor = Some(entry.cursor.clone());
                look.entries.push(entry);
            }
            None => look.dropped += 1,
        }
    }

    fn failed(&mut self, now: Timestamp, look: &mut Look) {
        let steps = self.failures.min(6);
        let wait = BACKOFF.0.as_millis().saturating_mul(1 << steps).min(BACKOFF.1.as_millis());
        self.not_before = Timestamp::from_millis(now.as_millis().saturating_add(wait));
        self.failures = self.failures.saturating_add(1);
        self.barren += 1;
        if self.barren >= CURSOR_TRIES && self.cursor.take().is_some() {
            // What lies between the cursor and the end is given up, as one loss whose size nobody knows.
            look.dropped += 1;
            self.barren = 0;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Errors say that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn system_journals(root: &Root, folder: &str) -> Vec<String> {
    let names = root.names(folder).unwrap_or_default();
    let files = names.into_iter().map(|name| format!("{folder}/{name}/system.journal"));
    files.filter(|file| root.exists(file)).collect()
}

fn join(option: &str, path: &Path) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from(option);
    word.push(path);
    word
}

#[cfg(test)]
mod tests;
