//! Who may act on what, that what somebody did bears their name, and that a stranger is not waited for.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use axum::body::Bytes;
use bartizan_core::document;
use bartizan_core::enrolment::Refusal;
use bartizan_ledger::entry::Body;
use bartizan_server::api::document::apply_documents;
use futures::StreamExt as _;
use serde_json::{Value, json};

#[path = "change/team.rs"]
mod team;

use team::{APPROVER, AUTHOR, READER, REVIEWER, Team, now};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

fn baseline(title: &str, value: &str) -> String {
    format!(
        "kind: Baseline\nname: web\nowner: shop\nspec:\n  title: Web\n  rules:\n    - id: forward\n      title: {title}\n      \
         rationale: A web server is no router.\n      severity: medium\n      \
         check: {{sysctl: {{key: net.ipv4.ip_forward, value: {{equals: \"{value}\"}}}}}}\n      remediation: Set it.\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lets_in_declares_and_retires_hosts_of_their_own_services_alone() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), now).await;
    let keys = [
        (AUTHOR, "bank", "prod", 403),
        (AUTHOR, "shop", "prod", 200),
        (AUTHOR, "bank", "dev", 200),
        (APPROVER, "bank", "prod", 200),
        (READER, "shop", "prod", 403),
    ];
    for (who, service, environment, expected) in keys {
        let wanted = json!({"service": service, "environment": environment});
        let (status, made) = team.post(who, "/api/v1/enrolment-keys", wanted).await;
        assert_eq!(status, expected, "{service} in {environment}: {made}");
    }
    for (service, expected) in [("bank", 403), ("shop", 200)] {
        let asset = json!({"name": format!("{service}-0"), "service": service, "environment": "prod"});
        let (status, told) = team.post(AUTHOR, "/api/v1/assets", json!({"assets": [asset]})).await;
        assert_eq!(status, expected, "{service}: {told}");
    }
    for name in ["bank-1", "bank-2"] {
        let asset = json!({"name": name, "service": "bank", "environment": "prod"});
        let (status, told) = team.post(APPROVER, "/api/v1/assets", json!({"assets": [asset]})).await;
        assert_eq!(status, 200, "{told}");
    }
    let (status, told) = team.post(AUTHOR, "/api/v1/assets/bank-1/retire", json!({})).await;
    assert!(status == 403 && told["title"].as_str().unwrap().contains("team"), "{status} {told}");
    let (status, told) = team.post(APPROVER, "/api/v1/assets/bank-1/retire", json!({})).await;
    assert_eq!((status, &told["life"]), (200, &json!("retired")), "{told}");
    team.app.stop().await;
}

/// The body of the newest entry of a kind, and whether it is salted.
async fn told(team: &Team, kind: &str) -> (Value, bool) {
    let mut shown = team.app.web.nudges.shown();
    let found = async {
        loop {
            let leaves = team.app.web.store.leaves(0, 10_000).await.unwrap();
            let newest = leaves.into_iter().rev().find(|(_, entry)| entry.envelope.kind == kind);
            match newest.and_then(|(_, entry)| entry.body) {
                Some(Body::Salted { text, .. }) => return (serde_json::from_str(&text).unwrap(), true),
                Some(Body::Open(text)) => return (serde_json::from_str(&text).unwrap(), false),
                None => drop(tokio::time::timeout(Duration::from_millis(200), shown.changed()).await),
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_applied_made_a_key_or_ended_a_silence_is_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), now).await;
    let people = team.app.web.store.people().await.unwrap();
    let ann = json!(people.iter().find(|person| person.name == "ann").unwrap().id);

    let files = json!({"files": [{"name": "web.yaml", "text": baseline("No forwarding", "0")}]});
    assert_eq!(team.post(AUTHOR, "/api/v1/environments/dev/apply", files).await.0, 200);
    let (applied, salted) = told(&team, "documents_applied").await;
    assert!(salted && applied["by"] == ann && applied["documents"][0]["name"] == "web", "{applied}");
    let rows = team.get(READER, "/api/v1/documents").await;
    assert_eq!(rows["documents"][0]["applied_by"], "ann", "{rows}");

    let wanted = json!({"service": "shop", "environment": "dev"});
    assert_eq!(team.post(AUTHOR, "/api/v1/enrolment-keys", wanted).await.0, 200);
    let (key, salted) = told(&team, "enrolment_key").await;
    assert!(salted && key["by"] == ann, "{key}");

    let silence = json!({"matchers": ["service=shop"], "reason": "work on the disks", "lasts": "1h"});
    let (_, made) = team.post(REVIEWER, "/api/v1/silences", silence).await;
    let end = format!("/api/v1/silences/{}/end", made["id"].as_str().unwrap());
    assert_eq!(team.post(AUTHOR, &end, json!({})).await.0, 200);
    let (ended, salted) = told(&team, "silence_ended").await;
    assert!(salted && ended["by"] == ann, "{ended}");
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_without_their_secrets_and_revoked_by_those_who_answer_for_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), now).await;
    let wanted = json!({
        "service": "bank", "environment": "prod", "labels": {"tier": "web"}, "networks": ["192.0.2.0/24"], "uses": 3,
    });
    let (_, made) = team.post(APPROVER, "/api/v1/enrolment-keys", wanted).await;
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let listed = team.get(READER, "/api/v1/enrolment-keys").await;
    let row = &listed["keys"][0];
    assert!(!listed.to_string().contains(secret), "{listed}");
    assert_eq!((&row["id"], &row["state"], &row["uses_left"]), (&json!(id), &json!("usable"), &json!(3)));
    assert_eq!((&row["labels"]["tier"], &row["networks"][0]), (&json!("web"), &json!("192.0.2.0/24")));
    let people = team.app.web.store.people().await.unwrap();
    let approver = people.iter().find(|person| row["made_by"] == json!(person.name)).unwrap();

    let revoke = format!("/api/v1/enrolment-keys/{id}/revoke");
    for (who, expected) in [(AUTHOR, 403), (READER, 403), (APPROVER, 200), (APPROVER, 409)] {
        let (status, told) = team.post(who, &revoke, json!({})).await;
        assert_eq!(status, expected, "{told}");
    }
    let (revoked, salted) = told(&team, "enrolment_key_revoked").await;
    assert!(salted && revoked["by"] == json!(approver.id) && revoked["key"] == json!(id), "{revoked}");
    let digest = bartizan_core::digest::Digest::of_bytes(secret.as_bytes());
    let here = std::net::IpAddr::from([192, 0, 2, 7]);
    let admitted = team.app.web.store.admits(&digest, here, now()).await.unwrap();
    assert!(matches!(admitted, Err(Refusal::Revoked(_))), "{admitted:?}");
    assert!(team.get(READER, "/api/v1/enrolment-keys").await["keys"].as_array().unwrap().is_empty());
    let all = team.get(READER, "/api/v1/enrolment-keys?all=true").await;
    assert_eq!(
        (&all["keys"][0]["state"], &all["keys"][0]["revoked_by"]),
        (&json!("revoked"), &row["made_by"])
    );
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_applied_a_baseline_by_hand_does_not_review_it() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), now).await;
    let files = json!({"files": [{"name": "web.yaml", "text": baseline("No forwarding", "0")}]});
    assert_eq!(team.post(AUTHOR, "/api/v1/environments/dev/apply", files).await.0, 200);
    let digest = team.get(READER, "/api/v1/documents").await["documents"][0]["digest"].clone();
    let says = json!({"digest": digest, "word": "keep", "reason": "read line by line"});
    let (status, told) = team.post(AUTHOR, "/api/v1/reviews/web", says.clone()).await;
    assert!(status == 403 && told["title"].as_str().unwrap().contains("wrote"), "{status} {told}");
    assert_eq!(team.post(REVIEWER, "/api/v1/reviews/web", says).await.0, 200);
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_told_in_the_words_of_the_highest_environment_that_has_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), now).await;
    let web = &team.app.web;
    for (environment, title, value) in [("dev", "Nothing to see", "1"), ("prod", "No forwarding", "0")] {
        let documents = document::parse("web.yaml", &baseline(title, value)).unwrap();
        apply_documents(web, environment, documents).await.unwrap();
    }
    let check = async |environment: &str| {
        let environment = web.policies.environment(environment).await.unwrap();
        environment.rule("web", "forward").unwrap().check
    };
    for (checks, title) in [
        (vec![], "No forwarding"),
        (vec![check("dev").await], "Nothing to see"),
        (vec![check("dev").await, check("prod").await], "No forwarding"),
    ] {
        let rule = web.policies.rule("web", "forward", &checks).await.unwrap().unwrap();
        assert_eq!(rule.title, title, "{checks:?}");
    }
    let list = team.get(READER, "/api/v1/baselines").await;
    assert_eq!(list["baselines"][0]["rules"][0]["title"], "No forwarding", "{list}");
    team.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_of_a_stranger_is_waited_for_beyond_a_few_kilobytes() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), now).await;
    let app = &team.app;
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
        let answer = tokio::time::timeout(LIMIT, asked).await;
        assert_eq!(answer.expect("nobody waits for the rest").unwrap().status(), status, "{url}");
    }
    team.app.stop().await;
}
