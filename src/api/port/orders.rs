//! Orders as partners and operators see them (SE-3, SE-11 … SE-15, MO-4 … MO-9): the part of the port that is theirs, and the
//! JSON of `docs/orders.md`. Owns names and shapes; never where the values come from.

use super::{Actor, Moment, MoneyView, Page, PageRequest, ReadingView, Refusal};
use crate::ids::{ChargerId, ConnectorId, OrderId, PartnerId, RequestId, ReservationId, SessionId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An order's status (SE-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "SE-15 defines them")]
pub enum OrderStatus {
    Placed,
    Failed,
    Open,
    UnderReview,
    AwaitingPayment,
    Paid,
    Unpaid,
}

/// What an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// A session.
    Charging,
    /// Staying after one (SE-13).
    Occupancy,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    /// Its id: of a charging order its session's own.
    #[schema(value_type = uuid::Uuid)]
    pub order_id: OrderId,
    /// What it is for.
    pub kind: OrderKind,
    /// How far it is.
    pub status: OrderStatus,
    /// Of which session.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// The other order of that session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub linked_order_id: Option<OrderId>,
    /// The reservation that the session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub reservation_id: Option<ReservationId>,
    /// Whose it is; shown to operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub partner_id: Option<PartnerId>,
    /// Where.
    #[schema(value_type = String)]
    pub charger_id: ChargerId,
    /// Which connector.
    #[schema(value_type = u16)]
    pub connector_id: ConnectorId,
    /// The partner's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Who settles: `account`, the user's account here; `partner`, you.
    pub payer: String,
    /// The tariff that was shown, and is billed.
    pub tariff_id: String,
    /// Its version.
    pub tariff_version: u32,
    /// When it was placed.
    pub created_at: Moment,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// What is set aside.
    pub frozen: MoneyView,
    /// The bill with every line; each names the readings behind it. In lists it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bill: Option<serde_json::Value>,
    /// The readings that the bill's lines name: 0 is the start, then these in order of time, last the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<Vec<ReadingView>>,
    /// What is to be paid in all: the bill's total, or what a person has settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<MoneyView>,
    /// What was taken.
    pub taken: MoneyView,
    /// What a coupon has paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<MoneyView>,
    /// Which coupon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon_id: Option<String>,
    /// What is owed.
    pub debt: MoneyView,
    /// What was given back.
    pub refunded: MoneyView,
    /// Why a person looks at it: words of `docs/orders.md`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The user contests the bill.
    #[serde(default)]
    pub contested: bool,
    /// Until when payment is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_due: Option<Moment>,
    /// A refund that waits for a second person: `{"amount", "by", "at"}`; shown to operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_proposed: Option<serde_json::Value>,
    /// Who settled it by hand; shown to operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    /// Open tickets about it; shown to operators only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tickets: Vec<String>,
}

/// Which orders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Of this user.
    pub user_id: Option<String>,
    /// Only open or closed ones.
    pub open: Option<bool>,
    /// Settled or corrected from the first moment on and before the second, oldest first (RC-3): by itself only.
    pub settled: Option<(Moment, Moment)>,
}

/// What a partner's user wants of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderWish {
    /// More is to be set aside, minor units (SE-11). The request's name makes a repeat harmless.
    Extend(RequestId, i64),
    /// What is owed is to be paid from the balance (MO-5).
    Pay,
    /// The bill is contested, in these words (MO-9).
    Contest(String),
}

/// What an operator decides about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderDecision {
    /// It is settled: at the bill's total, or at so many minor units; 0 closes it.
    Settle(Option<i64>),
    /// So many minor units are given back; a large amount only after another person's approval (MO-6).
    Refund(i64),
    /// Another person agrees to the refund that waits.
    ApproveRefund,
    /// The refund that waits is dropped.
    WithdrawRefund,
}

/// What calls about orders need from the runtime.
#[async_trait]
pub trait OrderPort: Send + Sync + 'static {
    /// One order of this partner, with the readings behind its bill.
    async fn order(&self, partner: &PartnerId, id: OrderId) -> Result<OrderView, Refusal>;

    /// Orders of this partner, newest first.
    async fn orders(
        &self,
        partner: &PartnerId,
        filter: OrderFilter,
        page: PageRequest,
    ) -> Result<Page<OrderView>, Refusal>;

    /// What a user wants of an order; its status then.
    async fn wish(&self, partner: &PartnerId, id: OrderId, wish: OrderWish) -> Result<OrderStatus, Refusal>;

    /// Any order.
    async fn any_order(&self, id: OrderId) -> Result<OrderView, Refusal>;

    /// All orders.
    async fn all_orders(&self, filter: OrderFilter, page: PageRequest) -> Result<Page<OrderView>, Refusal>;

    /// The abnormal queue: orders that wait for a person (SE-14).
    async fn order_reviews(&self, page: PageRequest) -> Result<Page<OrderView>, Refusal>;

    /// What a person decides; its status then.
    async fn decide_order(&self, id: OrderId, decision: OrderDecision, actor: &Actor) -> Result<OrderStatus, Refusal>;
}
