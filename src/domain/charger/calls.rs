//! What is asked of a charger, and how it answers, in neutral terms near to OCPP 1.6 (CH-6). Owns the closed list of
//! calls and which of them may be sent twice.

use super::smart_charging::{ChargingProfile, ProfilePurpose, RateUnit};
use crate::clock::Timestamp;
use crate::ids::{ConnectorId, ReservationId, SessionId, TransactionId};
use serde::{Deserialize, Serialize};

/// Personal text (idTags) that the shell has sealed and opens again when it is sent: the rules, the journal and the rows
/// never see it (OP-9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedText(pub Box<str>);

/// How a file is fetched or sent: `retries` and `retryInterval` of the four messages about files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<i32>,
    /// Seconds between two tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<i32>,
}

/// Names a certificate at a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateHash {
    /// `SHA256`, `SHA384` or `SHA512`.
    pub algorithm: Box<str>,
    /// Of the issuer's name, hex.
    pub issuer_name: Box<str>,
    /// Of the issuer's key, hex.
    pub issuer_key: Box<str>,
    /// Serial number, hex.
    pub serial: Box<str>,
}

/// What a signed firmware is (security extension).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedFirmware {
    /// Where it is.
    pub location: Box<str>,
    /// Not fetched before.
    pub retrieve_at: Timestamp,
    /// Not installed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_at: Option<Timestamp>,
    /// PEM.
    pub certificate: Box<str>,
    /// Base64.
    pub signature: Box<str>,
}

/// A CALL towards a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// RemoteStartTransaction.
    RemoteStart {
        /// Where; `None`: the charger chooses.
        connector: Option<ConnectorId>,
        /// The tag that the transaction will carry (SE-16).
        id_tag: Box<str>,
        /// Limits for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<Box<ChargingProfile>>,
    },
    /// RemoteStopTransaction.
    RemoteStop {
        /// Which.
        transaction: TransactionId,
    },
    /// TriggerMessage.
    Trigger {
        /// `requestedMessage`.
        message: Box<str>,
        /// Of which connector; `None`: all.
        connector: Option<ConnectorId>,
    },
    /// Reset.
    Reset {
        /// Hard instead of soft.
        hard: bool,
    },
    /// GetConfiguration.
    GetConfiguration {
        /// Which; empty: all.
        keys: Vec<Box<str>>,
    },
    /// ChangeConfiguration.
    ChangeConfiguration {
        /// Which.
        key: Box<str>,
        /// To what.
        value: Box<str>,
    },
    /// ChangeConfiguration of `AuthorizationKey`: a new password (CH-3).
    SetAuthorizationKey {
        /// The password, sealed; the shell alone opens it.
        sealed: Box<str>,
    },
    /// ChangeAvailability.
    ChangeAvailability {
        /// 0: the whole charger.
        connector: ConnectorId,
        /// Into offer or out of it.
        operative: bool,
    },
    /// UnlockConnector.
    UnlockConnector {
        /// Which.
        connector: ConnectorId,
    },
    /// ClearCache.
    ClearCache,
    /// DataTransfer.
    DataTransfer {
        /// `vendorId`.
        vendor: Box<str>,
        /// `messageId`.
        message: Option<Box<str>>,
        /// `data`.
        data: Option<Box<str>>,
    },
    /// GetDiagnostics.
    GetDiagnostics {
        /// Where to.
        location: Box<str>,
        /// How often.
        retry: Retry,
        /// The oldest entry wanted.
        from: Option<Timestamp>,
        /// The newest entry wanted.
        to: Option<Timestamp>,
    },
    /// UpdateFirmware.
    UpdateFirmware {
        /// Where from.
        location: Box<str>,
        /// Not fetched before.
        retrieve_at: Timestamp,
        /// How often.
        retry: Retry,
    },
    /// GetLocalListVersion.
    GetLocalListVersion,
    /// SendLocalList.
    SendLocalList {
        /// The list's version once it is applied.
        version: i32,
        /// The whole list instead of its changes.
        full: bool,
        /// How many entries.
        count: u32,
        /// `localAuthorizationList` as JSON.
        entries: SealedText,
    },
    /// ReserveNow.
    ReserveNow {
        /// 0: any.
        connector: ConnectorId,
        /// Until when.
        expires: Timestamp,
        /// Its number.
        reservation: i32,
        /// `idTag` and `parentIdTag` as a JSON list, of an operator's command.
        holder: SealedText,
        /// Our own tag for both, of the rules' command: it is nobody's card, so it is not sealed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<Box<str>>,
    },
    /// CancelReservation.
    CancelReservation {
        /// Its number.
        reservation: i32,
    },
    /// SetChargingProfile.
    SetChargingProfile {
        /// 0: the charger.
        connector: ConnectorId,
        /// The limits.
        profile: Box<ChargingProfile>,
    },
    /// ClearChargingProfile: those that fit all that is given.
    ClearChargingProfile {
        /// This one.
        id: Option<i32>,
        /// Those of a connector.
        connector: Option<ConnectorId>,
        /// Those of a purpose.
        purpose: Option<ProfilePurpose>,
        /// Those of a level.
        stack_level: Option<i32>,
    },
    /// GetCompositeSchedule.
    GetCompositeSchedule {
        /// 0: the grid connection.
        connector: ConnectorId,
        /// How far ahead, seconds.
        duration_s: i32,
        /// In which unit.
        unit: Option<RateUnit>,
    },
    /// ExtendedTriggerMessage.
    ExtendedTrigger {
        /// `requestedMessage`.
        message: Box<str>,
        /// Of which connector; `None`: all.
        connector: Option<ConnectorId>,
    },
    /// GetLog.
    GetLog {
        /// The security log instead of the diagnostics.
        security: bool,
        /// Names it in LogStatusNotification.
        request: i32,
        /// Where to.
        location: Box<str>,
        /// How often.
        retry: Retry,
        /// The oldest entry wanted.
        from: Option<Timestamp>,
        /// The newest entry wanted.
        to: Option<Timestamp>,
    },
    /// SignedUpdateFirmware.
    SignedUpdateFirmware {
        /// Names it in SignedFirmwareStatusNotification.
        request: i32,
        /// What.
        firmware: Box<SignedFirmware>,
        /// How often.
        retry: Retry,
    },
    /// InstallCertificate.
    InstallCertificate {
        /// To trust in firmware instead of in us.
        manufacturer: bool,
        /// PEM.
        certificate: Box<str>,
    },
    /// DeleteCertificate.
    DeleteCertificate {
        /// Which.
        hash: Box<CertificateHash>,
    },
    /// GetInstalledCertificateIds.
    GetInstalledCertificateIds {
        /// Those for firmware instead of those for us.
        manufacturer: bool,
    },
    /// CertificateSigned.
    CertificateSigned {
        /// PEM, the charger's first.
        chain: Box<str>,
    },
}

