//! What happens to a session, and what it folds to. Owns the journaled form: members are only added, with a default
//! (RT-6).

use super::pricing::Shown;
use super::reasons::End;
use super::signed::SignedRecord;
use super::state::{
    Failure, Flag, Limits, Owner, Patience, READINGS_MAX, REQUESTS_MAX, Reading, Session, Status, StopCause, Stopping,
};
use crate::clock::Timestamp;
use crate::domain::charger::{Fault, Sample, Status as ConnectorStatus, UserRef};
use crate::domain::charging::case::Raised;
use crate::domain::charging::step::Fold;
use crate::ids::{ConnectorId, PartnerId, RequestId, ReservationId, TransactionId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A partner's start, as journaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// Who.
    pub partner: PartnerId,
    /// The partner's name of it.
    pub request: RequestId,
    /// For whom.
    pub user: UserRef,
    /// Personal data, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<str>>,
    /// Where.
    pub connector: ConnectorId,
    /// When to stop.
    #[serde(default)]
    pub limits: Limits,
    /// When.
    pub at: Timestamp,
    /// When it is given up.
    pub start_due: Timestamp,
    /// The reservation that it ends (SE-15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// What its user was shown (MO-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

/// A transaction's start, as journaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// Its id.
    pub transaction: TransactionId,
    /// Where.
    pub connector: ConnectorId,
    /// The register.
    pub meter_start_wh: i64,
    /// When: the charger's time if plausible.
    pub started_at: Timestamp,
    /// When the message came.
    pub received: Timestamp,
    /// The charger's own text where it is not plausible (CH-11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_at: Option<Box<str>>,
    /// What it says, if that is a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// Whose, if it is local.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Its session had failed (SE-5).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// How long silence is borne.
    pub patience: Patience,
    /// When it is too long.
    pub max_due: Timestamp,
    /// When the time asked for is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_due: Option<Timestamp>,
    /// The reservation that it ends, if nobody asked for it before (SE-15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// What its user was shown, if nobody asked for it before (MO-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
}

/// A transaction's end, as journaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// When: the charger's time if plausible.
    pub at: Timestamp,
    /// The charger's own text where it is not plausible (CH-11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_at: Option<Box<str>>,
    /// The final register as told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_stop_wh: Option<i64>,
    /// The register that counts.
    pub register_wh: i64,
    /// Why.
    pub end: End,
    /// When it leaves memory.
    pub forget_due: Timestamp,
}

/// What has happened to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A partner asked for it.
    Placed(Placed),
    /// The charger began its transaction.
    Began(Began),
    /// It is given up.
    Failed {
        /// Why.
        failure: Failure,
        /// When it leaves memory.
        forget_due: Timestamp,
    },
    /// Readings came.
    Read {
        /// When.
        at: Timestamp,
        /// In time order as told.
        readings: Vec<Reading>,
        /// The register that counts now.
        register_wh: i64,
        /// When the last that counts was taken by the charger's own clock, where that is not plausible (CH-11).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told_at: Option<Timestamp>,
    },
    /// Readings came after its end; kept here.
    ReadLate {
        /// When.
        at: Timestamp,
        /// As told.
        samples: Vec<Sample>,
    },
    /// Something is odd about it, or no longer.
    Flagged {
        /// What.
        flag: Flag,
        /// Whether.
        on: bool,
    },
    /// Its connector said something.
    StatusSeen {
        /// What.
        status: ConnectorStatus,
        /// With what fault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Box<Fault>>,
        /// When.
        at: Timestamp,
    },
    /// Samples were missed (SE-9).
    SamplesMissed,
    /// It is to stop.
    StopRequested {
        /// Why.
        cause: StopCause,
        /// The operator, if one asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
        /// Who awaits the result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
        /// When to try; `None`: at once, or on reconnect.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_due: Option<Timestamp>,
    },
    /// The stop goes to the charger.
    StopTried {
        /// The how-manieth.
        attempt: u8,
        /// When to try again.
        next_due: Timestamp,
    },
    /// The stop waits for the charger to come back, or for a slow retry (SE-7).
    StopDeferred {
        /// When to try again; `None`: on reconnect.
        next_due: Option<Timestamp>,
    },
    /// Whoever awaited the stop's result has been told.
    StopResultTold,
    /// It does not stop (SE-7).
    StopPended,
    /// Something is wrong with it (SE-10).
    BecameAbnormal,
    /// Its settlement waits again.
    SettleDeferred {
        /// Until when.
        due: Timestamp,
    },
    /// It is over.
    Ended(Ended),
    /// The charger's account came after it was settled (SE-8).
    Corrected(Ended),
    /// Deadlines that measure the charger's silence got our downtime back (RT-3).
    DeadlinesMoved {
        /// By how much.
        by_ms: u64,
    },
    /// Signed meter data came.
    SignedData {
        /// When.
        at: Timestamp,
        /// The number of the first of them in the session, from 0.
        first: u16,
        /// As received.
        records: Vec<SignedRecord>,
    },
    /// Its partner was told.
    Told {
        /// The notice's number.
        sequence: u64,
        /// When, if it was its progress.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        progress_at: Option<Timestamp>,
    },
    /// So much is set aside for it.
    Funded {
        /// In all, minor units.
        minor: i64,
    },
    /// The user knows that it is nearly used up (SE-11).
    FundsWarned,
    /// It leaves memory.
    Forgotten,
    /// Operators were told.
    Raised(Raised),
}

