//! The collecting thread: sections on a schedule, and at once where their files changed.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};

use bartizan_core::canonical::Value;
use bartizan_core::digest::Digest;
use bartizan_core::fact::certificate::Certificates;
use bartizan_core::fact::{Name, Package, Section, unit};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use bartizan_probe::root::Root;

use super::source::{Source, Stamp, Stamps};
use super::{Clock, Observation, Tell, Wait, wait};
use crate::health::Told;
use crate::schedule::{self, Outcome, Schedule};

/// How long one collector may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How often files that make a section due at once are looked at.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// How often each section is collected where nothing shows that it changed, in seconds. What only
/// the kernel knows comes often; what files show can wait for them. Packages come by their databases and
/// the lists of repositories alone: they are the largest reading there is, and no change of theirs hides.
const INTERVALS: [(Name, u32); 15] = [
    (Name::Os, 300),
    (Name::Packages, 86_400),
    (Name::Kernel, 300),
    (Name::Hardware, 600),
    (Name::Units, 60),
    (Name::Sockets, 60),
    (Name::Processes, 60),
    (Name::Accounts, 30),
    (Name::Sudoers, 30),
    (Name::Sshd, 30),
    (Name::Sysctl, 30),
    (Name::Mounts, 30),
    (Name::Modules, 60),
    (Name::Jobs, 60),
    (Name::Certificates, 600),
];

