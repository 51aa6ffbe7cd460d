//! A receiver that can't be reached is an alert until it can.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use bartizan_core::document;
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::alert::{Alert, Stage};
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::selector::Labels;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// How far the server's clock was put forward, in milliseconds: nobody waits for a retry.
static AHEAD: AtomicI64 = AtomicI64::new(0);

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let ahead = AHEAD.load(Ordering::SeqCst);
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap() + ahead)
}

/// The alert on deliveries once it stands so. The clock goes on after each attempt that is shown.
async fn until(app: &App, good: impl Fn(&Alert) -> bool) -> Alert {
    let mut shown = app.web.nudges.shown();
    let found = async {
        loop {
            let alerts = app.web.store.alerts(false, 100).await.unwrap();
            if let Some(alert) =
                alerts.into_iter().find(|alert| alert.group.subject == "delivery" && good(alert))
            {
                return alert;
            }
            shown.changed().await.unwrap();
            AHEAD.fetch_add(16 * 60 * 1_000, Ordering::SeqCst);
            app.web.nudges.alerts_changed();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_cannot_be_reached_is_an_alert_until_it_can() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answers = Arc::new(AtomicU16::new(503));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let says = Arc::clone(&answers);
    let answer = move || {
        let status = StatusCode::from_u16(says.load(Ordering::SeqCst)).unwrap();
        async move { status }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::in_folder(folder.path());
    let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(5))).await.unwrap();
    let text = format!(
        "kind: Route\nname: main\nspec:\n  receivers: [{{name: pager, webhook: {{url: \"http://{address}/\"}}}}]\n  \
         route: {{receiver: pager, group_wait: 0s}}\n"
    );
    let documents = document::parse("routes.yaml", &text).unwrap();
    bartizan_server::api::document::apply_documents(&app.web, "dev", documents).await.unwrap();
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let signal = Signal {
        kind: Kind::Health,
        subject: "disk-space".to_owned(),
        asset: AssetId::mint(now(), [2; 10]),
        object: "/srv".to_owned(),
        state: State::Firing,
        severity: Severity::High,
        labels: Labels::from([label("service", "shop"), label("environment", "dev")]),
        summary: "a file system is nearly full".to_owned(),
        at: now(),
        backlog: false,
    };
    app.web.store.append_signals(&[(0, signal)]).await.unwrap();
    app.web.nudges.alert();

    let alert = until(&app, |alert| alert.stage == Stage::Open).await;
    assert_eq!((alert.group.environment.as_str(), alert.counts.firing), ("dev", 1));
    assert!(alert.summary.contains("pager of dev gets no notifications"), "{}", alert.summary);
    assert!(alert.summary.contains("503"), "{}", alert.summary);

    answers.store(200, Ordering::SeqCst);
    let ended = until(&app, |alert| matches!(alert.stage, Stage::Resolved { .. })).await;
    assert_eq!(ended.id, alert.id, "what fails once more is the same alert");
    app.stop().await;
}
