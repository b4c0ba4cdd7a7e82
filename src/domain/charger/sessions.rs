//! A partner's sessions as the charger knows them: the check before a start, the connector they hold, their commands
//! (SE-2, SE-4, SE-7).

use super::calls::Outcome;
use super::facts::UserRef;
use super::state::{BootPolicy, Charger, FAILED_MAX, Live};
use super::{Call, ChargerStep, Event, Purpose, Status, holds, queue, remote_tag, subject, to_session};
use crate::clock::Timestamp;
use crate::domain::charging::{Case, Level, Rejection, Reply};
use crate::domain::session::{self, Failure, Shown};
use crate::ids::{ConnectorId, PartnerId, RequestId, ReservationId, SessionId};
use std::time::Duration;

/// What a partner asks for.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Fresh.
    pub session: SessionId,
    /// The partner's name of this request.
    pub request: RequestId,
    /// Who.
    pub partner: PartnerId,
    /// Where.
    pub connector: ConnectorId,
    /// For whom: a pseudonym.
    pub user: UserRef,
    /// The user's personal data, encrypted under a key of the user's own; opaque here (OP-9).
    pub sealed: Option<Box<str>>,
    /// When to stop.
    pub limits: session::Limits,
    /// Less time than ours to begin, if asked for (SE-4).
    pub deadline: Option<Duration>,
    /// The reservation that it ends (RS-3).
    pub reservation: Option<ReservationId>,
}

/// Who wants a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// Anybody, to charge.
    Anybody,
    /// The user for whom it is held, to charge.
    Holder,
    /// Somebody, to hold it: nothing may be there.
    Reserver,
}

/// Checks the true state again, takes the connector, queues the command (SE-1, SE-2).
pub(super) fn start(step: &mut ChargerStep<'_>, mut opening: Opening) -> Result<Reply, Rejection> {
    if step.state.live_session(opening.session).is_some() {
        return Err(Rejection::SessionExists);
    }
    let hold = holds::arrival(step, &opening)?;
    let taker = if hold.is_some() { Taker::Holder } else { Taker::Anybody };
    check(&step.state, opening.connector, step.context.ambient.online, taker)?;
    if !queue::has_room(step) {
        return Err(Rejection::CommandQueueFull);
    }
    let (session, connector, now) = (opening.session, opening.connector, step.context.now);
    opening.reservation = hold.as_ref().map(|hold| hold.reservation);
    let id_tag = match &hold {
        Some(hold) => hold.id_tag.clone(),
        None => remote_tag::of(session, step.context.entropy),
    };
    let shown = shown(step, &opening.partner, now);
    let unfunded = keeps_account(step, &opening.partner);
    if unfunded && shown.is_none() {
        return Err(Rejection::TariffMissing);
    }
    step.emit(Event::Claimed(Live {
        session,
        connector,
        id_tag: Some(id_tag.clone()),
        transaction: None,
        accepted: false,
        ghost: false,
        unfunded,
    }));
    if !unfunded {
        let call = Call::RemoteStart { connector: Some(connector), id_tag, profile: None };
        queue::push(step, call, Purpose::Start(session), now);
    }
    if let Some(hold) = hold {
        holds::arriving(step, &hold, session);
    }
    to_session(step, session, session::Command::Place(Box::new(opening), shown));
    Ok(Reply::SessionStarting(session))
}

/// Whether a partner's users have accounts with us.
fn keeps_account(step: &ChargerStep<'_>, partner: &PartnerId) -> bool {
    step.context.ambient.account_partners.contains(partner)
}

/// What a user of a partner was shown who begins here at `at`; `None`: no tariff was in force.
pub(super) fn shown(step: &ChargerStep<'_>, partner: &PartnerId, at: Timestamp) -> Option<Shown> {
    let site = &step.state.registration.as_ref()?.site;
    let tariff = step.context.ambient.tariffs.as_ref()?.tariff_at(site, at)?;
    Some(Shown { tariff, account: keeps_account(step, partner), site: Some(site.clone()) })
}

/// Its money is set aside: the charger is told to start. Where it went offline meanwhile, the session fails (SE-3).
pub(super) fn funds_ready(step: &mut ChargerStep<'_>, session: SessionId) {
    let Some(live) = step.state.live_session(session).filter(|live| live.unfunded).cloned() else { return };
    let Some(id_tag) = live.id_tag.filter(|_| live.transaction.is_none()) else { return };
    if !step.context.ambient.online || step.state.generation().is_none() {
        to_session(step, session, session::Command::StartRefused(Failure::offline()));
        return;
    }
    step.emit(Event::FundsReady { session });
    let call = Call::RemoteStart { connector: Some(live.connector), id_tag, profile: None };
    queue::push(step, call, Purpose::Start(session), step.context.now);
}

