//! A few simulated hosts at a real server: what is looked at in the browser.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bartizan_core::asset::Class;
use bartizan_core::canonical::Value;
use bartizan_core::document;
use bartizan_core::enrolment::Grant;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_server::ambient::Ambient;
use bartizan_server::api::enrolment::{self, Wanted};
use bartizan_server::intake::Pacing;
use bartizan_server::{App, Settings, api, auth, feed_sync};
use bartizan_sim::host::{Facts, Host, Way, checks};
use bartizan_wire::report::Outcome;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Nobody falls silent while a browser looks.
const PACING: Pacing = Pacing { interval: Duration::from_secs(600), flush: Duration::from_secs(600) };

const DOCUMENTS: &str = r#"
kind: Baseline
name: linux-servers
owner: platform
spec:
  title: Linux servers
  description: What every server of ours keeps to, whatever it runs.
  rules:
    - id: traced-by-parents
      title: Programs are traced by their parents alone
      rationale: Who may read another program's memory has its keys.
      severity: high
      check: {sysctl: {key: kernel.yama.ptrace_scope, value: {equals: 1}}}
      remediation: Set kernel.yama.ptrace_scope to 1.
    - id: address-layout
      title: Programs are laid out in memory at random
      rationale: An exploit that knows no address has to guess one.
      severity: medium
      check: {sysctl: {key: kernel.randomize_va_space, value: {equals: 2}}}
      remediation: Set kernel.randomize_va_space to 2.
    - id: kernel-pointers
      title: The kernel tells nobody where it lies
      rationale: Its addresses are half of an exploit.
      severity: low
      check: {sysctl: {key: kernel.kptr_restrict, value: {equals: 2}}}
      remediation: Set kernel.kptr_restrict to 2.
---
kind: Route
name: everything
owner: platform
spec:
  receivers:
    - name: on-call
      webhook: {url: "http://127.0.0.1:9/"}
  route:
    receiver: on-call
---
kind: ResponsePolicy
name: response
owner: platform
spec:
  limits:
    high: {from: first_observed, within: 30d}
    medium: {from: first_observed, within: 1ms}
    unrated: {from: first_observed, within: 90d}
  backlog: 90d
"#;

/// What the hosts have installed: package, source and version.
const PACKAGES: [(&str, &str, &str); 3] =
    [("libssl3", "openssl", "3.0.14-1"), ("libcurl4", "curl", "7.88.1-10"), ("zlib1g", "zlib", "1:1.2.13")];

/// A tracker that knows a fault of each of them; one has no fix.
const TRACKER: &str = r#"{
  "openssl": {
    "CVE-2026-90101": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.15-1", "urgency": "high"}}},
    "CVE-2026-90102": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.15-1", "urgency": "low"}}}},
  "curl": {
    "CVE-2026-90103": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "7.88.1-10+deb12u1", "urgency": "medium"}}}},
  "zlib": {
    "CVE-2026-90104": {"releases": {"bookworm": {"status": "open", "urgency": "medium"}}}}}"#;

/// The rules of the baseline, in the order in which a host's verdicts are told.
const RULES: [&str; 3] = ["traced-by-parents", "address-layout", "kernel-pointers"];

const HOSTS: [(&str, &str); 5] = [
    ("edge-1", "storefront"),
    ("edge-2", "storefront"),
    ("cart-1", "storefront"),
    ("books-1", "finance"),
    ("mail-1", "office"),
];

