//! `bartizan up` on a small machine of its own: what is broken is told, what is mended is seen.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use bartizan_ledger::bundle::verify::Held;
use serde_json::Value;

#[path = "up/machine.rs"]
mod machine;

use machine::{Machine, Up, receiver, told};

fn log(machine: &Machine, line: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(machine.root().join("var/log/auth.log")).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn finding<'a>(described: &'a Value, subject: &str) -> Option<&'a Value> {
    described["findings"].as_array()?.iter().find(|finding| finding["subject"] == subject)
}

#[test]
fn what_breaks_is_told_within_seconds_and_what_is_mended_is_seen_to_be() {
    // Whoever was first has installed it, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::new();
    let (url, received) = receiver();
    let up = Up::start(&machine, &url);
    let seen = up.until("/api/v1/assets/small", |asset| {
        finding(asset, "CVE-2023-0001").is_some() && asset["verdicts"]["met"].as_u64() > Some(0)
    });
    let exploited = finding(&seen, "CVE-2023-0001").unwrap();
    assert_eq!(exploited["kev_due"], "2024-01-22");
    assert_eq!(exploited["action"], "update openssl to 3.0.11-1");
    assert!(finding(&seen, "CVE-2023-0002").is_none(), "that one is fixed");
    let rule = "debian-12/file-passwd";
    assert!(finding(&seen, rule).is_none(), "{seen:#}");
    assert!(received.try_recv().is_err(), "first sight of a machine pages nobody");

    machine.mode("etc/passwd", 0o666);
    told(&received, "firing", "small: ");
    up.until("/api/v1/assets/small", |asset| finding(asset, rule).is_some());
    machine.mode("etc/passwd", 0o644);
    told(&received, "resolved", "small: ");
    up.until("/api/v1/assets/small", |asset| finding(asset, rule).is_none());

    for _ in 0..6 {
        log(
            &machine,
            "Nov 24 03:31:55 small sshd[7]: Failed password for root from 192.0.2.9 port 4242 ssh2",
        );
    }
    told(&received, "firing", "192.0.2.9");

    // The package is updated: the finding closes because the old build is seen to be gone.
    machine.write(
        "var/lib/dpkg/status",
        "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n\
         Version: 3.0.11-1\n\n",
    );
    up.until("/api/v1/assets/small", |asset| finding(asset, "CVE-2023-0001").is_none());
    let alerts = up.get("/api/v1/alerts?all=true");
    let alerts = alerts["alerts"].as_array().unwrap().len();
    up.stop();

    // A second start carries on: the same machine, the same alerts, one ledger.
    let up = Up::start(&machine, &url);
    assert_eq!(up.get("/api/v1/assets")["assets"].as_array().unwrap().len(), 1);
    assert_eq!(up.get("/api/v1/alerts?all=true")["alerts"].as_array().unwrap().len(), alerts);
    up.until("/api/v1/ledger", |ledger| ledger["head"]["waiting"] == 0);
    verify(&up);
    up.stop();
}

/// The ledger verifies outside of the server, and tells of all that happened.
fn verify(up: &Up) {
    let bundle = up.download("/api/v1/ledger/bundle");
    let report = bartizan_ledger::verify(bundle.as_slice(), &Held::default()).unwrap();
    assert!(report.checkpoint.size > 20, "{report:?}");
    let text = String::from_utf8(bundle).unwrap();
    for kind in ["enrolment", "transitions", "alert_opened", "alert_ended", "delivery", "feed_import"] {
        assert!(text.contains(&format!(r#"\"kind\":\"{kind}\""#)), "no {kind} in the ledger");
    }
}

#[test]
fn mail_that_can_not_be_sent_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let file = password.to_str().unwrap();
    let table: [(&[&str], &str); 5] = [
        (&["--notify", "mailto:ada@example.org"], "--smtp names one"),
        (
            &["--notify", "mailto:ada", "--smtp", "smtp://127.0.0.1:1"],
            "is no address such as person@example.org",
        ),
        (&["--smtp", "smtp://ada:secret@mail.example.org"], "--smtp-password-file"),
        (&["--smtp", "http://mail.example.org"], "is no address of a relay"),
        (
            &["--smtp", "smtps://mail.example.org", "--smtp-user", "ada", "--smtp-password-file", file],
            "chmod 600",
        ),
    ];
    for (words, said) in table {
        let state = folder.path().join("state");
        let mut run = Command::new(env!("CARGO_BIN_EXE_bartizan"));
        let output = run.arg("up").args(words).arg("--state").arg(&state).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
        assert!(!text.contains("ada:secret"), "{text}");
        assert!(!state.exists(), "{words:?} made something");
    }
}

#[test]
fn a_second_start_on_a_folder_in_use_is_refused_and_leaves_the_first_as_it_is() {
    // Whoever was first has installed it, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::new();
    let (url, _received) = receiver();
    let up = Up::start(&machine, &url);
    let client = fs::read(up.state.join("client.json")).unwrap();
    let mut again = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    again.args(["up", "--port", "0", "--agent-port", "0", "--root"]).arg(machine.root());
    let output = again.arg("--state").arg(&up.state).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("another `bartizan up` uses"), "{text}");
    assert_eq!(fs::read(up.state.join("client.json")).unwrap(), client);
    up.until("/api/v1/assets", |list| list["assets"].as_array().is_some_and(|assets| assets.len() == 1));
    let state = up.state.clone();
    up.stop();
    // What was written is in the one file: whoever copies it has all of it.
    let log = fs::metadata(state.join("bartizan.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the store was not closed");
}

#[test]
fn what_is_named_and_missing_is_told_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing");
    let named = missing.to_str().unwrap();
    let table: [(&[&str], &str); 4] = [
        (&["--feeds", named], named),
        (&["--root", named], named),
        (&["--demo", "--listen", "0.0.0.0"], "a demo listens on loopback alone"),
        (&["--demo", "--sync"], "cannot be used with"),
    ];
    for (words, said) in table {
        let state = folder.path().join("state");
        let mut run = Command::new(env!("CARGO_BIN_EXE_bartizan"));
        let output = run.arg("up").args(words).arg("--state").arg(&state).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
        assert!(!state.exists(), "{words:?} made something");
    }
}

#[test]
fn a_database_that_is_not_there_is_told_of_at_once_and_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    run.args([
        "up",
        "--database",
        "postgres://nobody:secret@127.0.0.1:1/x",
        "--port",
        "0",
        "--agent-port",
        "0",
    ]);
    let output = run.arg("--state").arg(folder.path().join("state")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("127.0.0.1:1/x") && text.contains("refused") && text.contains("--database"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}
