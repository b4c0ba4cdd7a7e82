//! The runtime's face to HTTP: implements the ports of `api::port` over actors, rows and directories. Owns the way from a
//! request to the right actor and back to a view; never HTTP, never a rule.
//!
//! Reading order: [`sessions`] (start, stop, views), [`catalogue`] (sites and chargers), [`webhooks`], [`operator`].

mod accounts;
mod admin;
mod catalogue;
mod connectors;
mod credentials;
mod desk;
mod feed;
mod messages;
mod newest;
mod onboarding;
mod operator;
mod orders;
mod partner;
mod reservations;
mod sessions;
mod statements;
mod tcec;
mod webhooks;

use super::account::Accounts;
use super::alerts::Alerts;
use super::charger::Register;
use super::charger::tokens::Tokens;
use super::configuration::Configuration;
use super::engine::{HostAddr, Refusal as Refused, TooBusy};
use super::operators::Operators;
use super::partners::Partners;
use super::tariffs::Tariffs;
use super::webhook::{HttpSender, QueueBoard, WebhookService};
use crate::api::catalogue::Code;
use crate::api::port::{Detail, Readiness, Refusal};
use crate::clock::SharedClock;
use crate::domain::charging::{ChargingFamily, Rejection};
use crate::domain::delivery::{PartnerFamily, PartnerRejection};
use crate::domain::onboarding::Stage;
use crate::domain::operator::OperatorFamily;
use crate::domain::platform::PlatformFamily;
use crate::domain::statement::StatementFamily;
use crate::gateway::Pepper;
use crate::persistence::sled::SledJournal;
use crate::persistence::vault::Vault;
use crate::persistence::{JournalError, MessageLog, SharedJournal};
use secrecy::SecretString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

pub use reservations::UserLocks;

/// Where the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Reading the journal, rebuilding what is open.
    Recovering = 0,
    /// Working.
    Ready = 1,
    /// Finishing what is in flight.
    Stopping = 2,
}

/// The phase, shared.
#[derive(Debug, Default)]
pub struct PhaseCell(AtomicU8);

impl PhaseCell {
    /// Moves on.
    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Release);
    }

    /// Where it stands.
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Recovering,
            1 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }
}

/// The runtime as HTTP sees it.
pub struct Service {
    /// Chargers and their sessions.
    pub chargers: HostAddr<ChargingFamily>,
    /// Partners and their queues.
    pub partners: HostAddr<PartnerFamily>,
    /// Sites, tokens, configurations.
    pub platform: HostAddr<PlatformFamily>,
    /// Users' accounts.
    pub accounts: Accounts,
    /// Statements of partners.
    pub statements: HostAddr<StatementFamily>,
    /// Operators, their audit trail and their work.
    pub office: HostAddr<OperatorFamily>,
    /// Operators in memory.
    pub operators: Arc<Operators>,
    /// One at a time who works on tickets.
    pub ticketing: tokio::sync::Mutex<()>,
    /// Shared with the payment gateway; `None`: callbacks are refused.
    pub payment_secret: Option<SecretString>,
    /// Who may connect, and who is.
    pub register: Arc<Register>,
    /// Partners in memory.
    pub directory: Arc<Partners>,
    /// Rows, outboxes, idempotency.
    pub journal: SharedJournal,
    /// The same, for its tools.
    pub store: Arc<SledJournal>,
    /// Pseudonyms, seals.
    pub vault: Arc<Vault>,
    /// Tags chargers' passwords.
    pub pepper: Arc<Pepper>,
    /// idTags.
    pub tokens: Arc<Tokens>,
    /// Tariffs in memory.
    pub tariffs: Arc<Tariffs>,
    /// Events, attempt logs, replays.
    pub webhooks: WebhookService,
    /// Queues as they are.
    pub board: Arc<QueueBoard>,
    /// For its address guard.
    pub sender: Arc<HttpSender>,
    /// The applied configuration.
    pub configuration: Arc<Configuration>,
    /// Operators.
    pub alerts: Alerts,
    /// The time.
    pub clock: SharedClock,
    /// One at a time for each user who reserves.
    pub reserving: UserLocks,
    /// In which order sites have changed, for partners' mirrors.
    pub feed: crate::actors::catalogue::Feed,
    /// Where the process stands.
    pub phase: Arc<PhaseCell>,
    /// OCPP frames kept for people.
    pub messages: MessageLog,
    /// Where backups go.
    pub backups: PathBuf,
}

impl Service {
    /// Refuses until recovery is over and once shutdown has begun.
    fn working(&self) -> Result<(), Refusal> {
        match self.phase.get() {
            Phase::Ready => Ok(()),
            Phase::Recovering | Phase::Stopping => Err(Code::Unavailable.into()),
        }
    }

    /// Whether the process can do its work.
    pub fn ready(&self) -> Readiness {
        let mut reasons = Vec::new();
        match self.phase.get() {
            Phase::Ready => {}
            Phase::Recovering => reasons.push("recovering from the journal".to_owned()),
            Phase::Stopping => reasons.push("stopping".to_owned()),
        }
        if self.journal.is_full() {
            reasons.push("the journal has no room for new work".to_owned());
        }
        if let Some(why) = self.store.failure() {
            reasons.push(format!("the journal has failed: {why}"));
        }
        Readiness { ready: reasons.is_empty(), reasons }
    }
}

