//! MeterValues (OCPP 1.6 §4.7) and the samples that StopTransaction carries too. Owns the mapping of the wire's words and
//! units to neutral samples.

use super::reader::{Fields, FlagKind, Path};
use crate::ids::{ConnectorId, TransactionId};
use crate::protocol::json::Json;
use crate::protocol::metering::{Measurand, MeterReading, Sample, Unit, Value, parse_milli};
use crate::protocol::ocppj::CallError;

/// MeterValues.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// 0: the charger's main meter.
    pub connector_id: ConnectorId,
    /// The transaction that the values belong to, if any.
    pub transaction_id: Option<TransactionId>,
    /// The samples.
    pub meter_value: Vec<MeterReading>,
}

pub(crate) const FIELDS: &[&str] = &["connectorId", "transactionId", "meterValue"];
const METER_VALUE: &[&str] = &["timestamp", "sampledValue"];
const SAMPLED_VALUE: &[&str] = &["value", "context", "format", "measurand", "phase", "location", "unit"];

const CONTEXTS: &[&str] = &[
    "Interruption.Begin",
    "Interruption.End",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
    "Other",
];
const PHASES: &[&str] = &["L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"];
const LOCATIONS: &[&str] = &["Cable", "EV", "Inlet", "Outlet", "Body"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        connector_id: f.connector("connectorId")?,
        transaction_id: f.spare("transactionId", |f| f.opt_transaction("transactionId"))?,
        meter_value: f.list("meterValue", 1, |value, at| reading(f, value, at))?,
    })
}

/// One entry of `meterValue` or `transactionData`.
pub(crate) fn reading(parent: &Fields<'_, '_>, value: &Json<'_>, at: &Path<'_>) -> Result<MeterReading, CallError> {
    let f = Fields::open(value, at, parent.reading, METER_VALUE)?;
    Ok(MeterReading {
        at: f.time("timestamp")?,
        samples: f.list("sampledValue", 1, |value, at| sample(&f, value, at))?,
    })
}

fn sample(parent: &Fields<'_, '_>, value: &Json<'_>, at: &Path<'_>) -> Result<Sample, CallError> {
    let f = Fields::open(value, at, parent.reading, SAMPLED_VALUE)?;
    let text = f.text("value", usize::MAX)?;
    let measurand = f.opt_choice("measurand", MEASURAND_WORDS, measurand)?;
    let measurand = measurand.unwrap_or(Measurand::EnergyActiveImportRegister);
    let signed = f.opt_choice("format", &["Raw", "SignedData"], |word| word == "SignedData")?.unwrap_or(false);
    let (unit, shift) = match f.opt_choice("unit", UNIT_WORDS, unit)? {
        Some(unit) => unit,
        None => (default_unit(&measurand), 0),
    };
    let value = match (signed, parse_milli(&text, shift)) {
        (true, _) => Value::Signed(text),
        (false, Some(milli)) => Value::Milli(milli),
        (false, None) => {
            f.reading.flag(at, FlagKind::BadEntry);
            Value::Unreadable(text)
        }
    };
    Ok(Sample {
        measurand,
        value,
        unit,
        phase: f.opt_choice("phase", PHASES, str::to_owned)?,
        location: f.opt_choice("location", LOCATIONS, str::to_owned)?,
        context: f.opt_choice("context", CONTEXTS, str::to_owned)?,
    })
}

