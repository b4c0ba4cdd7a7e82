//! `Ret` of an answer (T/CEC 102.4): what the envelope's fate was. A refusal of the business is no error: it is `Ret` 0 with
//! `SuccStat` 1 and a `FailReason`.

/// The codes that we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// Taken.
    Success,
    /// Try again later.
    Busy,
    /// A defect of ours.
    SystemError,
    /// The signature is wrong, or nobody is known by that `OperatorID`.
    Signature,
    /// The token is missing, wrong or over.
    Token,
    /// A member of the envelope is missing or malformed.
    Envelope,
    /// `Data` cannot be read, or a member in it is not allowed.
    Parameter,
}

impl Ret {
    /// The number.
    pub const fn code(self) -> i64 {
        match self {
            Ret::Success => 0,
            Ret::Busy => -1,
            Ret::SystemError => 500,
            Ret::Signature => 4001,
            Ret::Token => 4002,
            Ret::Envelope => 4003,
            Ret::Parameter => 4004,
        }
    }

    /// For metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Ret::Success => "success",
            Ret::Busy => "busy",
            Ret::SystemError => "system_error",
            Ret::Signature => "signature",
            Ret::Token => "token",
            Ret::Envelope => "envelope",
            Ret::Parameter => "parameter",
        }
    }
}

/// A private code (provincial platforms): the order was taken before.
pub const DUPLICATE_ORDER: i64 = 4015;

/// Why a call is answered with another `Ret` than 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{msg}")]
pub struct Refused {
    /// The code.
    pub ret: Ret,
    /// What is wrong, where, and what is allowed.
    pub msg: String,
}

impl Refused {
    /// With a text.
    pub fn new(ret: Ret, msg: impl Into<String>) -> Self {
        Refused { ret, msg: msg.into() }
    }

    /// A member of `Data` that is not as it must be.
    pub fn member(name: &str, problem: &str, allowed: &str) -> Self {
        Refused::new(Ret::Parameter, format!("{name} {problem}: {allowed}"))
    }
}
