//! Actuators: how one declared state is brought about on this host. One file a word of the
//! vocabulary; each looks, sets, and can be asked again: set twice is set once.
//!
//! Nothing here decides whether it may be done (`core::order`), and nothing here runs a command
//! that an order wrote: the two programs that are started (the service manager's and the package
//! manager's) get a fixed verb and one checked name.

use std::io;
use std::path::PathBuf;

use bartizan_core::configuration::baseline::Fix;
use bartizan_core::configuration::drift::Object;
use bartizan_core::error::Class;
use bartizan_probe::root::Root;

mod file;
mod module;
mod package;
mod place;
mod program;
mod setting;
mod sysctl;
mod unit;

/// How something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether it is as it shall be.
    pub so: bool,
    /// How it is, in words: what a person needs to set it back by hand.
    pub is: String,
}

/// Why a state can't be brought about.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("can't {doing} {path}: {source}")]
    Disk { doing: &'static str, path: String, source: io::Error },
    #[error("{0} is a link, or no plain file or folder: name the file that is meant")]
    NotPlain(String),
    #[error("others than root may write to the folder {0}: what is set there could be anything")]
    OpenFolder(String),
    #[error("{path} has more than {limit} bytes")]
    TooLarge { path: String, limit: u64 },
    #[error("{path} is not text: byte {at} is no UTF-8")]
    NotText { path: String, at: usize },
    #[error("there is no {what} `{name}` on this host")]
    NoSuch { what: &'static str, name: String },
    #[error(
        "mode {mode:04o} would let more in to {path} than its {is:04o} does; the host's own file may allow it"
    )]
    Loosens { path: String, is: u32, mode: u32 },
    #[error("{0} has more than one name: what is set under one shows under the others")]
    Linked(String),
    #[error("can't set {0}")]
    Unsupported(String),
    #[error("`{program}` {problem}")]
    Program { program: String, problem: String },
    #[error("it was set, and is {0} all the same")]
    Stays(String),
}

impl Problem {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Problem::NotPlain(_) | Problem::OpenFolder(_) | Problem::Loosens { .. } | Problem::Linked(_) => {
                Class::Denied
            }
            Problem::NoSuch { .. } => Class::NotFound,
            Problem::TooLarge { .. } => Class::Limit,
            Problem::NotText { .. } | Problem::Unsupported(_) => Class::Invalid,
            Problem::Disk { .. } | Problem::Program { .. } | Problem::Stays(_) => Class::Unavailable,
        }
    }
}

/// How what a fix is about stands now.
pub fn look(fix: &Fix, root: &Root) -> Result<Look, Problem> {
    match fix {
        Fix::File { path, mode, owner, group } => {
            file::Wanted::new(root, mode.as_deref(), owner.as_deref(), group.as_deref())?.look(root, path)
        }
        Fix::Setting { file, format, section, key, value } => {
            setting::Setting::new(file, *format, section.as_deref(), key)?.look(root, value)
        }
        Fix::Sysctl { key, value } => sysctl::look(root, key, value),
        Fix::Module { name, disabled } => module::look(root, name, *disabled),
        Fix::Unit { name, enabled } => unit::look(root, name, *enabled),
        Fix::Package { name, installed } => package::look(root, name, *installed),
    }
}

/// Brings it about, and looks whether it is so. A file's mode lets nobody in who was kept out
/// before, unless `loosen` says that the host allows that.
pub fn set(fix: &Fix, root: &Root, loosen: bool) -> Result<(), Problem> {
    match fix {
        Fix::File { path, mode, owner, group } => {
            file::Wanted::new(root, mode.as_deref(), owner.as_deref(), group.as_deref())?
                .set(root, path, loosen)
        }
        Fix::Setting { file, format, section, key, value } => {
            setting::Setting::new(file, *format, section.as_deref(), key)?.set(root, value)
        }
        Fix::Sysctl { key, value } => sysctl::set(root, key, value),
        Fix::Module { name, disabled } => module::set(root, name, *disabled),
        Fix::Unit { name, enabled } => unit::set(root, name, *enabled),
        Fix::Package { name, installed } => package::set(root, name, *installed),
    }?;
    let after = look(fix, root)?;
    if after.so { Ok(()) } else { Err(Problem::Stays(after.is)) }
}

/// What a fix changes on a host, as far as it is watched for drift.
pub fn objects(fix: &Fix) -> Vec<Object> {
    match fix {
        Fix::File { path, .. } => vec![Object::file(path)],
        Fix::Setting { file, .. } => vec![Object::file(file)],
        Fix::Sysctl { .. } => vec![Object::file(sysctl::FILE)],
        Fix::Module { name, .. } => vec![Object::file(module::file(name))],
        // The service manager enables a unit by links; without one it is init scripts'.
        Fix::Unit { .. } => UNIT_FOLDERS.iter().map(|folder| Object::file(*folder)).collect(),
        // A package brings its configuration and its accounts along.
        Fix::Package { .. } => vec![Object::file("/")],
    }
}

/// Where units are enabled.
const UNIT_FOLDERS: [&str; 9] = [
    "/etc/systemd/",
    "/etc/init.d/",
    "/etc/rc0.d/",
    "/etc/rc1.d/",
    "/etc/rc2.d/",
    "/etc/rc3.d/",
    "/etc/rc4.d/",
    "/etc/rc5.d/",
    "/etc/rc6.d/",
];

/// Where programs that may be started lie on a host, the first that is there.
fn first_there(root: &Root, places: &[&str]) -> Option<PathBuf> {
    let here = places.iter().find(|place| root.exists(place));
    here.map(PathBuf::from)
}

#[cfg(test)]
mod tests;
