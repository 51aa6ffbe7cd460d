use std::fs::File;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::tree;

#[test]
fn a_start_is_counted_after_the_name_whatever_it_holds() {
    let line = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 1";
    assert_eq!(start_ticks(line), Some(12345));
    assert_eq!(boot_ms("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000_000));
}

#[test]
fn a_deleted_library_counts_and_shared_memory_does_not() {
    let map =
        |permissions: &str, path: &str| format!("7f00-7f01 {permissions} 00000000 fe:00 1234    {path}");
    let table = [
        ("r-xp", "/usr/lib/libssl.so.3 (deleted)", true),
        ("r--p", "/usr/lib/libssl.so.3 (deleted)", true),
        ("r--p", "/usr/lib/libssl.so.3", false),
        ("rw-s", "/memfd:x (deleted)", false),
        ("r-xp", "/memfd:x (deleted)", false),
        ("rw-p", "/tmp/cache (deleted)", false),
        ("r-xp", "/tmp/implant (deleted)", true),
        ("rw-s", "/dev/zero (deleted)", false),
        ("rw-p", "[heap]", false),
    ];
    for (permissions, path, expected) in table {
        assert_eq!(deleted_map(&map(permissions, path)).is_some(), expected, "{permissions} {path}");
    }
}

#[test]
fn an_interpreter_may_have_a_version_and_no_other_ending() {
    for (path, expected) in [
        ("/usr/bin/python3.11", true),
        ("/usr/sbin/php-fpm8.2", true),
        ("/usr/lib/jvm/x/bin/java", true),
        ("/usr/bin/dash", false),
        ("/usr/bin/sshd", false),
        ("/usr/bin/perldoc", false),
    ] {
        assert_eq!(is_interpreter(path), expected, "{path}");
    }
}

/// A process of this test that ends with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_of_this_host_that_runs_and_holds_deleted_files_is_seen() {
    // Not under /tmp, where deleted files are nothing special.
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let program = folder.path().join("waits");
    let held = folder.path().join("held");
    std::fs::copy("/bin/cat", &program).unwrap();
    std::fs::write(&held, "").unwrap();
    // With its input open, cat waits; it starts with the held file as its output.
    let child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(File::options().write(true).open(&held).unwrap())
        .spawn()
        .unwrap();
    let child = Running(child);
    std::fs::remove_file(&program).unwrap();
    std::fs::remove_file(&held).unwrap();
    let section = collect(&Root::host());
    let pid = child.0.id();
    let stale = section.body.stale.iter().find(|stale| stale.pid == pid).unwrap();
    assert!(stale.executable_deleted);
    assert_eq!(stale.executable.as_deref(), program.to_str());
    assert_eq!(stale.held, [held.to_str().unwrap()]);
    assert_eq!(stale.mapped, [program.to_str().unwrap()]);
    assert!(!stale.foreign);
    assert!(stale.started > Timestamp::from_millis(1_600_000_000_000));
}

#[test]
fn another_root_has_no_processes_and_says_so() {
    assert_eq!(collect(&tree::root(&[])).unknown[0].reason, Reason::Unsupported);
}
