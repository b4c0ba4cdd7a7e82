//! Registering chargers and commanding them (CH-3, CH-6).

use crate::actors::charger::register;
use crate::actors::charger::shell::CHARGER_KEYS;
use crate::actors::engine::Refusal as Refused;
use crate::actors::service::catalogue::CHARGER;
use crate::actors::service::sessions::Eyes;
use crate::actors::service::{Service, corrupt, refused, rejected};
use crate::api::catalogue::Code;
use crate::api::port::{
    BootPolicy, ChargerAuth, ChargerPut, ChargerView, CommandKind, CommandRequest, CommandView, Moment,
    OperatorChargerView, Page, PageRequest, Refusal, SecurityView,
};
use crate::clock::Timestamp;
use crate::domain::charger::{self, Command, NewKey, Registration};
use crate::domain::charging::{Key, Rejection, Reply, State};
use crate::gateway::Access;
use crate::ids::{ChargerId, CommandId};
use crate::protocol::ocpp16::{self, neutral};
use secrecy::{ExposeSecret as _, SecretBox};
use smallvec::smallvec;

/// Bytes of a password that we make: the most that the white paper allows (A00.FR.205).
const KEY_BYTES: usize = 20;

async fn ask(service: &Service, id: &ChargerId, command: Command) -> Result<Reply, Refusal> {
    service.working()?;
    let asked: Result<Reply, Refused<Rejection>> =
        service.chargers.ask(id.as_str(), Key::Charger, command.into()).await;
    asked.map_err(|refusal| refused(refusal, rejected))
}

pub(in crate::actors::service) async fn put(
    service: &Service,
    id: &ChargerId,
    put: ChargerPut,
) -> Result<bool, Refusal> {
    let known = service.register.registration(id);
    if service.journal.row("site", put.site_id.as_str()).await?.is_none() {
        return Err(Code::SiteUnknown.into());
    }
    let auth = match (&put.auth, &put.password, &known) {
        (ChargerAuth::None, _, _) => stored(&Access::Open)?,
        (ChargerAuth::Certificate, _, _) => stored(&Access::Certificate)?,
        (ChargerAuth::Basic, Some(password), _) => {
            let tag = service.pepper.tag(id, password.expose_secret().as_bytes());
            stored(&Access::Password(smallvec![tag]))?
        }
        (ChargerAuth::Basic, None, Some(known)) if is_basic(known) => known.auth.clone(),
        (ChargerAuth::Basic, None, _) => {
            return Err(Refusal::field("password", "missing", "a password for a charger that has none yet"));
        }
    };
    let boot = match put.boot {
        BootPolicy::Accepted => charger::BootPolicy::Accepted,
        BootPolicy::Pending => charger::BootPolicy::Pending,
        BootPolicy::Rejected => charger::BootPolicy::Rejected,
    };
    // A change that is under way goes on, unless the operator says how the charger comes in.
    let same = known.clone().filter(|known| known.auth == auth);
    let rotation = same.as_ref().and_then(|known| known.rotation.clone());
    let given = put.security_profile;
    let profile = given.or(same.as_ref().and_then(|known| known.profile));
    let raising = same.and_then(|known| known.raising).filter(|raising| profile.is_none_or(|least| least < *raising));
    let (site, connectors) = (put.site_id, put.connectors);
    let registration = Registration { site, connectors, boot, auth, profile, raising, rotation };
    ask(service, id, Command::Register(registration)).await?;
    Ok(known.is_none())
}

fn stored(access: &Access) -> Result<Box<str>, Refusal> {
    serde_json::to_string(access).map(Into::into).map_err(|error| corrupt(CHARGER, "access", &error))
}

fn is_basic(registration: &Registration) -> bool {
    matches!(serde_json::from_str(&registration.auth), Ok(Access::Password(_)))
}

