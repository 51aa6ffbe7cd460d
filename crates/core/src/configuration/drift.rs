//! Drift: an observed modification that no change explains.
//!
//! The reference says how the objects of a host stood when they were last accounted for: at first sight, or
//! when an order of ours set them. An object that stands otherwise now drifts, until it stands as before
//! again. What can't be seen neither drifts nor comes back: it stays as it was told.

mod text;
pub mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::change::Actor;
use crate::canonical::Value;
use crate::digest::Digest;
use crate::error::Class;
use crate::role::Role;
use crate::time::Timestamp;

pub use text::{difference, mask};

/// The most drifting objects that a host tells of by name; of more it tells the number.
pub const TOLD_LIMIT: usize = 500;

/// The kinds of objects that may drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A user or a group of the host.
    Account,
    /// A file, folder or link, by its path.
    File,
    /// An installed package, by name and architecture.
    Package,
    /// A socket that is listened on.
    Socket,
    /// A unit of the service manager.
    Unit,
}

/// Something on a host that may drift. Its text is `KIND:NAME`, as in `file:/etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    pub kind: Kind,
    pub name: String,
}

/// A text that names no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no object: write KIND:NAME, with a KIND of account, file, package, socket or unit")]
pub struct NoObject(String);

/// How objects stand: each by a line that changes when, and only when, the object does.
pub type Standing = BTreeMap<Object, String>;

/// What a look at a host found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub standing: Standing,
    /// What could not be seen: an object, all that lies below a folder where the name ends with `/`, and
    /// all of a kind where it is empty.
    pub unseen: Vec<Object>,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Added,
    Modified,
    Removed,
}

/// One object that drifts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Drift {
    /// `KIND:NAME`.
    pub object: String,
    pub way: Way,
    /// How it stood; none where it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How it stands; none where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The lines that went (`-`) and came (`+`), with secrets masked; empty where the content is not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// How an object stands that drifted, accounted for by a person: from then on it shall stand so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Explained {
    /// `KIND:NAME`.
    pub object: String,
    /// How it stands; none where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When that was said: it holds once, and not for what stands so again after something else did.
    pub at: Timestamp,
}

/// Why a drift is not accounted for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("explaining drift takes operator on the team of the asset's service, or security")]
    Role,
    #[error("say why it was modified: it is what stands for a change that nobody proposed")]
    NoReason,
    #[error("`{0}` does not drift here")]
    NoDrift(String),
    #[error("`{0}` stands otherwise than when it was looked at: look again")]
    Changed(String),
}

/// What drifts on a host. Section `drift`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifts {
    /// Over the reference: a host whose reference changed is judged by another one.
    pub reference: String,
    /// How many objects the reference holds.
    pub objects: u64,
    /// In the order of their objects, at most [`TOLD_LIMIT`].
    pub drifts: Vec<Drift>,
    /// How many more there are.
    #[serde(default)]
    pub more: u64,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Account => "account",
            Kind::File => "file",
            Kind::Package => "package",
            Kind::Socket => "socket",
            Kind::Unit => "unit",
        }
    }
}

impl Refusal {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Refusal::Role => Class::Denied,
            Refusal::NoReason => Class::Invalid,
            Refusal::NoDrift(_) => Class::NotFound,
            Refusal::Changed(_) => Class::Conflict,
        }
    }
}

impl Drift {
    /// Over what drifts and how it stands: whoever explains it names what they saw by this.
    pub fn digest(&self) -> Digest {
        let side = |line: &Option<String>| line.as_deref().map_or(Value::Null, Value::from);
        Digest::derived("drift", [Value::from(self.object.as_str()), side(&self.before), side(&self.after)])
    }
}

impl Way {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Way::Added => "added",
            Way::Modified => "modified",
            Way::Removed => "removed",
        }
    }
}

