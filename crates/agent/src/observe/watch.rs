//! The watching thread: logs twice a second, files that rules read every second, measures every
//! other second. A step that panics is told and costs itself alone.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bartizan_core::canonical::Value;
use bartizan_core::fact::source::Sources;
use bartizan_core::fact::{Name, Section, Unseen};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_probe::event::add;
use bartizan_probe::event::process::Starts;
use bartizan_probe::measure::Meter;
use bartizan_probe::root::Root;
use bartizan_wire::policy::Policy;

use super::assignment::Assignment;
use super::judge::{Judge, Judged};
use super::{Clock, Command, Kept, Observation, Tell, Wait, process, wait};
use crate::canary::{Sight, View};
use crate::{canary, detection, drift, health};

/// The shortest interval: logs are looked at in each tick.
const TICK: Duration = Duration::from_millis(500);

/// Files that rules read are looked at in each of so many ticks.
const FILES_EVERY: u64 = 2;

/// Measures are taken in each of so many ticks.
const MEASURES_EVERY: u64 = 4;

/// Process starts are looked at in each of so many ticks where that means going over /proc: it is what costs
/// most here.
const PROCESSES_EVERY: u64 = 4;

/// The sources of events are described in each of so many ticks.
const SOURCES_EVERY: u64 = 20;

/// So many documents of rules are proved when a policy comes and in each tick: for each canary its rules are compiled
/// anew, and a large policy must not keep the log waiting.
const CANARIES_AT_ONCE: usize = 1;

/// What is watched on one host.
pub(super) struct Watcher {
    root: Root,
    logs: Vec<PathBuf>,
    clock: Clock,
    judge: Judge,
    health: health::Watch,
    /// Where thresholds are passed, as it was last told.
    passed: Option<BTreeSet<health::Passed>>,
    measured: bool,
    meter: Meter,
    detection: Option<detection::Watch>,
    /// None where no rule asks for process starts.
    starts: Option<Starts>,
    /// Why the last look at process starts gave none.
    unread_starts: Option<Reason>,
    canaries: canary::Watch,
    drift: drift::Watch,
    /// How the sources were last described.
    sources: Option<Section<Sources>>,
    /// Where the journal was left, as it was last told.
    cursor: Option<String>,
    /// What collectors tell of health.
    gathered: health::Gathered,
    /// A policy that waits until packages are known.
    waiting: Option<Policy>,
    collected: bool,
}

impl Watcher {
    pub(super) fn new(root: &Root, logs: &[PathBuf], kept: Kept, clock: Clock) -> Self {
        Self {
            root: root.clone(),
            logs: logs.to_vec(),
            clock,
            judge: Judge::new(root.clone()),
            health: health::Watch::new(kept.passed.clone()),
            passed: kept.passed,
            measured: false,
            meter: Meter::default(),
            detection: None,
            starts: None,
            unread_starts: None,
            canaries: canary::Watch::new(kept.canaries),
            drift: drift::Watch::new(root, kept.drift, kept.texts),
            sources: None,
            cursor: kept.cursor,
            gathered: health::Gathered::default(),
            waiting: None,
            collected: false,
        }
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>, tell: &Tell) {
        let mut ticks = 0;
        let mut next = Instant::now();
        loop {
            let told = match wait(commands, next.saturating_duration_since(Instant::now())) {
                Wait::Command(Command::Stop) | Wait::Over => return,
                Wait::Command(command) => self.guarded(|watcher| watcher.command(command)),
                Wait::Elapsed => {
                    ticks += 1;
                    // What was slept through is not made up for.
                    next = Instant::now() + TICK;
                    let now = (self.clock)();
                    let mut told = self.guarded(|watcher| watcher.logs(now));
                    if ticks % FILES_EVERY == 0 {
                        told.extend(self.guarded(|watcher| watcher.files(now)));
                        told.extend(self.guarded(|watcher| watcher.drift(now)));
                    }
                    let cheap = self.starts.as_ref().is_some_and(Starts::is_cheap);
                    if cheap || ticks % PROCESSES_EVERY == 0 {
                        told.extend(self.guarded(|watcher| watcher.processes(now)));
                    }
                    if ticks % MEASURES_EVERY == 0 {
                        told.extend(self.guarded(|watcher| watcher.measures(now)));
                    }
                    if ticks % SOURCES_EVERY == 0 {
                        told.extend(self.guarded(|watcher| watcher.sources(now)));
                    }
                    told.extend(self.guarded(|watcher| watcher.canaries(CANARIES_AT_ONCE, now)));
                    told
                }
            };
            let is_empty = |observation: &Observation| matches!(observation, Observation::Noticed(noticed) if noticed.is_empty());
            if !told.into_iter().filter(|observation| !is_empty(observation)).all(tell) {
                return;
            }
        }
    }

