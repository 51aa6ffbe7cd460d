//! Queries of baselines, answered from a host's files and its kernel's interfaces.
//!
//! [`HostProbe`] stands behind core's `Probe` door. It reads through a [`View`]: a [`Root`], or an
//! example's [`Tree`]; the parsers are the same for both. It starts no process: what only a tool
//! could tell is `unknown: unsupported`, what may not be read is `unknown: denied`.

use std::collections::BTreeSet;

use bartizan_core::configuration::evaluate::{Item, Items, Probe, Query};
use bartizan_core::fact::{Package, PackageManager, Section};
use bartizan_core::verdict::Reason;

use crate::root::{Error, Root};

mod account;
mod example;
mod file;
mod module;
mod mount;
mod setting;
mod socket;
mod sshd;
mod sudoers;
mod sysctl;
mod tree;
mod unit;
mod view;

pub use example::{Failed, try_examples};
pub use tree::Tree;
pub use view::{Status, View};

/// Why a query has no answer: the reason, and words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unseen {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

type Answer = Result<Vec<Item>, Unseen>;

/// Answers queries about the host under a view.
#[derive(Debug)]
pub struct HostProbe<V = Root> {
    view: V,
    packages: Section<Vec<Package>>,
    /// Units that something pulls in, once they were read.
    wanted: Option<Result<BTreeSet<String>, Unseen>>,
}

impl<V: View> HostProbe<V> {
    /// A probe of this view. Without packages, queries for them are `unknown: unsupported`.
    pub fn new(view: V) -> Self {
        let mut packages = Section::new(Vec::new());
        packages.miss("no package database was read", Reason::Unsupported);
        Self { view, packages, wanted: None }
    }

    /// The same probe with the packages that are installed, all of them.
    #[must_use]
    pub fn with_packages(self, packages: Vec<Package>) -> Self {
        self.with_package_section(Section::new(packages))
    }

    /// The same probe with what a collector found of the packages. Where it could not see all, a
    /// package that it did not find is unknown.
    #[must_use]
    pub fn with_package_section(self, packages: Section<Vec<Package>>) -> Self {
        Self { packages, ..self }
    }

    fn answer(&mut self, query: &Query) -> Answer {
        let view = &self.view;
        match query {
            Query::File { path } => file::files(view, path),
            Query::Lines { path } => file::lines(view, path),
            Query::Setting { files, format, section, key } => {
                setting::setting(view, files, *format, section.as_deref(), key)
            }
            Query::Sshd => {
                let packages = self.packages.body.iter();
                let mut servers = packages.filter(|package| package.name == "openssh-server");
                sshd::views(view, servers.next().map(|package| package.version.as_str()))
            }
            Query::SudoersDefaults => sudoers::defaults(view),
            Query::SudoersRules => sudoers::rules(view),
            Query::Sysctl { key } => sysctl::parameter(view, key),
            Query::Package { name } => self.package(name),
            Query::Unit { name } => {
                let wanted = self.wanted.get_or_insert_with(|| unit::wanted(view));
                unit::unit(view, name, wanted)
            }
            Query::Module { name } => module::module(view, name),
            Query::Sockets => socket::sockets(view),
            Query::Accounts => account::accounts(view),
            Query::Groups => account::groups(view),
            Query::Mounts => mount::mounts(view),
            Query::Fstab => mount::fstab(view),
        }
    }

    fn package(&self, name: &str) -> Answer {
        let item = |package: &Package| {
            let manager = match package.manager {
                PackageManager::Dpkg => "dpkg",
                PackageManager::Rpm => "rpm",
                PackageManager::Apk => "apk",
            };
            Item::new(format!("package {}", package.name))
                .with("version", package.version.as_str())
                .with("architecture", package.architecture.as_str())
                .with("manager", manager)
        };
        let named = self.packages.body.iter().filter(|package| package.name == name);
        let items: Vec<Item> = named.map(item).collect();
        match self.packages.unknown.first() {
            Some(unseen) if items.is_empty() => {
                Err(Unseen { reason: unseen.reason, message: unseen.what.clone() })
            }
            _ => Ok(items),
        }
    }
}

impl<V: View> Probe for HostProbe<V> {
    fn items(&mut self, query: &Query) -> Items {
        match self.answer(query) {
            Ok(items) => match unseen_folder(&self.view, query, &items) {
                Ok(None) => Items::Known(items),
                Ok(Some(folder)) => Items::Unproven { items, folder },
                Err(error) => Items::Unknown { reason: error.reason(), message: error.to_string() },
            },
            Err(Unseen { reason, message }) => Items::Unknown { reason, message },
        }
    }
}

/// The folder that is missing where a query found nothing: nothing was looked into. A setting is looked
/// for in several files; one folder that is there is enough.
fn unseen_folder(view: &dyn View, query: &Query, items: &[Item]) -> Result<Option<String>, Error> {
    let fstab = ["/etc/fstab".to_owned()];
    let patterns = match query {
        Query::File { path } | Query::Lines { path } => std::slice::from_ref(path),
        Query::Setting { files, .. } => files.as_slice(),
        Query::Fstab => &fstab,
        _ => return Ok(None),
    };
    if items.iter().any(|item| !item.fields.is_empty()) {
        return Ok(None);
    }
    let mut missing = None;
    for pattern in patterns {
        match view::unseen_folder(view, pattern)? {
            None => return Ok(None),
            Some(folder) => missing = missing.or(Some(folder)),
        }
    }
    Ok(missing)
}

impl Unseen {
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self { reason: Reason::Unsupported, message: message.into() }
    }

    pub(crate) fn unparsable(message: impl Into<String>) -> Self {
        Self { reason: Reason::Unparsable, message: message.into() }
    }
}

impl From<Error> for Unseen {
    fn from(error: Error) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
