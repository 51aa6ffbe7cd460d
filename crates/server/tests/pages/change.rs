//! A change's page: what it warns of, and how it tells what was refused.

use bartizan_core::role::Role;
use reqwest::StatusCode;
use reqwest::header::LOCATION;

use crate::{Browser, fleet};

const DOCUMENT: &str = "kind: Route\nname: main\nspec:\n  receivers: [{name: pager, webhook: {url: \"https://one.example/\"}}]\n  route: {receiver: pager}\n";

/// Proposes a change of this service, and gives the path of its page.
async fn propose(browser: &Browser, service: &str) -> String {
    let form = [("service", service), ("text", DOCUMENT)];
    let answer = browser.post("/changes").form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_of_a_service_without_assets_says_so_on_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    fleet::fill(&app).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Operator]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let words = "no asset belongs to the service `nosuch`";
    let path = propose(&browser, "nosuch").await;
    assert!(browser.page(&path).await.contains(words));
    let path = propose(&browser, "shop").await;
    assert!(!browser.page(&path).await.contains("no asset belongs"));
    app.stop().await;
}

#[tokio::test]
async fn the_side_bar_leads_to_the_environments() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Auditor]).await;
    let browser = Browser::sign_in(&app, &link).await;
    assert!(browser.page("/").await.contains("<a href=\"/environments\">Environments</a>"));
    let page = browser.page("/environments").await;
    assert!(page.contains("<a href=\"/environments\" aria-current=\"page\">Environments</a>"), "{page}");
    app.stop().await;
}

#[tokio::test]
async fn a_review_that_was_refused_reads_as_asked_for_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Operator]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let path = propose(&browser, "shop").await;
    let page = browser.page(&path).await;
    let digest = page.split("<code>sha256:").nth(1).unwrap().split('<').next().unwrap();
    let form = [("digest", format!("sha256:{digest}")), ("target", "prod".to_owned())];
    let answer = browser.post(&format!("{path}/review")).form(&form).send().await.unwrap();
    assert!(answer.status().is_client_error());
    let page = browser.page(&path).await;
    assert!(page.contains("asked to review it for prod; it was refused"), "{page}");
    assert!(page.contains("who wrote a change may not review it"), "{page}");
    app.stop().await;
}
