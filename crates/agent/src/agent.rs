//! The door: an agent that runs until it is told to stop.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use bartizan_core::digest::Digest;
use bartizan_core::error::Class;
use bartizan_core::id::AssetId;
use bartizan_core::time::Timestamp;
use bartizan_probe::root::Root;
use rand::RngCore;
use tokio::sync::{oneshot, watch};

use crate::error::Error;
use crate::observe::{Clock, Observers};
use crate::order::Hand;
use crate::runner::{Event, Runner};
use crate::spool::{Counts, Place};

/// How many events may wait: observers wait where more would.
const EVENTS_LIMIT: usize = 256;

/// What an agent needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its state lies; one folder is for one agent.
    pub folder: PathBuf,
    /// The server's listener for agents: `https://host:8444`.
    pub server: String,
    /// `sha256:` and the hexadecimal SHA-256 of the authority's certificate (DER).
    pub authority_fingerprint: String,
    /// The secret of an enrolment key; needed until the agent is enrolled.
    pub enrolment_key: Option<String>,
    /// What the host calls itself.
    pub name: String,
    /// The host that is observed.
    pub root: Root,
    /// Log files that detections follow.
    pub logs: Vec<PathBuf>,
    /// The host's own file, which says what the agent may do beside observing.
    pub local: PathBuf,
}

/// How an agent stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The asset that it is; none before it is enrolled.
    pub asset: Option<AssetId>,
    /// The last report that the server has.
    pub acknowledged: Option<Place>,
    /// When it heard from the server last.
    pub heard_at: Option<Timestamp>,
    /// Reports that wait.
    pub spooled: usize,
    /// What was lost, and is not acknowledged as lost yet.
    pub lost: Counts,
    /// Milliseconds between check-ins, as the server last set them.
    pub pace_ms: u32,
    /// The policy that it judges by.
    pub policy: Option<Digest>,
    /// Another machine reports as this asset: it has stopped reporting until a person decides.
    pub clone: bool,
    /// What stands in its way now.
    pub problem: Option<Problem>,
}

/// What stands in an agent's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub class: Class,
    pub text: String,
    pub hint: Option<String>,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    events: SyncSender<Event>,
    status: watch::Receiver<Status>,
    over: oneshot::Receiver<()>,
}

impl Agent {
    /// Opens the state and starts observing, enrolling and reporting. What is sent runs on the
    /// current tokio runtime; everything that may block runs on threads of the agent's own.
    pub fn start(settings: Settings, clock: Clock, random: Box<dyn RngCore + Send>) -> Result<Agent, Error> {
        let handle = tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let (events, received) = sync_channel(EVENTS_LIMIT);
        let (tell, status) = watch::channel(Status::default());
        let mut runner = Runner::open(settings, clock, random, handle, events.clone(), tell)?;
        let kept = runner.kept();
        let settings = runner.settings();
        let observers = Observers::start(&settings.root, &settings.logs, kept, runner.clock(), &events)
            .map_err(Error::Thread)?;
        runner.observe(observers);
        let hand = Hand::start(
            runner.settings().root.clone(),
            runner.book(),
            runner.settings().local.clone(),
            Clock::clone(runner.clock()),
            events.clone(),
        );
        runner.act(hand.map_err(Error::Thread)?);
        let (done, over) = oneshot::channel();
        let run = move || {
            runner.run(&received);
            // Nobody waits where the agent was dropped.
            let _ = done.send(());
        };
        std::thread::Builder::new().name("bartizan-agent".to_owned()).spawn(run).map_err(Error::Thread)?;
        Ok(Agent { events, status, over })
    }

    /// How the agent stands, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Stops observing, lets the exchange in flight end, and leaves the rest on disk.
    pub async fn stop(mut self) {
        tell_stop(&self.events);
        // An error says that the thread is gone already.
        let _ = (&mut self.over).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        tell_stop(&self.events);
    }
}

fn tell_stop(events: &SyncSender<Event>) {
    if let Err(TrySendError::Full(event)) = events.try_send(Event::Stop) {
        let events = events.clone();
        // The runner takes events one by one; a thread waits for room so that nobody else has to.
        let _ = std::thread::Builder::new().spawn(move || events.send(event));
    }
}