    fn guarded(&mut self, step: impl FnOnce(&mut Watcher) -> Vec<Observation>) -> Vec<Observation> {
        catch_unwind(AssertUnwindSafe(|| step(self))).unwrap_or_else(|_| {
            vec![Observation::Problem(
                "a step of the watch broke off; what it watches may be late".to_owned(),
            )]
        })
    }

    fn command(&mut self, command: Command) -> Vec<Observation> {
        match command {
            Command::Assign(policy) => self.waiting = Some(policy),
            Command::Packages(packages) => self.judge.installed(packages),
            Command::Health(told) => self.gathered.take(told, (self.clock)()),
            Command::Collected => self.collected = true,
            Command::Setting(objects) if objects.is_empty() => self.drift.over(),
            Command::Setting(objects) => self.drift.expect(objects),
            Command::TellAgain => {
                let now = (self.clock)();
                let again =
                    [self.health.tell_again(now), self.canaries.tell_again(now), self.drift.tell_again(now)];
                return again.map(Observation::Noticed).into();
            }
            Command::Stop => {}
        }
        if !self.collected {
            return Vec::new();
        }
        match self.waiting.take() {
            Some(policy) => self.assign(policy),
            None => Vec::new(),
        }
    }

    fn assign(&mut self, policy: Policy) -> Vec<Observation> {
        let now = (self.clock)();
        let Assignment { baselines, health, detector, processes, canaries, drift, lacks_drift, mut problems } =
            Assignment::read(policy.documents);
        self.measured = !health.is_empty();
        let over = self.health.assign(&health, now);
        // One that goes on keeps what it knows: what runs already is no news.
        self.starts = processes.then(|| self.starts.take().unwrap_or_else(|| Starts::open(&self.root)));
        match (detector, &mut self.detection) {
            (Some(detector), Some(watch)) => watch.assign(detector),
            (Some(detector), none) => {
                let cursor = self.cursor.clone();
                *none = Some(detection::Watch::new(&self.root, detector, &self.logs, cursor));
            }
            (None, watch) => *watch = None,
        }
        let (judged, beyond) = self.judge.assign(baselines, now);
        if beyond > 0 {
            problems.push(format!("{beyond} rules are beyond what one asset may have, and are not judged"));
        }
        self.canaries.assign(canaries);
        // Verdicts come last: with them the first report is ready to go, and what is measured by then is its asset's
        // backlog. So is what the first turn of canaries finds, whenever that ends.
        let mut told = self.sources(now);
        told.push(Observation::Noticed(over));
        told.extend(self.measures(now));
        told.extend(self.canaries(CANARIES_AT_ONCE, now));
        // A document that can't be read takes nothing away: what was watched stays watched.
        if !lacks_drift {
            self.drift.assign(drift);
        }
        self.drift.explain(policy.explained);
        told.extend(self.drift(now));
        told.push(Observation::JudgedAll { policy: policy.etag, looks: judged.looks, problems });
        told
    }

    fn logs(&mut self, now: Timestamp) -> Vec<Observation> {
        let mut told = Vec::new();
        let Some(watch) = &mut self.detection else { return told };
        let look = watch.look(&self.root, now);
        if look.seen > 0 || look.dropped > 0 {
            let sent = look.noticed.len() as u64;
            let (source, seen, dropped) = ("detection", look.seen, look.dropped);
            told.push(Observation::Tally { source, seen, sent, dropped });
        }
        if !look.noticed.is_empty() {
            told.push(Observation::Noticed(look.noticed));
        }
        // After what was noticed: an entry is behind us once it was told of.
        if let Some(cursor) = watch.cursor().filter(|cursor| self.cursor.as_deref() != Some(*cursor)) {
            self.cursor = Some(cursor.to_owned());
            told.extend(self.cursor.clone().map(Observation::Cursor));
        }
        told
    }

