//! The deny list: settings that carry a command, or that hand out the right to run one. Setting
//! them is code execution, so that no server may, unless the host's own root-owned file names the
//! setting.
//!
//! Names are compared without case and without what a format lets one vary (`_` and `-` in none
//! of them). What a value may be is held here too: one line, so that no value becomes a second
//! setting.

use std::collections::BTreeSet;

use crate::configuration::baseline::Fix;

/// The longest value that a setting gets, in bytes.
const VALUE_BYTES_LIMIT: usize = 4_096;

/// Folders and files whose content is commands, or says who may run some. No fix writes there.
const PATHS: &[&str] = &[
    "/etc/sudoers",
    "/etc/sudoers.d/",
    "/etc/doas.conf",
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.",
    "/var/spool/cron/",
    "/etc/systemd/system/",
    "/etc/systemd/user/",
    "/usr/lib/systemd/",
    "/lib/systemd/",
    "/run/systemd/",
    "/etc/init.d/",
    "/etc/inittab",
    "/etc/rc",
    "/etc/profile",
    "/etc/bash.",
    "/etc/bashrc",
    "/etc/zsh",
    "/etc/environment",
    "/etc/ld.so",
    "/etc/pam.d/",
    "/etc/pam.conf",
    "/etc/security/pam_env.conf",
    "/etc/modprobe.d/",
    "/etc/modules-load.d/",
    "/etc/udev/",
    "/etc/apt/apt.conf",
    "/etc/dpkg/",
    "/etc/yum",
    "/etc/dnf/",
    "/etc/logrotate",
    "/etc/inetd.conf",
    "/etc/xinetd",
    "/etc/NetworkManager/dispatcher.d/",
    "/etc/network/",
    "/etc/ppp/",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/root/",
    "/home/",
];

/// The agent's own configuration: no order reaches it, whatever the host allows.
const OWN_PATHS: &[&str] = &["/etc/bartizan", "/var/lib/bartizan"];

/// Keys that hold a command wherever they stand: of sshd_config(5) and ssh_config(5), of
/// PostgreSQL, of Redis, of resolvers and daemons.
const KEYS: &[&str] = &[
    "authorizedkeyscommand",
    "authorizedprincipalscommand",
    "forcecommand",
    "subsystem",
    "proxycommand",
    "localcommand",
    "knownhostscommand",
    "permituserenvironment",
    "archive_command",
    "archive_cleanup_command",
    "archive_library",
    "restore_command",
    "recovery_end_command",
    "ssl_passphrase_command",
    "shared_preload_libraries",
    "session_preload_libraries",
    "local_preload_libraries",
    "dynamic_library_path",
    "jit_provider",
    "loadmodule",
    "enable_module_command",
    "plugin_load",
    "plugin_load_add",
    "plugin_dir",
    "init_file",
    "execstart",
    "execstartpre",
    "execstartpost",
    "execstop",
    "execstoppost",
    "execreload",
    "execcondition",
    "environmentfile",
];

/// Kernel parameters that name a program, or open a way to one (admin-guide/sysctl of the kernel's
/// documentation). `core_pattern` is looked at by its value.
const PARAMETERS: &[&str] =
    &["kernel.modprobe", "kernel.hotplug", "kernel.poweroff_cmd", "kernel.modules_disabled"];

/// Families of parameters of the same kind.
const PARAMETER_FAMILIES: &[&str] = &["kernel.usermodehelper.", "fs.binfmt_misc."];

/// Why a setting is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("`{0}` carries a command or hands out rights; the host's own file may allow it by that name")]
    Command(String),
    #[error("`{0}` belongs to the agent itself")]
    Own(String),
    #[error("the {0} has to be one line of at most {VALUE_BYTES_LIMIT} bytes, without control characters")]
    Text(&'static str),
    #[error("`{0}` is no path from the root without `.` and `..`")]
    Path(String),
    #[error("`{0}` gives whoever runs the file the rights of its owner")]
    SetId(String),
    #[error("`{0}` is no mode of three or four octal digits")]
    Mode(String),
}

/// The name by which a host's own file allows what the deny list holds.
pub fn name(fix: &Fix) -> String {
    match fix {
        Fix::Setting { file, key, .. } => format!("setting:{file}:{}", key.to_ascii_lowercase()),
        Fix::Sysctl { key, .. } => format!("sysctl:{}", parameter(key)),
        Fix::Package { name, .. } => format!("package:{name}"),
        Fix::Unit { name, .. } => format!("unit:{name}"),
        Fix::File { path, .. } => format!("file:{path}"),
        Fix::Module { name, .. } => format!("module:{name}"),
    }
}

