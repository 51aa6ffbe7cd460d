//! Feeds fetched from a real server on this machine, which answers well and badly.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use bartizan_feeds::library::Library;
use bartizan_server::ambient::Ambient;
use bartizan_server::feed_sync::{Outcome, Synced, Wanted, sync, sync_web};
use bartizan_server::{App, Settings, api};
use futures::StreamExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// What the source says now.
#[derive(Clone, Debug)]
enum Says {
    /// This text, under this tag.
    Text(&'static str, String),
    /// This status.
    Status(StatusCode),
    /// The beginning of something, and then nothing more.
    Stuck,
    /// The beginning of something whose length it told, and then the end.
    CutOff,
}

#[derive(Clone, Debug)]
struct Source {
    says: Arc<Mutex<Says>>,
    answered: Arc<Mutex<Vec<u16>>>,
    address: SocketAddr,
}

async fn answer(State(source): State<Source>, headers: HeaderMap) -> Response {
    let says = source.says.lock().unwrap().clone();
    let response = match says {
        Says::Text(tag, _) if headers.get(header::IF_NONE_MATCH).is_some_and(|held| held == tag) => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        Says::Text(tag, text) => ([(header::ETAG, tag)], text).into_response(),
        Says::Status(status) => status.into_response(),
        Says::Stuck => {
            let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
            Body::from_stream(first.chain(futures::stream::pending())).into_response()
        }
        Says::CutOff => {
            let cut = Err(std::io::Error::other("the source went away"));
            let parts = futures::stream::iter([Ok(Bytes::from_static(b"{\"tool\"")), cut]);
            ([(header::CONTENT_LENGTH, "1000")], Body::from_stream(parts)).into_response()
        }
    };
    source.answered.lock().unwrap().push(response.status().as_u16());
    response
}

impl Source {
    async fn start(says: Says) -> Source {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let source = Source { says: Arc::new(Mutex::new(says)), answered: Arc::default(), address };
        let router = Router::new().route("/feed", get(answer)).with_state(source.clone());
        let router = router.route("/moved", get(|| async { axum::response::Redirect::temporary("/feed") }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        source
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn wanted(&self, name: &str, library: &Path) -> Wanted {
        let sources = vec![format!("{name}=http://{}/feed", self.address).parse().unwrap()];
        Wanted { sources, library: library.to_owned(), force: false, bytes_limit: None }
    }
}

const T: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn later(minutes: u32) -> Timestamp {
    T.plus(Duration::from_secs(60 * minutes))
}

async fn once(wanted: &Wanted, at: Timestamp) -> Synced {
    sync(wanted, move || at, Arc::new(|_: &str, _, _| {})).await.unwrap().remove(0)
}

/// A tracker's export with this many packages.
fn tracker(packages: usize) -> String {
    let package = |n| {
        format!(
            r#""p{n}": {{"CVE-2026-{n:04}": {{"releases": {{"bookworm": {{"status": "open", "urgency": "high"}}}}}}}}"#
        )
    };
    format!("{{{}}}", (0..packages).map(package).collect::<Vec<_>>().join(","))
}

fn records(library: &Path) -> u64 {
    Library::open(library).unwrap().feed("debian-tracker").unwrap().records
}

fn unknown(synced: &Synced) -> (Timestamp, Reason, &str) {
    match &synced.outcome {
        Outcome::Unknown { since, reason, problem } => (*since, *reason, problem),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_source_has_not_changed_is_not_fetched_again_and_stays_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(Says::Text("\"1\"", tracker(9))).await;
    let wanted = source.wanted("debian", folder.path());
    let first = once(&wanted, T).await;
    assert!(
        matches!(&first.outcome, Outcome::Updated { feeds, .. } if feeds == &["debian-tracker"]),
        "{first:?}"
    );
    assert_eq!(records(folder.path()), 9);
    assert_eq!(once(&wanted, later(60)).await.outcome, Outcome::Unchanged);
    let library = Library::open(folder.path()).unwrap();
    assert_eq!(library.feed("debian-tracker").unwrap().imported_at, later(60));
    source.say(Says::Text("\"2\"", tracker(10)));
    once(&wanted, later(90)).await;
    assert_eq!(records(folder.path()), 10);
    assert_eq!(*source.answered.lock().unwrap(), [200, 304, 200]);
    // Another address: what its neighbour said of its version says nothing.
    let moved = format!("debian=http://{}/moved", source.address).parse().unwrap();
    once(&Wanted { sources: vec![moved], ..wanted }, later(91)).await;
    assert_eq!(source.answered.lock().unwrap().last(), Some(&200));
}

#[tokio::test]
async fn a_source_that_gives_nothing_is_unknown_since_the_first_time_and_what_was_known_stays() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(Says::Text("\"1\"", tracker(9))).await;
    let mut wanted = source.wanted("debian", folder.path());
    once(&wanted, T).await;
    wanted.sources[0].timeout = Duration::from_millis(200);
    let table = [
        (Says::Status(StatusCode::BAD_GATEWAY), Reason::Error, "502"),
        (Says::Stuck, Reason::Timeout, "took longer than 200ms"),
        (Says::CutOff, Reason::Error, "can't fetch"),
        (Says::Text("\"3\"", "{\"tool\": 7}".to_owned()), Reason::Unparsable, "tracker.json"),
        (Says::Text("\"4\"", "<html>sign in</html>".to_owned()), Reason::Unparsable, "tracker.json"),
        (Says::Text("\"5\"", " ".repeat(20_000)), Reason::Error, "larger than the limit of 10000 bytes"),
    ];
    wanted.bytes_limit = Some(10_000);
    for ((says, reason, words), minute) in table.into_iter().zip(1..) {
        source.say(says.clone());
        let synced = once(&wanted, later(minute)).await;
        let (since, found, problem) = unknown(&synced);
        assert_eq!((since, found), (later(1), reason), "{says:?}: {problem}");
        assert!(problem.contains(words), "{says:?}: {problem}");
        assert_eq!(records(folder.path()), 9, "{says:?}");
    }
    // Nobody listens there.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    wanted.sources[0].url = format!("http://{gone}/feed");
    let synced = once(&wanted, later(10)).await;
    assert!(unknown(&synced).2.contains("refused"), "{synced:?}");
    // It comes back: what was broken is asked for anew, whatever its tag says.
    let mut wanted = source.wanted("debian", folder.path());
    source.say(Says::Text("\"4\"", tracker(11)));
    assert!(matches!(once(&wanted, later(11)).await.outcome, Outcome::Updated { .. }));
    assert_eq!(records(folder.path()), 11);
    source.say(Says::Status(StatusCode::NOT_FOUND));
    wanted.force = true;
    assert_eq!(unknown(&once(&wanted, later(12)).await).0, later(12));
}

#[tokio::test]
async fn what_a_silent_source_may_have_given_grows_old_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        Source::start(Says::Text("\"1\"", tracker(9))).await,
        Source::start(Says::Text("\"1\"", tracker(9))).await,
    );
    let mut wanted = one.wanted("debian", folder.path());
    let mirror = two.wanted("debian", folder.path()).sources.remove(0);
    wanted
        .sources
        .push(bartizan_core::vulnerability::source::FeedSource { name: "mirror".to_owned(), ..mirror });
    let both = async |minute| {
        sync(&wanted, move || later(minute), Arc::new(|_: &str, _, _| {})).await.unwrap();
        Library::open(folder.path()).unwrap().feed("debian-tracker").unwrap().imported_at
    };
    assert_eq!(both(0).await, T);
    assert_eq!(both(1).await, later(1));
    two.say(Says::Status(StatusCode::BAD_GATEWAY));
    assert_eq!(both(2).await, later(1), "nobody can say which of the two it is from");
    two.say(Says::Text("\"2\"", tracker(9)));
    assert_eq!(both(3).await, later(3));
}

#[tokio::test]
async fn a_feed_that_shrank_implausibly_is_held_back_until_somebody_insists() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(Says::Text("\"1\"", tracker(9))).await;
    let mut wanted = source.wanted("debian", folder.path());
    once(&wanted, T).await;
    source.say(Says::Text("\"2\"", tracker(2)));
    for minute in 1..3 {
        let synced = once(&wanted, later(minute)).await;
        let held =
            matches!(&synced.outcome, Outcome::HeldBack { problem } if problem.contains("2 records where 9"));
        assert!(held, "{synced:?}");
        assert_eq!(records(folder.path()), 9);
    }
    wanted.force = true;
    assert!(matches!(once(&wanted, later(3)).await.outcome, Outcome::Updated { .. }));
    assert_eq!(records(folder.path()), 2);
}

#[tokio::test]
async fn one_source_that_fails_keeps_no_other_back() {
    let folder = tempfile::tempdir().unwrap();
    let good = Source::start(Says::Text("\"1\"", tracker(3))).await;
    let bad = Source::start(Says::Status(StatusCode::FORBIDDEN)).await;
    let mut wanted = bad.wanted("kev", folder.path());
    wanted.sources.extend(good.wanted("debian", folder.path()).sources);
    let synced = sync(&wanted, || T, Arc::new(|_: &str, _, _| {})).await.unwrap();
    assert_eq!(unknown(&synced[0]).0, T);
    assert!(matches!(synced[1].outcome, Outcome::Updated { .. }), "{synced:?}");
    assert_eq!(records(folder.path()), 3);
}

#[tokio::test]
async fn a_server_fetches_from_the_sources_that_are_applied_and_shows_which_give_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(Says::Text("\"1\"", tracker(4))).await;
    let settings = Settings::in_folder(folder.path());
    let app = App::start(&settings, Ambient::new(|| T, StdRng::seed_from_u64(1))).await.unwrap();
    let document = format!(
        "kind: FeedSource\nname: mirror\nspec: {{format: debian, url: \"http://{}/feed\"}}\n",
        source.address
    );
    let documents = bartizan_core::document::parse("sources.yaml", &document).unwrap();
    api::document::apply_documents(&app.web, "dev", documents).await.unwrap();
    let library = folder.path().join("feeds");
    let imported = sync_web(&app.web, library.clone()).await.unwrap();
    assert_eq!(imported.feeds, [("debian-tracker".to_owned(), 4)]);
    assert!(imported.problems.is_empty(), "{imported:?}");
    let answered = source.answered.lock().unwrap().len();
    let test = document.replace("/feed", "/elsewhere").replace("mirror", "other");
    let documents = bartizan_core::document::parse("sources.yaml", &test).unwrap();
    api::document::apply_documents(&app.web, "test", documents).await.unwrap();
    let imported = sync_web(&app.web, library.clone()).await.unwrap();
    assert!(imported.problems[0].starts_with("other: "), "what is applied higher steers: {imported:?}");
    assert_eq!(source.answered.lock().unwrap().len(), answered, "what is applied lower does not");
    let documents = bartizan_core::document::parse("sources.yaml", &document).unwrap();
    api::document::apply_documents(&app.web, "prod", documents).await.unwrap();
    source.say(Says::Status(StatusCode::BAD_GATEWAY));
    let imported = sync_web(&app.web, library.clone()).await.unwrap();
    assert!(imported.problems[0].starts_with("mirror: unknown since 2027-01-15T08:00:00Z"), "{imported:?}");
    let feeds = app.web.store.feeds().await.unwrap();
    assert!(feeds[0].problem.as_ref().is_some_and(|(problem, since)| problem.contains("502") && *since == T));
    source.say(Says::Text("\"1\"", tracker(4)));
    sync_web(&app.web, library).await.unwrap();
    assert_eq!(app.web.store.feeds().await.unwrap()[0].problem, None);
    app.stop().await;
}