fn later(at: Timestamp, ms: u64) -> Timestamp {
    at + Duration::from_millis(ms)
}

impl Fold for Session {
    type Event = Event;

    fn raised(raised: Raised) -> Event {
        Event::Raised(raised)
    }

    fn raised_count(&self) -> u32 {
        self.raised
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::Placed(placed) => self.place(placed),
            Event::Began(began) => self.begin(began),
            Event::Failed { failure, forget_due } => {
                self.status = Some(Status::Failed);
                self.failure = Some(failure.clone());
                self.start_due = None;
                self.forget_due = Some(*forget_due);
            }
            Event::Read { at, readings, register_wh, told_at } => {
                self.read(*at, readings, *register_wh);
                self.told_at = *told_at;
            }
            Event::ReadLate { at, .. } => self.heard_at = *at,
            Event::SignedData { first, records, .. } => {
                self.signed = first.saturating_add(u16::try_from(records.len()).unwrap_or(u16::MAX));
            }
            Event::Flagged { flag, on } => self.flags.set(*flag, *on),
            Event::StatusSeen { status, fault, at } => {
                self.seen = Some(*status);
                self.fault.clone_from(fault);
                let free = *status == ConnectorStatus::Available;
                self.vanished_due = free.then(|| later(*at, self.patience.vanished_ms));
            }
            Event::SamplesMissed => {
                self.missed_due = None;
                self.flags.set(Flag::SamplesMissed, true);
            }
            Event::StopRequested { cause, request, next_due, .. } => {
                self.request_stop(*cause, request.as_ref(), *next_due)
            }
            &Event::StopTried { attempt, next_due } => self.with_stop(|stop| {
                stop.attempts = attempt;
                stop.next_due = Some(next_due);
            }),
            &Event::StopDeferred { next_due } => self.with_stop(|stop| {
                stop.next_due = next_due;
                // On reconnect it begins anew; after the last quick attempt it goes on slowly.
                stop.attempts = next_due.map_or(0, |_| stop.attempts.saturating_add(1));
            }),
            Event::StopResultTold => self.with_stop(|stop| stop.requests.clear()),
            Event::StopPended => self.status = Some(Status::StopPending),
            Event::BecameAbnormal => {
                // A failed session whose transaction runs stays failed (SE-15).
                if self.is_open() {
                    self.status = Some(Status::Abnormal);
                }
                self.max_due = None;
            }
            Event::SettleDeferred { due } => {
                self.settle_due = Some(*due);
                self.vanished_due = None;
            }
            Event::Ended(ended) => {
                if self.status != Some(Status::Failed) {
                    self.status = Some(Status::Ended);
                }
                self.end_with(ended);
            }
            Event::Corrected(ended) => self.end_with(ended),
            Event::DeadlinesMoved { by_ms } => self.move_deadlines(*by_ms),
            Event::Told { sequence, progress_at } => {
                self.sequence = *sequence;
                self.progress_at = progress_at.or(self.progress_at);
            }
            Event::Funded { minor } => (self.funds, self.funds_warned) = (Some(*minor), false),
            Event::FundsWarned => self.funds_warned = true,
            Event::Forgotten => *self = Session { raised: self.raised, ..Session::default() },
            Event::Raised(_) => self.raised = self.raised.wrapping_add(1),
        }
    }
}

impl Session {
    fn with_stop(&mut self, change: impl FnOnce(&mut Stopping)) {
        if let Some(stop) = &mut self.stop {
            change(stop);
        }
    }

    fn place(&mut self, placed: &Placed) {
        self.status = Some(Status::Starting);
        self.partner = Some(placed.partner.clone());
        self.request = Some(placed.request.clone());
        self.user = Some(placed.user.clone());
        self.sealed.clone_from(&placed.sealed);
        self.connector = placed.connector;
        self.limits = placed.limits;
        self.created_at = placed.at;
        self.start_due = Some(placed.start_due);
        self.reservation = placed.reservation;
        self.shown.clone_from(&placed.shown);
    }

