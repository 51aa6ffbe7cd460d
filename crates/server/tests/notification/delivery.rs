//! A receiver that can't be reached is an alert until it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use bartizan_core::monitoring::alert::Stage;
use bartizan_core::time::Timestamp;

use crate::House;

/// How far the server's clock was put forward, in milliseconds: nobody waits for a retry.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// More than the longest wait between two attempts.
const WAIT_MS: i64 = 16 * 60 * 1_000;

fn now() -> Timestamp {
    Timestamp::from_millis(crate::now().as_millis() + AHEAD.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_cannot_be_reached_is_an_alert_until_it_can() {
    let answers = Arc::new(AtomicU16::new(503));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let says = Arc::clone(&answers);
    let answer = move || {
        let status = StatusCode::from_u16(says.load(Ordering::SeqCst)).unwrap();
        async move { status }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    let house = House::start(now).await;
    house.route_to(&format!("http://{address}/")).await;
    house.disk_fills(now()).await;
    let nudges = house.app.web.nudges.clone();
    let later = || {
        AHEAD.fetch_add(WAIT_MS, Ordering::SeqCst);
        nudges.alerts_changed();
    };
    let alert = house.until("delivery", |alert| alert.stage == Stage::Open, later).await;
    assert_eq!((alert.group.environment.as_str(), alert.counts.firing), ("dev", 1));
    assert!(alert.summary.contains("pager of dev gets no notifications"), "{}", alert.summary);
    assert!(alert.summary.contains("503"), "{}", alert.summary);

    answers.store(200, Ordering::SeqCst);
    let ended = house.until("delivery", |alert| matches!(alert.stage, Stage::Resolved { .. }), later).await;
    assert_eq!(ended.id, alert.id, "what fails once more is the same alert");
    house.app.stop().await;
}