/// A refusal of the engine as one of HTTP. `rejected` says what the rules' own mean.
fn refused<R>(refusal: Refused<R>, rejected: impl FnOnce(R) -> Refusal) -> Refusal {
    match refusal {
        Refused::Rejected(rejection) => rejected(rejection),
        Refused::Busy => Code::Busy.into(),
        Refused::Quarantined => Code::Quarantined.into(),
        Refused::Crashed => Code::Internal.into(),
        Refused::Full => Code::JournalFull.into(),
        Refused::Unavailable(after) => Refusal::from(Code::Unavailable).after(after),
    }
}

/// What the rules' rejections are called in the catalogue.
fn rejected(rejection: Rejection) -> Refusal {
    let code = match rejection {
        Rejection::ChargerUnknown => Code::ChargerUnknown,
        Rejection::ChargerOffline => Code::ChargerOffline,
        Rejection::ChargerNotAccepted => Code::ChargerNotAccepted,
        Rejection::ChargerMaintenance => Code::ChargerInMaintenance,
        Rejection::ConnectorUnknown => Code::ConnectorUnknown,
        Rejection::ConnectorOccupied | Rejection::SessionExists => Code::ConnectorOccupied,
        Rejection::ConnectorFaulted | Rejection::ChargerFaulted => Code::ConnectorFaulted,
        Rejection::ConnectorUnavailable | Rejection::ChargerUnavailable => Code::ConnectorUnavailable,
        Rejection::ConnectorReserved => Code::ConnectorReserved,
        Rejection::ConnectorStatusUnknown => Code::ConnectorStatusUnknown,
        Rejection::LockUnknown => Code::LockUnknown,
        Rejection::CommandQueueFull => Code::QueueFull,
        Rejection::RotationUnderWay => Code::RotationUnderWay,
        Rejection::ProfileFalls => Code::SecurityProfileFalls,
        Rejection::SessionUnknown => Code::SessionUnknown,
        Rejection::SessionOver => Code::SessionEnded,
        Rejection::CommandRefused => Code::CommandRefused,
        Rejection::ReservationExists => Code::ReservationExists,
        Rejection::ReservationUnknown => Code::ReservationUnknown,
        Rejection::ReservationOver => Code::ReservationEnded,
        Rejection::ReservationUnpaid => Code::ReservationUnpaid,
        Rejection::ReservationEarly => Code::ReservationEarly,
        Rejection::ReservationArriving => Code::ReservationArriving,
        Rejection::ReservationOfAnother => Code::ReservationOfAnother,
        Rejection::WrongConnector => Code::NotReservedConnector,
        Rejection::TariffMissing => Code::TariffMissing,
        Rejection::OrderUnknown => Code::OrderUnknown,
        Rejection::OrderNotUnderReview => Code::OrderNotUnderReview,
        Rejection::OrderAmount => Code::OrderAmount,
        Rejection::OrderNotPaid => Code::OrderNotPaid,
        Rejection::OrderNotOwed => Code::OrderNotOwed,
        Rejection::OrderNotOpen => Code::OrderNotOpen,
        Rejection::OrderBusy => Code::OrderBusy,
        Rejection::OrderNotBilled => Code::OrderNotBilled,
        Rejection::RefundUnknown => Code::RefundUnknown,
        Rejection::SamePerson => Code::SecondPerson,
        Rejection::CommandExists | Rejection::Misrouted => Code::Internal,
    };
    code.into()
}

/// What the partner rules' rejections are called in the catalogue.
fn partner_rejected(rejection: PartnerRejection) -> Refusal {
    match rejection {
        PartnerRejection::NotDefined => Code::PartnerUnknown.into(),
        PartnerRejection::UnknownKey | PartnerRejection::UnknownReplay => Code::NotFound.into(),
        PartnerRejection::UnknownEndpoint => Code::WebhookMissing.into(),
        PartnerRejection::TooManyKeys => Code::KeysFull.into(),
        PartnerRejection::TooManyEndpoints => Code::EndpointLimit.into(),
        PartnerRejection::EndpointExists => Code::EndpointExists.into(),
        PartnerRejection::HeldByOperator => Code::WebhookDisabled.into(),
        PartnerRejection::TooManyReplays => Code::QueueFull.into(),
        PartnerRejection::ApplicationUnknown => Code::ApplicationUnknown.into(),
        PartnerRejection::ApplicationExists => Code::ApplicationExists.into(),
        PartnerRejection::ApplicationDecided(Stage::Waiting | Stage::Returned) => Code::ApplicationOpen.into(),
        PartnerRejection::ApplicationDecided(_) => Code::ApplicationDecided.into(),
        PartnerRejection::TooManyAmendments => Code::ApplicationDecided.into(),
        PartnerRejection::CredentialsGone => Code::CredentialsGone.into(),
        PartnerRejection::KeyExists | PartnerRejection::SecretMissing | PartnerRejection::WrongEntity => {
            Code::Internal.into()
        }
    }
}

/// A row that cannot be read is a defect that a person must see.
fn corrupt(table: &str, key: &str, error: &impl ToString) -> Refusal {
    JournalError::Corrupt { key: format!("{table}/{key}"), why: error.to_string() }.into()
}

impl From<TooBusy> for Refusal {
    fn from(_: TooBusy) -> Self {
        Code::Busy.into()
    }
}

/// What a cursor must be.
fn bad_cursor() -> Refusal {
    let detail = Detail {
        field: "cursor".to_owned(),
        problem: "it is not one of ours".to_owned(),
        allowed: "`next` of an earlier page, unchanged".to_owned(),
    };
    Refusal { code: Code::InvalidField, retry_after: None, details: vec![detail] }
}