/// A server and the hosts that report to it.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) app: App,
    hosts: BTreeMap<&'static str, Host>,
}

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn facts(verdicts: [Verdict; 3]) -> Facts {
    let os = r#"{"body":{"codename":"bookworm","id":"debian","id_like":[],"name":"Debian GNU/Linux 12 (bookworm)","version_id":"12"},"unknown":[]}"#;
    let checks = checks(&bartizan_core::document::parse("documents.yaml", DOCUMENTS).unwrap());
    let told = RULES.into_iter().zip(verdicts).map(|(rule, verdict)| {
        let (baseline, rule) = ("linux-servers".to_owned(), rule.to_owned());
        let check = *checks.get(&(baseline.clone(), rule.clone())).unwrap();
        ((baseline, rule, check), verdict)
    });
    let packages = PACKAGES.map(|(name, source, version)| {
        serde_json::json!({"name": name, "source": source, "version": version, "source_version": version,
            "architecture": "amd64", "manager": "dpkg", "origin": "Debian"})
    });
    let packages = serde_json::json!({"body": packages, "unknown": []}).to_string();
    let sections = [("os", os), ("packages", &packages)];
    let sections = sections.map(|(name, body)| (name.to_owned(), Value::parse(body).unwrap()));
    Facts { sections: sections.into(), verdicts: told.collect() }
}

impl Fleet {
    /// A server with a baseline and a feed, and hosts of which some do not keep to it any more.
    pub(crate) async fn start(folder: &Path) -> Fleet {
        let settings =
            Settings { names: vec!["localhost".to_owned()], pacing: PACING, ..Settings::in_folder(folder) };
        let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(11))).await.unwrap();
        let documents = document::parse("servers.yaml", DOCUMENTS).unwrap();
        api::document::apply_documents(&app.web, "dev", documents).await.unwrap();
        let feeds = folder.join("feeds");
        std::fs::create_dir(&feeds).unwrap();
        std::fs::write(feeds.join("tracker.json"), TRACKER).unwrap();
        let imported = feed_sync::import(&app.web, Some(feeds), folder.join("library")).await.unwrap();
        assert_eq!(imported.problems, Vec::<String>::new());
        let mut fleet = Fleet { app, hosts: BTreeMap::new() };
        for (name, service) in HOSTS {
            let way = fleet.way(service).await;
            let host = Host::open(&folder.join(name), name, &way).await.unwrap();
            fleet.hosts.insert(name, host);
            // First sight finds all well: what is not met later is news and no backlog.
            fleet.report(name, [Verdict::Met; 3]).await;
        }
        fleet.report("edge-2", [Verdict::Met, Verdict::NotMet, Verdict::Met]).await;
        fleet.report("books-1", [Verdict::Met, Verdict::Met, Verdict::Unknown(Reason::Denied)]).await;
        fleet
    }

    async fn way(&self, service: &str) -> Way {
        let grant = Grant {
            service: service.to_owned(),
            environment: "dev".to_owned(),
            class: Class::Server,
            labels: BTreeMap::new(),
            networks: Vec::new(),
            approval: false,
        };
        let wanted = Wanted { uses: 1, expires_in: bartizan_core::time::Duration::from_hours(1), grant };
        let key = enrolment::create(&self.app.web, wanted).await.unwrap().key;
        Way { server: format!("https://{}", self.app.agents()), pinned: self.app.fingerprint(), key }
    }

    /// A host tells how it stands.
    pub(crate) async fn report(&mut self, name: &str, verdicts: [Verdict; 3]) {
        let host = self.hosts.get_mut(name).unwrap();
        let report = host.compose(facts(verdicts), Vec::new(), now());
        assert!(matches!(host.send(&report).await.unwrap(), Outcome::Committed { .. }));
    }

    /// Where a host's page is.
    pub(crate) fn page(&self, name: &str) -> String {
        format!("/assets/{}", self.hosts.get(name).unwrap().asset())
    }

    /// A person of the team of the storefront and the office, and the link by which that person
    /// signs in; the same number is the same person.
    pub(crate) async fn person(&self, number: u8, name: &str, roles: &[Role]) -> String {
        let web = &self.app.web;
        let known = web.store.people().await.unwrap().into_iter().find(|known| known.name == name);
        let person = known.unwrap_or_else(|| Person {
            id: PersonId::mint(now(), [number; 10]),
            name: name.to_owned(),
            roles: roles.iter().copied().collect(),
            services: ["storefront", "office"].map(str::to_owned).into(),
            grants: Vec::new(),
            disabled: false,
        });
        web.store.put_person(&person, now(), web.ambient.random()).await.unwrap();
        auth::link(web, person.id).await.unwrap()
    }
}
