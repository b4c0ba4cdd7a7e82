//! What we can ask of a charger. Owns the choice of writer and reader by action; never when a command is sent.

use super::reader::{Flag, Mode, Reading};
use super::request::{Parse, to_payload};
use super::{
    cancel_reservation, certificate_signed, change_availability, change_configuration, clear_cache,
    clear_charging_profile, data_transfer, delete_certificate, extended_trigger_message, get_composite_schedule,
    get_configuration, get_diagnostics, get_installed_certificate_ids, get_local_list_version, get_log,
    install_certificate, remote_start_transaction, remote_stop_transaction, reserve_now, reset, send_local_list,
    set_charging_profile, signed_update_firmware, trigger_message, unlock_connector, update_firmware,
};
use crate::protocol::ocppj::{CallError, ErrorCode};

/// Makes the enumerations of commands and answers from one list.
macro_rules! commands {
    ($($name:ident: $module:ident),+ $(,)?) => {
        /// A request to a charger (CH-6).
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "the specification's own names")]
        pub enum Command {
            $($name($module::Request)),+
        }

        /// A charger's confirmation of a command.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the specification's own names")]
        pub enum Answer {
            $($name($module::Confirmation)),+
        }

        impl Command {
            /// Every action that we can ask.
            pub const ACTIONS: &'static [&'static str] = &[$(stringify!($name)),+];

            /// The action's name.
            pub fn action(&self) -> &'static str {
                match self {
                    $(Command::$name(_) => stringify!($name)),+
                }
            }

            /// The payload as JSON, valid under the official schema.
            pub fn payload(&self) -> String {
                match self {
                    $(Command::$name(request) => to_payload(request)),+
                }
            }

            /// Reads a command from its action and payload, as an operator gives it.
            ///
            /// # Errors
            /// Says what is wrong, where, and what is allowed.
            pub fn read(action: &str, payload: &str) -> Result<Command, CallError> {
                let reading = Reading::new(Mode::Strict);
                let parse = Parse { payload, reading: &reading };
                match action {
                    $(stringify!($name) => parse.with($module::FIELDS, $module::read).map(Command::$name),)+
                    _ => {
                        let allowed = Command::ACTIONS.join(", ");
                        Err(CallError::new(ErrorCode::NotImplemented, format!("no such command; allowed are {allowed}")))
                    }
                }
            }
        }

        impl Answer {
            /// Reads the confirmation of `action`. Lenient: the charger has acted, so its answer is understood if it can be.
            ///
            /// # Errors
            /// Says what is wrong with it; it then counts as a failed command.
            pub fn read(action: &str, payload: &str) -> Result<Answered, CallError> {
                let reading = Reading::new(Mode::Lenient);
                let parse = Parse { payload, reading: &reading };
                let answer = match action {
                    $(stringify!($name) => parse.with($module::ANSWER, $module::read_answer).map(Answer::$name),)+
                    _ => Err(CallError::new(ErrorCode::NotImplemented, "no such command")),
                }?;
                Ok(Answered { answer, flags: reading.into_flags() })
            }
        }
    };
}

commands! {
    CancelReservation: cancel_reservation,
    CertificateSigned: certificate_signed,
    ChangeAvailability: change_availability,
    ChangeConfiguration: change_configuration,
    ClearCache: clear_cache,
    ClearChargingProfile: clear_charging_profile,
    DataTransfer: data_transfer,
    DeleteCertificate: delete_certificate,
    ExtendedTriggerMessage: extended_trigger_message,
    GetCompositeSchedule: get_composite_schedule,
    GetConfiguration: get_configuration,
    GetDiagnostics: get_diagnostics,
    GetInstalledCertificateIds: get_installed_certificate_ids,
    GetLocalListVersion: get_local_list_version,
    GetLog: get_log,
    InstallCertificate: install_certificate,
    RemoteStartTransaction: remote_start_transaction,
    RemoteStopTransaction: remote_stop_transaction,
    ReserveNow: reserve_now,
    Reset: reset,
    SendLocalList: send_local_list,
    SetChargingProfile: set_charging_profile,
    SignedUpdateFirmware: signed_update_firmware,
    TriggerMessage: trigger_message,
    UnlockConnector: unlock_connector,
    UpdateFirmware: update_firmware,
}

/// A confirmation and what was let pass in reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The confirmation.
    pub answer: Answer,
    /// What breaks the schema but was understood.
    pub flags: Vec<Flag>,
}
