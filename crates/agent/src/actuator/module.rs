//! A kernel module that shall not be loaded: a file of our own in modprobe.d(5) says so.

use bartizan_probe::root::Root;

use super::place::Place;
use super::{Look, Problem};

pub(super) fn look(root: &Root, name: &str, disabled: bool) -> Result<Look, Problem> {
    let held = place(root, name)?.read()?;
    let (so, is) = match (&held, disabled) {
        (Some(text), true) => (*text == content(name), "kept from loading, by another text"),
        (None, true) => (false, "free to load as far as we keep it"),
        (Some(_), false) => (false, "kept from loading"),
        (None, false) => (true, "free to load as far as we keep it"),
    };
    let is = if so && disabled { "kept from loading" } else { is };
    Ok(Look { so, is: is.to_owned() })
}

pub(super) fn set(root: &Root, name: &str, disabled: bool) -> Result<(), Problem> {
    let place = place(root, name)?;
    if disabled { place.write(&content(name)) } else { place.remove() }
}

fn place(root: &Root, name: &str) -> Result<Place, Problem> {
    Place::of(root, &file(name))
}

/// The file that keeps a module from being loaded.
pub(super) fn file(name: &str) -> String {
    format!("/etc/modprobe.d/bartizan-{name}.conf")
}

fn content(name: &str) -> String {
    format!(
        "# Set by Bartizan: a baseline keeps this module from being loaded.\ninstall {name} /bin/false\nblacklist {name}\n"
    )
}