async fn operator_view(service: &Service, charger: ChargerView) -> Result<OperatorChargerView, Refusal> {
    let id = charger.charger_id.clone();
    let registration = service.register.registration(&id).ok_or(Code::ChargerUnknown)?;
    let boot = match registration.boot {
        charger::BootPolicy::Accepted => BootPolicy::Accepted,
        charger::BootPolicy::Pending => BootPolicy::Pending,
        charger::BootPolicy::Rejected => BootPolicy::Rejected,
    };
    let access = serde_json::from_str(&registration.auth);
    let auth = match access {
        Ok(Access::Password(_)) => ChargerAuth::Basic,
        Ok(Access::Certificate) => ChargerAuth::Certificate,
        Ok(Access::Open) | Err(_) => ChargerAuth::None,
    };
    let least = access.map_or(registration.profile, |access| Some(register::standing(access, &registration).least));
    let security = SecurityView {
        profile: least.map(u8::from),
        connected: service.register.link(&id).map(|link| link.proof().profile.number()),
        raising: registration.raising.map(u8::from),
        rotating_since: registration.rotation.as_ref().map(|rotation| Moment(rotation.since)),
    };
    Ok(OperatorChargerView { charger, boot, auth, security, commands: Vec::new(), flags: Vec::new() })
}

pub(in crate::actors::service) async fn show(
    service: &Service,
    id: &ChargerId,
) -> Result<OperatorChargerView, Refusal> {
    let charger = service.charger_view(Eyes::Operator, id).await?;
    let mut view = operator_view(service, charger).await?;
    let name = id.to_string();
    let live = service
        .chargers
        .read(id.as_str(), Key::Charger, move |state: &State| state.charger().map(|charger| charger.view(&name)));
    if let Some(live) = live.await.flatten() {
        view.commands = live.commands.iter().map(waiting).collect();
        for connector in &mut view.charger.connectors {
            let of = live.connectors.iter().find(|of| of.connector_id == connector.connector_id);
            connector.session_id = of.and_then(|of| of.session_id);
        }
        if let Some(maintenance) = live.maintenance {
            let note = maintenance.note.as_deref().unwrap_or("");
            view.flags.push(format!("in maintenance since {} by {}: {note}", maintenance.since, maintenance.by));
        }
    }
    Ok(view)
}

fn waiting(command: &charger::CommandView) -> CommandView {
    CommandView {
        command_id: command.command_id,
        kind: command.kind.to_owned(),
        state: command.state.to_owned(),
        result: None,
        at: Moment(Timestamp::parse(&command.queued_at).unwrap_or_default()),
    }
}

pub(in crate::actors::service) async fn list(
    service: &Service,
    page: &PageRequest,
) -> Result<Page<OperatorChargerView>, Refusal> {
    let chargers = service.charger_views(Eyes::Operator, page).await?;
    let mut items = Vec::with_capacity(chargers.items.len());
    for charger in chargers.items {
        items.push(operator_view(service, charger).await?);
    }
    Ok(Page { items, next: chargers.next })
}

pub(in crate::actors::service) async fn command(
    service: &Service,
    id: &ChargerId,
    request: CommandRequest,
) -> Result<CommandId, Refusal> {
    if !service.register.knows(id) {
        return Err(Code::ChargerUnknown.into());
    }
    let key = request.payload.get("key").and_then(serde_json::Value::as_str).unwrap_or_default();
    if request.kind == CommandKind::ChangeConfiguration && key.eq_ignore_ascii_case("AuthorizationKey") {
        // It would be stored and shown in the clear, and the charger locked out.
        return Err(Refusal::field("payload", "names AuthorizationKey", "POST /chargers/{id}/authorization-key"));
    }
    let action = action(request.kind);
    let wire = ocpp16::Command::read(action, &request.payload.to_string())
        .map_err(|error| Refusal::field("payload", error.description, format!("the members of {action}.req")))?;
    let call =
        neutral::call(wire).ok_or_else(|| Refusal::field("kind", "not served yet", "one of the documented kinds"))?;
    let command_id = CommandId(uuid::Uuid::now_v7());
    ask(service, id, Command::Enqueue { command_id, call, by: "operator".into() }).await?;
    Ok(command_id)
}

