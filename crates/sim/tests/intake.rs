//! What an agent says counts as far as documents that apply to its asset name it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bartizan_agent::canary::{self, Packed, Sight, View};
use bartizan_agent::link::Nudge;
use bartizan_core::asset::Class;
use bartizan_core::digest::Digest;
use bartizan_core::document::{self, Document};
use bartizan_core::enrolment::Grant;
use bartizan_core::id::PersonId;
use bartizan_core::monitoring::alert::{Alert, Stage};
use bartizan_core::monitoring::flood::{ALERTS_LIMIT, PLACES_LIMIT};
use bartizan_core::monitoring::signal::{Kind, Noticed, State};
use bartizan_core::order;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Verdict;
use bartizan_server::ambient::Ambient;
use bartizan_server::api::document::apply_documents;
use bartizan_server::api::enrolment::{self, Wanted};
use bartizan_server::{App, Settings};
use bartizan_sim::host::{Facts, Host, Way, checks};
use bartizan_store::decision::Decision;
use bartizan_store::document::Edit;
use bartizan_store::order::Given;
use bartizan_wire::report::Outcome;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A baseline with one rule, on this file.
fn baseline(path: &str) -> Vec<Document> {
    let text = format!(
        "kind: Baseline\nname: b\nspec:\n  title: B\n  rules:\n    - {{id: r, title: T, rationale: R, severity: low, remediation: M, check: {{file: {{path: {path}, exists: true}}}}}}\n"
    );
    document::parse("b.yaml", &text).unwrap()
}

/// So many thresholds, each of low severity.
fn thresholds(count: u64) -> Vec<Document> {
    let mut text = "kind: Health\nname: h\nspec:\n  thresholds:\n".to_owned();
    for number in 0..count {
        text.push_str(&format!(
            "    - {{id: t{number}, measure: disk_used, above: 90%, severity: low, summary: full}}\n"
        ));
    }
    document::parse("h.yaml", &text).unwrap()
}

fn signal(kind: Kind, subject: &str) -> Noticed {
    Noticed {
        kind,
        subject: subject.to_owned(),
        object: "/srv".to_owned(),
        state: State::Firing,
        severity: Severity::Critical,
        summary: format!("{subject} as the agent words it"),
        // An hour counts by the server's clock, whatever an agent says.
        at: Timestamp::from_millis(1_700_000_000_000),
        backlog: false,
    }
}

fn verdicts(documents: &[Document], verdict: Verdict) -> BTreeMap<(String, String, Digest), Verdict> {
    checks(documents)
        .into_iter()
        .map(|((baseline, rule), check)| ((baseline, rule, check), verdict))
        .collect()
}

/// A server with one host, which has reported once.
struct House {
    app: App,
    host: Host,
    _folder: tempfile::TempDir,
}

impl House {
    async fn start() -> House {
        let mut house = House::unheard().await;
        house.report(BTreeMap::new(), Vec::new()).await;
        house
    }

