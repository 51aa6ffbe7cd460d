//! Mail goes to a real SMTP server: nothing is lost, and nothing but what was in flight is repeated.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it left out"
)]

use std::path::Path;

use bartizan_core::document;
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::selector::Labels;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::channels::email::Relay;
use bartizan_server::channels::email::relay::Login;
use bartizan_server::{App, Reach, Settings};
use bartizan_store::document::Edit;
use bartizan_store::notification::{Notification, Way};
use bartizan_store::{Place, Store};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

#[path = "../kill/replica.rs"]
#[expect(dead_code, reason = "what the kill test asks of a replica is not asked here")]
mod replica;
mod sink;

use replica::Replica;
use sink::{LIMIT, Mail, Sink};

/// By how much the clock of a replica that takes over is ahead: what its predecessor claimed has run out.
const AHEAD_MS: &str = "120000";

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

async fn server(folder: &Path, relay: Relay) -> App {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings::in_folder(folder);
    let reach = Reach { relay: Some(relay), ..Reach::default() };
    App::start_with(&settings, &reach, Ambient::new(now, StdRng::seed_from_u64(11))).await.unwrap()
}

fn relay(port: u16) -> Relay {
    Relay::parse(&format!("smtp://127.0.0.1:{port}"), "bartizan@example.org", None).unwrap()
}

/// Every alert of `dev` goes by these ways of one receiver, at once.
async fn route(store: &Store, ways: &str) {
    let text = format!(
        "kind: Route\nname: main\nspec:\n  receivers: [{{name: people, {ways}}}]\n  route: {{receiver: people, group_wait: 0s}}\n"
    );
    let documents = document::parse("routes.yaml", &text).unwrap();
    let edits: Vec<Edit> = documents.into_iter().map(|document| Edit::Put(Box::new(document))).collect();
    assert!(edits.iter().all(|edit| match edit {
        Edit::Put(document) => bartizan_server::api::document::check(document).is_empty(),
        Edit::Delete { .. } => false,
    }));
    store.edit_documents("dev", &edits, None, now()).await.unwrap();
}

/// Something goes wrong on a host.
async fn fire(store: &Store, summary: &str) {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let signal = Signal {
        kind: Kind::Health,
        subject: "disk-space".to_owned(),
        asset: AssetId::mint(now(), [2; 10]),
        object: "/srv".to_owned(),
        state: State::Firing,
        severity: Severity::High,
        labels: Labels::from([label("service", "shop"), label("environment", "dev")]),
        summary: summary.to_owned(),
        at: now(),
        backlog: false,
    };
    store.append_signals(&[(0, signal)]).await.unwrap();
}

