//! What the next run goes on from: where the journal was left, where thresholds of health are passed, which
//! rules can't fire, and how objects are accounted for.
//!
//! It is written behind what it stands for: whatever was noticed up to there is in the spool by then, so that a
//! crash repeats some of it and loses none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bartizan_core::error::Class;

use super::Runner;
use crate::observe::{self, Observers};
use crate::{canary, drift, health};

/// The file of the place where the journal was left.
const CURSOR_FILE: &str = "journal";

/// The file of the places where thresholds are passed.
const PASSED_FILE: &str = "passed";

/// The file of the rules that can't fire.
const CANARIES_FILE: &str = "canaries";

/// The file of how objects are accounted for, its largest size, and the folder of their texts.
const DRIFT_FILE: &str = "drift";
const DRIFT_BYTES: u64 = 64 << 20;
const TEXTS_FOLDER: &str = "texts";

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
    /// The rules that can't fire, and not on disk yet.
    canaries: Option<canary::Standing>,
    /// What is on disk of that.
    written_canaries: canary::Standing,
    /// How objects are accounted for, and not on disk yet.
    drift: Option<drift::Kept>,
    /// What is on disk of that.
    written_drift: drift::Kept,
}

impl Keep {
    pub(super) fn new(now: Instant) -> Keep {
        Keep {
            cursor: None,
            cursor_at: now,
            passed: None,
            written: BTreeSet::new(),
            canaries: None,
            written_canaries: canary::Standing::default(),
            drift: None,
            written_drift: drift::Kept::default(),
        }
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
        let canaries: Option<canary::Standing> =
            read(CANARIES_FILE).map(|bytes| serde_json::from_slice(&bytes).unwrap_or_default());
        self.keep.written_canaries = canaries.clone().unwrap_or_default();
        let drift = self.kept_drift();
        self.keep.written_drift = drift.clone().unwrap_or_default();
        let texts = Some(self.state.path(TEXTS_FOLDER));
        observe::Kept { cursor, passed, canaries, drift, texts }
    }

    /// How objects are accounted for. What can't be read any more is accounted for anew, and that is told: the
    /// server sees by the digest that the reference is another one.
    fn kept_drift(&mut self) -> Option<drift::Kept> {
        let bytes = match self.state.read_up_to(DRIFT_FILE, DRIFT_BYTES) {
            Ok(bytes) => bytes?,
            Err(error) => {
                self.problem(error.class(), &error, None);
                return None;
            }
        };
        let read = serde_json::from_slice(&bytes);
        if let Err(error) = &read {
            let text = format!("the file of what is accounted for can't be read: {error}");
            self.problem(Class::Invalid, &text, Some("what drifts now is accounted for anew"));
        }
        read.ok()
    }

    /// Takes how objects are accounted for now, in the same way as [`Runner::passed`].
    pub(super) fn drift(&mut self, kept: drift::Kept) {
        if !kept.is_within(&self.keep.written_drift) {
            self.write_drift(kept.clone().join(&self.keep.written_drift));
        }
        self.keep.drift = Some(kept);
    }

    /// Takes which rules can't fire now, in the same way as [`Runner::passed`].
    pub(super) fn canaries(&mut self, standing: canary::Standing) {
        if !standing.is_within(&self.keep.written_canaries) {
            self.write_canaries(standing.clone().join(&self.keep.written_canaries));
        }
        self.keep.canaries = Some(standing);
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
        if let Some(standing) = self.keep.canaries.take() {
            self.write_canaries(standing);
        }
        if let Some(kept) = self.keep.drift.take() {
            self.write_drift(kept);
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
        if self.write(PASSED_FILE, &passed) {
            self.keep.written = passed;
        }
    }

    fn write_canaries(&mut self, standing: canary::Standing) {
        if self.write(CANARIES_FILE, &standing) {
            self.keep.written_canaries = standing;
        }
    }

    fn write_drift(&mut self, kept: drift::Kept) {
        if self.write(DRIFT_FILE, &kept) {
            self.keep.written_drift = kept;
        }
    }

    /// Whether a file of what is kept could be written; why not is told.
    fn write(&mut self, file: &str, kept: &impl serde::Serialize) -> bool {
        let path = self.state.path(file);
        let written = serde_json::to_vec(kept).map_err(std::io::Error::other);
        let written = written.map_err(|source| crate::state::Error::Disk { doing: "write", path, source });
        match written.and_then(|bytes| self.state.write(file, &bytes)) {
            Ok(()) => true,
            Err(error) => {
                self.problem(error.class(), &error, None);
                false
            }
        }
    }
}
