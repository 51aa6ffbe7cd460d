//! What a simulated host tells of itself: every section, in the shapes that agents send.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bartizan_core::canonical::{self, Value};
use bartizan_core::configuration::drift::Drifts;
use bartizan_core::digest::Digest;
use bartizan_core::fact::account::{Accounts, Ageing, Group, Password, Scheme, User};
use bartizan_core::fact::job::{Job, Jobs, Kind as JobKind};
use bartizan_core::fact::kernel::{Installed, Kernel, Running};
use bartizan_core::fact::module::{Modules, Rule as ModuleRule};
use bartizan_core::fact::mount::{Configured, Mount, Mounts};
use bartizan_core::fact::process::{Interpreter, Processes, Stale};
use bartizan_core::fact::socket::{Owner, Protocol, Socket, Sockets};
use bartizan_core::fact::source::{Source, Sources, Way};
use bartizan_core::fact::sudoers::{Defaults, File as SudoersFile, Rule as SudoersRule, Sudoers};
use bartizan_core::fact::sysctl::{Configured as SysctlConfigured, Sysctl};
use bartizan_core::fact::unit::{Enablement, Script, State, Unit, Units};
use bartizan_core::fact::{Name, Section};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use serde::{Deserialize, Serialize};

use super::distribution::{Distribution, packages};
use super::population::{Plan, Purpose};
use super::service;

mod machine;
mod ssh;

/// The rule whose break shows in the SSH server's settings.
pub(super) const ROOT_LOGIN: &str = "openssh/ssh-root-login";

/// How a host stands beside its plan: what its story did to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Rules that it breaks since, as `BASELINE/RULE`.
    pub(super) broken: Vec<String>,
    /// Versions installed since, by source package.
    pub(super) updated: BTreeMap<String, String>,
    /// Whether it says nothing any more.
    pub(super) silent: bool,
}

/// All sections of a host at `started`, the time at which the demo began.
pub(super) fn sections(
    plan: &Plan,
    standing: &Standing,
    started: Timestamp,
) -> Result<BTreeMap<String, Value>, canonical::Error> {
    let root_login = standing.broken.iter().any(|rule| rule == ROOT_LOGIN);
    let bodies = [
        (Name::Os, whole(plan.distribution.os())?),
        (Name::Packages, whole(packages(plan, &standing.updated))?),
        (Name::Kernel, whole(kernel(plan))?),
        (Name::Hardware, whole(machine::hardware(plan))?),
        (Name::Units, whole(units(plan))?),
        (Name::Sockets, whole(sockets(plan))?),
        (Name::Processes, whole(processes(plan, started))?),
        (Name::Accounts, guarded(plan, accounts(plan), "/etc/shadow")?),
        (Name::Sudoers, guarded(plan, sudoers(plan), "/etc/sudoers.d")?),
        (Name::Sshd, whole(ssh::sshd(plan, root_login))?),
        (Name::Sysctl, whole(sysctl())?),
        (Name::Mounts, whole(mounts(plan))?),
        (Name::Modules, whole(modules(plan))?),
        (Name::Jobs, whole(jobs(plan))?),
        (Name::Certificates, whole(machine::certificates(plan, started))?),
        (Name::Sources, whole(sources())?),
        (Name::Drift, whole(Drifts::default())?),
    ];
    Ok(bodies.into_iter().map(|(name, body)| (name.as_str().to_owned(), body)).collect())
}

/// Where a made-up host hears of events: its log of who signs in, and each program that starts.
fn sources() -> Sources {
    let log = Source { way: Way::LogFile, place: "/var/log/auth.log".to_owned() };
    let starts = Source { way: Way::ProcConnector, place: String::new() };
    Sources { sources: vec![log, starts] }
}

fn whole<T: Serialize>(body: T) -> Result<Value, canonical::Error> {
    Value::from_data(&Section::new(body))
}

/// A section of which an agent without rights can't see one path.
fn guarded<T: Serialize>(plan: &Plan, body: T, path: &str) -> Result<Value, canonical::Error> {
    let mut section = Section::new(body);
    if plan.unprivileged {
        section.miss(path, Reason::Denied);
    }
    Value::from_data(&section)
}

fn digest(plan: &Plan, what: &str) -> Digest {
    Digest::of_bytes(format!("{} {what}", plan.distribution.as_str()).as_bytes())
}

fn kernel(plan: &Plan) -> Kernel {
    let (release, version) = plan.distribution.kernel();
    let running = Running {
        release: release.to_owned(),
        version: version.to_owned(),
        parameters: ["BOOT_IMAGE=/boot/vmlinuz", "root=/dev/vda1", "ro", "quiet"].map(str::to_owned).to_vec(),
    };
    let installed = Installed { release: release.to_owned(), image: true, modules: true };
    Kernel { running: Some(running), installed: vec![installed], live_patches: Vec::new() }
}

