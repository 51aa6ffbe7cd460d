//! One simulated host at work: it checks in at the server's pace, follows its policy, and does what
//! its story says.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bartizan_agent::canary::{self, Packed, Sight, View};
use bartizan_agent::link::Nudges;
use bartizan_agent::{detection, health};
use bartizan_core::document::Document;
use bartizan_core::monitoring::health::{Health, Measure, Quantity};
use bartizan_core::monitoring::signal::Noticed;
use bartizan_core::time::Timestamp;
use bartizan_detect::detector::Detector;
use bartizan_detect::rules::{self, Rules};
use bartizan_detect::syslog;
use bartizan_probe::measure::Reading;
use bartizan_probe::root::Root;
use bartizan_server::ambient::Ambient;
use bartizan_wire::policy::Policy;
use bartizan_wire::report::Outcome;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Error;
use super::facts::{self, Standing};
use super::judge::Bench;
use super::population::Plan;
use crate::host::{Facts, Host, Way};

/// What the story did to a host, in its folder: a later start finds it so.
const STANDING: &str = "standing.json";

/// How long a host waits after the server could not be reached: as long as it may take to come back.
const BACK_OFF: Duration = Duration::from_secs(5);

/// What befalls a host.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// It breaks a rule, named `BASELINE/RULE`.
    Breaks(String),
    /// These lines come into its authentication log.
    Logs(Vec<String>),
    /// A file system is full to so many per cent.
    Fills { mount: String, percent: i64 },
    /// A source package is at this version now.
    Updates { source: String, version: String },
    /// It says nothing any more.
    FallsSilent,
}

/// An event, and where it is told that the server has it.
pub(super) type Order = (Event, oneshot::Sender<Result<(), Error>>);

/// One host with all that it needs.
pub(super) struct Resident {
    plan: Plan,
    host: Host,
    folder: PathBuf,
    bench: Bench,
    ambient: Ambient,
    started: Timestamp,
    standing: Standing,
    policy: Option<Policy>,
    documents: Vec<Document>,
    /// Made with the first line that a log gets.
    detection: Option<detection::Watch>,
    /// Made with the first reading.
    health: Option<health::Watch>,
    canaries: canary::Watch,
}

/// What a resident starts with.
pub(super) struct Home {
    pub(super) plan: Plan,
    pub(super) folder: PathBuf,
    pub(super) way: Way,
    pub(super) bench: Bench,
    pub(super) ambient: Ambient,
    pub(super) started: Timestamp,
}

impl Resident {
    /// Enrols where it has not, fetches its policy and tells everything once; none where it fell
    /// silent in an earlier start.
    pub(super) async fn settle(home: Home) -> Result<Option<Resident>, Error> {
        let Home { plan, folder, way, bench, ambient, started } = home;
        let standing = match std::fs::read(folder.join(STANDING)) {
            Ok(text) => serde_json::from_slice(&text).map_err(Error::Shipped)?,
            // Nothing has befallen it yet.
            Err(_) => Standing::default(),
        };
        if standing.silent {
            return Ok(None);
        }
        let host = Host::open(&folder, &plan.name, &way).await?;
        let mut resident = Resident {
            plan,
            host,
            folder,
            bench,
            ambient,
            started,
            standing,
            policy: None,
            documents: Vec::new(),
            detection: None,
            health: None,
            canaries: canary::Watch::default(),
        };
        resident.follow().await?;
        let found = resident.prove();
        resident.report(found).await?;
        Ok(Some(resident))
    }

