//! The section `[session]` of `config.toml`.

use serde::{Deserialize, Serialize};

/// The section `[session]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {}
