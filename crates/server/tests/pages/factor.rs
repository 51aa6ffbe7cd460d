//! The second factor, walked as a browser walks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::auth::factor::Secret;
use bartizan_server::{App, auth};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Method, StatusCode};

use crate::{Browser, fleet};

/// A clock that the test moves.
#[derive(Clone)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(fleet::now().as_millis())))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

async fn start(folder: &std::path::Path, clock: &Clock) -> App {
    let clock = clock.clone();
    let ambient = Ambient::new(move || clock.now(), StdRng::seed_from_u64(7));
    App::start(&fleet::settings(folder), ambient).await.unwrap()
}

/// What a device reads from the page.
fn device(page: &str) -> Secret {
    let secret = page.split("aria-label=\"Secret\">").nth(1).unwrap().split('<').next().unwrap();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in secret.bytes().filter(|letter| *letter != b' ') {
        held = (held << 5) | u32::try_from(letters.iter().position(|one| *one == letter).unwrap()).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 255).unwrap());
        }
    }
    Secret::from_bytes(bytes)
}

async fn show(browser: &Browser, path: &str, code: &str) -> (StatusCode, String) {
    let answer = browser.post(path).form(&[("code", code)]).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Sets a second factor up as a person does; gives the device and the recovery codes.
async fn set_up(browser: &Browser, clock: &Clock) -> (Secret, Vec<String>) {
    assert!(browser.page("/factor").await.contains("You have no second factor"));
    let begun = browser.post("/factor/begin").send().await.unwrap();
    assert_eq!(begun.headers()[LOCATION], "/factor");
    let page = browser.page("/factor").await;
    assert!(page.contains("<svg class=\"qr\"") && !page.contains("data:"), "{page}");
    let device = device(&page);
    let (status, _) = show(browser, "/factor/confirm", "000000").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, page) = show(browser, "/factor/confirm", &device.code(clock.now())).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let codes = page.split("aria-label=\"Recovery codes\">").nth(1).unwrap().split('<').next().unwrap();
    (device, codes.split_whitespace().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_factor_is_set_up_by_a_code_and_asked_of_every_later_session() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let app = start(folder.path(), &clock).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Admin]).await;
    let first = Browser::sign_in(&app, &link).await;
    let (device, recovery) = set_up(&first, &clock).await;
    assert_eq!(recovery.len(), 10);
    assert!(first.page("/").await.contains("Ada"), "the session that set it up has passed");
    let again = first.post("/factor/begin").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::CONFLICT, "it is not replaced behind its owner's back");
    let id = app.web.store.people().await.unwrap()[0].id;
    let link = || async { auth::link(&app.web, id).await.unwrap() };
    let second = Browser::sign_in(&app, &link().await).await;
    let answer = second.get("/alerts").await;
    assert_eq!(
        (answer.status(), &answer.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &"/factor".parse().unwrap())
    );
    let answer = second.ask(Method::GET, "/api/v1/alerts").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(second.page("/factor").await.contains("one of your recovery codes"));
    // The code that set it up was used; the next one is good, once.
    let (status, page) = show(&second, "/factor/show", &device.code(clock.now())).await;
    assert!(status == StatusCode::FORBIDDEN && page.contains("used already"), "{page}");
    clock.pass(30);
    let code = device.code(clock.now());
    assert_eq!(show(&second, "/factor/show", &code).await.0, StatusCode::SEE_OTHER);
    second.page("/alerts").await;
    let third = Browser::sign_in(&app, &link().await).await;
    assert_eq!(show(&third, "/factor/show", &code).await.0, StatusCode::FORBIDDEN);
    assert_eq!(show(&third, "/factor/show", &recovery[3]).await.0, StatusCode::SEE_OTHER);
    third.page("/alerts").await;
    let fourth = Browser::sign_in(&app, &link().await).await;
    assert_eq!(show(&fourth, "/factor/show", &recovery[3]).await.0, StatusCode::FORBIDDEN);
    let body = serde_json::json!({"code": recovery[4]});
    let passed = fourth.ask(Method::POST, "/api/v1/session/factor").header("origin", &fourth.origin);
    let passed: serde_json::Value = passed.json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(passed["recovery_codes"], 8);
    // Removed by a code, it is asked for no more on this machine.
    clock.pass(60);
    assert_eq!(show(&third, "/factor/remove", &device.code(clock.now())).await.0, StatusCode::SEE_OTHER);
    fourth.page("/alerts").await;
    app.stop().await;
}

