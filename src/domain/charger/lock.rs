//! Parking locks and barriers that a charger drives (CH-10), through DataTransfer by the profile in
//! `docs/vendor-profiles.md`. Owns what is known of each lock and the orders to move it; never the offer of a connector.
//!
//! Invariants: one order at a time a lock; an order ends in exactly one result, which is shown; a lock that does not move,
//! or says that it fails, takes its connector out of offer until it reports another state.

use super::calls::Outcome;
use super::state::{CONNECTORS_MAX, Pending, TEXT_MAX};
use super::{Call, Charger, ChargerStep, ErrorCode, Event, Fault, Purpose, queue, status, subject};
use crate::clock::Timestamp;
use crate::domain::charging::case::clip;
use crate::domain::charging::{Case, Level, Rejection, Reply};
use crate::domain::fault::PARKING_LOCK;
use crate::ids::{CommandId, ConnectorId};
use serde::{Deserialize, Serialize};

/// `vendorId` of the profile.
pub const VENDOR: &str = "org.chargeline.parking";
/// `messageId` of a charger's report.
pub const REPORT: &str = "LockStatus";
/// `messageId` of an order.
pub const ORDER: &str = "MoveLock";

/// Characters of a report that are read: its members need some 200.
const DATA_MAX: usize = 2048;

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockKind {
    /// A lock in the ground of one space.
    Lock,
    /// A barrier across the way.
    Barrier,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockState {
    /// Up: nobody gets in.
    Raised,
    /// Down: the way is free.
    Lowered,
    /// On its way.
    Moving,
    /// It does not work.
    Fault,
    /// Not known: the charger is offline.
    Unknown,
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockAction {
    /// Up.
    Raise,
    /// Down.
    Lower,
}

impl LockAction {
    /// The state that it ends in.
    pub const fn state(self) -> LockState {
        match self {
            LockAction::Raise => LockState::Raised,
            LockAction::Lower => LockState::Lowered,
        }
    }

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            LockAction::Raise => "raise",
            LockAction::Lower => "lower",
        }
    }
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MoveResult {
    /// Under way.
    Moving,
    /// It stands as ordered.
    Done,
    /// The charger refused: a vehicle stands there, or it does not know the order.
    Refused,
    /// It never reported the state, however often it was told.
    Stuck,
    /// The charger went offline.
    Offline,
    /// Another order came.
    Replaced,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Where to.
    pub action: LockAction,
    /// Who ordered it.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
    /// The present attempt's command.
    pub command_id: CommandId,
    /// Which attempt, from 1.
    pub attempt: u8,
    /// When the state must be there; `None`: the charger has not answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// How far it is.
    pub result: MoveResult,
}

/// A lock or barrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Of which connector's space; 0: of the whole charger.
    pub connector_id: ConnectorId,
    /// What it is.
    pub kind: LockKind,
    /// How it stands.
    pub state: LockState,
    /// Whether a vehicle stands there, if it can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vehicle: Option<bool>,
    /// What fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Box<Fault>>,
    /// When that was learnt, by our clock.
    pub at: Timestamp,
    /// The last order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Movement>,
}

/// What happens to a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockEvent {
    /// The charger has told how it stands; or it is known to be stuck.
    Told(Lock),
    /// An order is given, answered, tried again, or over.
    Ordered {
        /// Of which lock.
        connector: ConnectorId,
        /// As it is now.
        order: Movement,
    },
}

/// What a report's `data` holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    connector_id: u16,
    #[serde(default = "a_lock")]
    kind: LockKind,
    state: Reported,
    vehicle_present: Option<bool>,
    error_code: Option<String>,
    info: Option<String>,
}

const fn a_lock() -> LockKind {
    LockKind::Lock
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reported {
    Raised,
    Lowered,
    Moving,
    Fault,
}

/// How a DataTransfer is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferStatus {
    /// Taken.
    Accepted,
    /// Cannot be read; `data` says why.
    Rejected,
    /// The profile has no such message.
    UnknownMessage,
}

