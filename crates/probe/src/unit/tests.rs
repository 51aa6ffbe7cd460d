use std::process::Command;

use super::*;
use crate::tree;

const SERVICE: &str = "[Service]\nExecStart=/bin/x\n[Install]\nWantedBy=multi-user.target\n";

fn find_unit<'a>(units: &'a Units, name: &str) -> &'a Unit {
    units.units.iter().find(|unit| unit.name == name).unwrap()
}

#[test]
fn enablement_is_what_links_and_install_sections_make_it() {
    let root = tree::root(&[
        ("usr/lib/systemd/system/on.service", SERVICE),
        ("etc/systemd/system/multi-user.target.wants/on.service", "-> /usr/lib/systemd/system/on.service"),
        ("usr/lib/systemd/system/off.service", SERVICE),
        ("usr/lib/systemd/system/vendor.service", "[Service]\n"),
        ("usr/lib/systemd/system/basic.target.wants/vendor.service", "-> ../vendor.service"),
        ("usr/lib/systemd/system/also.service", "[Install]\nAlso=on.service\n"),
        ("usr/lib/systemd/system/masked.service", SERVICE),
        ("etc/systemd/system/masked.service", "-> /dev/null"),
        ("run/systemd/system/empty.service", ""),
        ("run/systemd/system/multi-user.target.wants/now.service", "-> /usr/lib/systemd/system/now.service"),
        ("usr/lib/systemd/system/now.service", SERVICE),
        ("run/systemd/generator/data.mount", "[Mount]\n"),
        ("usr/lib/systemd/system/named.service", SERVICE),
        ("etc/systemd/system/other.service", "-> /usr/lib/systemd/system/named.service"),
        ("usr/lib/systemd/system/getty@.service", SERVICE),
        (
            "etc/systemd/system/getty.target.wants/getty@tty1.service",
            "-> /usr/lib/systemd/system/getty@.service",
        ),
        ("etc/systemd/system/x.target.requires/gone.service", "-> /usr/lib/systemd/system/gone.service"),
    ]);
    let units = collect(&root).body;
    let seen: Vec<_> = units.units.iter().map(|unit| (unit.name.as_str(), unit.enablement)).collect();
    assert_eq!(
        seen,
        [
            ("also.service", Enablement::Indirect),
            ("data.mount", Enablement::Generated),
            ("empty.service", Enablement::MaskedRuntime),
            ("getty@.service", Enablement::Enabled),
            ("getty@tty1.service", Enablement::Enabled),
            ("gone.service", Enablement::Missing),
            ("masked.service", Enablement::Masked),
            ("named.service", Enablement::Enabled),
            ("now.service", Enablement::EnabledRuntime),
            ("off.service", Enablement::Disabled),
            ("on.service", Enablement::Enabled),
            ("vendor.service", Enablement::Static),
        ]
    );
    assert_eq!(find_unit(&units, "named.service").aliases, ["other.service"]);
    assert_eq!(find_unit(&units, "vendor.service").wanted_by, ["basic.target"]);
    assert_eq!(find_unit(&units, "gone.service").required_by, ["x.target"]);
}

#[test]
fn links_that_lead_nowhere_are_bad_and_no_masks() {
    let root = tree::root(&[
        ("usr/lib/systemd/system/here.service", SERVICE),
        ("etc/systemd/system/alias.service", "-> /usr/lib/systemd/system/removed.service"),
        ("etc/systemd/system/removed.service", "-> /usr/lib/systemd/system/removed.service"),
        ("etc/systemd/system/dbus-org.example.service", "-> /usr/lib/systemd/system/gone.service"),
        ("etc/systemd/system/a.service", "-> b.service"),
        ("etc/systemd/system/b.service", "-> a.service"),
        ("usr/lib/systemd/system/default.target", "-> graphical.target"),
    ]);
    let section = collect(&root);
    let seen: Vec<_> = section.body.units.iter().map(|unit| (unit.name.as_str(), unit.enablement)).collect();
    assert_eq!(
        seen,
        [
            ("a.service", Enablement::Bad),
            ("alias.service", Enablement::Bad),
            ("b.service", Enablement::Bad),
            ("dbus-org.example.service", Enablement::Bad),
            ("default.target", Enablement::Bad),
            ("here.service", Enablement::Disabled),
            ("removed.service", Enablement::Bad),
        ]
    );
    assert_eq!(section.body.default_target.as_deref(), Some("graphical.target"));
}

