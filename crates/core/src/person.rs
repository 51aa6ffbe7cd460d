//! People: who signs in, which roles they have, and who gave them those.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::configuration::change::{Actor, Grant};
use crate::id::PersonId;
use crate::role::Role;

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
