//! Bytes <-> types <-> domain commands. Owns wire shapes; never state.

pub mod json;
pub mod metering;
pub mod ocpi;
pub mod ocpp16;
pub mod ocppj;
pub mod payment;
pub mod tcec;
pub mod webhook;
pub mod wire_time;
