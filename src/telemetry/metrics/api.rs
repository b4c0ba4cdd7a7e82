//! Metrics of the api room.

use super::Described;

/// Every metric of this room.
pub const ALL: &[Described] = &[];
