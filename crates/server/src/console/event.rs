//! News for open pages: "look again", at most twice a second. It carries nothing.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::Method;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures::{Stream, StreamExt as _, stream};

use crate::auth::READERS;
use crate::web::{Route, Web};

/// The shortest time between two pieces of news: many reports at once are one.
const PACE: Duration = Duration::from_millis(500);

/// How long one stream lasts; a browser asks anew, and its session is looked at again.
const STREAM_LIMIT: Duration = Duration::from_secs(15 * 60);

pub(super) fn routes() -> Vec<Route> {
    vec![Route {
        method: Method::GET,
        path: "/events",
        roles: Some(READERS),
        summary: None,
        handler: get(|State(web): State<Web>| async move { events(&web).into_response() }),
    }]
}

fn events(web: &Web) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let mut shown = web.nudges.shown();
    shown.mark_unchanged();
    let stopped = web.nudges.stopped();
    let ends = async move {
        tokio::select! {
            () = stopped => {}
            () = tokio::time::sleep(STREAM_LIMIT) => {}
        }
    };
    // The first goes out at once, with nothing in it: it opens the stream.
    let opened = stream::once(async { Ok(Event::default().comment("open")) });
    let news = stream::unfold((shown, None), |(mut shown, last)| async move {
        if let Some(last) = last {
            tokio::time::sleep_until(last + PACE).await;
        }
        shown.changed().await.ok()?;
        // A browser drops an event without data.
        let event = Event::default().event("shown").data("look");
        Some((Ok(event), (shown, Some(tokio::time::Instant::now()))))
    });
    Sse::new(opened.chain(news).take_until(ends)).keep_alive(KeepAlive::default())
}
