//! Native views as the standard's members, and its names as ours. Owns the correspondence; pure, and shared by what is answered
//! and what is pushed.

use super::reasons;
use crate::api::port::{
    ChargerView, ConnectorStatus, ConnectorView, LockView, Moment, SessionStatus, SessionView, SiteView,
};
use crate::clock::Timestamp;
use crate::domain::delivery::{Stations, Tcec};
use crate::domain::platform::equipment::{Format, PowerType};
use crate::domain::platform::{ConnectorFacts, Hours};
use crate::domain::pricing::{Bill, LineKind};
use crate::domain::tariff::{Calendar, Tariff};
use crate::ids::{ChargerId, ConnectorId};
use crate::protocol::tcec::charging::ChargeStatus;
use crate::protocol::tcec::dialect::rounded;
use crate::protocol::tcec::order::{ChargeDetail, OrderInfo, PERIODS_MAX};
use crate::protocol::tcec::station::{
    ConnectorInfo, ConnectorStatusInfo, EquipmentInfo, PolicyInfo, StationInfo, StationStatus,
};
use crate::protocol::tcec::values::{ChinaTime, kwh, yuan};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::str::FromStr as _;

/// Digits of a connector's number at the end of its `ConnectorID`.
const GUN: usize = 2;

/// `ConnectorID`: the charger's id and two digits.
pub(crate) fn connector_name(charger: &ChargerId, connector: ConnectorId) -> String {
    format!("{charger}{:0GUN$}", connector.0)
}

/// The connector that a `ConnectorID` names. A whole QR text (`hlht://<ConnectorID>.<OperatorID>/…`) is taken too.
pub(crate) fn connector_of(text: &str) -> Option<(ChargerId, ConnectorId)> {
    let text = text.trim();
    let name = match text.strip_prefix("hlht://") {
        Some(qr) => qr.split(['.', '/']).next()?,
        None => text,
    };
    let (charger, gun) = name.split_at_checked(name.len().checked_sub(GUN)?)?;
    let number: u16 = gun.bytes().all(|b| b.is_ascii_digit()).then(|| gun.parse().ok())??;
    (number > 0).then_some(())?;
    Some((charger.parse().ok()?, ConnectorId(number)))
}

/// `Status` of a connector.
pub(crate) const fn connector_status(status: ConnectorStatus) -> i64 {
    match status {
        ConnectorStatus::Unknown | ConnectorStatus::Unavailable => 0,
        ConnectorStatus::Available => 1,
        ConnectorStatus::Preparing | ConnectorStatus::Finishing => 2,
        ConnectorStatus::Charging | ConnectorStatus::SuspendedEV | ConnectorStatus::SuspendedEVSE => 3,
        ConnectorStatus::Reserved => 4,
        ConnectorStatus::Faulted => 255,
    }
}

/// `ParkStatus` and `LockStatus`.
fn place(lock: Option<&LockView>) -> (i64, i64) {
    let Some(lock) = lock else { return (0, 0) };
    let park = match lock.vehicle_present {
        Some(true) => 50,
        Some(false) => 10,
        None => 0,
    };
    let lock = match lock.state.as_str() {
        "raised" => 50,
        "lowered" => 10,
        _ => 0,
    };
    (park, lock)
}

/// A connector's status. `online`: its charger is connected and in service.
pub(crate) fn status_info(
    charger: &ChargerId,
    connector: ConnectorId,
    status: ConnectorStatus,
    lock: Option<&LockView>,
    online: bool,
) -> ConnectorStatusInfo {
    let (park_status, lock_status) = place(lock);
    let status = if online { connector_status(status) } else { 0 };
    ConnectorStatusInfo { connector_id: connector_name(charger, connector), status, park_status, lock_status }
}

fn infos(charger: &ChargerView) -> impl Iterator<Item = ConnectorStatusInfo> + '_ {
    let online = charger.online && !charger.maintenance;
    let of =
        move |c: &ConnectorView| status_info(&charger.charger_id, c.connector_id, c.status, c.lock.as_ref(), online);
    charger.connectors.iter().map(of)
}

/// A station's connectors.
pub(crate) fn station_status(site: &SiteView, own_id: &str) -> StationStatus {
    StationStatus {
        operator_id: own_id.to_owned(),
        station_id: site.site_id.to_string(),
        connector_status_infos: site.chargers.iter().flat_map(infos).collect(),
    }
}

