//! An alert's page: which rule raised it, and what its document says to do.

use bartizan_core::role::Role;
use serde_json::Value;

use crate::{Browser, alert_with, fleet};

#[tokio::test]
async fn an_alert_names_the_document_of_its_rule_and_what_to_do_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    fleet::fill(&app).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Responder]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let table: [(&str, &str, &[&str]); 3] = [
        (
            "impossible addresses",
            "/baselines/shop-servers#log-martians",
            &[
                "Baseline/shop-servers",
                "A spoofed packet leaves no trace",
                "Set net.ipv4.conf.all.log_martians to 1.",
            ],
        ),
        (
            "opened a shell",
            "/documents#dev.Detection.shells",
            &["Detection/shells", "A shell whose input is a socket.", "A rehearsal of the on-call team"],
        ),
        (
            "space left",
            "/documents#dev.Health.shop-health",
            &["Health/shop-health", "disk_used above 90%, until it is back at 85%"],
        ),
    ];
    for (words, href, told) in table {
        let page = browser.page(&format!("/alerts/{}", alert_with(&browser, words).await)).await;
        assert!(page.contains(&format!("href=\"{href}\"")), "{words}: {page}");
        for word in told {
            assert!(page.contains(word), "{words} does not say `{word}`: {page}");
        }
        let (path, anchor) = href.split_once('#').unwrap();
        assert!(browser.page(path).await.contains(&format!("id=\"{anchor}\"")), "{href} leads nowhere");
    }
    let id = alert_with(&browser, "impossible addresses").await;
    let told = browser.ask(reqwest::Method::GET, &format!("/api/v1/alerts/{id}")).send().await.unwrap();
    let told: Value = told.json().await.unwrap();
    assert_eq!(
        (&told["rule"]["kind"], &told["rule"]["document"], &told["rule"]["rule"]),
        (&"Baseline".into(), &"shop-servers".into(), &"log-martians".into())
    );
    app.stop().await;
}