impl Charger {
    /// Folds an event in.
    pub(super) fn fold_lock(&mut self, event: &LockEvent) {
        let locks = &mut self.care.get_or_insert_default().locks;
        match event {
            LockEvent::Told(lock) => match locks.iter_mut().find(|known| known.connector_id == lock.connector_id) {
                Some(known) => {
                    let order = known.order.take();
                    *known = Lock { order, ..lock.clone() };
                }
                None => locks.push(lock.clone()),
            },
            LockEvent::Ordered { connector, order } => {
                if let Some(known) = locks.iter_mut().find(|known| known.connector_id == *connector) {
                    known.order = Some(order.clone());
                }
            }
        }
    }

    /// Offline nobody knows how the locks stand; one that fails is taken to fail still.
    pub(super) fn lose_locks(&mut self, at: Timestamp) {
        let locks = self.care.iter_mut().flat_map(|care| care.locks.iter_mut());
        for lock in locks.filter(|lock| !matches!(lock.state, LockState::Fault | LockState::Unknown)) {
            (lock.state, lock.vehicle, lock.at) = (LockState::Unknown, None, at);
        }
    }

    /// The locks.
    pub fn locks(&self) -> &[Lock] {
        self.care.as_ref().map_or(&[], |care| &care.locks)
    }

    /// The lock before a connector: its own, or the charger's.
    pub fn lock_at(&self, connector: ConnectorId) -> Option<&Lock> {
        let of = |id: ConnectorId| self.locks().iter().find(|lock| lock.connector_id == id);
        of(connector).or_else(|| of(ConnectorId(0)))
    }

    /// The fault of a lock that keeps people from a connector.
    pub(super) fn lock_fault(&self, connector: ConnectorId) -> Option<&Fault> {
        let before = |lock: &&Lock| lock.connector_id == connector || lock.connector_id.0 == 0;
        self.locks().iter().filter(before).find_map(|lock| lock.fault.as_deref())
    }

    /// When the next lock must have moved.
    pub(super) fn lock_due(&self) -> Option<Timestamp> {
        self.locks().iter().filter_map(|lock| lock.order.as_ref()?.due).min()
    }
}

/// DataTransfer from the charger.
pub(super) fn transferred(
    step: &mut ChargerStep<'_>,
    vendor: &str,
    message: Option<&str>,
    data: Option<&str>,
) -> Reply {
    if !vendor.eq_ignore_ascii_case(VENDOR) {
        return Reply::UnknownVendor;
    }
    if message != Some(REPORT) {
        let data = format!("messageId {REPORT} is known");
        return Reply::Transferred { status: TransferStatus::UnknownMessage, data: Some(data.into()) };
    }
    match read(step, data.unwrap_or_default()) {
        Ok(report) => {
            told(step, report);
            Reply::Transferred { status: TransferStatus::Accepted, data: None }
        }
        Err(why) => Reply::Transferred { status: TransferStatus::Rejected, data: Some(clip(&why, 255)) },
    }
}

fn read(step: &ChargerStep<'_>, data: &str) -> Result<Report, String> {
    if data.len() > DATA_MAX {
        return Err(format!("data has {} bytes; at most {DATA_MAX} are allowed", data.len()));
    }
    let report: Report = serde_json::from_str(data).map_err(|error| format!("data: {error}"))?;
    match step.state.connector(ConnectorId(report.connector_id)) {
        Some(_) => Ok(report),
        None => {
            let registered = step.state.connectors.len().min(usize::from(CONNECTORS_MAX));
            Err(format!("connectorId {} is not registered; 0 to {registered} is allowed", report.connector_id))
        }
    }
}

fn fault_of(step: &ChargerStep<'_>, code: Option<String>, info: Option<String>) -> Box<Fault> {
    let cut = |text: Option<String>| text.filter(|text| !text.is_empty()).map(|text| clip(&text, TEXT_MAX));
    let (vendor, info) = (cut(code), cut(info));
    let maker = step.state.boot.as_ref().map_or("", |boot| &boot.fact.vendor);
    let known = vendor.as_deref().and_then(|code| step.context.ambient.policy.faults.meaning(maker, code));
    let meaning = Some(Box::new(known.unwrap_or_else(|| PARKING_LOCK.kept())));
    Box::new(Fault { meaning, ..Fault::told(ErrorCode::OtherError, vendor, info) })
}

