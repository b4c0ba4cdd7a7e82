//! What partners and operators see of sessions, sites, chargers and webhooks: the JSON of `docs/partner-api.md`. Owns
//! names and shapes; never where the values come from.

use super::catalogue::TariffRef;
use super::reservations::MoneyView;
use crate::clock::Timestamp;
use crate::domain::platform::{ConnectorFacts, Facility, Hours};

use crate::ids::{
    ChargerId, ConnectorId, OrderId, PartnerId, RequestId, ReservationId, SessionId, SiteId, TransactionId,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A moment as it is on the wire: RFC 3339, UTC, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl std::str::FromStr for Moment {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        Timestamp::parse(text).map(Moment)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        let said = || serde::de::Error::custom("no RFC 3339 time with an offset, such as 2026-01-02T03:04:05Z");
        Timestamp::parse(&text).map(Moment).map_err(|_| said())
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Moment {}

/// One thing that is wrong with a member of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detail {
    /// Path of the member: `user.id`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What is allowed instead.
    pub allowed: String,
}

/// A partner's user. Personal data but for the id, which is the partner's own pseudonym.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRef {
    /// The partner's name of the user, 1 to 64 characters.
    pub id: String,
    /// Up to 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Up to 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Up to 16 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate: Option<String>,
}

impl std::fmt::Debug for UserRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserRef(…)")
    }
}

/// When charging ends by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// At this energy, 100 to 1,000,000 Wh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<u64>,
    /// After this time, 60 to 86,400 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u64>,
    /// Before this amount is exceeded, 1 to 10,000,000 minor units of the tariff's currency. Of a user with an account here
    /// it is what is set aside first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
    /// At this state of charge, 10 to 100 %. Counts only where the charger tells the vehicle's state of charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
}

/// A session's status (SE-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "SE-15 defines them")]
pub enum SessionStatus {
    Starting,
    Charging,
    StopPending,
    Ended,
    Failed,
    Abnormal,
}

/// Why a session did not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// A code of the error catalogue.
    pub code: String,
    /// For a developer.
    pub message: String,
}

/// A reading of a session's meter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadingView {
    /// When it was taken.
    pub at: Moment,
    /// The register, Wh.
    pub register_wh: i64,
    /// Power, W.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<i64>,
    /// State of charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
    /// Remarks: `late`, `estimated`, `implausible`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// A charging session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// The operation that started it; absent: it began at the charger.
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
    pub status: SessionStatus,
    /// The reservation that it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub reservation_id: Option<ReservationId>,
    /// When it was asked for.
    pub created_at: Moment,
    /// When the charger began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Moment>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// The charger's transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>)]
    pub transaction_id: Option<TransactionId>,
    /// Energy so far.
    pub energy_wh: i64,
    /// Power now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<i64>,
    /// State of charge, where the vehicle tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
    /// How long it has charged.
    pub duration_s: u64,
    /// Register at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_start_wh: Option<i64>,
    /// Register at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_stop_wh: Option<i64>,
    /// Why it ended (SE-6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    /// The connector's fault while it charged, if any (`docs/fault-codes.md`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FaultView>,
    /// Why it did not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// Its order: present where a tariff is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub order_id: Option<OrderId>,
    /// What it comes to so far, by the tariff that was shown at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_so_far: Option<MoneyView>,
    /// What is set aside for it in the user's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<MoneyView>,
    /// The bill with every line, once it is over; in lists it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bill: Option<serde_json::Value>,
    /// What is to be known of it: `late`, `estimated`, `gap` …
    #[serde(default)]
    pub flags: Vec<String>,
    /// All readings; in lists they are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<Vec<ReadingView>>,
}

/// A connector's status as shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "OCPP 1.6 ChargePointStatus and Unknown (CH-4)")]
pub enum ConnectorStatus {
    Available,
    Preparing,
    Charging,
    SuspendedEV,
    SuspendedEVSE,
    Finishing,
    Reserved,
    Unavailable,
    Faulted,
    Unknown,
}

/// A fault, as people are told (CH-8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaultView {
    /// OCPP's error code.
    pub code: String,
    /// The cause, a word of `docs/fault-codes.md`.
    pub cause: String,
    /// `info`, `warning` or `critical`.
    #[serde(default)]
    pub severity: String,
    /// For a person.
    #[serde(default)]
    pub message_en: String,
    /// For a person.
    #[serde(default)]
    pub message_zh: String,
    /// The vendor's own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_code: Option<String>,
    /// What the charger said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
}

/// A parking lock or barrier (CH-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockView {
    /// `lock` or `barrier`.
    pub kind: String,
    /// `raised`, `lowered`, `moving`, `fault` or `unknown`.
    pub state: String,
    /// When that was learnt.
    pub at: Moment,
    /// Whether a vehicle stands there, if it can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vehicle_present: Option<bool>,
    /// The last order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<LockOrderView>,
}

/// An order to a parking lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockOrderView {
    /// `raise` or `lower`.
    pub action: String,
    /// `Moving`, `Done`, `Refused`, `Stuck`, `Offline` or `Replaced`.
    pub result: String,
    /// When it was given.
    pub at: Moment,
    /// How often it was sent.
    pub attempt: u8,
}

/// A connector with its live status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectorView {
    /// Its number, 1 and up.
    #[schema(value_type = u16)]
    pub connector_id: ConnectorId,
    /// Its status.
    pub status: ConnectorStatus,
    /// When that was learnt (EM-6); absent: never heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Moment>,
    /// Its fault, if it has one (`docs/fault-codes.md`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FaultView>,
    /// The parking lock or barrier before it, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockView>,
    /// What it is: plug, voltage, current, power; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<ConnectorFacts>,
    /// The session on it; shown to operators and to the partner whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub session_id: Option<SessionId>,
}

/// A charger with its live status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChargerView {
    /// Its id.
    #[schema(value_type = String)]
    pub charger_id: ChargerId,
    /// Where it stands.
    #[schema(value_type = String)]
    pub site_id: SiteId,
    /// Whether it is connected.
    pub online: bool,
    /// When that was learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Moment>,
    /// Out of service for a person's reason.
    #[serde(default)]
    pub maintenance: bool,
    /// As the charger said at boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// As the charger said at boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its connectors.
    pub connectors: Vec<ConnectorView>,
}

/// A place on earth, WGS 84.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PositionView {
    /// Degrees, -90 to 90.
    pub lat: f64,
    /// Degrees, -180 to 180.
    pub lon: f64,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SiteView {
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
    /// Whether it is open now; absent: hours or time zone are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_now: Option<bool>,
    /// What else is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facilities: Vec<Facility>,
    /// The tariff in force now; absent: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<TariffRef>,
    /// Its chargers with their live status.
    #[serde(default)]
    pub chargers: Vec<ChargerView>,
    /// When the newest of these statuses was learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Moment>,
}