    /// Says which sources of events there are, where that has changed.
    fn sources(&mut self, now: Timestamp) -> Vec<Observation> {
        let mut section = Section::new(Sources::default());
        let mut view = View::default();
        if let Some(watch) = &self.detection {
            view = watch.describe(&self.root, &mut section);
        }
        if let Some(starts) = self.starts.as_ref().filter(|_| self.root.is_host()) {
            add(&mut section, starts.way(), "");
            starts.unknown().into_iter().for_each(|unseen| section.miss(unseen.what, unseen.reason));
            let unread = |reason| Sight::Unread(Unseen { what: "process starts".to_owned(), reason });
            view.starts = self.unread_starts.map_or(Sight::Seen, unread);
        }
        self.canaries.see(view, now);
        if self.sources.as_ref() == Some(&section) {
            return Vec::new();
        }
        let body = Value::from_data(&section.body);
        let unknown = section.unknown.clone();
        self.sources = Some(section);
        // The error is a bug: a body that has no canonical form.
        let found = body.map(|body| Section { body, unknown }).map_err(|_| Reason::Error);
        vec![Observation::Section { name: Name::Sources, found }]
    }

    fn processes(&mut self, now: Timestamp) -> Vec<Observation> {
        match (&mut self.starts, &mut self.detection) {
            (Some(starts), Some(watch)) => {
                let looked = process::look(starts, watch, &self.root, now);
                self.unread_starts = looked.as_ref().err().copied();
                looked.unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Proves that rules can fire, so many documents of them.
    fn canaries(&mut self, documents: usize, now: Timestamp) -> Vec<Observation> {
        let canary::Step { noticed, dropped, standing } = self.canaries.step(documents, now);
        let mut told = Vec::new();
        if dropped > 0 {
            told.push(Observation::Tally { source: "canary", seen: 0, sent: 0, dropped });
        }
        // Before what stands: it is kept once it was told.
        told.push(Observation::Noticed(noticed));
        told.extend(standing.map(Observation::Canaries));
        told
    }

    /// Tells what drifts, and what no longer does.
    fn drift(&mut self, now: Timestamp) -> Vec<Observation> {
        let drift::Step { kept, noticed, section } = self.drift.step(now);
        let mut told: Vec<Observation> = kept.map(Observation::Drift).into_iter().collect();
        told.push(Observation::Noticed(noticed));
        told.extend(section.map(|section| {
            // The error is a bug: a body that has no canonical form.
            let body = Value::from_data(&section.body).map_err(|_| Reason::Error);
            let found = body.map(|body| Section { body, unknown: section.unknown });
            Observation::Section { name: Name::Drift, found }
        }));
        told
    }

    fn files(&mut self, now: Timestamp) -> Vec<Observation> {
        let Judged { looks, gone } = self.judge.look(now);
        if looks.is_empty() && gone.is_empty() {
            return Vec::new();
        }
        vec![Observation::Judged { looks, gone }]
    }

    fn measures(&mut self, now: Timestamp) -> Vec<Observation> {
        if !self.measured {
            return Vec::new();
        }
        let mut readings = self.meter.sample(&self.root);
        readings.extend(self.gathered.readings(now));
        let mut told = vec![Observation::Noticed(self.health.step(&readings, now))];
        let passed = self.health.passed();
        if self.passed.as_ref() != Some(&passed) {
            self.passed = Some(passed.clone());
            told.push(Observation::Passed(passed));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::canonical::Value;
    use bartizan_core::digest::Digest;
    use bartizan_core::monitoring::signal::Kind;
    use bartizan_core::verdict::Verdict;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    fn policy() -> Policy {
        let documents = [
            r#"{"kind":"Baseline","name":"b","spec":{"title":"B","rules":[{"id":"motd","title":"T",
                "rationale":"R","severity":"low","remediation":"M","check":{"file":{"path":"/etc/motd","exists":true}}}]}}"#,
            r#"{"kind":"Detection","name":"d","spec":{"sigma":"title: Refused\nlevel: high\nlogsource: {product: linux, service: sshd}\ndetection: {s: {action: login, outcome: failure}, condition: s}\n"}}"#,
        ];
        let documents = documents.iter().map(|text| Value::parse(text).unwrap()).collect();
        Policy { wire: 1, etag: Digest::of_bytes(b"p"), documents, explained: Vec::new() }
    }

    #[test]
    fn a_program_that_starts_is_tried_against_the_rules_that_ask_for_it() {
        let sigma = "title: Odd sleep\nlevel: high\nlogsource: {product: linux, category: process_creation}\n\
            detection: {s: {CommandLine|contains: 'sleep 31.4159'}, condition: s}\n";
        let document = serde_json::json!({"kind": "Detection", "name": "d", "spec": {"sigma": sigma}});
        let documents = vec![Value::parse(&document.to_string()).unwrap()];
        let policy = Policy { wire: 1, etag: Digest::of_bytes(b"p"), documents, explained: Vec::new() };
        let clock: Clock = Arc::new(|| Timestamp::from_millis(1_000));
        let mut watcher = Watcher::new(&Root::host(), &[], Kept::default(), clock);
        watcher.collected = true;
        watcher.command(Command::Assign(policy));
        // The table's first look finds what runs already, and that is no news; the kernel tells of none of it.
        watcher.processes(Timestamp::from_millis(1_000));
        let mut child = std::process::Command::new("sleep").arg("31.4159").spawn().unwrap();
        let noticed = loop {
            let told = watcher.processes(Timestamp::from_millis(2_000)).into_iter();
            let mut noticed = told.filter_map(|observation| match observation {
                Observation::Noticed(noticed) => Some(noticed),
                _ => None,
            });
            if let Some(noticed) = noticed.next() {
                break noticed;
            }
            std::thread::yield_now();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(noticed[0].summary.starts_with("Odd sleep"));
    }

    const GUESSING: &str = include_str!("../../../../content/detections/linux/ssh-failed-login.yml");
    const FAILED: &str = "sshd[9]: Failed password for root from 192.0.2.7 port 4022 ssh2";

    /// The shipped rule on guessed passwords, with a canary.
    fn guessing() -> Policy {
        let canary = serde_json::json!({"rule": "Password guessing over SSH", "lines": [FAILED], "times": 5});
        let document = serde_json::json!({"kind": "Detection", "name": "d", "spec": {"sigma": GUESSING, "canaries": [canary]}});
        let documents = vec![Value::parse(&document.to_string()).unwrap()];
        Policy { wire: 1, etag: Digest::of_bytes(b"p"), documents, explained: Vec::new() }
    }

    fn noticed(told: Vec<Observation>) -> Vec<String> {
        let noticed = told.into_iter().filter_map(|observation| match observation {
            Observation::Noticed(noticed) => Some(noticed),
            _ => None,
        });
        noticed.flatten().map(|noticed| format!("{} {:?}", noticed.kind, noticed.state)).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    /// A watcher of a host with one log that knows its policy.
    fn watching(folder: &std::path::Path, policy: Policy) -> Watcher {
        let clock: Clock = Arc::new(|| at(0));
        let root = Root::at(folder).unwrap();
        let mut watcher = Watcher::new(&root, &[PathBuf::from("/auth.log")], Kept::default(), clock);
        watcher.collected = true;
        assert_eq!(noticed(watcher.command(Command::Assign(policy))), [""; 0]);
        watcher
    }

    #[test]
    fn a_rule_dies_when_its_log_can_not_be_read_any_more_and_comes_back_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("auth.log");
        std::fs::write(&log, "").unwrap();
        let mut watcher = watching(folder.path(), guessing());
        std::fs::remove_file(&log).unwrap();
        std::fs::create_dir(&log).unwrap();
        let mut look = |seconds| {
            watcher.sources(at(seconds));
            noticed(watcher.canaries(CANARIES_AT_ONCE, at(seconds)))
        };
        assert_eq!(look(10), [""; 0]);
        assert_eq!(look(80), ["canary Firing"]);
        std::fs::remove_dir(&log).unwrap();
        std::fs::write(&log, "").unwrap();
        assert_eq!(look(90), [""; 0]);
        assert_eq!(look(160), ["canary Resolved"]);
    }

    #[test]
    fn a_canary_counts_with_no_real_login_and_leaves_no_trace_on_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("auth.log");
        std::fs::write(&log, "").unwrap();
        let mut watcher = watching(folder.path(), guessing());
        let line = format!("Nov 23 20:34:38 h {FAILED}\n");
        let write = |times| {
            let mut text = std::fs::read_to_string(&log).unwrap();
            text += &line.repeat(times);
            std::fs::write(&log, &text).unwrap();
            text.len()
        };
        let size = write(4);
        assert_eq!(noticed(watcher.logs(at(3_601))), [""; 0]);
        assert_eq!(noticed(watcher.canaries(CANARIES_AT_ONCE, at(3_601))), [""; 0]);
        assert!(watcher.canaries.is_at_rest(), "it has run");
        assert_eq!(noticed(watcher.logs(at(3_602))), [""; 0], "four logins and a canary are four logins");
        assert_eq!(std::fs::metadata(folder.path().join("auth.log")).unwrap().len(), size as u64);
        write(1);
        assert_eq!(noticed(watcher.logs(at(3_603))), ["detection Firing"], "and the fifth is the fifth");
    }

    #[test]
    fn a_large_policy_is_proved_a_document_at_a_time_and_real_events_are_looked_at_between() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("auth.log");
        std::fs::write(&log, "").unwrap();
        let mut policy = guessing();
        let more = (0..4).map(|number| {
            let sigma = format!(
                "title: T{number}\nid: t{number}\nlevel: low\nlogsource: {{product: linux, service: app}}\n\
                 detection: {{s: {{message: hello}}, condition: s}}\n"
            );
            let canary = serde_json::json!({"rule": format!("t{number}"), "lines": ["app[1]: hello"]});
            let spec = serde_json::json!({"sigma": sigma, "canaries": [canary]});
            serde_json::json!({"kind": "Detection", "name": format!("d{number}"), "spec": spec})
        });
        policy.documents.extend(more.map(|document| Value::parse(&document.to_string()).unwrap()));
        let (documents, refused) = (policy.documents.len(), format!("Nov 23 20:34:38 h {FAILED}\n"));
        let mut watcher = watching(folder.path(), policy);
        std::fs::write(&log, refused.repeat(5)).unwrap();
        let mut taken = 1;
        while !watcher.canaries.is_at_rest() {
            if taken == 2 {
                let told = noticed(watcher.logs(at(1)));
                assert!(told.contains(&"detection Firing".to_owned()), "{told:?}");
                assert!(!watcher.canaries.is_at_rest(), "what is real does not wait for the rest");
            }
            assert_eq!(noticed(watcher.canaries(CANARIES_AT_ONCE, at(1))), [""; 0]);
            taken += 1;
        }
        assert_eq!(taken, documents, "one when the policy came, and one a look");
    }

