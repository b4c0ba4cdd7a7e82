//! Starting and stopping sessions, and showing them (SE-1, SE-12).

use super::{Service, corrupt, refused, rejected};
use crate::actors::personal;
use crate::api::catalogue::Code;
use crate::api::port::{
    OperationKind, OperationRef, OperationState, OperationStatus, Page, PageRequest, Refusal, SessionFilter,
    SessionStatus, SessionView, Start, Stop,
};
use crate::domain::charger::Opening;
use crate::domain::charging::{Key, Rejection, Reply, State};
use crate::domain::delivery::Partner;
use crate::domain::session::{self, StopBy};
use crate::ids::{ChargerId, PartnerId, SessionId};
use crate::persistence::StoredRow;
use serde::Deserialize;
use serde_json::Value;

/// The table of sessions: where an open one is, all of one that is over.
pub(super) const TABLE: &str = "session";
/// Sessions by partner and user.
pub(super) const BY_USER: &str = "user-session";

/// Signed meter records by session.
const SIGNED: &str = "signed-reading";

/// What every session row has.
#[derive(Debug, Deserialize)]
struct Pointer {
    charger_id: ChargerId,
    #[serde(default)]
    partner: Option<PartnerId>,
    #[serde(default)]
    open: bool,
}

/// A session's row: where it is, and what the row says.
struct Found {
    pointer: Pointer,
    value: Value,
}

/// Who looks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Eyes<'a> {
    Partner(&'a PartnerId),
    Operator,
}

impl Eyes<'_> {
    pub(super) fn may_see(self, partner: Option<&PartnerId>) -> bool {
        match self {
            Eyes::Partner(me) => partner == Some(me),
            Eyes::Operator => true,
        }
    }
}

/// The scope of a partner's users' pseudonyms (OP-9).
pub(in crate::actors::service) fn user_scope(partner: &PartnerId) -> String {
    format!("user/{partner}")
}

/// Refuses what begins something new while the partner is suspended (EM-1); the reason is told.
pub(in crate::actors::service) fn may_begin(partner: &Partner) -> Result<(), Refusal> {
    let Some(suspension) = &partner.suspended else { return Ok(()) };
    let detail = Refusal::field("", format!("suspended: {}", suspension.reason), "what is under way; ask the operator");
    Err(Refusal { code: Code::PartnerSuspended, ..detail })
}

impl Service {
    pub(super) async fn start(&self, partner: &PartnerId, start: Start) -> Result<(), Refusal> {
        self.working()?;
        if self.journal.is_full() {
            return Err(Code::JournalFull.into());
        }
        let site = self.register.site(&start.charger_id).ok_or(Code::ChargerUnknown)?;
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        if !crate::actors::partners::sees(&known.partner, &site) {
            return Err(Code::ChargerUnknown.into());
        }
        if self.journal.row(TABLE, &start.session_id.to_string()).await?.is_some() {
            return Ok(());
        }
        may_begin(&known.partner)?;
        let user = self.vault.pseudonym(&user_scope(partner), &start.user.id);
        let personal = serde_json::to_string(&start.user).map_err(|error| corrupt("user", "", &error))?;
        let sealed = self.vault.seal(&user, &personal).await.map_err(|error| corrupt("userkey", "", &error))?;
        let seconds = |n: Option<u64>| n.and_then(|n| u32::try_from(n).ok());
        let opening = Opening {
            session: start.session_id,
            request: start.request_id,
            partner: partner.clone(),
            connector: start.connector_id,
            user: user.to_string().into(),
            sealed: Some(sealed.0.into()),
            limits: session::Limits {
                energy_wh: seconds(start.limits.energy_wh),
                duration_s: seconds(start.limits.duration_s),
                amount: seconds(start.limits.amount),
                soc_percent: start.limits.soc_percent,
            },
            // The lower of ours and the partner profile's (SE-4).
            deadline: known
                .partner
                .tcec
                .as_ref()
                .map(|tcec| std::time::Duration::from_secs(tcec.dialect.start_deadline_s.into())),
            reservation: start.reservation_id,
        };
        let command = crate::domain::charger::Command::StartSession(Box::new(opening));
        match self.chargers.ask(start.charger_id.as_str(), Key::Charger, command.into()).await {
            Ok(_) | Err(crate::actors::engine::Refusal::Rejected(Rejection::SessionExists)) => Ok(()),
            Err(crate::actors::engine::Refusal::Rejected(Rejection::ReservationUnknown)) => {
                Err(self.why_unknown(partner, start.reservation_id).await?.into())
            }
            Err(refusal) => Err(refused(refusal, rejected)),
        }
    }

