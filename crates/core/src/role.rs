//! Roles: what a person may do. One person may have several.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A role that people are granted; approver roles ([`Role::approves`]) by two people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs a service: writes and reviews its documents, tests its changes.
    Operator,
    /// The security and compliance team: approves changes and acceptances.
    Security,
    /// On call: acknowledges, works incidents.
    Responder,
    /// Leads incidents, escalates, calls in specialist teams.
    IncidentManager,
    /// Oversees investigation and resolution of security and privacy incidents.
    OperationsManager,
    /// Approves notices.
    Legal,
    /// Approves notices.
    Privacy,
    /// Works on its own engagement alone.
    Assessor,
    /// Reads everything, changes nothing.
    Auditor,
    /// Sets Bartizan up; approves nothing by that.
    Admin,
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role")]
pub struct NoRole(String);

impl Role {
    /// Every role.
    pub const ALL: [Role; 10] = [
        Role::Operator,
        Role::Security,
        Role::Responder,
        Role::IncidentManager,
        Role::OperationsManager,
        Role::Legal,
        Role::Privacy,
        Role::Assessor,
        Role::Auditor,
        Role::Admin,
    ];

    /// The word for it in documents, tables and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Operator => "operator",
            Role::Security => "security",
            Role::Responder => "responder",
            Role::IncidentManager => "incident-manager",
            Role::OperationsManager => "operations-manager",
            Role::Legal => "legal",
            Role::Privacy => "privacy",
            Role::Assessor => "assessor",
            Role::Auditor => "auditor",
            Role::Admin => "admin",
        }
    }

    /// Whether its holder confirms a role that was asked for somebody.
    pub const fn confirms(self) -> bool {
        matches!(self, Role::Admin | Role::Security)
    }

    /// Whether it takes two people to grant this role, because its holder approves what others propose.
    ///
    /// [`Role::Admin`] takes two as soon as there is a second one: see [`Role::confirms`].
    pub const fn approves(self) -> bool {
        matches!(
            self,
            Role::Operator | Role::Security | Role::Legal | Role::Privacy | Role::OperationsManager
        )
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(word: &str) -> Result<Self, NoRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == word).ok_or_else(|| NoRole(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_reads_back_from_its_word_and_its_json() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