fn told(step: &mut ChargerStep<'_>, report: Report) {
    let connector_id = ConnectorId(report.connector_id);
    let state = match report.state {
        Reported::Raised => LockState::Raised,
        Reported::Lowered => LockState::Lowered,
        Reported::Moving => LockState::Moving,
        Reported::Fault => LockState::Fault,
    };
    let fault = (state == LockState::Fault).then(|| fault_of(step, report.error_code, report.info));
    let known = step.state.locks().iter().find(|lock| lock.connector_id == connector_id).cloned();
    // On its way it may still be stuck.
    let fault = match (state, &known) {
        (LockState::Moving, Some(known)) => known.fault.clone(),
        (LockState::Moving, None)
        | (LockState::Raised | LockState::Lowered | LockState::Fault | LockState::Unknown, _) => fault,
    };
    let at = step.context.now;
    let (kind, vehicle, order) = (report.kind, report.vehicle_present, None);
    let lock = Lock { connector_id, kind, state, vehicle, fault, at, order };
    let same =
        |known: &Lock| (known.kind, known.state, known.vehicle) == (kind, state, vehicle) && known.fault == lock.fault;
    let order = order_of(step, connector_id).filter(|order| order.action.state() == state);
    let done = order.is_some();
    if let Some(order) = order {
        over(step, connector_id, order, MoveResult::Done);
    }
    if !known.as_ref().is_some_and(same) {
        let broke = lock.fault.is_some() && known.as_ref().is_none_or(|known| known.fault.is_none());
        set(step, lock, broke.then_some("it reports a fault"));
    } else if done {
        tell(step, connector_id);
    }
}

/// What is known of a lock changes: shown, told, and a case where it broke.
fn set(step: &mut ChargerStep<'_>, lock: Lock, broke: Option<&str>) {
    let connector = lock.connector_id;
    let what = match lock.kind {
        LockKind::Lock => "parking lock",
        LockKind::Barrier => "barrier",
    };
    let fault = lock.fault.as_ref().map(|fault| {
        let vendor = fault.vendor.as_deref().unwrap_or("none").escape_debug().to_string();
        let meaning = fault.meaning();
        (meaning.severity, format!("vendor code {vendor}. {} {}", meaning.en, meaning.zh))
    });
    step.emit(Event::Lock(LockEvent::Told(lock)));
    tell(step, connector);
    if let (Some(why), Some((severity, fault))) = (broke, fault) {
        let text = format!("the {what} of connector {connector} does not work: {why}, {fault}");
        let case = Case::alert(severity, "parking_lock_faulted", subject(step), text);
        step.raise(case.ticket("have the lock looked at; its space is out of offer until it reports another state"));
    }
}

/// Partners are told of the connectors behind a lock.
fn tell(step: &mut ChargerStep<'_>, connector: ConnectorId) {
    match connector.0 {
        0 => (1..=step.state.connectors.len()).for_each(|n| {
            status::tell(step, ConnectorId(u16::try_from(n).unwrap_or(u16::MAX)));
        }),
        _ => status::tell(step, connector),
    }
}

/// The order under way at a lock.
fn order_of(step: &ChargerStep<'_>, connector: ConnectorId) -> Option<Movement> {
    let lock = step.state.locks().iter().find(|lock| lock.connector_id == connector)?;
    lock.order.clone().filter(|order| order.result == MoveResult::Moving)
}

/// An order has its result; whoever calls tells of it.
fn over(step: &mut ChargerStep<'_>, connector: ConnectorId, order: Movement, result: MoveResult) {
    let order = Movement { result, due: None, ..order };
    step.emit(Event::Lock(LockEvent::Ordered { connector, order }));
}

