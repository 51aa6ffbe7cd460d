//! Kernel parameters: now, by /proc/sys, and at the next boot, by a file of our own in sysctl.d(5).

use std::fs;
use std::path::PathBuf;

use bartizan_core::configuration::baseline::Format;
use bartizan_core::order::permit::parameter;
use bartizan_probe::root::{Limit, Root};

use super::setting::Setting;
use super::{Look, Problem};

/// Read last of its folder, but before what an administrator names `99-`.
pub(super) const FILE: &str = "/etc/sysctl.d/98-bartizan.conf";

/// The longest value of a parameter.
const VALUE: Limit = Limit { name: "kernel parameter", bytes: 64 << 10 };

pub(super) fn look(root: &Root, key: &str, value: &str) -> Result<Look, Problem> {
    let configured = kept(key)?.look(root, value)?;
    if !root.is_host() {
        return Ok(configured);
    }
    let path = format!("/proc/sys/{}", steps(key)?);
    let text = root.read_text(&path, VALUE).map_err(|error| match error.class() {
        bartizan_core::error::Class::NotFound => {
            Problem::NoSuch { what: "kernel parameter", name: key.to_owned() }
        }
        _ => Problem::Unsupported(format!("{key}: {error}")),
    })?;
    let now = words(&text.text);
    Ok(Look { so: now == words(value) && configured.so, is: format!("{now} now, {} at boot", configured.is) })
}

pub(super) fn set(root: &Root, key: &str, value: &str) -> Result<(), Problem> {
    if root.is_host() {
        let path = PathBuf::from("/proc/sys").join(steps(key)?);
        fs::write(&path, value).map_err(|source| Problem::Disk {
            doing: "set",
            path: path.display().to_string(),
            source,
        })?;
    }
    kept(key)?.set(root, value)
}

fn kept(key: &str) -> Result<Setting<'_>, Problem> {
    Setting::new(FILE, Format::KeyValue, None, key)
}

/// The kernel prints tabs between the words of one value.
fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name as a path below /proc/sys.
fn steps(key: &str) -> Result<String, Problem> {
    let parts =
        parameter(key).ok_or_else(|| Problem::NoSuch { what: "kernel parameter", name: key.to_owned() })?;
    Ok(parts.join("/"))
}
