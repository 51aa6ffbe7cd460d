//! The batcher: what arrives together is committed together.

use std::future::Future;
use std::sync::Arc;

use bartizan_core::error::Class;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;
use crate::tasks::Tasks;

/// How many may wait: beyond it whoever sends waits, and so sends less.
const QUEUE_LIMIT: usize = 4_096;

/// How often what clashed with another replica is tried again.
const TRIES_LIMIT: u32 = 20;

type Sender<O> = oneshot::Sender<Result<O, Problem>>;

type Waiting<T, O> = (T, Sender<O>);

/// Where things wait for their transaction.
#[derive(Debug)]
pub(super) struct Batcher<T, O>(mpsc::Sender<Waiting<T, O>>);

impl<T, O> Clone for Batcher<T, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + Sync + 'static, O: Send + 'static> Batcher<T, O> {
    /// A batcher whose task commits at most `limit` at once by `work`, which gives an outcome for each, or
    /// an error for all of them; it ends when the tasks stop.
    pub(super) async fn start<W, F>(name: &'static str, limit: usize, work: W, tasks: &Tasks) -> Self
    where
        W: Fn(Arc<Vec<T>>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<O>, bartizan_store::Error>> + Send,
    {
        let (sender, receiver) = mpsc::channel(QUEUE_LIMIT);
        let stop = tasks.stopped();
        tasks.start(name, async move { run(limit, &work, receiver, stop).await }).await;
        Self(sender)
    }

    /// Commits one, with whatever others wait; returns when it is durable.
    pub(super) async fn commit(&self, one: T) -> Result<O, Problem> {
        let stopping = || Problem::new(Class::Unavailable, "the server is stopping; send it again later");
        let (sender, receiver) = oneshot::channel();
        self.0.send((one, sender)).await.map_err(|_| stopping())?;
        receiver.await.map_err(|_| stopping())?
    }
}

async fn run<T, O, W, F>(
    limit: usize,
    work: &W,
    mut receiver: mpsc::Receiver<Waiting<T, O>>,
    stop: CancellationToken,
) where
    W: Fn(Arc<Vec<T>>) -> F,
    F: Future<Output = Result<Vec<O>, bartizan_store::Error>>,
{
    let mut waiting = Vec::with_capacity(limit);
    loop {
        let received = tokio::select! {
            received = receiver.recv_many(&mut waiting, limit) => received,
            () = stop.cancelled() => break,
        };
        if received == 0 {
            break;
        }
        let (all, senders): (Vec<T>, Vec<_>) = waiting.drain(..).unzip();
        let all = Arc::new(all);
        match commit(work, Arc::clone(&all)).await {
            Ok(outcomes) => {
                for (sender, outcome) in senders.into_iter().zip(outcomes) {
                    // Whoever sent it may be gone; it is durable all the same.
                    let _ = sender.send(Ok(outcome));
                }
            }
            Err(Failed { problem, is_of_content: true }) => alone(work, all, senders, &problem).await,
            Err(Failed { problem, .. }) => {
                for sender in senders {
                    let _ = sender.send(Err(problem.clone()));
                }
            }
        }
    }
}

/// Commits each by itself after they failed together: what one of them holds must not fail the others.
async fn alone<T, O, W, F>(work: &W, all: Arc<Vec<T>>, senders: Vec<Sender<O>>, problem: &Problem)
where
    W: Fn(Arc<Vec<T>>) -> F,
    F: Future<Output = Result<Vec<O>, bartizan_store::Error>>,
{
    // Whoever worked on them has let go of them; else there is no telling them apart.
    let all = Arc::into_inner(all).filter(|all| all.len() > 1).unwrap_or_default();
    let mut senders = senders.into_iter();
    for (one, sender) in all.into_iter().zip(senders.by_ref()) {
        let outcome = commit(work, Arc::new(vec![one])).await.map_err(|failed| failed.problem);
        let outcome = outcome.and_then(|outcomes| outcomes.into_iter().next().ok_or_else(|| problem.clone()));
        let _ = sender.send(outcome);
    }
    for sender in senders {
        let _ = sender.send(Err(problem.clone()));
    }
}

/// Why a batch was not committed.
struct Failed {
    problem: Problem,
    /// Whether one of them may be to blame for all.
    is_of_content: bool,
}

async fn commit<T, O, W, F>(work: &W, all: Arc<Vec<T>>) -> Result<Vec<O>, Failed>
where
    W: Fn(Arc<Vec<T>>) -> F,
    F: Future<Output = Result<Vec<O>, bartizan_store::Error>>,
{
    for _ in 0..TRIES_LIMIT {
        match work(Arc::clone(&all)).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(error) if error.class() == Class::Conflict => {}
            Err(error) => {
                let is_of_content = error.is_of_content();
                return Err(Failed { problem: Problem::from(error), is_of_content });
            }
        }
    }
    let problem = Problem::new(Class::Unavailable, "other replicas were quicker each time; send it again");
    Err(Failed { problem, is_of_content: false })
}

#[cfg(test)]
mod tests {
    use bartizan_store::Error;

    use super::*;

    #[tokio::test]
    async fn one_whose_content_fails_does_not_fail_those_beside_it() {
        let broken = |all: &[u32]| all.contains(&13);
        let work = move |all: Arc<Vec<u32>>| async move {
            if broken(&all) {
                return Err(Error::Corrupt { what: "a report", problem: "thirteen".to_owned() });
            }
            // Each is told how many were committed with it.
            Ok(vec![all.len(); all.len()])
        };
        let tasks = Tasks::default();
        let batcher = Batcher::start("test", 8, work, &tasks).await;
        let good = tokio::join!(batcher.commit(1), batcher.commit(2));
        assert_eq!((good.0.unwrap(), good.1.unwrap()), (2, 2), "what comes together is one batch");
        let (one, broken, two) = tokio::join!(batcher.commit(1), batcher.commit(13), batcher.commit(2));
        assert_eq!((one.unwrap(), two.unwrap()), (1, 1), "they are committed one by one");
        assert!(broken.is_err());
        assert!(batcher.commit(13).await.is_err(), "alone it is tried once");
        tasks.stop().await;
    }

    #[tokio::test]
    async fn where_nobody_reaches_the_store_none_is_tried_by_itself() {
        let tries = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let work = move |_: Arc<Vec<u32>>| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async { Err::<Vec<usize>, _>(Error::NotDurable("off".to_owned())) }
        };
        let tasks = Tasks::default();
        let batcher = Batcher::start("test", 8, work, &tasks).await;
        let (one, two) = tokio::join!(batcher.commit(1), batcher.commit(2));
        assert!(one.is_err() && two.is_err());
        assert_eq!(tries.load(std::sync::atomic::Ordering::SeqCst), 1);
        tasks.stop().await;
    }
}
