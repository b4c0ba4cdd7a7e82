//! What the `data` of each event holds, as partners read it. Owns names and shapes; the values come from the rules.

use crate::api::port::{
    FaultView, Grievance, LockView, Moment, MoneyView, OrderView, PaperView, ReservationView, SessionView, SheetView,
    StatementStatus,
};
use crate::ids::{ChargerId, ConnectorId, EndpointName, OrderId, RequestId, SessionId, SiteId, StatementId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The session, with all readings when it is over.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct SessionEvent {
    #[serde(flatten)]
    session: SessionView,
    /// OCPP 1.6 cannot say this end: it was inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_reason_inferred: Option<bool>,
    /// At which site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    site_id: Option<SiteId>,
}

/// What became of a stop.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct StopResult {
    /// Of which session.
    #[schema(value_type = uuid::Uuid)]
    session_id: SessionId,
    /// Your name of the stop.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// Whether the charger took it.
    accepted: bool,
    /// Why not: a code of `docs/errors.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// At which site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    site_id: Option<SiteId>,
}

/// The reservation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ReservationEvent {
    #[serde(flatten)]
    reservation: ReservationView,
    /// What the user complained of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    complaint: Option<Grievance>,
    /// At which site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    site_id: Option<SiteId>,
}

/// The order, with its bill once there is one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct OrderEvent {
    #[serde(flatten)]
    order: OrderView,
    /// At which site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    site_id: Option<SiteId>,
}

/// The statement.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct StatementEvent {
    /// Which: its local day, `-2` and so on for others of that day.
    #[schema(value_type = String)]
    statement_id: StatementId,
    /// Yours.
    partner_id: String,
    /// Where it is.
    status: StatementStatus,
    /// Lines written from then on.
    from: Moment,
    /// Until then, exclusive.
    until: Moment,
    /// Whose midnights.
    time_zone: String,
    /// When it was made.
    made_at: Moment,
    /// How many lines.
    lines: u64,
    /// What they come to, by currency and payer: as in `GET /statements/{statement_id}`.
    totals: serde_json::Value,
    /// What you owe on balance; negative: what you get.
    balance: Vec<MoneyView>,
    /// The CSV file: its SHA-256 and its size.
    csv: serde_json::Value,
    /// The JSON file: its SHA-256 and its size.
    json: serde_json::Value,
    /// When you agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Moment>,
    /// Orders confirmed one by one.
    orders_confirmed: u64,
    /// Orders disputed, in all.
    orders_disputed: u64,
    /// Of them not decided.
    disputes_open: u64,
    /// How it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<SheetView>,
    /// Invoices, payments, receipts of both sides.
    papers: Vec<PaperView>,
}

/// A connector's status.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ConnectorEvent {
    /// Where.
    #[schema(value_type = String)]
    charger_id: ChargerId,
    /// Which connector.
    #[schema(value_type = u16)]
    connector_id: ConnectorId,
    /// OCPP 1.6's word for it, or `Unknown` while the charger is away.
    status: String,
    /// When that was learnt.
    status_at: Moment,
    /// Its fault, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<FaultView>,
    /// Its parking lock, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<LockView>,
    /// At which site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    site_id: Option<SiteId>,
}

/// What became of a top-up.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct TopUpEvent {
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Which.
    top_up_id: String,
    /// How much.
    amount: MoneyView,
    /// It was paid after it had expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
}

/// A debt.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct DebtEvent {
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// For which order.
    order: String,
    /// How much is owed.
    debt: MoneyView,
}

/// A payment of a debt.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct DebtPaidEvent {
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// For which order.
    order: String,
    /// How much was paid.
    paid: MoneyView,
}

/// A refund.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct RefundEvent {
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Of which order.
    order: String,
    /// What went into the balance.
    to_balance: MoneyView,
    /// What went off the debt.
    off_debt: MoneyView,
}

/// An adjustment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AdjustmentEvent {
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Of which order, if of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// How much; negative: taken.
    amount: MoneyView,
}

/// In both languages.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct BothTexts {
    /// English.
    en: String,
    /// 中文.
    zh: String,
}

/// A block.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct BlockEvent {
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// By which rule: a word of `docs/accounts.md`.
    rule: String,
    /// What to tell the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<BothTexts>,
}

/// The end of a block.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct UnblockEvent {
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// By which rule it was.
    rule: String,
}

/// A text for the user. About a reservation (`wrong_connector`) the reservation is there too.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct UserNotice {
    /// Which text, a stable word.
    code: String,
    /// 中文.
    zh: String,
    /// English.
    en: String,
    /// Your user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// About which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    session_id: Option<SessionId>,
    /// About which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    order_id: Option<OrderId>,
    /// What it comes to so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_so_far: Option<MoneyView>,
    /// What is set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen: Option<MoneyView>,
    /// Where the user tried, which was not where it is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u16>)]
    tried_connector_id: Option<ConnectorId>,
    /// At which site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    site_id: Option<SiteId>,
    #[serde(flatten)]
    #[schema(ignore)]
    reservation: Option<ReservationView>,
}

/// A test.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct TestEvent {
    /// Of which of your endpoints.
    #[schema(value_type = String)]
    endpoint: EndpointName,
}

/// An endpoint that is sent nothing any more. Its events are kept.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct DisabledEvent {
    /// Which.
    #[schema(value_type = String)]
    endpoint: EndpointName,
    /// Why.
    reason: String,
    /// By whom: `operator`, `gone` (it answered 410), `failing` (every try had failed for too long; it is probed).
    by: String,
}

/// An endpoint that is sent events again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct EnabledEvent {
    /// Which.
    #[schema(value_type = String)]
    endpoint: EndpointName,
}

/// A challenge: give it back in the body of a 2xx, as it is or as `{"challenge": …}`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct VerificationEvent {
    /// Of which of your endpoints.
    #[schema(value_type = String)]
    endpoint: EndpointName,
    /// What has to come back.
    challenge: String,
}
