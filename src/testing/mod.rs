//! Fakes and the virtual-time system, for tests only (feature `testing`).

pub mod holds;
pub mod points;