fn units(plan: &Plan) -> Units {
    let mut names = vec!["cron", "rsyslog", "ssh"];
    names.extend(service::of(plan.purpose).iter().map(|listens| listens.unit));
    names.sort_unstable();
    names.dedup();
    if plan.distribution == Distribution::Alpine {
        let script = |name: &str| Script {
            name: name.to_owned(),
            digest: Some(digest(plan, name)),
            started_in: vec!["default".to_owned()],
            stopped_in: Vec::new(),
        };
        return Units { scripts: names.into_iter().map(script).collect(), ..Units::default() };
    }
    let unit = |name: &str| Unit {
        name: format!("{name}.service"),
        path: Some(format!("/usr/lib/systemd/system/{name}.service")),
        digest: Some(digest(plan, name)),
        enablement: Enablement::Enabled,
        aliases: Vec::new(),
        wanted_by: vec!["multi-user.target".to_owned()],
        required_by: Vec::new(),
        drop_ins: Vec::new(),
        state: Some(State::Active),
    };
    let units = names.into_iter().map(unit).collect();
    let default_target = Some("multi-user.target".to_owned());
    Units { units, default_target, scripts: Vec::new(), failed: Vec::new() }
}

fn sockets(plan: &Plan) -> Sockets {
    let everywhere = IpAddr::from([0, 0, 0, 0]);
    let socket = |port, uid, name: &str, executable: &str, inside: bool| Socket {
        protocol: Protocol::Tcp,
        address: if inside { plan.address() } else { everywhere },
        port,
        uid,
        owners: vec![Owner { name: name.to_owned(), executable: Some(executable.to_owned()) }],
        foreign: false,
    };
    let mut listening = vec![socket(22, 0, "sshd", "/usr/sbin/sshd", false)];
    for listens in service::of(plan.purpose) {
        let one = |port: &u16| socket(*port, listens.uid, listens.unit, listens.program, listens.inside);
        listening.extend(listens.ports.iter().map(one));
    }
    listening.sort();
    Sockets { listening }
}

/// A host that took an update without restarting what uses it.
fn processes(plan: &Plan, started: Timestamp) -> Processes {
    let since = started.minus(Duration::from_days(40 + u32::from(plan.number)));
    let mut processes = Processes::default();
    let held = plan.roll("restarted", 100) < 12 && !plan.behind;
    for listens in service::of(plan.purpose).iter().filter(|_| held) {
        processes.stale.push(Stale {
            pid: 800 + u32::from(plan.number),
            started: since,
            name: listens.unit.chars().take(15).collect(),
            executable: Some(listens.program.to_owned()),
            executable_deleted: false,
            foreign: false,
            mapped: vec!["/usr/lib/x86_64-linux-gnu/libssl.so.3".to_owned()],
            held: Vec::new(),
        });
    }
    if matches!(plan.purpose, Purpose::Search | Purpose::SignOn | Purpose::Api) {
        processes.interpreters.push(Interpreter {
            pid: 900 + u32::from(plan.number),
            started: since,
            executable: "/usr/lib/jvm/java-21-openjdk/bin/java".to_owned(),
            foreign: false,
        });
    }
    processes
}

fn accounts(plan: &Plan) -> Accounts {
    let user = |name: &str, uid, home: &str, shell: &str, password| User {
        name: name.to_owned(),
        uid,
        gid: uid,
        home: home.to_owned(),
        shell: shell.to_owned(),
        // Without rights the shadow file stays shut.
        password: (!plan.unprivileged).then_some(password),
        ageing: (!plan.unprivileged).then(|| Ageing { maximum: Some(365), ..Ageing::default() }),
    };
    let locked = || Password::Locked { scheme: None };
    let set = || Password::Set { scheme: Scheme::Yescrypt, exposed: false };
    let mut users = vec![
        user("root", 0, "/root", "/bin/bash", locked()),
        user("daemon", 1, "/usr/sbin", "/usr/sbin/nologin", locked()),
        user("sshd", 105, "/run/sshd", "/usr/sbin/nologin", locked()),
    ];
    for listens in service::of(plan.purpose) {
        users.push(user(listens.account, listens.uid, "/nonexistent", "/usr/sbin/nologin", locked()));
    }
    users.push(user("ops", 1000, "/home/ops", "/bin/bash", set()));
    if plan.service == "office" {
        users.push(user("trainee", 1001, "/home/trainee", "/bin/bash", set()));
    }
    let group = |name: &str, gid, members: &[&str]| Group {
        name: name.to_owned(),
        gid,
        members: members.iter().map(|member| (*member).to_owned()).collect(),
    };
    let admins = if matches!(plan.distribution, Distribution::Alma | Distribution::Alpine) {
        group("wheel", 10, &["ops"])
    } else {
        group("sudo", 27, &["ops"])
    };
    Accounts { users, groups: vec![group("root", 0, &[]), admins, group("ops", 1000, &[])] }
}

fn sudoers(plan: &Plan) -> Sudoers {
    let group = if matches!(plan.distribution, Distribution::Alma | Distribution::Alpine) {
        "%wheel"
    } else {
        "%sudo"
    };
    let file = "/etc/sudoers".to_owned();
    Sudoers {
        files: vec![SudoersFile {
            path: file.clone(),
            mode: "0440".to_owned(),
            uid: 0,
            gid: 0,
            digest: digest(plan, "sudoers"),
        }],
        rules: vec![SudoersRule {
            file: file.clone(),
            line: 50,
            users: vec![group.to_owned()],
            hosts: vec!["ALL".to_owned()],
            run_as: Some("ALL : ALL".to_owned()),
            no_password: plan.service == "office",
            tags: Vec::new(),
            commands: vec!["ALL".to_owned()],
        }],
        defaults: vec![Defaults {
            file,
            target: None,
            settings: vec!["env_reset".to_owned(), "use_pty".to_owned()],
        }],
        aliases: Vec::new(),
    }
}

