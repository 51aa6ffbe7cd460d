//! The observers: two threads that look at the host, so that nothing which blocks or hangs stands
//! in anybody's way. One runs the collectors; the other watches files, logs and measures.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::thread::{self, JoinHandle};

use bartizan_core::canonical::Value;
use bartizan_core::configuration::drift::Object;
use bartizan_core::digest::Digest;
use bartizan_core::fact::{Name, Package, Section};
use bartizan_core::monitoring::signal::Noticed;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_probe::root::Root;
use bartizan_wire::policy::Policy;
use bartizan_wire::report::Look;

use crate::{canary, drift};

mod assignment;
mod collect;
mod judge;
mod process;
mod source;
mod watch;

/// The agent's clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What an observer tells.
#[derive(Debug)]
pub enum Observation {
    /// A collector's turn: what it found, or why it found nothing.
    Section {
        name: Name,
        found: Result<Section<Value>, Reason>,
    },
    /// Every collector has had a turn.
    Collected,
    /// All rules of a policy were judged.
    JudgedAll {
        policy: Digest,
        looks: Vec<Look>,
        problems: Vec<String>,
    },
    /// Some rules were judged again; `gone` have no verdict any more.
    Judged {
        looks: Vec<Look>,
        gone: Vec<(String, String)>,
    },
    Noticed(Vec<Noticed>),
    /// What a source gave and dropped.
    Tally {
        source: &'static str,
        seen: u64,
        sent: u64,
        dropped: u64,
    },
    /// The journal was looked at up to here.
    Cursor(String),
    /// Where thresholds of health are passed, once that changed.
    Passed(BTreeSet<crate::health::Passed>),
    /// Which rules were told as ones that can't fire.
    Canaries(canary::Standing),
    /// How objects are accounted for, and what drifts, once that changed.
    Drift(drift::Kept),
    /// Something of our own broke; it goes on without.
    Problem(String),
}

/// What the watcher is told.
#[derive(Debug)]
enum Command {
    Assign(Policy),
    Packages(Section<Vec<Package>>),
    /// What a section, or the server, tells of health.
    Health(crate::health::Told),
    /// Every collector had a turn: packages are known by now, or are unknown.
    Collected,
    /// An order of ours begins to set these objects, or is over where there are none.
    Setting(Vec<Object>),
    /// Something that was noticed did not arrive.
    TellAgain,
    Stop,
}

/// What the run before kept for this one.
#[derive(Debug, Default)]
pub struct Kept {
    /// Where the journal was left.
    pub cursor: Option<String>,
    /// Where thresholds of health were passed; none where nothing was ever measured.
    pub passed: Option<BTreeSet<crate::health::Passed>>,
    /// Which rules can't fire; none where none was ever tried.
    pub canaries: Option<canary::Standing>,
    /// How objects are accounted for; none where none was ever looked at.
    pub drift: Option<drift::Kept>,
    /// Where texts are kept of which changes are told.
    pub texts: Option<PathBuf>,
}

/// The two threads.
#[derive(Debug)]
pub struct Observers {
    watch: Sender<Command>,
    collect: Sender<collect::Command>,
    threads: Vec<JoinHandle<()>>,
}

impl Observers {
    /// Starts looking from what the run before kept. Observations go into `sink`, which makes them wait where
    /// it is full.
    pub fn start<T: From<Observation> + Send + 'static>(
        root: &Root,
        logs: &[PathBuf],
        kept: Kept,
        clock: &Clock,
        sink: &SyncSender<T>,
    ) -> std::io::Result<Observers> {
        let (watch, commands) = channel();
        let watcher = watch::Watcher::new(root, logs, kept, Arc::clone(clock));
        let tell = teller(sink.clone());
        let first = spawn("watch", move || watcher.run(&commands, &tell))?;
        let (collect, commands) = channel();
        let collector = collect::Collector::new(root, Arc::clone(clock), watch.clone());
        let tell = teller(sink.clone());
        let second = spawn("collect", move || collector.run(&commands, &tell))?;
        Ok(Observers { watch, collect, threads: vec![first, second] })
    }

    /// Judges by this policy from now on.
    pub fn assign(&self, policy: Policy) {
        // A watcher that is gone has said so, and nothing is judged any more.
        let _ = self.watch.send(Command::Assign(policy));
    }

    /// Tells how far the clock is from the server's.
    pub fn clock_offset(&self, offset: std::time::Duration) {
        let _ = self.watch.send(Command::Health(crate::health::Told::ClockOffset(offset)));
    }

    /// An order of ours begins to set these objects.
    pub fn setting(&self, objects: Vec<Object>) {
        let _ = self.watch.send(Command::Setting(objects));
    }

    /// Tells once more of what was noticed and still stands.
    pub fn tell_again(&self) {
        let _ = self.watch.send(Command::TellAgain);
    }

    /// Collects everything now.
    pub fn hasten(&self) {
        let _ = self.collect.send(collect::Command::Hasten);
    }

    /// Tells both to stop; a collector that hangs is not waited for.
    pub fn stop(self) {
        let _ = self.watch.send(Command::Stop);
        let _ = self.collect.send(collect::Command::Stop);
        drop(self.threads);
    }
}

/// Passes an observation on; false where nobody listens any more.
type Tell = Box<dyn Fn(Observation) -> bool + Send>;

fn teller<T: From<Observation> + Send + 'static>(sink: SyncSender<T>) -> Tell {
    Box::new(move |observation| sink.send(observation.into()).is_ok())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(format!("bartizan-{name}")).spawn(run)
}

/// What is waiting among commands, or the end of the wait.
enum Wait<T> {
    Command(T),
    Elapsed,
    Over,
}

fn wait<T>(commands: &Receiver<T>, limit: std::time::Duration) -> Wait<T> {
    use std::sync::mpsc::RecvTimeoutError;
    match commands.recv_timeout(limit) {
        Ok(command) => Wait::Command(command),
        Err(RecvTimeoutError::Timeout) => Wait::Elapsed,
        Err(RecvTimeoutError::Disconnected) => Wait::Over,
    }
}
