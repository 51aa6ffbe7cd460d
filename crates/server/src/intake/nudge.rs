//! Nudges: one long answer that tells an agent to look now. Losing one costs latency alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use tokio_stream::wrappers::WatchStream;

use super::Intake;
use crate::listener::Connection;
use crate::problem::Problem;

/// How often an idle line says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A word each time there is something new: `policy`; `order` where there is one for this agent. It ends when the
/// agent's asset is retired.
pub(super) async fn nudges(
    State(state): State<Intake>,
    Extension(connection): Extension<Connection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let number = state.admitted(&connection).await?.number;
    let policies = WatchStream::from_changes(state.nudges.policies_changed())
        .map(|_| Ok(Event::default().data("policy")));
    let (orders, told) = (state.orders.clone(), Arc::new(AtomicU64::new(0)));
    let news = WatchStream::from_changes(state.nudges.orders_changed()).filter_map(move |_| {
        let (orders, told) = (orders.clone(), Arc::clone(&told));
        async move {
            // A store that can't be read costs latency: the next check-in asks again.
            let open = orders.of(number).await.ok().flatten()?;
            // Each order once; generations of an asset only grow.
            (told.fetch_max(open, Ordering::Relaxed) < open).then(|| Ok(Event::default().data("order")))
        }
    });
    let words = futures::stream::select(policies, news).take_until(state.nudges.stopped());
    let words = words.take_until(state.nudges.retires(number));
    Ok(Sse::new(words).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
