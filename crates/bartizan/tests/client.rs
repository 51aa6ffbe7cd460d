//! The command line against a server: the real program, and a real server beside it.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

mod client {
    pub(crate) mod house;
}

use bartizan_core::role::Role;
use client::house::{House, bartizan, filters, shown};

/// Compares what was shown with what was before, without what differs from run to run.
macro_rules! frozen {
    ($shown:expr) => {
        insta::with_settings!({filters => filters()}, { insta::assert_snapshot!($shown) })
    };
    ($name:expr, $shown:expr) => {
        insta::with_settings!({filters => filters()}, { insta::assert_snapshot!($name, $shown) })
    };
}

const CONTENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content");

#[test]
fn the_shipped_content_is_applied_once_and_is_the_same_after() {
    let house = House::start();
    let first = house.json(&["apply", "-f", CONTENT]);
    assert!(first["created"].as_array().unwrap().iter().any(|name| name == "Baseline openssh"), "{first}");
    assert_eq!(first["changed"].as_array().unwrap().len(), 0);
    let again = house.json(&["apply", "-f", CONTENT]);
    assert_eq!(again["created"].as_array().unwrap().len(), 0, "{again}");
    assert_eq!(
        again["unchanged"].as_u64().unwrap(),
        first["created"].as_array().unwrap().len() as u64,
        "{again}"
    );
    let compared = house.json(&["diff", "-f", CONTENT]);
    assert!(compared.as_array().unwrap().iter().all(|one| one["state"] == "same"), "{compared}");
    let listed = house.json(&["document", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), compared.as_array().unwrap().len());
}

