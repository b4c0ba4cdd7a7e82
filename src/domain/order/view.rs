//! How an order is shown to its partner and to operators, as `docs/orders.md` describes it. Owns no fact.
//!
//! The user's own name with the partner is personal: who shows the view to somebody allowed opens the seal (OP-9).

use super::state::{Doubt, Kind, Order, Status};
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::domain::pricing::Bill;
use crate::ids::{ConnectorId, OrderId, PartnerId, ReservationId, SessionId, TariffId};
use serde::Serialize;

/// An order as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Which.
    pub order_id: OrderId,
    /// What for.
    pub kind: Kind,
    /// SE-15.
    pub status: Status,
    /// Of which session.
    pub session_id: SessionId,
    /// The other order of that session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_order_id: Option<OrderId>,
    /// The reservation that the session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<ReservationId>,
    /// Where.
    pub charger_id: String,
    /// Where.
    pub connector_id: ConnectorId,
    /// Whose; for rows and operators, not for the wire.
    pub partner: PartnerId,
    /// Pseudonym of the user.
    pub user: Box<str>,
    /// Personal data, sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<str>>,
    /// Who settles: `account`, or `partner`.
    pub payer: &'static str,
    /// The tariff that was shown, and is billed.
    pub tariff_id: TariffId,
    /// Its version.
    pub tariff_version: u32,
    /// When it was placed.
    pub created_at: String,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// What is set aside.
    pub frozen: Money,
    /// The bill, with every line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bill: Option<Bill>,
    /// What is to be paid in all: the bill's total, or what a person has settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// What was taken.
    pub taken: Money,
    /// What a coupon has paid (MO-8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<Money>,
    /// Which coupon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon_id: Option<Box<str>>,
    /// What is owed.
    pub debt: Money,
    /// What was given back.
    pub refunded: Money,
    /// Why a person looks at it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<str>>,
    /// The user contests it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub contested: bool,
    /// Until when payment is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_due: Option<String>,
    /// A refund that waits for a second person (MO-6); for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_proposed: Option<ProposedView>,
    /// Who settled it by hand; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<Box<str>>,
}

/// A refund that waits for a second person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProposedView {
    /// How much.
    pub amount: Money,
    /// Who wants it.
    pub by: Box<str>,
    /// Since when.
    pub at: String,
}

impl Order {
    /// The order as shown; `None` before it was placed.
    pub fn view(&self, order_id: OrderId, charger_id: &str) -> Option<View> {
        let placed = self.placed.as_ref()?;
        Some(View {
            order_id,
            kind: placed.kind,
            status: self.status?,
            session_id: placed.session,
            linked_order_id: self.linked,
            reservation_id: placed.reservation,
            charger_id: charger_id.to_owned(),
            connector_id: placed.connector,
            partner: placed.partner.clone(),
            user: placed.user.clone(),
            sealed: placed.sealed.clone(),
            payer: if placed.account { "account" } else { "partner" },
            tariff_id: placed.tariff.clone(),
            tariff_version: placed.version,
            created_at: placed.at.to_rfc3339(),
            ended_at: self.ended_at.map(Timestamp::to_rfc3339),
            frozen: self.amount(self.frozen),
            bill: self.bill.as_deref().cloned(),
            total: self.charge.or(self.bill.as_ref().map(|bill| bill.total.minor)).map(|minor| self.amount(minor)),
            taken: self.amount(self.taken),
            discount: (self.discount > 0).then(|| self.amount(self.discount)),
            coupon_id: self.coupon.clone(),
            debt: self.amount(self.debt),
            refunded: self.amount(self.refunded),
            doubts: self.doubts.clone(),
            failure: self.failure.clone(),
            contested: self.contested,
            payment_due: self.payment_due.map(Timestamp::to_rfc3339),
            refund_proposed: self.refund_proposed.as_ref().map(|it| ProposedView {
                amount: self.amount(it.minor),
                by: it.by.clone(),
                at: it.at.to_rfc3339(),
            }),
            settled_by: self.settled_by.clone(),
        })
    }
}
