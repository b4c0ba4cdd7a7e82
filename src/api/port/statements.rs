//! Statements and settlement as partners and operators see them (RC-3, RC-4; `docs/statements.md`): the part of the port that is
//! theirs. Owns names and shapes; never a figure.

use super::{Moment, MoneyView, Page, PageRequest, Refusal};
use crate::ids::{ChargerId, ConnectorId, OrderId, PartnerId, RequestId, SessionId, SiteId, StatementId, TariffId};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatementStatus {
    /// It is made; look at it.
    Stated,
    /// You agree.
    Confirmed,
    /// You disagree about orders.
    Disputed,
    /// It is settled.
    Settled,
}

/// What lines come to, by currency and by who pays. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementTotal {
    /// ISO 4217.
    pub currency: String,
    /// `partner`: you; `account`: the users' accounts here have paid.
    pub payer: String,
    /// Orders that are stated for the first time.
    pub orders: u64,
    /// Lines that correct earlier ones.
    pub corrections: u64,
    /// Wh.
    pub energy_wh: i64,
    /// For electricity.
    pub electricity: i64,
    /// For service.
    pub service: i64,
    /// Everything else.
    pub other: i64,
    /// In all.
    pub total: i64,
    /// What each party gets by the revenue rules.
    #[serde(default)]
    pub shares: Vec<PartView>,
}

/// What a party gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    /// Who.
    #[schema(value_type = String)]
    pub party: PartnerId,
    /// Minor units.
    pub minor: i64,
}

/// A file of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileSum {
    /// Of its bytes, lower-case hex.
    pub sha256: String,
    /// How many bytes.
    pub bytes: u64,
}

/// How a statement was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SheetView {
    /// When.
    pub at: Moment,
    /// Who has settled it.
    pub by: String,
    /// What is to be known.
    pub note: String,
    /// What you owe on balance.
    pub balance: Vec<MoneyView>,
    /// Corrections that disputes have led to: lines of later statements.
    pub corrections: u64,
    /// What those come to.
    pub corrected: Vec<MoneyView>,
}

/// An invoice, or word of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaperView {
    /// Whose: `partner`, `operator`.
    pub side: String,
    /// `invoice`, `payment` (money was sent), `receipt` (money has come).
    pub kind: String,
    /// Its number, or the bank's.
    pub reference: String,
    /// How much.
    pub amount: MoneyView,
    /// Title, tax number, bank: as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementView {
    /// Which: its local day, `-2` and so on for others of that day.
    #[schema(value_type = String)]
    pub statement_id: StatementId,
    /// Whose.
    #[schema(value_type = String)]
    pub partner_id: PartnerId,
    /// Where it is.
    pub status: StatementStatus,
    /// Lines written from then on.
    pub from: Moment,
    /// Until then, exclusive.
    pub until: Moment,
    /// Whose midnights.
    pub time_zone: String,
    /// When it was made.
    pub made_at: Moment,
    /// How many lines.
    pub lines: u64,
    /// What they come to.
    pub totals: Vec<StatementTotal>,
    /// What you owe on balance: what you pay yourself, less your shares; negative: what you get.
    pub balance: Vec<MoneyView>,
    /// The CSV file.
    pub csv: FileSum,
    /// The JSON file.
    pub json: FileSum,
    /// When you agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Moment>,
    /// Orders confirmed one by one.
    pub orders_confirmed: u64,
    /// Orders disputed, in all.
    pub orders_disputed: u64,
    /// Of them not decided.
    pub disputes_open: u64,
    /// How it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<SheetView>,
    /// Invoices, payments, receipts of both sides.
    pub papers: Vec<PaperView>,
}

