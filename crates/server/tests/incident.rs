//! A replica on SQLite: a signal becomes an alert, the alert an incident, and people walk it to its end.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is its own composition root"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bartizan_core::asset::Class;
use bartizan_core::document;
use bartizan_core::enrolment::{Grant, Key};
use bartizan_core::id::{AlertId, AssetId, EnrolmentKeyId, IncidentId, PersonId};
use bartizan_core::incident::Incident;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::api::document::apply_documents;
use bartizan_server::{App, Settings, auth};
use bartizan_store::asset::Identity;
use bartizan_store::decision::{Decision, Outcome, Refused};
use bartizan_store::enrolment::Request;
use rand::SeedableRng as _;
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

const RULE: &str = include_str!("../../../content/incidents/severe.yaml");

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

struct House {
    app: App,
    _folder: tempfile::TempDir,
}

/// Somebody who is signed in.
struct Caller {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl House {
    async fn start() -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::in_folder(folder.path());
        let random = rand::rngs::StdRng::from_os_rng();
        let app = App::start(&settings, Ambient::new(now, random)).await.unwrap();
        House { app, _folder: folder }
    }

    async fn apply_rule(&self) {
        let documents = document::parse("severe.yaml", RULE).unwrap();
        let applied = apply_documents(&self.app.web, "dev", documents).await;
        assert_eq!(applied.unwrap().created, ["IncidentRule severe"]);
    }

    /// A host of the service `shop`, through the door that hosts come in by.
    async fn enrol(&self, number: u8) -> bartizan_core::asset::Asset {
        let web = &self.app.web;
        let grant = Grant {
            service: "shop".to_owned(),
            environment: "dev".to_owned(),
            class: Class::Server,
            labels: BTreeMap::new(),
            networks: Vec::new(),
            approval: false,
        };
        let secret =
            |word: &str| bartizan_core::digest::Digest::of_bytes(format!("{word} {number}").as_bytes());
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
            address: std::net::IpAddr::from([127, 0, 0, 1]),
            name: format!("web-{number}"),
            identity: Identity { public_key: secret("identity"), machine: format!("m{number}") },
            fresh: AssetId::mint(now(), web.ambient.random()),
            now: now(),
        };
        web.store.enrol(request).await.unwrap().unwrap()
    }

    async fn signal(&self, asset: &bartizan_core::asset::Asset, severity: Severity, state: State) {
        let signal = Signal {
            kind: Kind::Detection,
            subject: "reverse-shell".to_owned(),
            asset: asset.id,
            object: String::new(),
            state,
            severity,
            labels: asset.labels(),
            summary: format!("{}: a shell went out", asset.name),
            at: now(),
            backlog: false,
        };
        self.app.web.store.append_signals(&[(asset.number, signal)]).await.unwrap();
        self.app.web.nudges.alert();
    }

    /// Waits until what is looked for is there: each change of what pages show is one look.
    async fn until<T, F>(&self, what: &str, look: impl Fn() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let mut shown = self.app.web.nudges.shown();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            let changed = tokio::time::timeout_at(deadline, shown.changed()).await;
            assert!(changed.is_ok(), "{what} did not come in time");
        }
    }

    async fn incidents(&self) -> Vec<Incident> {
        self.app.web.store.incidents(false, 100).await.unwrap()
    }

    async fn sign_in(&self, name: &str, role: Role) -> Caller {
        let web = &self.app.web;
        let person = Person {
            id: PersonId::mint(now(), web.ambient.random()),
            name: name.to_owned(),
            roles: BTreeSet::from([role]),
            services: BTreeSet::from(["shop".to_owned()]),
            grants: Vec::new(),
            disabled: false,
        };
        web.store.put_person(&person, now(), [1; 32]).await.unwrap();
        let link = auth::link(web, person.id).await.unwrap();
        let token = auth::sign_in(web, link.trim_start_matches("/sign-in?link=")).await.unwrap().unwrap();
        let authority = reqwest::Certificate::from_pem(self.app.authority().as_bytes()).unwrap();
        let client = reqwest::Client::builder().add_root_certificate(authority).build().unwrap();
        Caller { client, base: format!("https://{}/api/v1", self.app.people()), token }
    }
}

