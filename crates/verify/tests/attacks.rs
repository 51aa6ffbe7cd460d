//! Each way of lying with a bundle, told by the real binary.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bartizan_core::digest::Digest;
use bartizan_core::time::Timestamp;
use bartizan_ledger::bundle::Entry;
use bartizan_ledger::checkpoint::{Signed, Signer};
use bartizan_ledger::entry::{Body, Envelope};
use bartizan_ledger::tree::{Frontier, Node, append};
use bartizan_ledger::{export, select};
use std::collections::BTreeMap;

const SEED: [u8; 32] = [7; 32];

/// A log of entries from two sources; the word at a place is its body.
fn entries(words: &[&str]) -> Vec<Entry> {
    let entry = |(place, word): (usize, &&str)| {
        let text = format!("{{\"word\":\"{word}\"}}");
        let place = place as u64;
        let salted = place.is_multiple_of(2);
        let body = if salted { Body::Salted { text, salt: [place as u8; 32] } } else { Body::Open(text) };
        Entry {
            envelope: Envelope {
                source: if salted { "decision" } else { "document" }.to_owned(),
                counter: place / 2 + 1,
                kind: "note".to_owned(),
                at: Timestamp::from_millis(1_700_000_000_000 + place as i64),
                seal: body.seal(),
            },
            body: Some(body),
        }
    };
    words.iter().enumerate().map(entry).collect()
}

fn head(signer: &Signer, entries: &[Entry]) -> (Signed, BTreeMap<Node, Digest>) {
    let mut frontier = Frontier::new();
    let leaves = entries.iter().map(|entry| entry.envelope.leaf_hash().unwrap());
    let nodes = append(&mut frontier, leaves).unwrap();
    (signer.sign(frontier.size(), frontier.root()).unwrap(), nodes.into_iter().collect())
}

fn bundle(seed: [u8; 32], entries: Vec<Entry>) -> String {
    let signer = Signer::new("ledger.example", &seed).unwrap();
    let (signed, _) = head(&signer, &entries);
    let mut out = Vec::new();
    export(&mut out, signer.key(), &signed, entries).unwrap();
    String::from_utf8(out).unwrap()
}

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.0.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// The checkpoint that the log had when it held these words.
    fn checkpoint(&self, words: &[&str]) -> PathBuf {
        let signer = Signer::new("ledger.example", &SEED).unwrap();
        self.file("older.checkpoint", head(&signer, &entries(words)).0.note())
    }

    fn verify(&self, bundle: &str, more: &[&Path]) -> String {
        let file = self.file("log.bundle", bundle);
        let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan-verify"));
        command.current_dir(self.0.path()).arg(file.file_name().unwrap());
        for checkpoint in more {
            command.arg("--checkpoint").arg(checkpoint.file_name().unwrap());
        }
        told(command)
    }
}

fn told(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}exit {}", text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

const WORDS: [&str; 5] = ["ant", "bee", "cow", "dog", "eel"];

fn good() -> String {
    bundle(SEED, entries(&WORDS))
}

fn lines(bundle: &str) -> Vec<&str> {
    bundle.lines().collect()
}

fn joined(lines: &[&str]) -> String {
    lines.join("\n") + "\n"
}

#[test]
fn a_good_bundle_alone_is_verified_and_truncation_is_not_excluded() {
    insta::assert_snapshot!(Desk::new().verify(&good(), &[]));
}

#[test]
fn a_good_bundle_continues_an_older_checkpoint() {
    let desk = Desk::new();
    let older = desk.checkpoint(&WORDS[..3]);
    insta::assert_snapshot!(desk.verify(&good(), &[&older]));
}

#[test]
fn an_empty_checkpoint_excludes_no_truncation() {
    let desk = Desk::new();
    let empty = desk.checkpoint(&[]);
    assert_eq!(desk.verify(&good(), &[&empty]), desk.verify(&good(), &[]));
}

#[test]
fn a_body_that_was_erased_leaves_the_proof_standing() {
    let mut kept = entries(&WORDS);
    kept[2].body = None;
    insta::assert_snapshot!(Desk::new().verify(&bundle(SEED, kept), &[]));
}

#[test]
fn an_altered_body_is_told() {
    insta::assert_snapshot!(Desk::new().verify(&good().replace("cow", "cat"), &[]));
}

#[test]
fn an_altered_leaf_is_told() {
    let altered = good().replace("1700000000003", "1700000000009");
    insta::assert_snapshot!(Desk::new().verify(&altered, &[]));
}

#[test]
fn reordered_leaves_are_told() {
    let text = good();
    let mut order = lines(&text);
    order.swap(1, 2);
    insta::assert_snapshot!("reordered_across_sources", Desk::new().verify(&joined(&order), &[]));
    let mut order = lines(&text);
    order.swap(1, 3);
    insta::assert_snapshot!("reordered_within_a_source", Desk::new().verify(&joined(&order), &[]));
}

#[test]
fn a_removed_leaf_is_told_even_where_the_count_was_mended() {
    let text = good();
    let mut kept = lines(&text);
    kept.remove(5);
    insta::assert_snapshot!("removed", Desk::new().verify(&joined(&kept), &[]));
    let mended = joined(&kept).replace("\"leaves\":5", "\"leaves\":4");
    insta::assert_snapshot!("removed_and_mended", Desk::new().verify(&mended, &[]));
}

