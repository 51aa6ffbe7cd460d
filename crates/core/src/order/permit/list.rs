//! The list itself. An entry is here because the manual of the program that reads the file says
//! that the key takes no path, no command and no name of a program.

/// One file, or one folder of drop-ins, and the keys in it that may be set.
pub(super) struct File {
    path: &'static str,
    pub(super) keys: &'static [(&'static str, Values)],
}

/// What a key's value may be.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// One word: a number, a flag, a name.
    Word,
    /// Words, and lists of them.
    Words,
    /// One of these.
    Of(&'static [&'static str]),
}

use Values::{Of, Word, Words};

impl File {
    /// Whether it is this file; a folder stands for the `.conf` files in it.
    pub(super) fn is(&self, file: &str) -> bool {
        match self.path.strip_suffix('/') {
            Some(folder) => file
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|name| !name.contains('/') && name.ends_with(".conf")),
            None => file == self.path,
        }
    }
}

/// sshd_config(5), without what names a file, a command or a variable.
const SSHD: &[(&str, Values)] = &[
    ("AddressFamily", Word),
    ("AllowAgentForwarding", Word),
    ("AllowGroups", Words),
    ("AllowStreamLocalForwarding", Word),
    ("AllowTcpForwarding", Word),
    ("AllowUsers", Words),
    ("Banner", Of(&["none", "/etc/issue", "/etc/issue.net"])),
    ("ChallengeResponseAuthentication", Word),
    ("Ciphers", Words),
    ("ClientAliveCountMax", Word),
    ("ClientAliveInterval", Word),
    ("Compression", Word),
    ("DenyGroups", Words),
    ("DenyUsers", Words),
    ("DisableForwarding", Word),
    ("GatewayPorts", Word),
    ("GSSAPIAuthentication", Word),
    ("HostbasedAuthentication", Word),
    ("HostKeyAlgorithms", Words),
    ("IgnoreRhosts", Word),
    ("IgnoreUserKnownHosts", Word),
    ("KbdInteractiveAuthentication", Word),
    ("KerberosAuthentication", Word),
    ("KexAlgorithms", Words),
    ("LogLevel", Word),
    ("LoginGraceTime", Word),
    ("MACs", Words),
    ("MaxAuthTries", Word),
    ("MaxSessions", Word),
    ("MaxStartups", Word),
    ("PasswordAuthentication", Word),
    ("PermitEmptyPasswords", Of(&["no"])),
    ("PermitRootLogin", Of(&["no", "prohibit-password", "forced-commands-only"])),
    ("PermitTunnel", Of(&["no"])),
    ("PermitUserEnvironment", Of(&["no"])),
    ("PrintLastLog", Word),
    ("PrintMotd", Word),
    ("PubkeyAcceptedAlgorithms", Words),
    ("PubkeyAuthentication", Word),
    ("RekeyLimit", Words),
    ("StrictModes", Of(&["yes"])),
    ("SyslogFacility", Word),
    ("TCPKeepAlive", Word),
    ("UseDNS", Word),
    ("UsePAM", Of(&["yes"])),
    ("X11Forwarding", Of(&["no"])),
    ("X11UseLocalhost", Of(&["yes"])),
];

/// login.defs(5), without commands, paths and what names a shell.
const LOGIN: &[(&str, Values)] = &[
    ("ENCRYPT_METHOD", Word),
    ("FAILLOG_ENAB", Word),
    ("HOME_MODE", Word),
    ("LOGIN_RETRIES", Word),
    ("LOGIN_TIMEOUT", Word),
    ("LOG_OK_LOGINS", Word),
    ("LOG_UNKFAIL_ENAB", Word),
    ("PASS_MAX_DAYS", Word),
    ("PASS_MIN_DAYS", Word),
    ("PASS_MIN_LEN", Word),
    ("PASS_WARN_AGE", Word),
    ("SHA_CRYPT_MAX_ROUNDS", Word),
    ("SHA_CRYPT_MIN_ROUNDS", Word),
    ("SYSLOG_SG_ENAB", Word),
    ("SYSLOG_SU_ENAB", Word),
    ("UMASK", Word),
    ("USERGROUPS_ENAB", Word),
    ("YESCRYPT_COST_FACTOR", Word),
];

/// pwquality.conf(5), without the paths of its dictionaries.
const PASSWORD_QUALITY: &[(&str, Values)] = &[
    ("dcredit", Word),
    ("dictcheck", Word),
    ("difok", Word),
    ("enforce_for_root", Word),
    ("enforcing", Word),
    ("gecoscheck", Word),
    ("lcredit", Word),
    ("maxclassrepeat", Word),
    ("maxrepeat", Word),
    ("maxsequence", Word),
    ("minclass", Word),
    ("minlen", Word),
    ("ocredit", Word),
    ("retry", Word),
    ("ucredit", Word),
    ("usercheck", Word),
];

/// faillock.conf(5), without its folder.
const LOCKOUT: &[(&str, Values)] = &[
    ("audit", Word),
    ("deny", Word),
    ("even_deny_root", Word),
    ("fail_interval", Word),
    ("root_unlock_time", Word),
    ("silent", Word),
    ("unlock_time", Word),
];

