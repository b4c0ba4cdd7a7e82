//! What is agreed with a partner who speaks T/CEC 102 (EM-11): who the two sides are, their secrets, and the dialect. Owns the
//! shapes and their bounds; never an open secret, never the wire.
//!
//! Sources: T/CEC 102.1 … 102.4-2016; what varies from partner to partner is a member of [`Dialect`], with the base text's way
//! as its default.

use super::partner::Sealed;
use crate::clock::Timestamp;
use crate::ids::SiteId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Secret sets of one direction that can live at once, so that they rotate with overlap (102.4, key management).
const SETS_MAX: usize = 4;

/// A set of four secrets, sealed as one: what one direction of calls is proven and encrypted with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSet {
    /// The set as JSON, sealed.
    pub secrets: Sealed,
    /// When it was given.
    pub created: Timestamp,
    /// Until when it still counts; `None` for the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// What is agreed with one partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcec {
    /// The partner's organisation code, 9 characters.
    pub operator_id: String,
    /// Ours towards it.
    pub own_id: String,
    /// What it calls us with, given by us; newest first.
    pub inbound: Vec<SealedSet>,
    /// What we call it with, given by it.
    pub outbound: SealedSet,
    /// How it speaks.
    #[serde(default)]
    pub dialect: Dialect,
    /// What its station list says where the platform knows nothing.
    #[serde(default)]
    pub stations: Stations,
}

impl Tcec {
    /// Sets that a caller may use at `now`, newest first.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &SealedSet> {
        self.inbound.iter().filter(move |set| set.expires.is_none_or(|at| now < at))
    }

    /// The same with a new inbound set before the others, which count for `overlap` more.
    #[must_use]
    pub fn rotated(mut self, secrets: Sealed, now: Timestamp, overlap: Duration) -> Self {
        let until = now + overlap;
        self.inbound.retain(|old| old.expires.is_none_or(|expires| now < expires));
        for old in &mut self.inbound {
            old.expires = Some(old.expires.map_or(until, |expires| expires.min(until)));
        }
        self.inbound.retain(|old| old.expires.is_none_or(|expires| now < expires));
        self.inbound.insert(0, SealedSet { secrets, created: now, expires: None });
        self.inbound.truncate(SETS_MAX);
        self
    }
}

/// How misspelt members of the wire are written. Both are read always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// As the standard has them: `SevicePrice`, `BusineHours`.
    #[default]
    Standard,
    /// As some partners want them: `ServicePrice`, `BusinessHours`.
    Corrected,
}

/// How decimals are written. Both are read always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// `12.5`.
    #[default]
    Number,
    /// `"12.50"`.
    Text,
}

/// How a status push is written. All are read always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusForm {
    /// One object under `ConnectorStatusInfo`: the base text.
    #[default]
    Object,
    /// An array of one under `ConnectorStatusInfo`.
    Array,
    /// An array of one under `ConnectorStatusInfos`.
    PluralArray,
}

/// What is asked of a sequence number (`StartChargeSeq` and its like) that the partner made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceCheck {
    /// 1 to 64 characters of `A-Za-z0-9_-`.
    #[default]
    Lenient,
    /// Exactly 27 characters that begin with the caller's `OperatorID`: the base text.
    Strict,
}

/// What `Data` is in an answer that is an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorData {
    /// An encrypted `{}`.
    #[default]
    Empty,
    /// Absent; the signature covers `Ret` and `Msg`.
    Absent,
}

/// How a partner speaks (EM-11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    /// How misspelt members are written.
    pub spelling: Spelling,
    /// How decimals are written.
    pub numbers: Numbers,
    /// Decimals of energy, 2 or 3.
    pub energy_decimals: u8,
    /// How a status push is written.
    pub status_form: StatusForm,
    /// What is asked of sequence numbers.
    pub sequences: SequenceCheck,
    /// What `Data` is in an error answer.
    pub error_data: ErrorData,
    /// Whether the Base64 of `Data` is broken every 76 characters.
    pub wrap_base64: bool,
    /// How far the caller's `TimeStamp` may be from our clock, seconds; `None`: it is not looked at.
    pub timestamp_window_s: Option<u32>,
    /// Paths of the partner's interfaces below its base URL, where they are not the interface's name.
    pub paths: BTreeMap<String, String>,
    /// Further members that are written under another name, by their 2016 name.
    pub names: BTreeMap<String, String>,
    /// Whether the stop result is sent for every stop, not only for the partner's own.
    pub stop_result_always: bool,
    /// How often the status of a running session is pushed, seconds; 0: never.
    pub charge_status_every_s: u32,
    /// How long a start may take, seconds (the lower of this and `session.start_deadline` counts, SE-4).
    pub start_deadline_s: u32,
    /// Waits after the first, second … failed push of an order, seconds. One more try than waits is made.
    pub order_retry_s: Vec<u32>,
    /// The minute of the day (China Standard Time) at which the orders of the day before are reconciled; `None`: never.
    pub reconcile_minute: Option<u16>,
}

