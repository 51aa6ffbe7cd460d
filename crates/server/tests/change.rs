//! A change walks to production by the hands of several people, and one edited byte voids it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use bartizan_core::id::PersonId;
use bartizan_core::monitoring::signal::State;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::intake::Pacing;
use bartizan_server::{App, Settings, auth};
use bartizan_store::Place;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// TLS looks at the machine's clock, so the server's has to be about the same.
#[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's clock")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn route(url: &str) -> Value {
    let text = format!(
        "kind: Route\nname: main\nspec:\n  receivers: [{{name: pager, webhook: {{url: \"{url}\"}}}}]\n  route: {{receiver: pager}}\n"
    );
    json!([{"name": "routes.yaml", "text": text}])
}

struct Team {
    app: App,
    http: reqwest::Client,
    tokens: Vec<String>,
}

/// Author, reviewer of the same service, approver, reader.
const AUTHOR: usize = 0;
const REVIEWER: usize = 1;
const APPROVER: usize = 2;
const READER: usize = 3;

impl Team {
    async fn start(folder: &std::path::Path) -> Team {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings {
            place: Place::Sqlite(folder.join("bartizan.db")),
            wrapping_key: folder.join("wrapping.key"),
            people: loopback,
            agents: loopback,
            names: Vec::new(),
            pacing: Pacing::default(),
            demo: false,
        };
        let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(3))).await.unwrap();
        let mut tokens = Vec::new();
        let people = [
            ("ann", Role::Operator),
            ("ben", Role::Operator),
            ("cleo", Role::Security),
            ("dan", Role::Auditor),
        ];
        for (name, role) in people {
            let person = Person {
                id: PersonId::mint(now(), app.web.ambient.random()),
                name: name.to_owned(),
                roles: [role].into(),
                services: ["shop".to_owned()].into(),
                grants: Vec::new(),
                disabled: false,
            };
            app.web.store.put_person(&person, now(), [0; 32]).await.unwrap();
            let link = auth::link(&app.web, person.id).await.unwrap();
            let link = link.split_once('=').unwrap().1;
            tokens.push(auth::sign_in(&app.web, link).await.unwrap().unwrap());
        }
        let authority = reqwest::Certificate::from_pem(app.authority().as_bytes()).unwrap();
        let http = reqwest::Client::builder().add_root_certificate(authority).build().unwrap();
        Team { app, http, tokens }
    }

    /// What a person posts, and what is answered: the status and the body.
    async fn post(&self, who: usize, path: &str, body: Value) -> (u16, Value) {
        let url = format!("https://{}{path}", self.app.people());
        let answer = self.http.post(url).bearer_auth(&self.tokens[who]).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, who: usize, path: &str) -> Value {
        let url = format!("https://{}{path}", self.app.people());
        let answer = self.http.get(url).bearer_auth(&self.tokens[who]).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    /// An act that has to go through.
    async fn does(&self, who: usize, change: &str, act: &str, body: Value) {
        let (status, answer) = self.post(who, &format!("/api/v1/changes/{change}/{act}"), body).await;
        let ruled = if act == "edit" { &answer["ruled"] } else { &answer };
        assert_eq!((status, &ruled["state"]), (200, &json!("accepted")), "{act}: {answer}");
    }

    /// An act that has to be refused, with these words.
    async fn may_not(&self, who: usize, change: &str, act: &str, body: Value, status: u16, words: &str) {
        let (found, answer) = self.post(who, &format!("/api/v1/changes/{change}/{act}"), body).await;
        let title = answer["title"].as_str().unwrap_or_default();
        assert!(found == status && title.contains(words), "{act}: {found} {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_a_test_a_review_and_an_approval_by_others_and_an_edit_voids_them() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path()).await;
    let proposal = json!({"service": "shop", "files": route("https://one.example/hook")});
    let (status, proposed) = team.post(AUTHOR, "/api/v1/changes", proposal.clone()).await;
    assert_eq!(status, 200, "{proposed}");
    let (id, digest) = (proposed["id"].as_str().unwrap(), proposed["digest"].clone());
    let on = |target: &str| json!({"digest": digest, "target": target});
    let (status, _) = team.post(READER, "/api/v1/changes", proposal).await;
    assert_eq!(status, 403, "who reads everything changes nothing");

    team.may_not(AUTHOR, id, "apply", on("prod"), 409, "needs").await;
    let test = json!({"digest": digest, "environment": "test", "target": "prod"});
    team.may_not(AUTHOR, id, "test", test.clone(), 409, "apply the change there first").await;
    team.does(AUTHOR, id, "apply", on("test")).await;
    team.does(AUTHOR, id, "test", test.clone()).await;
    team.may_not(AUTHOR, id, "review", on("prod"), 403, "wrote").await;
    team.does(REVIEWER, id, "review", on("prod")).await;
    team.may_not(REVIEWER, id, "approve", on("prod"), 403, "").await;
    team.does(APPROVER, id, "approve", on("prod")).await;

    // One byte edited: what was tested, reviewed and approved is not what it is now.
    let edited = json!({"service": "shop", "files": route("https://two.example/hook")});
    team.does(AUTHOR, id, "edit", edited).await;
    team.may_not(AUTHOR, id, "apply", on("prod"), 409, "you saw").await;
    let now = team.get(READER, &format!("/api/v1/changes/{id}")).await;
    let digest = now["digest"].clone();
    assert_ne!(digest, proposed["digest"]);
    assert!(now["stages"].as_array().unwrap().iter().all(|stage| stage["decisions"] == 0), "{now}");
    let on = |target: &str| json!({"digest": digest, "target": target});
    team.may_not(AUTHOR, id, "apply", on("prod"), 409, "needs").await;
    assert!(team.app.web.store.documents("prod").await.unwrap().is_empty());

    let test = json!({"digest": digest, "environment": "test", "target": "prod"});
    team.may_not(AUTHOR, id, "test", test.clone(), 409, "apply the change there first").await;
    team.does(AUTHOR, id, "apply", on("test")).await;
    team.does(AUTHOR, id, "test", test).await;
    team.does(REVIEWER, id, "review", on("prod")).await;
    team.does(APPROVER, id, "approve", on("prod")).await;
    team.does(AUTHOR, id, "apply", on("prod")).await;
    let brought = team.app.web.store.documents("prod").await.unwrap();
    assert_eq!(brought[0].change.unwrap().to_string(), id);
    let documents = team.get(READER, "/api/v1/documents").await;
    assert_eq!(documents["documents"].as_array().unwrap().len(), 2, "one in test, one in prod");
    let applied = team.get(READER, &format!("/api/v1/changes/{id}")).await;
    assert_eq!(applied["applied"].as_array().unwrap().last().unwrap()["path"], "approved");
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_test_takes_the_pass_back_and_what_was_decided_because_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path()).await;
    let proposal = json!({"service": "shop", "files": route("https://one.example/hook")});
    let (_, proposed) = team.post(AUTHOR, "/api/v1/changes", proposal).await;
    let (id, digest) = (proposed["id"].as_str().unwrap(), proposed["digest"].clone());
    let on = |target: &str| json!({"digest": digest, "target": target});
    let test =
        |failed: bool| json!({"digest": digest, "environment": "test", "target": "prod", "failed": failed});
    team.does(AUTHOR, id, "apply", on("test")).await;
    team.does(AUTHOR, id, "test", test(false)).await;
    team.does(REVIEWER, id, "review", on("prod")).await;
    team.does(AUTHOR, id, "test", test(true)).await;
    team.may_not(APPROVER, id, "approve", on("prod"), 409, "needs a passed test").await;
    let now = team.get(READER, &format!("/api/v1/changes/{id}")).await;
    let states: Vec<&Value> = now["history"].as_array().unwrap().iter().map(|past| &past["state"]).collect();
    assert_eq!(states, ["stands", "stands", "void", "void", "stands", "refused"], "{now}");
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_glass_pages_at_once_and_its_alert_ends_with_the_missing_approval() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path()).await;
    let proposal = json!({"service": "shop", "files": route("https://one.example/hook")});
    let (_, proposed) = team.post(AUTHOR, "/api/v1/changes", proposal).await;
    let (id, digest) = (proposed["id"].as_str().unwrap(), proposed["digest"].clone());
    let on = |target: &str| json!({"digest": digest, "target": target});
    let glass = json!({"digest": digest, "target": "prod", "reason": "checkout is down"});
    team.does(AUTHOR, id, "break-glass", glass).await;
    // The signal is committed with the ruling: no wait, and no crash in between that loses it.
    let signals = team.app.web.store.signals(0, 10).await.unwrap();
    let [(_, signal)] = signals.as_slice() else { panic!("one page: {signals:?}") };
    assert_eq!((signal.severity, signal.state), (Severity::Critical, State::Firing));
    assert!(!signal.backlog && signal.summary.contains("checkout is down"), "{signal:?}");

    team.does(AUTHOR, id, "apply", on("prod")).await;
    team.does(AUTHOR, id, "apply", on("test")).await;
    let test = json!({"digest": digest, "environment": "test", "target": "prod"});
    team.does(AUTHOR, id, "test", test).await;
    team.does(REVIEWER, id, "review", on("prod")).await;
    team.does(APPROVER, id, "approve", on("prod")).await;
    let signals = team.app.web.store.signals(0, 10).await.unwrap();
    let states: Vec<State> = signals.iter().map(|(_, signal)| signal.state).collect();
    assert_eq!(states, [State::Firing, State::Resolved]);
    assert_eq!(signals[0].1.member_key(), signals[1].1.member_key(), "it ends the alert that it opened");
    team.app.stop().await;
}