/// journald.conf(5).
const JOURNAL: &[(&str, Values)] = &[
    ("Compress", Word),
    ("ForwardToSyslog", Word),
    ("MaxRetentionSec", Word),
    ("RateLimitBurst", Word),
    ("RateLimitIntervalSec", Word),
    ("RuntimeMaxUse", Word),
    ("Seal", Word),
    ("Storage", Word),
    ("SystemKeepFree", Word),
    ("SystemMaxUse", Word),
];

/// auditd.conf(5): its actions may be `exec PATH`, so that each takes one of the words alone.
const AUDIT_ACTIONS: Values =
    Of(&["ignore", "syslog", "rotate", "suspend", "keep_logs", "email", "single", "halt"]);
const AUDIT: &[(&str, Values)] = &[
    ("admin_space_left", Word),
    ("admin_space_left_action", AUDIT_ACTIONS),
    ("disk_error_action", AUDIT_ACTIONS),
    ("disk_full_action", AUDIT_ACTIONS),
    ("max_log_file", Word),
    ("max_log_file_action", AUDIT_ACTIONS),
    ("num_logs", Word),
    ("space_left", Word),
    ("space_left_action", AUDIT_ACTIONS),
];

pub(super) const FILES: &[File] = &[
    File { path: "/etc/ssh/sshd_config", keys: SSHD },
    File { path: "/etc/ssh/sshd_config.d/", keys: SSHD },
    File { path: "/etc/login.defs", keys: LOGIN },
    File { path: "/etc/security/pwquality.conf", keys: PASSWORD_QUALITY },
    File { path: "/etc/security/pwquality.conf.d/", keys: PASSWORD_QUALITY },
    File { path: "/etc/security/faillock.conf", keys: LOCKOUT },
    File { path: "/etc/systemd/journald.conf", keys: JOURNAL },
    File { path: "/etc/systemd/journald.conf.d/", keys: JOURNAL },
    File { path: "/etc/systemd/coredump.conf", keys: &[("ProcessSizeMax", Word), ("Storage", Word)] },
    File { path: "/etc/systemd/timesyncd.conf", keys: &[("NTP", Words), ("FallbackNTP", Words)] },
    File { path: "/etc/audit/auditd.conf", keys: AUDIT },
];

/// What guards a host, as a package or as a unit: an order may bring it, and take it away only where the host
/// itself allows that.
pub(super) const GUARDS: &[&str] = &[
    "NetworkManager",
    "aide",
    "apparmor",
    "apt-daily",
    "apt-daily-upgrade",
    "auditd",
    "chrony",
    "chronyd",
    "cron",
    "dnf-automatic",
    "fail2ban",
    "firewalld",
    "iptables",
    "libpam-modules",
    "libpam-pwquality",
    "netfilter-persistent",
    "nftables",
    "ntpsec",
    "openssh-server",
    "rsyslog",
    "ssh",
    "sshd",
    "sudo",
    "syslog-ng",
    "systemd-journald",
    "systemd-networkd",
    "systemd-timesyncd",
    "ufw",
    "unattended-upgrades",
];

/// Parameters that guard a host by one direction alone.
const STRICT: &[(&str, &[&str])] = &[
    ("fs.protected_fifos", &["1", "2"]),
    ("fs.protected_hardlinks", &["1"]),
    ("fs.protected_regular", &["1", "2"]),
    ("fs.protected_symlinks", &["1"]),
    ("fs.suid_dumpable", &["0"]),
    ("kernel.dmesg_restrict", &["1"]),
    ("kernel.kexec_load_disabled", &["1"]),
    ("kernel.kptr_restrict", &["1", "2"]),
    ("kernel.perf_event_paranoid", &["2", "3", "4"]),
    ("kernel.randomize_va_space", &["2"]),
    ("kernel.unprivileged_bpf_disabled", &["1", "2"]),
    ("kernel.yama.ptrace_scope", &["1", "2", "3"]),
    ("vm.mmap_min_addr", &["65536"]),
    ("vm.unprivileged_userfaultfd", &["0"]),
];

/// Parameters beside the network's and the memory's that are numbers and nothing else
/// (admin-guide/sysctl of the kernel's documentation).
const PARAMETERS: &[&str] = &[
    "dev.tty.ldisc_autoload",
    "kernel.core_uses_pid",
    "kernel.ctrl-alt-del",
    "kernel.io_uring_disabled",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.sysrq",
    "kernel.unprivileged_userns_clone",
    "user.max_user_namespaces",
];

/// Whether a parameter may get this value.
pub(super) fn parameter(parts: &[String], value: &str) -> bool {
    let name = parts.join(".");
    let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || " \t_-.".contains(c));
    // `core` and the like: no pipe, and no path.
    if name == "kernel.core_pattern" {
        return value.chars().all(|c| c.is_ascii_alphanumeric() || "._-%".contains(c));
    }
    if let Some((_, values)) = STRICT.iter().find(|(known, _)| *known == name) {
        return values.contains(&value);
    }
    let family = parts.first().is_some_and(|first| first == "net" || first == "vm");
    plain && (family || PARAMETERS.contains(&name.as_str()))
}
