//! Calls of the rules as requests of OCPP 1.6, and requests that operators give as calls. Owns the mapping and which texts
//! are personal (OP-9); never whether a call may be sent.

use super::profiles::{profile, profile_to_wire, purpose, purpose_to_wire, unit, unit_to_wire};
use crate::domain::charger::{Call, CertificateHash, Retry, SealedText, SignedFirmware, print};
use crate::protocol::ocpp16::{
    Command, Text, cancel_reservation, certificate_signed, certificates, change_availability, change_configuration,
    clear_cache, clear_charging_profile, data_transfer, delete_certificate, extended_trigger_message,
    get_composite_schedule, get_configuration, get_diagnostics, get_installed_certificate_ids, get_local_list_version,
    get_log, install_certificate, remote_start_transaction, remote_stop_transaction, reserve_now, reset,
    send_local_list, set_charging_profile, signed_update_firmware, trigger_message, unlock_connector, update_firmware,
};

fn owned(text: &str) -> Box<str> {
    text.into()
}

/// A new password as a request of this version: its bytes as hex digits (security white paper A01).
pub fn authorization_key(hex: &str) -> Command {
    Command::ChangeConfiguration(change_configuration::Request {
        key: Text::cut("AuthorizationKey"),
        value: Text::cut(hex),
    })
}

/// A call of the rules as a request of this version. `open` reads what was sealed; `None`: it cannot.
pub fn command(call: &Call, open: &dyn Fn(&SealedText) -> Option<String>) -> Option<Command> {
    match call {
        Call::RemoteStart { .. }
        | Call::RemoteStop { .. }
        | Call::Trigger { .. }
        | Call::Reset { .. }
        | Call::GetConfiguration { .. }
        | Call::ChangeConfiguration { .. }
        | Call::ChangeAvailability { .. }
        | Call::UnlockConnector { .. }
        | Call::ClearCache
        | Call::DataTransfer { .. } => core(call),
        // The shell puts the password in its place, see `authorization_key`.
        Call::SetAuthorizationKey { .. } => None,
        Call::SendLocalList { .. }
        | Call::ReserveNow { .. }
        | Call::GetLocalListVersion
        | Call::CancelReservation { .. } => tokens(call, open),
        Call::SetChargingProfile { .. } | Call::ClearChargingProfile { .. } | Call::GetCompositeSchedule { .. } => {
            profiles(call)
        }
        Call::GetDiagnostics { .. }
        | Call::UpdateFirmware { .. }
        | Call::GetLog { .. }
        | Call::SignedUpdateFirmware { .. } => file(call),
        Call::ExtendedTrigger { .. }
        | Call::InstallCertificate { .. }
        | Call::DeleteCertificate { .. }
        | Call::GetInstalledCertificateIds { .. }
        | Call::CertificateSigned { .. } => secured(call),
    }
}

/// A call of Core or Remote Trigger.
fn core(call: &Call) -> Option<Command> {
    Some(match call {
        Call::RemoteStart { connector, id_tag, profile } => {
            Command::RemoteStartTransaction(remote_start_transaction::Request {
                connector_id: *connector,
                id_tag: Text::cut(id_tag),
                charging_profile: profile.as_deref().map(profile_to_wire),
            })
        }
        Call::RemoteStop { transaction } => {
            Command::RemoteStopTransaction(remote_stop_transaction::Request { transaction_id: *transaction })
        }
        Call::Trigger { message, connector } => Command::TriggerMessage(trigger_message::Request {
            requested_message: trigger_message::MessageTrigger::read(message),
            connector_id: *connector,
        }),
        Call::Reset { hard } => {
            Command::Reset(reset::Request { kind: if *hard { reset::ResetType::Hard } else { reset::ResetType::Soft } })
        }
        Call::GetConfiguration { keys } => Command::GetConfiguration(get_configuration::Request {
            key: (!keys.is_empty()).then(|| keys.iter().map(|key| Text::cut(key)).collect()),
        }),
        Call::ChangeConfiguration { key, value } => {
            Command::ChangeConfiguration(change_configuration::Request { key: Text::cut(key), value: Text::cut(value) })
        }
        Call::ChangeAvailability { connector, operative } => {
            use change_availability::AvailabilityType;
            Command::ChangeAvailability(change_availability::Request {
                connector_id: *connector,
                kind: if *operative { AvailabilityType::Operative } else { AvailabilityType::Inoperative },
            })
        }
        Call::UnlockConnector { connector } => {
            Command::UnlockConnector(unlock_connector::Request { connector_id: *connector })
        }
        Call::ClearCache => Command::ClearCache(clear_cache::Request {}),
        Call::DataTransfer { vendor, message, data } => Command::DataTransfer(data_transfer::Request {
            vendor_id: Text::cut(vendor),
            message_id: message.as_deref().map(Text::cut),
            data: data.as_deref().map(str::to_owned),
        }),
        _ => return None,
    })
}

