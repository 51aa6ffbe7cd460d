//! What an order may set where the host's own file names nothing: a short list of settings, each
//! known to carry no command and to hand out no right. Everything else is refused until the host's
//! own root-owned file names it, since a setting that carries a command is code execution.
//!
//! It is a list of what may be, not of what may not: a list of bad settings would have to know
//! every program that reads a file as commands, now and later. What a value may be is held here,
//! too: one line of plain letters, so that no value becomes a second setting.

use std::collections::BTreeSet;

use crate::configuration::baseline::{Fix, Format};

mod list;

use list::{File, Values};

/// The longest value that a setting gets, in bytes.
const VALUE_BYTES_LIMIT: usize = 4_096;

/// The agent's own configuration, wherever else it was told to keep it: no order reaches it,
/// whatever the host allows.
const OWN_PATHS: &[&str] = &["/etc/bartizan", "/var/lib/bartizan"];

/// Units that are the agent, or a shell for whoever stands before the machine.
const OWN_UNITS: &[&str] = &["bartizan", "debug-shell", "emergency", "rescue"];

/// Packages that are the agent: without it nobody sees what becomes of the host.
const OWN_PACKAGES: &str = "bartizan";

/// Groups that a file may be given to: each of the system's own, and none that people are in.
const GROUPS: &[&str] =
    &["root", "0", "shadow", "utmp", "crontab", "ssl-cert", "systemd-journal", "ssh_keys", "_ssh"];

/// Why a fix is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("`{0}` is not among what an order may set; the host's own file may allow it by that name")]
    NotListed(String),
    #[error("`{0}` belongs to the agent itself, or opens a shell")]
    Own(String),
    #[error("the {0} has to be one line of at most {VALUE_BYTES_LIMIT} bytes, without control characters")]
    Text(&'static str),
    #[error("`{0}` is no path from the root without `.` and `..`")]
    Path(String),
    #[error("`{0}` is no key: it takes letters, digits, `_`, `-` and `.`")]
    Key(String),
    #[error("`{0}` is no name of a kernel parameter")]
    Parameter(String),
    #[error("`{0}` gives whoever runs the file the rights of its owner, or lets others write to it")]
    Mode(String),
}

/// What a host's own file says beside the list, and what is the agent's own there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Names of what may be set after all ([`name`]).
    pub settings: BTreeSet<String>,
    /// Paths of the agent's own, beside the usual ones.
    pub own: Vec<String>,
}

/// The name by which a host's own file allows what the list does not hold.
pub fn name(fix: &Fix) -> String {
    match fix {
        Fix::Setting { file, key, .. } => format!("setting:{file}:{}", plain(key)),
        Fix::Sysctl { key, .. } => match parameter(key) {
            Some(parts) => format!("sysctl:{}", parts.join("/")),
            None => format!("sysctl:{key}"),
        },
        Fix::Package { name, .. } => format!("package:{name}"),
        Fix::Unit { name, .. } => format!("unit:{name}"),
        Fix::File { path, .. } => format!("file:{path}"),
        Fix::Module { name, .. } => format!("module:{name}"),
    }
}

/// Whether a fix is on the list, or the host allows it by name.
pub fn check(fix: &Fix, host: &Host) -> Result<(), Denied> {
    let listed = match fix {
        Fix::Setting { file, format, section, key, value } => {
            path(file, host)?;
            text("value", value)?;
            let keyed = |word: &str| {
                let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
                !word.is_empty() && word.len() <= 128 && word.chars().all(good)
            };
            if !keyed(key) {
                return Err(Denied::Key(key.clone()));
            }
            if let Some(section) = section.as_ref().filter(|section| !section.is_empty() && !keyed(section)) {
                return Err(Denied::Key(section.clone()));
            }
            setting(file, *format, key, value)
        }
        Fix::Sysctl { key, value } => {
            text("value", value)?;
            let parts = parameter(key).ok_or_else(|| Denied::Parameter(key.clone()))?;
            list::parameter(&parts, value)
        }
        Fix::File { path: file, mode, owner, group } => {
            path(file, host)?;
            for (what, word) in [("owner", owner), ("group", group)] {
                word.as_ref().map_or(Ok(()), |word| text(what, word))?;
            }
            mode.as_deref().map_or(Ok(()), self::mode)?;
            let roots = owner.as_deref().is_none_or(|owner| ["root", "0"].contains(&owner));
            roots && group.as_deref().is_none_or(|group| GROUPS.contains(&group))
        }
        Fix::Module { name: word, disabled } => {
            named(word)?;
            *disabled
        }
        Fix::Package { name: word, installed } => {
            named(word)?;
            // apt-get(8): `name-` removes, and `name+` installs, where no package has that name.
            if word.ends_with('-') || (word.ends_with('+') && !installed) {
                return Err(Denied::Text("name"));
            }
            if word.starts_with(OWN_PACKAGES) {
                return Err(Denied::Own(word.clone()));
            }
            *installed || !list::GUARDS.contains(&word.as_str())
        }
        Fix::Unit { name: word, enabled } => {
            named(word)?;
            if OWN_UNITS.iter().any(|own| word.starts_with(own)) {
                return Err(Denied::Own(word.clone()));
            }
            let (stem, kind) = word.rsplit_once('.').unwrap_or((word, "service"));
            // systemd.special(7): to start a target is to stop the host, or to bring it up as another one.
            kind != "target" && (*enabled || !list::GUARDS.contains(&stem))
        }
    };
    let name = name(fix);
    if listed || host.settings.contains(&name) { Ok(()) } else { Err(Denied::NotListed(name)) }
}

