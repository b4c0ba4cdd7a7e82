//! Reservations as partners and operators see them (RS-1 … RS-6): the part of the port that is theirs, and the JSON of
//! `docs/partner-api.md`. Owns names and shapes; never where the values come from.

use super::{Actor, Moment, Page, PageRequest, Refusal, UserRef};
use crate::domain::money::Money;
use crate::ids::{ChargerId, ConnectorId, PartnerId, RequestId, ReservationId, SessionId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// A reservation's status (SE-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "SE-15 defines them")]
pub enum ReservationStatus {
    PendingPayment,
    Reserved,
    Failed,
    Fulfilled,
    Cancelled,
    NoShow,
    Disputed,
}

/// What is wrong, in a complaint (RS-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grievance {
    /// Somebody else is there.
    Occupied,
    /// The charger or connector is not where it should be.
    NotFound,
    /// It does not work.
    Defect,
    /// Something else.
    Other,
}

/// An amount in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MoneyView {
    /// Minor units: fen, cent.
    pub minor: i64,
    /// ISO 4217.
    pub currency: String,
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        MoneyView { minor: money.minor, currency: money.currency.code().to_owned() }
    }
}

/// What a reservation costs (RS-2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReservationTerms {
    /// Set aside first in the user's account; zero where your contract stands in for it.
    pub deposit: MoneyView,
    /// Until then giving it up costs nothing.
    pub free_cancel_until: Moment,
    /// Later it costs this.
    pub late_cancel_fee: MoneyView,
    /// Not coming costs this.
    pub no_show_fee: MoneyView,
}

/// What a reservation would be if it were made now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReservationQuote {
    /// Where.
    #[schema(value_type = String)]
    pub charger_id: ChargerId,
    /// From when on the user may come.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
    /// What it costs.
    pub terms: ReservationTerms,
}

/// A connector that is free instead (RS-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alternative {
    /// Which charger of the same site.
    #[schema(value_type = String)]
    pub charger_id: ChargerId,
    /// Which connector.
    #[schema(value_type = u16)]
    pub connector_id: ConnectorId,
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReservationView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub reservation_id: ReservationId,
    /// The operation that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub request_id: Option<RequestId>,
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
    /// How far it is.
    pub status: ReservationStatus,
    /// When it was asked for.
    pub created_at: Moment,
    /// From when on the user may come.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
    /// What it costs: fixed when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<ReservationTerms>,
    /// When the deposit must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_due: Option<Moment>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// Why: a word of `docs/reservations.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_cause: Option<String>,
    /// The same, for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_zh: Option<String>,
    /// The same, for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_en: Option<String>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<MoneyView>,
    /// What is given back of the deposit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<MoneyView>,
    /// The session that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub session_id: Option<SessionId>,
    /// How the user came: `partner`, `card` or `charger`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<String>,
    /// Connectors of the site that are free instead, where the charger failed (RS-6); as of now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// A reservation that HTTP has checked and claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    /// The id that it is to have: chosen once for a `request_id`, the key of idempotency.
    pub reservation_id: ReservationId,
    /// The partner's name of the operation.
    pub request_id: RequestId,
    /// Where.
    pub charger_id: ChargerId,
    /// Which connector, 1 and up.
    pub connector_id: ConnectorId,
    /// For whom. Personal: never logged (OP-9).
    pub user: UserRef,
    /// How long from now until the user may come.
    pub ahead: Duration,
    /// How long it is held from then; `None`: as configured.
    pub length: Option<Duration>,
}

/// Which reservations are listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReservationFilter {
    /// Of this user of the partner's.
    pub user_id: Option<String>,
    /// Only open, or only closed ones.
    pub open: Option<bool>,
    /// Of this charger (operators only).
    pub charger_id: Option<ChargerId>,
}

/// What calls about reservations need from the runtime.
#[async_trait]
pub trait ReservationPort: Send + Sync + 'static {
    /// Holds a connector (RS-1). Repeated with the same reservation id it answers as before, whatever became of it since.
    async fn reserve(&self, partner: &PartnerId, reserve: Reserve) -> Result<ReservationStatus, Refusal>;

    /// What a reservation would cost if it were made now (RS-2).
    async fn quote(&self, partner: &PartnerId, charger: &ChargerId) -> Result<ReservationQuote, Refusal>;

    /// Gives it up; repeated it is the same.
    async fn cancel_reservation(&self, partner: &PartnerId, id: ReservationId) -> Result<ReservationStatus, Refusal>;

    /// The user complains (RS-5); repeated it is the same complaint.
    async fn complain(
        &self,
        partner: &PartnerId,
        id: ReservationId,
        grievance: Grievance,
        text: Option<String>,
    ) -> Result<ReservationStatus, Refusal>;

    /// One reservation, with other free connectors where its charger failed.
    async fn reservation(&self, partner: &PartnerId, id: ReservationId) -> Result<ReservationView, Refusal>;

    /// Reservations, newest first.
    async fn reservations(
        &self,
        partner: &PartnerId,
        filter: ReservationFilter,
        page: PageRequest,
    ) -> Result<Page<ReservationView>, Refusal>;

    /// Any reservation, for operators.
    async fn any_reservation(&self, id: ReservationId) -> Result<ReservationView, Refusal>;

    /// All reservations, newest first, for operators.
    async fn all_reservations(
        &self,
        filter: ReservationFilter,
        page: PageRequest,
    ) -> Result<Page<ReservationView>, Refusal>;

    /// An operator gives it up: nothing is charged (OP-4).
    async fn release_reservation(&self, id: ReservationId, actor: &Actor) -> Result<ReservationStatus, Refusal>;
}