    pub(super) async fn stop(&self, eyes: Eyes<'_>, id: SessionId, by: StopBy) -> Result<SessionStatus, Refusal> {
        self.working()?;
        let found = self.find(eyes, id).await?;
        if !found.pointer.open {
            return Err(Code::SessionEnded.into());
        }
        let command = session::Command::Stop(by);
        let asked = self.chargers.ask(found.pointer.charger_id.as_str(), Key::Session(id), command.into()).await;
        match asked.map_err(|refusal| refused(refusal, rejected))? {
            Reply::StopTaken { status, .. } => Ok(wire_status(status)),
            Reply::Done
            | Reply::Boot { .. }
            | Reply::Authorized { .. }
            | Reply::TransactionStarted { .. }
            | Reply::TransactionStopped(_)
            | Reply::UnknownVendor
            | Reply::Transferred { .. }
            | Reply::SessionStarting(_)
            | Reply::Queued(_)
            | Reply::Reserved(_)
            | Reply::ReservationNow(_)
            | Reply::OrderNow(_)
            | Reply::Certificate { .. } => Err(Code::Internal.into()),
        }
    }

    pub(super) async fn stop_for(&self, partner: &PartnerId, stop: Stop) -> Result<SessionStatus, Refusal> {
        self.stop(Eyes::Partner(partner), stop.session_id, StopBy::Partner(stop.request_id)).await
    }

    async fn find(&self, eyes: Eyes<'_>, id: SessionId) -> Result<Found, Refusal> {
        let row = self.journal.row(TABLE, &id.to_string()).await?.ok_or(Code::SessionUnknown)?;
        let found = read_row(&id.to_string(), &row)?;
        if !eyes.may_see(found.pointer.partner.as_ref()) {
            return Err(Code::SessionUnknown.into());
        }
        Ok(found)
    }

    pub(super) async fn session_view(&self, eyes: Eyes<'_>, id: SessionId) -> Result<SessionView, Refusal> {
        let found = self.find(eyes, id).await?;
        self.view_of(eyes, id, found, true).await
    }

    async fn view_of(&self, eyes: Eyes<'_>, id: SessionId, found: Found, full: bool) -> Result<SessionView, Refusal> {
        let mut value = found.value;
        if found.pointer.open {
            let (charger, now) = (found.pointer.charger_id.clone(), self.clock.now());
            let name = charger.to_string();
            let live = self.chargers.read(charger.as_str(), Key::Session(id), move |state: &State| {
                state.session().map(|session| serde_json::to_value(session.view(id, &name, now)))
            });
            match live.await?.flatten() {
                Some(Ok(live)) => value = live,
                Some(Err(error)) => return Err(corrupt(TABLE, &id.to_string(), &error)),
                // It left memory between the row and the look: the row has all of it now.
                None => {
                    let row = self.journal.row(TABLE, &id.to_string()).await?.ok_or(Code::SessionUnknown)?;
                    let found = read_row(&id.to_string(), &row)?;
                    // Neither in memory nor over: it is in quarantine, or being rebuilt.
                    if found.pointer.open {
                        return Err(Code::Quarantined.into());
                    }
                    value = found.value;
                }
            }
        }
        self.dress(&mut value, matches!(eyes, Eyes::Operator)).await?;
        if let (false, Some(members)) = (full, value.as_object_mut()) {
            members.remove("readings");
        }
        serde_json::from_value(value).map_err(|error| corrupt(TABLE, &id.to_string(), &error))
    }

