use super::*;
use crate::tree;

fn read(text: &str) -> Section<Sudoers> {
    collect(&tree::root(&[("etc/sudoers", text)]))
}

/// Users, run-as, whether without a password, tags, commands.
fn shown(rule: &Rule) -> String {
    let run_as = rule.run_as.as_deref().unwrap_or("-");
    let password = if rule.no_password { "free" } else { "asked" };
    format!(
        "{}@{} as {run_as} {password} [{}] {}",
        rule.users.join("+"),
        rule.hosts.join("+"),
        rule.tags.join(" "),
        rule.commands.join(" | ")
    )
}

#[test]
fn rules_read_as_sudo_reads_them() {
    let table = [
        ("root ALL=(ALL:ALL) ALL", vec!["root@ALL as ALL:ALL asked [] ALL"]),
        ("%sudo\tALL=(ALL : ALL) NOPASSWD: ALL", vec!["%sudo@ALL as ALL : ALL free [] ALL"]),
        ("a, b ALL = /bin/x -f \\, y, /bin/z", vec!["a+b@ALL as - asked [] /bin/x -f \\, y | /bin/z"]),
        (
            "a ALL=(www) NOPASSWD: /bin/x, PASSWD: NOEXEC: /bin/y, /bin/z",
            vec!["a@ALL as www free [] /bin/x", "a@ALL as www asked [NOEXEC] /bin/y | /bin/z"],
        ),
        (
            "a one = /bin/x : two = NOPASSWD: /bin/y",
            vec!["a@one as - asked [] /bin/x", "a@two as - free [] /bin/y"],
        ),
        ("#1000 ALL=!/bin/su, ALL # why", vec!["#1000@ALL as - asked [] !/bin/su | ALL"]),
        ("a ALL=TIMEOUT=5m SETENV:NOEXEC: ALL", vec!["a@ALL as - asked [TIMEOUT=5m SETENV NOEXEC] ALL"]),
        ("%a\\ b ALL=ALL", vec!["%a\\ b@ALL as - asked [] ALL"]),
        ("a , b one , two=ALL", vec!["a+b@one+two as - asked [] ALL"]),
        ("a ALL=(b : c) sha256:Zm9v= /bin/x", vec!["a@ALL as b : c asked [] sha256:Zm9v= /bin/x"]),
        ("\"a b\" ALL=NOPASSWD:\\\n ALL", vec!["\"a b\"@ALL as - free [] ALL"]),
    ];
    for (line, expected) in table {
        let section = read(line);
        let seen: Vec<_> = section.body.rules.iter().map(shown).collect();
        assert_eq!(seen, expected, "{line}");
        assert_eq!(section.unknown, [], "{line}");
    }
}

#[test]
fn defaults_and_aliases_are_kept_apart_from_rules() {
    let section = read(
        "Defaults env_reset, secure_path=\"/bin:/sbin\"\nDefaults:backup !authenticate\nCmnd_Alias A = /bin/a, /bin/b : B = /bin/c\n",
    );
    let [all, backup] = section.body.defaults.try_into().unwrap();
    assert_eq!(all.settings, ["env_reset", "secure_path=\"/bin:/sbin\""]);
    assert_eq!(
        (backup.target.as_deref(), backup.settings),
        (Some(":backup"), vec!["!authenticate".to_owned()])
    );
    let aliases: Vec<_> =
        section.body.aliases.iter().map(|alias| (alias.name.as_str(), alias.members.len())).collect();
    assert_eq!(aliases, [("A", 2), ("B", 1)]);
    assert_eq!(section.body.rules, []);
}

#[test]
fn included_files_are_read_in_place_and_names_with_a_dot_are_not() {
    let root = tree::root(&[
        ("etc/sudoers", "@includedir /etc/sudoers.d\n#include local\n@include /etc/gone\n"),
        ("etc/sudoers.d/20-b", "b ALL=ALL\n"),
        ("etc/sudoers.d/10-a", "a ALL=ALL\n"),
        ("etc/sudoers.d/c.bak", "c ALL=ALL\n"),
        ("etc/local", "@include /etc/local\n"),
    ]);
    let section = collect(&root);
    let users: Vec<_> = section.body.rules.iter().map(|rule| rule.users.join("+")).collect();
    assert_eq!(users, ["a", "b"]);
    // A file that includes itself ends somewhere, and a missing one is an error.
    let unseen: Vec<_> = section.unknown.iter().map(|unseen| (unseen.what.as_str(), unseen.reason)).collect();
    assert_eq!(unseen, [("/etc/gone", Reason::Error), ("/etc/local", Reason::Unsupported)]);
}

#[test]
fn a_line_that_makes_no_sense_is_named_and_the_others_are_read() {
    let section = read("what is this\na ALL=\nb ALL=ALL\n");
    let unseen: Vec<_> = section.unknown.iter().map(|unseen| unseen.what.as_str()).collect();
    assert_eq!(unseen, ["/etc/sudoers:1", "/etc/sudoers:2"]);
    assert_eq!(section.body.rules.len(), 1);
}

#[test]
fn rules_from_a_directory_service_are_unknown() {
    let root = tree::root(&[("etc/sudoers", "a ALL=ALL\n"), ("etc/nsswitch.conf", "sudoers: files sss\n")]);
    assert_eq!(collect(&root).unknown[0].what, "rules from sss");
}

#[test]
fn this_host_tells_the_same_twice() {
    tree::is_stable(|| collect(&Root::host()));
}
