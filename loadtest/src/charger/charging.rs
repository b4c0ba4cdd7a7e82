//! The course of a charging at one connector: car, start, samples, mishaps, end.
//!
//! Owns the transitions of a connector. Never touches the wire but through the queue.

use super::behaviour::Behaviour;
use super::device::{CallKind, Device};
use super::payload::{self, Sample};
use super::people::AtCharger;
use super::physics::Vehicle;
use super::state::{Connector, Pending, Running};
use crate::history::{ChargerRecord, FactKind};
use crate::time::millis;
use rand::RngExt;
use std::time::Duration;

/// Samples kept while offline; a charger's flash is finite, and samples are the part that may be thinned out.
const SAMPLES_MAX: usize = 1_000;
/// How long a simulated fault lasts.
const FAULT_MS: i64 = 10_000;
/// ConnectionTimeOut until the server changes it.
const CONNECTION_TIMEOUT_S: i64 = 30;

impl Device {
    pub(super) fn script(&self, connector: usize) -> Behaviour {
        self.spec.scripts.get(connector).copied().unwrap_or_default()
    }

    /// Whether a start is possible there.
    pub(super) fn is_free(&self, connector: usize) -> bool {
        self.state.connectors.get(connector).is_some_and(|c| {
            c.running.is_none() && c.pending.is_none() && !c.inoperative && !c.inoperative_next && c.fault.is_none()
        }) && !self.link.quiescing
    }

    /// Someone does something at the charger.
    pub fn at_charger(&mut self, what: AtCharger, now_ms: i64) {
        match what {
            AtCharger::Card { connector, id_tag } => {
                self.card(usize::from(connector).saturating_sub(1), id_tag, now_ms)
            }
            AtCharger::Unplug { connector } => self.unplug(usize::from(connector).saturating_sub(1), now_ms),
            AtCharger::StopButton { connector } => {
                self.stop(usize::from(connector).saturating_sub(1), "Local", now_ms);
            }
            AtCharger::Drop { offline_ms } => {
                self.link.offline_until_ms = now_ms + i64::from(offline_ms);
                self.link.cut_at_ms = Some(now_ms);
            }
            AtCharger::Firmware { offline_ms } => self.update_firmware(offline_ms, now_ms),
            AtCharger::Quiesce => {
                self.link.quiescing = true;
                for connector in 0..self.state.connectors.len() {
                    if let Some(c) = self.state.connectors.get_mut(connector) {
                        c.pending = None;
                    }
                    self.stop(connector, "Local", now_ms);
                }
            }
        }
        self.tick(now_ms);
    }

    fn card(&mut self, connector: usize, id_tag: Box<str>, now_ms: i64) {
        let runs = self.state.connectors.get(connector).and_then(|c| c.running.as_ref());
        if runs.is_some_and(|r| *r.id_tag == *id_tag) {
            return self.stop(connector, "Local", now_ms);
        }
        if !self.is_free(connector) {
            return;
        }
        if self.link.online && self.state.booted {
            self.trigger(CallKind::Authorize { connector, id_tag });
        } else {
            self.expect_car(connector, &id_tag, Duration::ZERO, now_ms); // AllowOfflineTxForUnknownId
        }
    }

    /// A start is authorised: it begins once a car is there, not before `delay`.
    pub(super) fn expect_car(&mut self, connector: usize, id_tag: &str, delay: Duration, now_ms: i64) {
        if !self.is_free(connector) {
            return;
        }
        let timeout_s = self.configured("ConnectionTimeOut").parse().unwrap_or(CONNECTION_TIMEOUT_S);
        let plugs = self.profile.driver.plugs_in_after.map(|d| now_ms + millis(d));
        if let Some(c) = self.state.connectors.get_mut(connector) {
            let start_ms = now_ms + millis(delay);
            let plug_ms = plugs.filter(|_| c.power.vehicle.is_none());
            c.leave_ms = None; // the car that stood there charges again
            let give_up_ms = start_ms + timeout_s * 1_000;
            c.pending = Some(Pending { id_tag: id_tag.to_owned(), plug_ms, start_ms, give_up_ms });
            self.dirty = true;
        }
        self.tick_connector(connector, now_ms);
    }

    fn plug_in(&mut self, connector: usize) {
        let (least, most) = self.profile.driver.wants_wh;
        let wants = f64::from(self.rng.random_range(least..=most.max(least)));
        let max_power_w = self.spec.max_power_w * self.rng.random_range(0.7..1.2);
        if let Some(c) = self.state.connectors.get_mut(connector) {
            c.power.vehicle = Some(Vehicle::wanting(wants, max_power_w));
            c.leave_ms = None;
        }
    }

