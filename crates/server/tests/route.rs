//! A route that can't be read is no silent one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bartizan_core::document;
use bartizan_core::monitoring::alert::{Alert, Stage};
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings};
use bartizan_store::document::Edit;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// The alert on a route once it stands so.
async fn until(app: &App, good: impl Fn(&Alert) -> bool) -> Alert {
    let mut shown = app.web.nudges.shown();
    let found = async {
        loop {
            let alerts = app.web.store.alerts(false, 100).await.unwrap();
            if let Some(alert) =
                alerts.into_iter().find(|alert| alert.group.subject == "route" && good(alert))
            {
                return alert;
            }
            shown.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_cannot_be_read_is_an_alert_until_it_can() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::in_folder(folder.path());
    let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(5))).await.unwrap();
    // As a newer program wrote it: this one would not have taken it.
    let newer = "kind: Route\nname: main\nspec:\n  receivers: [{name: pager, pigeon: {loft: 7}}]\n  route: {receiver: pager}\n";
    let edits =
        document::parse("routes.yaml", newer).unwrap().into_iter().map(|one| Edit::Put(Box::new(one)));
    app.web.store.edit_documents("dev", &edits.collect::<Vec<_>>(), None, now()).await.unwrap();
    let alert = until(&app, |alert| alert.stage == Stage::Open).await;
    assert_eq!((alert.group.environment.as_str(), alert.counts.firing), ("dev", 1));
    assert!(alert.summary.contains("the route main of dev can't be read"), "{}", alert.summary);
    let good = "kind: Route\nname: main\nspec:\n  receivers: [{name: pager, webhook: {url: \"http://127.0.0.1:9/\"}}]\n  route: {receiver: pager}\n";
    let documents = document::parse("routes.yaml", good).unwrap();
    bartizan_server::api::document::apply_documents(&app.web, "dev", documents).await.unwrap();
    let ended = until(&app, |alert| matches!(alert.stage, Stage::Resolved { .. })).await;
    assert_eq!(ended.id, alert.id);
    app.stop().await;
}
