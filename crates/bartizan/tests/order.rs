//! Enforcement on a small machine of its own: what a document asks for is set by the agent, where the host
//! allows it, and the finding closes because the host is seen to be well.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use bartizan_ledger::bundle::verify::Held;
use serde_json::Value;

#[path = "up/machine.rs"]
mod machine;

use machine::{Machine, Up, receiver, told};

const RULE: &str = "debian-12/file-passwd";

const ENFORCEMENT: &str = "kind: Enforcement
name: files
owner: platform
spec:
  rules: ['debian-12/file-passwd']
";

/// Applies a document to the environment that `up` enrols its machine into.
fn apply(machine: &Machine, up: &Up, document: &str) {
    let folder = machine.folder.path().join("documents");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("enforcement.yaml"), document).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bartizan"))
        .args(["apply", "--environment", "dev", "-f"])
        .arg(&folder)
        .arg("--client")
        .arg(up.state.join("client.json"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn mode(machine: &Machine) -> u32 {
    fs::metadata(machine.root().join("etc/passwd")).unwrap().permissions().mode() & 0o777
}

/// Whether the asset is seen, and has the finding or not.
fn finding_is(open: bool) -> impl Fn(&Value) -> bool {
    move |asset| {
        let seen = asset["verdicts"]["met"].as_u64() > Some(0);
        let findings = asset["findings"].as_array();
        seen && findings.is_some_and(|all| all.iter().any(|finding| finding["subject"] == RULE)) == open
    }
}

#[test]
fn what_a_document_asks_for_is_set_and_the_finding_closes_by_observation() {
    // Whoever was first has installed it, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::new();
    machine.write("etc/bartizan/agent.json", r#"{"allow": ["enforce"]}"#);
    machine.mode("etc/passwd", 0o666);
    let (url, _received) = receiver();
    let up = Up::start(&machine, &url);
    up.until("/api/v1/assets/small", finding_is(true));
    assert_eq!(up.get("/api/v1/orders")["orders"], serde_json::json!([]), "nobody asked for anything");
    assert_eq!(mode(&machine), 0o666);

    apply(&machine, &up, ENFORCEMENT);
    let orders = up.until("/api/v1/orders?asset=small", |orders| orders["orders"][0]["end"] == "carried_out");
    let order = &orders["orders"][0];
    assert_eq!(order["generation"], 1);
    assert_eq!(order["steps"][0]["rule"], RULE, "{order:#}");
    assert_eq!(order["steps"][0]["outcome"], "done", "{order:#}");
    assert_eq!(mode(&machine), 0o644);
    up.until("/api/v1/assets/small", finding_is(false));

    // What drifts is an alert, and mended by another order: so soon that nobody may have been told.
    machine.mode("etc/passwd", 0o666);
    up.until("/api/v1/orders?asset=small", |orders| {
        orders["orders"][0]["generation"] == 2 && orders["orders"][0]["end"] == "carried_out"
    });
    assert_eq!(mode(&machine), 0o644);
    up.until("/api/v1/alerts?all=true", |alerts| {
        let all = alerts["alerts"].as_array().unwrap();
        all.iter().any(|alert| alert["subject"] == RULE && alert["stage"] == "resolved")
    });

    up.until("/api/v1/ledger", |ledger| ledger["head"]["waiting"] == 0);
    let bundle = up.download("/api/v1/ledger/bundle");
    bartizan_ledger::verify(bundle.as_slice(), &Held::default()).unwrap();
    let text = String::from_utf8(bundle).unwrap();
    for kind in ["order", "order_end"] {
        assert_eq!(text.matches(&format!(r#"\"kind\":\"{kind}\""#)).count(), 2, "{kind} in the ledger");
    }
    up.stop();
}

#[test]
fn a_host_that_allows_nothing_is_asked_once_and_stays_as_it_is() {
    // Whoever was first has installed it, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::new();
    machine.mode("etc/passwd", 0o666);
    let (url, received) = receiver();
    let up = Up::start(&machine, &url);
    up.until("/api/v1/assets/small", finding_is(true));
    apply(&machine, &up, ENFORCEMENT);
    let orders = up.until("/api/v1/orders?asset=small", |orders| orders["orders"][0]["end"] == "refused");
    let refused = orders["orders"][0]["problem"].as_str().unwrap();
    assert_eq!(refused, "this host does not allow its agent to enforce");
    told(&received, "firing", "this host does not allow its agent to enforce");
    assert_eq!(mode(&machine), 0o666);
    assert!(finding_is(true)(&up.get("/api/v1/assets/small")));
    assert_eq!(up.get("/api/v1/orders")["orders"].as_array().unwrap().len(), 1);
    up.stop();
}
