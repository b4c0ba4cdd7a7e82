//! The worked bills (MO-2, SE-8, SE-9, SE-13): every one of `tests/bills/bills.json` is what our code makes of the same tariff
//! and readings. The table is worked out by `tests/bills/make.py` without our code; some totals on paper, too. To change it,
//! change `cases.py` and run the script; where Python and its time zones are there, a test holds the table to the script.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use chargeline::clock::Timestamp;
use chargeline::domain::money::Price;
use chargeline::domain::pricing::{self, Bill, Span, Usage, again, stay::Stay};
use chargeline::domain::tariff::{Bounds, Tariff, check};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Table {
    tariffs: BTreeMap<String, Tariff>,
    bills: Vec<Case>,
    stays: Vec<StayCase>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    tariff: String,
    usage: Usage,
    bill: Value,
}

#[derive(Deserialize)]
struct StayCase {
    name: String,
    tariff: String,
    charged: Timestamp,
    occupied: Vec<(Timestamp, Timestamp)>,
    stay: Value,
}

fn table() -> Table {
    serde_json::from_str(include_str!("bills/bills.json")).unwrap()
}

/// Wide enough for all currencies of the table.
const BOUNDS: Bounds = Bounds {
    kwh_min: Price(0),
    kwh_max: Price(100_000_000),
    hour_max: Price(1_000_000),
    minute_max: Price(1_000_000),
    once_max: Price(100_000_000),
};

/// A bill as the table tells it.
fn shown(bill: &Bill) -> Value {
    let lines = bill.lines.iter().map(|line| {
        json!({"kind": line.kind, "slice": line.slice, "count": line.count, "amount": line.amount.minor, "flags": line.flags})
    });
    json!({"lines": lines.collect::<Vec<_>>(), "total": bill.total.minor, "energy_wh": bill.energy_wh, "flags": sorted(bill)})
}

fn sorted(bill: &Bill) -> Vec<String> {
    let mut flags: Vec<String> =
        bill.flags.iter().map(|flag| json!(flag).as_str().unwrap_or_default().to_owned()).collect();
    flags.sort();
    flags
}

#[test]
fn every_worked_bill_is_what_we_make_of_it() {
    let table = table();
    assert!(table.bills.len() + table.stays.len() >= 60);
    let mut wrong = Vec::new();
    for case in &table.bills {
        let bill = pricing::price(&table.tariffs[&case.tariff], &case.usage).unwrap();
        if shown(&bill) != case.bill {
            wrong.push(format!("{}\n  worked {}\n  ours   {}", case.name, case.bill, shown(&bill)));
        }
    }
    assert!(wrong.is_empty(), "{} of {} bills differ:\n{}", wrong.len(), table.bills.len(), wrong.join("\n"));
}

#[test]
fn every_worked_stay_is_what_we_make_of_it() {
    let table = table();
    for case in table.stays {
        let occupied = case.occupied.iter().map(|(from, to)| Span { from: *from, to: *to }).collect();
        let stay = Stay { charged: case.charged, occupied };
        let bill = pricing::stay::occupancy(&table.tariffs[&case.tariff], &stay).unwrap().unwrap();
        let minutes = bill.lines.first().map_or(0, |line| line.count);
        assert_eq!(json!({"minutes": minutes, "total": bill.total.minor}), case.stay, "{}", case.name);
    }
}

#[test]
fn the_tariffs_of_the_table_pass_their_check() {
    for (id, tariff) in table().tariffs {
        assert_eq!(check(&tariff, &BOUNDS), [], "{id}");
    }
}

#[test]
fn the_second_path_finds_nothing_in_worked_bills_and_a_planted_error_in_each() {
    // MO-9.
    let table = table();
    let mut planted = 0;
    for case in &table.bills {
        let tariff = &table.tariffs[&case.tariff];
        let mut bill = pricing::price(tariff, &case.usage).unwrap();
        assert_eq!(again::compare(tariff, &case.usage, &bill).unwrap(), [], "{}", case.name);
        if let Some(line) = bill.lines.iter_mut().find(|line| line.slice.is_some() && line.evidence.is_some()) {
            line.uncut = None;
            line.amount.minor += 1_000_000;
            planted += 1;
            assert_ne!(again::compare(tariff, &case.usage, &bill).unwrap(), [], "{}", case.name);
        }
    }
    assert!(planted > 40, "{planted}");
}

#[test]
fn the_table_is_what_the_script_makes() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bills/make.py");
    let zones = "from zoneinfo import ZoneInfo; ZoneInfo('Asia/Shanghai')";
    let python = |arguments: &[&str]| std::process::Command::new("python3").arg("-B").args(arguments).output();
    // Python 3.9 or later with time zones is no condition for building: without it the table stands as it is.
    if !python(&["-c", zones]).is_ok_and(|done| done.status.success()) {
        return;
    }
    let done = python(&[script, "--check"]).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