/// Whether a fix is nothing but a setting, or the host allows what it is beside that.
pub fn check(fix: &Fix, allowed: &BTreeSet<String>) -> Result<(), Denied> {
    let command = || {
        let name = name(fix);
        if allowed.contains(&name) { Ok(()) } else { Err(Denied::Command(name)) }
    };
    match fix {
        Fix::Setting { file, section, key, value, .. } => {
            path(file)?;
            for (what, word) in [("key", Some(key)), ("section", section.as_ref()), ("value", Some(value))] {
                word.map_or(Ok(()), |word| text(what, word))?;
            }
            // A key that brings its own separator would set another one.
            if key.trim().is_empty() || key.contains(['=', '#', '[', ']', '\u{20}']) {
                return Err(Denied::Text("key"));
            }
            let word = key.to_ascii_lowercase();
            let last = word.rsplit('.').next().unwrap_or_default();
            if within(file, PATHS) || KEYS.contains(&word.as_str()) || KEYS.contains(&last) {
                return command();
            }
            Ok(())
        }
        Fix::Sysctl { key, value } => {
            text("key", key)?;
            text("value", value)?;
            let parameter = parameter(key);
            let known = parameter.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c));
            if !known || parameter.split('.').any(|part| part.is_empty() || part == "/") {
                return Err(Denied::Text("key"));
            }
            let family = PARAMETER_FAMILIES.iter().any(|family| parameter.starts_with(family));
            let pipe = parameter == "kernel.core_pattern" && value.trim_start().starts_with('|');
            if PARAMETERS.contains(&parameter.as_str()) || family || pipe { command() } else { Ok(()) }
        }
        Fix::File { path: file, mode, owner, group } => {
            path(file)?;
            for (what, word) in [("owner", owner), ("group", group)] {
                word.as_ref().map_or(Ok(()), |word| text(what, word))?;
            }
            match mode {
                Some(mode) => set_id(mode),
                None => Ok(()),
            }
        }
        Fix::Module { name: word, .. } | Fix::Package { name: word, .. } | Fix::Unit { name: word, .. } => {
            let good = |c: char| c.is_ascii_alphanumeric() || "+-._@:\\".contains(c);
            let named =
                !word.is_empty() && word.len() <= 256 && !word.starts_with('-') && word.chars().all(good);
            if named { Ok(()) } else { Err(Denied::Text("name")) }
        }
    }
}

/// A parameter's name with dots, however it was written.
fn parameter(key: &str) -> String {
    // sysctl(8): the first separator tells which of the two separates.
    let slashes = key.find('/').unwrap_or(usize::MAX) < key.find('.').unwrap_or(usize::MAX);
    if !slashes {
        return key.to_ascii_lowercase();
    }
    let swap = |c| match c {
        '/' => '.',
        '.' => '/',
        other => other,
    };
    key.chars().map(swap).collect::<String>().to_ascii_lowercase()
}

fn within(file: &str, places: &[&str]) -> bool {
    places.iter().any(|place| file.starts_with(place))
}

fn path(file: &str) -> Result<(), Denied> {
    text("path", file)?;
    let mut parts = file.split('/');
    let absolute = parts.next() == Some("") && parts.all(|part| !matches!(part, "" | "." | ".."));
    if !absolute {
        return Err(Denied::Path(file.to_owned()));
    }
    if within(file, OWN_PATHS) { Err(Denied::Own(file.to_owned())) } else { Ok(()) }
}

fn text(what: &'static str, word: &str) -> Result<(), Denied> {
    let good = word.len() <= VALUE_BYTES_LIMIT && !word.chars().any(char::is_control);
    if good { Ok(()) } else { Err(Denied::Text(what)) }
}

fn set_id(mode: &str) -> Result<(), Denied> {
    let digits = (3..=4).contains(&mode.len()) && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let bits =
        u32::from_str_radix(mode, 8).ok().filter(|_| digits).ok_or_else(|| Denied::Mode(mode.to_owned()))?;
    // The sticky bit (01000) hands out nothing.
    if bits & 0o6000 == 0 { Ok(()) } else { Err(Denied::SetId(mode.to_owned())) }
}

#[cfg(test)]
mod tests;
