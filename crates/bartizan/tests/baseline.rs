//! `bartizan baseline`, as a person runs it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `bartizan baseline` in the checkout.
fn baseline(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).arg("baseline").args(words);
    command.output().unwrap()
}

fn shown(output: &Output, hide: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(hide, "FOLDER");
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- out\n{}--- err\n{}", text(&output.stdout), text(&output.stderr))
}

/// A host under a folder: files by their paths.
fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

const RULES: &str = "\
kind: Baseline
name: own
spec:
  title: Our own
  variables: {level: {description: how much, default: 3}}
  profiles: {strict: {title: Strict, variables: {level: 9}}}
  rules:
    - id: root-login
      title: Root does not log in
      rationale: Because.
      severity: high
      check: {sshd: {keyword: PermitRootLogin, value: {equals: \"no\"}}}
      remediation: Set it.
    - id: level
      title: The level is high enough
      rationale: Because.
      severity: low
      check: {setting: {files: [/etc/app.conf], format: ini, section: a, key: level, value: {at_least: \"${level}\"}}}
      remediation: Raise it.
    - id: running
      title: The service runs
      rationale: Because.
      severity: medium
      applicable: {file: {path: /etc/ssh/sshd_config, exists: true}}
      check: {unit: {name: ssh.service, active: true}}
      remediation: Start it.
";

const SSHD: (&str, &str) =
    ("etc/ssh/sshd_config", "PermitRootLogin no\nMatch User git\nPermitRootLogin yes\n");
const APP: (&str, &str) = ("etc/app.conf", "[a]\nlevel = 5\n");

/// Evaluates the rules on a host with these files.
fn evaluate(files: &[(&str, &str)], words: &[&str]) -> (Output, String) {
    let mut all = vec![("rules.yaml", RULES)];
    all.extend(files);
    let folder = host(&all);
    let path = folder.path().to_str().unwrap().to_owned();
    let rules = format!("{path}/rules.yaml");
    let mut command = vec!["evaluate", &rules, "--root", &path];
    command.extend(words);
    (baseline(&command), path)
}

#[test]
fn a_table_says_what_was_found_and_what_should_be() {
    let (output, path) = evaluate(&[SSHD, APP], &[]);
    insta::assert_snapshot!(shown(&output, &path));
}

#[test]
fn json_carries_the_evidence_of_each_verdict() {
    let (output, path) = evaluate(&[SSHD, APP], &["--output", "json", "--profile", "strict"]);
    insta::assert_snapshot!(shown(&output, &path));
}

#[test]
fn the_exit_code_tells_findings_from_what_is_unknown() {
    let good = ("etc/ssh/sshd_config", "PermitRootLogin no\n");
    let low = ("etc/app.conf", "[a]\nlevel = 1\n");
    let table = [
        ([SSHD, APP], &[] as &[&str], 0),
        ([SSHD, APP], &["--fail-on", "high"], 1),
        ([SSHD, APP], &["--fail-on", "critical"], 4),
        ([good, low], &["--fail-on", "high"], 4),
        ([good, low], &["--fail-on", "high", "--allow-unknown"], 0),
        ([good, low], &["--fail-on", "low"], 1),
        ([good, low], &["--profile", "none"], 2),
    ];
    for (files, words, code) in table {
        let (output, path) = evaluate(&files, words);
        assert_eq!(output.status.code(), Some(code), "{words:?} {}", shown(&output, &path));
    }
}

#[test]
fn a_broken_document_is_the_callers_mistake_and_each_fault_names_its_line() {
    let text = RULES.replace("keyword:", "keywrod:").replace("at_least:", "atleast:");
    let folder = host(&[("rules.yaml", &text), ("empty.yaml", "")]);
    let path = folder.path().to_str().unwrap();
    let told = |name: &str| shown(&baseline(&["evaluate", &format!("{path}/{name}")]), path);
    insta::assert_snapshot!(["rules.yaml", "empty.yaml", "none.yaml"].map(told).join("\n"));
}

#[test]
fn examples_that_do_not_show_what_they_should_are_named() {
    let folder = host(&[("rules.yaml", RULES)]);
    let path = folder.path().to_str().unwrap();
    insta::assert_snapshot!(shown(&baseline(&["test", &format!("{path}/rules.yaml")]), path));
}

#[test]
fn the_shipped_baselines_are_judged_on_this_host_and_nothing_is_left_without_a_verdict() {
    for file in ["content/baselines/debian-12.yaml", "content/baselines/openssh.yaml"] {
        let output = baseline(&["evaluate", file, "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output, "-"));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rules = report["baselines"][0]["rules"].as_array().unwrap().clone();
        assert!(rules.len() >= 29, "{file} has {} rules", rules.len());
        for rule in rules {
            let verdict = rule["verdict"].as_str().unwrap();
            assert!(["met", "not_met", "unknown", "not_applicable"].contains(&verdict), "{rule}");
            assert!(verdict != "unknown" || rule["reason"].is_string(), "{rule}");
        }
    }
}

#[test]
fn the_schema_is_json_schema() {
    let output = baseline(&["schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["kind"]["const"], "Baseline");
}

/// Which numbers the benchmark for Debian 12 has stands in a corpus of controls.
#[test]
fn each_cis_number_of_the_shipped_baselines_is_one_of_the_benchmark() {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the corpora stand is told to tests by the environment alone"
    )]
    let Ok(corpora) = std::env::var("BARTIZAN_CORPORA") else {
        eprintln!("left out: BARTIZAN_CORPORA does not say where the corpora stand");
        return;
    };
    let controls = Path::new(&corpora).join("baselines/cac-controls/controls/cis_debian12.yml");
    let controls = std::fs::read_to_string(controls).unwrap();
    let known: Vec<&str> =
        controls.lines().filter_map(|line| line.trim().strip_prefix("- id: ")).map(str::trim).collect();
    let mut numbers = 0;
    for file in ["content/baselines/debian-12.yaml", "content/baselines/openssh.yaml"] {
        let output = baseline(&["evaluate", file, "-o", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        for rule in report["baselines"][0]["rules"].as_array().unwrap() {
            for number in rule["references"]["cis"].as_array().into_iter().flatten() {
                assert!(known.contains(&number.as_str().unwrap()), "{} names {number}", rule["rule"]);
                numbers += 1;
            }
        }
    }
    assert!(numbers > 100, "{numbers}");
}

#[test]
fn a_folder_with_nothing_in_it_meets_nothing() {
    let folder = host(&[]);
    let report = |root: &Path| -> Value {
        let file = "content/baselines/debian-12.yaml";
        let output = baseline(&["evaluate", file, "--root", root.to_str().unwrap(), "-o", "json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let empty = report(folder.path());
    assert_eq!(empty.pointer("/summary/met").unwrap(), 0);
    assert_eq!(empty.pointer("/summary/not_applicable").unwrap(), 0);
    // With its folder there, a file that must not be there is seen not to be.
    std::fs::create_dir_all(folder.path().join("etc/pam.d")).unwrap();
    let seen = report(folder.path());
    let rules = seen.pointer("/baselines/0/rules").unwrap().as_array().unwrap();
    let verdict = |id: &str| {
        let rule = rules.iter().find(|rule| rule.get("rule").unwrap() == id).unwrap();
        rule.get("verdict").unwrap().as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("pam-no-empty"), "met");
    assert_eq!(verdict("file-shadow-backup"), "met");
    assert_eq!(verdict("apt-verifies"), "unknown");
}
