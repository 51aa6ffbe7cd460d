//! Tasks: everything that runs beside a request starts here, is named, and is waited for.

use std::future::Future;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The handle that starts tasks and joins them.
#[derive(Debug, Default)]
pub struct Tasks {
    running: Mutex<JoinSet<&'static str>>,
    stop: CancellationToken,
}

impl Tasks {
    /// Starts a task. It has to end soon after `stopped` does.
    pub async fn start(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let named = async move {
            task.await;
            name
        };
        self.running.lock().await.spawn(named);
    }

    /// The token that ends when everything has to stop.
    pub fn stopped(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task to stop, and waits until all have.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut running = self.running.lock().await;
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(name) => tracing::debug!(task.name = name, "stopped"),
                Err(error) => tracing::error!(task.error = %error, "a task did not end as it should"),
            }
        }
    }
}
