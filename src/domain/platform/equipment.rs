//! What is known of chargers and their connectors as equipment (EM-6), in OCPI 2.2.1's words. Owns the words and what goes
//! together; never a status.

use super::hours::Flaw;
use crate::ids::ChargerId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Highest voltage: what charging with direct current knows.
pub const VOLTAGE_MAX: u16 = 1_500;
/// Highest current: what megawatt charging knows.
pub const AMPERAGE_MAX: u16 = 3_000;
/// Most connectors of a charger.
pub const CONNECTORS_MAX: usize = 64;
/// Longest number or parking label.
pub const LABEL_MAX: usize = 32;

/// What is at a site besides chargers: OCPI's `Facility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "OCPI 2.2.1 Facility")]
pub enum Facility {
    Hotel,
    Restaurant,
    Cafe,
    Mall,
    Supermarket,
    Sport,
    RecreationArea,
    Nature,
    Museum,
    BikeSharing,
    BusStop,
    TaxiStand,
    TramStop,
    MetroStation,
    TrainStation,
    Airport,
    ParkingLot,
    CarpoolParking,
    FuelStation,
    Wifi,
}

/// Which currents a plug can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    Ac,
    Dc,
    Both,
}

macro_rules! standards {
    ($($name:ident: $text:tt, $carries:ident;)*) => {
        /// The plug or socket: OCPI's `ConnectorType`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[schema(as = ConnectorStandard)]
        #[allow(missing_docs, reason = "OCPI 2.2.1 ConnectorType")]
        pub enum Standard {
            $(#[serde(rename = $text)] $name,)*
        }

        impl Standard {
            const fn carries(self) -> Carries {
                match self {
                    $(Standard::$name => Carries::$carries,)*
                }
            }
        }
    };
}

standards! {
    GbtAc: "GBT_AC", Ac;
    GbtDc: "GBT_DC", Dc;
    Chaoji: "CHAOJI", Dc;
    Chademo: "CHADEMO", Dc;
    Iec62196T1: "IEC_62196_T1", Ac;
    Iec62196T1Combo: "IEC_62196_T1_COMBO", Dc;
    Iec62196T2: "IEC_62196_T2", Both;
    Iec62196T2Combo: "IEC_62196_T2_COMBO", Dc;
    Iec62196T3a: "IEC_62196_T3A", Ac;
    Iec62196T3c: "IEC_62196_T3C", Ac;
    Iec60309Single16: "IEC_60309_2_single_16", Ac;
    Iec60309Three16: "IEC_60309_2_three_16", Ac;
    Iec60309Three32: "IEC_60309_2_three_32", Ac;
    Iec60309Three64: "IEC_60309_2_three_64", Ac;
    DomesticA: "DOMESTIC_A", Ac;
    DomesticB: "DOMESTIC_B", Ac;
    DomesticC: "DOMESTIC_C", Ac;
    DomesticD: "DOMESTIC_D", Ac;
    DomesticE: "DOMESTIC_E", Ac;
    DomesticF: "DOMESTIC_F", Ac;
    DomesticG: "DOMESTIC_G", Ac;
    DomesticH: "DOMESTIC_H", Ac;
    DomesticI: "DOMESTIC_I", Ac;
    DomesticJ: "DOMESTIC_J", Ac;
    DomesticK: "DOMESTIC_K", Ac;
    DomesticL: "DOMESTIC_L", Ac;
    DomesticM: "DOMESTIC_M", Ac;
    DomesticN: "DOMESTIC_N", Ac;
    DomesticO: "DOMESTIC_O", Ac;
    Nema520: "NEMA_5_20", Ac;
    Nema630: "NEMA_6_30", Ac;
    Nema650: "NEMA_6_50", Ac;
    Nema1030: "NEMA_10_30", Ac;
    Nema1050: "NEMA_10_50", Ac;
    Nema1430: "NEMA_14_30", Ac;
    Nema1450: "NEMA_14_50", Ac;
    PantographBottomUp: "PANTOGRAPH_BOTTOM_UP", Dc;
    PantographTopDown: "PANTOGRAPH_TOP_DOWN", Dc;
    TeslaR: "TESLA_R", Both;
    TeslaS: "TESLA_S", Both;
}

impl Standard {
    /// Whether it is a socket as there are in homes.
    pub fn is_household(self) -> bool {
        let name = serde_json::to_value(self).unwrap_or_default();
        name.as_str().is_some_and(|name| name.starts_with("DOMESTIC_") || name.starts_with("NEMA_"))
    }
}

/// Whether a cable is attached: OCPI's `ConnectorFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = ConnectorFormat)]
pub enum Format {
    /// The vehicle brings the cable.
    Socket,
    /// It has a cable with a plug.
    Cable,
}

/// What kind of current: OCPI's `PowerType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "OCPI 2.2.1 PowerType")]
pub enum PowerType {
    #[serde(rename = "AC_1_PHASE")]
    Ac1Phase,
    #[serde(rename = "AC_2_PHASE")]
    Ac2Phase,
    #[serde(rename = "AC_2_PHASE_SPLIT")]
    Ac2PhaseSplit,
    #[serde(rename = "AC_3_PHASE")]
    Ac3Phase,
    #[serde(rename = "DC")]
    Dc,
}

impl PowerType {
    /// How many conductors carry `max_amperage` at `max_voltage`, which for AC is between line and neutral.
    const fn phases(self) -> u64 {
        match self {
            PowerType::Ac1Phase | PowerType::Dc => 1,
            PowerType::Ac2Phase | PowerType::Ac2PhaseSplit => 2,
            PowerType::Ac3Phase => 3,
        }
    }
}

/// A connector as equipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorFacts {
    /// The plug or socket.
    pub standard: Standard,
    /// Whether a cable is attached.
    pub format: Format,
    /// What kind of current.
    pub power_type: PowerType,
    /// Highest voltage, V: between line and neutral for AC; 1 to 1500.
    pub max_voltage: u16,
    /// Highest current, A; 1 to 3000.
    pub max_amperage: u16,
    /// Highest power, W, where it is less than voltage and current give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_electric_power: Option<u32>,
    /// The number printed beside it, which people type: 4 to 32 of `A-Za-z0-9-`, once among all connectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Which parking space it serves, up to 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parking: Option<String>,
}