/// A call about tokens, whose texts are sealed.
fn tokens(call: &Call, open: &dyn Fn(&SealedText) -> Option<String>) -> Option<Command> {
    Some(match call {
        Call::SendLocalList { version, full, entries, .. } => return local_list(*version, *full, &open(entries)?),
        Call::ReserveNow { connector, expires, reservation, holder, tag } => {
            let (id_tag, parent): (String, Option<String>) = match tag {
                Some(tag) => (tag.to_string(), Some(tag.to_string())),
                None => serde_json::from_str(&open(holder)?).ok()?,
            };
            Command::ReserveNow(reserve_now::Request {
                connector_id: *connector,
                expiry_date: *expires,
                id_tag: Text::cut(&id_tag),
                parent_id_tag: parent.as_deref().map(Text::cut),
                reservation_id: *reservation,
            })
        }
        Call::GetLocalListVersion => Command::GetLocalListVersion(get_local_list_version::Request {}),
        Call::CancelReservation { reservation } => {
            Command::CancelReservation(cancel_reservation::Request { reservation_id: *reservation })
        }
        _ => return None,
    })
}

/// A call of Smart Charging.
fn profiles(call: &Call) -> Option<Command> {
    Some(match call {
        Call::SetChargingProfile { connector, profile } => Command::SetChargingProfile(set_charging_profile::Request {
            connector_id: *connector,
            cs_charging_profiles: profile_to_wire(profile),
        }),
        Call::ClearChargingProfile { id, connector, purpose, stack_level } => {
            Command::ClearChargingProfile(clear_charging_profile::Request {
                id: *id,
                connector_id: *connector,
                charging_profile_purpose: purpose.map(purpose_to_wire),
                stack_level: *stack_level,
            })
        }
        Call::GetCompositeSchedule { connector, duration_s, unit } => {
            Command::GetCompositeSchedule(get_composite_schedule::Request {
                connector_id: *connector,
                duration: *duration_s,
                charging_rate_unit: unit.map(unit_to_wire),
            })
        }
        _ => return None,
    })
}

/// A call about a file.
fn file(call: &Call) -> Option<Command> {
    Some(match call {
        Call::GetDiagnostics { location, retry, from, to } => Command::GetDiagnostics(get_diagnostics::Request {
            location: location.to_string(),
            retries: retry.times,
            retry_interval: retry.interval_s,
            start_time: *from,
            stop_time: *to,
        }),
        Call::UpdateFirmware { location, retrieve_at, retry } => Command::UpdateFirmware(update_firmware::Request {
            location: location.to_string(),
            retries: retry.times,
            retrieve_date: *retrieve_at,
            retry_interval: retry.interval_s,
        }),
        Call::GetLog { security, request, location, retry, from, to } => Command::GetLog(get_log::Request {
            log_type: if *security { get_log::LogType::SecurityLog } else { get_log::LogType::DiagnosticsLog },
            request_id: *request,
            retries: retry.times,
            retry_interval: retry.interval_s,
            log: get_log::LogParameters {
                remote_location: Text::cut(location),
                oldest_timestamp: *from,
                latest_timestamp: *to,
            },
        }),
        Call::SignedUpdateFirmware { request, firmware, retry } => {
            Command::SignedUpdateFirmware(signed_update_firmware::Request {
                retries: retry.times,
                retry_interval: retry.interval_s,
                request_id: *request,
                firmware: signed_update_firmware::Firmware {
                    location: Text::cut(&firmware.location),
                    retrieve_date_time: firmware.retrieve_at,
                    install_date_time: firmware.install_at,
                    signing_certificate: Text::cut(&firmware.certificate),
                    signature: Text::cut(&firmware.signature),
                },
            })
        }
        _ => return None,
    })
}

/// A call of the security extension that is about no file.
fn secured(call: &Call) -> Option<Command> {
    let kind = |manufacturer: bool| match manufacturer {
        true => certificates::CertificateUse::ManufacturerRootCertificate,
        false => certificates::CertificateUse::CentralSystemRootCertificate,
    };
    Some(match call {
        Call::ExtendedTrigger { message, connector } => {
            Command::ExtendedTriggerMessage(extended_trigger_message::Request {
                requested_message: extended_trigger_message::MessageTrigger::read(message),
                connector_id: *connector,
            })
        }
        Call::InstallCertificate { manufacturer, certificate } => {
            Command::InstallCertificate(install_certificate::Request {
                certificate_type: kind(*manufacturer),
                certificate: Text::cut(certificate),
            })
        }
        Call::DeleteCertificate { hash } => Command::DeleteCertificate(delete_certificate::Request {
            certificate_hash_data: certificates::CertificateHashData {
                hash_algorithm: certificates::HashAlgorithm::read(&hash.algorithm),
                issuer_name_hash: Text::cut(&hash.issuer_name),
                issuer_key_hash: Text::cut(&hash.issuer_key),
                serial_number: Text::cut(&hash.serial),
            },
        }),
        Call::GetInstalledCertificateIds { manufacturer } => {
            Command::GetInstalledCertificateIds(get_installed_certificate_ids::Request {
                certificate_type: kind(*manufacturer),
            })
        }
        Call::CertificateSigned { chain } => {
            Command::CertificateSigned(certificate_signed::Request { certificate_chain: Text::cut(chain) })
        }
        _ => return None,
    })
}