    pub(super) fn unplug(&mut self, connector: usize, now_ms: i64) {
        self.stop(connector, "EVDisconnected", now_ms);
        if let Some(c) = self.state.connectors.get_mut(connector) {
            c.power.vehicle = None;
            c.leave_ms = None;
            self.dirty = true;
        }
    }

    /// Brings one connector up to the moment and does what is due there.
    pub(super) fn tick_connector(&mut self, connector: usize, now_ms: i64) {
        let (scale, max_w) = (self.profile.time_scale, self.spec.max_power_w);
        let Some(c) = self.state.connectors.get_mut(connector) else { return };
        c.power.advance(now_ms, scale, max_w);
        if c.fault_until_ms.is_some_and(|at| at <= now_ms) {
            (c.fault, c.fault_until_ms) = (None, None);
        }
        let leaves = c.leave_ms.is_some_and(|at| at <= now_ms);
        let plugs = c.pending.as_ref().is_some_and(|p| p.plug_ms.is_some_and(|at| at <= now_ms));
        if leaves {
            self.unplug(connector, now_ms);
        }
        if plugs {
            self.plug_in(connector);
        }
        self.tick_pending(connector, now_ms);
        self.tick_running(connector, now_ms);
    }

    fn tick_pending(&mut self, connector: usize, now_ms: i64) {
        let Some(c) = self.state.connectors.get_mut(connector) else { return };
        let Some(pending) = &mut c.pending else { return };
        if c.power.vehicle.is_some() {
            pending.plug_ms = None;
            if pending.start_ms <= now_ms
                && let Some(pending) = c.pending.take()
            {
                self.start(connector, pending.id_tag, now_ms);
            }
        } else if pending.give_up_ms <= now_ms {
            c.pending = None;
        }
    }

    fn start(&mut self, connector: usize, id_tag: String, now_ms: i64) {
        let mishap = match self.script(connector) {
            Behaviour::DropsInCharge { after, .. }
            | Behaviour::FaultsInCharge { after }
            | Behaviour::UnplugsInCharge { after } => Some(now_ms + millis(after)),
            Behaviour::Normal
            | Behaviour::RefusesStart
            | Behaviour::SilentOnStart
            | Behaviour::NeverStarts
            | Behaviour::StartsLate(_)
            | Behaviour::LosesAnswer
            | Behaviour::RepeatsMessages
            | Behaviour::RubbishReadings => None,
        };
        let next_sample_ms = now_ms + self.sample_ms();
        self.state.last_local += 1;
        let local = self.state.last_local;
        let Some(c) = self.state.connectors.get_mut(connector) else { return };
        let meter_wh = c.power.reading_wh();
        c.power.flowing = c.power.vehicle.is_some_and(|v| !v.is_full());
        c.running = Some(Running {
            local,
            id_tag: id_tag.clone(),
            started_ms: now_ms,
            meter_start_wh: meter_wh,
            next_sample_ms,
            mishap_ms: mishap,
        });
        self.fact(connector, local, FactKind::Start, meter_wh, Some(id_tag.clone()), None);
        self.queue(local, connector, FactKind::Start, payload::start(connector + 1, &id_tag, meter_wh, now_ms));
    }

    fn fact(
        &mut self,
        connector: usize,
        local: u64,
        kind: FactKind,
        meter_wh: i64,
        id_tag: Option<String>,
        reason: Option<String>,
    ) {
        let charger = self.spec.identity.clone();
        let connector = u16::try_from(connector + 1).unwrap_or(u16::MAX);
        self.record(ChargerRecord::Fact { charger, connector, local, kind, meter_wh, id_tag, reason });
    }

    /// From one sample to the next, ms.
    fn sample_ms(&self) -> i64 {
        match self.configured("MeterValueSampleInterval").parse::<i64>() {
            Ok(s) if s > 0 => s * 1_000,
            Ok(_) | Err(_) => millis(self.profile.meter_interval).max(100),
        }
    }

    fn tick_running(&mut self, connector: usize, now_ms: i64) {
        let leaves_after_full = millis(self.profile.driver.leaves_after_full);
        let Some(c) = self.state.connectors.get_mut(connector) else { return };
        let Some(running) = &mut c.running else { return };
        if c.power.flowing && c.power.vehicle.is_some_and(|v| v.is_full()) {
            c.power.flowing = false; // SuspendedEV, until the driver comes
            c.leave_ms = Some(now_ms + leaves_after_full);
            self.dirty = true;
        }
        let sample_due = running.next_sample_ms <= now_ms;
        let mishap_due = running.mishap_ms.take_if(|at| *at <= now_ms).is_some();
        if sample_due {
            self.sample(connector, now_ms);
        }
        if mishap_due {
            self.mishap(connector, now_ms);
        }
    }

