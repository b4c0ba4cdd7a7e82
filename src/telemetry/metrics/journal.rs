//! Metrics of the journal room.

use super::Described;

/// Every metric of this room.
pub const ALL: &[Described] = &[];
