//! Whoever shows no certificate, no session and no token is answered before anything of theirs is waited for.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use axum::body::Bytes;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings};
use futures::StreamExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_of_a_stranger_is_waited_for_beyond_a_few_kilobytes() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::in_folder(folder.path());
    let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(5))).await.unwrap();
    let authority = reqwest::Certificate::from_pem(app.authority().as_bytes()).unwrap();
    let http = reqwest::Client::builder().add_root_certificate(authority).build().unwrap();
    let table = [
        (format!("https://{}/agent/v1/reports", app.agents()), 401),
        (format!("https://{}/agent/v1/heartbeat", app.agents()), 401),
        (format!("https://{}/api/v1/alerts/x/close", app.people()), 401),
        (format!("https://{}/api/v1/session", app.people()), 413),
        (format!("https://{}/sign-in", app.people()), 413),
    ];
    for (url, status) in table {
        // A megabyte that comes, and an end that never does.
        let sent =
            futures::stream::iter(0..16).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 1 << 16])));
        let body = reqwest::Body::wrap_stream(sent.chain(futures::stream::pending()));
        let kind =
            if url.ends_with("sign-in") { "application/x-www-form-urlencoded" } else { "application/json" };
        let asked = http.post(&url).header("Content-Type", kind).body(body).send();
        let answer = tokio::time::timeout(Duration::from_secs(20), asked).await;
        assert_eq!(answer.expect("nobody waits for the rest").unwrap().status(), status, "{url}");
    }
    app.stop().await;
}
