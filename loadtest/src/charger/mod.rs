//! A simulated OCPP 1.6J charger: an electrical model, a flash memory, a queue that loses nothing, scripted mishaps.
//!
//! Owns one charger's side of the wire. `device` is the machine without IO, `shell` its one task with the socket. An idle
//! charger costs one task and one small read buffer, so that 15,000 fit in a process.

mod behaviour;
mod charging;
mod commands;
mod device;
mod facts;
mod payload;
mod people;
mod physics;
mod shell;
mod state;
mod store;
mod wire;

#[cfg(test)]
mod socket_tests;
#[cfg(test)]
mod tests;

pub use behaviour::{Behaviour, ChargerSpec, Driver, Profile, ResendId};
pub use device::{Device, Out};
pub use people::AtCharger;
pub use physics::{Power, Vehicle};
pub(crate) use shell::dial;
pub use shell::{ChargerHandle, ChargerView, ConnectorView, Surroundings, spawn};
pub use state::{ChargerState, Connector, Pending, Queued, Running, Status};
pub use store::FleetStore;