impl Default for Dialect {
    fn default() -> Self {
        // 150, 300, … 1800, then every hour for a day: the schedule of the Beijing-style documents.
        let rising = (1..=12).map(|n| n * 150);
        let hourly = std::iter::repeat_n(3600, 24);
        Dialect {
            spelling: Spelling::default(),
            numbers: Numbers::default(),
            energy_decimals: 2,
            status_form: StatusForm::default(),
            sequences: SequenceCheck::default(),
            error_data: ErrorData::default(),
            wrap_base64: false,
            timestamp_window_s: None,
            paths: BTreeMap::new(),
            names: BTreeMap::new(),
            stop_result_always: true,
            charge_status_every_s: 50,
            start_deadline_s: 50,
            order_retry_s: rising.chain(hourly).collect(),
            reconcile_minute: Some(120),
        }
    }
}

impl Dialect {
    /// What is out of bounds: the member and what is allowed.
    pub fn flaws(&self) -> Vec<(&'static str, &'static str)> {
        let path = |text: &String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
            (1..=100).contains(&text.len()) && text.chars().all(plain) && !text.contains("..")
        };
        let name = |text: &String| (1..=40).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric());
        let window = self.timestamp_window_s.is_none_or(|s| (1..=86_400).contains(&s));
        let retries = self.order_retry_s.len() <= 64 && self.order_retry_s.iter().all(|s| (1..=86_400).contains(s));
        let every = self.charge_status_every_s == 0 || (10..=3600).contains(&self.charge_status_every_s);
        let names = self.names.len() <= 64 && self.names.iter().all(|(from, to)| name(from) && name(to));
        let checks = [
            ((2..=3).contains(&self.energy_decimals), "dialect.energy_decimals", "2 or 3"),
            (window, "dialect.timestamp_window_s", "1 to 86400, or none"),
            (self.paths.len() <= 16 && self.paths.values().all(path), "dialect.paths", "16 paths of A-Za-z0-9/_.-"),
            (names, "dialect.names", "64 names of A-Za-z0-9, 1 to 40 characters"),
            (every, "dialect.charge_status_every_s", "0, or 10 to 3600"),
            ((5..=600).contains(&self.start_deadline_s), "dialect.start_deadline_s", "5 to 600"),
            (retries, "dialect.order_retry_s", "at most 64 waits of 1 to 86400"),
            (self.reconcile_minute.is_none_or(|m| m < 1440), "dialect.reconcile_minute", "0 to 1439, or none"),
        ];
        checks.into_iter().filter(|(good, ..)| !good).map(|(_, field, allowed)| (field, allowed)).collect()
    }
}

/// What a station list says where the platform knows nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stations {
    /// Of every site.
    pub every: StationFacts,
    /// Of single sites; a member that is there counts before that of `every`.
    pub sites: BTreeMap<SiteId, StationFacts>,
}

impl Stations {
    /// What is said of a site.
    pub fn of(&self, site: &SiteId) -> StationFacts {
        let own = self.sites.get(site).cloned().unwrap_or_default();
        let every = &self.every;
        StationFacts {
            area_code: own.area_code.or_else(|| every.area_code.clone()),
            address: own.address.or_else(|| every.address.clone()),
            station_tel: own.station_tel.or_else(|| every.station_tel.clone()),
            service_tel: own.service_tel.or_else(|| every.service_tel.clone()),
            owner_id: own.owner_id.or_else(|| every.owner_id.clone()),
            station_type: own.station_type.or(every.station_type),
            construction: own.construction.or(every.construction),
            park_nums: own.park_nums.or(every.park_nums),
            longitude_micro: own.longitude_micro.or(every.longitude_micro),
            latitude_micro: own.latitude_micro.or(every.latitude_micro),
            busine_hours: own.busine_hours.or_else(|| every.busine_hours.clone()),
            park_fee: own.park_fee.or_else(|| every.park_fee.clone()),
            payment: own.payment.or_else(|| every.payment.clone()),
            remark: own.remark.or_else(|| every.remark.clone()),
            equipment_type: own.equipment_type.or(every.equipment_type),
            connector_type: own.connector_type.or(every.connector_type),
            national_standard: own.national_standard.or(every.national_standard),
            voltage_upper: own.voltage_upper.or(every.voltage_upper),
            voltage_lower: own.voltage_lower.or(every.voltage_lower),
            current_a: own.current_a.or(every.current_a),
            power_w: own.power_w.or(every.power_w),
        }
    }
}

