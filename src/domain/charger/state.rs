//! What is known of one charger: the fold of its events. Owns the shape and its bounds; decides nothing.
//!
//! Invariant: everything here is bounded, because it is held for every connected charger (about 1 KiB when idle).

use super::calls::{Call, Outcome, Purpose};
use super::care::Care;
use super::device::{Device, Limits, LocalList};
use super::facts::{BootFact, Fault, Status, Verdict};
use super::profile::SecurityProfile;
use super::smart_charging::Installed;
use crate::clock::Timestamp;
use crate::domain::rare::Rare;
use crate::ids::{CommandId, ConnectorId, SessionId, SiteId, TransactionId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// Transactions remembered to recognise their repeats. A charger repeats its last unanswered message; eight cover two
/// connectors whose queues were sent over and over.
pub(super) const RECENT_MAX: usize = 8;
/// Stops without a start that are remembered, to join them with a start that comes later (CH-7).
pub(super) const ORPHANS_MAX: usize = 4;
/// Failed starts whose tags are remembered, to recognise a late start (SE-5).
pub(super) const FAILED_MAX: usize = 8;
/// Finished commands remembered for late answers (CH-2).
pub(super) const FINISHED_MAX: usize = 4;
/// Transactions at no registered connector that may run at once; more means that the charger makes them up.
pub(super) const STRAYS_MAX: usize = 4;
/// Times of troubles remembered: the highest `flapping_count`.
pub(super) const TROUBLES_MAX: usize = 16;
/// Connectors of one charger. OCPP 1.6 has no limit, real chargers have 1 to 12; a step that tells every session of a
/// charger something must stay below the engine's bound of commands a step.
pub const CONNECTORS_MAX: u16 = 16;
/// Characters kept of a text in a message: the longest of OCPP 1.6's short texts has 50, `info` too.
pub(super) const TEXT_MAX: usize = 64;

/// What a registered charger may do when it boots (CH-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BootPolicy {
    /// Works.
    Accepted,
    /// May be configured, nothing else.
    Pending,
    /// May not work.
    Rejected,
}

/// What operators said of a charger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Where it stands.
    pub site: SiteId,
    /// How many connectors it has, 1 to [`CONNECTORS_MAX`].
    pub connectors: u16,
    /// What it may do.
    pub boot: BootPolicy,
    /// How it authenticates; the gateway's own text, opaque here, holding no secret in the clear.
    pub auth: Box<str>,
    /// Below this security profile it does not come in (CH-3); `None`: what `auth` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<SecurityProfile>,
    /// It has been told to raise its profile to this, and has not come in with it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raising: Option<SecurityProfile>,
    /// Its password is being changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Box<Rotation>>,
}

/// A change of a charger's password that is under way: `auth` takes the old and the new one until it has come in with the
/// new one (CH-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The new password, sealed; only the shell can read it.
    pub sealed: Box<str>,
    /// What a login with it looks like (the gateway's print of its tag).
    pub print: u64,
    /// How it authenticates with the old one alone.
    pub before: Box<str>,
    /// How it authenticates with the new one alone.
    pub after: Box<str>,
    /// Since when.
    pub since: Timestamp,
    /// The charger has said that it took it.
    #[serde(default)]
    pub accepted: bool,
    /// A command with it was lost, or its answer: a later refusal does not mean that the charger has the old one.
    #[serde(default)]
    pub doubtful: bool,
}

/// Out of offer by order (CH-9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Since when.
    pub since: Timestamp,
    /// Who: an operator, or `system`.
    pub by: Box<str>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// When it ends by itself, if nothing happens until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_due: Option<Timestamp>,
}

/// What the journal believes of the connection. The shell's own view ([`crate::domain::charging::Ambient`]) is newer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// No socket.
    Down {
        /// Since when.
        since: Timestamp,
        /// When the charger counts as offline; `None`: it does.
        offline_due: Option<Timestamp>,
    },
    /// A socket.
    Up {
        /// Its generation.
        generation: u64,
        /// Since when.
        since: Timestamp,
        /// From when on a CALL may be sent (CH-2).
        ready_at: Timestamp,
        /// When statuses that are still unknown return to the last known; `None`: done, or nothing to return.
        fallback_due: Option<Timestamp>,
    },
}

impl Default for Link {
    fn default() -> Self {
        Link::Down { since: Timestamp::default(), offline_due: None }
    }
}

