//! Meter samples, neutral of version. Owns units and exact decimal arithmetic; never what a sample costs or proves.
//!
//! Invariants: no floats; a number is thousandths of its base unit (mWh, mW, m%), digits beyond are cut off towards minus
//! infinity, so that a register is read as the whole units that are surely full.

use super::wire_time::WireTime;
use serde::{Deserialize, Serialize};

/// What is measured. Names as in OCPP 1.6 §7.31, without the dots.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Measurand {
    EnergyActiveExportRegister,
    EnergyActiveImportRegister,
    EnergyReactiveExportRegister,
    EnergyReactiveImportRegister,
    EnergyActiveExportInterval,
    EnergyActiveImportInterval,
    EnergyReactiveExportInterval,
    EnergyReactiveImportInterval,
    PowerActiveExport,
    PowerActiveImport,
    PowerOffered,
    PowerReactiveExport,
    PowerReactiveImport,
    PowerFactor,
    CurrentImport,
    CurrentExport,
    CurrentOffered,
    Voltage,
    Frequency,
    Temperature,
    Soc,
    Rpm,
    /// One that no version names.
    Other(String),
}

/// A base unit. Multiples (kWh, kW …) are converted to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain units")]
pub enum Unit {
    WattHour,
    VarHour,
    Watt,
    VoltAmpere,
    Var,
    Ampere,
    Volt,
    Kelvin,
    Celsius,
    Fahrenheit,
    Percent,
    Hertz,
    /// None, as for a power factor.
    None,
    /// One that is not known; the number is as given.
    Other(String),
}

/// A sample's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Thousandths of the base unit.
    Milli(i64),
    /// Signed meter data, as received: only its verifier reads it.
    Signed(String),
    /// Not readable as a number, as received.
    Unreadable(String),
}

/// One sampled value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// What is measured.
    pub measurand: Measurand,
    /// The number.
    pub value: Value,
    /// In which base unit.
    pub unit: Unit,
    /// Which phase, as spelled (`L1`, `L1-N` …); none: the whole.
    pub phase: Option<String>,
    /// Where, as spelled; none: the outlet.
    pub location: Option<String>,
    /// Why it was taken, as spelled (`Transaction.Begin` …); none: `Sample.Periodic`.
    pub context: Option<String>,
}

/// Samples of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterReading {
    /// When they were taken, by the charger's clock.
    pub at: WireTime,
    /// The samples, in the order received.
    pub samples: Vec<Sample>,
}

impl MeterReading {
    /// The cumulative import register in whole Wh (SE-9).
    pub fn energy_import_wh(&self) -> Option<i64> {
        self.whole(&Measurand::EnergyActiveImportRegister, true)
    }

    /// The present import power in whole W.
    pub fn power_import_w(&self) -> Option<i64> {
        self.whole(&Measurand::PowerActiveImport, true)
    }

    /// The battery's state of charge in whole percent.
    pub fn soc_percent(&self) -> Option<i64> {
        self.whole(&Measurand::Soc, false)
    }

    /// The signed records, as received.
    pub fn signed(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().filter_map(|s| match &s.value {
            Value::Signed(text) => Some(text.as_str()),
            Value::Milli(_) | Value::Unreadable(_) => None,
        })
    }

    /// The value for the whole device: the sample without a phase, at the outlet if there is one there; failing that
    /// the sum over the phases.
    fn whole(&self, measurand: &Measurand, sum_phases: bool) -> Option<i64> {
        let of = |sample: &&Sample| sample.measurand == *measurand && sample.milli().is_some();
        let total = |at_outlet: bool| {
            let mut fitting = self.samples.iter().filter(of).filter(|s| s.phase.is_none());
            fitting.find(|s| !at_outlet || s.at_outlet()).and_then(Sample::milli)
        };
        let outlet = total(true);
        let phases = || {
            let lines = self.samples.iter().filter(of).filter(|s| s.is_line() && s.at_outlet());
            let mut sum = None;
            for sample in lines {
                sum = Some(sample.milli()?.saturating_add(sum.unwrap_or(0)));
            }
            sum.filter(|_| sum_phases)
        };
        outlet.or_else(phases).or_else(|| total(false)).map(|milli| milli.div_euclid(1000))
    }
}

