//! People: who signs in, which roles they have, and who gave them those.
//!
//! A role that approves what others propose comes into force when a second person confirms it;
//! so does admin, whose holder confirms, as soon as there is a second person who could; every other
//! role comes into force at once. Nobody confirms what they asked for, or what they get, and nobody
//! whom the one who asked made able to confirm alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

mod judge;

pub use judge::{Command, Directory, Event, Refusal, step};

use crate::configuration::change::{Actor, Grant};
use crate::id::{PersonId, RequestId};
use crate::role::Role;
use crate::time::Timestamp;

/// The longest name, in bytes.
pub const NAME_BYTES_LIMIT: usize = 64;

/// The most services that one person is on the team of.
pub const SERVICES_LIMIT: usize = 100;

/// The most grants that are known of one person: none is forgotten, but of those that gave the same
/// by the same people the newest alone is kept. Beyond it nobody gives them anything more.
pub const GRANTS_LIMIT: usize = 500;

/// A role that was asked for somebody, and waits for a second person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub id: RequestId,
    pub person: PersonId,
    pub role: Role,
    /// The services on whose team they come by it.
    pub services: BTreeSet<String>,
    pub by: PersonId,
    pub at: Timestamp,
    /// Whether it waits; an answered one is kept for who looks back.
    pub open: bool,
}

/// Whether this may be somebody's name: ASCII alone, so that no two look the same, and in one line.
pub fn is_name(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
    first && text.len() <= NAME_BYTES_LIMIT && text.bytes().all(rest)
}

/// Somebody who signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    /// The name they sign in by, unique.
    pub name: String,
    pub roles: BTreeSet<Role>,
    /// The services on whose team they are.
    pub services: BTreeSet<String>,
    /// When roles and credentials were made or reset, and by whom.
    pub grants: Vec<Grant>,
    /// Whether they may sign in no more.
    #[serde(default)]
    pub disabled: bool,
}

impl Person {
    /// Whether they have one of these roles.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        !self.disabled && roles.iter().any(|role| self.roles.contains(role))
    }

    /// The person as judges of changes see them.
    pub fn actor(&self) -> Actor {
        Actor {
            person: self.id,
            roles: self.roles.clone(),
            services: self.services.clone(),
            grants: self.grants.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
