//! What operators are (OP-3). Owns the closed list of roles; which one may make which call stands beside the routes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What an operator does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Helps users and partners: looks at everything, works on tickets, stops sessions, contacts.
    Support,
    /// Runs the chargers: sites, chargers, commands, webhooks, quarantine.
    Operations,
    /// Money: tariffs, orders, accounts, statements.
    Finance,
    /// Operators, partners' keys, configuration, the store; may make every call.
    Administrator,
}

/// Some of them.
pub type Roles = BTreeSet<Role>;

impl Role {
    /// All there are.
    pub const ALL: [Role; 4] = [Role::Support, Role::Operations, Role::Finance, Role::Administrator];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Support => "support",
            Role::Operations => "operations",
            Role::Finance => "finance",
            Role::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such role: support, operations, finance, administrator are allowed")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}