    /// Checks in until nobody gives orders any more.
    pub(super) async fn live(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut nudges = self.host.nudges().await.ok();
        let mut next = Instant::now();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    None => return,
                    Some((Event::FallsSilent, told)) => {
                        self.standing.silent = true;
                        let _ = told.send(self.keep());
                        // Nothing is heard of it: its orders are taken, and nothing is done.
                        while orders.recv().await.is_some() {}
                        return;
                    }
                    Some((event, told)) => {
                        let done = self.befall(event).await;
                        // Whoever gave the order may have gone.
                        let _ = told.send(done);
                    }
                },
                () = nudged(&mut nudges) => self.catch_up().await,
                () = tokio::time::sleep_until(next) => next = Instant::now() + self.check_in().await,
            }
        }
    }

    /// Checks in; gives when to do so again.
    async fn check_in(&mut self) -> Duration {
        match self.host.heartbeat(self.ambient.now()).await {
            Ok(answer) => {
                if self.policy.as_ref().is_none_or(|held| held.etag != answer.policy) {
                    self.catch_up().await;
                }
                Duration::from_millis(answer.pace.next_ms.into())
            }
            Err(_) => BACK_OFF,
        }
    }

    /// Takes the policy that there is now, and tells how it stands by it.
    async fn catch_up(&mut self) {
        let told = match self.follow().await {
            Ok(true) => {
                let found = self.prove();
                self.report(found).await
            }
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        // The next check-in finds what was missed.
        let _ = told;
    }

    /// Whether there was another policy.
    async fn follow(&mut self) -> Result<bool, Error> {
        let held = self.policy.as_ref().map(|policy| policy.etag);
        let Some(policy) = self.host.policy(held).await? else { return Ok(false) };
        let read = |written: &bartizan_core::canonical::Value| {
            // What can't be read is no document that a host could follow.
            Document::from_value("policy", written.clone()).ok()
        };
        self.documents = policy.documents.iter().filter_map(read).collect();
        self.canaries.assign(self.documents.iter().filter_map(Packed::of).collect());
        self.policy = Some(policy);
        (self.detection, self.health) = (None, None);
        Ok(true)
    }

    /// Proves by their canaries that the rules of the policy can fire, as an agent does.
    fn prove(&mut self) -> Vec<Noticed> {
        let now = self.ambient.now();
        // A made-up host has a log of who signs in, and each program that starts (`facts`).
        let view = View { files: Sight::Seen, starts: Sight::Seen, ..View::default() };
        self.canaries.see(view, now);
        self.canaries.step(usize::MAX, now).noticed
    }

    async fn befall(&mut self, event: Event) -> Result<(), Error> {
        let now = self.ambient.now();
        let signals = match event {
            Event::Breaks(rule) => {
                self.standing.broken.push(rule);
                Vec::new()
            }
            Event::Updates { source, version } => {
                self.standing.updated.insert(source, version);
                Vec::new()
            }
            Event::Logs(lines) => self.detect(&lines, now)?,
            Event::Fills { mount, percent } => self.measure(mount, percent, now)?,
            Event::FallsSilent => Vec::new(),
        };
        self.keep()?;
        self.report(signals).await
    }

    /// Writes down how it stands.
    fn keep(&self) -> Result<(), Error> {
        let path = self.folder.join(STANDING);
        let text = serde_json::to_vec(&self.standing).map_err(Error::Shipped)?;
        std::fs::write(&path, text).map_err(|source| Error::Disk { path, source })
    }

    /// Tries lines of a log against the rules of the policy, as an agent does.
    fn detect(&mut self, lines: &[String], now: Timestamp) -> Result<Vec<Noticed>, Error> {
        let watch = match &mut self.detection {
            Some(watch) => watch,
            empty => {
                let mut rules = Rules::default();
                for document in self.documents.iter().filter(|document| document.kind == rules::KIND) {
                    rules.read_document(document)?;
                }
                let root = Root::at(&self.folder).map_err(|error| Error::Root(error.to_string()))?;
                empty.insert(detection::Watch::new(&root, Detector::new(&rules)?, &[], None))
            }
        };
        let mut noticed = Vec::new();
        for line in lines.iter().filter_map(|line| syslog::split(line)) {
            noticed.extend(watch.try_event(&syslog::event(&line, now)).noticed);
        }
        Ok(noticed)
    }

    /// Tries a reading against the thresholds of the policy, as an agent does.
    fn measure(&mut self, mount: String, percent: i64, now: Timestamp) -> Result<Vec<Noticed>, Error> {
        let watch = match &mut self.health {
            Some(watch) => watch,
            empty => {
                let documents = self.documents.iter().filter(|document| document.kind == "Health");
                let health: Result<Vec<Health>, _> = documents.map(Health::from_document).collect();
                // It was well when the demo began.
                let mut watch = health::Watch::new(Some(BTreeSet::new()));
                watch.assign(&health?, now);
                empty.insert(watch)
            }
        };
        let value = Ok(Quantity::Share(percent * 100));
        Ok(watch.step(&[Reading { measure: Measure::DiskUsed, object: mount, value }], now))
    }

    async fn report(&mut self, signals: Vec<Noticed>) -> Result<(), Error> {
        let sections = facts::sections(&self.plan, &self.standing, self.started)?;
        let verdicts = self.bench.verdicts(&self.plan, &self.documents, &self.standing.broken);
        let report = self.host.compose(Facts { sections, verdicts }, signals, self.ambient.now());
        match self.host.send(&report).await? {
            Outcome::Committed { .. } | Outcome::Known => Ok(()),
            Outcome::Clone => Err(Error::Report("another host reports as this one".to_owned())),
            Outcome::Refused { problem } => Err(Error::Report(problem)),
        }
    }
}

/// Waits for a nudge. Where the line is closed it waits for ever: a check-in finds the same.
async fn nudged(nudges: &mut Option<Nudges>) {
    if let Some(open) = nudges
        && open.next().await.is_some()
    {
        return;
    }
    *nudges = None;
    std::future::pending().await
}
