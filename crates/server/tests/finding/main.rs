//! Somebody owns a finding on one asset and says something of it; it ends by what is observed alone.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, and is its own composition root"
)]

mod house;

use std::hash::{BuildHasher as _, RandomState};

use bartizan_core::time::Timestamp;
use bartizan_core::verdict::{Reason, Verdict};
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings};
use bartizan_store::Place;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use house::{ANN, House, LIMIT, REA, READER, SAM, now};

const MET: Verdict = Verdict::Met;
const NOT_MET: Verdict = Verdict::NotMet;
const UNKNOWN: Verdict = Verdict::Unknown(Reason::Denied);

/// The check of the rule, before and after somebody edited it.
const CHECK: &str = "check";
const EDITED: &str = "another check";

fn sqlite(folder: &tempfile::TempDir) -> Place {
    Place::Sqlite(folder.path().join("bartizan.db"))
}

fn postgres() -> Option<Place> {
    let Some(url) = std::env::var_os("BARTIZAN_TEST_POSTGRES") else {
        eprintln!("left out: PostgreSQL, since BARTIZAN_TEST_POSTGRES names no server");
        return None;
    };
    let schema = Some(format!("finding_{:016x}", RandomState::new().hash_one(0)));
    Some(Place::Postgres { url: url.into_string().unwrap(), schema })
}

/// What a history tells, the oldest first.
fn happened(told: &Value) -> Vec<&str> {
    let history = told["history"].as_array().into_iter().flatten();
    let mut words: Vec<&str> = history.map(|entry| entry["happened"].as_str().unwrap()).collect();
    words.reverse();
    words
}

fn ended(told: &Value, how: &str) -> bool {
    told["ended"]["how"] == how
}

