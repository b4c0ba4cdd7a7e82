//! What happens to an order, and what it folds to. Owns the journaled form: members are only added, with a default (RT-6).

use super::state::{Ask, Doubt, Hold, Kind, Order, Outstanding, Placed, Proposed, Status};
use super::stated::Stated;
use super::stay::{Presence, Stay};
use crate::clock::Timestamp;
use crate::domain::charging::case::Raised;
use crate::domain::charging::step::Fold;
use crate::domain::pricing::Bill;
use crate::ids::{OrderId, RequestId};
use serde::{Deserialize, Serialize};

/// What has happened to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Its session was asked for, or began.
    Placed(Box<Placed>),
    /// It is about staying at a connector.
    StayBegan(Box<Stay>),
    /// Its figures count towards its partner's statement, or have changed since (RC-3).
    Stated(Stated),
    /// It is in another state.
    Became {
        /// Which.
        status: Status,
        /// When.
        at: Timestamp,
    },
    /// Its session did not begin.
    Failed {
        /// The code.
        code: Box<str>,
        /// When.
        at: Timestamp,
        /// The account is to count it (OP-1).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        note: bool,
    },
    /// The account has counted the failed start.
    FailureNoted,
    /// The account is asked.
    Asked(Outstanding),
    /// Operators know that the account does not answer.
    AskedLong,
    /// The account has set an amount aside.
    Froze {
        /// In all, minor units.
        minor: i64,
    },
    /// The account did not.
    Refused {
        /// What.
        ask: Ask,
        /// Why.
        code: Box<str>,
    },
    /// The account has given everything back.
    Released,
    /// The account has taken what there was.
    Captured {
        /// Minor units.
        taken: i64,
        /// What was not there.
        debt: i64,
        /// What stays set aside for the linked order.
        #[serde(default)]
        kept: i64,
        /// What a coupon has paid.
        #[serde(default, skip_serializing_if = "super::state::is_zero")]
        discount: i64,
        /// Which coupon.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coupon: Option<Box<str>>,
    },
    /// The linked order's capture has left this for it, minor units.
    Kept {
        /// Minor units; 0: nothing, and nothing will come.
        minor: i64,
    },
    /// Debt was paid.
    DebtPaid {
        /// What is still owed, minor units.
        left: i64,
    },
    /// The account has given this back.
    Refunded {
        /// Minor units.
        minor: i64,
    },
    /// It was priced.
    Priced(Box<Bill>),
    /// A person must look.
    Doubted {
        /// Why.
        doubts: Vec<Doubt>,
    },
    /// What is to be taken is decided.
    ToTake {
        /// Minor units.
        minor: i64,
        /// Who, if a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<str>>,
    },
    /// More is to be set aside.
    ExtendWanted {
        /// Minor units.
        minor: i64,
        /// The request's name.
        request: RequestId,
    },
    /// The user wants to pay what is owed.
    PayWanted,
    /// Something is to be given back.
    RefundWanted {
        /// Minor units.
        minor: i64,
        /// Who.
        by: Box<str>,
    },
    /// A person wants so much to be given back; another one has to agree (MO-6).
    RefundProposed(Proposed),
    /// That wish is dropped.
    RefundWithdrawn {
        /// By whom.
        by: Box<str>,
    },
    /// The user contests it (MO-9).
    Contested,
    /// The user is reminded (again) then, and payment is awaited until then.
    Awaited {
        /// When the user is reminded next.
        remind_due: Option<Timestamp>,
        /// Until when.
        payment_due: Option<Timestamp>,
    },
    /// Another order belongs to the same session.
    Linked {
        /// Which.
        order: OrderId,
        /// What is kept for it, minor units.
        keep: i64,
    },
    /// Who is at the connector.
    Seen {
        /// Who.
        presence: Presence,
        /// From then on.
        at: Timestamp,
    },
    /// The user knows that staying will cost.
    StayWarned,
    /// The grace time is over.
    GraceOver,
    /// It will leave memory then.
    Done {
        /// When.
        forget_due: Timestamp,
    },
    /// The partner was told.
    Told {
        /// The notice's number.
        sequence: u64,
    },
    /// It leaves memory.
    Forgotten,
    /// It is back from its row.
    Recalled(Box<Order>),
    /// Operators were told.
    Raised(Raised),
}

impl Fold for Order {
    type Event = Event;

    fn raised(raised: Raised) -> Event {
        Event::Raised(raised)
    }

