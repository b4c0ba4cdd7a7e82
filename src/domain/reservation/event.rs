//! What happens to a reservation, and what it folds to. Owns the journaled form: members are only added, with a default
//! (RT-6).

use super::state::{Arrival, Deposit, EndCause, Reservation, Status, Terms};
use crate::clock::Timestamp;
use crate::domain::charger::UserRef;
use crate::domain::charging::case::Raised;
use crate::domain::charging::step::Fold;
use crate::domain::money::Money;
use crate::ids::{ConnectorId, PartnerId, RequestId, SessionId};
use serde::{Deserialize, Serialize};

/// A partner has asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Who.
    pub partner: PartnerId,
    /// By which request.
    pub request: RequestId,
    /// For whom: a pseudonym.
    pub user: UserRef,
    /// The user's personal data, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<str>>,
    /// Where.
    pub connector: ConnectorId,
    /// When.
    pub at: Timestamp,
    /// From when on the user may come.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it costs.
    pub terms: Terms,
    /// The deposit is set aside in the user's account, until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_due: Option<Timestamp>,
}

/// It is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// In which state.
    pub status: Status,
    /// Why.
    pub cause: EndCause,
    /// When.
    pub at: Timestamp,
    /// What is taken.
    pub fee: Money,
    /// The session that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// How the user came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
}

/// What has happened to a reservation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A partner has asked for it.
    Placed(Placed),
    /// The connector is held for the user.
    Confirmed {
        /// When.
        at: Timestamp,
    },
    /// It is over.
    Over(Over),
    /// A start of the user's is under way, or has failed.
    Arriving {
        /// Which; `None`: it failed.
        session: Option<SessionId>,
    },
    /// The account is asked; again, if not answered then.
    AccountAsked {
        /// For what.
        deposit: Deposit,
        /// When it is asked again.
        again: Timestamp,
        /// It was asked before, and did not answer.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        repeat: bool,
    },
    /// The account has answered.
    AccountAnswered {
        /// How far the deposit is now.
        deposit: Deposit,
    },
    /// We were away while it was held (RT-3).
    WasDown {
        /// How long.
        by_ms: u64,
    },
    /// The partner was told.
    Told {
        /// The notice's number.
        sequence: u64,
    },
    /// Operators were told.
    Raised(Raised),
}

impl Fold for Reservation {
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
            Event::Confirmed { .. } => {
                self.status = Some(Status::Reserved);
                self.payment_due = None;
            }
            Event::Over(over) => self.end(over),
            Event::Arriving { session } => self.arriving = *session,
            Event::AccountAsked { deposit, again, .. } => {
                self.deposit = *deposit;
                self.ask_due = Some(*again);
            }
            Event::AccountAnswered { deposit } => {
                self.deposit = *deposit;
                self.ask_due = None;
            }
            Event::WasDown { by_ms } => self.down_ms = self.down_ms.saturating_add(*by_ms),
            Event::Told { sequence } => self.sequence = *sequence,
            Event::Raised(_) => self.raised = self.raised.wrapping_add(1),
        }
    }
}

impl Reservation {
    fn place(&mut self, placed: &Placed) {
        self.status = Some(Status::PendingPayment);
        self.partner = Some(placed.partner.clone());
        self.request = Some(placed.request.clone());
        self.user = Some(placed.user.clone());
        self.sealed.clone_from(&placed.sealed);
        self.connector = placed.connector;
        self.created_at = placed.at;
        self.from = placed.from;
        self.until = placed.until;
        self.terms = Some(placed.terms);
        self.account = placed.payment_due.is_some();
        self.payment_due = placed.payment_due;
    }

    fn end(&mut self, over: &Over) {
        self.status = Some(over.status);
        self.cause = Some(over.cause);
        self.ended_at = Some(over.at);
        self.fee = Some(over.fee);
        self.session = over.session;
        self.arrival = over.arrival;
        self.arriving = None;
        self.payment_due = None;
    }
}
