//! The section `[webhook]` of `config.toml`.

use serde::{Deserialize, Serialize};

/// The section `[webhook]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {}
