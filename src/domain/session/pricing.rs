//! What a session costs, from its own readings and the tariff that its user was shown (MO-2, SE-8, SE-11, SE-12). Owns the way
//! from a session to its bill, and the rule by which it stops before the amount set aside is exceeded; never the money.
//!
//! The rule (SE-11): at each reading, the session is priced as if the present power went on until the next reading is due and
//! a stop has acted (`session.sample_interval` + `order.stop_takes`). If that exceeds what is set aside, it is stopped now.
//! If `order.warn_before` more would exceed it, the user is told, once for each amount. The present power is the higher of the
//! one last told and the mean between the last two registers.

use super::state::{Flag, Session, StopCause};
use super::{Event, SessionStep, stopping};
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::domain::order::{self, Charge, Doubt, Kind, notices};
use crate::domain::pricing::{self, Bill, PricingError, Register, Usage};
use crate::domain::tariff::Tariff;
use crate::ids::SiteId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What a session's user was shown when it was asked for, or began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// The tariff: all of it, so that nothing later changes the bill.
    pub tariff: Arc<Tariff>,
    /// The user has an account with us.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub account: bool,
    /// At which site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
}

impl Session {
    fn usage(&self, end: Timestamp, end_wh: i64) -> Option<Usage> {
        let start = self.started_at?;
        let readings = self.readings.iter().filter_map(|reading| {
            let wh = reading.energy_wh?;
            Some(Register { at: reading.at, wh, late: false })
        });
        Some(Usage {
            start,
            end: end.max(start),
            start_wh: self.meter_start_wh,
            end_wh,
            readings: readings.collect(),
            parked: Vec::new(),
            gap_after_ms: i64::try_from(self.patience.missed_ms).unwrap_or(i64::MAX),
            estimated: self.flags.has(Flag::Estimated),
        })
    }

    /// Its bill: so far, or for good once it is over. `None`: no tariff was shown, or it never began.
    pub fn bill(&self) -> Option<Result<Bill, PricingError>> {
        let shown = self.shown.as_ref()?;
        let usage = self.usage(self.ended_at.unwrap_or(self.read_at), self.register_wh)?;
        Some(pricing::price(&shown.tariff, &usage))
    }

    /// What it comes to so far (SE-12).
    pub fn so_far(&self) -> Option<Money> {
        self.bill()?.ok().map(|bill| bill.total)
    }

    /// What is set aside for it.
    pub fn set_aside(&self) -> Option<Money> {
        Some(Money::new(self.funds?, self.shown.as_ref()?.tariff.currency))
    }

    /// What it may not exceed, minor units: what is set aside, or what the user has asked for.
    fn ceiling(&self) -> Option<i64> {
        let asked = self.limits.amount.map(i64::from);
        match (self.funds, asked) {
            (Some(funds), Some(asked)) => Some(funds.min(asked)),
            (one, other) => one.or(other),
        }
    }

    /// The power with which it is expected to go on, W.
    fn expected_power(&self) -> i64 {
        let told = self.power_w.map_or(0, i64::from);
        let mut registers = self.readings.iter().rev().filter_map(|reading| Some((reading.at, reading.energy_wh?)));
        let (last, before) = (registers.next(), registers.next());
        let began = self.started_at.map(|at| (at, self.meter_start_wh));
        let mean = match (last, before.or(began)) {
            (Some((at, wh)), Some((from, from_wh))) if at > from => {
                let rise = i128::from(wh.saturating_sub(from_wh)) * 3_600_000 / i128::from(at.0 - from.0);
                i64::try_from(rise).unwrap_or(0)
            }
            _ => 0,
        };
        told.max(mean).max(0)
    }

    /// What it comes to if the present power goes on for so long.
    fn expected(&self, ahead: Duration) -> Option<i64> {
        let shown = self.shown.as_ref()?;
        let seconds = i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
        let more = self.expected_power().saturating_mul(seconds) / 3600;
        let usage = self.usage(self.read_at + ahead, self.register_wh.saturating_add(more))?;
        pricing::price(&shown.tariff, &usage).ok().map(|bill| bill.total.minor)
    }
}

