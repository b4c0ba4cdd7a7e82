//! What happens to a charger, and what it folds to. Owns the journaled form: members are only added, with a default
//! (RT-6).

use super::care::CareEvent;
use super::device_event::DeviceEvent;
use super::facts::{BootFact, Fault, Sample, Status};
use super::hold::HoldEvent;
use super::lock::LockEvent;
use super::smart_charging::ProfilePurpose;
use super::state::{
    Boot, BootPolicy, Charger, Connector, Done, FAILED_MAX, FINISHED_MAX, FailedStart, Finished, Link, Live,
    Maintenance, ORPHANS_MAX, OrphanStop, Pending, RECENT_MAX, Recent, Registration, Sent, TROUBLES_MAX,
};
use crate::clock::Timestamp;
use crate::domain::charging::case::Raised;
use crate::domain::charging::step::Fold;
use crate::ids::{CommandId, ConnectorId, SessionId, TransactionId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What has happened to a charger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Operators have registered or changed it.
    Registered {
        /// As said.
        registration: Registration,
        /// The first transaction id; 0: keep counting.
        first_transaction: i32,
        /// The journal in which it counts from there.
        #[serde(default)]
        epoch: u64,
        /// When.
        at: Timestamp,
    },
    /// In or out of maintenance.
    MaintenanceSet(Option<Maintenance>),
    /// Transaction ids jump ahead after a restore from backup.
    TransactionsJumped {
        /// The next id.
        next: i32,
        /// The journal in which they count from there.
        #[serde(default)]
        epoch: u64,
    },
    /// A socket is attached.
    LinkUp {
        /// Which.
        generation: u64,
        /// When.
        at: Timestamp,
        /// From when on a CALL may be sent.
        ready_at: Timestamp,
        /// When unknown statuses return.
        fallback_due: Option<Timestamp>,
        /// It replaced a living one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        takeover: bool,
        /// The peer's address.
        remote: Box<str>,
        /// The sub-protocol.
        subprotocol: Box<str>,
    },
    /// The socket is gone.
    LinkDown {
        /// Since when.
        at: Timestamp,
        /// When the charger counts as offline.
        offline_due: Option<Timestamp>,
        /// Why, for the timeline.
        reason: Box<str>,
    },
    /// A deadline that measures the charger's silence got our downtime back (RT-3).
    OfflineMoved {
        /// To when.
        due: Timestamp,
    },
    /// It counts as offline: every status is unknown (CH-4).
    WentOffline {
        /// Since when.
        at: Timestamp,
    },
    /// It faulted or went offline (CH-9).
    Troubled {
        /// When.
        at: Timestamp,
    },
    /// It has booted.
    Booted {
        /// When.
        at: Timestamp,
        /// What it was answered.
        status: BootPolicy,
        /// What it said.
        fact: BootFact,
        /// From when on a CALL may be sent.
        ready_at: Timestamp,
    },
    /// It was given the configuration of that print.
    Configured {
        /// Print of keys, values and firmware.
        print: u64,
    },
    /// A connector has a status.
    StatusChanged {
        /// Which.
        connector: ConnectorId,
        /// What.
        status: Status,
        /// Its fault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Box<Fault>>,
        /// When learnt.
        at: Timestamp,
        /// The charger's own time, if plausible.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device_at: Option<Timestamp>,
    },
    /// The last known statuses have returned (CH-4).
    StatusReturned {
        /// When.
        at: Timestamp,
    },
    /// A command waits.
    CommandQueued(Pending),
    /// A command is on its way: journaled before it is written to the socket.
    CommandSent {
        /// Which.
        id: CommandId,
        /// How.
        sent: Sent,
    },
    /// A command whose delivery is uncertain waits again.
    CommandRequeued {
        /// Which.
        id: CommandId,
    },
    /// A command is over.
    CommandDone(Done),
    /// A command that had no answer got one late (CH-2).
    CommandAnsweredLate(Done),
    /// A session takes a connector.
    Claimed(Live),
    /// The charger has said that it will start a session.
    StartAccepted {
        /// Which.
        session: SessionId,
    },
    /// The charger began a transaction.
    TransactionBegan {
        /// For its repeats; names transaction, session, connector.
        recent: Recent,
        /// The connector's entry now.
        live: Live,
    },
    /// The charger ended a transaction.
    TransactionEnded {
        /// Which.
        transaction: TransactionId,
        /// Prints of content and message id.
        stop: (u64, u64),
    },
    /// A stop came whose start is not known.
    StopOrphaned(OrphanStop),
    /// A start came for that stop.
    StopJoined {
        /// Print of the stop's content.
        content: u64,
    },
    /// Readings came that belong to nothing; kept here.
    ReadingsStrayed {
        /// Where.
        connector: ConnectorId,
        /// Of which transaction, if told.
        transaction: Option<TransactionId>,
        /// The readings.
        samples: Vec<Sample>,
    },
    /// A session leaves its connector.
    Released {
        /// Which.
        session: SessionId,
        /// The start's outcome is uncertain: its tag is remembered (SE-5).
        remember: bool,
        /// It never began.
        start_failed: bool,
    },
    /// A failed start need not be recognised any more.
    StartForgotten {
        /// Which session.
        session: SessionId,
    },
    /// Its clock cannot be believed (CH-11).
    ClockDoubted {
        /// As received.
        raw: Box<str>,
    },
    /// FirmwareStatusNotification, as it was written before [`DeviceEvent::Reported`].
    FirmwareStatus(Box<str>),
    /// DiagnosticsStatusNotification, as it was written before [`DeviceEvent::Reported`].
    DiagnosticsStatus(Box<str>),
    /// A remedy was wanted, tried, over (CH-9).
    Care(CareEvent),
    /// A parking lock or barrier has told its state, or was ordered to move (CH-10).
    Lock(LockEvent),
    /// The device has told something of itself.
    Device(DeviceEvent),
    /// A connector is held for a user, or no more (RS-1).
    Hold(HoldEvent),
    /// A vehicle stays after its charging.
    Stay(super::stays::StayEvent),
    /// A session's money is set aside.
    FundsReady {
        /// Which.
        session: SessionId,
    },
    /// Ids were minted.
    Minted {
        /// The count now.
        count: u16,
    },
    /// Operators were told.
    Raised(Raised),
}

