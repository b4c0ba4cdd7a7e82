//! What operators' calls need from the runtime (`docs/operator-api.md`). Owns the trait and its requests; never an
//! implementation.

use super::tariffs::{RollOut, TariffView};
use super::{
    Actor, ChargerView, MessageSearch, MessageView, Page, PageRequest, PositionView, Refusal, SessionFilter,
    SessionStatus, SessionView, SiteView, WebhookView,
};
use crate::api::port::{DeviceView, Moment};
use crate::domain::platform::{ConnectorFacts, Facility, Hours};
use crate::domain::tariff::Tariff;
use crate::ids::{ChargerId, CommandId, ConnectorId, PartnerId, SessionId, SiteId, TariffId};
use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether the process can do its work (`/readyz`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// It can.
    pub ready: bool,
    /// What is missing otherwise, one short text each.
    pub reasons: Vec<String>,
}

/// A site's master data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SitePut {
    /// As shown to people, 1 to 100 characters.
    pub name: String,
    /// Postal, up to 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionView>,
    /// When it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// What else is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facilities: Vec<Facility>,
}

/// How a boot is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "OCPP 1.6 RegistrationStatus")]
pub enum BootPolicy {
    #[default]
    Accepted,
    Pending,
    Rejected,
}

/// How a charger proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargerAuth {
    /// HTTP basic authentication.
    #[default]
    Basic,
    /// Not at all (control 1).
    None,
    /// By a certificate alone (security profile 3).
    Certificate,
}

/// A charger's registration.
#[derive(Debug, Clone)]
pub struct ChargerPut {
    /// Where it stands.
    pub site_id: SiteId,
    /// How many connectors, 1 to 64.
    pub connectors: u16,
    /// What they are; absent: as it is.
    pub facts: Option<Vec<ConnectorFacts>>,
    /// How its boot is answered.
    pub boot: BootPolicy,
    /// How it proves who it is.
    pub auth: ChargerAuth,
    /// Below this security profile it does not come in; `None`: as it was, or as `auth` says.
    pub security_profile: Option<crate::domain::charger::SecurityProfile>,
    /// Its new password, if it is to change; 16 to 40 bytes. Only HTTP ever sees it in the clear.
    pub password: Option<SecretString>,
}

/// A charger as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatorChargerView {
    /// What partners see too.
    #[serde(flatten)]
    pub charger: ChargerView,
    /// How its boot is answered.
    pub boot: BootPolicy,
    /// How it proves who it is.
    pub auth: ChargerAuth,
    /// How its connections are secured.
    #[serde(default)]
    pub security: SecurityView,
    /// Commands under way or just done, newest first.
    #[serde(default)]
    pub commands: Vec<CommandView>,
    /// What is to be known of it.
    #[serde(default)]
    pub flags: Vec<String>,
    /// What it told of itself; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceView>,
}

/// How a charger's connections are secured (CH-3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SecurityView {
    /// Below this security profile it does not come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<u8>,
    /// That of the present connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<u8>,
    /// It has been told to raise its profile to this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raising: Option<u8>,
    /// Since when its password is being changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotating_since: Option<Moment>,
}

/// Commands that operators can send (CH-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[clap(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "OCPP 1.6 actions")]
pub enum CommandKind {
    Reset,
    TriggerMessage,
    GetConfiguration,
    ChangeConfiguration,
    ChangeAvailability,
    UnlockConnector,
    ClearCache,
    DataTransfer,
    RemoteStartTransaction,
    RemoteStopTransaction,
    GetDiagnostics,
    UpdateFirmware,
    GetLocalListVersion,
    SendLocalList,
    ReserveNow,
    CancelReservation,
    SetChargingProfile,
    ClearChargingProfile,
    GetCompositeSchedule,
    ExtendedTriggerMessage,
    GetLog,
    SignedUpdateFirmware,
    InstallCertificate,
    DeleteCertificate,
    GetInstalledCertificateIds,
    CertificateSigned,
}

/// A command to a charger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// Which.
    pub kind: CommandKind,
    /// Its OCPP payload.
    #[serde(default = "empty_object")]
    pub payload: serde_json::Value,
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// Where a parking lock or barrier goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LockAction {
    /// Up: nobody gets in.
    Raise,
    /// Down: the way is free.
    Lower,
}

