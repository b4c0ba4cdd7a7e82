//! The section `[charger]` of `config.toml`.

use serde::{Deserialize, Serialize};

/// The section `[charger]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charger {}
