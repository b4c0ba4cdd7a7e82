//! CancelReservation (OCPP 1.6 §5.1): a held connector is let go.

use super::charging_profile::i32;
use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// CancelReservationStatus (OCPP 1.6 §7.5).
    CancelReservationStatus { Accepted, Rejected }
);

/// CancelReservation.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which.
    pub reservation_id: i32,
}

/// CancelReservation.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Rejected: there is no such reservation.
    pub status: CancelReservationStatus,
}

pub(crate) const FIELDS: &[&str] = &["reservationId"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { reservation_id: i32(f, "reservationId")? })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", CancelReservationStatus::ALLOWED, CancelReservationStatus::read)? })
}
