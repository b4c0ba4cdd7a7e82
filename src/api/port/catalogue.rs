//! What partners pull to keep a mirror of the catalogue, and what they ask at a connector (EM-6). Owns the trait and its
//! shapes; never an implementation.

use super::{ConnectorStatus, FaultView, LockView, Moment, PageRequest, PositionView, Refusal};
use crate::domain::platform::{ConnectorFacts, Facility, Hours};
use crate::domain::tariff::SliceName;
use crate::ids::{ChargerId, ConnectorId, PartnerId, SiteId};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which tariff is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TariffRef {
    /// Its name.
    pub tariff_id: String,
    /// Which version of it.
    pub version: u32,
    /// ISO 4217.
    pub currency: String,
    /// Where all its prices are: a path of this API.
    pub href: String,
}

/// A connector in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedConnector {
    /// Its number, 1 and up.
    #[schema(value_type = u16)]
    pub connector_id: ConnectorId,
    /// What it is; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ConnectorFacts>,
}

/// A charger in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedCharger {
    /// Its id.
    #[schema(value_type = String)]
    pub charger_id: ChargerId,
    /// Its connectors.
    pub connectors: Vec<ListedConnector>,
}

/// A site in the catalogue: what changes seldom. Statuses are asked for by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListedSite {
    /// Its id.
    #[schema(value_type = String)]
    pub site_id: SiteId,
    /// As shown to people.
    pub name: String,
    /// Postal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionView>,
    /// When it is open, by its own clock; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// What else is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facilities: Vec<Facility>,
    /// The tariff in force; absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<TariffRef>,
    /// Its chargers, by id.
    pub chargers: Vec<ListedCharger>,
    /// When any of this was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Moment>,
}

/// Where a pull goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullFrom {
    /// From the beginning: everything.
    Beginning,
    /// What an earlier page gave as `next`.
    Cursor(String),
    /// What was changed then or later.
    Since(Moment),
}

/// A page of the catalogue: what is new or changed, and what is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CataloguePage {
    /// Sites that are new, changed, or seen again: put them in the place of what you have.
    pub items: Vec<ListedSite>,
    /// Sites that you may see no longer: drop them, before you take in the items.
    #[schema(value_type = Vec<String>)]
    pub removed: Vec<SiteId>,
    /// The cursor was too old to say what is gone: drop everything you have, this is a pull from the beginning.
    pub reset: bool,
    /// Give it back as `cursor`, at once if there is `more`, else whenever you want to know what has changed.
    pub next: String,
    /// Whether there is more now.
    pub more: bool,
}

/// A connector's live status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveStatus {
    /// Where its charger stands.
    #[schema(value_type = String)]
    pub site_id: SiteId,
    /// Its charger.
    #[schema(value_type = String)]
    pub charger_id: ChargerId,
    /// Its number.
    #[schema(value_type = u16)]
    pub connector_id: ConnectorId,
    /// Whether its charger is connected.
    pub online: bool,
    /// Whether its charger is out of service for a person's reason.
    pub maintenance: bool,
    /// Its status.
    pub status: ConnectorStatus,
    /// When that was learnt; absent: never heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Moment>,
    /// Its fault, if it has one (`docs/fault-codes.md`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FaultView>,
    /// The parking lock or barrier before it, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockView>,
}

/// Statuses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusPage {
    /// The statuses.
    pub items: Vec<LiveStatus>,
    /// What was asked for by name and is not there, or not open to you: `charger/connector`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// Give it back as `cursor` for the rest; absent: there is no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which statuses are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusOf {
    /// These connectors.
    Connectors(Vec<(ChargerId, ConnectorId)>),
    /// All of a site.
    Site(SiteId),
    /// All that the partner may see; a page of so many chargers.
    All(PageRequest),
}

/// The price of energy now, in ten-thousandths of the currency's unit a kWh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceNow {
    /// By which tariff.
    #[serde(flatten)]
    pub tariff: TariffRef,
    /// The time slice: `sharp`, `peak`, `flat`, `valley`, `deep_valley`.
    #[schema(value_type = String)]
    pub slice: SliceName,
    /// For electricity.
    pub electricity: i64,
    /// For service.
    pub service: i64,
    /// Until when.
    pub until: Moment,
}

/// A connector with all that a user is shown before a start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorDetail {
    /// Its status.
    #[serde(flatten)]
    pub live: LiveStatus,
    /// Its site, as shown to people.
    pub site_name: String,
    /// Whether the site is open now; absent: hours or time zone are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_now: Option<bool>,
    /// What it is; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ConnectorFacts>,
    /// Its highest power, W; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<u64>,
    /// The price now; absent: no tariff is in force, so nobody can start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceNow>,
}

/// What partners' pulls need from the runtime.
#[async_trait]
pub trait CataloguePort: Send + Sync + 'static {
    /// The catalogue from a place on, at most `limit` sites. Nothing that existed throughout is missed, however much changes
    /// meanwhile; `invalid_field` for a cursor that was never given.
    async fn catalogue(&self, partner: &PartnerId, from: PullFrom, limit: usize) -> Result<CataloguePage, Refusal>;

    /// Live statuses; `site_unknown` for a site that the partner may not see.
    async fn statuses(&self, partner: &PartnerId, of: StatusOf) -> Result<StatusPage, Refusal>;

    /// One connector, or `connector_unknown`.
    async fn connector(
        &self,
        partner: &PartnerId,
        charger: &ChargerId,
        connector: ConnectorId,
    ) -> Result<ConnectorDetail, Refusal>;

    /// The connector that a QR text or a typed number means, or `code_unknown`.
    async fn resolve(&self, partner: &PartnerId, text: &str) -> Result<ConnectorDetail, Refusal>;
}
