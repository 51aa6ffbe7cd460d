//! The schedule: when each collector runs, how long it may take, and what becomes of one that
//! fails or hangs.
//!
//! Each run has a thread of its own. A run that is not back by its deadline is given up: its
//! section is `unknown: timeout`, the collector is not started again until that thread has come
//! back, and nothing else waits for it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;

use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;

/// The stack of a collector's thread, in bytes: they walk flat tables.
const STACK_BYTES: usize = 512 << 10;

/// Something that is run at intervals, within a time limit.
pub struct Collector<T> {
    pub name: &'static str,
    pub every: Duration,
    pub limit: Duration,
    pub collect: Box<dyn Fn() -> T + Send + Sync>,
}

/// What a collector's turn brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    Collected(T),
    /// It brought nothing, and why.
    Unknown(Reason),
}

/// Collectors and their turns.
pub struct Schedule<T> {
    entries: Vec<Entry<T>>,
}

struct Entry<T> {
    collector: std::sync::Arc<Collector<T>>,
    due: Timestamp,
    /// A run that passed its deadline and has not come back.
    hung: Option<Receiver<T>>,
}

impl<T> std::fmt::Debug for Schedule<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| entry.collector.name)).finish()
    }
}

impl<T> std::fmt::Debug for Collector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Schedule<T> {
    /// A schedule on which every collector is due at `now`.
    pub fn new(collectors: Vec<Collector<T>>, now: Timestamp) -> Schedule<T> {
        let entry = |collector| Entry { collector: std::sync::Arc::new(collector), due: now, hung: None };
        Schedule { entries: collectors.into_iter().map(entry).collect() }
    }

    /// When the next collector is due; none where there is no collector.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.due).min()
    }

    /// Makes a collector due now: what it reads is known to have changed.
    pub fn hasten(&mut self, name: &str, now: Timestamp) {
        for entry in self.entries.iter_mut().filter(|entry| entry.collector.name == name) {
            entry.due = entry.due.min(now);
        }
    }

    /// Runs what is due, one after another, each within its limit.
    pub fn run(&mut self, now: Timestamp) -> Vec<(&'static str, Outcome<T>)> {
        for entry in &mut self.entries {
            // A clock that was set back must not keep a collector away for longer than its interval.
            entry.due = entry.due.min(now.plus(entry.collector.every));
        }
        let due = self.entries.iter_mut().filter(|entry| entry.due <= now);
        due.map(|entry| (entry.collector.name, entry.turn(now))).collect()
    }
}

impl<T: Send + 'static> Entry<T> {
    fn turn(&mut self, now: Timestamp) -> Outcome<T> {
        self.due = now.plus(self.collector.every);
        let receiver = match self.hung.take() {
            Some(receiver) => receiver,
            None => match self.start() {
                Ok(receiver) => receiver,
                Err(_) => return Outcome::Unknown(Reason::Error),
            },
        };
        match receiver.recv_timeout(self.collector.limit.to_std()) {
            Ok(collected) => Outcome::Collected(collected),
            // The thread ended and sent nothing: it panicked.
            Err(RecvTimeoutError::Disconnected) => Outcome::Unknown(Reason::Error),
            Err(RecvTimeoutError::Timeout) => {
                self.hung = Some(receiver);
                Outcome::Unknown(Reason::Timeout)
            }
        }
    }

    fn start(&self) -> std::io::Result<Receiver<T>> {
        let (sender, receiver) = sync_channel(1);
        let collector = std::sync::Arc::clone(&self.collector);
        thread::Builder::new().name(collector.name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
            // Nobody waits any more where the schedule is gone: there is nothing to tell.
            let _ = sender.send((collector.collect)());
        })?;
        Ok(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Barrier};

    fn collector(
        name: &'static str,
        limit_ms: u32,
        collect: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Collector<u32> {
        let (every, limit) = (Duration::from_secs(10), Duration::from_millis(limit_ms));
        Collector { name, every, limit, collect: Box::new(collect) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_collector_runs_at_its_interval() {
        let mut schedule = Schedule::new(vec![collector("one", 1_000, || 7)], at(0));
        assert_eq!(schedule.run(at(0)), [("one", Outcome::Collected(7))]);
        assert_eq!(schedule.run(at(9)), []);
        assert_eq!(schedule.next_due(), Some(at(10)));
        assert_eq!(schedule.run(at(10)).len(), 1);
    }

    #[test]
    fn what_changed_is_looked_at_before_its_interval() {
        let mut schedule = Schedule::new(vec![collector("one", 1_000, || 7)], at(0));
        schedule.run(at(0));
        schedule.hasten("one", at(3));
        assert_eq!(schedule.run(at(3)).len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_no_collector_away() {
        let mut schedule = Schedule::new(vec![collector("one", 1_000, || 7)], at(9_000));
        schedule.run(at(9_000));
        assert_eq!(schedule.run(at(100)), []);
        assert_eq!(schedule.run(at(110)).len(), 1);
    }

    #[test]
    fn a_collector_that_panics_takes_no_other_down() {
        let bad = collector("bad", 1_000, || panic!("on purpose"));
        let mut schedule = Schedule::new(vec![bad, collector("good", 1_000, || 1)], at(0));
        let outcomes = schedule.run(at(0));
        assert_eq!(outcomes, [("bad", Outcome::Unknown(Reason::Error)), ("good", Outcome::Collected(1))]);
    }

    #[test]
    fn a_collector_that_hangs_is_given_up_and_not_started_twice() {
        let gate = Arc::new(Barrier::new(2));
        let runs = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let (held, counted) = (Arc::clone(&gate), Arc::clone(&runs));
        let hanging = collector("hangs", 20, move || {
            let run = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            if run == 1 {
                held.wait();
            }
            run
        });
        let mut schedule = Schedule::new(vec![hanging, collector("good", 1_000, || 1)], at(0));
        let timeout = || Outcome::Unknown(Reason::Timeout);
        assert_eq!(schedule.run(at(0)), [("hangs", timeout()), ("good", Outcome::Collected(1))]);
        assert_eq!(schedule.run(at(10))[0], ("hangs", timeout()));
        assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 1, "the hung run was not doubled");
        gate.wait();
        // The late answer is taken at the next turn that finds it; then it runs anew.
        let late = (2..100).find_map(|turn| match schedule.run(at(turn * 10)).remove(0).1 {
            Outcome::Collected(run) => Some(run),
            Outcome::Unknown(_) => None,
        });
        assert_eq!(late, Some(1));
        assert_eq!(schedule.run(at(5_000))[0], ("hangs", Outcome::Collected(2)));
    }
}
