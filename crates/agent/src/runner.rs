//! The runner: one thread that takes what was observed and answered, and decides what is said
//! next. It alone touches the agent's disk, but for the hand's book of orders. It never waits for the network: an exchange runs as a
//! task and comes back as an event.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::monitoring::signal::{Kind, Noticed, State as Standing};
use bartizan_core::severity::Severity;
use bartizan_ledger::checkpoint;
use bartizan_ledger::witness::{Refusal, Witness};
use bartizan_wire::checkin;
use bartizan_wire::policy::Policy;
use rand::RngCore;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::agent::{Problem, Settings, Status};
use crate::backoff::Backoff;
use crate::error::Error;
use crate::identity::{Identity, Key};
use crate::link::{self, Link, Nudge};
use crate::observe::{Clock, Observation, Observers};
use crate::order::{Acted, Hand};
use crate::outbox::Outbox;
use crate::spool::{Counts, Limits};
use crate::state::State;
use crate::tls;

mod exchange;
mod keep;
mod observation;

use keep::Keep;

pub(crate) use exchange::Done;

/// The file of the newest ledger checkpoint that was accepted.
const CHECKPOINT_FILE: &str = "checkpoint";

/// The file of a checkpoint that was refused, with the one that was held.
const FORK_FILE: &str = "fork";

/// The file of the order that was taken last.
const ORDER_FILE: &str = "order";

/// The file of the policy that was last given.
const POLICY_FILE: &str = "policy";

/// The pace before the server has set one.
const FIRST_PACE_MS: u32 = 10_000;

/// Bounds on the pace: a slip of the server must neither flood it nor silence us.
const PACE_MS: std::ops::RangeInclusive<u32> = 100..=3_600_000;

/// The longest sleep: what needs no event (a stream of nudges that ended) is seen by then.
const NAP: Duration = Duration::from_secs(10);

/// How long the exchange in flight may take once the agent stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// What the runner takes.
#[derive(Debug)]
pub(crate) enum Event {
    Observation(Observation),
    Acted(Acted),
    Done(Box<Done>),
    Nudged(Vec<Nudge>),
    Stop,
}

impl From<Observation> for Event {
    fn from(observation: Observation) -> Self {
        Event::Observation(observation)
    }
}

impl From<Acted> for Event {
    fn from(acted: Acted) -> Self {
        Event::Acted(acted)
    }
}

/// The agent's one deciding thread.
pub(crate) struct Runner {
    settings: Settings,
    pinned: Digest,
    clock: Clock,
    random: Box<dyn RngCore + Send>,
    handle: Handle,
    events: SyncSender<Event>,
    tell: watch::Sender<Status>,
    status: Status,
    state: State,
    key: Key,
    identity: Option<Identity>,
    link: Link,
    outbox: Outbox,
    observers: Option<Observers>,
    hand: Option<Hand>,
    orders: Orders,
    witness: Option<Witness>,
    policy: PolicyState,
    pending: Pending,
    nudges: Stream,
    keep: Keep,
}

/// The policy on its way to being judged by.
#[derive(Debug, Default)]
struct PolicyState {
    /// The one that the observers were given.
    assigned: Option<Digest>,
    /// The one that verdicts are by.
    judged: Option<Digest>,
    /// Whether one is to be fetched.
    due: bool,
    /// Whether the server was asked once, or there is one on disk.
    asked: bool,
    /// Whether every collector had a turn.
    collected: bool,
}

/// Orders on their way to the hand.
#[derive(Debug, Default)]
struct Orders {
    /// The generation that the server offers, to be fetched.
    offered: Option<u64>,
    /// Whether the hand has one.
    in_hand: bool,
}

/// What is in flight, and when the next exchange may begin.
#[derive(Debug)]
struct Pending {
    busy: bool,
    /// When it was last decided what to say.
    looked_at: Instant,
    backoff: Backoff,
    /// Reports that the server refused in a row.
    refusals: Backoff,
    not_before: Instant,
    check_in_at: Instant,
    checked_in: Instant,
    renew_not_before: Instant,
}

/// The stream of nudges.
#[derive(Debug)]
struct Stream {
    task: Option<JoinHandle<()>>,
    backoff: Backoff,
    open_at: Instant,
}