impl Call {
    /// OCPP 1.6's name of the action.
    pub const fn action(&self) -> &'static str {
        match self {
            Call::RemoteStart { .. } => "RemoteStartTransaction",
            Call::RemoteStop { .. } => "RemoteStopTransaction",
            Call::Trigger { .. } => "TriggerMessage",
            Call::Reset { .. } => "Reset",
            Call::GetConfiguration { .. } => "GetConfiguration",
            Call::ChangeConfiguration { .. } | Call::SetAuthorizationKey { .. } => "ChangeConfiguration",
            Call::ChangeAvailability { .. } => "ChangeAvailability",
            Call::UnlockConnector { .. } => "UnlockConnector",
            Call::ClearCache => "ClearCache",
            Call::DataTransfer { .. } => "DataTransfer",
            Call::GetDiagnostics { .. } => "GetDiagnostics",
            Call::UpdateFirmware { .. } => "UpdateFirmware",
            Call::GetLocalListVersion => "GetLocalListVersion",
            Call::SendLocalList { .. } => "SendLocalList",
            Call::ReserveNow { .. } => "ReserveNow",
            Call::CancelReservation { .. } => "CancelReservation",
            Call::SetChargingProfile { .. } => "SetChargingProfile",
            Call::ClearChargingProfile { .. } => "ClearChargingProfile",
            Call::GetCompositeSchedule { .. } => "GetCompositeSchedule",
            Call::ExtendedTrigger { .. } => "ExtendedTriggerMessage",
            Call::GetLog { .. } => "GetLog",
            Call::SignedUpdateFirmware { .. } => "SignedUpdateFirmware",
            Call::InstallCertificate { .. } => "InstallCertificate",
            Call::DeleteCertificate { .. } => "DeleteCertificate",
            Call::GetInstalledCertificateIds { .. } => "GetInstalledCertificateIds",
            Call::CertificateSigned { .. } => "CertificateSigned",
        }
    }

    /// As people may see it: without the secrets that it carries (control 39).
    pub fn shown(&self) -> Call {
        match self {
            Call::ChangeConfiguration { key, .. } if super::configuration::is_secret(key) => {
                Call::ChangeConfiguration { key: key.clone(), value: super::configuration::HIDDEN.into() }
            }
            other => other.clone(),
        }
    }

    /// Whether sending it twice does no harm, so that it may be sent again when its delivery is uncertain. A start
    /// may not (SE-4), nor what acts on the world each time: a repeated update or upload gives up the one under way, a
    /// repeated deletion is answered as if there had been nothing.
    pub const fn repeatable(&self) -> bool {
        match self {
            Call::RemoteStop { .. }
            | Call::Trigger { .. }
            | Call::GetConfiguration { .. }
            | Call::ChangeConfiguration { .. }
            | Call::ChangeAvailability { .. }
            | Call::ClearCache
            | Call::GetLocalListVersion
            | Call::SendLocalList { .. }
            | Call::ReserveNow { .. }
            | Call::CancelReservation { .. }
            | Call::SetChargingProfile { .. }
            | Call::GetCompositeSchedule { .. }
            | Call::ExtendedTrigger { .. }
            | Call::InstallCertificate { .. }
            | Call::GetInstalledCertificateIds { .. }
            | Call::CertificateSigned { .. } => true,
            Call::RemoteStart { .. }
            | Call::Reset { .. }
            | Call::UnlockConnector { .. }
            // Sent again at the next connection, if that is not with the new password.
            | Call::SetAuthorizationKey { .. }
            | Call::DataTransfer { .. }
            | Call::GetDiagnostics { .. }
            | Call::UpdateFirmware { .. }
            | Call::ClearChargingProfile { .. }
            | Call::GetLog { .. }
            | Call::SignedUpdateFirmware { .. }
            | Call::DeleteCertificate { .. } => false,
        }
    }
}

