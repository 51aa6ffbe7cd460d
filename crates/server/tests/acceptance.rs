//! A risk acceptance from its preview to its end: what it covers is apart from what is open, and
//! a control that is seen to fail ends it at once.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is its own composition root"
)]

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use bartizan_core::asset::{Asset, Class};
use bartizan_core::digest::Digest;
use bartizan_core::document;
use bartizan_core::enrolment::{Grant, Key};
use bartizan_core::id::{AssetId, EnrolmentKeyId, PersonId};
use bartizan_core::monitoring::alert::{Alert, Stage};
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_server::ambient::Ambient;
use bartizan_server::api::document::apply_documents;
use bartizan_server::{App, Settings, auth};
use bartizan_store::Place;
use bartizan_store::asset::Identity;
use bartizan_store::enrolment::Request;
use bartizan_store::report::{Report, Verdicts};
use bartizan_store::subject::Subject;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

const BASELINE: &str = "kind: Baseline
name: base
spec:
  title: Servers
  rules:
    - {id: old-tls, title: TLS 1.0 is off, rationale: It is broken., severity: high,
       check: {sysctl: {key: kernel.a, value: {equals: 1}}}, remediation: Turn it off.}
    - {id: firewall, title: The firewall stands, rationale: It keeps others out., severity: high,
       check: {sysctl: {key: kernel.b, value: {equals: 1}}}, remediation: Start it.}
";

/// TLS looks at the machine's clock, so the server's has to be about the same.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// Who owns the risk and asks, security, and who only reads.
const OWNER: usize = 0;
const SECURITY: usize = 1;
const READER: usize = 2;

struct House {
    app: App,
    http: reqwest::Client,
    tokens: Vec<String>,
    reports: BTreeMap<u32, u64>,
}

