//! CALLERROR codes. Owns which exist and how OCPP 1.6 spells them; never when one is due.

use serde::{Deserialize, Serialize};

/// The longest `errorDescription`, in characters (OCPP-J 1.6 §4.2.3).
pub const DESCRIPTION_MAX: usize = 255;

/// A CALLERROR code (OCPP-J 1.6 §4.2.3). Variants are named as the specification spells them in 1.6, where
/// `Occurence` has one r and `FormationViolation` is what 2.x calls `FormatViolation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The action is not known.
    NotImplemented,
    /// The action is known but not supported by this side.
    NotSupported,
    /// We failed; the peer may try again.
    InternalError,
    /// The payload is incomplete.
    ProtocolError,
    /// A security issue.
    SecurityError,
    /// Not JSON, or not the shape of the action's payload.
    FormationViolation,
    /// A field has a value that is not allowed.
    PropertyConstraintViolation,
    /// A field is missing, or there are too few or too many of it.
    OccurenceConstraintViolation,
    /// A field has the wrong type.
    TypeConstraintViolation,
    /// Anything else.
    GenericError,
}

impl ErrorCode {
    /// Every code, for tables and metric labels.
    pub const ALL: [ErrorCode; 10] = [
        ErrorCode::NotImplemented,
        ErrorCode::NotSupported,
        ErrorCode::InternalError,
        ErrorCode::ProtocolError,
        ErrorCode::SecurityError,
        ErrorCode::FormationViolation,
        ErrorCode::PropertyConstraintViolation,
        ErrorCode::OccurenceConstraintViolation,
        ErrorCode::TypeConstraintViolation,
        ErrorCode::GenericError,
    ];

    /// The spelling of OCPP 1.6.
    pub const fn as_1_6(self) -> &'static str {
        match self {
            ErrorCode::NotImplemented => "NotImplemented",
            ErrorCode::NotSupported => "NotSupported",
            ErrorCode::InternalError => "InternalError",
            ErrorCode::ProtocolError => "ProtocolError",
            ErrorCode::SecurityError => "SecurityError",
            ErrorCode::FormationViolation => "FormationViolation",
            ErrorCode::PropertyConstraintViolation => "PropertyConstraintViolation",
            ErrorCode::OccurenceConstraintViolation => "OccurenceConstraintViolation",
            ErrorCode::TypeConstraintViolation => "TypeConstraintViolation",
            ErrorCode::GenericError => "GenericError",
        }
    }
}

/// What a CALLERROR says to the charger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {description}", code.as_1_6())]
pub struct CallError {
    /// The code.
    pub code: ErrorCode,
    /// What is wrong, where, and what is allowed. At most 255 characters when written.
    pub description: String,
}

impl CallError {
    /// A CALLERROR with this description.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        CallError { code, description: description.into() }
    }
}