/// For whom a command is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Starts that session.
    Start(SessionId),
    /// Stops that session.
    Stop(SessionId),
    /// Holds a connector for that reservation.
    Hold(ReservationId),
    /// An operator asked for it; the result is in row `command/<charger>/<id>`.
    Operator(Box<str>),
    /// The rules themselves: configuration, triggers.
    System,
}

impl Purpose {
    /// Whether an operator asked for it.
    pub const fn is_operator(&self) -> bool {
        match self {
            Purpose::Operator(_) => true,
            Purpose::Start(_) | Purpose::Stop(_) | Purpose::Hold(_) | Purpose::System => false,
        }
    }
}

/// What an answer says beyond yes and no, as far as rules act on it. Not journaled: the events that follow are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Told {
    /// Nothing of that kind.
    #[default]
    Nothing,
    /// The status word of ChangeConfiguration, SendLocalList or ReserveNow.
    Status(Box<str>),
    /// GetLocalListVersion: 0 is an empty list, -1 none at all.
    ListVersion(i32),
    /// GetConfiguration.
    Configuration(Box<super::configuration::Told>),
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// CALLRESULT.
    Answered {
        /// The charger does it, or will: `Accepted`, `Scheduled`, `RebootRequired`, `Unlocked`, a plain result.
        accepted: bool,
        /// The payload as JSON text.
        payload: Box<str>,
    },
    /// CALLERROR.
    CallError {
        /// The code.
        code: Box<str>,
        /// The description.
        description: Box<str>,
    },
    /// No answer in time; one that comes late is still recorded (CH-2).
    TimedOut,
    /// The socket went while the answer was awaited: delivery is uncertain.
    LinkLost,
    /// Never sent: the charger went offline first.
    Offline,
    /// Never sent: no longer needed.
    Moot,
}

impl Outcome {
    /// The name that operators see.
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Answered { accepted: true, .. } => "Accepted",
            Outcome::Answered { accepted: false, .. } => "Rejected",
            Outcome::CallError { .. } => "CallError",
            Outcome::TimedOut => "TimedOut",
            Outcome::LinkLost => "LinkLost",
            Outcome::Offline => "Offline",
            Outcome::Moot => "Moot",
        }
    }
}