/// A command and what became of it (I12: answered exactly once).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandView {
    /// Its id, the unique message id of its CALL.
    pub command_id: CommandId,
    /// The OCPP action.
    pub kind: String,
    /// `Pending`, `Sent`, `Accepted`, `Rejected`, `TimedOut`, `Offline`, `Unknown`.
    pub state: String,
    /// The charger's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// When it was asked for.
    pub at: Moment,
}

/// Which sites a partner may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SitesScope {
    /// The text `all`.
    All(AllSites),
    /// These.
    Only(Vec<SiteId>),
}

/// The text `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllSites {
    /// Every site, also future ones.
    All,
}

/// Where a partner's webhooks go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookPut {
    /// Checked against the address guard: [`crate::api::catalogue::Code::EndpointRefused`].
    pub url: String,
    /// Event types; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<String>>,
}

/// A partner's master data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerPut {
    /// As shown to people.
    pub name: String,
    /// Where its webhooks go; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookPut>,
    /// Which sites it may see; absent: all for a new partner, as it is for a known one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<SitesScope>,
    /// Whether its users have accounts here: the first-party app; absent: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<bool>,
}

/// What a change of a partner gave.
#[derive(Debug, Default)]
pub struct PartnerPutAnswer {
    /// The signing secret of a new endpoint (`whsec_…`), shown once.
    pub webhook_secret: Option<SecretString>,
}

/// A partner as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartnerView {
    /// Its id.
    pub partner_id: PartnerId,
    /// As shown to people.
    pub name: String,
    /// Which sites it may see.
    pub sites: SitesScope,
    /// Whether its users have accounts here.
    #[serde(default)]
    pub accounts: bool,
    /// Its keys, without secrets.
    pub keys: Vec<super::KeyView>,
    /// Its webhook endpoint called `default`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookView>,
    /// Its other endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookView>,
    /// While it begins nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<SuspensionView>,
}

/// Why a partner begins nothing new (EM-1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspensionView {
    /// Since when.
    pub since: Moment,
    /// Who said so.
    pub by: String,
    /// Why, for the partner to read.
    pub reason: String,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[clap(rename_all = "PascalCase")]
#[allow(missing_docs, reason = "OCPP 1.6 AuthorizationStatus")]
pub enum TokenState {
    Accepted,
    Blocked,
    Expired,
    Invalid,
}

/// An RFID token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPut {
    /// What it may do.
    pub status: TokenState,
    /// From when on it counts as `Expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// The partner whose user holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_id: Option<PartnerId>,
    /// That partner's name of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
}

/// An applied configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigVersionView {
    /// From 1.
    pub version: u64,
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// The keys that differ from the defaults, as TOML.
    pub toml: String,
    /// The keys that it changed.
    #[serde(default)]
    pub changed: Vec<String>,
}

