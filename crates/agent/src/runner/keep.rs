//! What the next run goes on from: where the journal was left, and where thresholds of health are passed.
//!
//! It is written behind what it stands for: whatever was noticed up to there is in the spool by then, so that a
//! crash repeats some of it and loses none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Runner;
use crate::health;
use crate::observe::{self, Observers};

/// The file of the place where the journal was left.
const CURSOR_FILE: &str = "journal";

/// The file of the places where thresholds are passed.
const PASSED_FILE: &str = "passed";

/// How often the journal's place is written at most: what comes after it is read again after a crash.
const CURSOR_EVERY: Duration = Duration::from_secs(10);

/// What is to be kept.
#[derive(Debug)]
pub(super) struct Keep {
    /// Not on disk yet.
    pub(super) cursor: Option<String>,
    cursor_at: Instant,
    /// Where thresholds are passed, and not on disk yet.
    passed: Option<BTreeSet<health::Passed>>,
    /// What is on disk of that.
    written: BTreeSet<health::Passed>,
}

impl Keep {
    pub(super) fn new(now: Instant) -> Keep {
        Keep { cursor: None, cursor_at: now, passed: None, written: BTreeSet::new() }
    }
}

impl Runner {
    /// What the run before kept.
    pub(crate) fn kept(&mut self) -> observe::Kept {
        let read = |file| self.state.read(file).ok().flatten();
        let cursor = read(CURSOR_FILE).and_then(|bytes| String::from_utf8(bytes).ok());
        // What can't be read is told to nobody as new: something was measured here before.
        let passed = read(PASSED_FILE).map(|bytes| serde_json::from_slice(&bytes).unwrap_or_default());
        self.keep.written = passed.clone().unwrap_or_default();
        observe::Kept { cursor, passed }
    }

    /// Takes where thresholds are passed now. What is new among it is on disk before it is told, so that its end
    /// is told whatever happens in between.
    pub(super) fn passed(&mut self, passed: BTreeSet<health::Passed>) {
        if !passed.is_subset(&self.keep.written) {
            self.write_passed(self.keep.written.union(&passed).cloned().collect());
        }
        self.keep.passed = Some(passed);
    }

    /// Writes what is to be kept, once nothing that was noticed up to there is still to be composed.
    pub(super) fn keep(&mut self, at_once: bool) {
        if self.outbox.composer.has_signals() {
            return;
        }
        if let Some(passed) = self.keep.passed.take() {
            self.write_passed(passed);
        }
        if self.outbox.waiting() == 0 && self.outbox.composer.take_lost() {
            self.observers.iter().for_each(Observers::tell_again);
        }
        let now = Instant::now();
        if !at_once && now < self.keep.cursor_at {
            return;
        }
        let Some(cursor) = self.keep.cursor.take() else { return };
        self.keep.cursor_at = now + CURSOR_EVERY;
        if let Err(error) = self.state.write(CURSOR_FILE, cursor.as_bytes()) {
            self.problem(error.class(), &error, None);
        }
    }

    fn write_passed(&mut self, passed: BTreeSet<health::Passed>) {
        let written = serde_json::to_vec(&passed).map_err(std::io::Error::other);
        let written = written.map_err(|source| crate::state::Error::Disk {
            doing: "write",
            path: self.state.path(PASSED_FILE),
            source,
        });
        match written.and_then(|bytes| self.state.write(PASSED_FILE, &bytes)) {
            Ok(()) => self.keep.written = passed,
            Err(error) => self.problem(error.class(), &error, None),
        }
    }
}