/// An operator orders a lock to move.
pub(super) fn order(
    step: &mut ChargerStep<'_>,
    command_id: CommandId,
    connector: ConnectorId,
    action: LockAction,
    by: &str,
) -> Result<Reply, Rejection> {
    if step.state.registration.is_none() {
        return Err(Rejection::ChargerUnknown);
    }
    if !step.state.locks().iter().any(|lock| lock.connector_id == connector) {
        return Err(Rejection::LockUnknown);
    }
    if !step.context.ambient.online || step.state.generation().is_none() {
        return Err(Rejection::ChargerOffline);
    }
    if !queue::has_room(step) {
        return Err(Rejection::CommandQueueFull);
    }
    if let Some(older) = order_of(step, connector) {
        over(step, connector, older, MoveResult::Replaced);
    }
    let (at, by) = (step.context.now, clip(by, TEXT_MAX));
    let order = Movement { action, by, at, command_id, attempt: 1, due: None, result: MoveResult::Moving };
    send(step, connector, order);
    Ok(Reply::Queued(command_id))
}

fn send(step: &mut ChargerStep<'_>, connector: ConnectorId, order: Movement) {
    let now = step.context.now;
    let data = serde_json::json!({"connectorId": connector, "action": order.action.as_str()}).to_string();
    let call = Call::DataTransfer { vendor: VENDOR.into(), message: Some(ORDER.into()), data: Some(data.into()) };
    let (id, purpose) = (order.command_id, Purpose::Operator(order.by.clone()));
    step.emit(Event::Lock(LockEvent::Ordered { connector, order }));
    step.emit(Event::CommandQueued(Pending { id, call, purpose, queued_at: now, not_before: now, sent: None }));
}

/// A command is over: if it was an order to a lock, the lock has time to move now, or the order is tried again.
pub(super) fn command_over(step: &mut ChargerStep<'_>, id: CommandId, outcome: &Outcome) {
    let ordered = step.state.locks().iter().find_map(|lock| {
        let order = lock.order.as_ref().filter(|order| order.command_id == id && order.result == MoveResult::Moving)?;
        Some((lock.connector_id, order.clone()))
    });
    let Some((connector, order)) = ordered else { return };
    match outcome {
        Outcome::Answered { accepted: true, .. } => {
            let due = Some(step.context.now + step.context.ambient.policy.faults.lock_timeout);
            step.emit(Event::Lock(LockEvent::Ordered { connector, order: Movement { due, ..order } }));
        }
        Outcome::Answered { accepted: false, .. } => {
            let text = format!("the lock of connector {connector} was told to {}: refused", order.action.as_str());
            over(step, connector, order, MoveResult::Refused);
            tell(step, connector);
            step.raise(Case::alert(Level::Warning, "parking_lock_refused", subject(step), text));
        }
        Outcome::CallError { .. } | Outcome::TimedOut => again(step, connector, order),
        Outcome::LinkLost | Outcome::Offline | Outcome::Moot => {
            let text =
                format!("the lock of connector {connector} was told to {}: the charger went", order.action.as_str());
            over(step, connector, order, MoveResult::Offline);
            tell(step, connector);
            step.raise(Case::alert(Level::Warning, "parking_lock_offline", subject(step), text));
        }
    }
}

/// A lock has not moved in time.
pub(super) fn late(step: &mut ChargerStep<'_>) {
    let now = step.context.now;
    let late = step.state.locks().iter().filter_map(|lock| {
        let order = lock.order.as_ref().filter(|order| order.due.is_some_and(|due| due <= now))?;
        Some((lock.connector_id, order.clone()))
    });
    for (connector, order) in late.collect::<Vec<_>>() {
        again(step, connector, order);
    }
}

/// Tells it once more, until it counts as stuck.
fn again(step: &mut ChargerStep<'_>, connector: ConnectorId, order: Movement) {
    let attempts = step.context.ambient.policy.faults.lock_attempts;
    if order.attempt < attempts && step.state.generation().is_some() && queue::has_room(step) {
        let command_id = CommandId(step.context.uuid(queue::mint(step)));
        return send(step, connector, Movement { attempt: order.attempt + 1, due: None, command_id, ..order });
    }
    let known = step.state.locks().iter().find(|lock| lock.connector_id == connector).cloned();
    let why = format!("told {} times to {}, and it did not move", order.attempt, order.action.as_str());
    over(step, connector, order, MoveResult::Stuck);
    if let Some(known) = known {
        let (fault, at) = (Some(fault_of(step, None, Some(why.clone()))), step.context.now);
        set(step, Lock { state: LockState::Fault, fault, at, order: None, ..known }, Some(&why));
    }
}
