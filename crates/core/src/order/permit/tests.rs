use super::*;
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

fn given(path: &str, owner: &str, group: &str) -> Fix {
    let (owner, group) = (Some(owner.to_owned()), Some(group.to_owned()));
    Fix::File { path: path.to_owned(), mode: None, owner, group }
}

fn checked(fix: &Fix) -> Result<(), Denied> {
    check(fix, &Host::default())
}

fn allowing(fix: &Fix) -> Host {
    Host { settings: BTreeSet::from([name(fix)]), own: Vec::new() }
}

#[test]
fn what_carries_a_command_or_takes_a_guard_away_is_refused_until_the_host_names_it() {
    let commands = [
        setting("/etc/ssh/sshd_config", "AuthorizedKeysCommand", "/tmp/x"),
        setting("/etc/ssh/sshd_config", "AuthorizedKeysFile", "/etc/ssh/k"),
        setting("/etc/ssh/sshd_config.d/a.conf", "ForceCommand", "/tmp/x"),
        setting("/etc/ssh/sshd_config", "Banner", "/etc/shadow"),
        setting("/etc/ssh/sshd_config", "PermitRootLogin", "yes"),
        setting("/etc/ssh/sshd_config", "Include", "/tmp/x"),
        setting("/etc/login.defs", "FAKE_SHELL", "/tmp/x"),
        setting("/etc/audit/auditd.conf", "space_left_action", "exec"),
        setting("/etc/postgresql/15/main/postgresql.conf", "archive_command", "cp"),
        setting("/etc/mysql/my.cnf", "plugin-load", "x"),
        setting("/etc/sudoers.d/x", "ALL", "ALL"),
        setting("/etc/cron.d/x", "MAILTO", "x"),
        setting("/etc/sysctl.d/x.conf", "kernel.core_pattern", "x"),
        setting("/etc/apt/sources.list.d/x.list", "deb", "x"),
        setting("/etc/default/ssh", "SSHD_OPTS", "x"),
        setting("/usr/local/bin/backup", "x", "y"),
        sysctl("kernel.core_pattern", "|/bin/sh"),
        sysctl("kernel/core_pattern", "/tmp/core"),
        sysctl("kernel.modprobe", "/tmp/x"),
        sysctl("kernel.usermodehelper.bset", "0"),
        sysctl("fs.binfmt_misc.register", "x"),
        sysctl("fs.suid_dumpable", "1"),
        sysctl("kernel.randomize_va_space", "0"),
        sysctl("kernel/yama/ptrace_scope", "0"),
        given("/etc/sudoers", "www-data", "root"),
        given("/etc/shadow", "root", "users"),
        Fix::Package { name: "auditd".to_owned(), installed: false },
        Fix::Package { name: "openssh-server".to_owned(), installed: false },
        Fix::Unit { name: "nftables.service".to_owned(), enabled: false },
        Fix::Unit { name: "auditd".to_owned(), enabled: false },
        Fix::Unit { name: "poweroff.target".to_owned(), enabled: true },
        Fix::Unit { name: "multi-user.target".to_owned(), enabled: false },
        Fix::Module { name: "evil".to_owned(), disabled: false },
    ];
    for fix in &commands {
        let refused = checked(fix);
        assert!(matches!(refused, Err(Denied::NotListed(_))), "{fix:?}: {refused:?}");
        assert_eq!(check(fix, &allowing(fix)), Ok(()), "{fix:?}");
    }
}

#[test]
fn plain_settings_are_set() {
    let plain = [
        setting("/etc/ssh/sshd_config", "PermitRootLogin", "no"),
        setting("/etc/ssh/sshd_config", "permitrootlogin", "no"),
        setting(
            "/etc/ssh/sshd_config.d/10-site.conf",
            "KexAlgorithms",
            "-*-sha1,sntrup761x25519-sha512@openssh.com",
        ),
        setting("/etc/ssh/sshd_config", "Banner", "/etc/issue.net"),
        setting("/etc/login.defs", "UMASK", "027"),
        sysctl("net.ipv4.conf.all.rp_filter", "1"),
        sysctl("net/ipv4/conf/eth0.100/rp_filter", "1"),
        sysctl("net.ipv4.tcp_rmem", "4096 87380 6291456"),
        sysctl("kernel.core_pattern", "core"),
        file("/etc/shadow", "640"),
        file("/tmp", "1777"),
        given("/etc/shadow", "root", "shadow"),
        Fix::Module { name: "usb-storage".to_owned(), disabled: true },
        Fix::Package { name: "libstdc++6".to_owned(), installed: true },
        Fix::Unit { name: "systemd-timesyncd.service".to_owned(), enabled: true },
        Fix::Unit { name: "rpcbind.socket".to_owned(), enabled: false },
        Fix::Package { name: "telnetd".to_owned(), installed: false },
        sysctl("kernel.randomize_va_space", "2"),
    ];
    for fix in &plain {
        assert_eq!(checked(fix), Ok(()), "{fix:?}");
    }
}

