//! BootNotification: the gate (CH-3), the intervals (CH-5), the configuration at the first boot (SE-16).

use super::state::{BootPolicy, TEXT_MAX};
use super::{BootFact, ChargerStep, Event, configuration, holds, local_list, queue, spread, status};
use crate::domain::charging::case::clip;
use crate::domain::charging::{Rejection, Reply};

/// Answers a boot by the policy of the registration.
pub(super) fn booted(step: &mut ChargerStep<'_>, fact: BootFact) -> Result<Reply, Rejection> {
    let Some(policy) = step.state.registration.as_ref().map(|registration| registration.boot) else {
        return Err(Rejection::ChargerUnknown);
    };
    let fact = bounded(fact);
    let now = step.context.now;
    let limits = step.context.ambient.policy.charger.clone();
    let known = step.state.boot.as_ref().is_some_and(|boot| boot.status == policy && boot.fact == fact);
    // A charger that may not work yet boots every minute for ever: only the first is worth a record.
    if !(known && policy != BootPolicy::Accepted) {
        step.emit(Event::Booted { at: now, status: policy, fact, ready_at: now + limits.answer_lead });
    }
    queue::drop_triggers(step, "BootNotification");
    if policy == BootPolicy::Accepted {
        configuration::booted(step);
        status::ask_again(step);
        local_list::ask_again(step);
        holds::tell_again(step, true);
    }
    let interval = match policy {
        BootPolicy::Accepted => limits.heartbeat,
        BootPolicy::Pending | BootPolicy::Rejected => limits.boot_retry,
    };
    let interval = spread::interval(interval, limits.interval_spread_percent, step.context.fraction());
    Ok(Reply::Boot { status: policy, interval, now })
}

fn bounded(fact: BootFact) -> BootFact {
    let cut = |text: Option<Box<str>>| text.map(|text| clip(&text, TEXT_MAX));
    BootFact {
        vendor: clip(&fact.vendor, TEXT_MAX),
        model: clip(&fact.model, TEXT_MAX),
        serial: cut(fact.serial),
        firmware: cut(fact.firmware),
        meter: cut(fact.meter),
        modem: cut(fact.modem),
    }
}
