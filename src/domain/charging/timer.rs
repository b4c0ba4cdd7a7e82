//! The deadlines of a partition.

use crate::ids::CommandId;

/// Names a deadline within one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Charger: the socket has been closed for too long (CH-4).
    Offline,
    /// Charger: the outstanding CALL has no answer (CH-2).
    CallTimeout(CommandId),
    /// Charger: a waiting command may be sent now.
    Pump,
    /// Charger: the last known statuses return (CH-4).
    StatusFallback,
    /// Charger: its maintenance ends by itself (CH-9).
    Release,
    /// Charger: a parking lock has not moved (CH-10).
    LockMove,
    /// Session: no transaction began (SE-4).
    StartDeadline,
    /// Session: the stop has not ended the transaction (SE-7).
    StopRetry,
    /// Session: too long (SE-10).
    MaxDuration,
    /// Session: the time asked for is over.
    DurationLimit,
    /// Session: no reading (SE-9).
    MissedSamples,
    /// Session: nothing was heard for so long that it is settled (SE-9).
    Settle,
    /// Session, order: it leaves memory.
    Forget,
    /// Reservation: the user did not come (RS-4).
    HoldUntil,
    /// Reservation: the deposit did not come. Order: what is missing was not paid (MO-5).
    PaymentDeadline,
    /// Reservation, order: its user's account has not answered.
    AskAccount,
    /// Order: the user is reminded to pay.
    Remind,
    /// Order: the user is told that staying will cost (SE-13).
    StayWarn,
    /// Order: staying begins to cost.
    StayGrace,
    /// Order: staying costs no more, or has lasted too long.
    StayEnd,
}
