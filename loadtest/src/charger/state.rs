//! The physical and durable state of a simulated charger: what a real one keeps in flash and in copper.
//!
//! Owns the stored form. Invariant: whatever the charger has told or will tell the server about a transaction is in here
//! before it is sent, so a killed simulator goes on as a real charger would.

use super::physics::Power;
use crate::history::FactKind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The connector states of OCPP 1.6 that the simulator shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Status {
    /// Free.
    #[default]
    Available,
    /// A car is there, or a start is under way.
    Preparing,
    /// Energy flows.
    Charging,
    /// The car takes nothing.
    SuspendedEV,
    /// The transaction is over and the car is still there.
    Finishing,
    /// Out of service.
    Unavailable,
    /// Broken.
    Faulted,
}

impl Status {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Available => "Available",
            Status::Preparing => "Preparing",
            Status::Charging => "Charging",
            Status::SuspendedEV => "SuspendedEV",
            Status::Finishing => "Finishing",
            Status::Unavailable => "Unavailable",
            Status::Faulted => "Faulted",
        }
    }
}

/// A transaction that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// The charger's own number.
    pub local: u64,
    /// The token that started it.
    pub id_tag: String,
    /// When it began, ms since 1970.
    pub started_ms: i64,
    /// The register at its begin, Wh.
    pub meter_start_wh: i64,
    /// The next MeterValues, ms since 1970.
    pub next_sample_ms: i64,
    /// What the script does next, ms since 1970.
    #[serde(default)]
    pub mishap_ms: Option<i64>,
}

/// A start that waits for the car.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The token.
    pub id_tag: String,
    /// When the driver plugs in, if at all.
    pub plug_ms: Option<i64>,
    /// Not before this moment.
    pub start_ms: i64,
    /// ConnectionTimeOut: when the charger gives it up.
    pub give_up_ms: i64,
}

/// One connector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Connector {
    /// Car, register, contactor.
    pub power: Power,
    /// The transaction that runs.
    pub running: Option<Running>,
    /// A start that waits for the car.
    pub pending: Option<Pending>,
    /// ChangeAvailability said no.
    #[serde(default)]
    pub inoperative: bool,
    /// The same once the transaction is over.
    #[serde(default)]
    pub inoperative_next: bool,
    /// The OCPP error code of a fault.
    #[serde(default)]
    pub fault: Option<String>,
    /// When the fault goes away by itself.
    #[serde(default)]
    pub fault_until_ms: Option<i64>,
    /// When the driver pulls the plug.
    #[serde(default)]
    pub leave_ms: Option<i64>,
    /// The status last put into words, and whether it still has to be told.
    #[serde(default)]
    pub told: Option<Status>,
}

impl Connector {
    /// The status that follows from the rest.
    pub fn status(&self) -> Status {
        if self.fault.is_some() {
            return Status::Faulted;
        }
        if self.running.is_some() {
            return if self.power.flowing { Status::Charging } else { Status::SuspendedEV };
        }
        match (self.inoperative, &self.pending, &self.power.vehicle, self.leave_ms) {
            (true, ..) => Status::Unavailable,
            (false, Some(_), ..) => Status::Preparing,
            (false, None, Some(_), Some(_)) => Status::Finishing,
            (false, None, Some(_), None) => Status::Preparing,
            (false, None, None, _) => Status::Available,
        }
    }
}

/// A transaction message that no answer has come for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// The charger's number of the transaction.
    pub local: u64,
    /// The connector, 1, 2, ….
    pub connector: u16,
    /// Start, meter or stop.
    pub kind: FactKind,
    /// The OCPP payload, without the transaction id of meter and stop, which is filled in when it is known.
    pub payload: serde_json::Value,
    /// The message id of the last sending.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Sendings so far.
    #[serde(default)]
    pub attempts: u32,
    /// CALLERRORs so far.
    #[serde(default)]
    pub refusals: u32,
    /// Not to be sent before this moment.
    #[serde(default)]
    pub not_before_ms: i64,
    /// Whether the script still wants it sent a second time once it is confirmed.
    #[serde(default)]
    pub repeat: bool,
}

/// Everything that outlives the process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChargerState {
    /// Connector 1 is the first.
    pub connectors: Vec<Connector>,
    /// Transaction messages in the order in which they happened.
    pub queue: VecDeque<Queued>,
    /// The server's ids of transactions that still have messages to send, by local number. -1: the server never
    /// gave one.
    pub transaction_ids: BTreeMap<u64, i64>,
    /// The last local number used.
    pub last_local: u64,
    /// The last message number used.
    pub last_message: u64,
    /// Whether the last BootNotification was accepted and no power cycle came since.
    pub booted: bool,
    /// The interval of the last accepted boot, s.
    pub heartbeat_s: i64,
    /// Configuration keys that the server changed.
    pub configuration: BTreeMap<String, String>,
}

impl ChargerState {
    /// A new charger out of the box, its registers at some value of earlier life.
    pub fn new(connectors: usize, register_wh: f64, now_ms: i64) -> Self {
        let connector =
            Connector { power: Power { register_wh, at_ms: now_ms, ..Power::default() }, ..Connector::default() };
        ChargerState { connectors: vec![connector; connectors], ..ChargerState::default() }
    }
}