impl Object {
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// A file by its path.
    pub fn file(path: impl Into<String>) -> Self {
        Self::new(Kind::File, path)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

impl FromStr for Object {
    type Err = NoObject;

    fn from_str(text: &str) -> Result<Self, NoObject> {
        let none = || NoObject(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(none)?;
        let kinds = [Kind::Account, Kind::File, Kind::Package, Kind::Socket, Kind::Unit];
        let kind = kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(none)?;
        if name.is_empty() { Err(none()) } else { Ok(Self::new(kind, name)) }
    }
}

impl Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Inventory {
    /// Whether nobody can say how an object stands.
    pub fn is_unseen(&self, object: &Object) -> bool {
        let covers = |place: &Object| {
            let is_whole = place.name.is_empty() || place.name.ends_with('/');
            let lies_there = is_whole && object.name.starts_with(&place.name);
            place.kind == object.kind && (object.name == place.name || lies_there)
        };
        self.unseen.iter().any(covers)
    }
}

/// Which objects stand otherwise than the reference says, in their order. Of what could not be seen the
/// drifts that were `told` stay as they are.
pub fn drifts(reference: &Standing, seen: &Inventory, told: &[Drift]) -> Vec<Drift> {
    let mut found = Vec::new();
    let mut note = |object: &Object, before: Option<&String>, after: Option<&String>| {
        let way = match (before, after) {
            (None, Some(_)) => Way::Added,
            (Some(_), None) => Way::Removed,
            (Some(before), Some(after)) if before != after && !is_unknown(before, after) => Way::Modified,
            _ => return,
        };
        let (before, after) = (before.cloned(), after.cloned());
        found.push(Drift { object: object.to_string(), way, before, after, lines: Vec::new() });
    };
    for (object, before) in reference {
        let after = seen.standing.get(object);
        if after.is_some() || !seen.is_unseen(object) {
            note(object, Some(before), after);
        }
    }
    for (object, after) in seen.standing.iter().filter(|(object, _)| !reference.contains_key(object)) {
        note(object, None, Some(after));
    }
    let unseen = |drift: &&Drift| match drift.object.parse::<Object>() {
        Ok(object) => match (reference.get(&object), seen.standing.get(&object)) {
            (Some(before), Some(after)) => is_unknown(before, after),
            (_, after) => after.is_none() && seen.is_unseen(&object),
        },
        Err(_) => false,
    };
    found.extend(told.iter().filter(unseen).cloned());
    found.sort();
    found
}

/// What stands at the end of a line in place of content that may not be read.
pub const UNREAD: &str = " unread";

/// Whether nobody can say if two lines tell of the same: the content of one was not read, and what else they tell
/// is the same.
fn is_unknown(before: &str, after: &str) -> bool {
    let rights = |line: &str| line.rsplit_once(' ').map(|(rights, _)| rights.to_owned());
    (before.ends_with(UNREAD) || after.ends_with(UNREAD)) && rights(before) == rights(after)
}

/// Rules on somebody's word that a drift is as it should be. `seen` is the digest of the drift that they looked at.
pub fn explain(
    actor: &Actor,
    service: &str,
    drifts: &[Drift],
    (object, seen): (&str, &str),
    (reason, at): (&str, Timestamp),
) -> Result<Explained, Refusal> {
    let on_the_team = actor.roles.contains(&Role::Operator) && actor.services.contains(service);
    if !on_the_team && !actor.roles.contains(&Role::Security) {
        return Err(Refusal::Role);
    }
    if reason.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    let drift = drifts.iter().find(|drift| drift.object == object);
    let drift = drift.ok_or_else(|| Refusal::NoDrift(object.to_owned()))?;
    if drift.digest().to_string() != seen {
        return Err(Refusal::Changed(object.to_owned()));
    }
    Ok(Explained { object: drift.object.clone(), after: drift.after.clone(), at })
}

/// The digest over a reference, by which two of them are told apart.
pub fn reference_digest(reference: &Standing) -> Digest {
    let lines = reference.iter().map(|(object, line)| Value::from(format!("{object}\n{line}")));
    Digest::derived("drift-reference", lines)
}

#[cfg(test)]
mod tests;
