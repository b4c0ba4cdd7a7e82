//! OCPP 1.6 (edition 2) and its JSON shape. Owns the types of its messages, one file each under the specification's own
//! name, their decoding from and to JSON; never what a message does.
//!
//! A message module has `Request` and `Confirmation` (the specification's `.req` and `.conf`). To add a message: write
//! its file, add it to [`Request`] (charger to us) or [`Command`] (us to charger), and to `docs/protocol-coverage.md`.

pub mod authorize;
pub mod boot_notification;
pub mod change_availability;
pub mod change_configuration;
pub mod charging_profile;
pub mod clear_cache;
mod command;
pub mod data_transfer;
pub mod diagnostics_status_notification;
pub mod firmware_status_notification;
pub mod get_configuration;
pub mod heartbeat;
pub mod id_tag_info;
pub mod meter_values;
pub mod neutral;
mod reader;
pub mod remote_start_transaction;
pub mod remote_stop_transaction;
mod request;
pub mod reset;
pub mod start_transaction;
pub mod status_notification;
pub mod stop_transaction;
#[cfg(test)]
mod tests;
pub mod trigger_message;
pub mod unlock_connector;
pub mod words;

pub use command::{Answer, Answered, Command};
pub use reader::{Flag, FlagKind, Mode};
pub use request::{Decoded, EMPTY, Refusal, Request, Unreadable, decode, is_transaction, to_payload, unreadable};
pub use words::{IdTag, Text, TooLong};

/// The sub-protocol's name in the WebSocket handshake (OCPP-J 1.6 §3.1.2).
pub const SUBPROTOCOL: &str = "ocpp1.6";