    /// The same before its host has reported.
    async fn unheard() -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::in_folder(folder.path());
        let app = App::start(&settings, Ambient::new(now, StdRng::seed_from_u64(1))).await.unwrap();
        let grant = Grant {
            service: "shop".to_owned(),
            environment: "dev".to_owned(),
            class: Class::Server,
            labels: BTreeMap::new(),
            networks: Vec::new(),
            approval: false,
        };
        let wanted = Wanted { uses: 1, expires_in: bartizan_core::time::Duration::from_hours(1), grant };
        let key = enrolment::create(&app.web, wanted).await.unwrap().key;
        let way = Way { server: format!("https://{}", app.agents()), pinned: app.fingerprint(), key };
        let host = Host::open(&folder.path().join("web-1"), "web-1", &way).await.unwrap();
        House { app, host, _folder: folder }
    }

    /// What an agent whose host has this log notices by the canaries of the policy that there is now.
    async fn prove(&self, watch: &mut canary::Watch, log: Sight) -> Vec<Noticed> {
        let policy = self.host.policy(None).await.unwrap().unwrap();
        let documents = policy.documents.into_iter().map(|one| Document::from_value("policy", one).unwrap());
        watch.assign(documents.filter_map(|document| Packed::of(&document)).collect());
        watch.see(View { files: log, ..View::default() }, now());
        watch.step(usize::MAX, now()).noticed
    }

    async fn report(&mut self, verdicts: BTreeMap<(String, String, Digest), Verdict>, signals: Vec<Noticed>) {
        let facts = Facts { verdicts, ..Facts::default() };
        let report = self.host.compose(facts, signals, now());
        assert!(matches!(self.host.send(&report).await.unwrap(), Outcome::Committed { .. }));
    }

    /// Tells what became of an order.
    async fn tell(&mut self, outcome: order::Outcome) {
        let mut report = self.host.compose(Facts::default(), Vec::new(), now());
        report.outcomes.push(outcome);
        assert!(matches!(self.host.send(&report).await.unwrap(), Outcome::Committed { .. }));
    }

    /// What is looked for among the orders, as soon as it is there.
    async fn given<T>(&self, look: impl Fn(&[Given]) -> Option<T>) -> T {
        let mut shown = self.app.web.nudges.shown();
        let found = async {
            loop {
                if let Some(found) = look(&self.app.web.store.orders(None, 100).await.unwrap()) {
                    return found;
                }
                shown.changed().await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap()
    }

    /// What the one host stands by: each verdict.
    async fn standing(&self) -> Vec<Verdict> {
        let record = self.app.web.store.record(0).await.unwrap();
        record.verdicts().map(|(_, standing)| standing.verdict).collect()
    }

    /// Every alert, once one is as it should be.
    async fn until(&self, good: impl Fn(&Alert) -> bool) -> Vec<Alert> {
        let mut shown = self.app.web.nudges.shown();
        let found = async {
            loop {
                let alerts = self.app.web.store.alerts(false, 500).await.unwrap();
                if alerts.iter().any(&good) {
                    return alerts;
                }
                shown.changed().await.unwrap();
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_under_another_check_counts_not_and_the_next_one_does() {
    let mut house = House::start().await;
    let (before, after) = (baseline("/etc/motd"), baseline("/etc/issue"));
    apply_documents(&house.app.web, "dev", before.clone()).await.unwrap();
    let made_up = BTreeMap::from([(("b".to_owned(), "r".to_owned(), Digest::of_bytes(b"x")), Verdict::Met)]);
    house.report(made_up, Vec::new()).await;
    assert_eq!(house.standing().await, [], "no rule has that check");
    house.report(verdicts(&before, Verdict::NotMet), Vec::new()).await;
    assert_eq!(house.standing().await, [Verdict::NotMet]);

    // The policy changes; what was judged by the old one is under way still.
    apply_documents(&house.app.web, "dev", after.clone()).await.unwrap();
    house.report(verdicts(&before, Verdict::Met), Vec::new()).await;
    assert_eq!(house.standing().await, [Verdict::NotMet], "the old rule's verdict stays as it was");
    let wanted = house.host.heartbeat(now()).await.unwrap().wanted;
    assert!(wanted.is_empty(), "nothing is asked for again: {wanted:?}");
    house.report(verdicts(&after, Verdict::Met), Vec::new()).await;
    assert_eq!(house.standing().await, [Verdict::NotMet, Verdict::Met]);
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_replica_has_just_applied_counts_at_once() {
    let mut house = House::start().await;
    let (before, after) = (baseline("/etc/motd"), baseline("/etc/issue"));
    apply_documents(&house.app.web, "dev", before.clone()).await.unwrap();
    house.report(verdicts(&before, Verdict::Met), Vec::new()).await;
    // This replica has read its documents a moment ago, and was told of nothing since.
    let edits: Vec<Edit> = after.iter().map(|document| Edit::Put(Box::new(document.clone()))).collect();
    house.app.web.store.edit_documents("dev", &edits, None, now()).await.unwrap();
    house.report(verdicts(&after, Verdict::NotMet), Vec::new()).await;
    assert!(house.standing().await.contains(&Verdict::NotMet), "{:?}", house.standing().await);
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_as_grave_as_its_document_says_and_made_up_ones_are_only_counted() {
    let mut house = House::start().await;
    apply_documents(&house.app.web, "dev", thresholds(1)).await.unwrap();
    let told = [
        signal(Kind::Health, "t0"),
        signal(Kind::Health, "made-up"),
        signal(Kind::Detection, "t0"),
        signal(Kind::Fork, "everything-is-fine"),
    ];
    house.report(BTreeMap::new(), told.to_vec()).await;
    let alerts = house.until(|alert| alert.surplus == 3).await;
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    let known = alerts.iter().find(|alert| alert.group.kind == Kind::Health).unwrap();
    assert_eq!((known.group.subject.as_str(), known.severity), ("t0", Severity::Low));
    let counted = alerts.iter().find(|alert| alert.group.kind == Kind::Loss).unwrap();
    assert!(
        counted.summary.starts_with("web-1: 3 signals of it are counted here alone"),
        "{}",
        counted.summary
    );
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_opens_so_many_alerts_an_hour_and_what_is_beyond_is_counted() {
    let mut house = House::start().await;
    apply_documents(&house.app.web, "dev", thresholds(ALERTS_LIMIT + 3)).await.unwrap();
    let names = (0..ALERTS_LIMIT + 3).map(|number| format!("t{number}"));
    let told = names.map(|name| signal(Kind::Health, &name)).collect();
    house.report(BTreeMap::new(), told).await;
    let alerts = house.until(|alert| alert.surplus == 3).await;
    assert_eq!(alerts.len() as u64, ALERTS_LIMIT + 1);
    // Another look at the same hour finds the same limit.
    house.report(BTreeMap::new(), vec![signal(Kind::Health, &format!("t{}", ALERTS_LIMIT + 2))]).await;
    let alerts = house.until(|alert| alert.surplus == 4).await;
    assert_eq!(alerts.len() as u64, ALERTS_LIMIT + 1);
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_retired_hears_no_more_nudges() {
    let house = House::start().await;
    let (web, asset) = (&house.app.web, house.host.asset());
    let mut nudges = house.host.nudges().await.unwrap();
    let admin = Person {
        id: PersonId::mint(now(), [1; 10]),
        name: "ada".to_owned(),
        roles: [Role::Admin].into(),
        services: BTreeSet::new(),
        grants: Vec::new(),
        disabled: false,
    };
    web.store.put_person(&admin, now(), [0; 32]).await.unwrap();
    web.nudges.policies();
    let heard = tokio::time::timeout(LIMIT, nudges.next()).await.unwrap();
    assert_eq!(heard, Some(vec![Nudge::Policy]), "before that it hears them");
    let decision = Decision {
        at: now(),
        person: admin.id,
        role: None,
        act: "asset.retire".to_owned(),
        target: asset.to_string(),
        expected: None,
        reason: String::new(),
        details: None,
    };
    web.store.append_decision(&decision, [0; 32]).await.unwrap();
    web.nudges.decisions();
    assert_eq!(tokio::time::timeout(LIMIT, nudges.next()).await.unwrap(), None, "the stream has ended");
    house.app.stop().await;
}

/// A baseline whose one rule has a fix, and a document that asks for it.
fn enforced() -> Vec<Document> {
    let text = "kind: Baseline\nname: b\nspec:\n  title: B\n  rules:\n    - {id: r, title: T, rationale: R, severity: low, remediation: M, check: {sysctl: {key: kernel.kptr_restrict, value: {equals: \"2\"}}}, fix: {sysctl: {key: kernel.kptr_restrict, value: \"2\"}}}\n---\nkind: Enforcement\nname: e\nspec: {rules: [b/r]}\n";
    document::parse("e.yaml", text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_tells_of_no_step_has_not_done_what_it_was_asked_and_is_not_asked_again_at_once() {
    let mut house = House::start().await;
    apply_documents(&house.app.web, "dev", enforced()).await.unwrap();
    house.report(verdicts(&enforced(), Verdict::NotMet), Vec::new()).await;
    let order = house.given(|orders| orders.first().cloned()).await;
    let outcome = order::Outcome {
        generation: order.order.generation,
        digest: order.digest().unwrap(),
        at: now(),
        ending: order::Ending::CarriedOut(Vec::new()),
    };
    house.tell(outcome).await;
    let alerts = house.until(|alert| alert.group.kind == Kind::Order).await;
    let told = alerts.iter().find(|alert| alert.group.kind == Kind::Order).unwrap();
    assert!(told.summary.contains("was asked for 1 fixes, and tells of 0"), "{}", told.summary);
    // The end and what follows from it are one transaction: another order would be there.
    let all = house.given(|orders| orders.iter().all(|one| one.end.is_some()).then(|| orders.to_vec())).await;
    assert_eq!(all.len(), 1, "{all:?}");
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_nothing_can_hold_is_refused_alone() {
    let mut house = House::start().await;
    let mut report = house.host.compose(Facts::default(), Vec::new(), now());
    report.outcomes.push(order::Outcome {
        generation: u64::MAX,
        digest: Digest::of_bytes(b"x"),
        at: now(),
        ending: order::Ending::Refused("no".to_owned()),
    });
    let refused = house.host.send(&report).await.unwrap();
    assert!(matches!(refused, Outcome::Refused { .. }), "{refused:?}");
    house.report(BTreeMap::new(), Vec::new()).await;
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_has_so_many_places_in_an_alert_and_what_is_beyond_is_counted() {
    let mut house = House::start().await;
    apply_documents(&house.app.web, "dev", thresholds(1)).await.unwrap();
    let places = (0..PLACES_LIMIT + 3).map(|number| format!("/srv/{number}"));
    let told = places.map(|object| Noticed { object, ..signal(Kind::Health, "t0") }).collect();
    house.report(BTreeMap::new(), told).await;
    let alerts = house.until(|alert| alert.surplus == 3).await;
    let named = alerts.iter().find(|alert| alert.group.subject == "t0").unwrap();
    assert_eq!(u64::from(named.counts.firing), PLACES_LIMIT);
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_not_take_back_that_it_saw_a_fork() {
    let mut house = House::start().await;
    house.report(BTreeMap::new(), vec![signal(Kind::Fork, "orders")]).await;
    house.until(|alert| alert.group.kind == Kind::Fork).await;
    let gone = Noticed { state: State::Resolved, ..signal(Kind::Fork, "orders") };
    house.report(BTreeMap::new(), vec![gone]).await;
    let alerts = house.until(|alert| alert.surplus == 1).await;
    let fork = alerts.iter().find(|alert| alert.group.kind == Kind::Fork).unwrap();
    assert_eq!(fork.stage, Stage::Open);
    house.app.stop().await;
}

/// A rule on refused logins whose canary is this line.
fn rule(id: &str, line: &str) -> Vec<Document> {
    let sigma = format!(
        "title: Rule {id}\nid: {id}\nlevel: high\nlogsource: {{product: linux, service: sshd}}\n\
         detection: {{s: {{action: login, outcome: failure}}, condition: s}}\n"
    );
    let canary = serde_json::json!({"rule": id, "lines": [line]});
    let spec = serde_json::json!({"sigma": sigma, "canaries": [canary]});
    let written = serde_json::json!({"kind": "Detection", "name": id, "spec": spec});
    document::parse("d.yaml", &written.to_string()).unwrap()
}

const REFUSED: &str = "sshd[9]: Failed password for root from 192.0.2.7 port 4022 ssh2";
const OTHER: &str = "sshd[9]: Connection closed by 192.0.2.7 port 4022";

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_can_not_fire_is_an_alert_as_grave_as_the_rule_until_it_was_seen_that_it_can() {
    let mut house = House::start().await;
    let mut watch = canary::Watch::default();
    assert_eq!(house.prove(&mut watch, Sight::Seen).await, [], "there is no rule yet");
    apply_documents(&house.app.web, "dev", rule("r", OTHER)).await.unwrap();
    let noticed = house.prove(&mut watch, Sight::Seen).await;
    let told = noticed.into_iter().map(|noticed| Noticed { severity: Severity::Low, ..noticed });
    house.report(BTreeMap::new(), told.collect()).await;
    let alerts = house.until(|alert| alert.group.kind == Kind::Canary).await;
    let [alert] = alerts.try_into().unwrap();
    assert_eq!((alert.group.subject.as_str(), alert.severity), ("r", Severity::High));
    assert_eq!(alert.summary, "Rule r can't fire: its canary does not match");
    // What the canary says is no match of the rule, and nobody but the agent ends it.
    assert_eq!(house.prove(&mut watch, Sight::Seen).await, []);
    apply_documents(&house.app.web, "dev", rule("r", REFUSED)).await.unwrap();
    let noticed = house.prove(&mut watch, Sight::Seen).await;
    house.report(BTreeMap::new(), noticed).await;
    let alerts = house.until(|alert| matches!(alert.stage, Stage::Resolved { .. })).await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_could_not_fire_when_its_host_was_first_seen_pages_nobody_and_one_that_dies_later_does() {
    let mut house = House::unheard().await;
    apply_documents(&house.app.web, "dev", rule("first", OTHER)).await.unwrap();
    let mut watch = canary::Watch::default();
    let noticed = house.prove(&mut watch, Sight::Seen).await;
    assert_eq!(noticed.len(), 1);
    house.report(BTreeMap::new(), noticed).await;
    apply_documents(&house.app.web, "dev", rule("later", OTHER)).await.unwrap();
    let noticed = house.prove(&mut watch, Sight::Seen).await;
    house.report(BTreeMap::new(), noticed).await;
    let alerts = house.until(|alert| alert.group.subject == "later").await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    house.app.stop().await;
}
