//! How a host comes to be watched: at once, or after a person looked at it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bartizan_agent::link;
use bartizan_core::asset::{Class, Life};
use bartizan_core::enrolment::{Grant, Network};
use bartizan_core::error;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::api::asset::{self, Because};
use bartizan_server::api::enrolment::{self, Wanted};
use bartizan_server::{App, Settings};
use bartizan_sim::host::{Error, Facts, Host, Way};
use bartizan_wire::report::Outcome;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A server whose clock goes behind the machine's by what the test sets.
struct House {
    app: App,
    behind: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

impl House {
    async fn start() -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let behind = Arc::new(AtomicI64::new(0));
        let shift = Arc::clone(&behind);
        let clock = move || Timestamp::from_millis(now().as_millis() - shift.load(Ordering::SeqCst));
        let settings = Settings::in_folder(folder.path());
        let app = App::start(&settings, Ambient::new(clock, StdRng::seed_from_u64(1))).await.unwrap();
        House { app, behind, folder }
    }

    async fn way(&self, networks: &[&str], approval: bool) -> Way {
        let network = |text: &&str| Network::try_from((*text).to_owned()).unwrap();
        let grant = Grant {
            service: "shop".to_owned(),
            environment: "dev".to_owned(),
            class: Class::Server,
            labels: BTreeMap::new(),
            networks: networks.iter().map(network).collect(),
            approval,
        };
        let wanted = Wanted { uses: 10, expires_in: bartizan_core::time::Duration::from_hours(1), grant };
        let key = enrolment::create(&self.app.web, wanted).await.unwrap().key;
        Way { server: format!("https://{}", self.app.agents()), pinned: self.app.fingerprint(), key }
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    async fn person(&self, name: &str, role: Role) -> Person {
        let person = Person {
            id: PersonId::mint(now(), self.app.web.ambient.random()),
            name: name.to_owned(),
            roles: [role].into(),
            services: ["shop".to_owned()].into(),
            grants: Vec::new(),
            disabled: false,
        };
        self.app.web.store.put_person(&person, now(), [0; 32]).await.unwrap();
        person
    }

    async fn life(&self, host: &Host) -> Life {
        self.app.web.store.asset(host.asset()).await.unwrap().unwrap().life
    }
}

/// What the server said no to.
fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    let Error::Link(error) = answer.unwrap_err() else { return "another error".to_owned() };
    assert_eq!(error.class(), error::Class::Denied, "{error}");
    assert!(matches!(error, link::Error::Refused { .. }), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_waits_gets_nothing_counts_nowhere_and_is_let_in_by_a_person() {
    let house = House::start().await;
    let way = house.way(&[], true).await;
    let mut host = Host::open(&house.folder("web-1"), "web-1", &way).await.unwrap();
    let report = host.compose(Facts::default(), Vec::new(), now());
    for said in [refusal(host.send(&report).await), refusal(host.policy(None).await)] {
        assert!(said.contains("`web-1` waits in quarantine until a person lets it in"), "{said}");
    }
    refusal(host.heartbeat(now()).await);
    let posture = bartizan_server::api::posture::posture(&house.app.web).await.unwrap();
    assert_eq!((posture.assets, posture.quarantined, posture.unknown), (0, 1, 0));
    let web = &house.app.web;
    assert_eq!(web.store.asset_standing(0).await.unwrap(), None, "nothing of it was taken");
    assert!(web.last_seen.of(0).is_some(), "it waits and is there: once it is let in, nobody misses it");

    let (operator, admin) =
        (house.person("olga", Role::Operator).await, house.person("ada", Role::Admin).await);
    let because = Because { reason: "I saw it in its rack".to_owned() };
    let refused = asset::approve(web, &operator, "web-1", &because).await.unwrap_err();
    assert!(refused.title().contains("security and admin"), "{refused:?}");
    asset::approve(web, &admin, "web-1", &because).await.unwrap();
    assert_eq!(house.life(&host).await, Life::Enrolled);
    let decided = web.store.decisions_on(&host.asset().to_string(), 10).await.unwrap();
    assert_eq!((decided[0].decision.act.as_str(), decided[0].decision.person), ("asset.approve", admin.id));
    let again = asset::approve(web, &admin, "web-1", &because).await.unwrap_err();
    assert!(again.title().contains("does not wait in quarantine"), "{again:?}");

    // What the agent kept is taken as soon as this replica asks the store about it again.
    house.behind.store(-10_000, Ordering::SeqCst);
    assert!(matches!(host.send(&report).await.unwrap(), Outcome::Committed { .. }));
    host.policy(None).await.unwrap();
    let posture = bartizan_server::api::posture::posture(web).await.unwrap();
    assert_eq!((posture.assets, posture.quarantined), (1, 0));
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_one_network_enrols_nobody_from_another() {
    let house = House::start().await;
    let way = house.way(&["192.0.2.0/24"], false).await;
    let said = refusal(Host::open(&house.folder("far"), "far", &way).await);
    assert!(said.contains("does not let hosts enrol from 127.0.0.1"), "{said}");
    let way = house.way(&["192.0.2.0/24", "127.0.0.0/8"], false).await;
    Host::open(&house.folder("near"), "near", &way).await.unwrap();
    house.app.stop().await;
}
