//! OCPP-J framing (OCPP-J 1.6 §4), the same for every version but for the spelling of error codes. Owns the shape of
//! the three frames and the pairing of calls on one connection; never IO, never what a payload means.

pub mod call_error;
pub mod frame;
pub mod link;

pub use call_error::{CallError, ErrorCode};
pub use frame::{Frame, Ignored, MESSAGE_ID_MAX, write_call, write_error, write_result};
pub use link::{CallLink, NotYet, Repeat, Reply};
