//! The batcher: reports that arrive together are committed together.

use bartizan_core::error::Class;
use bartizan_store::Store;
use bartizan_store::report::{BATCH_LIMIT, Outcome, Report};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::nudge::Nudges;
use crate::problem::Problem;
use crate::tasks::Tasks;

/// How many reports may wait: beyond it whoever sends waits, and so sends less.
const QUEUE_LIMIT: usize = 4_096;

/// How often reports that clashed with another replica's are tried again.
const TRIES_LIMIT: u32 = 20;

type Waiting = (Report, oneshot::Sender<Result<Outcome, Problem>>);

/// Where reports wait for their transaction.
#[derive(Clone, Debug)]
pub(super) struct Batcher(mpsc::Sender<Waiting>);

impl Batcher {
    pub(super) async fn start(store: Store, nudges: Nudges, tasks: &Tasks) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_LIMIT);
        let stop = tasks.stopped();
        tasks.start("intake batcher", async move { run(store, nudges, receiver, stop).await }).await;
        Self(sender)
    }

    /// Commits a report, with whatever others wait; returns when it is durable.
    pub(super) async fn commit(&self, report: Report) -> Result<Outcome, Problem> {
        let stopping = || Problem::new(Class::Unavailable, "the server is stopping; send it again later");
        let (sender, receiver) = oneshot::channel();
        self.0.send((report, sender)).await.map_err(|_| stopping())?;
        receiver.await.map_err(|_| stopping())?
    }
}

async fn run(store: Store, nudges: Nudges, mut receiver: mpsc::Receiver<Waiting>, stop: CancellationToken) {
    let mut waiting = Vec::with_capacity(BATCH_LIMIT);
    loop {
        let received = tokio::select! {
            received = receiver.recv_many(&mut waiting, BATCH_LIMIT) => received,
            () = stop.cancelled() => break,
        };
        if received == 0 {
            break;
        }
        let (reports, senders): (Vec<Report>, Vec<_>) = waiting.drain(..).unzip();
        let outcomes = commit(&store, &reports).await;
        for (sender, outcome) in senders.into_iter().zip(outcomes) {
            // Whoever sent it may be gone; the report is durable all the same.
            let _ = sender.send(outcome);
        }
        nudges.transitions();
    }
}

async fn commit(store: &Store, reports: &[Report]) -> Vec<Result<Outcome, Problem>> {
    for _ in 0..TRIES_LIMIT {
        match store.commit_reports(reports).await {
            Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
            Err(error) if error.class() == Class::Conflict => {}
            Err(error) => {
                let problem = Problem::from(error);
                return reports.iter().map(|_| Err(problem.clone())).collect();
            }
        }
    }
    let busy = Problem::new(Class::Unavailable, "other replicas were quicker each time; send it again");
    reports.iter().map(|_| Err(busy.clone())).collect()
}
