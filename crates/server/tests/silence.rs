//! A silence defers what it mutes; it does not swallow it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bartizan_core::document;
use bartizan_core::id::{AssetId, PersonId};
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::monitoring::silence::Silence;
use bartizan_core::selector::Labels;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_fires_when_a_silence_ends_is_told_then() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::in_folder(folder.path());
    let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(5))).await.unwrap();
    // Nobody listens there: that somebody was to be told is what counts here.
    let text = "kind: Route\nname: main\nspec:\n  receivers: [{name: pager, webhook: {url: \"http://127.0.0.1:9/\"}}]\n  route: {receiver: pager, group_wait: 0s}\n";
    let documents = document::parse("routes.yaml", text).unwrap();
    bartizan_server::api::document::apply_documents(&app.web, "dev", documents).await.unwrap();
    let started = now();
    let silence = Silence {
        matchers: serde_json::from_value(serde_json::json!(["service=shop"])).unwrap(),
        owner: PersonId::mint(started, [1; 10]),
        reason: "work on the disks".to_owned(),
        starts_at: started,
        ends_at: started.plus(bartizan_core::time::Duration::from_hours(1)),
    };
    let id = app.web.store.create_silence(&silence, started, [0; 32]).await.unwrap();
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let signal = Signal {
        kind: Kind::Health,
        subject: "disk-space".to_owned(),
        asset: AssetId::mint(started, [2; 10]),
        object: "/srv".to_owned(),
        state: State::Firing,
        severity: Severity::High,
        labels: Labels::from([label("service", "shop"), label("environment", "dev")]),
        summary: "a file system is nearly full".to_owned(),
        at: started,
        backlog: false,
    };
    app.web.store.append_signals(&[(0, signal)]).await.unwrap();
    app.web.nudges.alert();
    let mut shown = app.web.nudges.shown();
    let limit = Duration::from_secs(30);
    let opened = async {
        loop {
            if let Some(alert) = app.web.store.alerts(true, 1).await.unwrap().pop() {
                return alert;
            }
            shown.changed().await.unwrap();
        }
    };
    let alert = tokio::time::timeout(limit, opened).await.unwrap();
    let told = bartizan_server::api::alert::describe(&app.web, &alert.id.to_string()).await.unwrap();
    let held = told.row.silenced.unwrap();
    assert_eq!((held.silence.as_str(), held.reason.as_str()), (id.as_str(), "work on the disks"));
    let ended = now();
    let by = bartizan_store::person::By { person: silence.owner, salt: [0; 32] };
    app.web.store.end_silence(&id, by, ended).await.unwrap();
    app.web.nudges.alerts_changed();
    let told = async {
        loop {
            if let Some((sent, ..)) = app.web.store.notifications(alert.id).await.unwrap().pop() {
                return sent;
            }
            shown.changed().await.unwrap();
        }
    };
    let sent = tokio::time::timeout(limit, told).await.unwrap();
    assert!(sent.sent.at >= ended, "nobody was told while it was silent");
    app.stop().await;
}
