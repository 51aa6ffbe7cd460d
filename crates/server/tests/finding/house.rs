//! A server, four people, and hosts that tell how they stand.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bartizan_core::asset::{Asset, Class};
use bartizan_core::digest::Digest;
use bartizan_core::document;
use bartizan_core::enrolment::{Grant, Key};
use bartizan_core::fact::PackageManager;
use bartizan_core::id::{AssetId, EnrolmentKeyId, PersonId};
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_core::vulnerability::matching::{self, Match, Tuple};
use bartizan_server::ambient::Ambient;
use bartizan_server::api::document::apply_documents;
use bartizan_server::{App, Settings, auth};
use bartizan_store::Place;
use bartizan_store::asset::Identity;
use bartizan_store::document::Edit;
use bartizan_store::enrolment::Request;
use bartizan_store::matching::{Matched, Progress};
use bartizan_store::report::{Report, Verdicts};
use bartizan_store::subject::Subject;
use bartizan_store::tuple::Build;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const BASELINE: &str = "kind: Baseline
name: base
spec:
  title: Servers
  rules:
    - {id: old-tls, title: TLS 1.0 is off, rationale: It is broken., severity: high,
       check: {sysctl: {key: kernel.a, value: {equals: 1}}}, remediation: Turn it off.}
    - {id: firewall, title: The firewall stands, rationale: It keeps others out., severity: high,
       check: {sysctl: {key: kernel.b, value: {equals: 1}}}, remediation: Start it.}
";

/// Who works on findings, somebody else who does, who only reads, and security.
pub(crate) const ANN: usize = 0;
pub(crate) const REA: usize = 1;
pub(crate) const READER: usize = 2;
pub(crate) const SAM: usize = 3;

/// TLS looks at the machine's clock, so the server's has to be about the same.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

pub(crate) struct House {
    pub(crate) app: App,
    pub(crate) http: reqwest::Client,
    pub(crate) tokens: Vec<String>,
    reports: BTreeMap<u32, u64>,
}

