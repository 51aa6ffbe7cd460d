//! People and their roles: what two people do together, by forms and by the API.

use bartizan_core::role::Role;
use bartizan_server::App;
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{Browser, fleet};

/// Asks the API for an act: its status, and what was answered.
async fn act(browser: &Browser, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = browser.ask(Method::POST, &format!("/api/v1{path}")).header("origin", &browser.origin);
    let answer = request.json(body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn people(browser: &Browser) -> Value {
    browser.ask(Method::GET, "/api/v1/people").send().await.unwrap().json().await.unwrap()
}

fn row<'a>(list: &'a Value, name: &str) -> &'a Value {
    list["people"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()
}

/// Two admins who are signed in.
async fn two(app: &App) -> [Browser; 2] {
    let ada = fleet::person(app, 1, "ada", &[Role::Admin]).await;
    let grace = fleet::person(app, 2, "grace", &[Role::Admin]).await;
    [Browser::sign_in(app, &ada).await, Browser::sign_in(app, &grace).await]
}

#[tokio::test]
async fn a_role_that_approves_is_confirmed_by_a_second_person_and_the_ledger_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let [ada, grace] = two(&app).await;
    assert_eq!(act(&ada, "/people", &json!({"name": "linus"})).await.0, StatusCode::OK);
    let (status, told) = act(&ada, "/people", &json!({"name": "Linus"})).await;
    assert!(status == StatusCode::CONFLICT && told["title"].as_str().unwrap().contains("already"), "{told}");
    assert_eq!(act(&ada, "/people/linus/grant", &json!({"role": "auditor"})).await.1["waiting"], Value::Null);
    let wanted = json!({"role": "operator", "services": ["shop"]});
    let (_, granted) = act(&ada, "/people/linus/grant", &wanted).await;
    assert_eq!(granted["waiting"]["confirmers"], json!(["grace"]), "{granted}");
    assert_eq!(row(&people(&ada).await, "linus")["roles"], json!(["auditor"]), "it is not in force");
    let path = format!("/role-requests/{}/confirm", granted["waiting"]["id"].as_str().unwrap());
    let (status, told) = act(&ada, &path, &json!({})).await;
    assert!(
        status == StatusCode::FORBIDDEN && told["title"].as_str().unwrap().contains("second person"),
        "{told}"
    );
    assert_eq!(act(&grace, &path, &json!({})).await.0, StatusCode::OK);
    let list = people(&ada).await;
    assert_eq!(row(&list, "linus")["roles"], json!(["operator", "auditor"]));
    assert_eq!((&row(&list, "linus")["services"], &list["requests"]), (&json!(["shop"]), &json!([])));
    let (status, told) = act(&ada, "/people/linus/grant", &json!({"role": "root"})).await;
    assert!(
        status == StatusCode::BAD_REQUEST && told["detail"].as_str().unwrap().contains("operator"),
        "{told}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_person_alone_is_told_how_to_get_a_second_one() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let link = fleet::person(&app, 1, "ada", &[Role::Admin]).await;
    let ada = Browser::sign_in(&app, &link).await;
    act(&ada, "/people", &json!({"name": "linus"})).await;
    let (status, told) = act(&ada, "/people/linus/grant", &json!({"role": "security"})).await;
    let title = told["title"].as_str().unwrap();
    assert!(status == StatusCode::CONFLICT && title.contains("bartizan person grant NAME admin"), "{told}");
    let (status, told) = act(&ada, "/people/ada/revoke", &json!({"role": "admin"})).await;
    assert!(
        status == StatusCode::CONFLICT && told["title"].as_str().unwrap().contains("last admin"),
        "{told}"
    );
    app.stop().await;
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_a_reset_takes_the_factor_away() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let [ada, grace] = two(&app).await;
    let (status, link) = act(&ada, "/people/grace/sign-in-link", &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{link}");
    let again = Browser::sign_in(&app, link["path"].as_str().unwrap()).await;
    let me: Value = again.ask(Method::GET, "/api/v1/me").send().await.unwrap().json().await.unwrap();
    assert_eq!(me["name"], "grace");
    let id = app.web.store.people().await.unwrap().into_iter().find(|one| one.name == "grace").unwrap();
    assert_eq!(id.grants.len(), 1, "that a link was made by somebody else is remembered");
    grace.page("/people").await;
    assert_eq!(act(&ada, "/people/grace/disable", &json!({})).await.0, StatusCode::OK);
    for browser in [&grace, &again] {
        assert_eq!(browser.get("/people").await.headers()[LOCATION], "/sign-in");
    }
    assert_eq!(act(&ada, "/people/grace/enable", &json!({})).await.0, StatusCode::OK);
    assert_eq!(grace.get("/people").await.headers()[LOCATION], "/sign-in", "the old session stays ended");
    let (status, _) = act(&ada, "/people/nobody/disable", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(act(&ada, "/people/grace/reset", &json!({})).await.0, StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn two_people_make_a_third_one_operator_by_forms_alone() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let [ada, grace] = two(&app).await;
    let made = ada.post("/people").form(&[("name", "linus")]).send().await.unwrap();
    assert_eq!(made.headers()[LOCATION], "/people/linus");
    let given = ada.post("/people/linus/grant").form(&[("role", "operator"), ("services", "shop, billing")]);
    assert_eq!(given.send().await.unwrap().headers()[LOCATION], "/people");
    let own = ada.page("/people").await;
    assert!(own.contains("Waits for a second person") && !own.contains(">Confirm<"), "{own}");
    let page = grace.page("/people").await;
    let action = page.split("action=\"/role-requests/").nth(1).unwrap().split('"').next().unwrap();
    let confirmed = grace.post(&format!("/role-requests/{action}")).send().await.unwrap();
    assert_eq!(confirmed.headers()[LOCATION], "/people");
    let page = ada.page("/people/linus").await;
    assert!(page.contains(">operator</span>") && page.contains(">billing</span>"), "{page}");
    let link = ada.post("/people/linus/sign-in-link").send().await.unwrap().text().await.unwrap();
    let link = link.split("aria-label=\"Link\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let linus = Browser::sign_in(&app, &link).await;
    let page = linus.page("/people").await;
    assert!(!page.contains("Make a person") && page.contains("linus"), "{page}");
    app.stop().await;
}
