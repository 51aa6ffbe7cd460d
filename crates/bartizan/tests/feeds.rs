//! `bartizan feeds sync`, as a person runs it, against a source on this machine.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

const KEV: &str = r#"{"catalogVersion": "1", "dateReleased": "2026-01-01T00:00:00Z", "vulnerabilities": [
  {"cveID": "CVE-2026-0002", "vulnerabilityName": "Tool lets everybody in", "dateAdded": "2026-01-01",
   "dueDate": "2026-01-22", "knownRansomwareCampaignUse": "Known"}]}"#;

/// A source that gives the catalogue to whoever does not have it.
fn source() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let held = lines.take_while(|line| !line.is_empty()).any(|line| line == "if-none-match: \"one\"");
            let answer = match held {
                true => "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_owned(),
                false => format!(
                    "HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{KEV}",
                    KEV.len()
                ),
            };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("kev=http://{address}/known_exploited_vulnerabilities.json")
}

fn sync(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.args(["feeds", "sync"]).args(words).env_remove("BARTIZAN_CLIENT").env("HOME", "/nowhere");
    command.output().unwrap()
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- out\n{}--- err\n{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_source_is_fetched_once_and_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().to_str().unwrap();
    let source = source();
    let words = ["--source", &source, "--only", "kev", "--into", into, "-o", "csv"];
    assert_eq!(
        shown(&sync(&words)),
        format!("exit 0\n--- out\nsource,outcome,note\nkev,updated,{} bytes: kev\n--- err\n", KEV.len())
    );
    let again = shown(&sync(&words));
    assert_eq!(again, "exit 0\n--- out\nsource,outcome,note\nkev,unchanged,\n--- err\n");
}

#[test]
fn a_source_that_can_not_be_reached_is_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let into = folder.path().to_str().unwrap();
    let output =
        sync(&["--source", &format!("kev=http://{gone}/x"), "--only", "kev", "--into", into, "-o", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((&told[0]["outcome"], &told[0]["reason"]), (&"unknown".into(), &"error".into()), "{told}");
}

#[test]
fn a_newcomer_is_told_which_sources_there_are_and_what_is_wrong_with_theirs() {
    insta::assert_snapshot!("dry_run", shown(&sync(&["--dry-run"])));
    insta::assert_snapshot!("no_such_source", shown(&sync(&["--only", "rss", "--dry-run"])));
    insta::assert_snapshot!("no_format", shown(&sync(&["--source", "rss=https://a.example/feed"])));
    insta::assert_snapshot!("no_file", shown(&sync(&["--sources", "/nowhere/sources.yaml"])));
}