impl House {
    pub(crate) async fn start(place: Place, folder: &std::path::Path) -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = Settings { place, ..Settings::in_folder(folder) };
        let app = App::start(&settings, Ambient::new(now, StdRng::from_os_rng())).await.unwrap();
        let mut tokens = Vec::new();
        let people = [
            ("ann", Role::Operator),
            ("rea", Role::Responder),
            ("dan", Role::Auditor),
            ("sam", Role::Security),
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
            tokens.push(auth::sign_in(&app.web, link.split_once('=').unwrap().1).await.unwrap().unwrap());
        }
        let authority = reqwest::Certificate::from_pem(app.authority().as_bytes()).unwrap();
        let http = reqwest::Client::builder().add_root_certificate(authority).build().unwrap();
        let house = House { app, http, tokens, reports: BTreeMap::new() };
        house.apply(BASELINE).await;
        house
    }

    pub(crate) async fn apply(&self, text: &str) {
        let documents = document::parse("base.yaml", text).unwrap();
        apply_documents(&self.app.web, "dev", documents).await.unwrap();
    }

    /// Takes the baseline away, by hand.
    pub(crate) async fn withdraw(&self) {
        let edit = Edit::Delete { kind: "Baseline".to_owned(), name: "base".to_owned() };
        self.app.web.store.edit_documents("dev", &[edit], None, now()).await.unwrap();
        self.app.web.policies.changed();
        self.app.web.nudges.policies();
    }

    pub(crate) async fn ask(&self, who: usize, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("https://{}/api/v1{path}", self.app.people());
        let request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        let answer = request.bearer_auth(&self.tokens[who]).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(READER, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) async fn does(&self, who: usize, path: &str, body: Value) {
        let (status, answer) = self.ask(who, path, Some(body)).await;
        assert_eq!((status, &answer["state"]), (200, &"accepted".into()), "{path}: {answer}");
    }

    /// A host of the service `shop`, through the door that hosts come in by.
    pub(crate) async fn enrol(&self, number: u8) -> Asset {
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
            grant,
            revoked_at: None,
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

    /// A host tells how the first rule stands there, by the check of that name; it tells all that it has.
    pub(crate) async fn report(&mut self, asset: &Asset, looks: &[(&str, Verdict)]) {
        let looks = looks.iter().map(|(check, verdict)| {
            let (baseline, rule) = ("base".to_owned(), "old-tls".to_owned());
            (Subject { check: Digest::of_bytes(check.as_bytes()), baseline, rule }, *verdict, now())
        });
        let verdicts = Verdicts { whole: true, looks: looks.collect() };
        self.commit(asset, verdicts, None).await;
    }

    /// A host tells which versions of openssl are on it.
    pub(crate) async fn installs(&mut self, asset: &Asset, versions: &[&str]) {
        let builds = versions.iter().map(|version| Build::of(tuple(version)).unwrap());
        self.commit(asset, Verdicts { whole: false, looks: Vec::new() }, Some(builds.collect())).await;
    }

    async fn commit(&mut self, asset: &Asset, verdicts: Verdicts, tuples: Option<Vec<Build>>) {
        let sequence = self.reports.entry(asset.number).or_default();
        *sequence += 1;
        let (sequence, at) = (*sequence, now());
        let report = Report {
            number: asset.number,
            epoch: 1,
            sequence,
            digest: Digest::of_bytes(format!("{} {sequence}", asset.number).as_bytes()),
            root: Digest::of_bytes(b"root"),
            observed_at: at,
            recorded_at: at,
            sections: Vec::new(),
            verdicts,
            tuples,
            partial: false,
            signals: Vec::new(),
            outcomes: Vec::new(),
        };
        self.app.web.store.commit_reports(&[report]).await.unwrap();
        self.app.web.nudges.transitions();
    }

    /// A feed says which of the builds that nobody has judged have the vulnerability.
    pub(crate) async fn match_builds(&self, affected: &[&str]) {
        let store = &self.app.web.store;
        let from = store.cursor(bartizan_store::matching::TUPLES, 0).await.unwrap();
        let waiting = store.tuples_from(from, 100).await.unwrap();
        let to = from + i64::try_from(waiting.len()).unwrap();
        let matched = waiting.into_iter().map(|(number, tuple)| judged(number, &tuple, affected));
        let matched: Vec<Matched> = matched.collect();
        store.put_matches(&matched, &feeds(), Progress::Tuples(from, to), now()).await.unwrap();
        self.app.web.nudges.matches();
        self.app.web.nudges.show();
    }

    /// Another feed says of every build which have it.
    pub(crate) async fn match_again(&self, affected: &[&str]) {
        let store = &self.app.web.store;
        let all = store.tuples_from(0, 100).await.unwrap().into_iter();
        let matched: Vec<Matched> = all.map(|(number, tuple)| judged(number, &tuple, affected)).collect();
        store.put_matches(&matched, &feeds(), Progress::Part, now()).await.unwrap();
        self.app.web.nudges.matches();
    }

    /// Waits until an answer of the API is as it should be.
    pub(crate) async fn until(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
        let mut shown = self.app.web.nudges.shown();
        let found = async {
            loop {
                let (_, answer) = self.ask(READER, path, None).await;
                if good(&answer) {
                    return answer;
                }
                shown.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(LIMIT, found).await {
            Ok(answer) => answer,
            Err(_) => panic!("{path} did not come to be so: {:?}", self.ask(READER, path, None).await),
        }
    }

    /// The key of the only finding that an asset has, as soon as it has one.
    pub(crate) async fn only_finding(&self, asset: &Asset) -> String {
        let path = format!("/assets/{}", asset.id);
        let told = self.until(&path, |told| told["findings"].as_array().unwrap().len() == 1).await;
        told["findings"][0]["key"].as_str().unwrap().to_owned()
    }
}

fn feeds() -> Digest {
    Digest::of_bytes(b"feeds")
}

fn tuple(version: &str) -> Tuple {
    Tuple {
        ecosystem: "debian".to_owned(),
        release: "bookworm".to_owned(),
        origin: None,
        source: "openssl".to_owned(),
        source_version: version.to_owned(),
        package: "openssl".to_owned(),
        version: version.to_owned(),
        architecture: "amd64".to_owned(),
        manager: PackageManager::Dpkg,
    }
}

fn judged(number: u32, tuple: &Tuple, affected: &[&str]) -> Matched {
    let found = Match {
        vulnerability: "CVE-2024-5535".to_owned(),
        advisories: vec!["CVE-2024-5535".to_owned()],
        source: "openssl".to_owned(),
        verdict: matching::Verdict::Affected,
        fix_state: None,
        fixed: None,
        severity: None,
        feed: "debian-tracker".to_owned(),
        evidence: "it is older than what fixes it".to_owned(),
    };
    let has = affected.contains(&tuple.version.as_str());
    Matched { tuple: number, covered: true, matches: if has { vec![found] } else { Vec::new() } }
}
