use proptest::prelude::*;

use super::*;

const AT: Timestamp = Timestamp::from_millis(7);

fn standing(objects: &[(&str, &str)]) -> Standing {
    objects.iter().map(|(object, line)| (object.parse().unwrap(), (*line).to_owned())).collect()
}

fn seen(objects: &[(&str, &str)], unseen: &[&str]) -> Inventory {
    let unseen = unseen.iter().map(|place| place.parse().unwrap()).collect();
    Inventory { standing: standing(objects), unseen }
}

fn told(drifts: &[Drift]) -> Vec<(&str, Way)> {
    drifts.iter().map(|drift| (drift.object.as_str(), drift.way)).collect()
}

#[test]
fn what_stands_as_the_reference_says_does_not_drift() {
    let reference = standing(&[("file:/etc/a", "1"), ("unit:b", "on")]);
    assert!(drifts(&reference, &seen(&[("file:/etc/a", "1"), ("unit:b", "on")], &[]), &[]).is_empty());
}

#[test]
fn what_came_went_or_changed_drifts_until_it_stands_as_before() {
    let reference = standing(&[("file:/etc/a", "1"), ("file:/etc/b", "1")]);
    let now = seen(&[("file:/etc/a", "2"), ("file:/etc/c", "1")], &[]);
    let found = drifts(&reference, &now, &[]);
    let expected =
        [("file:/etc/a", Way::Modified), ("file:/etc/b", Way::Removed), ("file:/etc/c", Way::Added)];
    assert_eq!(told(&found), expected);
    let back = seen(&[("file:/etc/a", "1"), ("file:/etc/b", "1")], &[]);
    assert!(drifts(&reference, &back, &found).is_empty());
}

#[test]
fn what_can_not_be_seen_neither_drifts_nor_comes_back() {
    let reference = standing(&[("file:/etc/x/a", "1"), ("file:/etc/x/b", "1"), ("file:/etc/y", "1")]);
    let first = drifts(
        &reference,
        &seen(&[("file:/etc/x/a", "2"), ("file:/etc/x/b", "1"), ("file:/etc/y", "1")], &[]),
        &[],
    );
    assert_eq!(told(&first), [("file:/etc/x/a", Way::Modified)]);
    let blind = drifts(&reference, &seen(&[("file:/etc/y", "1")], &["file:/etc/x/"]), &first);
    assert_eq!(blind, first, "a is told as before, b is not gone");
    let again = drifts(
        &reference,
        &seen(&[("file:/etc/x/a", "1"), ("file:/etc/x/b", "1"), ("file:/etc/y", "1")], &[]),
        &blind,
    );
    assert!(again.is_empty());
}

fn actor(roles: &[Role], services: &[&str]) -> Actor {
    Actor {
        person: crate::id::PersonId::mint(crate::time::Timestamp::default(), [1; 10]),
        roles: roles.iter().copied().collect(),
        services: services.iter().map(|service| (*service).to_owned()).collect(),
        grants: Vec::new(),
    }
}

#[test]
fn a_drift_is_explained_by_its_team_or_security_as_it_was_seen_and_with_a_reason() {
    let reference = standing(&[("file:/etc/a", "1"), ("file:/etc/b", "1")]);
    let found = drifts(&reference, &seen(&[("file:/etc/a", "2")], &[]), &[]);
    let digest = found[0].digest().to_string();
    let rule = |actor: &Actor, object: &str, seen: &str, reason: &str| {
        explain(actor, "shop", &found, (object, seen), (reason, AT))
    };
    let team = actor(&[Role::Operator], &["shop"]);
    let explained = Explained { object: "file:/etc/a".into(), after: Some("2".into()), at: AT };
    assert_eq!(rule(&team, "file:/etc/a", &digest, "tuned"), Ok(explained.clone()));
    assert_eq!(rule(&actor(&[Role::Security], &[]), "file:/etc/a", &digest, "tuned"), Ok(explained));
    let gone = rule(&team, "file:/etc/b", &found[1].digest().to_string(), "unused").unwrap();
    assert_eq!(gone.after, None);
    for other in [actor(&[Role::Operator], &["mail"]), actor(&[Role::Auditor, Role::Admin], &["shop"])] {
        assert_eq!(rule(&other, "file:/etc/a", &digest, "tuned"), Err(Refusal::Role));
    }
    assert_eq!(rule(&team, "file:/etc/a", &digest, " "), Err(Refusal::NoReason));
    assert_eq!(rule(&team, "file:/etc/c", &digest, "x"), Err(Refusal::NoDrift("file:/etc/c".into())));
    let stale = rule(&team, "file:/etc/a", &found[1].digest().to_string(), "x");
    assert_eq!(stale, Err(Refusal::Changed("file:/etc/a".into())));
}