/// Files that make a section due at once.
const TRIGGERS: [(Name, &[&str]); 8] = [
    (Name::Os, &["/etc/os-release"]),
    (
        Name::Packages,
        &[
            "/etc/os-release",
            "/var/lib/dpkg/status",
            "/var/lib/dpkg/status.d/*",
            "/var/lib/apt/lists/*elease",
            "/var/lib/apt/lists/*_Packages*",
            "/var/lib/rpm/*",
            "/usr/lib/sysimage/rpm/*",
            "/lib/apk/db/installed",
        ],
    ),
    (Name::Accounts, &["/etc/passwd", "/etc/shadow", "/etc/group"]),
    (Name::Sudoers, &["/etc/sudoers", "/etc/sudoers.d", "/etc/sudoers.d/*"]),
    (Name::Sshd, &["/etc/ssh", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*"]),
    (Name::Sysctl, &["/etc/sysctl.conf", "/etc/sysctl.d/*"]),
    (Name::Mounts, &["/etc/fstab"]),
    (Name::Jobs, &["/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs"]),
];

type Found = Result<Section<Value>, Reason>;

/// What the collecting thread is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Everything is due now.
    Hasten,
    Stop,
}

/// The collectors of one host.
pub(super) struct Collector {
    clock: Clock,
    schedule: Schedule<Found>,
    root: Root,
    stamps: Stamps,
    triggers: BTreeMap<Name, Vec<(Source, Option<Stamp>)>>,
    /// Who judges rules about packages, and what was sent there last.
    watch: Sender<super::Command>,
    packages: Option<Digest>,
}

impl Collector {
    pub(super) fn new(root: &Root, clock: Clock, watch: Sender<super::Command>) -> Self {
        let collectors = INTERVALS.into_iter().map(|(name, seconds)| {
            let root = root.clone();
            schedule::Collector {
                name: name.as_str(),
                every: Duration::from_secs(seconds),
                limit: LIMIT,
                collect: Box::new(move || {
                    // The error is a bug: a body that has no canonical form.
                    bartizan_probe::section::collect(&root, name).map_err(|_| Reason::Error)
                }),
            }
        });
        let schedule = Schedule::new(collectors.collect(), clock());
        let triggers = TRIGGERS.into_iter().map(|(name, paths)| {
            let sources = paths.iter().map(|path| (Source::path(path), None));
            (name, sources.collect())
        });
        let triggers = triggers.collect();
        let stamps = Stamps::default();
        Self { clock, schedule, root: root.clone(), stamps, triggers, watch, packages: None }
    }

    pub(super) fn run(mut self, commands: &Receiver<Command>, tell: &Tell) {
        let mut first = true;
        loop {
            let now = (self.clock)();
            self.trigger(now);
            for (name, outcome) in self.schedule.run(now) {
                let Ok(name) = name.parse() else { continue };
                let found = match outcome {
                    Outcome::Collected(found) => found,
                    Outcome::Unknown(reason) => Err(reason),
                };
                self.pass_packages(name, &found);
                self.pass_health(name, &found);
                if !tell(Observation::Section { name, found }) {
                    return;
                }
            }
            if std::mem::take(&mut first) {
                let _ = self.watch.send(super::Command::Collected);
                if !tell(Observation::Collected) {
                    return;
                }
            }
            match wait(commands, TICK) {
                Wait::Command(Command::Hasten) => {
                    let now = (self.clock)();
                    Name::ALL.iter().for_each(|name| self.schedule.hasten(name.as_str(), now));
                }
                Wait::Elapsed => {}
                Wait::Command(Command::Stop) | Wait::Over => return,
            }
        }
    }

    /// Makes due what files show to have changed.
    fn trigger(&mut self, now: Timestamp) {
        for (name, sources) in &mut self.triggers {
            let mut changed = false;
            for (source, held) in sources {
                let stamp = self.stamps.stamp(&self.root, source, now);
                changed |= held.replace(stamp).is_none_or(|held| held.differs(stamp));
            }
            if changed {
                self.schedule.hasten(name.as_str(), now);
            }
        }
    }

    /// What thresholds ask of sections is measured by the other thread.
    fn pass_health(&self, name: Name, found: &Found) {
        let told = match name {
            Name::Units => Told::FailedUnits(failed_units(found)),
            Name::Certificates => Told::Certificates(expiries(found)),
            _ => return,
        };
        let _ = self.watch.send(super::Command::Health(told));
    }

    /// Rules about packages are judged by the other thread.
    fn pass_packages(&mut self, name: Name, found: &Found) {
        let (Name::Packages, Ok(section)) = (name, found) else { return };
        let unknown = section.unknown.iter().map(|unseen| Value::from(format!("{unseen:?}")));
        let digest = Digest::derived(
            "packages",
            [Value::Array(unknown.collect()), Value::from(Digest::of(&section.body).to_string())],
        );
        if self.packages == Some(digest) {
            return;
        }
        let Ok(body) = section.body.to_data::<Vec<Package>>() else { return };
        self.packages = Some(digest);
        let _ = self.watch.send(super::Command::Packages(Section { body, unknown: section.unknown.clone() }));
    }
}

/// How many units failed, as the service manager says.
fn failed_units(found: &Found) -> Result<u64, Reason> {
    let section = found.as_ref().map_err(|reason| *reason)?;
    if let Some(unseen) = section.unknown.iter().find(|unseen| unseen.what == unit::STATES) {
        return Err(unseen.reason);
    }
    let Value::Object(body) = &section.body else { return Err(Reason::Unparsable) };
    match body.get("failed") {
        Some(Value::Array(failed)) => Ok(failed.len() as u64),
        _ => Ok(0),
    }
}

/// When the first certificate of each file runs out.
fn expiries(found: &Found) -> Result<BTreeMap<String, Timestamp>, Reason> {
    let section = found.as_ref().map_err(|reason| *reason)?;
    let body = section.body.to_data::<Certificates>().map_err(|_| Reason::Unparsable)?;
    let mut files = BTreeMap::new();
    for certificate in body.certificates {
        let until = files.entry(certificate.path).or_insert(certificate.not_after);
        *until = certificate.not_after.min(*until);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn every_section_has_a_turn_first_and_a_changed_file_brings_its_section_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/group"), "root:x:0:\n").unwrap();
        let root = Root::at(folder.path()).unwrap();
        let (watch, _watched) = std::sync::mpsc::channel();
        // A clock that stands still: only a changed file can make a section due again.
        let collector = Collector::new(&root, Arc::new(|| Timestamp::from_millis(0)), watch);
        let (sender, commands) = std::sync::mpsc::channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, path) = (Arc::clone(&seen), folder.path().join("etc/group"));
        let tell: Tell = Box::new(move |observation| {
            match observation {
                Observation::Section { name, .. } => {
                    let mut kept = kept.lock().unwrap();
                    kept.push(name);
                    if kept.len() == INTERVALS.len() + 1 {
                        sender.send(Command::Stop).unwrap();
                    }
                }
                Observation::Collected => std::fs::write(&path, "root:x:0:\nsudo:x:27:eve\n").unwrap(),
                _ => {}
            }
            true
        });
        collector.run(&commands, &tell);
        let seen = seen.lock().unwrap();
        assert_eq!(seen[..INTERVALS.len()], INTERVALS.map(|(name, _)| name));
        assert_eq!(seen[INTERVALS.len()..], [Name::Accounts]);
    }
}
