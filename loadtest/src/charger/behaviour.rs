//! What a simulated charger is and how it behaves. Owns the options; never acts on them.

use crate::net::Sources;
use std::time::Duration;

/// The script of one connector: what goes wrong there, each time a charging runs (faults-and-security B5, C1 to C18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Nothing goes wrong.
    #[default]
    Normal,
    /// Answers RemoteStartTransaction with `Rejected`.
    RefusesStart,
    /// Never answers RemoteStartTransaction and does not start (C15).
    SilentOnStart,
    /// Accepts and never starts (C16).
    NeverStarts,
    /// Accepts and starts after this time, 70 s say (SE-5).
    StartsLate(Duration),
    /// Loses its socket this long after the start and comes back after `offline` (SE-8).
    DropsInCharge {
        /// From the start to the cut.
        after: Duration,
        /// How long it stays away.
        offline: Duration,
    },
    /// Cuts the socket right after the first sending of each StartTransaction (C1, C2).
    LosesAnswer,
    /// Sends every transaction message a second time after it was confirmed (C3, C5).
    RepeatsMessages,
    /// Sends impossible readings among good ones; its register is right (C10).
    RubbishReadings,
    /// Reports a fault this long after the start and ends the transaction (S10).
    FaultsInCharge {
        /// From the start to the fault.
        after: Duration,
    },
    /// The plug is pulled this long after the start.
    UnplugsInCharge {
        /// From the start to the pull.
        after: Duration,
    },
}

/// What a repeated message carries as its message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResendId {
    /// The same one.
    #[default]
    Same,
    /// A new one (boards that restart do so).
    New,
}

/// What the simulated driver does by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Driver {
    /// Plugs a car in this long after a remote start or a card, if there is none. `None`: never.
    pub plugs_in_after: Option<Duration>,
    /// Pulls the plug this long after the transaction ended.
    pub leaves_after_stop: Duration,
    /// Pulls the plug this long after the car is full, which ends the transaction.
    pub leaves_after_full: Duration,
    /// The least and the most energy that a car wants, Wh.
    pub wants_wh: (u32, u32),
}

impl Default for Driver {
    fn default() -> Self {
        Driver {
            plugs_in_after: Some(Duration::from_millis(200)),
            leaves_after_stop: Duration::from_secs(2),
            leaves_after_full: Duration::from_secs(3),
            wants_wh: (5_000, 40_000),
        }
    }
}

/// What all chargers of a fleet share.
#[derive(Debug)]
pub struct Profile {
    /// `ws://host:port/ocpp`, without the identity.
    pub ocpp_url: String,
    /// The message id of a repeated transaction message.
    pub resend_id: ResendId,
    /// From one MeterValues to the next in a transaction, until the server changes `MeterValueSampleInterval`.
    pub meter_interval: Duration,
    /// How long a call waits for its answer before the charger tries again.
    pub call_timeout: Duration,
    /// Times the attempts so far: the wait before a transaction message refused by CALLERROR is sent again.
    pub retry_interval: Duration,
    /// Attempts that end in a CALLERROR before the charger discards a transaction message (OCPP 1.6 §3.7.1).
    pub transaction_attempts: u32,
    /// How many times faster than real the battery fills. 1 keeps readings plausible.
    pub time_scale: f64,
    /// The driver.
    pub driver: Driver,
    /// The least and the longest wait before a reconnect.
    pub reconnect: (Duration, Duration),
    /// Whether a BootNotification follows every reconnect, as after a power cycle.
    pub boot_on_reconnect: bool,
    /// Source addresses of our own, for fleets above a few thousand.
    pub sources: Option<Sources>,
    /// Whether meter values enter the history (starts and stops always do).
    pub record_meters: bool,
}

impl Profile {
    /// Everything as most chargers have it, towards this server.
    pub fn towards(ocpp_url: &str) -> Self {
        Profile {
            ocpp_url: ocpp_url.trim_end_matches('/').to_owned(),
            resend_id: ResendId::Same,
            meter_interval: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            retry_interval: Duration::from_secs(5),
            transaction_attempts: 5,
            time_scale: 1.0,
            driver: Driver::default(),
            reconnect: (Duration::from_millis(500), Duration::from_secs(30)),
            boot_on_reconnect: false,
            sources: None,
            record_meters: true,
        }
    }
}

/// One charger of the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargerSpec {
    /// The identity, the last segment of its URL and its basic-auth user.
    pub identity: String,
    /// The basic-auth password; `None` sends no credentials.
    pub password: Option<String>,
    /// The power of each connector, W.
    pub max_power_w: f64,
    /// One script a connector; the length is the number of connectors.
    pub scripts: Vec<Behaviour>,
    /// Decides this charger's random choices.
    pub seed: u64,
}

impl ChargerSpec {
    /// A charger without any script.
    pub fn normal(identity: &str, password: Option<String>, connectors: usize, seed: u64) -> Self {
        let scripts = vec![Behaviour::Normal; connectors];
        ChargerSpec { identity: identity.to_owned(), password, max_power_w: 60_000.0, scripts, seed }
    }
}