    fn begin(&mut self, began: &Began) {
        if self.status.is_none() {
            self.created_at = began.received;
        }
        if !began.late {
            self.status = Some(Status::Charging);
        }
        if let Some(owner) = &began.owner {
            self.token = Some(owner.token.clone());
            self.partner = owner.holder.as_ref().map(|(partner, _)| partner.clone());
            self.user = owner.holder.as_ref().map(|(_, user)| user.clone());
        }
        self.reservation = began.reservation.or(self.reservation);
        self.shown = self.shown.take().or_else(|| began.shown.clone());
        self.start_due = None;
        self.forget_due = None;
        self.transaction = Some(began.transaction);
        self.connector = began.connector;
        self.started_at = Some(began.started_at);
        self.meter_start_wh = began.meter_start_wh;
        self.register_wh = began.meter_start_wh;
        self.heard_at = began.received;
        self.read_at = began.started_at;
        self.told_at = began.told_at;
        self.patience = began.patience;
        self.missed_due = Some(later(began.received, began.patience.missed_ms));
        self.settle_due = Some(later(began.received, began.patience.settle_ms));
        self.max_due = Some(began.max_due);
        self.duration_due = began.duration_due;
    }

    fn read(&mut self, at: Timestamp, readings: &[Reading], register_wh: i64) {
        self.heard_at = at;
        self.register_wh = register_wh;
        for reading in readings {
            // What a stop repeats of the past is history, not progress.
            if reading.at >= self.read_at {
                self.read_at = reading.at;
                self.power_w = reading.power_w.or(self.power_w);
                self.soc_percent = reading.soc_percent.or(self.soc_percent);
            }
            self.keep(*reading);
        }
        self.missed_due = Some(later(at, self.patience.missed_ms));
        self.settle_due = Some(later(at, self.patience.settle_ms));
        self.vanished_due = None;
    }

    /// Keeps a reading within the bound, in order of time, each moment once: the newest always, the others evenly
    /// spaced.
    fn keep(&mut self, reading: Reading) {
        let place = self.readings.partition_point(|known| known.at < reading.at);
        let room = self.spacing_ms == 0 && self.readings.len() < READINGS_MAX;
        match self.readings.get_mut(place) {
            Some(known) if known.at == reading.at => *known = reading,
            Some(_) if room => self.readings.insert(place, reading),
            // They are thinned already: the past has its share.
            Some(_) => {}
            None => self.append(reading),
        }
    }

    fn append(&mut self, reading: Reading) {
        let too_near = match self.readings.as_slice() {
            [.., before, _] => reading.at.0.saturating_sub(before.at.0) < self.spacing_ms,
            [_] | [] => false,
        };
        if too_near {
            self.readings.pop();
        }
        self.readings.push(reading);
        if self.readings.len() > READINGS_MAX {
            let span = reading.at.0.saturating_sub(self.readings.first().map_or(0, |first| first.at.0)).max(0);
            // Half as many over the same span are twice as far apart.
            let wanted = span / i64::try_from(READINGS_MAX / 2).unwrap_or(1);
            self.spacing_ms = wanted.max(self.spacing_ms);
            let mut place = 0;
            let last = self.readings.len() - 1;
            self.readings.retain(|_| {
                place += 1;
                (place - 1) % 2 == 0 || place - 1 == last
            });
            self.flags.set(Flag::ReadingsThinned, true);
        }
    }

    fn request_stop(&mut self, cause: StopCause, request: Option<&RequestId>, next_due: Option<Timestamp>) {
        let stop =
            self.stop.get_or_insert_with(|| Box::new(Stopping { cause, attempts: 0, next_due, requests: Vec::new() }));
        if let Some(request) = request.filter(|_| stop.requests.len() < REQUESTS_MAX) {
            stop.requests.push(request.clone());
        }
        if cause == StopCause::DurationLimit {
            self.duration_due = None;
        }
    }

    fn end_with(&mut self, ended: &Ended) {
        self.ended_at = Some(ended.at);
        self.meter_stop_wh = ended.meter_stop_wh;
        self.register_wh = ended.register_wh;
        self.end = Some(ended.end);
        self.forget_due = Some(ended.forget_due);
        (self.start_due, self.missed_due, self.settle_due) = (None, None, None);
        (self.vanished_due, self.max_due, self.duration_due) = (None, None, None);
        self.stop = None;
        self.power_w = None;
    }

    fn move_deadlines(&mut self, by_ms: u64) {
        let stop = self.stop.as_mut().map(|stop| &mut stop.next_due);
        let own = [&mut self.start_due, &mut self.missed_due, &mut self.settle_due, &mut self.vanished_due];
        for due in own.into_iter().chain(stop) {
            *due = due.map(|due| later(due, by_ms));
        }
    }
}
