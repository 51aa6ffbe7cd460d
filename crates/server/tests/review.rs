//! Baselines are reviewed once a year by their team and by security, and whoever forgets is told.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bartizan_core::monitoring::alert::{Alert, Stage};
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::time::{self, Timestamp};
use serde_json::{Value, json};

#[path = "change/team.rs"]
mod team;

use team::{APPROVER, AUTHOR, READER, REVIEWER, Team, now};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How many days the server's clock is ahead of the machine's.
static AHEAD: AtomicU32 = AtomicU32::new(0);

fn clock() -> Timestamp {
    now().plus(time::Duration::from_days(AHEAD.load(Ordering::SeqCst)))
}

fn baseline(value: &str) -> Value {
    let text = format!(
        "kind: Baseline\nname: web\nowner: shop\nspec:\n  title: Web\n  rules:\n    - id: forward\n      title: No forwarding\n      \
         rationale: A web server is no router.\n      severity: medium\n      \
         check: {{sysctl: {{key: net.ipv4.ip_forward, value: {{equals: \"{value}\"}}}}}}\n      remediation: Set it.\n"
    );
    json!([{"name": "web.yaml", "text": text}])
}

/// Proposes the baseline as a change, and brings it to an environment.
async fn apply(team: &Team, value: &str, target: &str) {
    let proposal = json!({"service": "shop", "files": baseline(value)});
    let (status, change) = team.post(AUTHOR, "/api/v1/changes", proposal).await;
    assert_eq!(status, 200, "{change}");
    let on = json!({"digest": change["digest"], "target": target});
    let path = format!("/api/v1/changes/{}/apply", change["id"].as_str().unwrap());
    let (status, applied) = team.post(AUTHOR, &path, on).await;
    assert_eq!(status, 200, "{applied}");
}

/// The review of the baseline, as soon as it is of this many documents or was noticed at all.
async fn review(team: &Team, good: impl Fn(&Value) -> bool) -> Value {
    let mut shown = team.app.web.nudges.shown();
    let found = async {
        loop {
            let list = team.get(READER, "/api/v1/reviews").await;
            if list["reviews"].as_array().unwrap().iter().any(&good) {
                return team.get(READER, "/api/v1/reviews/web").await;
            }
            shown.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap()
}

async fn says(team: &Team, who: usize, digest: &Value, word: &str) -> (u16, Value) {
    let saying = json!({"digest": digest, "word": word, "reason": "read line by line"});
    team.post(who, "/api/v1/reviews/web", saying).await
}

async fn alert(team: &Team, good: impl Fn(&Alert) -> bool) -> Alert {
    let mut shown = team.app.web.nudges.shown();
    let found = async {
        loop {
            let alerts = team.app.web.store.alerts(false, 100).await.unwrap();
            if let Some(found) =
                alerts.into_iter().find(|alert| alert.group.kind == Kind::Clock && good(alert))
            {
                return found;
            }
            shown.changed().await.unwrap();
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn baselines_are_reviewed_annually_by_both_teams_and_overdue_is_an_alert() {
    let folder = tempfile::tempdir().unwrap();
    let team = Team::start(folder.path(), clock).await;
    apply(&team, "0", "dev").await;
    let first = review(&team, |row| row["baseline"] == "web").await;
    assert_eq!((&first["standing"], &first["last"]), (&json!("running"), &Value::Null));
    assert_eq!(first["differences"][0], json!({"rule": "forward", "what": "added"}));
    let digest = first["digest"].clone();

    let (status, refused) = says(&team, AUTHOR, &digest, "keep").await;
    assert_eq!(status, 403, "{refused}");
    assert!(
        refused["title"].as_str().unwrap().contains("who wrote a baseline may not review it"),
        "{refused}"
    );
    assert_eq!(says(&team, READER, &digest, "keep").await.0, 403, "who reads everything says nothing");
    assert_eq!(says(&team, REVIEWER, &digest, "keep").await.0, 200);
    let half = review(&team, |row| row["said"].as_array().unwrap().len() == 1).await;
    assert_eq!((&half["said"][0]["side"], &half["said"][0]["by"]), (&json!("service_team"), &json!("ben")));
    assert_eq!(half["last"], Value::Null, "one team does not stand in for the other");

    // One byte edited: what was said is void.
    apply(&team, "1", "dev").await;
    let edited = review(&team, |row| row["digest"] != digest).await;
    assert_eq!(edited["said"], json!([]));
    let (status, stale) = says(&team, APPROVER, &digest, "keep").await;
    assert_eq!(status, 409, "{stale}");
    let digest = edited["digest"].clone();
    assert_eq!(says(&team, APPROVER, &digest, "change").await.0, 200);
    assert_eq!(says(&team, REVIEWER, &digest, "change").await.0, 200);
    let whole = review(&team, |row| row["last"]["word"] == "change").await;
    assert_eq!(whole["last"]["said"].as_array().unwrap().len(), 2);
    assert_eq!(whole["differences"], json!([]), "nothing differs from what was just reviewed");

    // What stands higher is what is reviewed: a copy below concludes nothing.
    apply(&team, "1", "test").await;
    apply(&team, "2", "dev").await;
    let above = review(&team, |row| row["applied"].as_array().unwrap().len() == 2).await;
    assert_eq!(above["digest"], digest);
    let below = above["applied"].as_array().unwrap().iter().find(|one| one["environment"] == "dev").unwrap();
    assert_ne!(below["digest"], digest);
    assert_eq!(says(&team, APPROVER, &below["digest"], "keep").await.0, 409);
    // Its author is who brought the same content anywhere.
    assert_eq!(says(&team, AUTHOR, &digest, "keep").await.0, 403);

    // A year and a day later somebody forgot it.
    AHEAD.store(366, Ordering::SeqCst);
    let overdue =
        alert(&team, |alert| alert.group.subject == "review/web" && alert.stage == Stage::Open).await;
    assert!(overdue.summary.contains("the baseline web was not reviewed for a year"), "{}", overdue.summary);
    team.app.stop().await;
}