/// Waits until what was told of the one alert is as it should be.
async fn until(store: &Store, good: impl Fn(&Notification, &str, &[Way]) -> bool) -> Vec<Way> {
    let told = async {
        loop {
            if let Some(alert) = store.alerts(true, 1).await.unwrap().pop() {
                let ways = store.notification_ways(alert.id).await.unwrap();
                let sent = store.notifications(alert.id).await.unwrap();
                if sent.first().is_some_and(|(sent, state, _)| good(sent, state, &ways)) {
                    return ways;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, told).await.unwrap()
}

fn problem<'a>(ways: &'a [Way], way: &str) -> Option<&'a str> {
    ways.iter().find(|one| one.way == way).unwrap().problem.as_deref()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_refused_takes_nothing_from_the_others_and_is_named() {
    if !sink::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Sink::start(0, None).await;
    let app = server(folder.path(), relay(sink.port)).await;
    let store = &app.web.store;
    route(store, "email: {to: [refused@example.org, ada@example.org, grace@example.org]}").await;
    fire(store, "full\r\nBcc: eve@example.org\r\n\r\n<b>").await;
    app.web.nudges.alert();
    let mut mails: Vec<Mail> = vec![sink.mail().await, sink.mail().await];
    mails.sort_by(|one, other| one.to().cmp(other.to()));
    assert_eq!(mails.iter().map(Mail::to).collect::<Vec<_>>(), ["ada@example.org", "grace@example.org"]);
    for mail in &mails {
        assert!(mail.header("Subject").starts_with("[opened] high: full Bcc: eve@example.org"), "{mail:?}");
        assert!(!mail.data().contains("\nBcc:"), "{mail:?}");
        assert_eq!(mail.header("Message-ID"), mails[0].header("Message-ID"));
    }
    // Tried again, for the one that was refused alone.
    let ways = until(store, |sent, state, _| sent.attempts >= 2 && state == "claimed").await;
    let refused = problem(&ways, "mail:refused@example.org").unwrap();
    assert!(refused.contains("550") && refused.contains("there is no such mailbox"), "{refused}");
    assert_eq!(problem(&ways, "mail:ada@example.org"), None);
    assert!(sink.is_empty(), "what was delivered was sent again");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_down_gets_one_mail_once_it_is_up_and_a_failing_hook_repeats_none() {
    if !sink::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = Sink::start(0, None).await.port;
    let app = server(folder.path(), relay(port)).await;
    let store = &app.web.store;
    // Nobody listens to the hook.
    route(store, "webhook: {url: \"http://127.0.0.1:9/\"}, email: {to: [ada@example.org]}").await;
    fire(store, "a file system is nearly full").await;
    app.web.nudges.alert();
    let ways = until(store, |_, _, ways| ways.len() == 2).await;
    assert!(problem(&ways, "mail:ada@example.org").is_some() && problem(&ways, "webhook").is_some());
    let mut sink = Sink::start(port, None).await;
    let mail = sink.mail().await;
    let key = until(store, |_, _, ways| ways.iter().any(|way| way.problem.is_none())).await;
    assert_eq!(problem(&key, "mail:ada@example.org"), None);
    // The hook is tried again, the mail is not.
    let attempts = std::sync::atomic::AtomicU32::new(0);
    until(store, |sent, _, _| {
        let before = attempts.swap(sent.attempts, std::sync::atomic::Ordering::Relaxed);
        before != 0 && sent.attempts > before
    })
    .await;
    assert!(sink.is_empty(), "what was delivered was sent again");
    let alert = store.alerts(true, 1).await.unwrap().pop().unwrap();
    let (sent, ..) = store.notifications(alert.id).await.unwrap().pop().unwrap();
    let expected = sent.idempotency_key.trim_start_matches("sha256:").to_owned();
    assert_eq!(mail.header("Message-ID"), format!("<{expected}@bartizan>"));
    app.stop().await;
}

/// A certificate for this machine's loopback address, and its key, as files.
fn certificate(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("relay.pem"), folder.join("relay.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_told_to_a_relay_that_is_trusted_and_is_told_nowhere_else() {
    if !sink::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let mut sink = Sink::start(0, Some((&certificate, &key, "open sesame"))).await;
    let guarded = |password: &str, trusted: bool| {
        let login = Login::new("pager".to_owned(), password.to_owned());
        // This machine is talked to in the clear by itself: here it stands for another one.
        let mut relay = Relay::parse("smtp://relay.example", "bartizan@example.org", Some(login)).unwrap();
        (relay.host, relay.port) = ("127.0.0.1".to_owned(), sink.port);
        relay.authority = trusted.then(|| std::fs::read_to_string(&certificate).unwrap());
        relay
    };
    let relays = [guarded("open sesame", false), guarded("close sesame", true), guarded("open sesame", true)];
    let [untrusted, wrong, good] = relays;
    for (place, relay, word) in [("a", untrusted, "certificate"), ("b", wrong, "535")] {
        let folder = folder.path().join(place);
        std::fs::create_dir(&folder).unwrap();
        let app = server(&folder, relay).await;
        route(&app.web.store, "email: {to: [ada@example.org]}").await;
        fire(&app.web.store, "full").await;
        app.web.nudges.alert();
        let ways = until(&app.web.store, |_, _, ways| !ways.is_empty()).await;
        let problem = problem(&ways, "mail:ada@example.org").unwrap().to_lowercase();
        assert!(problem.contains(word) && !problem.contains("sesame"), "{problem}");
        app.stop().await;
    }
    assert!(sink.is_empty());
    let folder = folder.path().join("c");
    std::fs::create_dir(&folder).unwrap();
    let app = server(&folder, good).await;
    route(&app.web.store, "email: {to: [ada@example.org]}").await;
    fire(&app.web.store, "full").await;
    app.web.nudges.alert();
    let mail = sink.mail().await;
    assert!(mail.over_tls() && mail.to() == "ada@example.org");
    until(&app.web.store, |_, state, _| state == "delivered").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_attempt_and_outcome_repeats_the_one_in_flight_under_its_name() {
    if !sink::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(folder.path().join("bartizan.db"));
    let program = Path::new(env!("CARGO_BIN_EXE_bartizan-sim-replica"));
    let mut sink = Sink::start(0, None).await;
    let smtp = format!("smtp://127.0.0.1:{}", sink.port);
    let mut first = Replica::start_with(program, folder.path(), None, &["--smtp", &smtp]).unwrap();
    let store = Store::open(&place).await.unwrap();
    route(&store, "email: {to: [ada@example.org, held@example.org]}").await;
    fire(&store, "a file system is nearly full").await;
    let mut mails = vec![sink.mail().await, sink.mail().await];
    // One has its outcome; the other was handed over, and nothing came back.
    let ways = until(&store, |_, _, ways| !ways.is_empty()).await;
    assert_eq!(ways.iter().map(|way| way.way.as_str()).collect::<Vec<_>>(), ["mail:ada@example.org"]);
    first.kill().unwrap();
    let flags = ["--smtp", &smtp, "--ahead-ms", AHEAD_MS];
    let mut second = Replica::start_with(program, folder.path(), None, &flags).unwrap();
    mails.push(sink.mail().await);
    let repeated = mails.pop().unwrap();
    assert_eq!(repeated.to(), "held@example.org");
    let before = mails.iter().find(|mail| mail.to() == "held@example.org").unwrap();
    for name in ["Message-ID", "Date", "Subject", "To"] {
        assert_eq!(repeated.header(name), before.header(name));
    }
    assert!(sink.is_empty(), "what had its outcome was sent again");
    second.kill().unwrap();
}
