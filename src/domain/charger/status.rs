//! Connector statuses: what the charger says of the present, what it says of the past, and what is not known (CH-4,
//! CH-7, CH-8).

use super::state::{BootPolicy, Charger, Link, TEXT_MAX};
use super::{
    Call, ChargerStep, Event, Fault, Purpose, Status, StatusFact, WireTime, faults, queue, spread, subject, to_session,
};
use crate::clock::Timestamp;
use crate::domain::charging::case::clip;
use crate::domain::charging::{Case, Level};
use crate::domain::entity::Notice;
use crate::domain::session;
use crate::ids::ConnectorId;
use std::time::Duration;

/// Two clocks that agree within this are in step: a device time beyond it cannot order messages.
const IN_STEP: Duration = Duration::from_secs(2);

/// A status that is told again renews the time it was learnt, at most this often: some chargers repeat it every minute,
/// and each renewal is a record.
const REFRESH: Duration = Duration::from_secs(300);

/// StatusNotification.
pub(super) fn told(step: &mut ChargerStep<'_>, fact: StatusFact) {
    let now = step.context.now;
    let limits = &step.context.ambient.policy.charger;
    let Some(known) = step.state.connector(fact.connector).cloned() else { return };
    let device_at = fact.at.as_ref().and_then(|at| at.plausible(now, limits));
    let doubted = fact.at.as_ref().filter(|_| device_at.is_none()).cloned();
    let backlog = fact.at.as_ref().is_some_and(|at| at.is_backlog(now, limits));
    // A clock that ran ahead when it was last read proves nothing about order.
    let newest = known.device_at.filter(|newest| *newest <= known.learnt_at + IN_STEP);
    let overtaken = matches!((device_at, newest), (Some(at), Some(newest)) if at < newest);
    if backlog || overtaken {
        return;
    }
    if let Some(at) = doubted {
        doubt_clock(step, &at);
    }
    let fault = faults::explained(step, fact.fault, fact.remark);
    let changed = known.status != fact.status || known.fault != fault;
    if !changed && now.since(known.learnt_at) < REFRESH {
        return;
    }
    let (connector, status) = (fact.connector, fact.status);
    step.emit(Event::StatusChanged { connector, status, fault: fault.clone(), at: now, device_at });
    if !changed {
        return;
    }
    tell(step, connector);
    if let Some(told) = step.state.connector(connector).cloned() {
        faults::happened(step, connector, &known, &told);
    }
    tell_session(step, connector, known.status, status, fault);
}

/// Its clock cannot be believed: said once a boot (CH-11).
pub(super) fn doubt_clock(step: &mut ChargerStep<'_>, at: &WireTime) {
    if step.state.clock_doubted {
        return;
    }
    step.emit(Event::ClockDoubted { raw: clip(&at.raw, TEXT_MAX) });
    let text =
        format!("the charger's clock says {}; our time is used and flagged", clip(&at.raw, TEXT_MAX).escape_debug());
    step.raise(Case::alert(Level::Warning, "clock_implausible", subject(step), text));
}

fn tell_session(
    step: &mut ChargerStep<'_>,
    connector: ConnectorId,
    before: Status,
    status: Status,
    fault: Option<Box<Fault>>,
) {
    let Some(live) = step.state.live_on(connector).cloned() else { return };
    if live.transaction.is_some() {
        to_session(step, live.session, session::Command::StatusSeen { status, fault });
    } else if live.accepted && before == Status::Preparing && status == Status::Available {
        // It waited for the plug and gave up (SE-4).
        to_session(step, live.session, session::Command::StartRefused(session::Failure::plug_not_connected()));
    }
}

/// Tells the partners of this charger's site a connector's status. The charger as a whole is no connector to them.
pub(super) fn tell(step: &mut ChargerStep<'_>, connector: ConnectorId) {
    if connector.0 == 0 {
        return;
    }
    let Some(known) = step.state.connector(connector) else { return };
    let mut data = serde_json::json!({"charger_id": step.context.partition, "connector_id": connector,
        "status": step.state.shown_status(connector), "status_at": known.learnt_at.to_rfc3339()});
    if let Some(members) = data.as_object_mut() {
        members.extend(step.state.fault_at(connector).map(|fault| ("error".to_owned(), fault.view())));
        members.extend(step.state.lock_at(connector).map(|lock| ("lock".to_owned(), lock.view())));
    }
    let order_key = format!("connector/{}/{connector}", step.context.partition);
    let at = step.context.now;
    for partner in step.context.ambient.audience.iter() {
        let (order_key, data) = (order_key.clone(), data.clone());
        let kind = "connector.status".to_owned();
        step.notice(Notice { partner: partner.clone(), kind, order_key, sequence: None, at, data });
    }
}

/// Connectors whose status is known.
pub(super) fn known(charger: &Charger) -> Vec<ConnectorId> {
    let numbers = (1..).map(ConnectorId).zip(&charger.connectors);
    numbers.filter(|(_, connector)| connector.status != Status::Unknown).map(|(id, _)| id).collect()
}

/// Whether a status is unknown that was known before.
pub(super) fn any_to_return(charger: &Charger) -> bool {
    charger.connectors.iter().chain([&charger.whole]).any(|connector| connector.before.is_some())
}

/// Asks the charger for all its statuses, once.
pub(super) fn ask_again(step: &mut ChargerStep<'_>) {
    let accepted = step.state.boot.as_ref().is_some_and(|boot| boot.status == BootPolicy::Accepted);
    let call = Call::Trigger { message: "StatusNotification".into(), connector: None };
    if accepted && !step.state.queue.iter().any(|pending| pending.call == call) {
        let window = step.context.ambient.policy.charger.first_call_spread;
        let from = step.context.now + spread::wait(window, step.context.fraction());
        queue::push(step, call, Purpose::System, from);
    }
}

/// The last known statuses return where the charger told none (CH-4).
pub(super) fn fall_back(step: &mut ChargerStep<'_>) {
    if !matches!(step.state.link, Link::Up { fallback_due: Some(_), .. }) {
        return;
    }
    let returning: Vec<ConnectorId> = (1..)
        .map(ConnectorId)
        .zip(&step.state.connectors)
        .filter(|(_, connector)| connector.before.is_some())
        .map(|(id, _)| id)
        .collect();
    let at: Timestamp = step.context.now;
    step.emit(Event::StatusReturned { at });
    returning.into_iter().for_each(|connector| tell(step, connector));
}
