//! How units stand, as systemd says over the system bus (org.freedesktop.systemd1(5)).

use std::collections::BTreeMap;
use std::time::Duration;

use bartizan_core::fact::unit::{State, Units};
use bartizan_core::verdict::Reason;
use zbus::zvariant::OwnedObjectPath;

use crate::root::Root;

/// Where systemd makes a folder while it is the service manager (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// Where the system bus listens.
const BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// How long the whole conversation may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The states that are asked for: any other unit is inactive.
const ASKED: [&str; 7] =
    ["active", "reloading", "refreshing", "maintenance", "failed", "activating", "deactivating"];

/// A line of `ListUnitsFiltered`: name, description, load state, active state, sub state, the unit it follows,
/// its path, and its job's number, kind and path.
type Line = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// The units that are not inactive, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States(BTreeMap<String, State>);

/// How units stand on the running host.
pub(super) fn read(root: &Root) -> Result<States, Reason> {
    if !root.is_host() || !root.exists(BOOTED) {
        return Err(Reason::Unsupported);
    }
    read_at(BUS)
}

/// How units stand, asked over the bus at this address.
pub fn read_at(address: &str) -> Result<States, Reason> {
    // A runtime of its own, gone with the answer: this room has no threads that stay.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|_| Reason::Error)?;
    let asked = async { tokio::time::timeout(LIMIT, ask(address)).await };
    match runtime.block_on(asked) {
        Ok(answer) => answer.map_err(|error| reason(&error)),
        Err(_) => Err(Reason::Timeout),
    }
}

async fn ask(address: &str) -> zbus::Result<States> {
    let bus = zbus::connection::Builder::address(address)?.build().await?;
    let (service, object) = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1");
    let interface = "org.freedesktop.systemd1.Manager";
    let states: &[&str] = &ASKED;
    let reply =
        bus.call_method(Some(service), object, Some(interface), "ListUnitsFiltered", &(states,)).await?;
    let lines: Vec<Line> = reply.body().deserialize()?;
    Ok(lines.into_iter().map(|line| (line.0, line.3)).collect())
}

fn reason(error: &zbus::Error) -> Reason {
    match error {
        zbus::Error::Connection(error, _) | zbus::Error::InputOutput(error) => match error.kind() {
            std::io::ErrorKind::PermissionDenied => Reason::Denied,
            // No bus at hand: a container whose service manager has none.
            std::io::ErrorKind::NotFound => Reason::Unsupported,
            _ => Reason::Error,
        },
        zbus::Error::Handshake(_) => Reason::Denied,
        zbus::Error::MethodError(name, _, _) if name.as_str().ends_with(".AccessDenied") => Reason::Denied,
        _ => Reason::Error,
    }
}

impl FromIterator<(String, String)> for States {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(lines: I) -> Self {
        let state = |word: &str| match word {
            "failed" => State::Failed,
            "activating" => State::Activating,
            "deactivating" => State::Deactivating,
            "inactive" => State::Inactive,
            _ => State::Active,
        };
        Self(lines.into_iter().map(|(name, word)| (name, state(&word))).collect())
    }
}

impl States {
    /// How a unit stands.
    pub fn of(&self, name: &str) -> State {
        self.0.get(name).copied().unwrap_or(State::Inactive)
    }

    /// Writes into the section how its units stand, and which failed.
    pub fn tell(&self, units: &mut Units) {
        for unit in &mut units.units {
            unit.state = Some(self.of(&unit.name));
        }
        let failed = self.0.iter().filter(|(_, state)| **state == State::Failed);
        units.failed = failed.map(|(name, _)| name.clone()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_inactive_and_what_failed_is_named_though_it_has_no_file() {
        let lines = [("a.service", "active"), ("run-1.service", "failed"), ("b.mount", "reloading")];
        let states: States =
            lines.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect();
        let mut units = Units::default();
        states.tell(&mut units);
        assert_eq!(units.failed, ["run-1.service"]);
        assert_eq!(
            ["a.service", "b.mount", "c.timer"].map(|name| states.of(name)),
            [State::Active, State::Active, State::Inactive]
        );
    }

    #[test]
    fn a_bus_that_is_not_there_or_is_none_says_why() {
        assert_eq!(read_at("unix:path=/nowhere/bus"), Err(Reason::Unsupported));
        assert_eq!(read_at("nonsense"), Err(Reason::Error));
    }

    #[test]
    fn a_bus_that_never_answers_is_given_up_and_one_that_talks_nonsense_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let talk = std::thread::spawn(move || {
            use std::io::Write as _;
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"REJECTED\r\n\0\xff nonsense\r\n").unwrap();
        });
        let found = read_at(&format!("unix:path={}", path.display()));
        talk.join().unwrap();
        assert!(matches!(found, Err(Reason::Denied | Reason::Error)), "{found:?}");
    }
}
