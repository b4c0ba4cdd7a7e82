//! The way of one request in the log (OP-7): from the partner's call over the charger and back, each durable step is one
//! line that names the session and the request. Owns the wording of those lines; nothing is decided here, and nothing
//! personal is in them.
//!
//! The line of the partner's call has the `request_id` too, and those of its webhooks are in `actors::webhook`.

use crate::actors::engine::Partition;
use crate::domain::charger::{Call, Outcome, Purpose};
use crate::domain::charging::{ChargingFamily, Event, Key, State};
use crate::domain::reservation;
use crate::domain::session;
use crate::ids::{CommandId, ReservationId, SessionId};

/// A session's names, for the lines.
#[derive(Default)]
struct Names {
    session: String,
    partner: String,
    request: String,
}

fn names(partition: &Partition<ChargingFamily>, id: SessionId) -> Names {
    let state = partition.state(&Key::Session(id));
    let known = state.as_deref().and_then(State::session);
    let text = |name: Option<&dyn std::fmt::Display>| name.map(ToString::to_string).unwrap_or_default();
    Names {
        session: id.to_string(),
        partner: text(known.and_then(|session| session.partner.as_ref()).map(|id| id as _)),
        request: text(known.and_then(|session| session.request.as_ref()).map(|id| id as _)),
    }
}

/// For which session a command is; `None` for those of operators and of the rules themselves.
fn of_session(partition: &Partition<ChargingFamily>, id: CommandId) -> Option<SessionId> {
    let state = partition.state(&Key::Charger)?;
    match state.charger()?.purpose_of(id)? {
        Purpose::Start(session) | Purpose::Stop(session) => Some(*session),
        Purpose::Hold(_) | Purpose::Operator(_) | Purpose::System => None,
    }
}

/// A CALL goes to the charger.
pub(super) fn sent(partition: &Partition<ChargingFamily>, id: CommandId, call: &Call) {
    let (charger, action) = (partition.id(), call.action());
    match of_session(partition, id).map(|session| names(partition, session)) {
        Some(Names { session, partner, request: request_id }) => {
            tracing::info!(charger, command = %id, action, session, partner, request_id, "call sent to the charger");
        }
        None => tracing::debug!(charger, command = %id, action, "call sent to the charger"),
    }
}

/// A CALL to the charger is over. To be told before the rules are: afterwards nobody remembers what it was for.
pub(super) fn answered(partition: &Partition<ChargingFamily>, id: CommandId, outcome: &Outcome) {
    let (charger, outcome) = (partition.id(), outcome.name());
    match of_session(partition, id).map(|session| names(partition, session)) {
        Some(Names { session, partner, request: request_id }) => {
            tracing::info!(charger, command = %id, outcome, session, partner, request_id, "the charger has answered");
        }
        None => tracing::debug!(charger, command = %id, outcome, "the charger has answered"),
    }
}

/// What an event is called in the log; `None` for what comes with every reading or is told elsewhere.
fn title(event: &session::Event) -> Option<&'static str> {
    use session::Event as Is;
    match event {
        Is::Placed(_) => Some("session placed"),
        Is::Began(_) => Some("session began"),
        Is::Failed { .. } => Some("session failed"),
        Is::StopRequested { .. } => Some("session is to stop"),
        Is::StopPended => Some("session does not stop"),
        Is::BecameAbnormal => Some("session is abnormal"),
        Is::Ended(_) => Some("session ended"),
        Is::Corrected(_) => Some("session corrected by the charger"),
        Is::Read { .. }
        | Is::ReadLate { .. }
        | Is::SignedData { .. }
        | Is::Flagged { .. }
        | Is::StatusSeen { .. }
        | Is::SamplesMissed
        | Is::StopTried { .. }
        | Is::StopDeferred { .. }
        | Is::StopResultTold
        | Is::SettleDeferred { .. }
        | Is::DeadlinesMoved { .. }
        | Is::Told { .. }
        | Is::Funded { .. }
        | Is::FundsWarned
        | Is::Forgotten
        | Is::Raised(_) => None,
    }
}

/// A step of a reservation is durable.
fn reserved(partition: &Partition<ChargingFamily>, id: ReservationId, events: &[Event]) {
    for event in events {
        let Event::Reservation(event) = event else { continue };
        let title = match event {
            reservation::Event::Placed(_) => "reservation placed",
            reservation::Event::Confirmed { .. } => "reservation stands",
            reservation::Event::Over(_) => "reservation is over",
            reservation::Event::Arriving { .. }
            | reservation::Event::AccountAsked { .. }
            | reservation::Event::AccountAnswered { .. }
            | reservation::Event::WasDown { .. }
            | reservation::Event::Told { .. }
            | reservation::Event::Raised(_) => continue,
        };
        let state = partition.state(&Key::Reservation(id));
        let known = state.as_deref().and_then(State::reservation);
        let partner = known.and_then(|known| known.partner.as_ref()).map(ToString::to_string);
        let request_id = known.and_then(|known| known.request.as_ref()).map(ToString::to_string);
        let cause = known.and_then(|known| known.cause).map(|cause| format!("{cause:?}"));
        let charger = partition.id();
        tracing::info!(charger, reservation = %id, partner, request_id, cause, "{title}");
    }
}

/// A step of `key` is durable.
pub(super) fn recorded(partition: &Partition<ChargingFamily>, key: &Key, events: &[Event]) {
    let id = match key {
        Key::Session(id) => id,
        Key::Reservation(id) => return reserved(partition, *id, events),
        Key::Charger | Key::Order(_) => return,
    };
    for event in events {
        let Event::Session(event) = event else { continue };
        let Some(title) = title(event) else { continue };
        let Names { session, partner, request: request_id } = names(partition, *id);
        // A stop has a name of its own.
        let stop_request_id = match event {
            session::Event::StopRequested { request, .. } => request.as_ref().map(ToString::to_string),
            _ => None,
        };
        let charger = partition.id();
        tracing::info!(charger, session, partner, request_id, stop_request_id, "{title}");
    }
}