    fn read(&self, c: &Connector, at_ms: i64) -> Sample {
        #[allow(clippy::cast_possible_truncation, reason = "0 to 100")]
        let soc_percent = c.power.vehicle.map(|v| (v.soc * 100.0).round() as i64);
        let power_w = c.power.power_w(self.spec.max_power_w);
        Sample { register_wh: c.power.reading_wh(), power_w, soc_percent, at_ms }
    }

    pub(super) fn sample(&mut self, connector: usize, now_ms: i64) {
        let interval = self.sample_ms();
        let Some(c) = self.state.connectors.get(connector) else { return };
        let sample = self.read(c, now_ms);
        let Some(running) = self.state.connectors.get_mut(connector).and_then(|c| c.running.as_mut()) else { return };
        let local = running.local;
        running.next_sample_ms = now_ms + interval;
        if self.state.queue.len() >= SAMPLES_MAX {
            return;
        }
        if self.script(connector) == Behaviour::RubbishReadings && self.rng.random_bool(0.5) {
            let which = self.rng.random();
            self.queue(local, connector, FactKind::Meter, payload::rubbish(connector + 1, sample, which));
        }
        if self.profile.record_meters {
            self.fact(connector, local, FactKind::Meter, sample.register_wh, None, None);
        }
        self.queue(local, connector, FactKind::Meter, payload::meter(connector + 1, sample));
    }

    fn mishap(&mut self, connector: usize, now_ms: i64) {
        match self.script(connector) {
            Behaviour::DropsInCharge { offline, .. } => {
                self.link.offline_until_ms = now_ms + millis(offline);
                if self.link.online {
                    self.link.cut_at_ms = Some(now_ms);
                }
            }
            Behaviour::FaultsInCharge { .. } => {
                if let Some(c) = self.state.connectors.get_mut(connector) {
                    c.fault = Some("GroundFailure".to_owned());
                    c.fault_until_ms = Some(now_ms + FAULT_MS);
                }
                self.stop(connector, "Other", now_ms);
            }
            Behaviour::UnplugsInCharge { .. } => self.unplug(connector, now_ms),
            Behaviour::Normal
            | Behaviour::RefusesStart
            | Behaviour::SilentOnStart
            | Behaviour::NeverStarts
            | Behaviour::StartsLate(_)
            | Behaviour::LosesAnswer
            | Behaviour::RepeatsMessages
            | Behaviour::RubbishReadings => {}
        }
    }

    /// Ends the transaction that runs there, if one does.
    pub(super) fn stop(&mut self, connector: usize, reason: &str, now_ms: i64) {
        let (scale, max_w) = (self.profile.time_scale, self.spec.max_power_w);
        let leave_ms = now_ms + millis(self.profile.driver.leaves_after_stop);
        let Some(c) = self.state.connectors.get_mut(connector) else { return };
        c.power.advance(now_ms, scale, max_w);
        let Some(running) = c.running.take() else { return };
        c.power.flowing = false;
        c.leave_ms = c.power.vehicle.is_some().then_some(leave_ms);
        if std::mem::take(&mut c.inoperative_next) {
            c.inoperative = true;
        }
        let Some(c) = self.state.connectors.get(connector) else { return };
        let end = self.read(c, now_ms);
        let id_tag = (reason == "Local").then_some(running.id_tag.as_str());
        let begin = (running.started_ms, running.meter_start_wh);
        let body = payload::stop(reason, id_tag, begin, end);
        self.fact(connector, running.local, FactKind::Stop, end.register_wh, None, Some(reason.to_owned()));
        self.queue(running.local, connector, FactKind::Stop, body);
    }

    /// When the connector has something to do next.
    pub(super) fn connector_due(&self, _index: usize, c: &Connector, now_ms: i64) -> Option<i64> {
        let pending = c.pending.as_ref().map(|p| match (p.plug_ms, c.power.vehicle) {
            (Some(plug), None) => plug,
            (None, None) => p.give_up_ms,
            (_, Some(_)) => p.start_ms,
        });
        let running = c.running.as_ref().map(|r| r.next_sample_ms.min(r.mishap_ms.unwrap_or(i64::MAX)));
        let full = c.power.full_in_ms(self.profile.time_scale, self.spec.max_power_w).map(|ms| now_ms + ms);
        [pending, running, full, c.leave_ms, c.fault_until_ms].into_iter().flatten().min()
    }
}