/// SendLocalList with the entries that were sealed.
fn local_list(version: i32, full: bool, entries: &str) -> Option<Command> {
    let kind = if full { "Full" } else { "Differential" };
    let payload = format!(r#"{{"listVersion":{version},"updateType":"{kind}","localAuthorizationList":{entries}}}"#);
    Command::read("SendLocalList", &payload).ok()
}

/// The entries of a list, as far as rules go.
pub fn list_entries(request: &send_local_list::Request) -> Vec<(u64, bool)> {
    let entries = request.local_authorization_list.iter().flatten();
    let entry = |entry: &send_local_list::AuthorizationData| {
        // OCPP 1.6 compares idTags without regard to case.
        (print(&[&entry.id_tag.as_str().to_uppercase()]), entry.id_tag_info.is_some())
    };
    entries.map(entry).collect()
}

/// A request that an operator gives, as a call of the rules. `seal` hides what is personal. `None`: a word in it that the
/// specification does not have, which a strict reading refuses.
pub fn call(command: Command, seal: &dyn Fn(&str) -> SealedText) -> Option<Call> {
    match &command {
        Command::RemoteStartTransaction(_)
        | Command::RemoteStopTransaction(_)
        | Command::TriggerMessage(_)
        | Command::Reset(_)
        | Command::GetConfiguration(_)
        | Command::ChangeConfiguration(_)
        | Command::ChangeAvailability(_)
        | Command::UnlockConnector(_)
        | Command::ClearCache(_)
        | Command::DataTransfer(_) => core_call(command),
        Command::SendLocalList(_)
        | Command::ReserveNow(_)
        | Command::GetLocalListVersion(_)
        | Command::CancelReservation(_) => token_call(command, seal),
        Command::SetChargingProfile(_) | Command::ClearChargingProfile(_) | Command::GetCompositeSchedule(_) => {
            profile_call(command)
        }
        Command::GetDiagnostics(_)
        | Command::UpdateFirmware(_)
        | Command::GetLog(_)
        | Command::SignedUpdateFirmware(_) => file_call(command),
        Command::ExtendedTriggerMessage(_)
        | Command::InstallCertificate(_)
        | Command::DeleteCertificate(_)
        | Command::GetInstalledCertificateIds(_)
        | Command::CertificateSigned(_) => secured_call(command),
    }
}

/// A request of Core or Remote Trigger.
fn core_call(command: Command) -> Option<Call> {
    Some(match command {
        Command::RemoteStartTransaction(request) => Call::RemoteStart {
            connector: request.connector_id,
            id_tag: owned(request.id_tag.as_str()),
            profile: match request.charging_profile {
                Some(wire) => Some(Box::new(profile(wire)?)),
                None => None,
            },
        },
        Command::RemoteStopTransaction(request) => Call::RemoteStop { transaction: request.transaction_id },
        Command::TriggerMessage(request) => {
            Call::Trigger { message: owned(request.requested_message.as_str()), connector: request.connector_id }
        }
        Command::Reset(request) => Call::Reset { hard: request.kind == reset::ResetType::Hard },
        Command::GetConfiguration(request) => Call::GetConfiguration {
            keys: request.key.unwrap_or_default().iter().map(|key| owned(key.as_str())).collect(),
        },
        Command::ChangeConfiguration(request) => {
            Call::ChangeConfiguration { key: owned(request.key.as_str()), value: owned(request.value.as_str()) }
        }
        Command::ChangeAvailability(request) => Call::ChangeAvailability {
            connector: request.connector_id,
            operative: request.kind == change_availability::AvailabilityType::Operative,
        },
        Command::UnlockConnector(request) => Call::UnlockConnector { connector: request.connector_id },
        Command::ClearCache(clear_cache::Request {}) => Call::ClearCache,
        Command::DataTransfer(request) => Call::DataTransfer {
            vendor: owned(request.vendor_id.as_str()),
            message: request.message_id.map(|id| owned(id.as_str())),
            data: request.data.map(String::into_boxed_str),
        },
        _ => return None,
    })
}

/// A request about tokens.
fn token_call(command: Command, seal: &dyn Fn(&str) -> SealedText) -> Option<Call> {
    Some(match command {
        Command::SendLocalList(request) => {
            let entries = request.local_authorization_list.unwrap_or_default();
            Call::SendLocalList {
                version: request.list_version,
                full: request.update_type == send_local_list::UpdateType::Full,
                count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
                entries: seal(&serde_json::to_string(&entries).ok()?),
            }
        }
        Command::ReserveNow(request) => Call::ReserveNow {
            connector: request.connector_id,
            expires: request.expiry_date,
            reservation: request.reservation_id,
            holder: seal(&serde_json::to_string(&(&request.id_tag, &request.parent_id_tag)).ok()?),
            tag: None,
        },
        Command::GetLocalListVersion(get_local_list_version::Request {}) => Call::GetLocalListVersion,
        Command::CancelReservation(request) => Call::CancelReservation { reservation: request.reservation_id },
        _ => return None,
    })
}

/// A request of Smart Charging.
fn profile_call(command: Command) -> Option<Call> {
    Some(match command {
        Command::SetChargingProfile(request) => Call::SetChargingProfile {
            connector: request.connector_id,
            profile: Box::new(profile(request.cs_charging_profiles)?),
        },
        Command::ClearChargingProfile(request) => Call::ClearChargingProfile {
            id: request.id,
            connector: request.connector_id,
            purpose: match &request.charging_profile_purpose {
                Some(wire) => Some(purpose(wire)?),
                None => None,
            },
            stack_level: request.stack_level,
        },
        Command::GetCompositeSchedule(request) => Call::GetCompositeSchedule {
            connector: request.connector_id,
            duration_s: request.duration,
            unit: match &request.charging_rate_unit {
                Some(wire) => Some(unit(wire)?),
                None => None,
            },
        },
        _ => return None,
    })
}

/// A request of the security extension that is about no file.
fn secured_call(command: Command) -> Option<Call> {
    Some(match command {
        Command::ExtendedTriggerMessage(request) => Call::ExtendedTrigger {
            message: owned(request.requested_message.as_str()),
            connector: request.connector_id,
        },
        Command::InstallCertificate(request) => Call::InstallCertificate {
            manufacturer: manufacturer(&request.certificate_type),
            certificate: owned(request.certificate.as_str()),
        },
        Command::DeleteCertificate(delete_certificate::Request { certificate_hash_data: hash }) => {
            Call::DeleteCertificate {
                hash: Box::new(CertificateHash {
                    algorithm: owned(hash.hash_algorithm.as_str()),
                    issuer_name: owned(hash.issuer_name_hash.as_str()),
                    issuer_key: owned(hash.issuer_key_hash.as_str()),
                    serial: owned(hash.serial_number.as_str()),
                }),
            }
        }
        Command::GetInstalledCertificateIds(request) => {
            Call::GetInstalledCertificateIds { manufacturer: manufacturer(&request.certificate_type) }
        }
        Command::CertificateSigned(request) => {
            Call::CertificateSigned { chain: owned(request.certificate_chain.as_str()) }
        }
        _ => return None,
    })
}

fn manufacturer(kind: &certificates::CertificateUse) -> bool {
    *kind == certificates::CertificateUse::ManufacturerRootCertificate
}

/// A request about a file.
fn file_call(command: Command) -> Option<Call> {
    Some(match command {
        Command::GetDiagnostics(request) => Call::GetDiagnostics {
            location: request.location.into(),
            retry: Retry { times: request.retries, interval_s: request.retry_interval },
            from: request.start_time,
            to: request.stop_time,
        },
        Command::UpdateFirmware(request) => Call::UpdateFirmware {
            location: request.location.into(),
            retrieve_at: request.retrieve_date,
            retry: Retry { times: request.retries, interval_s: request.retry_interval },
        },
        Command::GetLog(request) => Call::GetLog {
            security: request.log_type == get_log::LogType::SecurityLog,
            request: request.request_id,
            location: owned(request.log.remote_location.as_str()),
            retry: Retry { times: request.retries, interval_s: request.retry_interval },
            from: request.log.oldest_timestamp,
            to: request.log.latest_timestamp,
        },
        Command::SignedUpdateFirmware(request) => Call::SignedUpdateFirmware {
            request: request.request_id,
            firmware: Box::new(SignedFirmware {
                location: owned(request.firmware.location.as_str()),
                retrieve_at: request.firmware.retrieve_date_time,
                install_at: request.firmware.install_date_time,
                certificate: owned(request.firmware.signing_certificate.as_str()),
                signature: owned(request.firmware.signature.as_str()),
            }),
            retry: Retry { times: request.retries, interval_s: request.retry_interval },
        },
        _ => return None,
    })
}
