//! The section `[gateway]` of `config.toml`.

use serde::{Deserialize, Serialize};

/// The section `[gateway]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {}