impl Runner {
    /// Opens everything that lies on disk.
    pub(crate) fn open(
        settings: Settings,
        clock: Clock,
        random: Box<dyn RngCore + Send>,
        handle: Handle,
        events: SyncSender<Event>,
        tell: watch::Sender<Status>,
    ) -> Result<Runner, Error> {
        let fingerprint = settings.authority_fingerprint.to_ascii_lowercase();
        let pinned: Digest = fingerprint.parse().map_err(|_| Error::Fingerprint(fingerprint))?;
        let state = State::open(&settings.folder)?;
        let key = Key::open(&state)?;
        let identity = Identity::open(&state, pinned)?;
        if identity.is_none() && settings.enrolment_key.is_none() {
            return Err(Error::NoKey);
        }
        let config = match &identity {
            Some(identity) => tls::enrolled(identity, &key)?,
            None => tls::pinning(pinned)?,
        };
        // reqwest's connection pool wants the runtime around it when it is made.
        let link = {
            let _inside = handle.enter();
            Link::new(&settings.server, config)?
        };
        let outbox = Outbox::open(state.path("spool"), Limits::default(), state.epoch())?;
        let witness = identity.as_ref().map(|identity| witness(&state, identity)).transpose()?;
        let now = Instant::now();
        let pending = Pending {
            busy: false,
            looked_at: now,
            backoff: Backoff::default(),
            refusals: Backoff::default(),
            not_before: now,
            check_in_at: now,
            checked_in: now,
            renew_not_before: now,
        };
        let status = Status {
            asset: identity.as_ref().map(|identity| identity.asset),
            pace_ms: FIRST_PACE_MS,
            ..Status::default()
        };
        let policy = PolicyState { due: true, ..PolicyState::default() };
        let nudges = Stream { task: None, backoff: Backoff::default(), open_at: now };
        Ok(Runner {
            settings,
            pinned,
            clock,
            random,
            handle,
            events,
            tell,
            status,
            state,
            key,
            identity,
            link,
            outbox,
            observers: None,
            hand: None,
            orders: Orders::default(),
            witness,
            policy,
            pending,
            nudges,
            keep: Keep::new(now),
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes the hand that carries orders out.
    pub(crate) fn act(&mut self, hand: Hand) {
        self.hand = Some(hand);
    }

    /// Where the hand keeps its book.
    pub(crate) fn book(&self) -> std::path::PathBuf {
        self.state.path(ORDER_FILE)
    }

    /// Takes the observers; they judge by the policy on disk at once.
    pub(crate) fn observe(&mut self, observers: Observers) {
        self.observers = Some(observers);
        let limit = bartizan_wire::PACKED_BYTES_LIMIT as u64;
        let kept = self.state.read_up_to(POLICY_FILE, limit).ok().flatten();
        // A policy that can't be read any more is fetched anew.
        if let Some(policy) = kept.and_then(|bytes| bartizan_wire::unpack_versioned::<Policy>(&bytes).ok()) {
            self.policy.asked = true;
            self.assign(policy);
        }
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self, events: &Receiver<Event>) {
        self.show();
        loop {
            let mut stop = false;
            match events.recv_timeout(self.nap()) {
                Ok(event) => stop |= self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = true,
            }
            // What came together is told together.
            while !stop {
                let Ok(event) = events.try_recv() else { break };
                stop |= self.take(event);
            }
            self.compose();
            self.keep(stop);
            if stop {
                return self.end(events);
            }
            self.exchange();
            self.show();
        }
    }

    /// Takes one event; whether it says to stop.
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Observation(observation) => self.observed(observation),
            Event::Acted(acted) => self.acted(acted),
            Event::Done(done) => self.done(*done),
            Event::Nudged(nudges) => {
                self.nudges.backoff.succeeded();
                for nudge in nudges {
                    match nudge {
                        Nudge::Policy => self.policy.due = true,
                        Nudge::Order => self.pending.check_in_at = Instant::now(),
                        Nudge::Report => {
                            self.pending.check_in_at = Instant::now();
                            self.observers.iter().for_each(Observers::hasten);
                        }
                    }
                }
            }
            Event::Stop => return true,
        }
        false
    }

    /// How long nothing has to be done but wait: what was due at the last look was begun then, or
    /// can't be begun before something comes in.
    fn nap(&self) -> Duration {
        let Pending { looked_at, not_before, check_in_at, .. } = self.pending;
        let stream = if self.nudges.task.is_none() { self.nudges.open_at } else { looked_at };
        let ahead = [not_before, check_in_at, stream].into_iter().filter(|at| *at > looked_at);
        ahead.min().map_or(NAP, |at| at.saturating_duration_since(Instant::now()).min(NAP))
    }

    /// Whether reports go out: the first one waits until everything was seen and judged once.
    fn is_ready(&self) -> bool {
        let PolicyState { assigned, judged, asked, collected, .. } = self.policy;
        self.identity.is_some() && collected && asked && assigned == judged && !self.status.clone
    }

    fn compose(&mut self) {
        if !self.is_ready() {
            return;
        }
        let now = (self.clock)();
        // A section too many for one report comes in the next; what a full spool drops is told anew.
        while match self.outbox.compose(now) {
            Ok(composed) => composed,
            Err(error) => {
                self.problem(Class::Unavailable, &error, None);
                false
            }
        } {}
    }

    fn assign(&mut self, policy: Policy) {
        if self.policy.assigned == Some(policy.etag) {
            return;
        }
        self.policy.assigned = Some(policy.etag);
        if let Some(observers) = &self.observers {
            observers.assign(policy);
        }
    }

    /// Shows a newer head of the ledger to the witness. What it refuses is kept as evidence.
    fn witness(&mut self, offered: &checkin::Checkpoint) {
        let Some(witness) = &mut self.witness else { return };
        match witness.accept(&offered.note, &offered.proof) {
            Ok(_) => {
                if let Some(newest) = witness.newest()
                    && let Err(error) = self.state.write(CHECKPOINT_FILE, newest.note().as_bytes())
                {
                    self.problem(error.class(), &error, None);
                }
            }
            Err(refusal @ (Refusal::Fork { .. } | Refusal::Shorter { .. })) => {
                let held = witness.newest().map(|newest| newest.note().to_owned()).unwrap_or_default();
                self.fork(&held, &offered.note, &refusal);
            }
            Err(refusal) => {
                let text = format!("a head of the ledger was not accepted: {refusal}");
                self.problem(refusal.class(), &text, None);
            }
        }
    }

    fn fork(&mut self, held: &str, offered: &str, refusal: &Refusal) {
        let evidence = format!("{held}\n{offered}");
        let known = self.state.read(FORK_FILE).ok().flatten();
        // The same pair again is the same signal: it is told once.
        if known.is_some_and(|known| known == evidence.as_bytes()) {
            return;
        }
        if let Err(error) = self.state.write(FORK_FILE, evidence.as_bytes()) {
            self.problem(error.class(), &error, None);
        }
        tracing::error!(ledger.problem = %refusal, "the ledger is not the one that this agent saw before");
        let signal = Noticed {
            kind: Kind::Fork,
            subject: "ledger".to_owned(),
            object: self.settings.server.clone(),
            state: Standing::Firing,
            severity: Severity::Critical,
            summary: refusal.to_string(),
            at: (self.clock)(),
            backlog: false,
        };
        self.noticed(vec![signal]);
    }

    /// Somebody gives orders who has not the key: the server is not the one that it was, or not alone.
    fn forged(&mut self, error: &crate::order::Error) {
        tracing::error!(order.problem = %error, "an order was not taken");
        let signal = Noticed {
            kind: Kind::Fork,
            subject: "orders".to_owned(),
            object: self.settings.server.clone(),
            state: Standing::Firing,
            severity: Severity::Critical,
            summary: error.to_string(),
            at: (self.clock)(),
            backlog: false,
        };
        self.noticed(vec![signal]);
    }

    fn noticed(&mut self, signals: Vec<Noticed>) {
        let dropped = self.outbox.composer.noticed(signals);
        self.lost(&dropped);
    }

    fn lost(&mut self, counts: &Counts) {
        if let Err(error) = self.outbox.dropped(counts) {
            self.problem(Class::Unavailable, &error, None);
        }
    }

    fn problem(&mut self, class: Class, text: &dyn std::fmt::Display, hint: Option<&str>) {
        let problem = Problem { class, text: text.to_string(), hint: hint.map(str::to_owned) };
        if self.status.problem.as_ref() != Some(&problem) {
            tracing::warn!(problem.hint = problem.hint.as_deref().unwrap_or(""), "{}", problem.text);
            self.status.problem = Some(problem);
        }
    }

    /// Shows how the agent stands to whoever watches.
    fn show(&mut self) {
        self.status.asset = self.identity.as_ref().map(|identity| identity.asset);
        self.status.spooled = self.outbox.waiting();
        self.status.lost.clone_from(self.outbox.lost());
        self.status.policy = self.policy.judged;
        self.tell.send_if_modified(|shown| {
            let changed = *shown != self.status;
            if changed {
                shown.clone_from(&self.status);
            }
            changed
        });
    }

    /// Stops observing; what is in flight may end.
    fn end(mut self, events: &Receiver<Event>) {
        if let Some(observers) = self.observers.take() {
            observers.stop();
        }
        if let Some(task) = self.nudges.task.take() {
            task.abort();
        }
        let limit = Instant::now() + DRAIN_LIMIT;
        while self.pending.busy {
            match events.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(event) => drop(self.take(event)),
                Err(_) => break,
            }
        }
        self.compose();
        self.keep(true);
        self.show();
    }
}

/// The witness of this server's ledger, from the checkpoint it kept.
fn witness(state: &State, identity: &Identity) -> Result<Witness, Error> {
    let key = checkpoint::Key::parse(&identity.ledger).map_err(Error::Ledger)?;
    let Some(note) = state.read(CHECKPOINT_FILE)? else { return Ok(Witness::new(key)) };
    let note = String::from_utf8_lossy(&note).into_owned();
    Witness::resume(key, &note).map_err(Error::Ledger)
}

/// Puts an event where the runner takes it, from a task: a task must not wait for room.
fn post(events: &SyncSender<Event>, event: Event) {
    if let Err(TrySendError::Full(event)) = events.try_send(event) {
        let events = events.clone();
        tokio::task::spawn_blocking(move || drop(events.send(event)));
    }
}