#[test]
fn content_that_can_not_be_read_is_no_modification_and_no_end_of_one() {
    let read = "0640 0:42 sha256:aa";
    for (before, after) in [(read, "0640 0:42 unread"), ("0640 0:42 unread", read)] {
        let reference = standing(&[("file:/etc/shadow", before)]);
        assert!(drifts(&reference, &seen(&[("file:/etc/shadow", after)], &[]), &[]).is_empty());
    }
    let reference = standing(&[("file:/etc/shadow", read)]);
    let first = drifts(&reference, &seen(&[("file:/etc/shadow", "0640 0:42 sha256:bb")], &[]), &[]);
    let blind = seen(&[("file:/etc/shadow", "0640 0:42 unread")], &[]);
    assert_eq!(drifts(&reference, &blind, &first), first);
    let looser = seen(&[("file:/etc/shadow", "0644 0:42 unread")], &[]);
    assert_eq!(told(&drifts(&reference, &looser, &[])), [("file:/etc/shadow", Way::Modified)]);
}

#[test]
fn an_object_reads_back_from_its_text() {
    for text in
        ["file:/etc/a:b", "package:curl:amd64", "unit:ssh.service", "account:eve", "socket:tcp 0.0.0.0:22"]
    {
        assert_eq!(text.parse::<Object>().unwrap().to_string(), text);
    }
    for text in ["file", "file:", "door:front", ""] {
        text.parse::<Object>().unwrap_err();
    }
}

#[test]
fn references_that_differ_have_other_digests() {
    let one = standing(&[("file:/a", "1"), ("file:/b", "2")]);
    let other = standing(&[("file:/a", "2"), ("file:/b", "1")]);
    assert_ne!(reference_digest(&one), reference_digest(&other));
    assert_eq!(reference_digest(&one), reference_digest(&one.clone()));
}

#[test]
fn lines_that_went_and_came_are_told_and_no_more_than_a_few() {
    assert_eq!(difference("a\nb\nc\n", "a\nx\nc"), ["-b", "-c", "+x", "+c"]);
    let many = difference("", &"line\n".repeat(100));
    assert_eq!((many.len(), many.last().map(String::as_str)), (41, Some("… and 60 more lines")));
    assert_eq!(difference("a\n", &"b\n".repeat(3_000)), ["… 1 line became 3000"]);
    assert!(difference("", &"x ".repeat(500))[0].chars().count() <= 202);
}

#[test]
fn secrets_are_masked_and_settings_are_not() {
    let table = [
        ("PermitRootLogin yes", "PermitRootLogin yes"),
        ("10.0.0.1 db-1.example.org", "10.0.0.1 db-1.example.org"),
        ("password = hunter2", "password = [masked]"),
        ("DB_PASSWORD=hunter2 # old", "DB_PASSWORD=[masked]"),
        ("requirepass: hunter2", "requirepass: [masked]"),
        ("snmp-server community public RO", "snmp-server community [masked]"),
        ("url: postgres://app:hunter2@db/app", "url: postgres://app:[masked]@db/app"),
        ("proxy http://u:p@proxy:3128 https://x", "proxy http://u:[masked]@proxy:3128 https://x"),
        ("key AbCd1234EfGh5678IjKl9012", "key [masked]"),
        ("root:$6$saltsalt$abcdefghijklmnop:19000:0", "root:[masked]:19000:0"),
        (
            "include /etc/ssh/sshd_config.d/50-cloud-init.conf",
            "include /etc/ssh/sshd_config.d/50-cloud-init.conf",
        ),
        ("API_TOKEN", "API_TOKEN"),
        ("PasswordAuthentication yes", "PasswordAuthentication yes"),
        ("PASS_MAX_DAYS 365", "PASS_MAX_DAYS 365"),
        ("MYSQL_PWD=hunter2", "MYSQL_PWD=[masked]"),
        ("password 1234", "password [masked]"),
        ("api key: ab", "api key: [masked]"),
        ("amqp://u:pa/ss@host/vhost", "amqp://u:[masked]@host/vhost"),
        ("pin-token=\"true\";", "pin-token=\"true\";"),
    ];
    for (line, masked) in table {
        assert_eq!(mask(line), masked);
    }
}

proptest! {
    #[test]
    fn a_secret_after_a_word_that_announces_it_is_never_told(
        before in "[a-z_ .]{0,12}",
        word in prop::sample::select(vec!["password", "SECRET", "token", "community", "psk"]),
        parting in prop::sample::select(vec!["=", ": ", " ", " = "]),
        secret in "[A-Z0-9]{6,30}",
    ) {
        let masked = mask(&format!("{before}{word}{parting}{secret}"));
        prop_assert!(!masked.contains(&secret), "{masked}");
    }

    #[test]
    fn no_text_brings_it_down(before in "\\PC{0,200}", after in "\\PC{0,200}") {
        difference(&before, &after);
    }

    #[test]
    fn what_drifts_is_what_differs(
        before in prop::collection::btree_map("[a-d]", "[12]", 0..4),
        after in prop::collection::btree_map("[a-d]", "[12]", 0..4),
    ) {
        let object = |name: &String| Object::file(name.clone());
        let of = |map: &BTreeMap<String, String>| map.iter().map(|(name, line)| (object(name), line.clone())).collect();
        let (reference, standing): (Standing, Standing) = (of(&before), of(&after));
        let found = drifts(&reference, &Inventory { standing, unseen: Vec::new() }, &[]);
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        let differing = names.iter().filter(|name| before.get(**name) != after.get(**name)).count();
        prop_assert_eq!(found.len(), differing);
    }
}
