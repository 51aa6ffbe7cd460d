use super::*;

/// A reader of this test's own: what it is told, and how it ends, is a shell script.
fn reader(script: &str) -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("reader");
    // Written by a child: a program that this process has open, even for a moment, can't be run by a test beside.
    let mut write = Command::new("/bin/sh");
    write.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod 755 \"$2\"", "write", script]);
    assert!(write.arg(&program).status().unwrap().success());
    (folder, Journal::new(program, None))
}

fn line(number: u32) -> String {
    format!(
        r#"{{"__CURSOR":"s={number}","__REALTIME_TIMESTAMP":"1000000","MESSAGE":"m{number}","_COMM":"a"}}"#
    )
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

/// Looks until that many entries came; readers take their time.
fn until(journal: &mut Journal, now: Timestamp, entries: usize) -> Look {
    let mut all = Look::default();
    while all.entries.len() < entries {
        let look = journal.look(now);
        all.entries.extend(look.entries);
        all.dropped += look.dropped;
        std::thread::yield_now();
    }
    all
}

/// Looks until the reader has ended.
fn until_ended(journal: &mut Journal, now: Timestamp) -> u64 {
    let mut dropped = 0;
    while journal.reader.is_some() {
        dropped += journal.look(now).dropped;
        std::thread::yield_now();
    }
    dropped
}

#[test]
fn what_can_not_be_read_costs_itself_alone() {
    let long = "x".repeat(ENTRY_BYTES_LIMIT + 1);
    let (_folder, mut journal) = reader(&format!(
        "echo '{}'; echo nonsense; printf '{{\"MESSAGE\":\"'; printf '%{}s\\n' x; echo '{}'; cat",
        line(1),
        long.len(),
        line(2)
    ));
    let look = until(&mut journal, at(0), 2);
    assert_eq!(look.dropped, 2);
    assert_eq!(journal.cursor(), Some("s=2"));
}

#[test]
fn a_reader_that_ends_is_started_again_later_each_time_and_goes_on_behind_its_cursor() {
    let (folder, mut journal) = reader(&format!("echo \"$*\" >> ${{0}}.log; echo '{}'", line(7)));
    let look = until(&mut journal, at(0), 1);
    assert_eq!(look.entries[0].message, "m7");
    until_ended(&mut journal, at(0));
    assert_eq!(journal.unknown().unwrap().reason, Reason::Error);
    assert!(journal.look(at(0)).entries.is_empty(), "it is let be for a while");
    until(&mut journal, at(1), 1);
    let told = std::fs::read_to_string(folder.path().join("reader.log")).unwrap();
    let told: Vec<&str> = told.lines().collect();
    assert!(told[0].contains("--lines=0") && told[1].contains("--after-cursor=s=7"), "{told:?}");
}

#[test]
fn a_reader_that_runs_on_without_an_entry_follows_a_quiet_journal() {
    let (folder, mut journal) = reader("test -e ${0}.again && exec sleep 60; touch ${0}.again");
    journal.look(at(0));
    until_ended(&mut journal, at(0));
    assert!(folder.path().join("reader.again").exists());
    journal.look(at(1));
    assert_eq!(journal.unknown().unwrap().reason, Reason::Error, "it may end at once again");
    journal.look(at(31));
    assert_eq!(journal.unknown(), None);
}

#[test]
fn a_cursor_that_readers_stumble_over_is_given_up_and_counted() {
    let (_folder, journal) = reader("exit 1");
    let mut journal = journal.after(Some("s=broken".to_owned()));
    let mut turn = |at| journal.look(at).dropped + until_ended(&mut journal, at);
    let dropped: u64 = (0..3).map(|number| turn(at(number * 100))).sum();
    assert_eq!((dropped, journal.cursor()), (1, None));
}

#[test]
fn a_cursor_that_is_none_is_not_passed_on() {
    let cursor = |text: &str| {
        Journal::new(PathBuf::new(), None).after(Some(text.to_owned())).cursor().map(str::to_owned)
    };
    assert_eq!(cursor("s=1a;i=2;b=-"), Some("s=1a;i=2;b=-".to_owned()));
    assert_eq!(cursor("s=1 --vacuum-size=1"), None);
    assert_eq!(cursor(&"x".repeat(CURSOR_BYTES_LIMIT + 1)), None);
}

#[test]
fn a_reader_is_ended_with_whoever_follows() {
    let (folder, mut journal) = reader("echo $$ > ${0}.pid; echo '{}'; exec sleep 1000");
    while journal.look(at(0)).dropped == 0 {
        std::thread::yield_now();
    }
    let pid = std::fs::read_to_string(folder.path().join("reader.pid")).unwrap();
    drop(journal);
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn a_program_that_is_not_there_is_tried_again_and_said() {
    let mut journal = Journal::new(PathBuf::from("/nowhere/journalctl"), None);
    assert_eq!(journal.look(at(0)), Look::default());
    assert!(journal.unknown().is_some());
}

#[test]
fn another_root_has_no_journal_of_this_host() {
    assert!(Journal::find(&crate::tree::root(&[])).is_none());
}