const MEASURANDS: &[(&str, Measurand)] = &[
    ("Energy.Active.Export.Register", Measurand::EnergyActiveExportRegister),
    ("Energy.Active.Import.Register", Measurand::EnergyActiveImportRegister),
    ("Energy.Reactive.Export.Register", Measurand::EnergyReactiveExportRegister),
    ("Energy.Reactive.Import.Register", Measurand::EnergyReactiveImportRegister),
    ("Energy.Active.Export.Interval", Measurand::EnergyActiveExportInterval),
    ("Energy.Active.Import.Interval", Measurand::EnergyActiveImportInterval),
    ("Energy.Reactive.Export.Interval", Measurand::EnergyReactiveExportInterval),
    ("Energy.Reactive.Import.Interval", Measurand::EnergyReactiveImportInterval),
    ("Power.Active.Export", Measurand::PowerActiveExport),
    ("Power.Active.Import", Measurand::PowerActiveImport),
    ("Power.Offered", Measurand::PowerOffered),
    ("Power.Reactive.Export", Measurand::PowerReactiveExport),
    ("Power.Reactive.Import", Measurand::PowerReactiveImport),
    ("Power.Factor", Measurand::PowerFactor),
    ("Current.Import", Measurand::CurrentImport),
    ("Current.Export", Measurand::CurrentExport),
    ("Current.Offered", Measurand::CurrentOffered),
    ("Voltage", Measurand::Voltage),
    ("Frequency", Measurand::Frequency),
    ("Temperature", Measurand::Temperature),
    ("SoC", Measurand::Soc),
    ("RPM", Measurand::Rpm),
];

/// The words of [`MEASURANDS`], as the reader wants them.
const MEASURAND_WORDS: &[&str] = &{
    let mut words = [""; MEASURANDS.len()];
    let mut n = 0;
    while n < MEASURANDS.len() {
        words[n] = MEASURANDS[n].0;
        n += 1;
    }
    words
};

fn measurand(word: &str) -> Measurand {
    let known = MEASURANDS.iter().find(|(known, _)| *known == word);
    known.map_or_else(|| Measurand::Other(word.to_owned()), |(_, measurand)| measurand.clone())
}

const UNIT_WORDS: &[&str] = &[
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "K",
    "Celcius",
    "Celsius",
    "Fahrenheit",
    "Percent",
    "Hertz",
];

/// A unit as its base unit and the power of ten to it.
fn unit(word: &str) -> (Unit, i32) {
    match word {
        "Wh" => (Unit::WattHour, 0),
        "kWh" => (Unit::WattHour, 3),
        "varh" => (Unit::VarHour, 0),
        "kvarh" => (Unit::VarHour, 3),
        "W" => (Unit::Watt, 0),
        "kW" => (Unit::Watt, 3),
        "VA" => (Unit::VoltAmpere, 0),
        "kVA" => (Unit::VoltAmpere, 3),
        "var" => (Unit::Var, 0),
        "kvar" => (Unit::Var, 3),
        "A" => (Unit::Ampere, 0),
        "V" => (Unit::Volt, 0),
        "K" => (Unit::Kelvin, 0),
        // `Celcius` is how the first edition spelled it.
        "Celsius" | "Celcius" => (Unit::Celsius, 0),
        "Fahrenheit" => (Unit::Fahrenheit, 0),
        "Percent" => (Unit::Percent, 0),
        "Hertz" => (Unit::Hertz, 0),
        other => (Unit::Other(other.to_owned()), 0),
    }
}

/// The unit of a sample that names none. The specification gives `Wh` for energy; for the rest the base unit is meant.
fn default_unit(measurand: &Measurand) -> Unit {
    match measurand {
        Measurand::EnergyActiveExportRegister
        | Measurand::EnergyActiveImportRegister
        | Measurand::EnergyActiveExportInterval
        | Measurand::EnergyActiveImportInterval => Unit::WattHour,
        Measurand::EnergyReactiveExportRegister
        | Measurand::EnergyReactiveImportRegister
        | Measurand::EnergyReactiveExportInterval
        | Measurand::EnergyReactiveImportInterval => Unit::VarHour,
        Measurand::PowerActiveExport | Measurand::PowerActiveImport | Measurand::PowerOffered => Unit::Watt,
        Measurand::PowerReactiveExport | Measurand::PowerReactiveImport => Unit::Var,
        Measurand::CurrentImport | Measurand::CurrentExport | Measurand::CurrentOffered => Unit::Ampere,
        Measurand::Voltage => Unit::Volt,
        Measurand::Frequency => Unit::Hertz,
        Measurand::Temperature => Unit::Celsius,
        Measurand::Soc => Unit::Percent,
        Measurand::PowerFactor | Measurand::Rpm | Measurand::Other(_) => Unit::None,
    }
}
