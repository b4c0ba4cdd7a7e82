//! The electrical side of one connector: a car, its battery and the energy register.
//!
//! Owns energy and power; knows nothing of OCPP. Invariant: the register only rises. Time comes in as an argument.

use serde::{Deserialize, Serialize};

/// From this state of charge on a battery takes less and less power.
const TAPER_FROM: f64 = 0.8;
/// The share of full power that a nearly full battery still takes.
const TAPER_TO: f64 = 0.15;
/// Steps of the integration; more would not change a whole Wh.
const STEPS: u32 = 50;

/// A car at the plug.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Vehicle {
    /// The whole battery, Wh.
    pub capacity_wh: f64,
    /// 0 to 1.
    pub soc: f64,
    /// Where its battery management ends the charge, 0 to 1.
    pub target_soc: f64,
    /// The most that it takes, W.
    pub max_power_w: f64,
}

impl Vehicle {
    /// A car that wants this much energy and then is full.
    pub fn wanting(energy_wh: f64, max_power_w: f64) -> Self {
        // A car that arrives at 40 % and charges to 90 %, whatever its battery holds.
        Vehicle { capacity_wh: energy_wh.max(1.0) / 0.5, soc: 0.4, target_soc: 0.9, max_power_w }
    }

    /// What is missing, Wh.
    pub fn missing_wh(&self) -> f64 {
        ((self.target_soc - self.soc) * self.capacity_wh).max(0.0)
    }

    /// Whether it takes nothing more.
    pub fn is_full(&self) -> bool {
        self.missing_wh() < 0.01
    }

    /// What it draws now from a connector of this power, W.
    pub fn power_w(&self, connector_max_w: f64) -> f64 {
        if self.is_full() {
            return 0.0;
        }
        let share = if self.soc <= TAPER_FROM {
            1.0
        } else {
            1.0 - (1.0 - TAPER_TO) * (self.soc - TAPER_FROM) / (1.0 - TAPER_FROM)
        };
        self.max_power_w.min(connector_max_w) * share.max(TAPER_TO)
    }

    /// Charges for some hours; gives back the energy taken, Wh.
    pub fn charge(&mut self, hours: f64, connector_max_w: f64) -> f64 {
        let step = hours.max(0.0) / f64::from(STEPS);
        let mut taken = 0.0;
        for _ in 0..STEPS {
            let energy = (self.power_w(connector_max_w) * step).min(self.missing_wh());
            self.soc += energy / self.capacity_wh;
            taken += energy;
        }
        taken
    }
}

/// The electrical side of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Power {
    /// The energy register, Wh since manufacture.
    pub register_wh: f64,
    /// The car at the plug.
    pub vehicle: Option<Vehicle>,
    /// Whether the contactor is closed.
    pub flowing: bool,
    /// The moment up to which the register is right, ms since 1970.
    pub at_ms: i64,
}

impl Power {
    /// Brings the register up to `now_ms`; battery time runs `scale` times as fast.
    pub fn advance(&mut self, now_ms: i64, scale: f64, connector_max_w: f64) {
        let elapsed = now_ms.saturating_sub(self.at_ms).max(0);
        self.at_ms = self.at_ms.max(now_ms);
        if !self.flowing {
            return;
        }
        if let Some(vehicle) = &mut self.vehicle {
            #[allow(clippy::cast_precision_loss, reason = "milliseconds of one step")]
            let hours = elapsed as f64 / 3_600_000.0 * scale;
            self.register_wh += vehicle.charge(hours, connector_max_w);
        }
    }

    /// What the display shows: whole Wh, rounded down.
    #[allow(clippy::cast_possible_truncation, reason = "a register stays far below 2^53 Wh")]
    pub fn reading_wh(&self) -> i64 {
        self.register_wh.floor() as i64
    }

    /// The present power, whole W.
    #[allow(clippy::cast_possible_truncation, reason = "a connector's power is far below 2^31 W")]
    pub fn power_w(&self, connector_max_w: f64) -> i64 {
        match (&self.vehicle, self.flowing) {
            (Some(vehicle), true) => vehicle.power_w(connector_max_w).round() as i64,
            (Some(_) | None, _) => 0,
        }
    }

    /// When the car will be full at the present power, ms from now; `None` when nothing flows. An estimate from below,
    /// to be asked for again at that moment.
    #[allow(clippy::cast_possible_truncation, reason = "bounded to a day")]
    pub fn full_in_ms(&self, scale: f64, connector_max_w: f64) -> Option<i64> {
        let vehicle = self.vehicle.as_ref().filter(|_| self.flowing)?;
        let power = vehicle.power_w(connector_max_w);
        if power <= 0.0 {
            return Some(0);
        }
        let ms = vehicle.missing_wh() / power * 3_600_000.0 / scale.max(1e-6);
        Some((ms.min(86_400_000.0) as i64).max(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KW60: f64 = 60_000.0;

    fn charging(wants_wh: f64) -> Power {
        Power { register_wh: 1_000.0, vehicle: Some(Vehicle::wanting(wants_wh, KW60)), flowing: true, at_ms: 0 }
    }

    #[test]
    fn a_minute_at_60_kw_is_a_kwh_and_the_register_only_rises() {
        let mut power = charging(50_000.0);
        let mut last = power.register_wh;
        for second in 1..=60 {
            power.advance(second * 1_000, 1.0, KW60);
            assert!(power.register_wh >= last);
            last = power.register_wh;
        }
        assert!((power.register_wh - 2_000.0).abs() < 1.0, "{power:?}");
        power.advance(0, 1.0, KW60);
        assert!((power.register_wh - last).abs() < f64::EPSILON, "time going backwards adds nothing");
    }

    #[test]
    fn a_car_takes_what_it_wants_and_not_more() {
        let mut power = charging(500.0);
        power.advance(3_600_000, 1.0, KW60);
        assert!((power.register_wh - 1_500.0).abs() < 0.5, "{power:?}");
        assert!(power.vehicle.unwrap().is_full());
        assert_eq!(power.power_w(KW60), 0);
    }

    #[test]
    fn the_estimate_of_being_full_is_reached_after_few_askings() {
        let mut power = charging(2_000.0);
        let mut asked = 0;
        while !power.vehicle.unwrap().is_full() {
            let wait = power.full_in_ms(1.0, KW60).unwrap();
            power.advance(power.at_ms + wait, 1.0, KW60);
            asked += 1;
            assert!(asked < 60, "{power:?}");
        }
    }

    #[test]
    fn power_falls_towards_the_end() {
        let mut vehicle = Vehicle::wanting(10_000.0, KW60);
        let at_first = vehicle.power_w(KW60);
        vehicle.soc = 0.88;
        assert!(vehicle.power_w(KW60) < at_first);
    }
}