fn sysctl() -> Sysctl {
    let live = [
        ("kernel.kptr_restrict", "1"),
        ("kernel.randomize_va_space", "2"),
        ("kernel.yama.ptrace_scope", "1"),
        ("net.ipv4.conf.all.accept_redirects", "0"),
        ("net.ipv4.conf.all.rp_filter", "1"),
        ("net.ipv4.ip_forward", "0"),
        ("net.ipv4.tcp_syncookies", "1"),
    ];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let configured = |(key, value): (&str, &str)| {
        let file = "/etc/sysctl.d/60-hardening.conf".to_owned();
        (key.to_owned(), SysctlConfigured { value: value.to_owned(), file })
    };
    Sysctl {
        live: live.map(owned).into(),
        configured: live.into_iter().skip(1).take(3).map(configured).collect(),
    }
}

fn mounts(plan: &Plan) -> Mounts {
    let mut rows = vec![
        ("/", "/dev/vda1", "ext4", vec!["relatime", "rw"]),
        ("/tmp", "tmpfs", "tmpfs", vec!["nodev", "nosuid", "rw"]),
    ];
    if let Some(data) = service::data(plan.purpose) {
        rows.push((data, "/dev/vdb1", "xfs", vec!["noatime", "rw"]));
    }
    let owned = |options: &[&str]| options.iter().map(|option| (*option).to_owned()).collect();
    let mounted = rows.iter().map(|(point, source, kind, options)| Mount {
        point: (*point).to_owned(),
        source: (*source).to_owned(),
        kind: (*kind).to_owned(),
        folder: "/".to_owned(),
        options: owned(options),
    });
    let configured = rows.iter().map(|(point, source, kind, _)| Configured {
        point: (*point).to_owned(),
        source: (*source).to_owned(),
        kind: (*kind).to_owned(),
        options: owned(&["defaults"]),
    });
    Mounts { mounted: mounted.collect(), configured: configured.collect() }
}

fn modules(plan: &Plan) -> Modules {
    let mut loaded = vec!["ext4", "virtio_blk", "virtio_net"];
    if service::data(plan.purpose).is_some() {
        loaded.push("xfs");
    }
    let barred = ["cramfs", "udf", "usb_storage"];
    let file = "/etc/modprobe.d/barred.conf";
    Modules {
        loaded: loaded.into_iter().map(str::to_owned).collect(),
        blacklisted: barred.map(|name| ModuleRule { name: name.to_owned(), file: file.to_owned() }).to_vec(),
        replaced: Vec::new(),
    }
}

fn jobs(plan: &Plan) -> Jobs {
    let mut jobs = vec![Job {
        kind: JobKind::Folder,
        file: "/etc/cron.daily/logrotate".to_owned(),
        schedule: "daily".to_owned(),
        user: "root".to_owned(),
        program: "/etc/cron.daily/logrotate".to_owned(),
        digest: Some(digest(plan, "logrotate")),
    }];
    if plan.purpose == Purpose::Database {
        jobs.push(Job {
            kind: JobKind::Cron,
            file: "/etc/cron.d/base-backup".to_owned(),
            schedule: "15 2 * * *".to_owned(),
            user: "postgres".to_owned(),
            program: "/usr/local/bin/base-backup".to_owned(),
            digest: Some(digest(plan, "base-backup")),
        });
    }
    jobs.sort();
    Jobs { jobs }
}

#[cfg(test)]
mod tests {
    use super::super::population::population;
    use super::*;

    #[test]
    fn every_host_tells_of_every_section_and_the_same_again() {
        let started = "2026-03-04T05:06:07Z".parse().unwrap();
        for plan in population(7) {
            let told = sections(&plan, &Standing::default(), started).unwrap();
            assert_eq!(told.len(), Name::ALL.len(), "{}", plan.name);
            assert_eq!(told, sections(&plan, &Standing::default(), started).unwrap());
        }
    }

    #[test]
    fn what_the_story_does_shows_in_the_facts() {
        let started = Timestamp::from_millis(0);
        let plan = population(7).into_iter().find(|plan| plan.purpose == Purpose::Edge).unwrap();
        let before = sections(&plan, &Standing::default(), started).unwrap();
        let standing = Standing {
            broken: vec![ROOT_LOGIN.to_owned()],
            updated: [("haproxy".to_owned(), "2.6.12-1+deb12u3".to_owned())].into(),
            silent: false,
        };
        let after = sections(&plan, &standing, started).unwrap();
        let changed: Vec<&String> =
            after.keys().filter(|name| before.get(*name) != after.get(*name)).collect();
        assert_eq!(changed, ["packages", "sshd"]);
    }
}