/// A line of a statement. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementLine {
    /// Which order.
    #[schema(value_type = uuid::Uuid)]
    pub order_id: OrderId,
    /// Which line of the order: `1`, `2` …; `d-<statement>-<n>` of a dispute.
    pub line: String,
    /// It holds a difference from earlier lines of the order.
    pub corrects: bool,
    /// When it was written.
    pub settled_at: Moment,
    /// Of which session.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// Where.
    #[schema(value_type = String)]
    pub charger_id: ChargerId,
    /// Where.
    #[schema(value_type = u16)]
    pub connector_id: ConnectorId,
    /// Where, as far as known.
    #[schema(value_type = Option<String>)]
    pub site_id: Option<SiteId>,
    /// `charging`, `occupancy`.
    pub kind: String,
    /// `partner`, `account`.
    pub payer: String,
    /// When charging began.
    pub started_at: Moment,
    /// When it ended.
    pub ended_at: Moment,
    /// Wh.
    pub energy_wh: i64,
    /// For electricity.
    pub electricity_minor: i64,
    /// For service.
    pub service_minor: i64,
    /// Everything else.
    pub other_minor: i64,
    /// In all.
    pub total_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// By which tariff.
    #[schema(value_type = String)]
    pub tariff_id: TariffId,
    /// Which version of it.
    pub tariff_version: u32,
    /// When the order's first line was written.
    pub first_settled_at: Moment,
    /// Why, if a person made it.
    pub note: Option<String>,
    /// Who gets what of it, by the revenue rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<PartView>,
    /// `confirmed`, `disputed`, `resolved`, where something was said of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementDispute {
    /// About which order.
    #[schema(value_type = uuid::Uuid)]
    pub order_id: OrderId,
    /// Whether it is not decided.
    pub open: bool,
    /// In your words.
    pub reason: String,
    /// Since when.
    pub at: Moment,
    /// Its ticket.
    pub ticket: String,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Moment>,
    /// What was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What is corrected, by a line of a later statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<FiguresView>,
}

/// Numbers of a line. Amounts in minor units; electricity, service and other make the total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FiguresView {
    /// Wh.
    pub energy_wh: i64,
    /// For electricity.
    pub electricity: i64,
    /// For service.
    pub service: i64,
    /// Everything else.
    pub other: i64,
    /// In all.
    pub total: i64,
}

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementFormat {
    /// RFC 4180.
    Csv,
    /// One JSON object.
    Json,
}

/// A file while it is sent.
pub struct StatementFile {
    /// What its bytes come to, as it was stated.
    pub sum: FileSum,
    /// Its bytes. An error breaks the transfer off.
    pub content: BoxStream<'static, Result<Bytes, std::io::Error>>,
}

/// What is wanted of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementWish {
    /// The partner agrees.
    Confirm,
    /// The partner agrees about an order.
    ConfirmOrder(OrderId),
    /// The partner disagrees about an order.
    Dispute {
        /// Which.
        order: OrderId,
        /// The operation's name.
        request: RequestId,
        /// Why.
        reason: String,
    },
    /// There is an invoice, or word of a payment.
    Paper(PaperView),
    /// An operator ends a dispute.
    Resolve {
        /// About which order.
        order: OrderId,
        /// The difference that becomes a new line.
        change: Option<FiguresView>,
        /// What the partner is told.
        note: String,
        /// Who.
        by: String,
    },
    /// An operator settles it.
    Settle {
        /// Who.
        by: String,
        /// What is to be known.
        note: String,
    },
}

/// What calls about statements need from the runtime. A partner of whom nothing is known has no statements.
#[async_trait]
pub trait StatementPort: Send + Sync + 'static {
    /// Statements, newest first.
    async fn statements(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<StatementView>, Refusal>;

    /// One, or `statement_unknown`.
    async fn statement(&self, partner: &PartnerId, id: &StatementId) -> Result<StatementView, Refusal>;

    /// Its lines, oldest first.
    async fn statement_lines(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        page: PageRequest,
    ) -> Result<Page<StatementLine>, Refusal>;

    /// Its disputes, by order.
    async fn statement_disputes(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        page: PageRequest,
    ) -> Result<Page<StatementDispute>, Refusal>;

    /// One of its files.
    async fn statement_file(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        format: StatementFormat,
    ) -> Result<StatementFile, Refusal>;

    /// What is wanted of it; how it is then.
    async fn statement_wish(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        wish: StatementWish,
    ) -> Result<StatementView, Refusal>;

    /// Ends the stretch that collects lines now; its statement is made shortly after. Its id, when it ends and when it is made.
    async fn cut_statement(&self, partner: &PartnerId, by: &str) -> Result<serde_json::Value, Refusal>;

    /// The revenue rules of a partner, oldest first.
    async fn revenue_rules(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<serde_json::Value>, Refusal>;

    /// Orders are shared so from a moment on.
    async fn put_revenue_rule(
        &self,
        partner: &PartnerId,
        rule: crate::domain::statement::shares::Rule,
    ) -> Result<(), Refusal>;
}
