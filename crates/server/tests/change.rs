//! A change walks to production by the hands of several people, and one edited byte voids it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bartizan_core::monitoring::signal::State;
use bartizan_core::severity::Severity;
use serde_json::{Value, json};

#[path = "change/team.rs"]
mod team;

use team::{APPROVER, AUTHOR, READER, REVIEWER, Team, now};

fn route(url: &str) -> Value {
    let text = format!(
        "kind: Route\nname: main\nspec:\n  receivers: [{{name: pager, webhook: {{url: \"{url}\"}}}}]\n  route: {{receiver: pager}}\n"
    );
    json!([{"name": "routes.yaml", "text": text}])
}

/// The same, where nobody waits for more to tell.
fn at_once(url: &str) -> Value {
    let text = route(url)[0]["text"]
        .as_str()
        .unwrap()
        .replace("receiver: pager}", "receiver: pager, group_wait: 0s}");
    json!([{"name": "routes.yaml", "text": text}])
}

impl Team {
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
    let team = Team::start(folder.path(), now).await;
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
    let team = Team::start(folder.path(), now).await;
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
    let team = Team::start(folder.path(), now).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn whoever_breaks_the_glass_neither_mutes_nor_closes_nor_withdraws_what_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), now).await;
    let everything = json!({"matchers": ["service=~.*"], "reason": "quiet", "lasts": "30d"});
    let (status, told) = team.post(AUTHOR, "/api/v1/silences", everything).await;
    assert!(status == 400 && told["title"].as_str().unwrap().contains("names what it mutes"), "{told}");
    let silence = json!({"matchers": ["environment=prod"], "reason": "maintenance", "lasts": "30d"});
    assert_eq!(team.post(AUTHOR, "/api/v1/silences", silence).await.0, 200);
    let proposal = json!({"service": "shop", "files": at_once("http://127.0.0.1:9/hook")});
    let (_, proposed) = team.post(AUTHOR, "/api/v1/changes", proposal).await;
    let (id, digest) = (proposed["id"].as_str().unwrap(), proposed["digest"].clone());
    let glass = json!({"digest": digest, "target": "prod", "reason": "urgent"});
    team.does(AUTHOR, id, "break-glass", glass).await;
    team.does(AUTHOR, id, "apply", json!({"digest": digest, "target": "prod"})).await;
    team.may_not(AUTHOR, id, "withdraw", json!({"reason": "done"}), 409, "breaking the glass").await;

    let mut shown = team.app.web.nudges.shown();
    let opened = async {
        loop {
            let alerts = team.app.web.store.alerts(true, 10).await.unwrap();
            let told = alerts.into_iter().find(|alert| alert.group.subject.starts_with("break-glass/"));
            if let Some(alert) = told
                && !team.app.web.store.notifications(alert.id).await.unwrap().is_empty()
            {
                return alert.id;
            }
            shown.changed().await.unwrap();
        }
    };
    let alert = tokio::time::timeout(std::time::Duration::from_secs(60), opened).await.unwrap();
    let close = format!("/api/v1/alerts/{alert}/close");
    for who in [AUTHOR, REVIEWER] {
        let (status, told) = team.post(who, &close, json!({"reason": "fine"})).await;
        assert!(status == 403 && told["title"].as_str().unwrap().contains("security"), "{status} {told}");
    }
    assert_eq!(team.post(APPROVER, &close, json!({"reason": "we looked"})).await.0, 200);
    team.app.stop().await;
}