impl ConnectorFacts {
    /// The highest power, W: as told, or what voltage and current give.
    pub fn power_w(&self) -> u64 {
        let given = u64::from(self.max_voltage) * u64::from(self.max_amperage) * self.power_type.phases();
        self.max_electric_power.map_or(given, u64::from)
    }

    /// Everything that is wrong with it. `path`: where it is in the request.
    pub fn flaws(&self, path: &str) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut check = |good: bool, member: &str, problem, allowed| {
            if !good {
                flaws.push(Flaw { field: format!("{path}.{member}"), problem, allowed });
            }
        };
        let dc = self.power_type == PowerType::Dc;
        let fits = match self.standard.carries() {
            Carries::Ac => !dc,
            Carries::Dc => dc,
            Carries::Both => true,
        };
        check(fits, "power_type", "does not go with the standard", "DC with a DC plug, an AC type with an AC plug");
        let volts = (1..=VOLTAGE_MAX).contains(&self.max_voltage);
        check(volts, "max_voltage", "is out of range", "1 to 1500 V");
        let amperes = (1..=AMPERAGE_MAX).contains(&self.max_amperage);
        check(amperes, "max_amperage", "is out of range", "1 to 3000 A");
        if let (Some(power), true, true) = (self.max_electric_power, volts, amperes) {
            let given = u64::from(self.max_voltage) * u64::from(self.max_amperage) * self.power_type.phases();
            // Labels round: a tenth more is let pass.
            let fits = power > 0 && u64::from(power) * 10 <= given * 11;
            check(
                fits,
                "max_electric_power",
                "is 0 or more than voltage and current give",
                "W, not above V x A x phases",
            );
        }
        if let Some(number) = &self.number {
            let plain = number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            let fits = (4..=LABEL_MAX).contains(&number.len()) && plain;
            check(fits, "number", "is not well formed", "4 to 32 characters of A-Z a-z 0-9 -");
        }
        if let Some(parking) = &self.parking {
            let fits = (1..=LABEL_MAX).contains(&parking.chars().count()) && !parking.chars().any(char::is_control);
            check(fits, "parking", "is too long or holds control characters", "1 to 32 characters");
        }
        flaws
    }
}

/// A charger as equipment: its connectors from 1 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargerFacts {
    /// Which.
    pub charger_id: ChargerId,
    /// Its connectors, in order.
    pub connectors: Vec<ConnectorFacts>,
}

/// A number as it is looked up: people type capitals and small letters alike.
pub fn number_key(number: &str) -> String {
    number.trim().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(value: serde_json::Value) -> ConnectorFacts {
        serde_json::from_value(value).unwrap()
    }

    fn dc(more: &serde_json::Value) -> ConnectorFacts {
        let mut value = serde_json::json!({"standard": "GBT_DC", "format": "CABLE", "power_type": "DC",
            "max_voltage": 750, "max_amperage": 250});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        facts(value)
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        for (more, wrong) in [
            (serde_json::json!({}), vec![]),
            (serde_json::json!({"max_electric_power": 120_000, "number": "0012-3456", "parking": "B 17"}), vec![]),
            (serde_json::json!({"max_electric_power": 206_250}), vec![]),
            (serde_json::json!({"max_electric_power": 206_251}), vec!["c.max_electric_power"]),
            (serde_json::json!({"max_electric_power": 0}), vec!["c.max_electric_power"]),
            (serde_json::json!({"standard": "GBT_AC"}), vec!["c.power_type"]),
            (serde_json::json!({"standard": "IEC_62196_T2", "power_type": "AC_3_PHASE"}), vec![]),
            (serde_json::json!({"max_voltage": 0, "max_amperage": 3001}), vec!["c.max_voltage", "c.max_amperage"]),
            (serde_json::json!({"number": "123", "parking": ""}), vec!["c.number", "c.parking"]),
            (serde_json::json!({"number": "12 34"}), vec!["c.number"]),
        ] {
            let found: Vec<_> = dc(&more).flaws("c").into_iter().map(|flaw| flaw.field).collect();
            assert_eq!(found, wrong, "{more}");
        }
    }

    #[test]
    fn the_power_is_as_told_or_what_voltage_and_current_give() {
        let three = serde_json::json!({"standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE",
            "max_voltage": 230, "max_amperage": 32});
        assert_eq!(facts(three).power_w(), 22_080);
        assert_eq!(dc(&serde_json::json!({"max_electric_power": 120_000})).power_w(), 120_000);
    }
}
