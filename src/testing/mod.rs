//! What a rig may order at named places of a running process, for tests only (feature `testing`).

mod orders;
pub mod points;

pub use orders::{Order, Orders};
