//! The console's pages, asked for over TLS as a browser does: what they show, what they escape,
//! and who may see them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alert;
mod change;
mod enrolment;
mod factor;
mod fleet;
mod people;
mod person;

use std::collections::BTreeMap;

use bartizan_core::role::Role;
use bartizan_server::{App, web};
use reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, ETAG, IF_NONE_MATCH,
};
use reqwest::header::{LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

use fleet::HOSTILE;

/// Someone who asks as a browser does: signed in, or nobody.
struct Browser {
    client: Client,
    origin: String,
    cookie: Option<String>,
}

fn client(app: &App) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = reqwest::Certificate::from_pem(app.authority().as_bytes()).unwrap();
    let client =
        Client::builder().add_root_certificate(authority).redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

impl Browser {
    fn nobody(app: &App) -> Browser {
        let origin = format!("https://localhost:{}", app.people().port());
        Browser { client: client(app), origin, cookie: None }
    }

    async fn sign_in(app: &App, link: &str) -> Browser {
        let mut browser = Browser::nobody(app);
        let token = link.split_once('=').unwrap().1;
        let answer = browser.post("/sign-in").form(&[("link", token)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        browser.cookie = cookie.split(';').next().map(ToOwned::to_owned);
        browser
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.origin));
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.ask(Method::POST, path).header(ORIGIN, &self.origin).header(ACCEPT, "text/html")
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).header(ACCEPT, "text/html").send().await.unwrap()
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store", "{path}");
        answer.text().await.unwrap()
    }
}

async fn alert_with(browser: &Browser, words: &str) -> String {
    let answer = browser.ask(Method::GET, "/api/v1/alerts").send().await.unwrap();
    let list: serde_json::Value = answer.json().await.unwrap();
    let alerts = list.get("alerts").and_then(serde_json::Value::as_array).unwrap();
    let alert = alerts.iter().find(|alert| alert["summary"].as_str().unwrap().contains(words));
    alert.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_page_shows_what_the_fleet_is_and_escapes_what_agents_told() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let assets = fleet::fill(&app).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Responder]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let alert = alert_with(&browser, "opened a shell").await;
    let (alert, asset) = (format!("/alerts/{alert}"), format!("/assets/{}", assets[4].id));
    let facts = format!("{asset}/facts/os");
    let table: [(&str, &[&str]); 16] = [
        ("/", &["Needs a human now", "Configuration", "4 not met", "2 unknown", "the tracker answered 503"]),
        ("/assets", &["web-1", "billing", "&#60;script&#62;alert(1)&#60;/script&#62;"]),
        (&asset, &["shop-servers/core-dumps", "CVE-2024-5535", "update openssl to 3.0.15-1", "tier=web"]),
        (&facts, &["&#34;debian&#34;"]),
        ("/findings", &["shop-servers/log-martians", "CVE-2023-45853", "1 to 8 of 8"]),
        (
            "/findings?kind=deviation&severity=high",
            &["1 to 1 of 1, out of 8", "packets with impossible addresses"],
        ),
        ("/findings/deviation/shop-servers%2Flog-martians", &["web-2", "db-1", "What to do"]),
        (
            "/findings/vulnerability/CVE-2024-5535?object=openssl",
            &["queue-1", "&#60;script&#62;", "10 h ago"],
        ),
        ("/findings?text=%3Cb%3E", &["value=\"&#60;b&#62;\"", "None of 8 findings"]),
        (
            "/vulnerabilities",
            &[
                "Updates to install",
                "update openssl to 3.0.14-1",
                "what is not listed is unknown",
                "no fix: none yet",
            ],
        ),
        ("/baselines", &["Servers of the shop", "12 met", "4 not met", "2 unknown"]),
        ("/baselines/shop-servers", &["packets with impossible addresses", "Rules"]),
        ("/alerts", &["4% of its space left", "critical", "nobody"]),
        (&alert, &["Acknowledge", "reverse-shell", "Who was told"]),
        ("/ledger", &["Download the bundle", "bartizan-verify", "document"]),
        ("/documents", &["shop-servers", "Route", "none asked for"]),
    ];
    for (path, words) in table {
        let page = browser.page(path).await;
        for word in words {
            assert!(page.contains(word), "{path} does not say `{word}`:\n{page}");
        }
        assert!(!page.contains(HOSTILE), "{path} shows a name as it came");
        assert!(!page.contains(" style=") && !page.contains("<style"), "{path} holds a style");
        assert!(page.contains("Ada") && page.contains("aria-current=\"page\""), "{path}");
    }
    assert!(browser.page("/design").await.contains("Design system"));
    app.stop().await;
}