/// Gives the charger a new password: a random one, kept sealed before it goes out (CH-3).
pub(in crate::actors::service) async fn rotate_key(service: &Service, id: &ChargerId) -> Result<CommandId, Refusal> {
    let known = service.register.registration(id).ok_or(Code::ChargerUnknown)?;
    let Ok(Access::Password(old)) = serde_json::from_str(&known.auth) else {
        return Err(Refusal::field("charger_id", "has no password", "a charger with auth `basic`"));
    };
    let secret: SecretBox<[u8; KEY_BYTES]> = SecretBox::new(Box::new(rand::random()));
    let new = service.pepper.tag(id, secret.expose_secret());
    let both = old.iter().take(1).chain([&new]).cloned().collect();
    let key = NewKey {
        sealed: service.vault.seal_secret(CHARGER_KEYS, secret.expose_secret()).into(),
        print: new.print(),
        before: known.auth,
        both: stored(&Access::Password(both))?,
        after: stored(&Access::Password(smallvec![new]))?,
    };
    let command_id = CommandId(uuid::Uuid::now_v7());
    ask(service, id, Command::RotateKey { command_id, key, by: "operator".into() }).await?;
    Ok(command_id)
}

const fn action(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::Reset => "Reset",
        CommandKind::TriggerMessage => "TriggerMessage",
        CommandKind::GetConfiguration => "GetConfiguration",
        CommandKind::ChangeConfiguration => "ChangeConfiguration",
        CommandKind::ChangeAvailability => "ChangeAvailability",
        CommandKind::UnlockConnector => "UnlockConnector",
        CommandKind::ClearCache => "ClearCache",
        CommandKind::DataTransfer => "DataTransfer",
        CommandKind::RemoteStartTransaction => "RemoteStartTransaction",
        CommandKind::RemoteStopTransaction => "RemoteStopTransaction",
    }
}

pub(in crate::actors::service) async fn command_state(
    service: &Service,
    id: &ChargerId,
    command: CommandId,
) -> Result<CommandView, Refusal> {
    let key = format!("{id}/{command}");
    let read = |table: &'static str, row: Vec<u8>| {
        serde_json::from_slice::<serde_json::Value>(&row).map_err(|error| corrupt(table, &key, &error))
    };
    let asked = service.journal.row("command", &key).await?.ok_or(Code::NotFound)?;
    let asked = read("command", asked)?;
    let done = service.journal.row("command-result", &key).await?.map(|row| read("command-result", row)).transpose()?;
    let text = |value: &serde_json::Value, member: &str| value.get(member).and_then(|v| v.as_str()).map(str::to_owned);
    let payload = done.as_ref().and_then(|done| text(done, "payload"));
    let result = match (&done, payload) {
        (Some(_), Some(payload)) => serde_json::from_str(&payload).ok(),
        (Some(done), None) => text(done, "description").map(serde_json::Value::from),
        (None, _) => None,
    };
    let at = text(&asked, "queued_at").and_then(|at| Timestamp::parse(&at).ok()).unwrap_or_default();
    Ok(CommandView {
        command_id: command,
        kind: text(&asked, "kind").unwrap_or_default(),
        state: done.as_ref().and_then(|done| text(done, "state")).unwrap_or_else(|| "Pending".to_owned()),
        result,
        at: Moment(at),
    })
}

pub(in crate::actors::service) async fn set_maintenance(
    service: &Service,
    id: &ChargerId,
    on: bool,
    note: Option<String>,
) -> Result<(), Refusal> {
    if !service.register.knows(id) {
        return Err(Code::ChargerUnknown.into());
    }
    let note = note.map(String::into_boxed_str);
    ask(service, id, Command::SetMaintenance { on, by: "operator".into(), note }).await.map(drop)
}