#[test]
fn nothing_reaches_the_agent_itself_even_where_the_host_allows_it() {
    let own = [
        setting("/etc/bartizan/agent.json", "allow", "enforce"),
        file("/var/lib/bartizan-agent/key", "640"),
        file("/etc", "700"),
        file("/opt/site/agent.json", "640"),
        file("/opt/site", "700"),
        Fix::Unit { name: "bartizan-agent.service".to_owned(), enabled: false },
        Fix::Unit { name: "debug-shell.service".to_owned(), enabled: true },
        Fix::Package { name: "bartizan-agent".to_owned(), installed: false },
    ];
    for fix in own {
        let host = Host { own: vec!["/opt/site/agent.json".to_owned()], ..allowing(&fix) };
        assert!(matches!(check(&fix, &host), Err(Denied::Own(_))), "{fix:?}");
    }
}

#[test]
fn a_value_can_become_no_second_setting_and_a_name_leads_nowhere_else() {
    let wrong = [
        setting("/etc/login.defs", "UMASK", "027\nFAKE yes"),
        setting("/etc/login.defs", "UMASK 027\n", "x"),
        setting("/etc/login.defs", "A=b", "x"),
        setting("/etc/login.defs", "", "x"),
        setting("/etc/ssh/sshd_config", "\"ForceCommand\"", "x"),
        setting("/etc/ssh/sshd_config", "Authorized\"KeysCommand\"", "x"),
        setting("etc/login.defs", "UMASK", "x"),
        setting("/etc/../etc/sudoers", "UMASK", "x"),
        setting("/etc//sudoers", "UMASK", "x"),
        sysctl("kernel.core_pattern\0", "x"),
        sysctl("kernel..x", "x"),
        sysctl("../../etc/passwd", "x"),
        sysctl("net/../../../etc/bartizan/agent.json", "x"),
        sysctl("net.//.//.//.etc.bartizan.agent/json", "x"),
        sysctl("net/ipv4/../../kernel/core_pattern", "core"),
        sysctl("net.//.//.kernel.core_pattern", "core"),
        sysctl("net", "1"),
        sysctl("net.ipv4.ip_forward", "1\n2"),
        file("/bin/sh", "4755"),
        file("/bin/sh", "2755"),
        file("/bin/sh", "u+s"),
        file("/bin/sh", "75"),
        file("/etc/passwd", "666"),
        file("/etc/passwd", "0664"),
        Fix::Module { name: "x; rm".to_owned(), disabled: true },
        Fix::Package { name: "-oDPkg::Pre-Invoke=x".to_owned(), installed: true },
        Fix::Package { name: "openssh-server-".to_owned(), installed: true },
        Fix::Package { name: "nmap+".to_owned(), installed: false },
        Fix::Package { name: ".*".to_owned(), installed: true },
        Fix::Unit { name: String::new(), enabled: true },
    ];
    for fix in &wrong {
        // Not even where the host's own file names it.
        assert!(check(fix, &allowing(fix)).is_err(), "{fix:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_let_through_is_one_line_and_stays_where_it_says(
        key in ".{0,30}", value in ".{0,30}", path in ".{0,30}",
        crooked in "(net|vm|kernel)?([./]{1,4}[a-z.]{0,6}){0,6}",
    ) {
        let fix = setting(&path, &key, &value);
        if check(&fix, &allowing(&fix)).is_ok() {
            prop_assert!(path.starts_with('/') && !path.split('/').any(|part| part == ".."));
            prop_assert!(![&key, &value].into_iter().any(|word| word.chars().any(char::is_control)));
        }
        for key in [&key, &crooked] {
            if let Some(parts) = parameter(key) {
                prop_assert!(parts.iter().all(|part| !part.contains('/') && !["", ".", ".."].contains(&part.as_str())));
            }
        }
    }
}
