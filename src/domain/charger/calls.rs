//! What is asked of a charger, and how it answers, in neutral terms near to OCPP 1.6 (CH-6). Owns the closed list of
//! calls and which of them may be sent twice.

use crate::ids::{ConnectorId, SessionId, TransactionId};
use serde::{Deserialize, Serialize};

/// A CALL towards a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// RemoteStartTransaction.
    RemoteStart {
        /// Where; `None`: the charger chooses.
        connector: Option<ConnectorId>,
        /// The tag that the transaction will carry (SE-16).
        id_tag: Box<str>,
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
        }
    }

    /// Whether sending it twice does no harm, so that it may be sent again when its delivery is uncertain. A start
    /// may not (SE-4), nor what acts on the world each time.
    pub const fn repeatable(&self) -> bool {
        match self {
            Call::RemoteStop { .. }
            | Call::Trigger { .. }
            | Call::GetConfiguration { .. }
            | Call::ChangeConfiguration { .. }
            | Call::ChangeAvailability { .. }
            | Call::ClearCache => true,
            Call::RemoteStart { .. }
            | Call::Reset { .. }
            | Call::UnlockConnector { .. }
            // Sent again at the next connection, if that is not with the new password.
            | Call::SetAuthorizationKey { .. }
            | Call::DataTransfer { .. } => false,
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
            Purpose::Start(_) | Purpose::Stop(_) | Purpose::System => false,
        }
    }
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
