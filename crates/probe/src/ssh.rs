//! The `sshd` section: the settings that the SSH server would run with (sshd_config(5)).
//!
//! The first value of a key counts, wherever an `Include` brings it in; `Match` blocks are kept
//! apart, since they hold for some connections only.

pub(crate) mod default;
mod file;
mod key;

use bartizan_core::fact::Section;
use bartizan_core::fact::ssh::{Setting, Source, Sshd};
use bartizan_core::verdict::Reason;

use crate::look::text;
use crate::root::{CONFIGURATION, Limit, Root};

const MAIN: &str = "/etc/ssh/sshd_config";
const PROGRAMS: [&str; 2] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];

/// Where a service's file may add options to the command line, and the variable that holds them.
pub(crate) const OPTIONS: [(&str, &str); 2] =
    [("/etc/default/ssh", "SSHD_OPTS"), ("/etc/sysconfig/sshd", "OPTIONS")];

/// The list of installed packages, as probe reads it for the server's build.
const DPKG_STATUS: Limit = Limit { name: "dpkg status", bytes: 256 << 20 };

/// Builds whose compiled defaults are known.
pub(crate) const KNOWN_BUILD: &str = "1:9.2p1-2+deb12";

pub fn collect(root: &Root) -> Section<Sshd> {
    let mut section = Section::new(Sshd::default());
    section.body.installed = root.exists(MAIN) || PROGRAMS.iter().any(|program| root.exists(program));
    if !section.body.installed {
        return section;
    }
    file::read_all(root, MAIN, &mut section);
    for (path, variable) in OPTIONS {
        let text = text(root, path, CONFIGURATION, &mut section).unwrap_or_default();
        if has_options(&text, variable) {
            section.miss(format!("options on sshd's command line from {path}"), Reason::Unsupported);
        }
    }
    if is_known_build(root) {
        default::fill(&mut section.body.settings);
    } else {
        section.miss("settings that nothing sets", Reason::Unsupported);
    }
    key::read(root, &mut section);
    // Stable: several values of one key stay in their order.
    section.body.settings.sort_by(|a, b| a.key.cmp(&b.key));
    section
}

pub(crate) fn has_options(text: &str, variable: &str) -> bool {
    text.lines().any(|line| {
        let value = line.trim().strip_prefix(variable).and_then(|rest| rest.strip_prefix('='));
        value.is_some_and(|value| !value.trim_matches(['"', '\'', ' ']).is_empty())
    })
}

/// Whether the server is the build whose defaults are known.
fn is_known_build(root: &Root) -> bool {
    let Ok(status) = root.read_text("/var/lib/dpkg/status", DPKG_STATUS) else { return false };
    let mut ours = false;
    for line in status.text.lines() {
        if let Some(name) = line.strip_prefix("Package: ") {
            ours = name == "openssh-server";
        } else if let Some(version) = line.strip_prefix("Version: ").filter(|_| ours) {
            return version.starts_with(KNOWN_BUILD);
        }
    }
    false
}

/// The values of one key, of those that are set for everybody.
fn values<'a>(settings: &'a [Setting], key: &str) -> Vec<&'a Setting> {
    settings.iter().filter(|setting| setting.key == key).collect()
}

fn from_default(key: &str, value: &str) -> Setting {
    Setting { key: key.to_owned(), value: value.to_owned(), source: Source::Default }
}

#[cfg(test)]
mod tests;