impl Sample {
    /// The number in thousandths of the base unit, if it is one.
    pub fn milli(&self) -> Option<i64> {
        match self.value {
            Value::Milli(milli) => Some(milli),
            Value::Signed(_) | Value::Unreadable(_) => None,
        }
    }

    fn at_outlet(&self) -> bool {
        self.location.as_deref().is_none_or(|l| l == "Outlet")
    }

    fn is_line(&self) -> bool {
        matches!(self.phase.as_deref(), Some("L1" | "L2" | "L3" | "L1-N" | "L2-N" | "L3-N"))
    }
}

/// Reads a decimal number exactly, as thousandths times ten to the power of `shift` (3 for kWh to mWh of a Wh base …).
/// Digits beyond are cut off towards minus infinity. `None`: no number, or beyond 64 bits.
pub fn parse_milli(text: &str, shift: i32) -> Option<i64> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = whole.len() + fraction.len();
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if plain == 0 || plain > 36 || !all_digits {
        return None;
    }
    // At most 36 digits: within i128.
    let mut number = whole.bytes().chain(fraction.bytes()).fold(0i128, |n, b| n * 10 + i128::from(b - b'0'));
    if negative {
        number = -number;
    }
    let scale = exponent.checked_add(shift)?.checked_add(3)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    scaled(number, scale)
}

fn scaled(number: i128, scale: i32) -> Option<i64> {
    if number == 0 {
        return Some(0);
    }
    let power = 10i128.checked_pow(scale.unsigned_abs());
    let value = match (scale >= 0, power) {
        (true, power) => number.checked_mul(power?)?,
        (false, Some(power)) => number.div_euclid(power),
        (false, None) => -i128::from(number < 0),
    };
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, shift, milli) in [
            ("0", 0, Some(0)),
            ("12345", 0, Some(12_345_000)),
            ("12.345", 3, Some(12_345_000)),
            ("0.0001", 3, Some(100)),
            ("12345.6789", 0, Some(12_345_678)),
            ("-1.0005", 0, Some(-1001)),
            ("+7.5", 0, Some(7500)),
            ("1.5E3", 0, Some(1_500_000)),
            ("15e-1", 0, Some(1500)),
            (" 42 ", 0, Some(42_000)),
            (".5", 0, Some(500)),
            ("5.", 0, Some(5000)),
            ("1e-400", 0, Some(0)),
            ("-1e-400", 0, Some(-1)),
            ("9223372036854775.807", 0, Some(i64::MAX)),
            ("9223372036854775.808", 0, None),
            ("1e400", 0, None),
            ("1e99999999999", 0, None),
            ("", 0, None),
            ("-", 0, None),
            (".", 0, None),
            ("NaN", 0, None),
            ("1,5", 0, None),
            ("0x10", 0, None),
            ("1234567890123456789012345678901234567", 0, None),
        ] {
            assert_eq!(parse_milli(text, shift), milli, "{text:?}");
        }
    }

    fn sample(milli: i64, phase: Option<&str>, location: Option<&str>) -> Sample {
        Sample {
            measurand: Measurand::EnergyActiveImportRegister,
            value: Value::Milli(milli),
            unit: Unit::WattHour,
            phase: phase.map(Into::into),
            location: location.map(Into::into),
            context: None,
        }
    }

    fn energy(samples: Vec<Sample>) -> Option<i64> {
        MeterReading { at: WireTime::read("2026-01-01T00:00:00Z"), samples }.energy_import_wh()
    }

    #[test]
    fn the_register_is_the_total_at_the_outlet_or_the_sum_of_phases() {
        let inlet = sample(9_000_000, None, Some("Inlet"));
        let phases = [sample(1000, Some("L1"), None), sample(2000, Some("L2"), None), sample(3999, Some("L3"), None)];
        assert_eq!(energy(vec![inlet.clone(), sample(5_999, None, Some("Outlet"))]), Some(5));
        assert_eq!(energy([vec![inlet.clone()], phases.to_vec()].concat()), Some(6));
        assert_eq!(energy(vec![inlet]), Some(9000));
        assert_eq!(energy(vec![]), None);
    }
}
