//! The page of enrolment keys: what it lists, and taking one back.

use bartizan_core::role::Role;
use reqwest::StatusCode;
use reqwest::header::LOCATION;

use crate::{Browser, fleet};

#[tokio::test]
async fn enrolment_keys_are_listed_and_revoked_by_whoever_lets_hosts_in() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Operator]).await;
    let ada = Browser::sign_in(&app, &link).await;
    assert!(ada.page("/assets").await.contains("href=\"/enrolment-keys\""));
    assert!(ada.page("/enrolment-keys").await.contains("No host can enrol now."));
    let wanted =
        serde_json::json!({"service": "shop", "environment": "prod", "labels": {"tier": fleet::HOSTILE}});
    let made = ada.ask(reqwest::Method::POST, "/api/v1/enrolment-keys").header("origin", &ada.origin);
    let made: serde_json::Value = made.json(&wanted).send().await.unwrap().json().await.unwrap();
    let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let page = ada.page("/enrolment-keys").await;
    assert!(page.contains("server of shop in prod") && page.contains("Ada") && page.contains(id), "{page}");
    assert!(!page.contains(secret) && !page.contains(fleet::HOSTILE), "{page}");
    let link = fleet::person(&app, 2, "Grace", &[Role::Auditor]).await;
    let auditor = Browser::sign_in(&app, &link).await;
    assert!(!auditor.page("/enrolment-keys").await.contains(">Revoke<"));
    let answer = ada.post(&format!("/enrolment-keys/{id}/revoke")).send().await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &"/enrolment-keys".parse().unwrap())
    );
    assert!(ada.page("/enrolment-keys").await.contains("No host can enrol now."));
    let all = auditor.page("/enrolment-keys?all=true").await;
    assert!(all.contains("revoked") && all.contains("by Ada"), "{all}");
    app.stop().await;
}
