//! BootNotification: the gate (CH-3), the intervals (CH-5), the configuration at the first boot (SE-16).

use super::facts::print;
use super::state::{BootPolicy, TEXT_MAX};
use super::{BootFact, Call, ChargerStep, Event, Purpose, queue, spread, status};
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
        configure(step);
        status::ask_again(step);
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

/// The keys that our rules rely on.
fn wanted(step: &ChargerStep<'_>) -> [(&'static str, String); 3] {
    let policy = &step.context.ambient.policy;
    [
        ("ConnectionTimeOut", policy.connection_timeout().as_secs().to_string()),
        ("StopTransactionOnInvalidId", "true".to_owned()),
        ("MeterValueSampleInterval", policy.session.sample_interval.as_secs().to_string()),
    ]
}

fn configure(step: &mut ChargerStep<'_>) {
    if !step.context.ambient.policy.charger.configure {
        return;
    }
    let wanted = wanted(step);
    let firmware = step.state.boot.as_ref().and_then(|boot| boot.fact.firmware.clone()).unwrap_or_default();
    let parts: Vec<&str> = wanted.iter().flat_map(|(key, value)| [*key, value]).chain([&*firmware]).collect();
    let print = print(&parts);
    if print == step.state.configured {
        return;
    }
    let from =
        step.context.now + spread::wait(step.context.ambient.policy.charger.first_call_spread, step.context.fraction());
    for (key, value) in wanted {
        let call = Call::ChangeConfiguration { key: key.into(), value: value.into() };
        queue::push(step, call, Purpose::System, from);
    }
    step.emit(Event::Configured { print });
}
