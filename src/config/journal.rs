//! The section `[journal]` of `config.toml`.

use serde::{Deserialize, Serialize};

/// The section `[journal]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {}
