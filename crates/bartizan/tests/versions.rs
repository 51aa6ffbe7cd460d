//! `bartizan versions`, through the door: the real binary.

#![expect(clippy::unwrap_used, reason = "a test of the real binary fails where it can't start it")]

use std::io::Write;
use std::process::{Command, Stdio};

/// Exit code, standard output and standard error of a run, as one text.
fn run(arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bartizan"))
        .arg("versions")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A run that never reads its input closes it early.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    format!(
        "exit {}\n--- out\n{}--- error\n{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn two_versions_are_answered_with_a_sign() {
    for (scheme, a, b, sign) in
        [("deb", "1.0-1", "1.0-1+b1", '<'), ("rpm", "1", "-r", '>'), ("pypi", "1.0", "1", '=')]
    {
        let printed = run(&["compare", "--scheme", scheme, a, b], b"");
        assert_eq!(printed, format!("exit 0\n--- out\n{sign}\n--- error\n"));
    }
}

#[test]
fn versions_without_an_order_are_the_callers_mistake() {
    insta::assert_snapshot!(run(&["compare", "--scheme", "deb", "one:1", "1"], b""));
}

#[test]
fn pairs_from_standard_input_are_answered_line_by_line() {
    let pairs = b"1.0\t1.1\n1.1-r0\t1.1-r0\n10\t9\n1\t\n2\t1";
    insta::assert_snapshot!(run(&["compare", "--scheme", "apk"], pairs));
}

#[test]
fn a_pair_without_an_order_gets_a_question_mark_and_the_rest_is_answered() {
    let mut pairs = b"1\t2\nx:1\t1\nno tab\n\xff\t1\n1\t2\t3\n".to_vec();
    pairs.extend(vec![b'1'; 100_000]);
    pairs.extend(b"\t1\n2\t1\n");
    insta::assert_snapshot!(run(&["compare", "--scheme", "deb"], &pairs));
}

#[test]
fn an_unknown_scheme_names_those_there_are() {
    insta::assert_snapshot!(run(&["compare", "--scheme", "maven", "1", "2"], b""));
}

#[test]
fn one_version_alone_asks_for_the_other() {
    insta::assert_snapshot!(run(&["compare", "--scheme", "deb", "1"], b""));
}
