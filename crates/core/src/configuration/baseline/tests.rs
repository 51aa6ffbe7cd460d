use super::*;
use crate::document::parse;

const GOOD: &str = "\
kind: Baseline
name: ssh
spec:
  title: SSH
  variables:
    tries: {description: guesses, default: 4}
    weak: {description: bad ciphers, default: [a, b]}
  profiles:
    strict: {title: Strict, variables: {tries: 2}}
  rules:
    - id: one
      title: One
      rationale: Because.
      severity: low
      profiles: [strict]
      check:
        all:
          - sshd: {keyword: MaxAuthTries, value: {at_most: \"${tries}\"}}
          - sshd: {keyword: Ciphers, value: {excludes: \"${weak}\"}}
          - line: {path: /etc/x, where: \"^a${tries}$\", found: true}
      remediation: Mend it.
";

fn read(text: &str) -> Result<Baseline, Vec<String>> {
    let told = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let documents = parse("b.yaml", text).map_err(told)?;
    Baseline::from_document(&documents[0]).map_err(told)
}

#[test]
fn a_profile_puts_its_own_values_into_the_checks_and_changes_their_digest() {
    let baseline = read(GOOD).unwrap();
    let digest = |profile| baseline.prepared(profile).unwrap().next().unwrap().1.digest;
    assert_ne!(digest(None), digest(Some("strict")));
    assert!(baseline.prepared(Some("other")).is_none());
    let written = serde_json::to_string(&baseline.prepared(Some("strict")).unwrap().next().unwrap().1.check);
    let written = written.unwrap();
    assert!(written.contains(r#""at_most":2"#) && written.contains(r#""where":"^a2$""#), "{written}");
    assert!(written.contains(r#""excludes":["a","b"]"#), "{written}");
}

#[test]
fn words_for_people_leave_the_checks_digest_alone() {
    let digest = |text: &str| read(text).unwrap().prepared(None).unwrap().next().unwrap().1.digest;
    assert_eq!(digest(GOOD), digest(&GOOD.replace("Because.", "So it is.")));
    assert_ne!(digest(GOOD), digest(&GOOD.replace("/etc/x", "/etc/y")));
}

#[test]
fn every_fault_names_its_line() {
    let table = [
        ("severity: low", "severity: lo", "b.yaml:14: `spec.rules[0].severity`: unknown variant `lo`"),
        ("rationale:", "reason:", "b.yaml:13: `spec.rules[0].reason`: unknown field `reason`"),
        ("at_most:", "atmost:", "b.yaml:18: `spec.rules[0].check.all[0].sshd.value.atmost`: unknown field"),
        ("line: {path", "lien: {path", "b.yaml:20: `spec.rules[0].check.all[2]`: unknown variant `lien`"),
        ("path: /etc/x", "path: etc/x", "b.yaml:20: `spec.rules[0].check.all[2].line.path`: a path begins"),
        (", found: true", "", "b.yaml:20: `spec.rules[0].check.all[2].line`: takes `every`, `found`"),
        (
            "\"^a${tries}$\"",
            "\"(a${tries}\"",
            "b.yaml:20: `spec.rules[0].check.all[2].line.where`: the pattern",
        ),
        (
            "\"${tries}\"}}",
            "\"${tried}\"}}",
            "b.yaml:18: `spec.rules[0].check.all[0].sshd.value.at_most`: there is no variable `tried`",
        ),
        (
            "at_most: \"${tries}\"",
            "at_most: many",
            "b.yaml:18: `spec.rules[0].check.all[0].sshd.value`: `at_most` takes a whole",
        ),
        (
            "profiles: [strict]",
            "profiles: [lax]",
            "b.yaml:15: `spec.rules[0].profiles[0]`: there is no profile `lax`",
        ),
        (
            "{tries: 2}",
            "{trees: 2}",
            "b.yaml:9: `spec.profiles.strict.variables.trees`: there is no variable",
        ),
        ("default: 4", "default: {a: 4}", "b.yaml:6: `spec.variables.tries.default`: write text"),
        ("^a${tries}$", "^a${weak}$", "b.yaml:20: `spec.rules[0].check.all[2].line.where`: the list `weak`"),
        ("id: one", "id: One", "b.yaml:11: `spec.rules[0].id`: write small letters"),
        ("excludes: \"${weak}\"", "equals: x", "b.yaml:7: `spec.variables.weak`: no check names it"),
        ("kind: Baseline", "kind: Roster", "b.yaml:"),
    ];
    for (from, to, expected) in table {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let faults = read(&text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{faults:#?}\nexpected {expected}");
    }
}

#[test]
fn a_check_that_asks_nothing_is_refused() {
    let table = [
        "{all: []}",
        "{file: {path: /a}}",
        "{file: {path: /a, exists: false, mode: {equals: \"0600\"}}}",
        "{file: {path: /a, mode: {bits_within: 416}}}",
        "{unit: {name: a.service}}",
        "{module: {name: a}}",
        "{accounts: {where: {uid: {equals: 0}}}}",
        "{accounts: {where: {id: {equals: 0}}, found: true}}",
        "{accounts: {unique: id}}",
        "{sysctl: {key: a.b, value: {}}}",
        "{sysctl: {key: a.b, value: {equals: 1}, of: []}}",
        "{setting: {files: [], format: ini, key: a, value: {equals: 1}}}",
        "{sshd: {keyword: a, value: {absent: true, equals: 1}}}",
        "{package: {name: a, installed: false, at_least: \"1\"}}",
    ];
    for check in table {
        let text = format!(
            "kind: Baseline\nname: n\nspec:\n  title: t\n  rules:\n    - id: a\n      title: t\n      rationale: r\n      severity: low\n      remediation: m\n      check: {check}\n"
        );
        assert!(read(&text).is_err(), "{check}");
    }
}

#[test]
fn nesting_is_bounded() {
    let mut check = "{file: {path: /a, exists: true}}".to_owned();
    for _ in 0..40 {
        check = format!("{{not: {check}}}");
    }
    let text = format!(
        "kind: Baseline\nname: n\nspec:\n  title: t\n  rules:\n    - {{id: a, title: t, rationale: r, severity: low, remediation: m, check: {check}}}\n"
    );
    assert!(read(&text).unwrap_err()[0].contains("deeper than 16"));
}

#[test]
fn the_schema_names_every_test() {
    let schema = schema().to_string();
    for word in ["sudoers_default", "bits_within", "or_absent", "check", "examples", "fstab"] {
        assert!(schema.contains(&format!("\"{word}\"")), "{word}");
    }
}
