//! `bartizan detect`, as a person runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn detect(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).arg("detect").args(words);
    command.output().unwrap()
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- out\n{}--- err\n{}", text(&output.stdout), text(&output.stderr))
}

fn log(lines: &[&str]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    file
}

const RULES: &str = "content/detections/linux";

#[test]
fn five_failed_logins_from_one_address_are_a_match() {
    let lines: Vec<String> = (0..5)
        .map(|n| {
            format!("Nov 23 20:34:3{n} web-1 sshd[9]: Failed password for root from 192.0.2.7 port 4{n} ssh2")
        })
        .collect();
    let file = log(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let events = file.path().to_str().unwrap();
    let output =
        detect(&["--rules", RULES, "--events", events, "--events-format", "syslog", "--fail-on", "high"]);
    insta::assert_snapshot!(shown(&output));
}

#[test]
fn a_broken_line_is_told_and_the_rest_is_looked_at() {
    let file = log(&["{", r#"{"Image": "/tmp/x", "CommandLine": "/tmp/x"}"#]);
    let path = file.path().to_str().unwrap();
    let output = detect(&[
        "--rules",
        RULES,
        "--events",
        path,
        "--source",
        "product=linux,category=process_creation",
        "-o",
        "json",
    ]);
    insta::assert_snapshot!(shown(&output).replace(path, "EVENTS"));
}

#[test]
fn what_ships_can_fire_and_a_rule_that_can_not_or_is_not_proved_is_named() {
    let all = detect(&["--rules", "content/detections", "--canaries", "--fail-on", "low", "-o", "json"]);
    assert_eq!(all.status.code(), Some(0), "{}", shown(&all));
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rule = |title: &str, level: &str| {
        format!(
            "title: {title}\nlevel: {level}\nlogsource: {{product: linux}}\ndetection: {{s: {{message: hello}}, condition: s}}\n"
        )
    };
    std::fs::write(at("bare.yml"), rule("Bare", "medium")).unwrap();
    std::fs::write(at("dead.yml"), rule("Dead", "high")).unwrap();
    let canaries = r#"{"canaries": [{"rule": "Dead", "lines": ["app: goodbye"]}]}"#;
    std::fs::write(at("dead.example.json"), canaries).unwrap();
    let rules = folder.path().to_str().unwrap();
    let run = |level: &str| shown(&detect(&["--rules", rules, "--canaries", "--fail-on", level]));
    let mut told = vec![run("high")];
    std::fs::remove_file(at("dead.yml")).unwrap();
    told.push(run("low"));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_newcomer_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let table = [
        detect(&["--rules", empty, "--events", "-"]),
        detect(&["--rules", "/nowhere", "--events", "-"]),
        detect(&["--rules", RULES, "--events", "/nowhere"]),
        detect(&["--rules", RULES, "--events", "-", "--source", "linux"]),
    ];
    let all: Vec<String> = table.iter().map(|output| shown(output).replace(empty, "EMPTY")).collect();
    insta::assert_snapshot!(all.join("\n"));
}
