//! Chargeline: an actor-based real-time runtime for electric-vehicle charging.
//!
//! Start reading at `ARCHITECTURE.md`. Rooms, from the wire inwards: [`gateway`] and [`api`] speak to the world,
//! [`protocol`] turns bytes into types, [`actors`] give every entity its order and timers, [`domain`] decides,
//! [`persistence`] makes it last.

/// A place at which a test may make the process fail, or hold it; nothing without the feature `testing`.
macro_rules! fault_point {
    ($name:literal, $detail:expr) => {
        #[cfg(feature = "testing")]
        if $crate::testing::points::armed() {
            let _ = $crate::testing::points::hit($name, $detail);
        }
    };
}

pub mod actors;
pub mod api;
pub mod clock;
pub mod config;
pub mod domain;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::unwrap_used, reason = "for tests and random runs, where a panic is the finding")]
pub mod fuzz;
pub mod gateway;
pub mod ids;
pub mod persistence;
pub mod protocol;
pub mod runtime;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
