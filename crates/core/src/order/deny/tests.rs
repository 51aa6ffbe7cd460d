use super::*;
use crate::configuration::baseline::Format;
use proptest::prelude::*;

fn setting(file: &str, key: &str, value: &str) -> Fix {
    Fix::Setting {
        file: file.to_owned(),
        format: Format::KeyValue,
        section: None,
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn sysctl(key: &str, value: &str) -> Fix {
    Fix::Sysctl { key: key.to_owned(), value: value.to_owned() }
}

fn file(path: &str, mode: &str) -> Fix {
    Fix::File { path: path.to_owned(), mode: Some(mode.to_owned()), owner: None, group: None }
}

fn checked(fix: &Fix) -> Result<(), Denied> {
    check(fix, &BTreeSet::new())
}

#[test]
fn settings_that_carry_a_command_are_refused_until_the_host_names_them() {
    let commands = [
        setting("/etc/ssh/sshd_config", "AuthorizedKeysCommand", "/tmp/x"),
        setting("/etc/ssh/sshd_config.d/a.conf", "authorizedprincipalscommand", "/tmp/x"),
        setting("/etc/ssh/sshd_config", "ForceCommand", "/tmp/x"),
        setting("/etc/postgresql/15/main/postgresql.conf", "archive_command", "cp %p /tmp"),
        setting("/etc/postgresql/15/main/postgresql.conf", "Shared_Preload_Libraries", "x"),
        setting("/etc/sudoers.d/x", "ALL", "ALL"),
        setting("/etc/cron.d/x", "MAILTO", "x"),
        setting("/etc/systemd/system/x.service", "Restart", "always"),
        setting("/etc/ld.so.preload", "x", "y"),
        sysctl("kernel.core_pattern", "|/bin/sh"),
        sysctl("kernel.core_pattern", "  |/bin/sh"),
        sysctl("kernel/core_pattern", "|/bin/sh"),
        sysctl("KERNEL.modprobe", "/tmp/x"),
        sysctl("kernel.usermodehelper.bset", "0 0"),
        sysctl("fs.binfmt_misc.register", ":x:"),
    ];
    for fix in &commands {
        let refused = checked(fix);
        assert!(matches!(refused, Err(Denied::Command(_))), "{fix:?}: {refused:?}");
        assert_eq!(check(fix, &BTreeSet::from([name(fix)])), Ok(()), "{fix:?}");
    }
}

#[test]
fn plain_settings_are_set() {
    let plain = [
        setting("/etc/ssh/sshd_config", "PermitRootLogin", "no"),
        setting("/etc/login.defs", "UMASK", "027"),
        sysctl("net.ipv4.conf.all.rp_filter", "1"),
        sysctl("net/ipv4/conf/eth0.100/rp_filter", "1"),
        sysctl("kernel.core_pattern", "core"),
        file("/etc/shadow", "640"),
        file("/tmp", "1777"),
        Fix::Module { name: "usb-storage".to_owned(), disabled: true },
        Fix::Package { name: "libstdc++6".to_owned(), installed: true },
        Fix::Unit { name: "systemd-timesyncd.service".to_owned(), enabled: true },
    ];
    for fix in &plain {
        assert_eq!(checked(fix), Ok(()), "{fix:?}");
    }
}

#[test]
fn nothing_reaches_the_agent_itself_even_where_the_host_allows_it() {
    for fix in
        [setting("/etc/bartizan/agent.yaml", "allow", "enforce"), file("/var/lib/bartizan-agent/key", "644")]
    {
        assert!(matches!(check(&fix, &BTreeSet::from([name(&fix)])), Err(Denied::Own(_))), "{fix:?}");
    }
}

#[test]
fn a_value_can_become_no_second_setting_and_a_path_leads_nowhere_else() {
    let wrong = [
        setting("/etc/login.defs", "UMASK", "027\nFAKE yes"),
        setting("/etc/login.defs", "UMASK 027\n", "x"),
        setting("/etc/login.defs", "A=b", "x"),
        setting("/etc/login.defs", "", "x"),
        setting("etc/login.defs", "UMASK", "x"),
        setting("/etc/../etc/sudoers", "UMASK", "x"),
        setting("/etc//sudoers", "UMASK", "x"),
        sysctl("kernel.core_pattern\0", "x"),
        sysctl("kernel..x", "x"),
        sysctl("../../etc/passwd", "x"),
        sysctl("net.ipv4.ip_forward", "1\n2"),
        file("/bin/sh", "4755"),
        file("/bin/sh", "2755"),
        file("/bin/sh", "u+s"),
        file("/bin/sh", "75"),
        Fix::Module { name: "x; rm".to_owned(), disabled: true },
        Fix::Package { name: "-oDPkg::Pre-Invoke=x".to_owned(), installed: true },
        Fix::Unit { name: String::new(), enabled: true },
    ];
    for fix in &wrong {
        assert!(checked(fix).is_err(), "{fix:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_let_through_is_one_line_and_stays_below_the_root(key in ".{0,40}", value in ".{0,40}", path in ".{0,40}") {
        if checked(&setting(&path, &key, &value)).is_ok() {
            prop_assert!(path.starts_with('/') && !path.split('/').any(|part| part == ".."));
            prop_assert!(![&key, &value].into_iter().any(|word| word.chars().any(char::is_control)));
        }
        if checked(&sysctl(&key, &value)).is_ok() {
            prop_assert!(!key.contains("..") && !value.contains('\n'));
        }
    }
}