#[tokio::test]
async fn a_script_gets_the_part_alone_and_news_comes_as_events() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Auditor]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let overview = browser.page("/").await;
    assert!(overview.contains("No asset has enrolled"), "{overview}");
    assert!(!overview.contains("Nothing waits for you"), "what is unknown is no good news");
    for path in [
        "/",
        "/assets",
        "/findings",
        "/vulnerabilities",
        "/baselines",
        "/alerts",
        "/incidents",
        "/silences",
        "/changes",
        "/environments",
        "/acceptances",
        "/ledger",
        "/documents",
    ] {
        let answer = browser.ask(Method::GET, path).header("HX-Request", "true").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let part = answer.text().await.unwrap();
        assert!(!part.contains("<html") && !part.trim().is_empty(), "{path}: {part}");
        assert!(browser.page(path).await.contains(part.trim()), "{path}");
    }
    let mut events = browser.ask(Method::GET, "/events").send().await.unwrap();
    assert_eq!(events.headers()[CONTENT_TYPE], "text/event-stream");
    let opened = events.chunk().await.unwrap().unwrap();
    assert!(opened.starts_with(b":"), "{opened:?}");
    app.web.nudges.show();
    let told = events.chunk().await.unwrap().unwrap();
    assert!(told.starts_with(b"event: shown\ndata: "), "{told:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_responder_takes_an_alert_on_and_closes_it_by_forms_of_this_host_alone() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    fleet::fill(&app).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Responder]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let path = format!("/alerts/{}", alert_with(&browser, "space left").await);
    let elsewhere =
        browser.ask(Method::POST, &format!("{path}/acknowledge")).header(ORIGIN, "https://elsewhere.test");
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let answer = browser.post(&format!("{path}/acknowledge")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[LOCATION], path);
    let page = browser.page(&path).await;
    assert!(page.contains("Ada") && !page.contains(">Acknowledge<"), "{page}");
    let reason = "the disk was <grown>";
    let answer = browser.post(&format!("{path}/close")).form(&[("reason", reason)]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert!(browser.page(&path).await.contains("the disk was &#60;grown&#62;"));
    // Again: a problem, as a page.
    let answer = browser.post(&format!("{path}/close")).form(&[("reason", reason)]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(answer.text().await.unwrap().contains("<h1>"));
    let link = fleet::person(&app, 2, "Grace", &[Role::Auditor]).await;
    let auditor = Browser::sign_in(&app, &link).await;
    let other = format!("/alerts/{}", alert_with(&auditor, "opened a shell").await);
    assert!(!auditor.page(&other).await.contains(">Acknowledge<"));
    app.stop().await;
}

#[tokio::test]
async fn problems_are_pages_for_browsers_and_problem_documents_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Responder]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let table = [
        ("/assets/%3Cb%3E", StatusCode::NOT_FOUND, "There is no asset `&#60;b&#62;`"),
        ("/alerts/none", StatusCode::NOT_FOUND, "There is no alert `none`"),
        ("/incidents/none", StatusCode::NOT_FOUND, "There is no incident `none`"),
        ("/acceptances/none", StatusCode::NOT_FOUND, "There is no acceptance `none`"),
        ("/changes/none", StatusCode::NOT_FOUND, "There is no change `none`"),
        ("/silences?alert=none", StatusCode::NOT_FOUND, "There is no alert `none`"),
        ("/findings/deviation/none", StatusCode::NOT_FOUND, "There is no finding `none`"),
        ("/baselines/none", StatusCode::NOT_FOUND, "There is no baseline `none`"),
        ("/nowhere", StatusCode::NOT_FOUND, "There is no page `/nowhere`"),
        ("/assets?after=soon", StatusCode::BAD_REQUEST, "makes no sense"),
        ("/sign-out", StatusCode::METHOD_NOT_ALLOWED, "takes no such request"),
    ];
    for (path, status, words) in table {
        let answer = browser.get(path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.headers().contains_key(CONTENT_SECURITY_POLICY), "{path}");
        let page = answer.text().await.unwrap();
        assert!(page.contains("<h1>") && page.contains(words), "{path}: {page}");
    }
    let answer = browser.ask(Method::GET, "/assets/none").send().await.unwrap();
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
    app.stop().await;
}

