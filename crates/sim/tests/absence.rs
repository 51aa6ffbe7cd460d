//! An asset that stops reporting is missed, unless it was retired; what it lost is told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bartizan_core::asset::{Class, Life};
use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::enrolment::Grant;
use bartizan_core::monitoring::alert::{Alert, Stage};
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::order::{self, Ending};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_server::acceptance;
use bartizan_server::ambient::Ambient;
use bartizan_server::api::enrolment::{self, Wanted};
use bartizan_server::intake::Pacing;
use bartizan_server::{App, Settings};
use bartizan_sim::host::{Facts, Host, Way, checks};
use bartizan_store::asset::Batch;
use bartizan_wire::report::{Loss, Outcome};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// A pace at which a test can wait for absence.
const PACING: Pacing = Pacing { interval: Duration::from_millis(300), flush: Duration::from_millis(500) };

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

async fn server(folder: &Path) -> (App, Way) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings { pacing: PACING, ..Settings::in_folder(folder) };
    let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(1))).await.unwrap();
    let grant = Grant {
        service: "shop".to_owned(),
        environment: "dev".to_owned(),
        class: Class::Server,
        labels: BTreeMap::new(),
        networks: Vec::new(),
        approval: false,
    };
    let wanted = Wanted { uses: 10, expires_in: bartizan_core::time::Duration::from_hours(1), grant };
    let key = enrolment::create(&app.web, wanted).await.unwrap().key;
    let way = Way { server: format!("https://{}", app.agents()), pinned: app.fingerprint(), key };
    (app, way)
}

async fn host(folder: &Path, way: &Way, name: &str) -> Host {
    let mut host = Host::open(&folder.join(name), name, way).await.unwrap();
    let report = host.compose(Facts::default(), Vec::new(), now());
    assert!(matches!(host.send(&report).await.unwrap(), Outcome::Committed { .. }));
    host
}

/// The alert of this kind once it is as it should be.
async fn until(app: &App, kind: Kind, good: impl Fn(&Alert) -> bool) -> Alert {
    let mut shown = app.web.nudges.shown();
    let found = async {
        loop {
            let alerts = app.web.store.alerts(false, 100).await.unwrap();
            if let Some(alert) = alerts.into_iter().find(|alert| alert.group.kind == kind && good(alert)) {
                return alert;
            }
            shown.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_silent_is_missed_until_heard_again_and_who_was_retired_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (app, way) = server(folder.path()).await;
    let mut retired = host(folder.path(), &way, "retired").await;
    let asset = app.web.store.asset(retired.asset()).await.unwrap().unwrap();
    let retire = Batch { lives: vec![(asset, Life::Retired)], ..Batch::default() };
    app.web.store.commit_assets(&retire, now()).await.unwrap();
    let silent = host(folder.path(), &way, "silent").await;

    let alert = until(&app, Kind::Absence, |alert| alert.stage == Stage::Open).await;
    let places = app.web.store.alert_places(alert.id).await.unwrap();
    let missed: Vec<_> = places.iter().map(|place| place.asset).collect();
    assert_eq!(missed, [silent.asset()], "the retired one is missed by nobody");

    silent.heartbeat(now()).await.unwrap();
    let ended = until(&app, Kind::Absence, |alert| matches!(alert.stage, Stage::Resolved { .. })).await;
    assert_eq!(ended.id, alert.id);
    let report = retired.compose(Facts::default(), Vec::new(), now());
    retired.send(&report).await.unwrap_err();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_met_on_a_silent_host_is_unknown_until_it_is_heard_again() {
    let folder = tempfile::tempdir().unwrap();
    let (app, way) = server(folder.path()).await;
    let text = "kind: Baseline\nname: b\nspec:\n  title: B\n  rules:\n    - {id: r, title: T, rationale: R, severity: low, remediation: M, check: {file: {path: /etc/motd, exists: true}}}\n";
    let documents = bartizan_core::document::parse("b.yaml", text).unwrap();
    let checks = checks(&documents).into_iter();
    let verdicts = checks.map(|((baseline, rule), check)| ((baseline, rule, check), Verdict::Met)).collect();
    bartizan_server::api::document::apply_documents(&app.web, "dev", documents).await.unwrap();
    let mut quiet = host(folder.path(), &way, "quiet").await;
    let report = quiet.compose(Facts { verdicts, ..Facts::default() }, Vec::new(), now());
    assert!(matches!(quiet.send(&report).await.unwrap(), Outcome::Committed { .. }));
    // Nobody says a word: what was met there is unknown, and says since when.
    figures(&app, None, (0, 1)).await;
    let asset = app.web.store.asset(quiet.asset()).await.unwrap().unwrap();
    assert!(app.web.stale.read().since(asset.number).is_some());
    // As the control of a risk that somebody accepted, it is seen by nobody either.
    let control = async || {
        let (index, overlay) = (acceptance::Look::new(&app.web.store), app.web.stale.read());
        index.control("b", "r", &[asset.number].into(), &overlay).await.unwrap()
    };
    assert_eq!(control().await, Verdict::Unknown(Reason::Stale));
    figures(&app, Some(&quiet), (1, 0)).await;
    assert_eq!(control().await, Verdict::Met);
    app.stop().await;
}

/// Waits until the overview shows so many verdicts as met and as unknown, while a host checks in.
async fn figures(app: &App, beats: Option<&Host>, wanted: (u64, u64)) {
    let mut shown = app.web.nudges.shown();
    let found = async {
        loop {
            if let Some(host) = beats {
                host.heartbeat(now()).await.unwrap();
            }
            let posture = bartizan_server::api::posture::posture(&app.web).await.unwrap();
            if (posture.met, posture.unknown) == wanted {
                return;
            }
            // News, or the next check-in.
            let _ = tokio::time::timeout(PACING.interval, shown.changed()).await;
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_this_server_did_not_give_is_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let (app, way) = server(folder.path()).await;
    let mut led = host(folder.path(), &way, "led").await;
    let mut report = led.compose(Facts::default(), Vec::new(), now());
    report.outcomes.push(order::Outcome {
        generation: 3,
        digest: Digest::of_bytes(b"order"),
        at: now(),
        ending: Ending::Refused("this host does not allow its agent to enforce".to_owned()),
    });
    assert!(matches!(led.send(&report).await.unwrap(), Outcome::Committed { .. }));
    let alert = until(&app, Kind::Fork, |alert| alert.stage == Stage::Open).await;
    assert!(
        alert.summary.contains("led was given an order (generation 3) by another server"),
        "{}",
        alert.summary
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_had_to_drop_is_told_and_alerted() {
    let folder = tempfile::tempdir().unwrap();
    let (app, way) = server(folder.path()).await;
    let mut lossy = host(folder.path(), &way, "lossy").await;
    let facts = Facts {
        sections: [("sysctl".to_owned(), Value::parse("{\"body\":{},\"unknown\":[]}").unwrap())].into(),
        verdicts: BTreeMap::new(),
    };
    let mut report = lossy.compose(facts, Vec::new(), now());
    report.loss.insert("auth.log".to_owned(), Loss { seen: 10, sent: 3, dropped: 7 });
    assert!(matches!(lossy.send(&report).await.unwrap(), Outcome::Committed { .. }));
    let alert = until(&app, Kind::Loss, |alert| alert.stage == Stage::Open).await;
    assert!(alert.summary.contains("lossy lost 7 of 10 items of auth.log"), "{}", alert.summary);
    app.stop().await;
}
