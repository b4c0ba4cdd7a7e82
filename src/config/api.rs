//! The section `[api]` of `config.toml`.

use serde::{Deserialize, Serialize};

/// The section `[api]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {}