#[tokio::test]
async fn a_sign_in_link_is_used_by_the_form_alone_and_files_are_kept_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let nobody = Browser::nobody(&app);
    assert!(nobody.page("/sign-in").await.contains("bartizan sign-in"));
    let link = fleet::person(&app, 1, "Ada", &[Role::Responder]).await;
    let page = nobody.page(&link).await;
    assert!(page.contains("method=\"post\" action=\"/sign-in\"") && nobody.page(&link).await == page);
    let token = link.split_once('=').unwrap().1;
    // Another site that has a link of its own would else sign a browser in as somebody else.
    for origin in [Some("https://elsewhere.example"), Some("null"), None] {
        let form = nobody.ask(Method::POST, "/sign-in").form(&[("link", token)]);
        let form = origin.into_iter().fold(form, |form, origin| form.header(ORIGIN, origin));
        assert_eq!(form.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{origin:?}");
    }
    Browser::sign_in(&app, &link).await;
    let again = nobody.post("/sign-in").form(&[("link", token)]).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::FORBIDDEN);
    let style = page.split('"').find(|text| text.ends_with("/bartizan.css")).unwrap();
    let answer = nobody.get(style).await;
    assert_eq!(answer.headers()[CONTENT_TYPE], "text/css; charset=utf-8");
    assert!(answer.headers()[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    let etag = answer.headers()[ETAG].clone();
    let answer = nobody.ask(Method::GET, style).header(IF_NONE_MATCH, etag).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    let older = nobody.get("/static/0000000000000000/bartizan.css").await;
    assert_eq!(older.headers()[CACHE_CONTROL], "no-cache");
    assert_eq!(nobody.get("/static/0/..%2FCargo.toml").await.status(), StatusCode::NOT_FOUND);
    app.stop().await;
}

/// A path with something in each of its places.
fn filled(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "x" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn each_route_takes_whoever_its_row_names_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let app = fleet::start(folder.path()).await;
    let nobody = Browser::nobody(&app);
    let mut people = BTreeMap::new();
    for (role, number) in Role::ALL.into_iter().zip(1..) {
        let link = fleet::person(&app, number, role.as_str(), &[role]).await;
        people.insert(role, Browser::sign_in(&app, &link).await);
    }
    let mut routes = web::routes();
    // Whoever signs out is somebody no more.
    routes.sort_by_key(|route| route.path == "/sign-out");
    for route in routes {
        let path = filled(route.path);
        let ask = |browser: &Browser| {
            let request = browser.ask(route.method.clone(), &path).header(ORIGIN, &browser.origin);
            request.header(ACCEPT, "text/html").send()
        };
        let Some(roles) = route.roles else {
            assert!(!ask(&nobody).await.unwrap().status().is_server_error(), "{route:?}");
            continue;
        };
        let status = ask(&nobody).await.unwrap().status();
        let expected =
            if route.method == Method::GET { StatusCode::SEE_OTHER } else { StatusCode::UNAUTHORIZED };
        assert_eq!(status, expected, "{route:?} for nobody");
        for (role, browser) in &people {
            let status = ask(browser).await.unwrap().status();
            let denied = status == StatusCode::FORBIDDEN;
            assert_eq!(denied, !roles.contains(role), "{route:?} for {role}: {status}");
            assert!(!status.is_server_error(), "{route:?} for {role}: {status}");
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{route:?} for {role}");
        }
    }
    app.stop().await;
}
