//! A server, and four people of one team with a session each.

use std::path::Path;

use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings, auth};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

/// TLS looks at the machine's clock, so the server's has to be about the same.
#[expect(clippy::disallowed_methods, reason = "certificates are checked by the machine's clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

pub(crate) struct Team {
    pub(crate) app: App,
    http: reqwest::Client,
    tokens: Vec<String>,
}

/// Author, reviewer of the same service, approver, reader.
pub(crate) const AUTHOR: usize = 0;
pub(crate) const REVIEWER: usize = 1;
pub(crate) const APPROVER: usize = 2;
pub(crate) const READER: usize = 3;

impl Team {
    pub(crate) async fn start(folder: &Path, clock: fn() -> Timestamp) -> Team {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = Settings::in_folder(folder);
        let app = App::start(&settings, Ambient::new(clock, StdRng::seed_from_u64(3))).await.unwrap();
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
    pub(crate) async fn post(&self, who: usize, path: &str, body: Value) -> (u16, Value) {
        let url = format!("https://{}{path}", self.app.people());
        let answer = self.http.post(url).bearer_auth(&self.tokens[who]).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, who: usize, path: &str) -> Value {
        let url = format!("https://{}{path}", self.app.people());
        let answer = self.http.get(url).bearer_auth(&self.tokens[who]).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }
}