impl Fold for Charger {
    type Event = Event;

    fn raised(raised: Raised) -> Event {
        Event::Raised(raised)
    }

    fn raised_count(&self) -> u32 {
        self.raised
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::Registered { registration, first_transaction, epoch, .. } => {
                self.register(registration, *first_transaction, *epoch);
            }
            Event::MaintenanceSet(maintenance) => {
                self.maintenance = maintenance.clone().map(Box::new);
                if maintenance.is_none() {
                    self.troubles.clear();
                }
            }
            Event::TransactionsJumped { next, epoch } => (self.next_transaction, self.epoch) = (*next, *epoch),
            &Event::LinkUp { generation, at, ready_at, fallback_due, takeover, .. } => {
                self.link = Link::Up { generation, since: at, ready_at, fallback_due };
                if takeover {
                    self.takeovers.push_bounded(at, TROUBLES_MAX);
                }
            }
            &Event::LinkDown { at, offline_due, .. } => self.link = Link::Down { since: at, offline_due },
            Event::OfflineMoved { due } => {
                if let Link::Down { offline_due, .. } = &mut self.link {
                    *offline_due = Some(*due);
                }
            }
            Event::WentOffline { at } => {
                self.go_offline(*at);
                self.lose_locks(*at);
            }
            Event::Troubled { at } => self.troubles.push_bounded(*at, TROUBLES_MAX),
            Event::Booted { at, status, fact, ready_at } => {
                self.boot_with(Boot { at: *at, status: *status, fact: fact.clone() }, *ready_at);
            }
            Event::Configured { print } => self.configured = *print,
            Event::StatusChanged { connector, status, fault, at, device_at } => {
                self.learn_status(*connector, *status, fault.clone(), *at, *device_at);
            }
            Event::StatusReturned { at } => self.return_statuses(*at),
            Event::CommandQueued(pending) => self.queue.push(pending.clone()),
            Event::CommandSent { id, sent } => self.with_pending(*id, |pending| pending.sent = Some(sent.clone())),
            Event::CommandRequeued { id } => self.with_pending(*id, |pending| pending.sent = None),
            Event::CommandDone(done) => self.finish(done),
            Event::CommandAnsweredLate(done) => {
                self.finished.iter_mut().filter(|f| f.id == done.id).for_each(|f| f.answered = true);
            }
            Event::Claimed(live) => self.live.push(live.clone()),
            Event::StartAccepted { session } => {
                self.live.iter_mut().filter(|live| live.session == *session).for_each(|live| live.accepted = true);
            }
            Event::TransactionBegan { recent, live } => self.begin(recent, live),
            Event::TransactionEnded { transaction, stop } => self.end(*transaction, *stop),
            Event::StopOrphaned(orphan) => self.orphans.push_bounded(orphan.clone(), ORPHANS_MAX),
            Event::StopJoined { content } => self.orphans.retain(|orphan| orphan.content != *content),
            Event::ReadingsStrayed { transaction, .. } => self.stray = transaction.map(|transaction| transaction.0),
            Event::Released { session, remember, start_failed } => self.release(*session, *remember, *start_failed),
            Event::StartForgotten { session } => self.failed.retain(|failed| failed.session != *session),
            Event::ClockDoubted { .. } => self.clock_doubted = true,
            Event::Care(event) => self.fold_care(event),
            Event::Lock(event) => self.fold_lock(event),
            Event::Hold(event) => self.fold_hold(event),
            Event::Stay(event) => self.fold_stay(event),
            Event::FundsReady { session } => {
                self.live.iter_mut().filter(|live| live.session == *session).for_each(|live| live.unfunded = false);
            }
            Event::Device(event) => self.device.get_or_insert_default().fold(event),
            // What was written before device events: newer words have taken its place.
            Event::FirmwareStatus(_) | Event::DiagnosticsStatus(_) => {}
            Event::Minted { count } => self.minted = *count,
            Event::Raised(_) => self.raised = self.raised.wrapping_add(1),
        }
    }
}