#[test]
fn a_leaf_removed_before_signing_shows_as_a_gap() {
    let mut kept = entries(&WORDS);
    kept.remove(0);
    insta::assert_snapshot!(Desk::new().verify(&bundle(SEED, kept), &[]));
}

#[test]
fn a_bundle_that_was_cut_off_is_told() {
    let text = good();
    insta::assert_snapshot!(Desk::new().verify(&joined(&lines(&text)[..4]), &[]));
}

#[test]
fn a_log_truncated_and_signed_anew_shows_against_an_older_checkpoint() {
    let desk = Desk::new();
    let older = desk.checkpoint(&WORDS);
    insta::assert_snapshot!(desk.verify(&bundle(SEED, entries(&WORDS[..3])), &[&older]));
}

#[test]
fn a_log_rewritten_and_signed_anew_shows_against_an_older_checkpoint() {
    let desk = Desk::new();
    let older = desk.checkpoint(&WORDS[..3]);
    let rewritten = bundle(SEED, entries(&["ant", "fox", "cow", "dog", "eel"]));
    assert!(desk.verify(&rewritten, &[]).ends_with("exit 0"), "alone it can't be told");
    insta::assert_snapshot!(desk.verify(&rewritten, &[&older]));
}

#[test]
fn a_log_signed_with_another_key_shows_against_what_is_held() {
    let desk = Desk::new();
    let older = desk.checkpoint(&WORDS[..3]);
    let stranger = bundle([8; 32], entries(&WORDS));
    insta::assert_snapshot!("another_key_against_a_checkpoint", desk.verify(&stranger, &[&older]));
    let key = Signer::new("ledger.example", &SEED).unwrap().key().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan-verify"));
    command.current_dir(desk.0.path()).args(["log.bundle", "--key", &key]);
    insta::assert_snapshot!("another_key_against_a_key", told(command));
}

fn selection(words: &[&str], since: &[u64]) -> String {
    let signer = Signer::new("ledger.example", &SEED).unwrap();
    let all = entries(words);
    let (signed, nodes) = head(&signer, &all);
    let chosen = all.iter().cloned().enumerate().filter(|(index, _)| index % 2 == 1);
    let chosen = chosen.map(|(index, entry)| (index as u64, entry));
    let mut out = Vec::new();
    select(&mut out, signer.key(), &signed, since, chosen, |node| nodes.get(&node).copied()).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_selection_is_verified_leaf_by_leaf() {
    let desk = Desk::new();
    let older = desk.checkpoint(&WORDS[..3]);
    insta::assert_snapshot!("selection", desk.verify(&selection(&WORDS, &[3]), &[&older]));
    insta::assert_snapshot!("selection_without_proof", desk.verify(&selection(&WORDS, &[]), &[&older]));
    let moved = selection(&WORDS, &[]).replace("\"index\":3", "\"index\":4");
    insta::assert_snapshot!("selection_moved", desk.verify(&moved, &[]));
    let rewritten = selection(&["ant", "fox", "cow", "dog", "eel"], &[3]);
    insta::assert_snapshot!("selection_rewritten", desk.verify(&rewritten, &[&older]));
}

#[test]
fn a_proof_with_any_part_of_it_altered_is_told() {
    let desk = Desk::new();
    let older = desk.checkpoint(&WORDS[..3]);
    let text = selection(&WORDS, &[3]);
    assert!(desk.verify(&text, &[&older]).ends_with("exit 0"));
    // One digit of each digest in turn: of leaves, of both proofs, of bodies' seals.
    let digits = text.match_indices("sha256:").map(|(place, word)| place + word.len());
    let mut tried = 0;
    for place in digits.collect::<Vec<_>>() {
        let digit = if text[place..].starts_with('0') { "1" } else { "0" };
        let mut altered = text.clone();
        altered.replace_range(place..=place, digit);
        let answer = desk.verify(&altered, &[&older]);
        assert!(answer.ends_with("exit 1"), "{answer}");
        tried += 1;
    }
    assert!(tried > 6, "{tried}");
    // Another entry's proof, and a head of another size.
    for altered in [text.replace("\"index\":1", "\"index\":0"), text.replace("\\n5\\n", "\\n4\\n")] {
        assert_ne!(altered, text);
        assert!(desk.verify(&altered, &[&older]).ends_with("exit 1"));
    }
}

#[test]
fn a_callers_mistake_is_told_as_one() {
    let desk = Desk::new();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan-verify"));
        command.current_dir(desk.0.path()).args(arguments);
        told(command)
    };
    desk.file("words.txt", "no bundle\n");
    desk.file("log.bundle", &good());
    let table = [
        vec![],
        vec!["missing.bundle"],
        vec!["words.txt"],
        vec!["log.bundle", "--checkpoint"],
        vec!["log.bundle", "--checkpoint", "words.txt"],
        vec!["log.bundle", "--key", "words.txt"],
        vec!["log.bundle", "--colour"],
        vec!["."],
    ];
    let answers: Vec<String> = table.iter().map(|row| format!("{row:?}\n{}\n", run(row))).collect();
    insta::assert_snapshot!(answers.join("\n"));
}

#[test]
fn what_a_bundle_says_can_not_drive_the_terminal() {
    let text = good();
    let mut hostile = lines(&text);
    let line = r#"{"leaf":"\u001b[2Jgone"}"#;
    hostile.insert(1, line);
    let answer = Desk::new().verify(&joined(&hostile), &[]);
    assert!(!answer.contains('\u{1b}') && answer.ends_with("exit 1"), "{answer}");
}