/// The steps to a kernel parameter below /proc/sys; none where the name leads anywhere else. The
/// first separator tells which of the two separates (sysctl(8)): `net/ipv4/conf/eth0.1/rp_filter`.
pub fn parameter(key: &str) -> Option<Vec<String>> {
    let slashes = key.find('/').unwrap_or(usize::MAX) < key.find('.').unwrap_or(usize::MAX);
    let (separator, inside) = if slashes { ('/', '.') } else { ('.', '/') };
    let parts: Vec<String> = key.split(separator).map(|part| part.replace(inside, ".")).collect();
    let good = |part: &String| {
        let letters = part.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:@".contains(c));
        letters && !part.is_empty() && part.len() <= 64 && part.chars().any(|c| c != '.')
    };
    (parts.len() >= 2 && parts.iter().all(good)).then_some(parts)
}

fn setting(file: &str, format: Format, key: &str, value: &str) -> bool {
    let words = matches!(format, Format::KeyValue | Format::Ini);
    let wanted = plain(key);
    let holds = |file: &&File| {
        file.keys.iter().any(|(known, values)| plain(known) == wanted && allows(*values, value))
    };
    words && list::FILES.iter().filter(|known| known.is(file)).any(|known| holds(&known))
}

fn allows(values: Values, value: &str) -> bool {
    let plain = |more: &str| value.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    match values {
        Values::Word => plain("_-.:%"),
        Values::Words => plain("_-.:%+@*?!^, "),
        Values::Of(words) => words.contains(&value),
    }
}

/// A key without case, and with one of the two dashes that programs take for each other.
fn plain(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}

fn path(file: &str, host: &Host) -> Result<(), Denied> {
    text("path", file)?;
    let mut parts = file.split('/');
    let absolute = parts.next() == Some("") && parts.all(|part| !matches!(part, "" | "." | ".."));
    if !absolute {
        return Err(Denied::Path(file.to_owned()));
    }
    let own = OWN_PATHS.iter().copied().chain(host.own.iter().map(String::as_str));
    let own: Vec<&str> = own.filter(|own| !own.is_empty()).collect();
    // Neither what is the agent's own, nor a folder on the way to it.
    let touches = |own: &&str| file.starts_with(own) || own.starts_with(&format!("{file}/"));
    if own.iter().any(touches) { Err(Denied::Own(file.to_owned())) } else { Ok(()) }
}

fn text(what: &'static str, word: &str) -> Result<(), Denied> {
    let good = word.len() <= VALUE_BYTES_LIMIT && !word.chars().any(char::is_control);
    if good { Ok(()) } else { Err(Denied::Text(what)) }
}

fn named(word: &str) -> Result<(), Denied> {
    let good = |c: char| c.is_ascii_alphanumeric() || "+-._@:\\".contains(c);
    let first = word.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && word.len() <= 256 && word.chars().all(good) { Ok(()) } else { Err(Denied::Text("name")) }
}

fn mode(mode: &str) -> Result<(), Denied> {
    let denied = || Denied::Mode(mode.to_owned());
    let digits = (3..=4).contains(&mode.len()) && mode.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let bits = u32::from_str_radix(mode, 8).ok().filter(|_| digits).ok_or_else(denied)?;
    // Where others may write, the sticky bit keeps what is there to its owners: /tmp.
    let open = bits & 0o022 != 0 && bits & 0o1000 == 0;
    if bits & 0o6000 == 0 && !open { Ok(()) } else { Err(denied()) }
}

#[cfg(test)]
mod tests;
