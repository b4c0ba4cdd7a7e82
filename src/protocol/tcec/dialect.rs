//! How members are spelt for a partner. Types have the 2016 names and exact decimals as texts; what is written goes through
//! [`write`], what is read through [`read`], so no other code knows of dialects.

use super::values::decimal_of;
use crate::domain::delivery::{Dialect, Numbers, Spelling};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Number, Value};
use std::str::FromStr as _;

/// Names that the standard misspells, and what they should have been.
const MISSPELT: [(&str, &str); 5] = [
    ("SevicePrice", "ServicePrice"),
    ("SeviceMoney", "ServiceMoney"),
    ("DetailSeviceMoney", "DetailServiceMoney"),
    ("TotalSeviceMoney", "TotalServiceMoney"),
    ("BusineHours", "BusinessHours"),
];

/// Names that partners are known to write for one of the standard's; read only.
const ALIASES: [(&str, &str); 4] =
    [("QrCode", "QRCode"), ("SubPeriod", "SumPeriod"), ("ElectMoney", "ElecMoney"), ("OperationID", "OperatorID")];

/// Decimal places of a member, if it is a decimal.
fn places(name: &str, dialect: &Dialect) -> Option<u32> {
    Some(match name {
        "TotalPower" | "DetailPower" | "TotalOrderPower" | "TotalDisputePower" => u32::from(dialect.energy_decimals),
        "TotalMoney" | "ElecMoney" | "SeviceMoney" | "TotalElecMoney" | "TotalSeviceMoney" | "DetailElecMoney"
        | "DetailSeviceMoney" | "TotalOrderMoney" | "TotalDisputeMoney" => 2,
        "ElecPrice" | "SevicePrice" => 4,
        "Power"
        | "StationElectricity"
        | "EquipmentElectricity"
        | "ConnectorElectricity"
        | "CurrentA"
        | "CurrentB"
        | "CurrentC"
        | "VoltageA"
        | "VoltageB"
        | "VoltageC"
        | "Soc" => 1,
        "StationLng" | "StationLat" | "EquipmentLng" | "EquipmentLat" => 6,
        _ => return None,
    })
}

/// A decimal at so many places, halves away from zero.
pub fn rounded(value: Decimal, places: u32) -> Decimal {
    value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero)
}

fn written(value: Decimal, places: u32, dialect: &Dialect) -> Value {
    let value = rounded(value, places);
    match dialect.numbers {
        Numbers::Text => Value::String(format!("{value:.*}", places as usize)),
        // Fewer than 16 digits: the number is read back as the same decimal.
        Numbers::Number => Number::from_str(&value.normalize().to_string()).map_or(Value::Null, Value::Number),
    }
}

/// Spells members for a partner.
pub fn write(value: Value, dialect: &Dialect) -> Value {
    match value {
        Value::Object(members) => {
            let spelt = members.into_iter().map(|(name, value)| {
                let decimal = places(&name, dialect).and_then(|places| Some((decimal_of(&value)?, places)));
                let value = match decimal {
                    Some((decimal, places)) => written(decimal, places, dialect),
                    None => write(value, dialect),
                };
                (spell(name, dialect), value)
            });
            Value::Object(spelt.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| write(item, dialect)).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

fn spell(name: String, dialect: &Dialect) -> String {
    if let Some(own) = dialect.names.get(&name) {
        return own.clone();
    }
    match dialect.spelling {
        Spelling::Standard => name,
        Spelling::Corrected => {
            let corrected = MISSPELT.into_iter().find(|(wrong, _)| *wrong == name).map(|(_, right)| right.to_owned());
            corrected.unwrap_or(name)
        }
    }
}

/// The members under the standard's own names. What is there under its own name counts before an alias.
pub fn read(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut known = Map::new();
            let mut others = Vec::new();
            for (name, value) in members {
                let value = read(value);
                let standard = MISSPELT.into_iter().map(|(wrong, right)| (right, wrong)).chain(ALIASES);
                match standard.into_iter().find(|(alias, _)| *alias == name) {
                    Some((_, standard)) => others.push((standard.to_owned(), value)),
                    None => drop(known.insert(name, value)),
                }
            }
            for (name, value) in others {
                known.entry(name).or_insert(value);
            }
            Value::Object(known)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(read).collect()),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_have_the_places_of_their_member_as_numbers_or_texts() {
        let value = json!({"TotalPower": "12.3456", "TotalMoney": "10", "PolicyInfos": [{"SevicePrice": "0.65"}], "SumPeriod": 1});
        let plain = Dialect::default();
        let shown =
            json!({"TotalPower": 12.35, "TotalMoney": 10, "PolicyInfos": [{"SevicePrice": 0.65}], "SumPeriod": 1});
        assert_eq!(write(value.clone(), &plain), shown);
        let other = Dialect {
            numbers: Numbers::Text,
            energy_decimals: 3,
            spelling: Spelling::Corrected,
            names: [("SumPeriod".to_owned(), "SubPeriod".to_owned())].into(),
            ..Dialect::default()
        };
        let shown = json!({
            "TotalPower": "12.346", "TotalMoney": "10.00", "PolicyInfos": [{"ServicePrice": "0.6500"}], "SubPeriod": 1
        });
        assert_eq!(write(value, &other), shown);
    }

    #[test]
    fn both_spellings_are_read_and_the_standards_own_counts_first() {
        let told =
            json!({"TotalServiceMoney": 1, "BusineHours": "a", "BusinessHours": "b", "Details": [{"QrCode": "q"}]});
        assert_eq!(read(told), json!({"TotalSeviceMoney": 1, "BusineHours": "a", "Details": [{"QRCode": "q"}]}));
    }
}