impl Caller {
    /// What the overview shows of what needs a human now.
    async fn overview(&self) -> String {
        let url = self.base.trim_end_matches("api/v1");
        let asked = self.client.get(url).header("Accept", "text/html").bearer_auth(&self.token);
        asked.send().await.unwrap().text().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let asked = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.token).send().await;
        let answer = asked.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.base);
        let answer = self.client.post(url).bearer_auth(&self.token).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn an_alert_opens_an_incident_that_people_walk_to_its_end() {
    let house = House::start().await;
    house.apply_rule().await;
    let host = house.enrol(1).await;
    house.signal(&host, Severity::High, State::Firing).await;
    let opened = house.until("an incident", || async { house.incidents().await.pop() }).await;
    let alerts = house.app.web.store.alerts(true, 10).await.unwrap();
    assert_eq!(opened.alerts, alerts.iter().map(|alert| alert.id).collect());
    let responder = house.sign_in("ada", Role::Responder).await;
    let auditor = house.sign_in("eve", Role::Auditor).await;
    let path = format!("/incidents/{}", opened.id);
    let (status, _) = auditor.post(&format!("{path}/advance"), json!({"stage": "assess"})).await;
    assert_eq!(status, 403);
    assert_eq!(auditor.get("/incidents").await["incidents"][0]["stage"], "detect");
    let (status, _) = responder.post(&format!("{path}/advance"), json!({"stage": "stabilise"})).await;
    assert_eq!(status, 409, "no stage is left out");
    let overview = auditor.overview().await;
    assert!(overview.contains("nobody acknowledged it"));
    assert!(!overview.contains("/alerts/"), "the incident tells of its alert: {overview}");
    let (status, _) = auditor.post(&format!("{path}/acknowledge"), json!({})).await;
    assert_eq!(status, 403);
    assert_eq!(responder.post(&format!("{path}/acknowledge"), json!({})).await.0, 200);
    let alerts = house.app.web.store.alerts(true, 10).await.unwrap();
    assert!(alerts.iter().all(|alert| alert.acknowledged.is_some()), "who works on it works on its alerts");
    assert_eq!(responder.post(&format!("{path}/acknowledge"), json!({})).await.0, 409, "it is somebody's");
    assert!(!auditor.overview().await.contains("nobody acknowledged it"));
    for stage in ["assess", "diagnose", "stabilise", "diagnose", "stabilise"] {
        let (status, answer) = responder.post(&format!("{path}/advance"), json!({"stage": stage})).await;
        assert_eq!((status, &answer["state"]), (200, &json!("accepted")), "{stage}: {answer}");
    }
    let (status, problem) = responder.post(&format!("{path}/close"), json!({"reason": " "})).await;
    assert_eq!(status, 400, "{problem}");
    let (status, _) = responder.post(&format!("{path}/close"), json!({"reason": "rebuilt"})).await;
    assert_eq!(status, 200);
    let told = auditor.get(&path).await;
    assert_eq!(
        (&told["stage"], &told["owner"], &told["reason"]),
        (&json!("close"), &json!("ada"), &json!("rebuilt"))
    );
    let happened: Vec<&str> = told["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["happened"].as_str().unwrap())
        .collect();
    let taken = ["opened", "took_in", "acknowledged", "assigned", "alert_acknowledged"];
    let expected: Vec<&str> = taken.into_iter().chain(["advanced"; 5]).chain(["closed"]).collect();
    assert_eq!(happened, expected);
    assert!(auditor.get("/incidents").await["incidents"].as_array().unwrap().is_empty());
    house.app.stop().await;
}

#[tokio::test]
async fn what_follows_joins_what_is_open_and_a_closed_incident_takes_its_alert_with_it() {
    let house = House::start().await;
    let (one, two) = (house.enrol(1).await, house.enrol(2).await);
    house.signal(&one, Severity::Medium, State::Firing).await;
    house.until("the alert", || async { house.app.web.store.alerts(true, 10).await.unwrap().pop() }).await;
    // A rule that comes later finds what was open before it; what is too mild stays out.
    house.apply_rule().await;
    house.signal(&two, Severity::Critical, State::Firing).await;
    let first = house.until("an incident", || async { house.incidents().await.pop() }).await;
    // The alert ends and is back: the same rule and group, so the same incident.
    house.signal(&one, Severity::Medium, State::Resolved).await;
    house.signal(&two, Severity::Critical, State::Resolved).await;
    house.signal(&one, Severity::High, State::Firing).await;
    let grown = house
        .until("the second alert", || async {
            house.incidents().await.pop().filter(|held| held.alerts.len() == 2)
        })
        .await;
    assert_eq!(grown.id, first.id);
    let responder = house.sign_in("ada", Role::Responder).await;
    let path = format!("/incidents/{}", first.id);
    responder.post(&format!("{path}/advance"), json!({"stage": "assess"})).await;
    let (status, answer) = responder.post(&format!("{path}/close"), json!({"reason": "a drill"})).await;
    assert_eq!(status, 200, "{answer}");
    // Its alert is still open, and was answered: no look opens another incident for it.
    let note = json!({"title": "Another matter"});
    let (status, other) = responder.post("/incidents", note).await;
    assert_eq!(status, 200, "{other}");
    let ids: BTreeSet<IncidentId> = house.incidents().await.iter().map(|incident| incident.id).collect();
    assert_eq!(ids, BTreeSet::from([first.id, other["id"].as_str().unwrap().parse().unwrap()]));
    house.app.stop().await;
}

#[tokio::test]
async fn the_timeline_tells_in_order_who_took_its_alerts_on_and_how_they_ended() {
    let house = House::start().await;
    house.apply_rule().await;
    let (one, two) = (house.enrol(1).await, house.enrol(2).await);
    house.signal(&one, Severity::High, State::Firing).await;
    let first = house.until("an incident", || async { house.incidents().await.pop() }).await;
    let responder = house.sign_in("ada", Role::Responder).await;
    let path = format!("/incidents/{}", first.id);
    let alert = first.alerts.first().unwrap();
    assert_eq!(responder.post(&format!("/alerts/{alert}/acknowledge"), json!({})).await.0, 200);
    house.signal(&one, Severity::High, State::Resolved).await;
    house
        .until("its end", || async {
            house.app.web.store.alerts(true, 10).await.unwrap().is_empty().then_some(())
        })
        .await;
    house.signal(&two, Severity::High, State::Firing).await;
    let grown = house
        .until("the second alert", || async {
            house.incidents().await.pop().filter(|held| held.alerts.len() == 2)
        })
        .await;
    let other = grown.alerts.iter().find(|other| *other != alert).unwrap();
    let because = json!({"reason": "a rehearsal"});
    assert_eq!(responder.post(&format!("/alerts/{other}/close"), because).await.0, 200);
    let told = responder.get(&path).await;
    let timeline = told["timeline"].as_array().unwrap();
    let happened: Vec<&str> = timeline.iter().map(|entry| entry["happened"].as_str().unwrap()).collect();
    let expected = ["opened", "took_in", "alert_acknowledged", "alert_resolved", "took_in", "alert_closed"];
    assert_eq!(happened, expected);
    let of =
        |place: usize| (&timeline[place]["by"], &timeline[place]["alert"]["id"], &timeline[place]["text"]);
    assert_eq!(of(2), (&json!("ada"), &json!(alert.to_string()), &json!("")));
    let well = "it fires at no place any more";
    assert_eq!(of(3), (&json!(null), &json!(alert.to_string()), &json!(well)));
    assert_eq!(of(5), (&json!("ada"), &json!(other.to_string()), &json!("a rehearsal")));
    house.app.stop().await;
}

#[tokio::test]
async fn an_incident_opened_by_hand_is_rated_noted_and_handed_on() {
    let house = House::start().await;
    let responder = house.sign_in("ada", Role::Responder).await;
    house.sign_in("bob", Role::IncidentManager).await;
    house.sign_in("eve", Role::Auditor).await;
    let host = house.enrol(1).await;
    house.signal(&host, Severity::Low, State::Firing).await;
    let alert: AlertId = house
        .until("the alert", || async { house.app.web.store.alerts(true, 10).await.unwrap().pop() })
        .await
        .id;
    let wanted = json!({"title": "Odd logins", "alert": alert.to_string()});
    let (status, opened) = responder.post("/incidents", wanted.clone()).await;
    assert_eq!(status, 200, "{opened}");
    let (status, _) = responder.post("/incidents", wanted).await;
    assert_eq!(status, 409, "an alert belongs to one incident");
    let path = format!("/incidents/{}", opened["id"].as_str().unwrap());
    let axes = json!({"impact": "serious", "spread": "many_services", "sensitivity": "public", "reason": "seen twice"});
    assert_eq!(responder.post(&format!("{path}/rate"), axes).await.0, 200);
    assert_eq!(responder.post(&format!("{path}/note"), json!({"text": "called the team"})).await.0, 200);
    assert_eq!(responder.post(&format!("{path}/assign"), json!({"person": "bob"})).await.0, 200);
    assert_eq!(responder.post(&format!("{path}/assign"), json!({"person": "eve"})).await.0, 400);
    assert_eq!(responder.post(&format!("{path}/assign"), json!({"person": "nobody"})).await.0, 404);
    let told = responder.get(&path).await;
    assert_eq!((&told["severity"], &told["owner"]), (&json!("critical"), &json!("bob")));
    assert_eq!(told["timeline"].as_array().unwrap().len(), 5);
    let nowhere = format!("/incidents/{}/close", IncidentId::mint(now(), [9; 10]));
    assert_eq!(responder.post(&nowhere, json!({"reason": "x"})).await.0, 404);
    house.app.stop().await;
}

#[tokio::test]
async fn an_act_that_no_stage_knows_is_refused() {
    let house = House::start().await;
    for act in ["alert.forget", "incident.forget", "moon.land"] {
        let id = IncidentId::mint(now(), house.app.web.ambient.random());
        let decision = Decision {
            at: now(),
            person: PersonId::mint(now(), [1; 10]),
            role: None,
            act: act.to_owned(),
            target: id.to_string(),
            expected: None,
            reason: String::new(),
            details: None,
        };
        let seq = house.app.web.store.append_decision(&decision, [1; 32]).await.unwrap();
        house.app.web.nudges.decisions();
        let outcome =
            house.until("a ruling", || async { house.app.web.store.outcome(seq).await.unwrap() }).await;
        let Outcome::Refused { class, reason } = outcome else { panic!("{act} was accepted") };
        assert_eq!((class, reason), (Refused::Invalid, format!("there is no act `{act}`")));
    }
    house.app.stop().await;
}
