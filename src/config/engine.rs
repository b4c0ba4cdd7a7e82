//! The section `[engine]` of `config.toml`.

use serde::{Deserialize, Serialize};

/// The section `[engine]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {}