#[tokio::test]
async fn a_secret_that_another_session_began_is_neither_shown_nor_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let app = start(folder.path(), &clock).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Admin]).await;
    let ada = Browser::sign_in(&app, &link).await;
    let id = app.web.store.people().await.unwrap()[0].id;
    let thief = Browser::sign_in(&app, &auth::link(&app.web, id).await.unwrap()).await;
    assert_eq!(thief.post("/factor/begin").send().await.unwrap().status(), StatusCode::SEE_OTHER);
    let theirs = device(&thief.page("/factor").await);
    let code = || theirs.code(clock.now());
    assert!(ada.page("/factor").await.contains("You have no second factor"));
    for path in ["/factor/confirm", "/factor/recovery-codes", "/factor/remove"] {
        assert_eq!(show(&ada, path, &code()).await.0, StatusCode::CONFLICT, "{path}");
    }
    // She starts anew; what was begun elsewhere is gone.
    let (_, recovery) = set_up(&ada, &clock).await;
    assert_eq!(recovery.len(), 10);
    assert_eq!(show(&thief, "/factor/confirm", &code()).await.0, StatusCode::CONFLICT);
    assert_eq!(show(&thief, "/factor/show", &code()).await.0, StatusCode::FORBIDDEN);
    app.stop().await;
}

#[tokio::test]
async fn whoever_guesses_codes_is_locked_out_and_the_right_code_waits_too() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let app = start(folder.path(), &clock).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Admin]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let (device, _) = set_up(&browser, &clock).await;
    let id = app.web.store.people().await.unwrap()[0].id;
    let thief = Browser::sign_in(&app, &auth::link(&app.web, id).await.unwrap()).await;
    clock.pass(30);
    for _ in 0..5 {
        assert_eq!(show(&thief, "/factor/show", "123456").await.0, StatusCode::FORBIDDEN);
    }
    let (status, page) = show(&thief, "/factor/show", &device.code(clock.now())).await;
    assert!(status == StatusCode::FORBIDDEN && page.contains("Too many wrong codes"), "{status}: {page}");
    clock.pass(61);
    assert_eq!(show(&thief, "/factor/show", &device.code(clock.now())).await.0, StatusCode::SEE_OTHER);
    app.stop().await;
}

#[tokio::test]
async fn from_beyond_this_machine_nothing_but_the_factors_page_is_reached_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let app = start(folder.path(), &clock).await;
    let link = fleet::person(&app, 1, "Ada", &[Role::Admin]).await;
    let browser = Browser::sign_in(&app, &link).await;
    let routes = bartizan_server::web::routes();
    // A proxy on this machine says that it asks for somebody else.
    let ask = |method: &Method, path: &str| {
        let request = browser.ask(method.clone(), path).header("X-Forwarded-For", "192.0.2.7");
        request.header("origin", &browser.origin).header(ACCEPT, "text/html").send()
    };
    let mut reached = Vec::new();
    for route in routes.iter().filter(|route| route.roles.is_some() && route.path != "/sign-out") {
        let answer = ask(&route.method, &crate::filled(route.path)).await.unwrap();
        let kept_out = match route.method {
            Method::GET => answer.headers().get(LOCATION).is_some_and(|to| to == "/factor"),
            _ => {
                answer.status() == StatusCode::FORBIDDEN
                    && answer.text().await.unwrap().contains("second factor")
            }
        };
        if !kept_out {
            reached.push(route.path);
        }
    }
    reached.dedup();
    let expected = [
        "/api/v1/session/factor",
        "/factor",
        "/factor/begin",
        "/factor/confirm",
        "/factor/show",
        "/factor/recovery-codes",
        "/factor/remove",
    ];
    assert_eq!(reached, expected);
    // A session of the program that runs the server reaches nothing at all from there.
    let id = app.web.store.people().await.unwrap()[0].id;
    let token = auth::local_session(&app.web, id).await.unwrap();
    let nobody = Browser::nobody(&app);
    let asked = || nobody.ask(Method::GET, "/api/v1/me").bearer_auth(&token);
    assert_eq!(asked().send().await.unwrap().status(), StatusCode::OK);
    let from_afar = asked().header("X-Forwarded-For", "192.0.2.7").send().await.unwrap();
    assert_eq!(from_afar.status(), StatusCode::UNAUTHORIZED);
    app.stop().await;
}