/// The true state of a connector, now (SE-2).
pub(super) fn check(charger: &Charger, connector: ConnectorId, online: bool, taker: Taker) -> Result<(), Rejection> {
    let Some(registration) = &charger.registration else { return Err(Rejection::ChargerUnknown) };
    if connector.0 == 0 || charger.connector(connector).is_none() {
        return Err(Rejection::ConnectorUnknown);
    }
    if charger.maintenance.is_some() {
        return Err(Rejection::ChargerMaintenance);
    }
    if registration.boot != BootPolicy::Accepted {
        return Err(Rejection::ChargerNotAccepted);
    }
    if !online || charger.generation().is_none() {
        return Err(Rejection::ChargerOffline);
    }
    if !charger.is_accepted() {
        return Err(Rejection::ChargerNotAccepted);
    }
    if charger.live_on(connector).is_some() {
        return Err(Rejection::ConnectorOccupied);
    }
    if charger.is_resetting() {
        return Err(Rejection::ChargerUnavailable);
    }
    match charger.whole.status {
        Status::Faulted => return Err(Rejection::ChargerFaulted),
        Status::Unavailable => return Err(Rejection::ChargerUnavailable),
        Status::Available
        | Status::Preparing
        | Status::Charging
        | Status::SuspendedEv
        | Status::SuspendedEvse
        | Status::Finishing
        | Status::Reserved
        | Status::Unknown => {}
    }
    match charger.offered_status(connector) {
        Status::Available => Ok(()),
        Status::Preparing | Status::Reserved if taker == Taker::Holder => Ok(()),
        Status::Preparing if taker == Taker::Anybody => Ok(()),
        Status::Preparing | Status::Charging | Status::SuspendedEv | Status::SuspendedEvse | Status::Finishing => {
            Err(Rejection::ConnectorOccupied)
        }
        Status::Reserved => Err(Rejection::ConnectorReserved),
        Status::Unavailable => Err(Rejection::ConnectorUnavailable),
        Status::Faulted => Err(Rejection::ConnectorFaulted),
        Status::Unknown => Err(Rejection::ConnectorStatusUnknown),
    }
}

/// A session wants its transaction stopped. Where the charger is gone, nothing is queued: the session says so again
/// when it is back (SE-7).
pub(super) fn stop(step: &mut ChargerStep<'_>, session: SessionId) {
    let Some(live) = step.state.live_session(session) else { return };
    let Some(transaction) = live.transaction else { return };
    let purpose = Purpose::Stop(session);
    let waits = step.state.queue.iter().any(|pending| pending.purpose == purpose);
    if step.state.generation().is_some() && !waits {
        // Often the answer to the charger's own message is still on its way.
        let not_before = step.context.now + step.context.ambient.policy.charger.answer_lead;
        queue::push(step, Call::RemoteStop { transaction }, purpose, not_before);
    }
}

/// A session is not wanted any more before it began. A start that was never sent is certain not to happen.
pub(super) fn cancel(step: &mut ChargerStep<'_>, session: SessionId) {
    let purpose = Purpose::Start(session);
    let unfunded = step.state.live_session(session).is_some_and(|live| live.unfunded && live.transaction.is_none());
    let waits = step.state.queue.iter().any(|pending| pending.purpose == purpose && pending.sent.is_none());
    let unsent = unfunded || waits;
    if unsent {
        queue::drop_waiting(step, &purpose);
        to_session(step, session, session::Command::StartRefused(Failure::cancelled()));
    }
}

/// A session is over without the charger.
pub(super) fn release(step: &mut ChargerStep<'_>, session: SessionId, remember: bool, start_failed: bool) {
    queue::drop_waiting(step, &Purpose::Start(session));
    queue::drop_waiting(step, &Purpose::Stop(session));
    if step.state.live_session(session).is_none() {
        return;
    }
    if remember {
        make_room(step);
    }
    step.emit(Event::Released { session, remember, start_failed });
    holds::arrival_failed(step, session);
    let limit = step.context.ambient.policy.session.start_failures_alert;
    let failures = step.state.start_failures;
    if start_failed && failures >= limit && failures.is_multiple_of(limit.max(1)) {
        let text = format!("{failures} starts failed in a row");
        step.raise(Case::alert(Level::Warning, "starts_fail", subject(step), text));
    }
}

/// One more failed start is to be remembered: the oldest, which can then no longer be told apart, is not waited for.
pub(super) fn make_room(step: &mut ChargerStep<'_>) {
    let full = step.state.failed.len() >= FAILED_MAX;
    let oldest = step.state.failed.first().filter(|_| full).map(|failed| failed.session);
    oldest.into_iter().for_each(|oldest| to_session(step, oldest, session::Command::Forget));
}

/// A failed session leaves memory: a start with its tag is nobody's from now on.
pub(super) fn forget_start(step: &mut ChargerStep<'_>, session: SessionId) {
    if step.state.failed.iter().any(|failed| failed.session == session) {
        step.emit(Event::StartForgotten { session });
    }
}

/// A command is over: its session is told.
pub(super) fn command_over(step: &mut ChargerStep<'_>, purpose: &Purpose, outcome: &Outcome) {
    match purpose {
        Purpose::Start(session) => start_over(step, *session, outcome),
        Purpose::Stop(session) => to_session(step, *session, session::Command::StopAnswered(outcome.clone())),
        Purpose::Hold(reservation) => holds::command_over(step, *reservation, outcome),
        Purpose::Operator(_) | Purpose::System => {}
    }
}

fn start_over(step: &mut ChargerStep<'_>, session: SessionId, outcome: &Outcome) {
    let Some(live) = step.state.live_session(session).filter(|live| live.transaction.is_none()) else { return };
    let connector = live.connector;
    let failure = match outcome {
        Outcome::Answered { accepted: true, .. } => {
            step.emit(Event::StartAccepted { session });
            return;
        }
        Outcome::Answered { accepted: false, .. } => {
            let status = step.state.connector(connector).map_or(Status::Unknown, |known| known.status);
            match status {
                Status::Available => Failure::plug_not_connected(),
                Status::Preparing
                | Status::Charging
                | Status::SuspendedEv
                | Status::SuspendedEvse
                | Status::Finishing
                | Status::Reserved
                | Status::Unavailable
                | Status::Faulted
                | Status::Unknown => Failure::refused(status),
            }
        }
        Outcome::CallError { code, description } => Failure::call_error(code, description),
        Outcome::Offline => Failure::offline(),
        // Its delivery is uncertain: the transaction or the deadline decides (SE-4).
        Outcome::TimedOut | Outcome::LinkLost | Outcome::Moot => return,
    };
    to_session(step, session, session::Command::StartRefused(failure));
}