fn micro(degrees: f64, set: Option<i32>) -> Decimal {
    let told = Decimal::from_str(&format!("{degrees:.6}")).unwrap_or_default();
    set.map_or(told, |micro| Decimal::new(i64::from(micro), 6))
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// `StationStatus` of a site: 50 in service, 6 all in maintenance, 5 nothing connected, 0 nothing there.
fn whole_status(site: &SiteView) -> i64 {
    match &site.chargers {
        none if none.is_empty() => 0,
        all if all.iter().all(|charger| charger.maintenance) => 6,
        some if some.iter().any(|charger| charger.online) => 50,
        _ => 5,
    }
}

/// A connector's facts in the standard's figures; what is agreed with the partner goes before them.
struct Known {
    connector_type: i64,
    voltage: i64,
    current: i64,
    power_w: u64,
}

impl Known {
    fn of(facts: Option<&ConnectorFacts>) -> Known {
        let Some(facts) = facts else { return Known { connector_type: 6, voltage: 0, current: 0, power_w: 0 } };
        let connector_type = match (facts.power_type, facts.format) {
            (PowerType::Dc, _) => 4,
            (_, Format::Cable) => 3,
            (_, Format::Socket) if facts.standard.is_household() => 1,
            (_, Format::Socket) => 2,
        };
        let (voltage, current) = (facts.max_voltage.into(), facts.max_amperage.into());
        Known { connector_type, voltage, current, power_w: facts.power_w() }
    }
}

/// `EquipmentType` of a charger: 1 DC, 2 AC, 3 both, 5 not known.
fn equipment_type(charger: &ChargerView) -> i64 {
    let facts = || charger.connectors.iter().filter_map(|of| of.facts.as_ref());
    let dc = facts().any(|of| of.power_type == PowerType::Dc);
    let ac = facts().any(|of| of.power_type != PowerType::Dc);
    match (dc, ac) {
        (true, false) => 1,
        (false, true) => 2,
        (true, true) => 3,
        (false, false) => 5,
    }
}

/// A site as a station.
pub(crate) fn station(site: &SiteView, tcec: &Tcec) -> StationInfo {
    let facts = Stations::of(&tcec.stations, &site.site_id);
    let position = site.position;
    let (lat, lon) = position.map_or((0.0, 0.0), |position| (position.lat, position.lon));
    let number = |told: Option<u16>, unknown: i64| told.map_or(unknown, i64::from);
    let told = |of: Option<u16>, known: i64| of.map_or(known, i64::from);
    let power = |known: u64| Decimal::new(facts.power_w.map_or(i64::try_from(known).unwrap_or(0), i64::from), 3);
    let connector = |charger: &ChargerView, connector: &ConnectorView| {
        let known = Known::of(connector.facts.as_ref());
        ConnectorInfo {
            connector_id: connector_name(&charger.charger_id, connector.connector_id),
            connector_name: None,
            connector_type: told(facts.connector_type, known.connector_type),
            voltage_upper_limits: facts.voltage_upper.map_or(known.voltage, i64::from),
            voltage_lower_limits: i64::from(facts.voltage_lower.unwrap_or(0)),
            current: facts.current_a.map_or(known.current, i64::from),
            power: power(known.power_w),
            national_standard: number(facts.national_standard, 2),
        }
    };
    let equipment = |charger: &ChargerView| EquipmentInfo {
        equipment_id: charger.charger_id.to_string(),
        manufacturer_name: charger.vendor.as_deref().map(|text| cut(text, 30)),
        equipment_model: charger.model.as_deref().map(|text| cut(text, 20)),
        equipment_type: told(facts.equipment_type, equipment_type(charger)),
        power: power(charger.connectors.iter().map(|of| Known::of(of.facts.as_ref()).power_w).max().unwrap_or(0)),
        connector_infos: charger.connectors.iter().map(|of| connector(charger, of)).collect(),
    };
    let address = facts.address.clone().or_else(|| site.address.clone());
    StationInfo {
        station_id: site.site_id.to_string(),
        operator_id: tcec.own_id.clone(),
        equipment_owner_id: facts.owner_id.clone().unwrap_or_else(|| tcec.own_id.clone()),
        station_name: cut(&site.name, 50),
        country_code: "CN".to_owned(),
        area_code: facts.area_code.clone().unwrap_or_default(),
        address: cut(&address.unwrap_or_default(), 50),
        station_tel: facts.station_tel.clone(),
        service_tel: facts.service_tel.clone().unwrap_or_default(),
        station_type: number(facts.station_type, 255),
        station_status: whole_status(site),
        park_nums: i64::from(facts.park_nums.unwrap_or(0)),
        station_lng: micro(lon, facts.longitude_micro),
        station_lat: micro(lat, facts.latitude_micro),
        construction: number(facts.construction, 255),
        busine_hours: facts.busine_hours.clone().or_else(|| site.hours.as_ref().map(Hours::in_words)),
        electricity_fee: None,
        service_fee: None,
        park_fee: facts.park_fee.clone(),
        payment: facts.payment.clone(),
        support_order: 0,
        remark: facts.remark.clone(),
        equipment_infos: site.chargers.iter().map(equipment).collect(),
    }
}

/// The prices of today (China Standard Time), from midnight to midnight. `None`: the tariff's zone is not known, it has a hole
/// today, or more periods than the standard has room for.
pub(crate) fn policy(tariff: &Tariff, now: Timestamp) -> Option<Vec<PolicyInfo>> {
    let calendar = Calendar::of(tariff).ok()?;
    let (begin, end) = ChinaTime(now).day();
    let mut periods: Vec<PolicyInfo> = Vec::new();
    let mut at = begin.0;
    while at < end.0 {
        let (slice, until) = calendar.passage(tariff, at);
        let slice = tariff.slices.get(usize::from(slice?))?;
        let price = |price: crate::domain::money::Price| Decimal::new(price.0, 4);
        let (elec_price, sevice_price) = (price(slice.electricity), Some(price(slice.service)));
        let same =
            periods.last().is_some_and(|last| last.elec_price == elec_price && last.sevice_price == sevice_price);
        if !same {
            periods.push(PolicyInfo { start_time: ChinaTime(at).to_clock(), elec_price, sevice_price });
        }
        at = until.max(Timestamp(at.0 + 1));
    }
    (periods.len() <= PERIODS_MAX).then_some(periods)
}

/// `StartChargeSeqStat` of a session.
pub(crate) const fn session_stat(status: SessionStatus) -> i64 {
    match status {
        SessionStatus::Starting => 1,
        SessionStatus::Charging => 2,
        SessionStatus::StopPending => 3,
        SessionStatus::Ended | SessionStatus::Failed => 4,
        SessionStatus::Abnormal => 5,
    }
}

/// `ConnectorStatus` as far as the session tells it: the connector's own is better, where it can be asked.
const fn session_connector(status: SessionStatus) -> i64 {
    match status {
        SessionStatus::Charging | SessionStatus::StopPending => 3,
        SessionStatus::Starting | SessionStatus::Ended | SessionStatus::Failed | SessionStatus::Abnormal => 2,
    }
}

/// Money and periods of a bill. What is neither electricity nor service by the kWh (time, start fees, minimums, tax) is told
/// as service, so that the two sums are the whole.
pub(crate) struct Sums {
    pub(crate) electricity: Decimal,
    pub(crate) service: Decimal,
    pub(crate) total: Decimal,
    pub(crate) details: Vec<ChargeDetail>,
}

fn fen(minor: i64) -> Decimal {
    yuan(minor)
}

/// What is summed up of one stretch of a bill.
#[derive(Default)]
struct Stretch {
    to: Timestamp,
    wh: i64,
    prices: [Option<i64>; 2],
    minor: [i64; 2],
}

/// A bill in the standard's terms, energy at so many decimals. Details add up to the totals exactly: energy is rounded at the
/// borders, and what belongs to no stretch goes to the last one's service.
pub(crate) fn sums(bill: &Bill, energy_decimals: u32) -> Sums {
    let mut stretches: BTreeMap<Timestamp, Stretch> = BTreeMap::new();
    let (mut electricity, mut rest) = (0_i64, 0_i64);
    for line in &bill.lines {
        let kind = match line.kind {
            LineKind::Electricity => Some(0),
            LineKind::Service => Some(1),
            _ => None,
        };
        if kind == Some(0) {
            electricity += line.amount.minor;
        }
        let Some(kind) = kind else {
            rest += line.amount.minor;
            continue;
        };
        let stretch = stretches.entry(line.from).or_default();
        stretch.to = stretch.to.max(line.to);
        stretch.wh = stretch.wh.max(line.count);
        stretch.prices[kind] = Some(line.price.0);
        stretch.minor[kind] += line.amount.minor;
    }
    if let Some(mut last) = stretches.last_entry() {
        last.get_mut().minor[1] += rest;
    }
    let (mut wh, mut told) = (0_i64, Decimal::ZERO);
    let price = |price: Option<i64>| price.map(|price| Decimal::new(price, 4));
    let mut details = Vec::with_capacity(stretches.len());
    for (from, stretch) in &stretches {
        wh += stretch.wh;
        let until = rounded(kwh(wh), energy_decimals);
        details.push(ChargeDetail {
            detail_start_time: ChinaTime(*from),
            detail_end_time: ChinaTime(stretch.to),
            elec_price: price(stretch.prices[0]),
            sevice_price: price(stretch.prices[1]),
            detail_power: until - told,
            detail_elec_money: Some(fen(stretch.minor[0])),
            detail_sevice_money: Some(fen(stretch.minor[1])),
        });
        told = until;
    }
    let total = bill.total.minor;
    let details = if details.len() <= PERIODS_MAX { details } else { Vec::new() };
    Sums { electricity: fen(electricity), service: fen(total - electricity), total: fen(total), details }
}

/// The bill within a session's or order's view.
pub(crate) fn bill_of(value: Option<&serde_json::Value>) -> Option<Bill> {
    serde_json::from_value(value?.clone()).ok()
}

/// A session's status. `connector`: the connector's own, where it could be asked.
pub(crate) fn charge_status(
    seq: &str,
    session: &SessionView,
    connector: Option<i64>,
    now: Timestamp,
    energy_decimals: u32,
) -> ChargeStatus {
    let newest = session.readings.as_ref().and_then(|readings| readings.last()).map(|reading| reading.at);
    let at = |moment: Option<Moment>| moment.map(|moment| ChinaTime(moment.0));
    let start_time = at(session.started_at).unwrap_or(ChinaTime(session.created_at.0));
    let end_time = at(session.ended_at.or(newest)).unwrap_or(ChinaTime(now)).max(start_time);
    let sums = bill_of(session.bill.as_ref()).map(|bill| sums(&bill, energy_decimals));
    let so_far = session.amount_so_far.as_ref().map(|money| fen(money.minor));
    let (elec_money, sevice_money, total_money, charge_details) = match sums {
        Some(sums) => (Some(sums.electricity), Some(sums.service), Some(sums.total), sums.details),
        None => (None, None, so_far, Vec::new()),
    };
    ChargeStatus {
        start_charge_seq: seq.to_owned(),
        start_charge_seq_stat: session_stat(session.status),
        connector_id: connector_name(&session.charger_id, session.connector_id),
        connector_status: connector.unwrap_or(session_connector(session.status)),
        // Chargers tell energy and power, not always current and voltage; the standard wants a number.
        current_a: Decimal::ZERO,
        voltage_a: Decimal::ZERO,
        soc: session.soc_percent.map_or(Decimal::ZERO, Decimal::from),
        start_time,
        end_time,
        total_power: kwh(session.energy_wh.max(0)),
        elec_money,
        sevice_money,
        total_money,
        sum_period: i64::try_from(charge_details.len()).unwrap_or(0),
        charge_details,
    }
}

/// The order of an ended session by its bill.
pub(crate) fn order_info(seq: &str, session: &SessionView, bill: &Bill, energy_decimals: u32) -> OrderInfo {
    let sums = sums(bill, energy_decimals);
    let start = session.started_at.unwrap_or(session.created_at);
    let end = session.ended_at.unwrap_or(Moment(bill.to));
    OrderInfo {
        start_charge_seq: seq.to_owned(),
        connector_id: connector_name(&session.charger_id, session.connector_id),
        start_time: ChinaTime(start.0),
        end_time: ChinaTime(end.0),
        total_power: kwh(bill.energy_wh),
        total_elec_money: sums.electricity,
        total_sevice_money: sums.service,
        total_money: sums.total,
        stop_reason: session.end_reason.as_deref().map_or(99, reasons::end_reason),
        sum_period: i64::try_from(sums.details.len()).unwrap_or(0),
        charge_details: sums.details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connectors_facts_are_told_in_the_standards_figures() {
        let facts = |standard: &str, format: &str, power: &str| -> ConnectorFacts {
            serde_json::from_value(serde_json::json!({"standard": standard, "format": format, "power_type": power,
                "max_voltage": 220, "max_amperage": 32}))
            .unwrap()
        };
        for (of, kind, power_w) in [
            (facts("GBT_DC", "CABLE", "DC"), 4, 7_040),
            (facts("GBT_AC", "CABLE", "AC_3_PHASE"), 3, 21_120),
            (facts("GBT_AC", "SOCKET", "AC_1_PHASE"), 2, 7_040),
            (facts("DOMESTIC_I", "SOCKET", "AC_1_PHASE"), 1, 7_040),
        ] {
            let known = Known::of(Some(&of));
            let figures = (known.connector_type, known.voltage, known.current, known.power_w);
            assert_eq!(figures, (kind, 220, 32, power_w), "{of:?}");
        }
        let none = Known::of(None);
        assert_eq!((none.connector_type, none.voltage, none.current, none.power_w), (6, 0, 0, 0));
    }
}
