//! Sites, chargers, commands and tokens. Owns reading and checking the requests; never what a charger may do.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{
    Actor, BootPolicy, ChargerAuth, ChargerPut, CommandRequest, CommandView, LockAction, OperatorChargerView, Page,
    SitePut, SiteView, TokenPut,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::domain::charger::SecurityProfile;
use crate::ids::{ChargerId, CommandId, ConnectorId, SiteId};
use crate::telemetry::redact::Personal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

/// Length of a charger's password (control 3).
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 16..=40;

/// Longest OCPP 1.6 idTag.
const ID_TAG_MAX: usize = 20;

pub(super) async fn sites(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<SiteView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.all_sites(page).await?))
}

pub(super) async fn put_site(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id: SiteId = wire::path_id(&id, Code::NotFound)?;
    let site: SitePut = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("name", &site.name, 1, 100);
    if let Some(address) = &site.address {
        findings.text("address", address, 1, 200);
    }
    if let Some(zone) = &site.time_zone {
        let known = jiff::tz::TimeZone::get(zone).is_ok();
        findings.check(known, "time_zone", "is not known", "an IANA name such as Asia/Shanghai");
    }
    if let Some(position) = site.position {
        findings.check((-90.0..=90.0).contains(&position.lat), "position.lat", "is out of range", "-90 to 90");
        findings.check((-180.0..=180.0).contains(&position.lon), "position.lon", "is out of range", "-180 to 180");
    }
    findings.done()?;
    state.port.put_site(&id, site).await?;
    Ok(Json(json!({"site_id": id})))
}

pub(super) async fn chargers(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<OperatorChargerView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.all_chargers(page).await?))
}

pub(super) async fn charger(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Answered<Json<OperatorChargerView>> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    Ok(Json(state.port.any_charger(&id).await?))
}

/// The body of `PUT /chargers/{id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargerBody {
    site_id: SiteId,
    connectors: u16,
    #[serde(default)]
    boot: BootPolicy,
    #[serde(default)]
    auth: ChargerAuth,
    security_profile: Option<u8>,
    password: Option<String>,
}

pub(super) async fn put_charger(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let body: ChargerBody = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.check((1..=64).contains(&body.connectors), "connectors", "is out of range", "1 to 64");
    if let Some(password) = &body.password {
        let fits = PASSWORD_BYTES.contains(&password.len());
        findings.check(fits, "password", "is too short or too long", "16 to 40 bytes, as text or hex");
        let needed = body.auth == ChargerAuth::Basic;
        findings.check(needed, "password", "is of no use", "no password with auth `none` or `certificate`");
    }
    let profile = body.security_profile.map(SecurityProfile::try_from);
    let profile =
        profile.transpose().map_err(|allowed| findings.check(false, "security_profile", "is out of range", allowed));
    let profile = profile.unwrap_or_default();
    if let Some(profile) = profile {
        let (fits, allowed) = match body.auth {
            ChargerAuth::None => (profile == SecurityProfile::Open, "0 with auth `none`"),
            ChargerAuth::Basic => (profile != SecurityProfile::Open, "1 to 3 with auth `basic`"),
            ChargerAuth::Certificate => (profile == SecurityProfile::Mutual, "3 with auth `certificate`"),
        };
        findings.check(fits, "security_profile", "does not go with auth", allowed);
    }
    findings.done()?;
    // A known charger keeps its password unless a new one is given; a new one gets one made for it, shown once.
    let known = state.port.charger_exists(&id).await?;
    let wanted = body.auth == ChargerAuth::Basic && !known && body.password.is_none();
    let made = wanted.then(|| hex::encode(rand::random::<[u8; 20]>()));
    let password = body.password.or_else(|| made.clone()).map(SecretString::from);
    let (boot, auth, connectors) = (body.boot, body.auth, body.connectors);
    let put = ChargerPut { site_id: body.site_id, connectors, boot, auth, security_profile: profile, password };
    let new = state.port.put_charger(&id, put).await?;
    let mut answer = json!({"charger_id": id, "new": new});
    if let (Some(made), Some(object)) = (made, answer.as_object_mut()) {
        object.insert("password".into(), made.into());
    }
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)))
}

pub(super) async fn command(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let command: CommandRequest = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.check(command.payload.is_object(), "payload", "is no object", "the OCPP payload, a JSON object");
    findings.done()?;
    let command_id = state.port.command(&id, command).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"command_id": command_id}))))
}

pub(super) async fn command_state(
    State(state): State<Shared>,
    Path((id, command_id)): Path<(String, String)>,
) -> Answered<Json<CommandView>> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let command_id: CommandId = wire::path_id(&command_id, Code::NotFound)?;
    Ok(Json(state.port.command_state(&id, command_id).await?))
}

/// The body of `POST /chargers/{id}/lock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveLock {
    connector_id: ConnectorId,
    action: LockAction,
}

pub(super) async fn move_lock(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let MoveLock { connector_id, action } = wire::json(&body)?;
    let command_id = state.port.move_lock(&id, connector_id, action, &actor).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"command_id": command_id}))))
}

pub(super) async fn rotate_key(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let command_id = state.port.rotate_key(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"command_id": command_id}))))
}

/// The body of `POST /chargers/{id}/maintenance`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Maintenance {
    on: bool,
    note: Option<String>,
}

pub(super) async fn maintenance(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let Maintenance { on, note } = wire::json(&body)?;
    let mut findings = Findings::default();
    if let Some(note) = &note {
        findings.text("note", note, 1, 500);
    }
    findings.done()?;
    state.port.set_maintenance(&id, on, note).await?;
    Ok(Json(json!({"charger_id": id, "maintenance": on})))
}

pub(super) async fn put_token(
    State(state): State<Shared>,
    Extension(note): Extension<Note>,
    Path(id_tag): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    note.target(Personal(&id_tag));
    let mut findings = Findings::default();
    findings.text("id_tag", &id_tag, 1, ID_TAG_MAX);
    let token: TokenPut = wire::json(&body)?;
    if let Some(user_id) = &token.user_id {
        findings.text("user_id", user_id, 1, 64);
        findings.check(token.partner_id.is_some(), "partner_id", "is missing", "the partner whose user it is");
    }
    findings.done()?;
    let status = token.status;
    state.port.put_token(&id_tag, token).await?;
    Ok(Json(json!({"status": status})))
}