#[test]
fn drop_ins_apply_by_name_and_the_nearer_hides_its_namesake() {
    let root = tree::root(&[
        ("usr/lib/systemd/system/a-b.service", SERVICE),
        ("etc/systemd/system/a-b.service.d/20.conf", "[Service]\n"),
        ("usr/lib/systemd/system/a-b.service.d/20.conf", "hidden"),
        ("etc/systemd/system/a-.service.d/10.conf", "[Service]\n"),
        ("usr/lib/systemd/system/service.d/30.conf", "[Service]\n"),
    ]);
    let units = collect(&root).body;
    let paths: Vec<_> =
        find_unit(&units, "a-b.service").drop_ins.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/etc/systemd/system/a-.service.d/10.conf",
            "/etc/systemd/system/a-b.service.d/20.conf",
            "/usr/lib/systemd/system/service.d/30.conf",
        ]
    );
    assert_eq!(units.units.len(), 1);
}

#[test]
fn the_default_target_is_followed_to_its_end() {
    let root = tree::root(&[
        ("usr/lib/systemd/system/default.target", "-> graphical.target"),
        ("etc/systemd/system/default.target", "-> /lib/systemd/system/runlevel3.target"),
        ("usr/lib/systemd/system/runlevel3.target", "-> multi-user.target"),
        ("usr/lib/systemd/system/multi-user.target", "[Unit]\n"),
    ]);
    assert_eq!(collect(&root).body.default_target.as_deref(), Some("multi-user.target"));
}

#[test]
fn aliases_in_a_ring_end() {
    let root = tree::root(&[
        ("etc/systemd/system/a.service", "-> b.service"),
        ("etc/systemd/system/b.service", "-> a.service"),
    ]);
    collect(&root);
}

#[test]
fn scripts_come_with_their_run_levels() {
    let root = tree::root(&[
        ("etc/init.d/cron", "#!/bin/sh\n"),
        ("etc/init.d/README", ""),
        ("etc/rc2.d/S01cron", "-> ../init.d/cron"),
        ("etc/rc3.d/S01cron", "-> ../init.d/cron"),
        ("etc/rc6.d/K01cron", "-> ../init.d/cron"),
        ("etc/rc6.d/K01cronie", "-> ../init.d/cronie"),
    ]);
    let [script] = collect(&root).body.scripts.try_into().unwrap();
    assert_eq!(
        (script.started_in, script.stopped_in),
        (vec!["2".to_owned(), "3".to_owned()], vec!["6".to_owned()])
    );
}

#[test]
fn this_host_tells_the_same_twice_and_its_links_lead_to_units() {
    let section = collect(&Root::host());
    assert!(section.body.units.is_sorted_by(|a, b| a.name < b.name));
    tree::is_stable(|| collect(&Root::host()));
}

#[test]
fn enablement_is_what_systemctl_says_of_this_host() {
    // Without the manager's help, from the same files.
    let words = ["--root=/", "list-unit-files", "--no-legend", "--no-pager"];
    let Ok(output) = Command::new("systemctl").args(words).output() else {
        eprintln!("left out: there is no systemctl here");
        return;
    };
    let units = collect(&Root::host()).body;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(state)) = (words.next(), words.next()) else { continue };
        let Some(unit) = units.units.iter().find(|unit| unit.name == name) else {
            assert!(state == "alias" || state == "transient", "{name} is {state} to systemctl, and not seen");
            continue;
        };
        let seen = serde_json::to_value(unit.enablement).unwrap();
        assert_eq!(seen.as_str().unwrap().replace('_', "-"), state, "{name}");
    }
}
