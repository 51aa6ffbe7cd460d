//! Drift on a small machine of its own: what is modified there and no change explains is told, without its secrets,
//! and is over once it stands as before.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;

use bartizan_ledger::bundle::verify::Held;

#[path = "up/machine.rs"]
mod machine;

use machine::{Machine, Up, receiver, told};

const WATCHED: &str = "kind: Drift
name: host
owner: platform
spec:
  watches:
    - id: configuration
      files: [/etc/**]
      except: ['/etc/**/*.swp']
      severity: high
      summary: how programs are configured here
";

#[test]
fn what_is_modified_without_a_change_is_told_and_is_over_once_it_stands_as_before() {
    // Whoever was first has installed it, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::new();
    machine.write("etc/app.conf", "port = 80\ndatabase = main\n");
    let (url, received) = receiver();
    let up = Up::start(&machine, &url);
    let documents = machine.folder.path().join("documents");
    fs::create_dir_all(&documents).unwrap();
    fs::write(documents.join("drift.yaml"), WATCHED).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bartizan"))
        .args(["apply", "--environment", "dev", "-f"])
        .arg(&documents)
        .arg("--client")
        .arg(up.state.join("client.json"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let facts = "/api/v1/assets/small/facts/drift";
    let watched = up.until(facts, |section| section["body"]["objects"].as_u64() > Some(4));
    assert_eq!(watched["body"]["drifts"], serde_json::json!([]), "what is there at first is accounted for");

    machine.write("etc/editor.swp", "x\n");
    machine.write("etc/app.conf", "port = 8080\ndatabase = main\npassword = hunter2\n");
    let alert = told(&received, "firing", "/etc/app.conf was modified, and no change explains it");
    assert_eq!(alert["commonLabels"]["kind"], "drift", "{alert:#}");
    let drifts = up.until(facts, |section| section["body"]["drifts"][0]["object"] == "file:/etc/app.conf");
    let lines = &drifts["body"]["drifts"][0]["lines"];
    assert_eq!(*lines, serde_json::json!(["-port = 80", "+port = 8080", "+password = [masked]"]));
    assert_eq!(drifts["body"]["drifts"].as_array().unwrap().len(), 1, "{drifts:#}");

    machine.write("etc/app.conf", "port = 80\ndatabase = main\n");
    told(&received, "resolved", "/etc/app.conf");
    up.until(facts, |section| section["body"]["drifts"] == serde_json::json!([]));

    // What is meant to stay is accounted for, as it was looked at and no otherwise.
    machine.mode("etc/app.conf", 0o600);
    told(&received, "firing", "/etc/app.conf was modified");
    let listed = drift(&up, &["list", "small", "-o", "json"]).unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let seen = listed["drifts"][0]["digest"].as_str().unwrap().to_owned();
    machine.mode("etc/app.conf", 0o640);
    up.until(facts, |section| {
        section["body"]["drifts"][0]["after"].as_str().is_some_and(|after| after.starts_with("0640"))
    });
    let explain = ["explain", "small", "file:/etc/app.conf", "--reason", "nobody else reads it"];
    let late = drift(&up, &[&explain[..], &["--digest", &seen]].concat()).unwrap_err();
    assert!(late.contains("`file:/etc/app.conf` stands otherwise than when it was looked at"), "{late}");
    let listed: serde_json::Value =
        serde_json::from_str(&drift(&up, &["list", "small", "-o", "json"]).unwrap()).unwrap();
    let seen = listed["drifts"][0]["digest"].as_str().unwrap().to_owned();
    let explain = [&explain[..], &["--digest", &seen]].concat();
    let rehearsed = drift(&up, &[&explain[..], &["--dry-run"]].concat()).unwrap();
    assert!(rehearsed.contains("file:/etc/app.conf"), "{rehearsed}");
    drift(&up, &explain).unwrap();
    told(&received, "resolved", "/etc/app.conf");
    up.until(facts, |section| section["body"]["drifts"] == serde_json::json!([]));
    let gone = drift(&up, &explain).unwrap_err();
    assert!(gone.contains("`file:/etc/app.conf` does not drift here"), "{gone}");

    up.until("/api/v1/ledger", |ledger| ledger["head"]["waiting"] == 0);
    let bundle = up.download("/api/v1/ledger/bundle");
    bartizan_ledger::verify(bundle.as_slice(), &Held::default()).unwrap();
    let text = String::from_utf8(bundle).unwrap();
    assert_eq!(text.matches(r#"\"kind\":\"drift_explained\""#).count(), 1);
    up.stop();
}

/// What a verb about drift prints, or why it failed.
fn drift(up: &Up, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    let output = command.arg("drift").args(words).arg("--client").arg(up.state.join("client.json")).output();
    let output = output.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