/// Facts of one station, its equipment and connectors (102.2), by the standard's names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "T/CEC 102.2 defines them; units are in the names")]
pub struct StationFacts {
    pub area_code: Option<String>,
    pub address: Option<String>,
    pub station_tel: Option<String>,
    pub service_tel: Option<String>,
    pub owner_id: Option<String>,
    pub station_type: Option<u16>,
    pub construction: Option<u16>,
    pub park_nums: Option<u32>,
    pub longitude_micro: Option<i32>,
    pub latitude_micro: Option<i32>,
    pub busine_hours: Option<String>,
    pub park_fee: Option<String>,
    pub payment: Option<String>,
    pub remark: Option<String>,
    pub equipment_type: Option<u16>,
    pub connector_type: Option<u16>,
    pub national_standard: Option<u16>,
    pub voltage_upper: Option<u32>,
    pub voltage_lower: Option<u32>,
    pub current_a: Option<u32>,
    pub power_w: Option<u32>,
}

/// Whether this is an organisation code (GB 11714): 9 digits or capital letters.
pub fn is_operator_id(text: &str) -> bool {
    text.len() == 9 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcec() -> Tcec {
        let set = |text: &str| SealedSet { secrets: Sealed(text.into()), created: Timestamp(0), expires: None };
        Tcec {
            operator_id: "123456789".into(),
            own_id: "987654321".into(),
            inbound: vec![set("first")],
            outbound: set("theirs"),
            dialect: Dialect::default(),
            stations: Stations::default(),
        }
    }

    #[test]
    fn a_rotation_keeps_the_old_set_for_the_overlap_and_no_longer() {
        let tcec = tcec().rotated(Sealed("second".into()), Timestamp(1000), Duration::from_secs(10));
        let live = |at: i64| tcec.live(Timestamp(at)).map(|set| set.secrets.0.clone()).collect::<Vec<_>>();
        assert_eq!(live(2000), ["second", "first"]);
        assert_eq!(live(11_000), ["second"]);
        let at_once = tcec.clone().rotated(Sealed("third".into()), Timestamp(2000), Duration::ZERO);
        assert_eq!(at_once.inbound.len(), 1, "an overlap of nothing leaves the new set alone");
    }

    #[test]
    fn each_bound_of_a_dialect_is_told_by_its_member() {
        assert_eq!(Dialect::default().flaws(), []);
        let bad = Dialect {
            energy_decimals: 4,
            timestamp_window_s: Some(0),
            paths: [("query_token".to_owned(), "../x".to_owned())].into(),
            names: [("A".to_owned(), "b c".to_owned())].into(),
            charge_status_every_s: 1,
            start_deadline_s: 0,
            order_retry_s: vec![0],
            reconcile_minute: Some(1440),
            ..Dialect::default()
        };
        assert_eq!(bad.flaws().len(), 8, "{:?}", bad.flaws());
    }

    #[test]
    fn a_sites_own_facts_count_before_the_common_ones() {
        let every = StationFacts { area_code: Some("110000".into()), power_w: Some(60_000), ..StationFacts::default() };
        let own = StationFacts { power_w: Some(7000), ..StationFacts::default() };
        let site: SiteId = "S1".parse().unwrap();
        let stations = Stations { every, sites: [(site.clone(), own)].into() };
        let of = stations.of(&site);
        assert_eq!((of.area_code.as_deref(), of.power_w), (Some("110000"), Some(7000)));
        assert_eq!(stations.of(&"S2".parse().unwrap()).power_w, Some(60_000));
    }

    #[test]
    fn an_operator_id_is_nine_digits_or_capitals() {
        for (text, good) in
            [("123456789", true), ("MA0012345", true), ("12345678", false), ("12345678a", false), ("12345678-", false)]
        {
            assert_eq!(is_operator_id(text), good, "{text}");
        }
    }
}