    #[test]
    fn a_changed_file_and_a_refused_login_are_told_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("auth.log"), "").unwrap();
        let root = Root::at(folder.path()).unwrap();
        let clock: Clock = Arc::new(|| Timestamp::from_millis(1_000));
        let watcher = Watcher::new(&root, &[PathBuf::from("/auth.log")], Kept::default(), clock);
        let (commands, received) = channel();
        let (sender, told) = channel();
        commands.send(Command::Assign(policy())).unwrap();
        commands.send(Command::Collected).unwrap();
        let tell: Tell = Box::new(move |observation| sender.send(observation).is_ok());
        let thread = std::thread::spawn(move || watcher.run(&received, &tell));
        let next = || told.recv_timeout(Duration::from_secs(20)).unwrap();
        let Observation::Section { name: Name::Sources, found } = next() else { panic!("no sources") };
        assert_eq!(
            found.unwrap().body.to_canonical(),
            r#"{"sources":[{"place":"/auth.log","way":"log_file"}]}"#
        );
        let Observation::Canaries(_) = next() else { panic!("nothing of canaries") };
        let Observation::JudgedAll { looks, problems, .. } = next() else { panic!("no verdicts") };
        assert_eq!((looks[0].verdict, problems.len()), (Verdict::NotMet, 0));
        std::fs::write(folder.path().join("etc/motd"), "hello").unwrap();
        let Observation::Judged { looks, .. } = next() else { panic!("no change") };
        assert_eq!(looks[0].verdict, Verdict::Met);
        let line = "Nov 23 20:34:38 h sshd[9]: Failed password for root from 192.0.2.7 port 4022 ssh2\n";
        std::fs::write(folder.path().join("auth.log"), line).unwrap();
        let noticed = std::iter::repeat_with(next).find_map(|observation| match observation {
            Observation::Noticed(noticed) => Some(noticed),
            _ => None,
        });
        assert_eq!(noticed.unwrap()[0].kind, Kind::Detection);
        commands.send(Command::Stop).unwrap();
        thread.join().unwrap();
    }
}
