//! Units and the journal of a real systemd: one machine, booted for these tests.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a test says why it is left out")]

mod machine;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bartizan_core::fact::unit::{State, Units};
use bartizan_core::time::Timestamp;
use bartizan_probe::event::journal::{Entry, Journal};
use bartizan_probe::unit::state;
use machine::Machine;

const LIMIT: Duration = Duration::from_secs(60);

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain for {what}");
}

fn journal(machine: &Machine) -> Journal {
    Journal::new(PathBuf::from("/usr/bin/journalctl"), Some(machine.path("/run/log/journal")))
}

/// Looks until so many entries of the tests came.
fn entries(journal: &mut Journal, count: usize) -> Vec<Entry> {
    let mut found = Vec::new();
    let now = Instant::now();
    until("entries of the journal", || {
        let at = Timestamp::from_millis(i64::try_from(now.elapsed().as_millis()).unwrap());
        let look = journal.look(at);
        found.extend(look.entries.into_iter().filter(|entry| entry.message.starts_with("Failed password")));
        (found.len() >= count).then_some(())
    });
    found
}

fn refused(machine: &Machine, address: &str) {
    let line = format!("Failed password for root from {address} port 22 ssh2");
    assert!(machine.run(&["/usr/bin/logger", "-p", "authpriv.info", "-t", "sshd", &line]).success());
}

#[test]
fn units_and_the_journal_of_a_running_systemd_are_read() {
    let Some(machine) = Machine::boot() else { return };
    what_failed_is_named_by_the_service_manager(&machine);
    the_journal_is_followed_and_gone_on_with_behind_its_cursor(&machine);
}

fn what_failed_is_named_by_the_service_manager(machine: &Machine) {
    let states = state::read_at(&machine.bus()).unwrap();
    assert_eq!(states.of("dbus.service"), State::Active);
    assert_eq!(states.of("systemd-journald.service"), State::Active);
    assert_eq!(states.of("rescue.target"), State::Inactive);
    machine.run(&["/usr/bin/systemd-run", "--quiet", "--unit=broken", "/bin/false"]);
    let failed = |wanted: bool| {
        until("the broken unit", || {
            let mut units = Units::default();
            state::read_at(&machine.bus()).unwrap().tell(&mut units);
            (units.failed.iter().any(|name| name == "broken.service") == wanted).then_some(())
        });
    };
    failed(true);
    assert!(machine.run(&["/usr/bin/systemctl", "reset-failed", "broken.service"]).success());
    failed(false);
}

fn the_journal_is_followed_and_gone_on_with_behind_its_cursor(machine: &Machine) {
    refused(machine, "192.0.2.1");
    let mut first = journal(machine);
    // What is said until the reader stands at the end is no news: it is said until it is seen.
    let seen = until("the reader", || {
        refused(machine, "192.0.2.2");
        first.look(Timestamp::default()).entries.into_iter().next()
    });
    assert!(seen.message.contains("192.0.2.2"), "{seen:?}");
    assert_eq!(seen.identifier, "sshd");
    // journald reads a program's name from /proc, where one that has ended has none any more.
    assert!(matches!(seen.command.as_deref(), None | Some("logger")), "{seen:?}");
    assert_eq!((seen.uid, seen.pid.is_some()), (Some(0), true));
    assert!(!seen.host.is_empty() && seen.at > Timestamp::default());
    refused(machine, "192.0.2.3");
    while !entries(&mut first, 1).iter().any(|entry| entry.message.contains("192.0.2.3")) {}
    let cursor = first.cursor().unwrap().to_owned();
    drop(first);
    // What is said to other facilities is not followed; what was said meanwhile comes, once and in order.
    assert!(machine.run(&["/usr/bin/logger", "-p", "user.info", "Failed password, said a user"]).success());
    for address in ["192.0.2.4", "192.0.2.5", "192.0.2.6"] {
        refused(machine, address);
    }
    let mut second = journal(machine).after(Some(cursor));
    let messages: Vec<String> = entries(&mut second, 3).into_iter().map(|entry| entry.message).collect();
    let expected = ["192.0.2.4", "192.0.2.5", "192.0.2.6"];
    assert_eq!(messages, expected.map(|ip| format!("Failed password for root from {ip} port 22 ssh2")));
    assert_eq!(second.unknown(), None);
}
