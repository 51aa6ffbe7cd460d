//! The demo's switch: there where the setting says so, and nowhere else, whatever is sent.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;

use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings, auth, web};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::header::{ACCEPT, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};

/// TLS looks at the machine's clock, so the server's has to be about the same.
#[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's clock")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A server with two people, and the browser of the first.
struct House {
    app: App,
    client: Client,
    origin: String,
    cookie: String,
    other: PersonId,
}

impl House {
    async fn start(folder: &Path, demo: bool) -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = Settings { demo, ..Settings::in_folder(folder) };
        let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(5))).await.unwrap();
        let mut ids = Vec::new();
        for (name, role) in [("Ada", Role::Auditor), ("Sam", Role::Security)] {
            let person = Person {
                id: PersonId::mint(now(), app.web.ambient.random()),
                name: name.to_owned(),
                roles: [role].into(),
                services: Default::default(),
                grants: Vec::new(),
                disabled: false,
            };
            app.web.store.put_person(&person, now(), [0; 32]).await.unwrap();
            ids.push(person.id);
        }
        let authority = reqwest::Certificate::from_pem(app.authority().as_bytes()).unwrap();
        let client =
            Client::builder().add_root_certificate(authority).redirect(reqwest::redirect::Policy::none());
        let token = auth::open(&app.web, ids[0]).await.unwrap().unwrap();
        let cookie = auth::set_cookie(&token).split(';').next().unwrap().to_owned();
        let origin = format!("https://localhost:{}", app.people().port());
        House { app, client: client.build().unwrap(), origin, cookie, other: ids[1] }
    }

    fn get(&self, path: &str, cookie: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.origin)).header(COOKIE, cookie).header(ACCEPT, "text/html")
    }

    fn switch(&self, back: &str) -> RequestBuilder {
        let post = self.client.post(format!("{}/demo/switch", self.origin)).header(ORIGIN, &self.origin);
        let form = [("person", self.other.to_string()), ("back", back.to_owned())];
        post.header(COOKIE, &self.cookie).header(ACCEPT, "text/html").form(&form)
    }

    async fn who(&self, cookie: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}/api/v1/me", self.origin)).header(COOKIE, cookie);
        let answer = answer.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

fn cookie(answer: &Response) -> String {
    answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn without_the_setting_there_is_no_switch_whatever_a_request_bears() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::start(folder.path(), false).await;
    assert!(web::routes().iter().all(|route| !route.path.contains("demo")), "the table names none");
    let plain = house.switch("/");
    let headed = house.switch("/").header("x-demo", "true").header("bartizan-demo", "1").header("demo", "on");
    let baked = house.switch("/").header(COOKIE, format!("{}; demo=true; __Host-demo=1", house.cookie));
    let asked = house.client.post(format!("{}/demo/switch?demo=true", house.origin));
    let asked = asked.header(ORIGIN, &house.origin).header(COOKIE, &house.cookie);
    let asked = asked.form(&[("person", house.other.to_string()), ("demo", "true".to_owned())]);
    for request in [plain, headed, baked, asked] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(!answer.headers().contains_key(SET_COOKIE));
    }
    let got = house.get("/demo/switch", &house.cookie).send().await.unwrap();
    assert_eq!(got.status(), StatusCode::NOT_FOUND);
    assert!(house.who(&house.cookie).await.1.contains("Ada"), "whoever was signed in still is");
    for path in ["/", "/sign-in", "/nowhere"] {
        let page = house.get(path, &house.cookie).header("x-demo", "true").send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(!page.contains("/demo/switch") && !page.contains("ribbon"), "{path}");
    }
    house.app.stop().await;
}

#[tokio::test]
async fn in_a_demo_one_click_makes_another_person_and_ends_the_session_before() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::start(folder.path(), true).await;
    for path in ["/", "/sign-in", "/nowhere"] {
        let page = house.get(path, &house.cookie).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("This fleet is simulated"), "{path} says what it is");
    }
    let page = house.get("/assets", &house.cookie).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("value=\"{}\"", house.other)) && page.contains("value=\"/assets\""));

    let answer = house.switch("/assets").send().await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()[LOCATION]),
        (StatusCode::SEE_OTHER, &"/assets".parse().unwrap())
    );
    assert!(house.who(&cookie(&answer)).await.1.contains("Sam"));
    assert_eq!(house.who(&house.cookie).await.0, StatusCode::UNAUTHORIZED, "the session before has ended");
    house.app.stop().await;
}

#[tokio::test]
async fn the_switch_is_for_whoever_signed_in_and_for_pages_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::start(folder.path(), true).await;
    let form = [("person", house.other.to_string())];
    let nobody = house.client.post(format!("{}/demo/switch", house.origin)).form(&form);
    assert_eq!(nobody.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let elsewhere = house.client.post(format!("{}/demo/switch", house.origin)).form(&form);
    let elsewhere = elsewhere.header(COOKIE, &house.cookie).header(ORIGIN, "https://other.example");
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let stranger = PersonId::mint(now(), [9; 10]).to_string();
    for unknown in [stranger.as_str(), "nobody"] {
        let post = house.client.post(format!("{}/demo/switch", house.origin)).header(ORIGIN, &house.origin);
        let post = post.header(COOKIE, &house.cookie).form(&[("person", unknown)]);
        assert_eq!(post.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    let away = house.switch("//other.example/").send().await.unwrap();
    assert_eq!(away.headers()[LOCATION], "/");
    house.app.stop().await;
}
