//! Stages: what is derived from what was reported, each by one writer.
//!
//! A stage takes no input. A nudge or a timer wakes it; it reads past its cursor, calls a pure
//! function of `core`, commits output and cursor in one transaction, nudges the next. Losing
//! every nudge costs latency, never truth.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bartizan_core::error::Class;
use bartizan_store::Store;
use bartizan_store::decision::{Decision, Outcome};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::ambient::Ambient;
use crate::channels::Channels;
use crate::intake::Pacing;
use crate::intake::last_seen::LastSeen;
use crate::keys::Keys;
use crate::nudge::{Nudges, Stages};
use crate::order::Orders;
use crate::policy::Policies;
use crate::tasks::Tasks;

mod absence;
pub mod acceptance;
pub mod alert;
pub(crate) mod asset;
pub mod change;
pub(crate) mod drift;
pub(crate) mod finding;
pub mod incident;
mod ledger;
pub mod matching;
mod notification;
mod order;
pub(crate) mod person;
mod posture;
mod retention;
pub(crate) mod review;
mod trend;

/// The acts that stages other than the alert stage rule on, by how their names begin.
const OWNED_ACTS: [&str; 9] = [
    acceptance::ACTS,
    asset::ACTS,
    change::ACTS,
    change::DECLARATIONS,
    drift::ACTS,
    finding::ACTS,
    incident::ACTS,
    person::ACTS,
    review::ACTS,
];

/// How long a stage that was not nudged sleeps at most.
const TIMER: Duration = Duration::from_secs(2);

/// How long a stage waits after its store stood in the way.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What stages work with.
#[derive(Clone, Debug)]
pub struct Context {
    pub store: Store,
    pub ambient: Ambient,
    pub keys: Arc<Keys>,
    pub nudges: Nudges,
    pub policies: Policies,
    pub orders: Orders,
    pub last_seen: LastSeen,
    pub stale: crate::stale::Stale,
    pub channels: Channels,
    pub feeds: matching::Feeds,
    pub pacing: Pacing,
}

/// What one look brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// There may be more: look again at once.
    More,
    /// Nothing waits.
    Done,
    /// Something is due then, if nobody nudges before.
    In(Duration),
}

/// Why a look came to nothing; the next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] bartizan_store::Error),
    #[error("{0}")]
    Other(String),
}

/// How the stage that owns an act would rule on it now. Nothing is written.
pub(crate) async fn rehearse(context: &Context, decision: &Decision) -> Result<Outcome, Error> {
    let is = |acts: &str| decision.act.starts_with(acts);
    if is(acceptance::ACTS) {
        acceptance::rehearse(context, decision).await
    } else if is(asset::ACTS) {
        asset::rehearse(context, decision).await
    } else if is(change::ACTS) || is(change::DECLARATIONS) {
        change::rehearse(context, decision).await
    } else if is(drift::ACTS) {
        drift::rehearse(context, decision).await
    } else if is(finding::ACTS) {
        finding::rehearse(context, decision).await
    } else if is(incident::ACTS) {
        incident::rehearse(context, decision).await
    } else if is(person::ACTS) {
        person::rehearse(context, decision).await
    } else if is(review::ACTS) {
        review::rehearse(context, decision).await
    } else {
        alert::rehearse(context, decision).await
    }
}

/// Starts every stage.
pub async fn start(context: &Context, tasks: &Tasks) {
    let stop = tasks.stopped();
    spawn("posture", context, tasks, &stop, |bells| &bells.posture, posture::look).await;
    spawn("matching", context, tasks, &stop, |bells| &bells.matching, matching::look).await;
    let memory = acceptance::Memory::default();
    let acceptances = move |context| acceptance::look(context, Arc::clone(&memory));
    spawn("acceptance", context, tasks, &stop, |bells| &bells.acceptance, acceptances).await;
    spawn("alert", context, tasks, &stop, |bells| &bells.alert, alert::look).await;
    spawn("asset", context, tasks, &stop, |bells| &bells.asset, asset::look).await;
    spawn("change", context, tasks, &stop, |bells| &bells.change, change::look).await;
    spawn("drift", context, tasks, &stop, |bells| &bells.drift, drift::look).await;
    spawn("person", context, tasks, &stop, |bells| &bells.person, person::look).await;
    spawn("incident", context, tasks, &stop, |bells| &bells.incident, incident::look).await;
    let memory = Arc::default();
    let findings = move |context| finding::look(context, Arc::clone(&memory));
    spawn("finding", context, tasks, &stop, |bells| &bells.finding, findings).await;
    let told = notification::route::Told::default();
    let notifications = move |context| notification::look(context, Arc::clone(&told));
    spawn("notification", context, tasks, &stop, |bells| &bells.notification, notifications).await;
    let memory = Arc::default();
    let orders = move |context| order::look(context, Arc::clone(&memory));
    spawn("order", context, tasks, &stop, |bells| &bells.order, orders).await;
    let memory = review::Memory::default();
    let reviews = move |context| review::look(context, Arc::clone(&memory));
    spawn("review", context, tasks, &stop, |bells| &bells.review, reviews).await;
    spawn("ledger", context, tasks, &stop, |bells| &bells.ledger, ledger::look).await;
    let (retention, ends) = (context.clone(), stop.clone());
    tasks.start("retention", async move { retention::run(retention, ends).await }).await;
    let (absence, ends) = (context.clone(), stop.clone());
    tasks.start("absence", async move { absence::run(absence, ends).await }).await;
    let context = context.clone();
    tasks.start("trend", async move { trend::run(context, stop).await }).await;
}

async fn spawn<F, L>(
    name: &'static str,
    context: &Context,
    tasks: &Tasks,
    stop: &CancellationToken,
    bell: fn(&Stages) -> &Notify,
    look: L,
) where
    F: Future<Output = Result<Look, Error>> + Send,
    L: Fn(Context) -> F + Send + Sync + 'static,
{
    let (context, stop) = (context.clone(), stop.clone());
    let task = async move {
        while !stop.is_cancelled() {
            let wait = match look(context.clone()).await {
                Ok(Look::More) => continue,
                Ok(Look::Done) => TIMER,
                Ok(Look::In(wait)) => wait.min(TIMER),
                // Another replica did it: what is left is found by looking again.
                Err(Error::Store(error)) if error.class() == Class::Conflict => continue,
                Err(error) => {
                    tracing::error!(stage.name = name, error = %error, "a look came to nothing");
                    BACK_OFF
                }
            };
            tokio::select! {
                () = bell(context.nudges.stages()).notified() => {}
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
    };
    tasks.start(name, task).await;
}