impl House {
    async fn start(place: Place, folder: &std::path::Path) -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = Settings { place, ..Settings::in_folder(folder) };
        let app = App::start(&settings, Ambient::new(now, StdRng::from_os_rng())).await.unwrap();
        let documents = document::parse("base.yaml", BASELINE).unwrap();
        apply_documents(&app.web, "dev", documents).await.unwrap();
        let mut tokens = Vec::new();
        for (name, role) in [("ann", Role::Operator), ("sam", Role::Security), ("dan", Role::Auditor)] {
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
            tokens.push(auth::sign_in(&app.web, link.split_once('=').unwrap().1).await.unwrap().unwrap());
        }
        let authority = reqwest::Certificate::from_pem(app.authority().as_bytes()).unwrap();
        let http = reqwest::Client::builder().add_root_certificate(authority).build().unwrap();
        House { app, http, tokens, reports: BTreeMap::new() }
    }

    async fn ask(&self, who: usize, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("https://{}/api/v1{path}", self.app.people());
        let request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        let answer = request.bearer_auth(&self.tokens[who]).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(READER, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A host of the service `shop`, through the door that hosts come in by.
    async fn enrol(&self, number: u8) -> Asset {
        let web = &self.app.web;
        let grant = Grant {
            service: "shop".to_owned(),
            environment: "dev".to_owned(),
            class: Class::Server,
            labels: BTreeMap::new(),
            networks: Vec::new(),
            approval: false,
        };
        let secret = |word: &str| Digest::of_bytes(format!("{word} {number}").as_bytes());
        let key = Key {
            id: EnrolmentKeyId::mint(now(), web.ambient.random()),
            uses_left: 1,
            expires_at: now().plus(bartizan_core::time::Duration::from_hours(1)),
            revoked_at: None,
            grant,
        };
        web.store.create_enrolment_key(&key, secret("key"), None, now()).await.unwrap();
        let request = Request {
            secret: secret("key"),
            address: IpAddr::from([127, 0, 0, 1]),
            name: format!("web-{number}"),
            identity: Identity { public_key: secret("identity"), machine: format!("m{number}") },
            fresh: AssetId::mint(now(), web.ambient.random()),
            now: now(),
        };
        web.store.enrol(request).await.unwrap().unwrap()
    }

    /// A host tells how it stands: the fault, and the control.
    async fn report(&mut self, asset: &Asset, verdicts: [Verdict; 2]) {
        let sequence = self.reports.entry(asset.number).or_default();
        *sequence += 1;
        let (sequence, at) = (*sequence, now());
        let looks = ["old-tls", "firewall"].into_iter().zip(verdicts).map(|(rule, verdict)| {
            let check = Digest::of_bytes(rule.as_bytes());
            (Subject { check, baseline: "base".to_owned(), rule: rule.to_owned() }, verdict, at)
        });
        let report = Report {
            number: asset.number,
            epoch: 1,
            sequence,
            digest: Digest::of_bytes(format!("{} {sequence}", asset.number).as_bytes()),
            root: Digest::of_bytes(b"root"),
            observed_at: at,
            recorded_at: at,
            sections: Vec::new(),
            verdicts: Verdicts { whole: true, looks: looks.collect() },
            tuples: None,
            partial: false,
            signals: Vec::new(),
            outcomes: Vec::new(),
        };
        self.app.web.store.commit_reports(&[report]).await.unwrap();
        self.app.web.nudges.transitions();
    }

    /// Waits until an answer of the API is as it should be.
    async fn until(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
        let mut shown = self.app.web.nudges.shown();
        let found = async {
            loop {
                let answer = self.get(path).await;
                if good(&answer) {
                    return answer;
                }
                shown.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(LIMIT, found).await;
        match found {
            Ok(answer) => answer,
            Err(_) => panic!("{path} did not come to be so: {}", self.get(path).await),
        }
    }

    /// The open alert about acceptances.
    async fn alert(&self) -> Option<Alert> {
        let alerts = self.app.web.store.alerts(true, 100).await.unwrap();
        alerts.into_iter().find(|alert| alert.group.kind == Kind::Acceptance)
    }

    async fn until_alerted(&self, good: impl Fn(Option<&Alert>) -> bool) -> Option<Alert> {
        let mut shown = self.app.web.nudges.shown();
        let found = async {
            loop {
                let alert = self.alert().await;
                if good(alert.as_ref()) {
                    return alert;
                }
                shown.changed().await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap()
    }

    async fn does(&self, who: usize, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(who, path, Some(body)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert_eq!(answer["state"], "accepted", "{path}: {answer}");
        answer
    }
}

const MET: Verdict = Verdict::Met;
const NOT_MET: Verdict = Verdict::NotMet;
const UNKNOWN: Verdict = Verdict::Unknown(Reason::Denied);

/// The group of the fault over the fleet.
fn fault(list: &Value) -> Option<&Value> {
    list["findings"].as_array()?.iter().find(|group| group["subject"] == "base/old-tls")
}

fn counts(list: &Value) -> Option<(u64, u64)> {
    let group = fault(list)?;
    Some((group["assets"].as_u64()?, group["accepted"].as_u64()?))
}

/// Somebody looks what a scope takes in, asks for it, and security approves it.
async fn asked_for_and_approved(house: &House) -> String {
    // Who looks sees what a scope takes in before anybody asks for it.
    let scope = json!(["rule=old-tls", "service=shop"]);
    let asked = json!({"scope": scope, "rule": "base/firewall"});
    let (_, preview) = house.ask(READER, "/acceptances/preview", Some(asked)).await;
    assert_eq!((&preview["found"], &preview["control_stands"]), (&json!(2), &json!("met")), "{preview}");
    let wide = json!({"scope": ["service=shop"]});
    assert_eq!(house.ask(READER, "/acceptances/preview", Some(wide)).await.0, 400);

    let wanted = json!({"scope": scope, "reason": "the last old client goes in May", "until": "30d",
        "rule": "base/firewall"});
    let (status, _) = house.ask(READER, "/acceptances", Some(wanted.clone())).await;
    assert_eq!(status, 403, "who only reads asks for nothing");
    let (status, refused) = house
        .ask(
            OWNER,
            "/acceptances",
            Some(json!({"scope": scope, "reason": "x", "until": "30d",
        "rule": "base/none"})),
        )
        .await;
    assert!(status == 404 && refused["title"].as_str().unwrap().contains("base/none"), "{refused}");
    let id = house.does(OWNER, "/acceptances", wanted).await["id"].as_str().unwrap().to_owned();
    let path = format!("/acceptances/{id}");
    assert_eq!(house.get("/findings").await["findings"][0]["accepted"], 0, "proposing covers nothing");
    let (status, _) = house.ask(OWNER, &format!("{path}/approve"), Some(json!({}))).await;
    assert_eq!(status, 403, "nobody approves a risk of their own");
    house.does(SECURITY, &format!("{path}/approve"), json!({})).await;
    id
}

async fn it_covers_while_its_control_holds_and_ends_at_once_when_that_fails(place: Place) {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::start(place, folder.path()).await;
    let (first, second) = (house.enrol(1).await, house.enrol(2).await);
    for asset in [&first, &second] {
        house.report(asset, [NOT_MET, MET]).await;
    }
    house.until("/findings", |list| counts(list) == Some((2, 0))).await;

    let id = asked_for_and_approved(&house).await;
    let path = format!("/acceptances/{id}");

    // Accepted is apart from open, and is not mended.
    let list = house.until("/findings", |list| counts(list) == Some((0, 2))).await;
    assert_eq!(fault(&list).unwrap()["accepted_by"][0]["owner"], "ann");
    let shown = house.get(&format!("/assets/{}", first.id)).await;
    let finding = shown["findings"].as_array().unwrap().iter().find(|one| one["subject"] == "base/old-tls");
    assert_eq!(finding.unwrap()["accepted"]["acceptance"], id.as_str(), "{shown}");
    assert_eq!(finding.unwrap()["verdict"], "not met", "{shown}");
    assert_eq!(house.get("/posture").await["accepted"], 2);

    // Nobody can say whether the control holds: that is flagged, and ends nothing.
    house.report(&second, [NOT_MET, UNKNOWN]).await;
    let flagged = house.until(&path, |one| one["state"] == "flagged").await;
    assert_eq!(flagged["flagged"]["reason"], "denied", "{flagged}");
    let alert = house.until_alerted(|alert| alert.is_some()).await.unwrap();
    assert!(alert.summary.contains("base/firewall") && alert.summary.contains("ann"), "{}", alert.summary);
    house.report(&second, [NOT_MET, MET]).await;
    house.until(&path, |one| one["state"] == "in_force").await;
    house.until_alerted(|alert| alert.is_none()).await;

    // A host that comes to have the fault is covered; one where it is mended is not.
    let third = house.enrol(3).await;
    house.report(&third, [NOT_MET, MET]).await;
    house.until("/findings", |list| counts(list) == Some((0, 3))).await;
    house.report(&third, [MET, MET]).await;
    house.until("/findings", |list| counts(list) == Some((0, 2))).await;

    // A control that fails where nothing is accepted guards nothing there, and ends nothing.
    house.report(&third, [MET, NOT_MET]).await;
    house.until("/findings", |list| list["findings"].as_array().unwrap().len() == 2).await;
    assert_eq!(house.get(&path).await["state"], "in_force");

    // It fails on one host in scope: the acceptance ends at once, everywhere, and the owner is told.
    house.report(&first, [NOT_MET, NOT_MET]).await;
    let ended = house.until(&path, |one| one["state"] == "ended").await;
    assert_eq!(ended["ended"]["how"], "control_failed", "{ended}");
    house.until("/findings", |list| counts(list) == Some((2, 0))).await;
    let alert = house.until_alerted(|alert| alert.is_some()).await.unwrap();
    assert!(alert.summary.contains("its control base/firewall failed"), "{}", alert.summary);
    assert!(alert.summary.contains("ann") && alert.stage == Stage::Open, "{}", alert.summary);
    assert_eq!(alert.group.service, "shop");

    // The control is mended: what has ended stays so.
    house.report(&first, [NOT_MET, MET]).await;
    house
        .until("/findings", |list| {
            list["findings"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["subject"] != "base/firewall" || one["assets"] == 1)
        })
        .await;
    assert_eq!(house.get(&path).await["state"], "ended");
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_it_covers_while_its_control_holds_and_ends_at_once_when_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(folder.path().join("bartizan.db"));
    it_covers_while_its_control_holds_and_ends_at_once_when_that_fails(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_it_covers_while_its_control_holds_and_ends_at_once_when_that_fails() {
    let Some(url) = std::env::var_os("BARTIZAN_TEST_POSTGRES") else {
        eprintln!("left out: PostgreSQL, since BARTIZAN_TEST_POSTGRES names no server");
        return;
    };
    let schema = Some(format!("acceptance_{:016x}", RandomState::new().hash_one(0)));
    let place = Place::Postgres { url: url.into_string().unwrap(), schema };
    it_covers_while_its_control_holds_and_ends_at_once_when_that_fails(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_control_is_reviewed_and_bad_news_ends_it_without_a_second_pair_of_eyes() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(folder.path().join("bartizan.db"));
    let mut house = House::start(place, folder.path()).await;
    let host = house.enrol(1).await;
    house.report(&host, [NOT_MET, MET]).await;
    house.until("/findings", |list| counts(list) == Some((1, 0))).await;
    let wanted =
        json!({"scope": ["rule=old-tls"], "reason": "x", "until": "30d", "manual": "a guard at the door"});
    let (status, refused) = house.ask(OWNER, "/acceptances", Some(wanted.clone())).await;
    assert!(status == 400 && refused["title"].as_str().unwrap().contains("by when"), "{refused}");
    let mut wanted = wanted;
    wanted["review_by"] = json!("14d");
    let id = house.does(OWNER, "/acceptances", wanted).await["id"].as_str().unwrap().to_owned();
    let path = format!("/acceptances/{id}");
    house.does(SECURITY, &format!("{path}/approve"), json!({})).await;
    assert_eq!(house.get(&path).await["state"], "in_force", "its approver believes it until its review");
    let review = json!({"holds": true, "review_by": "20d"});
    let (status, _) = house.ask(OWNER, &format!("{path}/review"), Some(review.clone())).await;
    assert_eq!(status, 403, "good news takes somebody who is free to say no");
    house.does(SECURITY, &format!("{path}/review"), review).await;
    house.does(OWNER, &format!("{path}/review"), json!({"holds": false})).await;
    let ended = house.get(&path).await;
    assert_eq!(ended["ended"]["how"], "control_failed", "{ended}");
    house.until_alerted(|alert| alert.is_some()).await;
    let (status, _) = house.ask(OWNER, &format!("{path}/withdraw"), Some(json!({"reason": "late"}))).await;
    assert_eq!(status, 409);
    house.app.stop().await;
}
