//! Commands to chargers (CH-6): from an operator's payload to the charger's queue, and what became of them.

use super::chargers::ask;
use crate::actors::charger::shell::COMMAND_TEXTS;
use crate::actors::service::{Service, corrupt};
use crate::api::catalogue::Code;
use crate::api::port::{CommandKind, CommandRequest, CommandView, Detail, Moment, Refusal};
use crate::clock::Timestamp;
use crate::domain::charger::{Call, Command, Flaw, SealedText, check, local_list};
use crate::domain::charging::{Key, State};
use crate::ids::{ChargerId, CommandId};
use crate::protocol::ocpp16::{self, neutral};
use serde_json::Value;

pub(in crate::actors::service) async fn command(
    service: &Service,
    id: &ChargerId,
    request: CommandRequest,
) -> Result<CommandId, Refusal> {
    if !service.register.knows(id) {
        return Err(Code::ChargerUnknown.into());
    }
    let key = request.payload.get("key").and_then(Value::as_str).unwrap_or_default();
    if request.kind == CommandKind::ChangeConfiguration && key.eq_ignore_ascii_case("AuthorizationKey") {
        // It would be stored in the clear, and the charger locked out.
        return Err(Refusal::field("payload", "names AuthorizationKey", "POST /chargers/{id}/authorization-key"));
    }
    let action = action(request.kind);
    let payload = completed(service, id, request).await?;
    let wire = ocpp16::Command::read(action, &payload.to_string())
        .map_err(|error| Refusal::field("payload", error.description, format!("the members of {action}.req")))?;
    if let ocpp16::Command::SendLocalList(list) = &wire {
        let full = list.update_type == ocpp16::send_local_list::UpdateType::Full;
        found_none(local_list::check_entries(&neutral::list_entries(list), full))?;
    }
    let seal = |text: &str| SealedText(service.vault.seal_secret(COMMAND_TEXTS, text.as_bytes()).into());
    let call = neutral::call(wire, &seal)
        .ok_or_else(|| Refusal::field("payload", "has an unknown word", format!("the words of {action}.req")))?;
    possible(service, id, call.clone()).await?;
    let command_id = CommandId(uuid::Uuid::now_v7());
    ask(service, id, Command::Enqueue { command_id, call, by: "operator".into() }).await?;
    Ok(command_id)
}

/// A local list without a version gets the next one.
async fn completed(service: &Service, id: &ChargerId, request: CommandRequest) -> Result<Value, Refusal> {
    let mut payload = request.payload;
    if let (CommandKind::SendLocalList, Some(members)) = (request.kind, payload.as_object_mut())
        && !members.contains_key("listVersion")
    {
        let next = |state: &State| state.charger().map(|charger| charger.list().next());
        let next = service.chargers.read(id.as_str(), Key::Charger, next).await?.flatten();
        members.insert("listVersion".to_owned(), next.unwrap_or(1).into());
    }
    Ok(payload)
}

/// The charger's own limits and state allow it. What cannot be read here the rules decide.
async fn possible(service: &Service, id: &ChargerId, call: Call) -> Result<(), Refusal> {
    let (policy, now) = (service.configuration.live.current().charger.clone(), service.clock.now());
    let read = move |state: &State| state.charger().map(|charger| check(&call, charger, &policy, now));
    let found = service.chargers.read(id.as_str(), Key::Charger, read).await?.flatten();
    found_none(found.unwrap_or_default())
}

/// All flaws at once: a bad request where one of them is, else a refusal of the charger's.
fn found_none(found: Vec<Flaw>) -> Result<(), Refusal> {
    if found.is_empty() {
        return Ok(());
    }
    let code = if found.iter().all(|flaw| flaw.state) { Code::CommandRefused } else { Code::InvalidField };
    let detail = |flaw: Flaw| {
        let field = if flaw.field == "kind" { flaw.field } else { format!("payload.{}", flaw.field) };
        Detail { field, problem: flaw.problem, allowed: flaw.allowed }
    };
    Err(Refusal { code, retry_after: None, details: found.into_iter().map(detail).collect() })
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
        CommandKind::GetDiagnostics => "GetDiagnostics",
        CommandKind::UpdateFirmware => "UpdateFirmware",
        CommandKind::GetLocalListVersion => "GetLocalListVersion",
        CommandKind::SendLocalList => "SendLocalList",
        CommandKind::ReserveNow => "ReserveNow",
        CommandKind::CancelReservation => "CancelReservation",
        CommandKind::SetChargingProfile => "SetChargingProfile",
        CommandKind::ClearChargingProfile => "ClearChargingProfile",
        CommandKind::GetCompositeSchedule => "GetCompositeSchedule",
        CommandKind::ExtendedTriggerMessage => "ExtendedTriggerMessage",
        CommandKind::GetLog => "GetLog",
        CommandKind::SignedUpdateFirmware => "SignedUpdateFirmware",
        CommandKind::InstallCertificate => "InstallCertificate",
        CommandKind::DeleteCertificate => "DeleteCertificate",
        CommandKind::GetInstalledCertificateIds => "GetInstalledCertificateIds",
        CommandKind::CertificateSigned => "CertificateSigned",
    }
}

pub(in crate::actors::service) async fn state(
    service: &Service,
    id: &ChargerId,
    command: CommandId,
) -> Result<CommandView, Refusal> {
    let key = format!("{id}/{command}");
    let read = |table: &'static str, row: Vec<u8>| {
        serde_json::from_slice::<Value>(&row).map_err(|error| corrupt(table, &key, &error))
    };
    let asked = service.journal.row("command", &key).await?.ok_or(Code::NotFound)?;
    let asked = read("command", asked)?;
    let done = service.journal.row("command-result", &key).await?.map(|row| read("command-result", row)).transpose()?;
    let text = |value: &Value, member: &str| value.get(member).and_then(|v| v.as_str()).map(str::to_owned);
    let payload = done.as_ref().and_then(|done| text(done, "payload"));
    let result = match (&done, payload) {
        (Some(_), Some(payload)) => serde_json::from_str(&payload).ok(),
        (Some(done), None) => text(done, "description").map(Value::from),
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