#[test]
fn a_change_is_proposed_applied_below_and_refused_above_without_its_decisions() {
    let house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    let proposed = house.json(&["change", "propose", "-f", &path, "--service", "shop"]);
    let (id, digest) = (proposed["id"].as_str().unwrap(), proposed["digest"].as_str().unwrap());
    let apply = |target: &str| house.run(&["change", "apply", id, "--digest", digest, "--target", target]);
    assert!(apply("test").status.success());
    let refused = apply("prod");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`prod` needs"), "{refused:?}");
    let test = house.run(&["change", "test", id, "--digest", digest, "--environment", "test"]);
    assert!(test.status.success(), "{test:?}");
    let own = house.run(&["change", "review", id, "--digest", digest]);
    assert!(String::from_utf8_lossy(&own.stderr).contains("who wrote a change may not review it"), "{own:?}");
    let shown = house.json(&["change", "show", id]);
    assert_eq!(shown["applied"][0]["target"], "test");
    assert_eq!(house.json(&["change", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_team_of_one_declares_an_environment_self_approved_and_each_change_there_says_so() {
    let house = House::start();
    let declare = ["environment", "declare", "prod", "self-approved", "--reason", "we are one"];
    frozen!("environment_declare_dry_run", house.shown(&[&declare[..], &["--dry-run"]].concat()));
    frozen!("environment_declare", house.shown(&declare));
    frozen!("environment_declare_again", house.shown(&declare));
    frozen!("environment_list", house.shown(&["environment", "list"]));
    let unknown = ["environment", "declare", "moon", "approved", "--reason", "x"];
    frozen!("environment_unknown", house.shown(&unknown));
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    let proposed = house.json(&["change", "propose", "-f", &path, "--service", "shop"]);
    let (id, digest) = (proposed["id"].as_str().unwrap(), proposed["digest"].as_str().unwrap());
    house.json(&["change", "apply", id, "--digest", digest, "--target", "prod"]);
    frozen!("change_list_self_approved", house.shown(&["change", "list"]));
    frozen!("change_show_self_approved", house.shown(&["change", "show", id, "--target", "prod"]));
}

#[test]
fn the_figures_over_time_begin_with_the_first_report() {
    let mut house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    house.json(&["apply", "-f", &path]);
    house.enrol_with("beta", 1);
    house.until_written(1);
    let told = house.json(&["trend"]);
    assert_eq!(told["step"], "minute");
    assert_eq!((&told["backlog"]["open"], &told["backlog"]["ended"]), (&1.into(), &0.into()), "{told}");
    let by_day = house.json(&["trend", "--step", "day"]);
    assert_eq!(by_day["samples"].as_array().unwrap().len(), 1);
    assert!(house.shown(&["trend"]).contains("all of it is due by"));
    assert_eq!(house.run(&["trend", "--step", "week"]).status.code(), Some(2));
}

#[test]
fn an_incident_is_opened_by_hand_walked_and_closed() {
    let house = House::start();
    let opened = house.json(&["incident", "open", "The shop answers slowly"]);
    let id = opened["id"].as_str().unwrap();
    let does = |words: &[&str]| {
        let done = house.run(&[&["incident"], words].concat());
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    assert_eq!(house.json(&["incident", "show", id])["owner"], "ada", "whoever opens it owns it");
    for stage in ["assess", "diagnose", "stabilise"] {
        does(&["advance", id, stage]);
    }
    does(&["note", id, "--reason", "the cache was restarted"]);
    assert_eq!(house.json(&["incident", "list"]).as_array().unwrap().len(), 1);
    does(&["close", id, "--reason", "it answers as before"]);
    assert!(house.json(&["incident", "list"]).as_array().unwrap().is_empty());
    let shown = house.json(&["incident", "show", id]);
    assert_eq!(shown["reason"], "it answers as before");
    let again = house.run(&["incident", "close", id, "--reason", "twice"]);
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn an_incident_is_rated_by_the_axes_that_are_named_and_the_others_stay() {
    let house = House::start();
    let opened = house.json(&["incident", "open", "The shop answers slowly"]);
    let id = opened["id"].as_str().unwrap();
    let before = house.json(&["incident", "show", id]);
    let rate = ["incident", "rate", id, "--impact", "lost", "--reason", "nobody can buy"];
    assert!(house.run(&[&rate[..], &["--dry-run"]].concat()).status.success());
    assert_eq!(
        house.json(&["incident", "show", id])["impact"],
        before["impact"],
        "a dry run changes nothing"
    );
    assert!(house.run(&rate).status.success());
    let after = house.json(&["incident", "show", id]);
    assert_eq!((&after["impact"], &after["spread"]), (&"lost".into(), &before["spread"]));
    assert_eq!(after["timeline"].as_array().unwrap().last().unwrap()["happened"], "rated");
    assert_eq!(house.run(&["incident", "rate", id, "--reason", "x"]).status.code(), Some(2), "no axis");
}

#[test]
fn a_dry_run_is_judged_like_the_act_and_changes_nothing() {
    let house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    let proposed = house.json(&["change", "propose", "-f", &path, "--service", "shop"]);
    let (id, digest) = (proposed["id"].as_str().unwrap(), proposed["digest"].as_str().unwrap());
    let opened = house.json(&["incident", "open", "The shop answers slowly"]);
    let incident = opened["id"].as_str().unwrap();
    let good: [&[&str]; 9] = [
        &["change", "propose", "-f", &path, "--service", "shop"],
        &["change", "apply", id, "--digest", digest, "--target", "test"],
        &["change", "withdraw", id, "--reason", "tonight"],
        &["incident", "open", "Another"],
        &["incident", "advance", incident, "assess"],
        &["incident", "note", incident, "--reason", "tonight"],
        &["silence", "create", "service=shop", "--reason", "tonight"],
        &["person", "create", "linus", "--role", "operator"],
        &["environment", "declare", "prod", "self-approved", "--reason", "tonight"],
    ];
    for words in good {
        let shown = house.shown(&[words, &["--dry-run"]].concat());
        assert!(shown.starts_with("exit 0") && shown.contains("would be accepted"), "{words:?}: {shown}");
    }
    let (_, broken) = house.file("broken.yaml", "kind: Baseline\nname: broken\n");
    let bad: [(&[&str], &str); 8] = [
        (&["change", "propose", "-f", &broken, "--service", "shop"], "spec"),
        (&["change", "apply", id, "--digest", digest, "--target", "prod"], "`prod` needs"),
        (&["change", "review", id, "--digest", digest], "who wrote a change may not review it"),
        (&["incident", "advance", incident, "stabilise"], "stabilise"),
        (&["incident", "close", "nonsense", "--reason", "x"], "there is no incident"),
        (&["silence", "create", "service=shop", "--lasts", "60d", "--reason", "x"], "longer than"),
        (&["silence", "end", "nonsense"], "nonsense"),
        (&["person", "grant", "nobody", "operator"], "there is no person `nobody`"),
    ];
    for (words, problem) in bad {
        let shown = house.shown(&[words, &["--dry-run"]].concat());
        assert!(shown.starts_with("exit 2") && shown.contains(problem), "{words:?}: {shown}");
    }
    let show = house.json(&["change", "show", id]);
    assert!(show["applied"].as_array().unwrap().is_empty() && show["withdrawn"] == false, "{show}");
    assert_eq!(house.json(&["incident", "show", incident])["stage"], "detect");
    assert_eq!(house.json(&["incident", "list"]).as_array().unwrap().len(), 1);
    assert!(house.json(&["silence", "list"]).as_array().unwrap().is_empty());
    assert_eq!(house.json(&["person", "list"])["people"].as_array().unwrap().len(), 1);
}

#[test]
fn a_service_without_assets_and_a_scope_that_takes_nothing_in_are_warned_of() {
    let mut house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    house.json(&["apply", "-f", &path]);
    house.enrol("alpha", "");
    let nosuch = "no asset belongs to the service `nosuch`: is its name written right?";
    let nothing = "the scope takes in no finding now; what comes to be like that later is taken in at once";
    let propose = ["change", "propose", "-f", &path, "--service"];
    let preview = ["acceptance", "preview", "service=shop"];
    let table: [(Vec<&str>, Option<&str>); 5] = [
        ([&propose[..], &["nosuch", "--dry-run"]].concat(), Some(nosuch)),
        ([&propose[..], &["nosuch"]].concat(), Some(nosuch)),
        ([&propose[..], &["shop"]].concat(), None),
        ([&preview[..], &["rule=nosuch"]].concat(), Some(nothing)),
        ([&preview[..], &["rule=mark"]].concat(), None),
    ];
    for (words, warning) in table {
        let output = house.run(&words);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {talk}");
        assert_eq!(talk, warning.map(|text| format!("warning: {text}\n")).unwrap_or_default(), "{words:?}");
        let told = house.json(&words);
        assert_eq!(told.pointer("/warnings/0").and_then(serde_json::Value::as_str), warning, "{words:?}");
    }
}

#[test]
fn a_silence_has_an_owner_a_reason_and_an_end() {
    let house = House::start();
    let reason = ["--reason", "the disks are being changed"];
    let made = house.json(&[&["silence", "create", "service=shop"][..], &reason].concat());
    let listed = house.json(&["silence", "list"]);
    assert_eq!(listed[0]["owner"], "ada");
    assert_eq!(listed[0]["matchers"][0], "service=shop");
    assert!(house.json(&["silence", "end", made["id"].as_str().unwrap()]).as_array().unwrap().is_empty());
    for (words, problem) in [
        (&["silence", "create", "service=shop", "--lasts", "60d"][..], "longer than"),
        (&["silence", "create", "nonsense"][..], "not a matcher"),
    ] {
        let refused = house.run(&[words, &reason].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(problem), "{said}");
    }
}

const GUARDED: &str = "kind: Baseline
name: guarded
spec:
  title: Guarded hosts
  rules:
    - id: mark
      title: The mark is there
      severity: high
      rationale: So that something can be wrong.
      check: {file: {path: /etc/mark, exists: true}}
      remediation: Make /etc/mark.
    - id: people
      title: The people are there
      severity: high
      rationale: So that something can hold meanwhile.
      check: {file: {path: /etc/passwd, exists: true}}
      remediation: Make /etc/passwd.
";

#[test]
fn an_acceptance_is_looked_at_proposed_approved_by_security_and_withdrawn() {
    let mut house = House::start();
    let (_, path) = house.file("documents.yaml", GUARDED);
    house.json(&["apply", "-f", &path]);
    house.enrol_with("beta", 2);
    let scope = ["rule=mark", "service=shop"];
    let control = ["--rule", "guarded/people"];
    frozen!("acceptance_preview", house.shown(&[&["acceptance", "preview"][..], &scope, &control].concat()));
    frozen!("acceptance_unbounded", house.shown(&["acceptance", "preview", "service=shop"]));
    let why = ["--reason", "the mark comes in May", "--until", "30d"];
    let propose = [&["acceptance", "propose"][..], &scope, &control, &why].concat();
    frozen!("acceptance_propose_dry_run", house.shown(&[&propose[..], &["--dry-run"]].concat()));
    assert!(
        house.json(&["acceptance", "list"]).as_array().unwrap().is_empty(),
        "a dry run proposed something"
    );
    let id = house.json(&propose)["id"].as_str().unwrap().to_owned();
    frozen!("acceptance_list", house.shown(&["acceptance", "list"]));
    frozen!("acceptance_approve_own", house.shown(&["acceptance", "approve", &id]));
    let security = house.client_of("sam", Role::Security);
    let as_security =
        |words: &[&str]| shown(&bartizan(words).args(["--client", &security]).output().unwrap());
    frozen!("acceptance_approve_dry_run", as_security(&["acceptance", "approve", &id, "--dry-run"]));
    frozen!("acceptance_approve", as_security(&["acceptance", "approve", &id]));
    house.until_accepted(1);
    frozen!("acceptance_show", house.shown(&["acceptance", "show", &id]));
    let found = house.json(&["finding", "list", "--kind", "deviation"]);
    assert_eq!((&found[0]["assets"], &found[0]["accepted"]), (&0.into(), &1.into()), "{found}");
    frozen!("acceptance_review", as_security(&["acceptance", "review", &id, "--review-by", "14d"]));
    let withdraw = ["acceptance", "withdraw", &id, "--reason", "the mark came early"];
    frozen!("acceptance_withdraw_dry_run", house.shown(&[&withdraw[..], &["--dry-run"]].concat()));
    frozen!("acceptance_withdraw", house.shown(&withdraw));
    assert!(house.json(&["acceptance", "list"]).as_array().unwrap().is_empty());
    assert_eq!(house.json(&["acceptance", "list", "--all"])[0]["state"], "ended");
}

#[test]
fn a_finding_on_one_asset_is_given_to_somebody_commented_and_followed() {
    let mut house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    house.json(&["apply", "-f", &path]);
    house.enrol("beta", "");
    let found = house.json(&["finding", "list", "--asset", "beta"]);
    let key = found[0]["key"].as_str().unwrap();
    frozen!("finding_list_asset", house.shown(&["finding", "list", "--asset", "beta"]));
    let assign = ["finding", "assign", key, "--asset", "beta", "--reason", "it is my host"];
    frozen!("finding_assign_dry_run", house.shown(&[&assign[..], &["--dry-run"]].concat()));
    assert!(house.json(&["finding", "held"]).as_array().unwrap().is_empty(), "a dry run opened a finding");
    frozen!("finding_assign_no_asset", house.shown(&["finding", "assign", key]));
    frozen!("finding_assign", house.shown(&assign));
    frozen!("finding_comment", house.shown(&["finding", "comment", key, "the mark comes on Monday"]));
    frozen!("finding_show", house.shown(&["finding", "show", key]));
    frozen!("finding_held", house.shown(&["finding", "held", "--owner", "ada"]));
    frozen!("finding_assign_again", house.shown(&["finding", "assign", key, "--to", "ada"]));
}

#[test]
fn a_person_gets_roles_by_two_people_and_one_alone_is_told_how() {
    let house = House::start();
    frozen!("person_dry_run", house.shown(&["person", "create", "grace", "--role", "admin", "--dry-run"]));
    assert_eq!(house.json(&["person", "list"])["people"].as_array().unwrap().len(), 1);
    frozen!("person_alone", house.shown(&["person", "grant", "ada", "security"]));
    frozen!("person_create", house.shown(&["person", "create", "grace", "--role", "admin"]));
    house.json(&["person", "create", "linus", "--role", "auditor"]);
    // Ada alone made her: her word beside Ada's would be one person's. She asks, and Ada confirms.
    frozen!("person_no_confirmer", house.shown(&["person", "grant", "linus", "legal"]));
    let grace = house.signed_in_as("grace");
    let grant = house.run_as(&grace, &["person", "grant", "linus", "operator", "--service", "shop"]);
    frozen!("person_grant", shown(&grant));
    frozen!("person_list", house.shown(&["person", "list"]));
    let list = house.json(&["person", "list"]);
    let request = list["requests"][0]["id"].as_str().unwrap();
    frozen!("person_own_confirm", shown(&house.run_as(&grace, &["person", "confirm", request])));
    house.json(&["person", "confirm", request]);
    let linus = house.json(&["person", "list"])["people"][2].clone();
    assert_eq!((&linus["name"], &linus["services"][0]), (&"linus".into(), &"shop".into()));
    house.json(&["person", "revoke", "linus", "operator"]);
    frozen!("person_disable", house.shown(&["person", "disable", "grace"]));
    let out = house.run_as(&grace, &["person", "list"]);
    assert_eq!(out.status.code(), Some(2), "her session has ended: {}", shown(&out));
    frozen!("person_last_admin", house.shown(&["person", "revoke", "ada", "admin"]));
    frozen!("person_link", house.shown(&["person", "sign-in-link", "linus"]));
}

#[test]
fn documents_are_told_as_new_changed_or_the_same_before_they_are_applied() {
    let house = House::start();
    let (file, path) = house.file("documents.yaml", client::house::BASELINE);
    frozen!("diff_new", house.shown(&["diff", "-f", &path]));
    frozen!("dry_run", house.shown(&["apply", "-f", &path, "--dry-run"]));
    assert!(house.json(&["document", "list"]).as_array().unwrap().is_empty(), "a dry run applied something");
    frozen!("apply", house.shown(&["apply", "-f", &path]));
    std::fs::write(&file, client::house::BASELINE.replace("title: Marked", "title: Well marked")).unwrap();
    frozen!("diff_changed", house.shown(&["diff", "-f", &path, "-o", "csv"]));
    frozen!("document_list", house.shown(&["document", "list", "-o", "yaml"]));
    frozen!("apply_elsewhere", house.shown(&["apply", "-f", &path, "--environment", "production"]));
    std::fs::write(&file, "kind: Baseline\nname: marked\nspec: {title: x, colour: red}\n").unwrap();
    frozen!("apply_broken", house.shown(&["apply", "-f", &path]));
}

#[test]
fn a_fleet_of_two_is_shown_compared_and_one_retired() {
    let mut house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    house.json(&["apply", "-f", &path]);
    house.enrol("alpha", "marked\n");
    house.enrol("beta", "");
    frozen!("asset_list", house.shown(&["asset", "list"]));
    frozen!("asset_show", house.shown(&["asset", "show", "beta"]));
    frozen!("asset_facts", house.shown(&["asset", "facts", "alpha", "accounts"]));
    frozen!("asset_diff", house.shown(&["asset", "diff", "alpha", "beta", "--section", "accounts"]));
    frozen!("asset_unknown", house.shown(&["asset", "show", "gamma"]));
    frozen!("section_unknown", house.shown(&["asset", "facts", "alpha", "colours"]));
    frozen!("finding_list", house.shown(&["finding", "list", "--kind", "deviation"]));
    assert_eq!(house.json(&["finding", "list", "--severity", "critical"]).as_array().unwrap().len(), 0);
    frozen!("approve_enrolled", house.shown(&["asset", "approve", "beta"]));
    frozen!("retire_dry_run", house.shown(&["asset", "retire", "beta", "--dry-run"]));
    assert_eq!(house.json(&["asset", "show", "beta"])["life"], "enrolled");
    frozen!("retire", house.shown(&["asset", "retire", "beta"]));
    assert_eq!(house.json(&["asset", "show", "beta"])["life"], "retired");
    frozen!("doctor", house.shown(&["doctor"]));
}

#[test]
fn an_alert_is_taken_on_and_ended_with_a_reason() {
    let mut house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    house.json(&["apply", "-f", &path]);
    house.enrol("beta", "marked\n");
    std::fs::remove_file(house.path("beta/etc/mark")).unwrap();
    house.until_alerted();
    let list = house.json(&["alert", "list"]);
    let id = list[0]["id"].as_str().unwrap().to_owned();
    frozen!("alert_list", house.shown(&["alert", "list"]));
    frozen!("alert_acknowledge_dry_run", house.shown(&["alert", "acknowledge", &id, "--dry-run"]));
    frozen!("alert_acknowledge", house.shown(&["alert", "acknowledge", &id]));
    frozen!("alert_close_without_reason", house.shown(&["alert", "close", &id]));
    frozen!("alert_close", house.shown(&["alert", "close", &id, "--reason", "the file is not needed"]));
    assert_eq!(house.json(&["alert", "list"]).as_array().unwrap().len(), 0);
    assert_eq!(house.json(&["alert", "list", "--all"])[0]["stage"], "closed");
    frozen!("alert_show", house.shown(&["alert", "show", &id]));
}

#[test]
fn a_key_is_printed_with_the_line_that_enrols_a_host_by_it() {
    let house = House::start();
    let words = ["enrolment", "create", "--service", "shop", "--environment", "dev", "--label", "tier=web"];
    frozen!("enrolment_create", house.shown(&words));
    frozen!("enrolment_dry_run", house.shown(&[&words[..], &["--dry-run"]].concat()));
    let made = house.json(&[&words[..], &["--uses", "3", "--expires-in", "7d"]].concat());
    let command = made["command"].as_str().unwrap();
    assert!(command.contains(&house.fingerprint()), "{command}");
    assert!(command.contains(&house.agents()), "{command}");
    assert_eq!(made["uses"], 3);
    frozen!("enrolment_list", house.shown(&["enrolment", "list"]));
    let listed = house.json(&["enrolment", "list"]);
    assert!(!listed.to_string().contains(made["key"].as_str().unwrap()), "no secret is shown again");
    let id = listed[0]["id"].as_str().unwrap();
    frozen!("enrolment_revoke_dry_run", house.shown(&["enrolment", "revoke", id, "--dry-run"]));
    assert_eq!(house.json(&["enrolment", "list"]).as_array().unwrap().len(), 2);
    frozen!("enrolment_revoke", house.shown(&["enrolment", "revoke", id]));
    frozen!("enrolment_revoke_again", house.shown(&["enrolment", "revoke", id]));
    assert_eq!(house.json(&["enrolment", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(house.json(&["enrolment", "list", "--all"])[0]["state"], "revoked");
    let narrow = ["--approval", "--network", "192.0.2.0/24", "--network", "2001:db8::/32", "--dry-run"];
    frozen!("enrolment_approval", house.shown(&[&words[..], &narrow].concat()));
    let wrong = house.run(&[&words[..], &["--network", "192.0.2.0"]].concat());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is no network"), "{wrong:?}");
}

#[test]
fn the_ledger_is_exported_and_verified_and_what_is_altered_is_not() {
    let house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    house.json(&["apply", "-f", &path]);
    // The person, the document, and the review that its baseline got.
    house.until_logged(4);
    let bundle = house.path("ledger.bundle");
    assert!(house.run(&["ledger", "export", &bundle]).status.success());
    frozen!("ledger_show", house.shown(&["ledger", "show"]));
    frozen!("ledger_verify", house.shown(&["ledger", "verify"]));
    let head = house.json(&["ledger", "show"])["head"].clone();
    let (_, checkpoint) = house.file("checkpoint", head["note"].as_str().unwrap());
    let held = ["ledger", "verify", &bundle, "--checkpoint", &checkpoint];
    let held = house.json(&[&held[..], &["--key", head["key"].as_str().unwrap()]].concat());
    assert_eq!((&held["truncation_excluded"], &held["key_held"]), (&true.into(), &true.into()), "{held}");
    let text = std::fs::read_to_string(&bundle).unwrap();
    let (_, altered) = house.file("altered.bundle", &text.replacen("counter\\\":1", "counter\\\":2", 1));
    frozen!("ledger_altered", house.shown(&["ledger", "verify", &altered]));
    frozen!("ledger_no_bundle", house.shown(&["ledger", "verify", &path]));
}

#[test]
fn one_entry_is_proved_against_a_checkpoint_and_an_altered_proof_is_not() {
    let house = House::start();
    let (_, path) = house.file("documents.yaml", client::house::BASELINE);
    house.json(&["apply", "-f", &path]);
    house.until_logged(4);
    let head = house.json(&["ledger", "show"])["head"].clone();
    let (_, checkpoint) = house.file("checkpoint", head["note"].as_str().unwrap());
    std::fs::write(house.path("documents.yaml"), client::house::BASELINE.replace("Marked hosts", "Marked"))
        .unwrap();
    house.json(&["apply", "-f", &path]);
    house.until_logged(head["size"].as_u64().unwrap() + 2);
    let bundle = house.path("entry.bundle");
    let made = house.run(&["ledger", "prove", "0", &bundle, "--checkpoint", &checkpoint]);
    assert!(made.status.success(), "{made:?}");
    let held = house.json(&["ledger", "verify", &bundle, "--checkpoint", &checkpoint]);
    assert_eq!((&held["verified"], &held["leaves"]), (&true.into(), &1.into()), "{held}");
    let text = std::fs::read_to_string(&bundle).unwrap();
    assert_eq!(String::from_utf8(house.run(&["ledger", "prove", "0"]).stdout).unwrap().lines().count(), 3);
    let proof = text.find("\"inclusion\":[\"sha256:").unwrap() + 21;
    let mut other_hash = text.clone();
    other_hash
        .replace_range(proof..proof + 4, if text[proof..].starts_with("0000") { "1111" } else { "0000" });
    let table = [
        text.replacen("\\\"counter\\\":1", "\\\"counter\\\":2", 1),
        text.replacen("\"index\":0", "\"index\":1", 1),
        text.replacen("\\\"ada\\\"", "\\\"eve\\\"", 1),
        other_hash,
    ];
    for altered in table {
        assert_ne!(altered, text);
        let (_, file) = house.file("altered.bundle", &altered);
        assert_eq!(house.run(&["ledger", "verify", &file]).status.code(), Some(1), "{altered}");
    }
    frozen!("ledger_prove_unknown", house.shown(&["ledger", "prove", "1000000"]));
    frozen!("ledger_prove_no_checkpoint", house.shown(&["ledger", "prove", "0", "--checkpoint", &path]));
}

#[test]
fn an_asset_without_an_agent_is_declared_listed_as_unknown_and_retired() {
    let house = House::start();
    let declare =
        ["asset", "declare", "ora-1", "--class", "database", "--service", "shop", "--environment", "prod"];
    let dry = house.json(&[&declare[..], &["--dry-run"]].concat());
    assert_eq!(dry[0]["life"], "declared");
    assert!(house.json(&["asset", "list"]).as_array().unwrap().is_empty(), "a dry run declared something");
    house.json(&declare);
    let sheet = "name,class,service,environment,vendor\nwin-1,server,files,dev,microsoft\nsw-1,network_device,net,prod,\n";
    let (_, csv) = house.file("assets.csv", sheet);
    assert_eq!(house.json(&["asset", "declare", "--csv", &csv]).as_array().unwrap().len(), 2);
    frozen!("declared_list", house.shown(&["asset", "list"]));
    frozen!("declared_show", house.shown(&["asset", "show", "win-1"]));
    let told = house.run(&declare);
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).contains("there is an asset `ora-1` already"), "{told:?}");
    for (text, words) in [
        ("name,service\nx,y\n", "has no column `class`"),
        ("name,class,service,environment\nx,printer,y,z\n", "line 2: `printer` is no class"),
        ("name,class,service,environment\nx,,,z\n", "`service` of asset `x`"),
        ("name,class,service,environment\nx,,y,z\nx,,y,z\n", "`x` stands there twice"),
        ("name,class,service,environment\nx,server\n", "assets.csv"),
    ] {
        let (_, csv) = house.file("assets.csv", text);
        let refused = house.run(&["asset", "declare", "--csv", &csv]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(words), "{text}: {said}");
    }
    assert_eq!(house.run(&["asset", "declare", "x"]).status.code(), Some(2), "a service is needed");
    assert_eq!(house.json(&["asset", "retire", "ora-1"])["life"], "retired");
    assert_eq!(house.json(&["asset", "list"]).as_array().unwrap().len(), 3, "nothing vanishes");
}

#[test]
fn a_sign_in_link_opens_a_session_once() {
    let house = House::start();
    frozen!(house.shown(&["sign-in"]));
    let output = house.run(&["sign-in"]);
    let url = String::from_utf8(output.stdout).unwrap();
    let link = url.trim().split_once("link=").unwrap().1.to_owned();
    assert!(house.opens(&link), "the link did not open a session");
    assert!(!house.opens(&link), "the link opened a second session");
}

#[test]
fn a_newcomer_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let run = |words: &[&str]| shown(&bartizan(words).env("XDG_STATE_HOME", state).output().unwrap());
    frozen!("no_client_file", run(&["asset", "list"]));
    frozen!("doctor_without_client_file", run(&["doctor"]));
    frozen!("wrong_flag", run(&["asset", "list", "--colour"]));
    let broken = folder.path().join("broken.json");
    std::fs::write(&broken, "{}").unwrap();
    frozen!("broken_client_file", run(&["asset", "list", "--client", broken.to_str().unwrap()]));
}

#[test]
fn a_server_that_is_away_or_another_and_an_expired_session_are_told_apart() {
    let house = House::start();
    house.sign_out();
    frozen!("expired", house.shown(&["asset", "list"]));
    frozen!("doctor_expired", house.shown(&["doctor"]));
    let other = House::start();
    house.trust(&other);
    frozen!("another_server", house.shown(&["asset", "list"]));
    house.stop_server();
    frozen!("away", house.shown(&["asset", "list"]));
}

#[test]
fn shells_and_the_manual_know_every_verb() {
    let output = bartizan(&["completions", "bash"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("sign-in"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    assert!(bartizan(&["man", "--out", out]).output().unwrap().status.success());
    for page in ["bartizan.1", "bartizan-asset.1", "bartizan-ledger-verify.1"] {
        assert!(Path::new(out).join(page).is_file(), "{page} is missing");
    }
    let output = bartizan(&["man"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(".TH bartizan 1"));
}
