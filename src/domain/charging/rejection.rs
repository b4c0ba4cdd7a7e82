//! Why a command to a charger's partition changes nothing. Owns the codes of the error catalogue that stem from here (EM-10).

use std::fmt;

/// Why a command changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The charger is not registered.
    ChargerUnknown,
    /// No socket is attached (SE-2, CH-4).
    ChargerOffline,
    /// Its boot policy or state is not `Accepted` (CH-3).
    ChargerNotAccepted,
    /// In maintenance (CH-9).
    ChargerMaintenance,
    /// The charger as a whole reports `Faulted`.
    ChargerFaulted,
    /// The charger as a whole reports `Unavailable`.
    ChargerUnavailable,
    /// It has no such connector.
    ConnectorUnknown,
    /// Another session or vehicle is there (SE-2).
    ConnectorOccupied,
    /// It reports `Faulted` (CH-8).
    ConnectorFaulted,
    /// It reports `Unavailable`.
    ConnectorUnavailable,
    /// It reports `Reserved`.
    ConnectorReserved,
    /// Its status is not known right now (CH-4).
    ConnectorStatusUnknown,
    /// It has told of no parking lock or barrier there (CH-10).
    LockUnknown,
    /// Too many commands wait for this charger (RT-8).
    CommandQueueFull,
    /// The charger cannot do what the command wants, or not now; [`crate::domain::charger::check`] says why.
    CommandRefused,
    /// A command of that id is there already.
    CommandExists,
    /// Its password is being changed already (CH-3).
    RotationUnderWay,
    /// A security profile below the registered one (CH-3).
    ProfileFalls,
    /// A session of that id is there already.
    SessionExists,
    /// No such session in memory: it never was, or is over for long; its row tells.
    SessionUnknown,
    /// It is over.
    SessionOver,
    /// A reservation of that id is there already.
    ReservationExists,
    /// No such reservation in memory: it never was, or is over; its row tells.
    ReservationUnknown,
    /// It is over.
    ReservationOver,
    /// Its deposit is not there yet.
    ReservationUnpaid,
    /// Its time has not come (RS-3).
    ReservationEarly,
    /// Its vehicle is being started.
    ReservationArriving,
    /// It is of another user of the same partner (RS-3).
    ReservationOfAnother,
    /// Another connector is reserved for this user; the reservation stands (RS-3).
    WrongConnector,
    /// No tariff is in force at the site, so a user with an account cannot be told what it costs.
    TariffMissing,
    /// No such order.
    OrderUnknown,
    /// It does not wait for a person.
    OrderNotUnderReview,
    /// An amount that the order does not allow.
    OrderAmount,
    /// Nothing was taken that could be given back, or something is on its way.
    OrderNotPaid,
    /// Nothing is owed for it.
    OrderNotOwed,
    /// It is not charging.
    OrderNotOpen,
    /// Its account has not answered yet.
    OrderBusy,
    /// It has no bill yet.
    OrderNotBilled,
    /// No refund of it waits for a second person.
    RefundUnknown,
    /// Whoever wants a refund cannot agree to it (MO-6).
    SamePerson,
    /// The command was sent to an entity of the other kind: a defect of the sender.
    Misrouted,
}

impl Rejection {
    /// Every rejection.
    pub const ALL: [Rejection; 41] = [
        Rejection::ChargerUnknown,
        Rejection::ChargerOffline,
        Rejection::ChargerNotAccepted,
        Rejection::ChargerMaintenance,
        Rejection::ChargerFaulted,
        Rejection::ChargerUnavailable,
        Rejection::ConnectorUnknown,
        Rejection::ConnectorOccupied,
        Rejection::ConnectorFaulted,
        Rejection::ConnectorUnavailable,
        Rejection::ConnectorReserved,
        Rejection::ConnectorStatusUnknown,
        Rejection::LockUnknown,
        Rejection::CommandQueueFull,
        Rejection::CommandRefused,
        Rejection::CommandExists,
        Rejection::RotationUnderWay,
        Rejection::ProfileFalls,
        Rejection::SessionExists,
        Rejection::SessionUnknown,
        Rejection::SessionOver,
        Rejection::ReservationExists,
        Rejection::ReservationUnknown,
        Rejection::ReservationOver,
        Rejection::ReservationUnpaid,
        Rejection::ReservationEarly,
        Rejection::ReservationArriving,
        Rejection::ReservationOfAnother,
        Rejection::WrongConnector,
        Rejection::TariffMissing,
        Rejection::OrderUnknown,
        Rejection::OrderNotUnderReview,
        Rejection::OrderAmount,
        Rejection::OrderNotPaid,
        Rejection::OrderNotOwed,
        Rejection::OrderNotOpen,
        Rejection::OrderBusy,
        Rejection::OrderNotBilled,
        Rejection::RefundUnknown,
        Rejection::SamePerson,
        Rejection::Misrouted,
    ];

    /// The stable code of the error catalogue.
    pub const fn code(self) -> &'static str {
        match self {
            Rejection::ChargerUnknown => "charger_unknown",
            Rejection::ChargerOffline => "charger_offline",
            Rejection::ChargerNotAccepted => "charger_not_accepted",
            Rejection::ChargerMaintenance => "charger_maintenance",
            Rejection::ChargerFaulted => "charger_faulted",
            Rejection::ChargerUnavailable => "charger_unavailable",
            Rejection::ConnectorUnknown => "connector_unknown",
            Rejection::ConnectorOccupied => "connector_occupied",
            Rejection::ConnectorFaulted => "connector_faulted",
            Rejection::ConnectorUnavailable => "connector_unavailable",
            Rejection::ConnectorReserved => "connector_reserved",
            Rejection::ConnectorStatusUnknown => "connector_status_unknown",
            Rejection::LockUnknown => "lock_unknown",
            Rejection::CommandQueueFull => "command_queue_full",
            Rejection::CommandRefused => "command_refused",
            Rejection::CommandExists => "command_exists",
            Rejection::RotationUnderWay => "rotation_under_way",
            Rejection::ProfileFalls => "security_profile_falls",
            Rejection::SessionExists => "session_exists",
            Rejection::SessionUnknown => "session_unknown",
            Rejection::SessionOver => "session_over",
            Rejection::ReservationExists => "reservation_exists",
            Rejection::ReservationUnknown => "reservation_unknown",
            Rejection::ReservationOver => "reservation_over",
            Rejection::ReservationUnpaid => "reservation_unpaid",
            Rejection::ReservationEarly => "reservation_early",
            Rejection::ReservationArriving => "reservation_arriving",
            Rejection::ReservationOfAnother => "reservation_of_another",
            Rejection::WrongConnector => "wrong_connector",
            Rejection::TariffMissing => "tariff_missing",
            Rejection::OrderUnknown => "order_unknown",
            Rejection::OrderNotUnderReview => "order_not_under_review",
            Rejection::OrderAmount => "order_amount",
            Rejection::OrderNotPaid => "order_not_paid",
            Rejection::OrderNotOwed => "order_not_owed",
            Rejection::OrderNotOpen => "order_not_open",
            Rejection::OrderBusy => "order_busy",
            Rejection::OrderNotBilled => "order_not_billed",
            Rejection::RefundUnknown => "refund_unknown",
            Rejection::SamePerson => "second_person",
            Rejection::Misrouted => "internal_misrouted",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Rejection {}
