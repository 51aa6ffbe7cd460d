//! The help of every verb, as the real program prints it: what a newcomer reads first.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

fn help(path: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.args(path).arg("--help").env_remove("BARTIZAN_CLIENT").env("COLUMNS", "100");
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{path:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The verbs that a help lists.
fn verbs(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn walk(path: &[&str], all: &mut String) {
    let text = help(path);
    all.push_str(&format!("$ {}\n\n{text}\n", [&["bartizan"], path, &["--help"]].concat().join(" ")));
    for verb in verbs(&text) {
        walk(&[path, &[verb.as_str()]].concat(), all);
    }
}

#[test]
fn the_help_of_every_verb_is_as_it_was() {
    let mut all = String::new();
    walk(&[], &mut all);
    assert!(all.matches("\n$ bartizan").count() > 40, "{all}");
    insta::with_settings!({filters => vec![(r"\[env: BARTIZAN_CLIENT=[^\]]*\]", "[env: BARTIZAN_CLIENT]")]}, {
        insta::assert_snapshot!(all);
    });
}
