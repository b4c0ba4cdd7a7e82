//! OCPP 1.6 (edition 2), its security extension (white paper, edition 3) and their JSON shape. Owns the types of its messages, one file each under the specification's own
//! name, their decoding from and to JSON; never what a message does.
//!
//! A message module has `Request` and `Confirmation` (the specification's `.req` and `.conf`). To add a message: write
//! its file, add it to [`Request`] (charger to us) or [`Command`] (us to charger), and to `docs/protocol-coverage.md`.

pub mod authorize;
pub mod boot_notification;
pub mod cancel_reservation;
pub mod certificate_signed;
pub mod certificates;
pub mod change_availability;
pub mod change_configuration;
pub mod charging_profile;
pub mod clear_cache;
pub mod clear_charging_profile;
mod command;
pub mod data_transfer;
pub mod delete_certificate;
pub mod diagnostics_status_notification;
pub mod extended_trigger_message;
pub mod firmware_status_notification;
pub mod get_composite_schedule;
pub mod get_configuration;
pub mod get_diagnostics;
pub mod get_installed_certificate_ids;
pub mod get_local_list_version;
pub mod get_log;
pub mod heartbeat;
pub mod id_tag_info;
pub mod install_certificate;
pub mod log_status_notification;
pub mod meter_values;
pub mod neutral;
mod reader;
pub mod remote_start_transaction;
pub mod remote_stop_transaction;
mod request;
pub mod reserve_now;
pub mod reset;
pub mod security_event_notification;
pub mod send_local_list;
pub mod set_charging_profile;
pub mod sign_certificate;
pub mod signed_firmware_status_notification;
pub mod signed_update_firmware;
pub mod start_transaction;
pub mod status_notification;
pub mod stop_transaction;
#[cfg(test)]
mod tests;
pub mod trigger_message;
pub mod unlock_connector;
pub mod update_firmware;
pub mod words;

pub use command::{Answer, Answered, Command};
pub use reader::{Flag, FlagKind, Mode};
pub use request::{Decoded, EMPTY, Refusal, Request, Unreadable, decode, is_transaction, to_payload, unreadable};
pub use words::{IdTag, Text, TooLong};

/// The sub-protocol's name in the WebSocket handshake (OCPP-J 1.6 §3.1.2).
pub const SUBPROTOCOL: &str = "ocpp1.6";