    fn raised_count(&self) -> u32 {
        self.raised
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::Placed(placed) => {
                self.status = Some(Status::Placed);
                self.linked = placed.linked;
                self.hold = match (placed.kind, placed.account) {
                    (Kind::Occupancy, true) => Hold::Awaited,
                    (Kind::Occupancy | Kind::Charging, _) => Hold::None,
                };
                self.placed = Some(placed.clone());
            }
            Event::StayBegan(stay) => self.stay = Some(stay.clone()),
            Event::Stated(stated) => self.stated = Some(*stated),
            Event::Became { status, at } => self.become_(*status, *at),
            Event::Failed { code, at, note } => {
                self.failure = Some(code.clone());
                self.note_failure = *note;
                self.become_(Status::Failed, *at);
            }
            Event::Asked(outstanding) => self.ask(*outstanding),
            Event::AskedLong => self.outstanding.iter_mut().for_each(|outstanding| outstanding.told = true),
            Event::Froze { .. }
            | Event::Refused { .. }
            | Event::Released
            | Event::Captured { .. }
            | Event::Kept { .. }
            | Event::DebtPaid { .. }
            | Event::Refunded { .. }
            | Event::FailureNoted => self.fold_money(event),
            Event::Priced(bill) => self.bill = Some(bill.clone()),
            Event::Doubted { doubts } => {
                self.doubts.extend(doubts);
                self.doubts.sort_unstable();
                self.doubts.dedup();
            }
            Event::ToTake { minor, by } => {
                self.charge = Some(*minor);
                self.settled_by = by.clone().or(self.settled_by.take());
            }
            Event::ExtendWanted { minor, request } => {
                self.extend = Some(*minor);
                self.extend_request = Some(request.clone());
            }
            Event::PayWanted => self.paying = true,
            Event::RefundWanted { minor, by } => {
                self.refund = Some(self.refund.unwrap_or(0).saturating_add(*minor));
                self.settled_by = Some(by.clone());
                (self.refund_proposed, self.forget_due) = (None, None);
            }
            Event::RefundProposed(proposed) => self.refund_proposed = Some(proposed.clone()),
            Event::RefundWithdrawn { .. } => self.refund_proposed = None,
            Event::Contested => self.contested = true,
            Event::Awaited { remind_due, payment_due } => {
                (self.remind_due, self.payment_due) = (*remind_due, *payment_due);
            }
            Event::Linked { order, keep } => (self.linked, self.keep) = (Some(*order), *keep),
            Event::Seen { presence, at } => self.with_stay(|stay| stay.note(*presence, *at)),
            Event::StayWarned => self.with_stay(|stay| stay.warn_due = None),
            Event::GraceOver => self.with_stay(|stay| (stay.warn_due, stay.grace_due) = (None, None)),
            Event::Done { forget_due } => self.forget_due = Some(*forget_due),
            Event::Told { sequence } => self.sequence = *sequence,
            Event::Forgotten => *self = Order { raised: self.raised, ..Order::default() },
            Event::Recalled(order) => *self = (**order).clone(),
            Event::Raised(_) => self.raised = self.raised.wrapping_add(1),
        }
    }
}

impl Order {
    /// What the account answered.
    fn fold_money(&mut self, event: &Event) {
        match event {
            Event::Froze { minor } => {
                self.answered();
                self.hold = Hold::Open;
                self.frozen = *minor;
            }
            Event::Refused { ask, .. } => self.refuse(*ask),
            Event::Released => {
                self.answered();
                self.close();
            }
            Event::Captured { taken, debt, discount, coupon, .. } => {
                self.answered();
                self.close();
                (self.discount, self.coupon) = (*discount, coupon.clone());
                self.taken = self.taken.saturating_add(*taken);
                self.debt = *debt;
            }
            Event::Kept { minor } => {
                self.frozen = *minor;
                self.hold = if *minor > 0 { Hold::Open } else { Hold::Closed };
            }
            Event::DebtPaid { left } => {
                self.answered();
                self.taken = self.taken.saturating_add(self.debt.saturating_sub(*left));
                self.debt = *left;
            }
            Event::Refunded { minor } => {
                self.answered();
                self.refunded = self.refunded.saturating_add(*minor);
            }
            Event::FailureNoted => {
                self.answered();
                self.note_failure = false;
            }
            _ => {}
        }
    }

    fn become_(&mut self, status: Status, at: Timestamp) {
        self.status = Some(status);
        if status != Status::AwaitingPayment {
            (self.remind_due, self.payment_due) = (None, None);
        }
        if self.is_settled() || status == Status::Failed {
            self.ended_at = self.ended_at.or(Some(at));
        }
    }

    fn with_stay(&mut self, change: impl FnOnce(&mut Stay)) {
        if let Some(stay) = &mut self.stay {
            change(stay);
        }
    }

    /// What was wanted is asked: a repeat of the same is not another wish.
    fn ask(&mut self, outstanding: Outstanding) {
        let again = self.outstanding.is_some_and(|before| before.ask == outstanding.ask);
        match outstanding.ask {
            Ask::Freeze => self.hold = Hold::Asked,
            Ask::Extend { n, .. } => (self.extended, self.extend) = (n, None),
            Ask::Pay { n } => (self.payments, self.paying) = (n, false),
            Ask::Refund { n, .. } => (self.refunds, self.refund) = (n, None),
            Ask::Release | Ask::Capture | Ask::Charge | Ask::NoteFailure => {}
        }
        let told = again && self.outstanding.is_some_and(|before| before.told);
        self.outstanding = Some(Outstanding { told, ..outstanding });
    }

    fn answered(&mut self) {
        self.outstanding = None;
    }

    fn refuse(&mut self, ask: Ask) {
        self.answered();
        match ask {
            // A person decides anew.
            Ask::Capture | Ask::Charge => self.charge = None,
            Ask::Release => self.close(),
            Ask::NoteFailure => self.note_failure = false,
            Ask::Freeze | Ask::Extend { .. } | Ask::Pay { .. } | Ask::Refund { .. } => {}
        }
    }

    fn close(&mut self) {
        self.hold = Hold::Closed;
        self.frozen = 0;
    }
}