impl Charger {
    fn learn_status(
        &mut self,
        connector: ConnectorId,
        status: Status,
        fault: Option<Box<Fault>>,
        learnt_at: Timestamp,
        device_at: Option<Timestamp>,
    ) {
        if let Some(known) = self.connector_mut(connector) {
            let device_at = device_at.or(known.device_at);
            *known = Connector { status, fault, learnt_at, device_at, before: None };
        }
    }

    fn register(&mut self, registration: &Registration, first_transaction: i32, epoch: u64) {
        self.connectors.resize(usize::from(registration.connectors), Connector::default());
        self.registration = Some(Arc::new(registration.clone()));
        if first_transaction > 0 {
            (self.next_transaction, self.epoch) = (first_transaction, epoch);
        }
    }

    fn boot_with(&mut self, boot: Boot, ready: Timestamp) {
        self.boot = Some(Box::new(boot));
        if let Link::Up { ready_at, .. } = &mut self.link {
            *ready_at = ready;
        }
        self.connectors.iter_mut().for_each(|connector| connector.device_at = None);
        self.clock_doubted = false;
    }

    fn end(&mut self, transaction: TransactionId, stop: (u64, u64)) {
        // The charger drops the profile of a transaction with it (OCPP 1.6 §3.13.1).
        if let (Some(live), Some(device)) = (self.live_transaction(transaction).cloned(), &mut self.device) {
            device.installed.retain(|one| one.purpose != ProfilePurpose::TxProfile || one.connector != live.connector);
        }
        self.live.retain(|live| live.transaction != Some(transaction));
        let known = self.recent.iter_mut().filter(|recent| recent.transaction == transaction);
        known.for_each(|recent| recent.stop = Some(stop));
        self.trim_recent();
    }

    fn go_offline(&mut self, at: Timestamp) {
        if let Link::Down { offline_due, .. } = &mut self.link {
            *offline_due = None;
        }
        for connector in self.connectors.iter_mut().chain(std::iter::once(&mut self.whole)) {
            if connector.status != Status::Unknown {
                connector.before = Some(connector.status);
                connector.status = Status::Unknown;
                connector.learnt_at = at;
            }
        }
    }

    fn return_statuses(&mut self, at: Timestamp) {
        if let Link::Up { fallback_due, .. } = &mut self.link {
            *fallback_due = None;
        }
        for connector in self.connectors.iter_mut().chain(std::iter::once(&mut self.whole)) {
            if let (Status::Unknown, Some(before)) = (connector.status, connector.before.take()) {
                connector.status = before;
                connector.learnt_at = at;
            }
        }
    }

    fn with_pending(&mut self, id: CommandId, change: impl FnOnce(&mut Pending)) {
        if let Some(pending) = self.queue.iter_mut().find(|pending| pending.id == id) {
            change(pending);
        }
    }

    fn finish(&mut self, done: &Done) {
        let place = self.queue.iter().position(|pending| pending.id == done.id);
        let Some(over) = place.and_then(|place| self.queue.take(place)) else { return };
        let Pending { id, call, purpose, queued_at, .. } = over;
        let answered = match done.outcome {
            super::calls::Outcome::TimedOut | super::calls::Outcome::LinkLost => false,
            super::calls::Outcome::Answered { .. }
            | super::calls::Outcome::CallError { .. }
            | super::calls::Outcome::Offline
            | super::calls::Outcome::Moot => true,
        };
        // Only one without an answer can still get one.
        if !answered {
            let action = call.action().into();
            self.finished.push_bounded(Finished { id, purpose, action, queued_at, answered }, FINISHED_MAX);
        }
    }

    fn begin(&mut self, recent: &Recent, live: &Live) {
        self.next_transaction = recent.transaction.0.checked_add(1).unwrap_or(1);
        self.failed.retain(|failed| failed.session != live.session);
        self.live.retain(|known| known.session != live.session);
        self.live.push(live.clone());
        self.start_failures = 0;
        self.recent.push(recent.clone());
        self.trim_recent();
    }

    /// A running transaction is never forgotten: its stop must be recognised.
    fn trim_recent(&mut self) {
        let live = &self.live;
        let over = |r: &Recent| live.iter().all(|live| live.transaction != Some(r.transaction));
        let mut surplus = self.recent.iter().filter(|r| over(r)).count().saturating_sub(RECENT_MAX);
        self.recent.retain(|r| {
            let drop = surplus > 0 && over(r);
            surplus -= usize::from(drop);
            !drop
        });
    }

    fn release(&mut self, session: SessionId, remember: bool, start_failed: bool) {
        let Some(place) = self.live.iter().position(|live| live.session == session) else { return };
        let live = self.live.remove(place);
        self.trim_recent();
        if let (true, Some(id_tag)) = (remember, live.id_tag) {
            self.failed.push_bounded(FailedStart { session, id_tag }, FAILED_MAX);
        }
        if start_failed {
            self.start_failures = self.start_failures.saturating_add(1);
        }
    }
}