/// Its order begins.
pub(super) fn placed(step: &mut SessionStep<'_>) {
    let session = &*step.state;
    let (Some(shown), Some(partner), Some(user)) = (&session.shown, &session.partner, &session.user) else { return };
    let freeze = session.limits.amount.map_or(i64::from(step.context.ambient.policy.order.freeze), i64::from);
    let placed = order::Placed {
        kind: Kind::Charging,
        session: step.id,
        linked: None,
        reservation: session.reservation,
        partner: partner.clone(),
        user: user.clone(),
        sealed: session.sealed.clone(),
        site: shown.site.clone(),
        connector: session.connector,
        account: shown.account,
        tariff: shown.tariff.id.clone(),
        version: shown.tariff.version,
        currency: shown.tariff.currency,
        freeze: if shown.account { freeze } else { 0 },
        at: step.context.now,
    };
    step.tell_order(order::Command::Place(Box::new(placed)));
}

/// Nothing could be set aside for a session that runs already: it is stopped.
pub(super) fn unfunded(step: &mut SessionStep<'_>) {
    if step.state.is_running() && step.state.stop.is_none() {
        stopping::stop_for(step, StopCause::AmountLimit, None);
    }
}

/// After a reading: warns, and stops before the amount set aside is exceeded.
pub(super) fn watch(step: &mut SessionStep<'_>) {
    let Some(ceiling) = step.state.ceiling().filter(|_| step.state.stop.is_none()) else { return };
    let policy = &step.context.ambient.policy;
    let ahead = policy.session.sample_interval + policy.order.stop_takes;
    let (stop, warn) = (step.state.expected(ahead), step.state.expected(ahead + policy.order.warn_before));
    if stop.is_some_and(|amount| amount > ceiling) {
        stopping::stop_for(step, StopCause::AmountLimit, None);
    } else if warn.is_some_and(|amount| amount > ceiling) && !step.state.funds_warned {
        step.emit(Event::FundsWarned);
        let text = notices::FUNDS_LOW;
        let data = serde_json::json!({"code": text.code, "session_id": step.id, "user": step.state.user,
            "sealed": step.state.sealed, "amount_so_far": step.state.so_far(), "frozen": step.state.set_aside(),
            "zh": text.zh, "en": text.en});
        step.tell_with("user.notice", data);
    }
}

/// It is over, or what came late changes its bill: its order learns what it costs and what is odd about it (SE-14).
/// `may_stay`: the charger has just told the end, so its vehicle may still be there (SE-13).
pub(super) fn ended(step: &mut SessionStep<'_>, may_stay: bool) {
    let Some(shown) = step.state.shown.clone() else { return };
    let bill = step.state.bill().and_then(Result::ok).map(Box::new);
    let charge = Charge { bill, doubts: doubts(&step.state), evidence: evidence(&step.state).into() };
    // First: the capture keeps money for staying.
    if may_stay && shown.tariff.occupancy.is_some() && step.state.status == Some(super::Status::Ended) {
        step.tell_order(order::Command::Stays(Box::new((*shown.tariff).clone())));
    }
    step.tell_order(order::Command::Charged(charge));
}

fn doubts(session: &Session) -> Vec<Doubt> {
    let flags = session.flags;
    let found = [
        (session.meter_start_wh < 0, Doubt::NegativeReading),
        (flags.has(Flag::MeterBackwards), Doubt::MeterBackwards),
        (flags.has(Flag::EnergyImplausible) && session.meter_start_wh >= 0, Doubt::ImpossiblePower),
        (flags.has(Flag::EndBeforeStart), Doubt::EndBeforeStart),
    ];
    found.into_iter().filter(|(on, _)| *on).map(|(_, doubt)| doubt).collect()
}

/// What a person needs to judge it; the session has all readings.
fn evidence(session: &Session) -> String {
    let told: Vec<_> = session.readings.iter().rev().take(8).rev().map(|r| (r.at.to_rfc3339(), r.energy_wh)).collect();
    serde_json::json!({"meter_start_wh": session.meter_start_wh, "meter_stop_wh": session.meter_stop_wh,
        "register_wh": session.register_wh, "energy_wh": session.energy_wh(), "flags": session.flags.list(),
        "started_at": session.started_at.map(Timestamp::to_rfc3339), "ended_at": session.ended_at.map(Timestamp::to_rfc3339),
        "last_readings": told})
    .to_string()
}