/// What operators' calls need from the runtime. Every write is audited by HTTP before it answers.
#[async_trait]
pub trait OperatorPort:
    super::ReservationPort
    + super::OrderPort
    + super::AccountDesk
    + super::StatementPort
    + super::TcecPort
    + super::CredentialPort
    + super::WebhookPort
    + super::DeskPort
    + super::OnboardingPort
{
    /// Whether the process can do its work. Must not wait.
    fn readiness(&self) -> Readiness;

    /// Creates or changes a site.
    async fn put_site(&self, id: &SiteId, site: SitePut) -> Result<(), Refusal>;
    /// All sites, by id.
    async fn all_sites(&self, page: PageRequest) -> Result<Page<SiteView>, Refusal>;

    /// Gives a charger a new password (CH-3); the result is the command's.
    async fn rotate_key(&self, id: &ChargerId) -> Result<CommandId, Refusal>;

    /// Registers or changes a charger; whether it is new. A new one with basic authentication always brings a password.
    async fn put_charger(&self, id: &ChargerId, charger: ChargerPut) -> Result<bool, Refusal>;
    /// Whether a charger is registered.
    async fn charger_exists(&self, id: &ChargerId) -> Result<bool, Refusal>;
    /// One charger, or `charger_unknown`.
    async fn any_charger(&self, id: &ChargerId) -> Result<OperatorChargerView, Refusal>;
    /// All chargers, by id.
    async fn all_chargers(&self, page: PageRequest) -> Result<Page<OperatorChargerView>, Refusal>;
    /// Journals a command and sends it; answers before the charger does.
    async fn command(&self, id: &ChargerId, command: CommandRequest) -> Result<CommandId, Refusal>;
    /// A command and what became of it, or `not_found`.
    async fn command_state(&self, id: &ChargerId, command: CommandId) -> Result<CommandView, Refusal>;
    /// Journals an order to a parking lock or barrier (CH-10) and sends it; the command's id. The connector's `lock` tells
    /// what comes of it. `lock_unknown` where the charger has told of none.
    async fn move_lock(
        &self,
        id: &ChargerId,
        connector: ConnectorId,
        action: LockAction,
        actor: &Actor,
    ) -> Result<CommandId, Refusal>;
    /// Takes a charger out of service, or back.
    async fn set_maintenance(&self, id: &ChargerId, on: bool, note: Option<String>) -> Result<(), Refusal>;

    /// OCPP frames of a charger, as far as the message log still has them; `charger_unknown` if there is no such charger.
    async fn messages(&self, search: MessageSearch, page: PageRequest) -> Result<Page<MessageView>, Refusal>;

    /// Creates or changes a partner.
    async fn put_partner(&self, id: &PartnerId, partner: PartnerPut) -> Result<PartnerPutAnswer, Refusal>;
    /// One partner, or `partner_unknown`.
    async fn partner(&self, id: &PartnerId) -> Result<PartnerView, Refusal>;
    /// All partners, by id.
    async fn partners(&self, page: PageRequest) -> Result<Page<PartnerView>, Refusal>;

    /// Publishes the next version of a tariff, or only checks it; its number. `tariff_invalid` with all findings.
    async fn publish_tariff(&self, tariff: Tariff, check: bool) -> Result<u32, Refusal>;
    /// Puts a version in force at some places, or `tariff_unknown`.
    async fn roll_out_tariff(&self, id: &TariffId, order: RollOut) -> Result<(), Refusal>;
    /// Takes the newest roll-out back at these sites; without sites everywhere.
    async fn roll_back_tariff(&self, id: &TariffId, sites: Option<Vec<SiteId>>) -> Result<(), Refusal>;
    /// All tariffs, by name.
    async fn tariffs(&self, page: PageRequest) -> Result<Page<TariffView>, Refusal>;
    /// One tariff, or `tariff_unknown`.
    async fn tariff(&self, id: &TariffId) -> Result<TariffView, Refusal>;
    /// A version of it, the newest without a number, or `tariff_unknown`.
    async fn tariff_version(&self, id: &TariffId, version: Option<u32>) -> Result<Arc<Tariff>, Refusal>;
    /// What is in force at a site then, or now; `tariff_unknown` if nothing is.
    async fn tariff_at(&self, site: &SiteId, at: Option<Moment>) -> Result<Arc<Tariff>, Refusal>;

    /// Creates or changes an RFID token.
    async fn put_token(&self, id_tag: &str, token: TokenPut) -> Result<(), Refusal>;

    /// One session with its readings, or `session_unknown`.
    async fn any_session(&self, id: SessionId) -> Result<SessionView, Refusal>;
    /// Signed meter records of a session: `{"number", "at", "data"}`, the first and the newest; empty without any.
    async fn signed_readings(&self, id: SessionId) -> Result<Vec<serde_json::Value>, Refusal>;
    /// All sessions, newest first.
    async fn all_sessions(&self, filter: SessionFilter, page: PageRequest) -> Result<Page<SessionView>, Refusal>;
    /// Stops a session whoever owns it.
    async fn force_stop(&self, id: SessionId, actor: &Actor) -> Result<SessionStatus, Refusal>;

    /// Alerts, newest first.
    async fn alerts(&self, page: PageRequest) -> Result<Page<serde_json::Value>, Refusal>;

    /// Quarantined entities: `{"entity", "since", "reason"}`.
    async fn quarantined(&self) -> Result<Vec<serde_json::Value>, Refusal>;
    /// Lets one start again, or `not_found`.
    async fn release(&self, entity: &str) -> Result<(), Refusal>;

    /// Applied configurations, newest first; the first is in force.
    async fn config_versions(&self) -> Result<Vec<ConfigVersionView>, Refusal>;
    /// Checks and applies a whole file's text; the new version. Problems come as details of `config_invalid`.
    async fn apply_config(&self, toml: &str, actor: &Actor) -> Result<u64, Refusal>;

    /// Backs the store up while running; where to.
    async fn backup_journal(&self, name: &str) -> Result<serde_json::Value, Refusal>;
    /// Folds old history away; what that gave.
    async fn compact_journal(&self) -> Result<serde_json::Value, Refusal>;
    /// Figures of the store.
    async fn journal_stats(&self) -> Result<serde_json::Value, Refusal>;
}