/// The last BootNotification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// When.
    pub at: Timestamp,
    /// What it was answered.
    pub status: BootPolicy,
    /// What it said.
    pub fact: BootFact,
}

/// One connector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connector {
    /// Its status now.
    pub status: Status,
    /// Its fault, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Box<Fault>>,
    /// When the status was learnt, by our clock.
    pub learnt_at: Timestamp,
    /// The newest time by the charger's clock, if plausible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_at: Option<Timestamp>,
    /// The last known status while it is `Unknown` (CH-4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Status>,
}

/// A session at this charger that is not over, or a transaction that should not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Which.
    pub session: SessionId,
    /// Where; a number beyond the registered ones for transactions that the charger put there.
    pub connector: ConnectorId,
    /// The tag of its remote start; `None` for a local one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_tag: Option<Box<str>>,
    /// Its transaction, once begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    /// The charger has said that it will start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
    /// The session has failed, and its transaction runs all the same (SE-5).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ghost: bool,
    /// Its money is not set aside yet: the charger is not told before (SE-3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfunded: bool,
}

/// A failed start whose transaction may still come (SE-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedStart {
    /// Which session.
    pub session: SessionId,
    /// Its tag.
    pub id_tag: Box<str>,
}

/// A transaction, as far as its repeats must be recognised (CH-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Its id.
    pub transaction: TransactionId,
    /// Its session.
    pub session: SessionId,
    /// Where.
    pub connector: ConnectorId,
    /// What its StartTransaction was answered.
    pub verdict: Verdict,
    /// Print of the start's content: connector, tag, time, meter.
    pub start: u64,
    /// Print of the start's message id.
    pub start_message: u64,
    /// Print of the tag alone.
    pub tag: u64,
    /// The register at its start.
    pub meter_start_wh: i64,
    /// Prints of the stop's content and message id, once it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<(u64, u64)>,
    /// Whether the start's time could be believed.
    pub timed: bool,
}

/// A stop whose start is not known (CH-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanStop {
    /// Print of its content.
    pub content: u64,
    /// Print of its tag, if it had one.
    pub tag: Option<u64>,
    /// When it came.
    pub received: Timestamp,
    /// When it happened, if that can be believed.
    pub at: Option<Timestamp>,
    /// The register.
    pub meter_stop_wh: Option<i64>,
    /// Why.
    pub reason: Option<super::facts::StopReason>,
}

/// A command that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// On which connection.
    pub generation: u64,
    /// When its answer is given up.
    pub due: Timestamp,
}

/// A command that waits, or is outstanding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its id.
    pub id: CommandId,
    /// What.
    pub call: Call,
    /// For whom.
    pub purpose: Purpose,
    /// Since when.
    pub queued_at: Timestamp,
    /// Not before.
    pub not_before: Timestamp,
    /// Outstanding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
}

/// A command that is over without an answer, or with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Its id.
    pub id: CommandId,
    /// For whom.
    pub purpose: Purpose,
    /// The action's name and times, for its row.
    pub action: Box<str>,
    /// Since when.
    pub queued_at: Timestamp,
    /// Whether it had an answer; one that had none may get a late one.
    pub answered: bool,
}

/// One charger.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Charger {
    /// `None`: not registered.
    pub registration: Option<Arc<Registration>>,
    /// `Some`: out of offer.
    pub maintenance: Option<Box<Maintenance>>,
    /// The connection, as journaled.
    pub link: Link,
    /// The last boot; `None`: never.
    pub boot: Option<Box<Boot>>,
    /// Connectors 1 to n.
    pub connectors: SmallVec<[Connector; 2]>,
    /// Connector 0: the charger as a whole. `Unknown` until told.
    pub whole: Connector,
    /// What runs.
    pub live: SmallVec<[Live; 1]>,
    /// Connectors that are held for users.
    #[serde(skip_serializing_if = "Rare::is_empty")]
    pub holds: Rare<super::hold::Hold>,
    /// Vehicles that stay after their charging.
    #[serde(skip_serializing_if = "Rare::is_empty")]
    pub stays: Rare<super::stays::Stay>,
    /// Tags that answer late starts.
    pub failed: Rare<FailedStart>,
    /// For repeats.
    pub recent: Rare<Recent>,
    /// Stops without a start.
    pub orphans: Rare<OrphanStop>,
    /// The next transaction id.
    pub next_transaction: i32,
    /// The journal in which it counts: after a restore from backup it is another (CH-7).
    pub epoch: u64,
    /// Commands that wait; the first sent one is outstanding.
    pub queue: Rare<Pending>,
    /// Commands over, for late answers.
    pub finished: Rare<Finished>,
    /// When it faulted or went offline.
    pub troubles: Rare<Timestamp>,
    /// When one connection replaced a living one (CH-3).
    pub takeovers: Rare<Timestamp>,
    /// Starts failed in a row.
    pub start_failures: u8,
    /// Print of the configuration that it was given at boot (SE-16).
    pub configured: u64,
    /// The transaction id of the last readings that belong to nothing: its case is raised once.
    pub stray: Option<i32>,
    /// Its clock could not be believed since its last boot.
    pub clock_doubted: bool,
    /// Remedies and parking locks; most chargers have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub care: Option<Box<Care>>,
    /// The device's own limits, local list, profiles, security; `None`: it has told nothing.
    pub device: Option<Box<Device>>,
    /// Cases raised.
    pub raised: u32,
    /// Ids minted within steps: commands, local sessions. Wraps.
    pub minted: u16,
}

