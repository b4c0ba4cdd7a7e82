//! Registering chargers and showing them (CH-3).

use super::device;
use crate::actors::charger::register;
use crate::actors::charger::shell::CHARGER_KEYS;
use crate::actors::engine::Refusal as Refused;
use crate::actors::service::catalogue::CHARGER;
use crate::actors::service::sessions::Eyes;
use crate::actors::service::{Service, corrupt, refused, rejected};
use crate::api::catalogue::Code;
use crate::api::port::{
    BootPolicy, ChargerAuth, ChargerPut, ChargerView, CommandView, LockAction, Moment, OperatorChargerView, Page,
    PageRequest, Refusal, SecurityView,
};
use crate::clock::Timestamp;
use crate::domain::charger::{self, Command, NewKey, Registration};
use crate::domain::charging::{Key, Rejection, Reply, State};
use crate::domain::platform::ChargerFacts;
use crate::gateway::Access;
use crate::ids::{ChargerId, CommandId, ConnectorId};
use secrecy::{ExposeSecret as _, SecretBox};
use smallvec::smallvec;

/// Bytes of a password that we make: the most that the white paper allows (A00.FR.205).
const KEY_BYTES: usize = 20;

pub(super) async fn ask(service: &Service, id: &ChargerId, command: Command) -> Result<Reply, Refusal> {
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
    if let Some(connectors) = put.facts {
        service.put_facts(ChargerFacts { charger_id: id.clone(), connectors }).await?;
    }
    let (site, connectors) = (put.site_id, put.connectors);
    let touched = known.iter().map(|known| known.site.clone()).chain([site.clone()]).collect();
    let registration = Registration { site, connectors, boot, auth, profile, raising, rotation };
    ask(service, id, Command::Register(registration)).await?;
    service.relist(touched).await;
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
    let standing = register::standing(&registration);
    let auth = match standing.as_ref().map(|standing| &standing.access) {
        Some(Access::Password(_)) => ChargerAuth::Basic,
        Some(Access::Certificate) => ChargerAuth::Certificate,
        Some(Access::Open) | None => ChargerAuth::None,
    };
    let least = standing.map_or(registration.profile, |standing| Some(standing.least));
    let security = SecurityView {
        profile: least.map(u8::from),
        connected: service.register.link(&id).map(|link| link.proof().profile.number()),
        raising: registration.raising.map(u8::from),
        rotating_since: registration.rotation.as_ref().map(|rotation| Moment(rotation.since)),
    };
    let (commands, flags) = (Vec::new(), Vec::new());
    Ok(OperatorChargerView { charger, boot, auth, security, commands, flags, device: None })
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
    let live = live.await?.flatten();
    let known = live.as_ref().and_then(|live| live.device.clone()).unwrap_or_default();
    let booted = live.as_ref().and_then(|live| live.booted_at);
    let device = device::view(service, id, known, booted).await?;
    let reboot = device.configuration.iter().flat_map(|configuration| &configuration.reboot_required);
    view.flags.extend(reboot.map(|key| format!("{key} was changed and counts after a restart")));
    view.device = Some(device);
    if let Some(live) = live {
        view.commands = live.commands.iter().map(waiting).collect();
        for connector in &mut view.charger.connectors {
            let of = live.connectors.iter().find(|of| of.connector_id == connector.connector_id);
            connector.session_id = of.and_then(|of| of.session_id);
        }
        view.flags.extend(remarks(&live));
    }
    Ok(view)
}

/// What is to be known of a charger in trouble (CH-9).
fn remarks(live: &charger::View) -> Vec<String> {
    let maintenance = live.maintenance.as_ref().map(|maintenance| {
        let note = maintenance.note.as_deref().unwrap_or("");
        let until = maintenance.release_due.map(|due| format!(", released at {due} if nothing happens"));
        let (since, by) = (maintenance.since, &maintenance.by);
        format!("in maintenance since {since} by {by}: {note}{}", until.unwrap_or_default())
    });
    let reset = live.reset.as_ref().map(|reset| {
        let (result, id) = (reset.result.as_deref().unwrap_or("not answered yet"), reset.command_id);
        format!("reset as the first remedy at {} ({}): {result}, command {id}", reset.at, reset.why)
    });
    maintenance.into_iter().chain(reset).collect()
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

pub(in crate::actors::service) async fn move_lock(
    service: &Service,
    id: &ChargerId,
    connector: ConnectorId,
    action: LockAction,
    by: &str,
) -> Result<CommandId, Refusal> {
    if !service.register.knows(id) {
        return Err(Code::ChargerUnknown.into());
    }
    let action = match action {
        LockAction::Raise => charger::LockAction::Raise,
        LockAction::Lower => charger::LockAction::Lower,
    };
    let command_id = CommandId(uuid::Uuid::now_v7());
    ask(service, id, Command::MoveLock { command_id, connector, action, by: by.into() }).await?;
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
        before: known.auth.clone(),
        both: stored(&Access::Password(both))?,
        after: stored(&Access::Password(smallvec![new]))?,
    };
    let command_id = CommandId(uuid::Uuid::now_v7());
    ask(service, id, Command::RotateKey { command_id, key, by: "operator".into() }).await?;
    Ok(command_id)
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
