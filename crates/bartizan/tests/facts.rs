//! `bartizan facts`, as a person runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn facts(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bartizan")).arg("facts").args(words).output().unwrap()
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- out\n{}--- err\n{}", text(&output.stdout), text(&output.stderr))
}

/// A root with one account and one job.
fn small_root() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    file("etc/shadow", "root:!:19700:0:99999:7:::\n");
    file("etc/crontab", "@daily root /usr/bin/backup --key hunter2\n");
    folder
}

#[test]
fn sections_of_another_root_are_printed_as_a_table() {
    let root = small_root();
    insta::assert_snapshot!(shown(&facts(&[
        "accounts",
        "jobs",
        "sockets",
        "--root",
        root.path().to_str().unwrap()
    ])));
}

#[test]
fn json_carries_the_digest_the_body_and_what_is_unknown() {
    let root = small_root();
    insta::assert_snapshot!(shown(&facts(&[
        "accounts",
        "--root",
        root.path().to_str().unwrap(),
        "-o",
        "json"
    ])));
}

#[test]
fn every_section_of_this_host_is_printed() {
    let output = facts(&["-o", "json"]);
    assert!(output.status.success(), "{}", shown(&output));
    let sections: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sections.as_object().unwrap().len(), 17);
    assert!(sections.pointer("/kernel/body/running/release").unwrap().is_string());
}

#[test]
fn a_section_that_there_is_not_is_the_callers_mistake() {
    let output = facts(&["firewall"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`firewall` is no section of facts"));
}

#[test]
fn a_root_that_is_missing_is_the_callers_mistake() {
    assert_eq!(facts(&["--root", "/nowhere/at/all"]).status.code(), Some(2));
}