impl Charger {
    /// The connector of that number; 0 is the whole charger.
    pub fn connector(&self, id: ConnectorId) -> Option<&Connector> {
        match id.0 {
            0 => Some(&self.whole),
            n => self.connectors.get(usize::from(n) - 1),
        }
    }

    pub(super) fn connector_mut(&mut self, id: ConnectorId) -> Option<&mut Connector> {
        match id.0 {
            0 => Some(&mut self.whole),
            n => self.connectors.get_mut(usize::from(n) - 1),
        }
    }

    /// The device's own limits, as far as it has told them.
    pub fn limits(&self) -> Limits {
        self.device.as_ref().map_or(Limits::default(), |device| device.limits)
    }

    /// The versions of its local list.
    pub fn list(&self) -> LocalList {
        self.device.as_ref().map_or(LocalList::default(), |device| device.list)
    }

    /// The profiles that it accepted.
    pub fn installed(&self) -> Vec<Installed> {
        self.device.as_ref().map_or(Vec::new(), |device| device.installed.clone())
    }

    /// What runs, or is about to, on a connector.
    pub fn live_on(&self, connector: ConnectorId) -> Option<&Live> {
        self.live.iter().find(|live| live.connector == connector)
    }

    /// The live entry of a session.
    pub fn live_session(&self, session: SessionId) -> Option<&Live> {
        self.live.iter().find(|live| live.session == session)
    }

    /// The live entry of a transaction.
    pub fn live_transaction(&self, transaction: TransactionId) -> Option<&Live> {
        self.live.iter().find(|live| live.transaction == Some(transaction))
    }

    /// The journaled connection's generation.
    pub fn generation(&self) -> Option<u64> {
        match self.link {
            Link::Up { generation, .. } => Some(generation),
            Link::Down { .. } => None,
        }
    }

    /// The command that is outstanding: one at a time (CH-2).
    pub fn in_flight(&self) -> Option<&Pending> {
        self.queue.iter().find(|pending| pending.sent.is_some())
    }

    /// The action of a command that waits, is outstanding, or was over lately.
    pub fn action_of(&self, id: CommandId) -> Option<&str> {
        let pending = self.queue.iter().find(|pending| pending.id == id).map(|pending| pending.call.action());
        pending.or_else(|| self.finished.iter().find(|finished| finished.id == id).map(|f| &*f.action))
    }

    /// For whom a command is, as long as it waits, is under way, or may still get a late answer.
    pub fn purpose_of(&self, id: CommandId) -> Option<&Purpose> {
        let pending = self.queue.iter().find(|pending| pending.id == id).map(|pending| &pending.purpose);
        pending.or_else(|| self.finished.iter().find(|finished| finished.id == id).map(|finished| &finished.purpose))
    }

    /// Whether it was last accepted at boot and still would be (CH-3).
    pub fn is_accepted(&self) -> bool {
        let policy = self.registration.as_ref().map(|registration| registration.boot);
        let boot = self.boot.as_ref().map(|boot| boot.status);
        policy == Some(BootPolicy::Accepted) && boot == Some(BootPolicy::Accepted)
    }
}

/// How a queued command is written down when it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Which.
    pub id: CommandId,
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// An operator asked for it, so that its result has a row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operator: bool,
}
