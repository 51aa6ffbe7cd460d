//! Nudges: one long answer that tells an agent to look now. Losing one costs latency alone.

use std::convert::Infallible;
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

/// A word each time there is something new: `policy`.
pub(super) async fn nudges(
    State(state): State<Intake>,
    Extension(connection): Extension<Connection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    state.admitted(&connection).await?;
    let words = WatchStream::from_changes(state.nudges.policies_changed())
        .map(|_| Ok(Event::default().data("policy")))
        .take_until(state.nudges.stopped());
    Ok(Sse::new(words).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