    pub(super) async fn signed_readings_of(&self, id: SessionId) -> Result<Vec<Value>, Refusal> {
        self.find(Eyes::Operator, id).await?;
        let prefix = format!("{id}/");
        let rows = self.journal.rows(SIGNED, &prefix, None, usize::from(session::signed::KEPT_MAX)).await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            records.push(serde_json::from_slice::<Value>(&row.value).map_err(|e| corrupt(SIGNED, &row.key, &e))?);
        }
        records.sort_by_key(|record| record["number"].as_u64());
        Ok(records)
    }

    pub(super) async fn dress(&self, view: &mut Value, operator: bool) -> Result<(), Refusal> {
        personal::dress(&self.vault, view, operator).await.map_err(|error| {
            tracing::warn!(%error, "a user's key cannot be read now");
            Code::Unavailable.into()
        })
    }

    pub(super) async fn sessions_of(
        &self,
        eyes: Eyes<'_>,
        filter: SessionFilter,
        page: PageRequest,
    ) -> Result<Page<SessionView>, Refusal> {
        let (table, prefix) = self.listing(eyes, (TABLE, BY_USER), filter.user_id.as_deref());
        self.newest_first((table, &prefix), page, |row| self.listed(eyes, &filter, row)).await
    }

    /// The session of a listed row, if the filter wants it.
    async fn listed(
        &self,
        eyes: Eyes<'_>,
        filter: &SessionFilter,
        StoredRow { key, value }: StoredRow,
    ) -> Result<Option<SessionView>, Refusal> {
        let id: SessionId =
            key.rsplit('/').next().unwrap_or(&key).parse().map_err(|error| corrupt(TABLE, &key, &error))?;
        let listed = read_row(&key, &value)?.pointer;
        let wanted = filter.open.is_none_or(|open| open == listed.open)
            && filter.charger_id.as_ref().is_none_or(|charger| *charger == listed.charger_id);
        if !wanted {
            return Ok(None);
        }
        let found = self.find(eyes, id).await?;
        match self.view_of(eyes, id, found, false).await {
            Ok(view) => Ok(Some(view)),
            // One that has failed must not keep the others from being seen (I14); it is in the list of the quarantine.
            Err(refusal) if refusal.code == Code::Quarantined => {
                tracing::warn!(session = %id, "a session in quarantine is left out of a list");
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) async fn operation_state(
        &self,
        partner: &PartnerId,
        which: &OperationRef,
    ) -> Result<Option<OperationState>, Refusal> {
        let view = match self.session_view(Eyes::Partner(partner), which.session_id).await {
            Ok(view) => view,
            Err(refusal) if refusal.code == Code::SessionUnknown => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let at = view.ended_at.or(view.started_at).unwrap_or(view.created_at);
        let failed = || view.failure.as_ref().map(|failure| failure_code(&failure.code));
        let (status, error) = match (which.kind, view.status) {
            (OperationKind::Start, SessionStatus::Starting) => (OperationStatus::Pending, None),
            (OperationKind::Start, SessionStatus::Failed) => {
                (OperationStatus::Failed, Some(failed().unwrap_or(Code::StartRefused).into()))
            }
            (OperationKind::Stop, SessionStatus::Starting | SessionStatus::Charging | SessionStatus::StopPending)
            | (OperationKind::Stop, SessionStatus::Abnormal) => (OperationStatus::Pending, None),
            (OperationKind::Start | OperationKind::Stop, _)
            | (
                OperationKind::Reserve
                | OperationKind::CancelReservation
                | OperationKind::Complaint
                | OperationKind::WebhookTest
                | OperationKind::Replay
                | OperationKind::MakeKey
                | OperationKind::PauseWebhook
                | OperationKind::ResumeWebhook
                | OperationKind::Subscribe
                | OperationKind::MakeEndpoint
                | OperationKind::ChangeEndpoint
                | OperationKind::RemoveEndpoint
                | OperationKind::RotateEndpointSecret
                | OperationKind::VerifyEndpoint
                | OperationKind::ExtendOrder
                | OperationKind::PayOrder
                | OperationKind::ContestOrder
                | OperationKind::RotateKey
                | OperationKind::RevokeKey
                | OperationKind::AllowKey
                | OperationKind::TopUp
                | OperationKind::DebtPayment
                | OperationKind::Statement
                | OperationKind::Application,
                _,
            ) => (OperationStatus::Succeeded, None),
        };
        Ok(Some(OperationState { status, error, at }))
    }
}

fn read_row(key: &str, row: &[u8]) -> Result<Found, Refusal> {
    let value: Value = serde_json::from_slice(row).map_err(|error| corrupt(TABLE, key, &error))?;
    let pointer = Pointer::deserialize(&value).map_err(|error| corrupt(TABLE, key, &error))?;
    Ok(Found { pointer, value })
}

/// What a failed start is called in the catalogue; the session itself tells the rules' own code.
fn failure_code(code: &str) -> Code {
    match code {
        "no_confirmation" => Code::StartTimeout,
        "plug_not_connected" => Code::NotPluggedIn,
        "charger_offline" => Code::ChargerOffline,
        "connector_occupied" => Code::ConnectorOccupied,
        code if session::Failure::FUNDS.contains(&code) => Code::StartFunds,
        _ => Code::StartRefused,
    }
}

fn wire_status(status: session::Status) -> SessionStatus {
    match status {
        session::Status::Starting => SessionStatus::Starting,
        session::Status::Charging => SessionStatus::Charging,
        session::Status::StopPending => SessionStatus::StopPending,
        session::Status::Ended => SessionStatus::Ended,
        session::Status::Failed => SessionStatus::Failed,
        session::Status::Abnormal => SessionStatus::Abnormal,
    }
}
