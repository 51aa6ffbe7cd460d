//! Collecting a section by its name: the one door for whoever lists, hashes or reports sections.

use bartizan_core::canonical::{Error, Value};
use bartizan_core::fact::{Name, Section};
use serde::Serialize;

use crate::root::Root;
use crate::{
    account, certificate, drift, event, hardware, job, kernel, module, mount, os, packages, process, socket,
    ssh, sysctl, unit,
};

/// Collects one section; its body is the canonical value that its digest is over. The error is a bug:
/// a body that has no canonical form.
pub fn collect(root: &Root, name: Name) -> Result<Section<Value>, Error> {
    match name {
        Name::Os => canonical(os::collect(root)),
        Name::Packages => canonical(packages::collect(root)),
        Name::Kernel => canonical(kernel::collect(root)),
        Name::Hardware => canonical(hardware::collect(root)),
        Name::Units => canonical(unit::collect(root)),
        Name::Sockets => canonical(socket::collect(root)),
        Name::Processes => canonical(process::collect(root)),
        Name::Accounts => canonical(account::collect(root)),
        Name::Sudoers => canonical(account::sudoers::collect(root)),
        Name::Sshd => canonical(ssh::collect(root)),
        Name::Sysctl => canonical(sysctl::collect(root)),
        Name::Mounts => canonical(mount::collect(root)),
        Name::Modules => canonical(module::collect(root)),
        Name::Jobs => canonical(job::collect(root)),
        Name::Certificates => canonical(certificate::collect(root)),
        Name::Sources => canonical(event::collect(root)),
        Name::Drift => canonical(drift::collect()),
    }
}

fn canonical<T: Serialize>(section: Section<T>) -> Result<Section<Value>, Error> {
    Ok(Section { body: Value::from_data(&section.body)?, unknown: section.unknown })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree;

    /// Files that a host's own users write, or that may be torn.
    const FILES: [&str; 16] = [
        "etc/passwd",
        "etc/shadow",
        "etc/group",
        "etc/sudoers",
        "etc/sudoers.d/a",
        "etc/ssh/sshd_config",
        "etc/ssh/sshd_config.d/a.conf",
        "etc/ssh/ssh_host_x_key.pub",
        "etc/fstab",
        "etc/crontab",
        "etc/anacrontab",
        "etc/modprobe.d/a.conf",
        "etc/sysctl.d/a.conf",
        "etc/ssl/a.pem",
        "etc/systemd/system/a.timer",
        "etc/systemd/system/timers.target.wants/a.timer",
    ];

    /// Text of the pieces that these files are made of, in no order.
    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                "root", "ALL", "=", ":", ",", "(", ")", "\"", "\\", "\\\n", "#", " ", "\t", "\n", "\n", "!", "%", "*",
                "@daily", "NOPASSWD:", "@include /etc/sudoers\n", "@includedir /etc/sudoers.d\n", "Defaults",
                "User_Alias", "Include ", "Match User x\n", "/etc/ssh/*\n", "sshd_config", "$6$", "0", "[Timer]\n",
                "OnCalendar=", "Unit=", "a.timer", "-----BEGIN CERTIFICATE-----\n", "MIIB",
                "-----END CERTIFICATE-----\n", "ssh-rsa AAAAB3NzaC1yc2E=", "blacklist ", "\\040", "é",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_the_files_hold_every_section_is_answered(texts in prop::collection::vec(any_text(), FILES.len())) {
            let files: Vec<(&str, &str)> = FILES.into_iter().zip(texts.iter().map(String::as_str)).collect();
            let root = tree::root(&files);
            for name in Name::ALL {
                let section = collect(&root, name).unwrap();
                prop_assert_eq!(&collect(&root, name).unwrap(), &section);
                prop_assert!(section.unknown.is_sorted());
            }
        }
    }

    #[test]
    fn every_section_of_this_host_and_of_an_empty_root_has_a_canonical_form() {
        let empty = tree::root(&[]);
        for name in Name::ALL {
            for root in [&Root::host(), &*empty] {
                let section = collect(root, name).unwrap();
                let text = section.body.to_canonical();
                assert_eq!(Value::parse(&text).unwrap(), section.body, "{name}");
            }
        }
    }
}