async fn it_is_owned_mended_by_what_is_observed_and_comes_back(place: Place) {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::start(place, folder.path()).await;
    let host = house.enrol(1).await;
    house.report(&host, &[(CHECK, NOT_MET)]).await;
    let key = house.only_finding(&host).await;
    let path = format!("/findings/by-key/{key}");

    // Nobody has put anything on it: it is found by its asset alone.
    assert_eq!(house.ask(READER, &path, None).await.0, 404);
    let bare = house.get(&format!("{path}?asset=web-1")).await;
    assert_eq!((&bare["subject"], &bare["owner"]), (&json!("base/old-tls"), &Value::Null), "{bare}");
    assert!(happened(&bare).is_empty(), "{bare}");
    let assign = format!("{path}/assign");
    house.does(ANN, &assign, json!({"asset": "web-1", "owner": "rea", "reason": "you know TLS"})).await;
    house.does(REA, &format!("{path}/comment"), json!({"text": "the last client goes in May"})).await;
    let told = house.get(&path).await;
    assert_eq!((&told["owner"], &told["backlog"]), (&json!("rea"), &json!(true)), "{told}");
    assert_eq!(happened(&told), ["assigned", "commented"]);
    assert_eq!(told["history"][1]["text"], "rea: you know TLS");
    let shown = house.get("/assets/web-1").await;
    let finding = &shown["findings"][0];
    assert_eq!(finding["owner"], "rea", "{shown}");
    assert_eq!(finding["comments"][0]["text"], "the last client goes in May", "{shown}");
    let fleet = "/findings/deviation/base%2Fold-tls";
    let affected = house.until(fleet, |told| told["on"][0]["owner"] == "rea").await;
    assert_eq!((&affected["on"][0]["owner"], &affected["on"][0]["key"]), (&json!("rea"), &json!(key)));
    let (status, again) = house.ask(ANN, &assign, Some(json!({"owner": "rea"}))).await;
    assert!(status == 409 && again["title"] == "they own it already", "{again}");

    // Nobody can say: that ends nothing.
    house.report(&host, &[(CHECK, UNKNOWN)]).await;
    house.until("/assets/web-1", |told| told["unknown_findings"].as_array().unwrap().len() == 1).await;
    house.does(ANN, &format!("{path}/comment"), json!({"text": "its agent may not look"})).await;
    assert_eq!(house.get(&path).await["ended"], Value::Null);

    house.report(&host, &[(CHECK, MET)]).await;
    let told = house.until(&path, |told| ended(told, "verified")).await;
    assert_eq!(happened(&told), ["assigned", "commented", "commented", "ended"]);
    assert_eq!(told["now"], Value::Null);
    assert!(house.get("/findings/held").await["findings"].as_array().unwrap().is_empty());
    assert_eq!(house.ask(ANN, &assign, Some(json!({}))).await.0, 409, "nobody has to mend it");

    house.report(&host, &[(CHECK, NOT_MET)]).await;
    let told = house.until(&path, |told| told["returns"] == 1).await;
    assert_eq!((&told["owner"], &told["backlog"]), (&json!("rea"), &json!(false)), "{told}");
    assert_eq!(happened(&told).last(), Some(&"returned"));
    let mine = house.get("/findings/held?owner=rea").await;
    assert_eq!(mine["findings"][0]["key"], json!(key));
    assert!(house.get("/findings/held?owner=ann").await["findings"].as_array().unwrap().is_empty());

    let retire = format!("/assets/{}/retire", host.id);
    assert_eq!(house.ask(ANN, &retire, Some(json!({"reason": "it is old"}))).await.0, 200);
    house.until(&path, |told| ended(told, "retired")).await;
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_it_is_owned_mended_by_what_is_observed_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    it_is_owned_mended_by_what_is_observed_and_comes_back(sqlite(&folder)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_it_is_owned_mended_by_what_is_observed_and_comes_back() {
    if let Some(place) = postgres() {
        it_is_owned_mended_by_what_is_observed_and_comes_back(place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_withdrawn_or_edited_ends_it_as_withdrawn_and_never_as_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::start(sqlite(&folder), folder.path()).await;
    let host = house.enrol(1).await;
    house.report(&host, &[(CHECK, NOT_MET)]).await;
    let key = house.only_finding(&host).await;
    let path = format!("/findings/by-key/{key}");
    house.does(ANN, &format!("{path}/assign"), json!({"asset": "web-1"})).await;

    // It is met by another check: nobody mended what was asked for before.
    house.report(&host, &[(EDITED, MET)]).await;
    let told = house.until(&path, |told| ended(told, "withdrawn")).await;
    assert_eq!(told["ended"]["by"], "the baseline base as it was applied to dev by hand", "{told}");
    house.report(&host, &[(EDITED, NOT_MET)]).await;
    house.until(&path, |told| told["returns"] == 1).await;

    // The host tells of it no more, while it is asked for: nobody can say.
    house.report(&host, &[]).await;
    house.until("/assets/web-1", |told| told["findings"].as_array().unwrap().is_empty()).await;
    house.does(ANN, &format!("{path}/comment"), json!({"text": "what does it wait for?"})).await;
    assert_eq!(house.get(&path).await["ended"], Value::Null);
    // No report tells of it: the documents alone changed.
    house.withdraw().await;
    let told = house.until(&path, |told| ended(told, "withdrawn")).await;
    assert_eq!(told["ended"]["by"], "the baseline base was taken from dev by hand", "{told}");
    assert!(told["history"][0]["text"].as_str().unwrap().contains("nothing was fixed"), "{told}");
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vulnerability_is_verified_by_another_build_and_withdrawn_by_the_feed() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::start(sqlite(&folder), folder.path()).await;
    let host = house.enrol(1).await;
    house.installs(&host, &["1"]).await;
    house.match_builds(&["1"]).await;
    let key = house.only_finding(&host).await;
    let path = format!("/findings/by-key/{key}");
    house.does(REA, &format!("{path}/assign"), json!({"asset": "web-1"})).await;

    // Another build came, and no feed has spoken of it: nobody can say.
    house.installs(&host, &["2"]).await;
    house.until("/assets/web-1", |told| told["findings"].as_array().unwrap().is_empty()).await;
    house.does(REA, &format!("{path}/comment"), json!({"text": "it was updated"})).await;
    assert_eq!(house.get(&path).await["ended"], Value::Null);
    house.match_builds(&["1"]).await;
    house.until(&path, |told| ended(told, "verified")).await;

    house.installs(&host, &["1"]).await;
    house.until(&path, |told| told["returns"] == 1).await;
    house.match_again(&[]).await;
    let told = house.until(&path, |told| ended(told, "withdrawn")).await;
    assert!(told["ended"]["by"].as_str().unwrap().starts_with("the feeds"), "{told}");
    house.match_again(&["1"]).await;
    house.until(&path, |told| told["returns"] == 2).await;
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_reads_puts_nothing_on_it_and_hostile_words_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::start(sqlite(&folder), folder.path()).await;
    let host = house.enrol(1).await;
    house.report(&host, &[(CHECK, NOT_MET)]).await;
    let key = house.only_finding(&host).await;
    let path = format!("/findings/by-key/{key}");
    let (assign, comment) = (format!("{path}/assign"), format!("{path}/comment"));
    let says = |text: &str| json!({"asset": "web-1", "text": text});
    let table = [
        (READER, &comment, says("x"), 403),
        (READER, &assign, json!({"asset": "web-1"}), 403),
        (ANN, &assign, json!({"asset": "web-1", "owner": "dan"}), 400),
        (ANN, &assign, json!({"asset": "web-1", "owner": "nobody"}), 404),
        (ANN, &assign, json!({"asset": "web-1", "colour": "red"}), 400),
        (ANN, &comment, says(" "), 400),
        (ANN, &comment, says("a\u{0}b"), 400),
        (ANN, &comment, says(&"x".repeat(4_097)), 400),
        (ANN, &comment, says(&"x".repeat(4_001)), 400),
        (ANN, &comment, json!({"text": "no asset"}), 404),
        (ANN, &comment, json!({"asset": "web-9", "text": "no such asset"}), 404),
    ];
    for (who, path, body, status) in table {
        let (found, answer) = house.ask(who, path, Some(body.clone())).await;
        assert_eq!(found, status, "{body}: {answer}");
    }
    for key in ["none", "sha256:00", &format!("sha256:{}", "0".repeat(64))] {
        let path = format!("/findings/by-key/{key}/comment");
        assert_eq!(house.ask(ANN, &path, Some(says("x"))).await.0, 404, "{key}");
    }
    let rehearsed = house.ask(ANN, &format!("{comment}?dry_run=true"), Some(says("x"))).await;
    assert_eq!(rehearsed, (200, json!({"dry_run": true, "state": "accepted"})));
    assert!(house.get("/findings/held?ended=true").await["findings"].as_array().unwrap().is_empty());
    house.app.stop().await;
}

/// What a policy says, whose limit for what is rated high is this.
fn policy(within: &str) -> String {
    format!(
        "kind: ResponsePolicy\nname: response\nspec:\n  limits:\n    high: {{from: first_observed, within: {within}}}\n    \
         unrated: {{from: first_observed, within: 10d}}\n  backlog: 90d\n  exploited: true\n"
    )
}

/// How long after a time another one is, in whole days.
fn days(from: &Value, to: &Value) -> i64 {
    let ms = |at: &Value| at.as_str().unwrap().parse::<Timestamp>().unwrap().as_millis();
    (ms(to) - ms(from)) / 86_400_000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_says_by_when_it_has_to_be_gone_and_what_is_overdue_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::start(sqlite(&folder), folder.path()).await;
    let host = house.enrol(1).await;
    house.report(&host, &[(CHECK, NOT_MET)]).await;
    let key = house.only_finding(&host).await;
    let of_host = "/assets/web-1";
    assert_eq!(house.get(of_host).await["findings"][0]["due"], Value::Null, "nobody says");
    house.apply(&policy("30d")).await;
    // What its first sight brought is due from its enrolment.
    let told = house.until(of_host, |told| told["findings"][0]["due"]["because"] == "backlog").await;
    let due = &told["findings"][0]["due"];
    assert_eq!(days(&told["enrolled_at"], &due["at"]), 90, "{told}");
    assert_eq!((&due["policy"], &due["overdue"]), (&json!("response"), &json!(false)), "{told}");

    // It came back: that is news, and due from then on.
    house.report(&host, &[(CHECK, MET)]).await;
    house.until(of_host, |told| told["findings"].as_array().unwrap().is_empty()).await;
    house.report(&host, &[(CHECK, NOT_MET)]).await;
    let told = house.until(of_host, |told| told["findings"][0]["due"]["because"] == "policy").await;
    let finding = &told["findings"][0];
    assert_eq!(days(&finding["since"], &finding["due"]["at"]), 30, "{told}");

    // What nobody rates has a limit of its own, and comes after what is graver.
    house.installs(&host, &["1"]).await;
    house.match_builds(&["1"]).await;
    let told = house.until(of_host, |told| told["findings"].as_array().unwrap().len() == 2).await;
    assert_eq!(told["findings"][0]["key"], json!(key), "{told}");
    let unrated = house.until(of_host, |told| told["findings"][1]["due"]["because"] == "backlog").await;
    assert_eq!(unrated["findings"][1]["severity"], Value::Null, "{unrated}");

    house.apply(&policy("1ms")).await;
    let overdue = |told: &Value| told["findings"][0]["due"]["overdue"] == true;
    house.until(of_host, overdue).await;
    // The list over the fleet may be a moment behind the host.
    let path = "/findings/deviation/base%2Fold-tls";
    house.until(path, |told| told["on"][0]["due"]["overdue"] == true).await;
    assert_eq!(house.get("/posture").await["overdue"], 0, "it is in nobody's hands");
    let path = format!("/findings/by-key/{key}");
    house.does(ANN, &format!("{path}/assign"), json!({"asset": "web-1"})).await;
    assert_eq!(house.get("/posture").await["overdue"], 1);
    assert_eq!(house.get("/findings/held").await["findings"][0]["due"]["because"], "policy");

    // Accepted, it is due when its acceptance ends; unknown, it is no finding.
    let wanted = json!({"scope": ["rule=old-tls"], "reason": "x", "until": "30d", "manual": "a guard", "review_by": "14d"});
    let (_, proposed) = house.ask(ANN, "/acceptances", Some(wanted)).await;
    let approve = format!("/acceptances/{}/approve", proposed["id"].as_str().unwrap());
    house.does(SAM, &approve, json!({})).await;
    let told = house.until(of_host, |told| told["findings"][1]["accepted"]["owner"] == "ann").await;
    assert_eq!(told["findings"][1]["due"], Value::Null, "{told}");
    assert_eq!(house.get("/posture").await["overdue"], 0);
    house.app.stop().await;
}

/// Waits until a finding is as it should be, whichever of two replicas brings it about.
async fn until(house: &House, other: &App, path: &str, good: impl Fn(&Value) -> bool) -> Value {
    let (mut here, mut there) = (house.app.web.nudges.shown(), other.web.nudges.shown());
    let found = async {
        loop {
            let (_, told) = house.ask(READER, path, None).await;
            if good(&told) {
                return told;
            }
            tokio::select! {
                changed = here.changed() => changed.unwrap(),
                changed = there.changed() => changed.unwrap(),
            }
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_lose_nothing_of_what_is_said_and_observed_at_once() {
    let Some(place) = postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut house = House::start(place.clone(), folder.path()).await;
    let settings = Settings { place, ..Settings::in_folder(folder.path()) };
    let other = App::start(&settings, Ambient::new(now, StdRng::from_os_rng())).await.unwrap();
    let host = house.enrol(1).await;
    house.report(&host, &[(CHECK, NOT_MET)]).await;
    let key = house.only_finding(&host).await;
    let path = format!("/findings/by-key/{key}");
    // Whichever replica is quicker rules on it.
    let (status, told) = house.ask(ANN, &format!("{path}/assign"), Some(json!({"asset": "web-1"}))).await;
    assert_eq!(status, 200, "{told}");
    until(&house, &other, &path, |told| told["owner"] == "ann").await;
    let says = |app: &App, number: usize| {
        let url = format!("https://{}/api/v1{path}/comment", app.people());
        let body = json!({"text": format!("comment {number}")});
        let request = house.http.post(url).bearer_auth(&house.tokens[REA]).json(&body);
        async move { assert_eq!(request.send().await.unwrap().status().as_u16(), 200) }
    };
    let mut all = tokio::task::JoinSet::new();
    for number in 0..20 {
        all.spawn(says(if number % 2 == 0 { &house.app } else { &other }, number));
    }
    for verdict in [MET, NOT_MET, MET] {
        house.report(&host, &[(CHECK, verdict)]).await;
        other.web.nudges.transitions();
    }
    all.join_all().await;
    let told = until(&house, &other, &path, |told| happened(told).len() == 24).await;
    assert!(ended(&told, "verified") && told["returns"] == 1, "{told}");
    let words = happened(&told);
    let count = |word| words.iter().filter(|found| **found == word).count();
    assert_eq!([count("commented"), count("ended"), count("returned")], [20, 2, 1], "{words:?}");
    let texts: std::collections::BTreeSet<&str> =
        told["history"].as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    assert!((0..20).all(|number| texts.contains(format!("comment {number}").as_str())), "{texts:?}");
    other.stop().await;
    house.app.stop().await;
}
