//! Tests of tariffs: every finding of the check, the book of versions and places.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::*;
use crate::ids::SiteId;
use serde_json::{Value, json};

pub(crate) const BOUNDS: Bounds = Bounds {
    kwh_min: Price(1_000),
    kwh_max: Price(50_000),
    hour_max: Price(1_000_000),
    minute_max: Price(50_000),
    once_max: Price(10_000_000),
};

fn plain() -> Value {
    json!({"id": "t", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [
        {"name": "valley", "from": "00:00", "to": "08:00", "electricity": 3000, "service": 5000},
        {"name": "peak", "from": "08:00", "to": "24:00", "electricity": 9000, "service": 5000}]})
}

fn read(value: Value) -> Tariff {
    serde_json::from_value(value).unwrap()
}

/// The tariff with a member changed: what is found, as `path: problem`.
fn found(pointer: &str, value: Value) -> Vec<String> {
    let mut tariff = plain();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let place = tariff.pointer_mut(parent).unwrap();
    match place {
        Value::Array(items) => items.push(value),
        place => place[member] = value,
    }
    check(&read(tariff), &BOUNDS).into_iter().map(|e| format!("{}: {} ({})", e.path, e.problem, e.allowed)).collect()
}

#[test]
fn a_good_tariff_has_no_findings() {
    assert_eq!(check(&read(plain()), &BOUNDS), []);
}

#[test]
fn each_finding_names_the_member_and_what_is_allowed() {
    // MO-2: member, value, how the only finding begins, and what it holds.
    for (member, value, path, holds) in [
        ("/time_zone", json!("Asia/Shanghia"), "time_zone", "IANA"),
        ("/time_zone", json!("asia/shanghai"), "time_zone", "IANA"),
        ("/currency", json!("XXX"), "currency", "ISO 4217"),
        ("/name", json!("x".repeat(101)), "name", "100"),
        ("/start_fee", json!(-1), "start_fee", "0 to 10000000"),
        ("/slices", json!([]), "slices", "1 to 384"),
        ("/slices/0/to", json!("07:00"), "slices", "hole on mon 01-01 from 07:00 to 08:00"),
        ("/slices/0/to", json!("09:30"), "slices[1]", "overlaps slices[0] on mon 01-01 from 08:00 to 09:30"),
        ("/slices/0/to", json!("00:00"), "slices[0].to", "later than 00:00"),
        ("/slices/1/to", json!("23:00"), "slices", "hole on mon 01-01 from 23:00 to 24:00"),
        ("/slices/0/weekdays", json!([]), "slices[0].weekdays", "mon to sun"),
        ("/slices/0/weekdays", json!(["mon", "tue", "wed", "thu", "fri", "sat"]), "slices", "hole on sun 01-01"),
        ("/slices/0/seasons", json!([{"from": "01-01", "to": "12-30"}]), "slices", "12-31 from 00:00 to 08:00"),
        ("/slices/0/dates", json!({"from": "2026-05-01"}), "slices", "from 00:00 to 08:00"),
        (
            "/slices/0/dates",
            json!({"from": "2026-05-01", "until": "2026-05-01"}),
            "slices[0].dates.until",
            "later than",
        ),
        ("/slices/0/electricity", json!(60000), "slices[0].electricity", "0 to 50000"),
        ("/slices/0/time", json!(2_000_000), "slices[0].time", "0 to 1000000"),
        ("/slices/0/parking", json!(-5), "slices[0].parking", "0 to 1000000"),
        ("/slices/0/vat", json!({"energy": 10001}), "slices[0].vat.energy", "0 to 10000"),
        ("/slices/0/steps", json!({"energy_wh": 0}), "slices[0].steps", "1 to 86400"),
        ("/minimum", json!({"before_tax": -1}), "minimum.before_tax", "0 to"),
        ("/occupancy", json!({"grace_minutes": 20000, "per_minute": 1, "cap": 1}), "occupancy.grace_minutes", "10080"),
        ("/occupancy", json!({"grace_minutes": 15, "per_minute": 60000, "cap": 1}), "occupancy.per_minute", "50000"),
        ("/occupancy", json!({"grace_minutes": 15, "per_minute": 5000, "cap": 0}), "occupancy.cap", "more than 0"),
        (
            "/reservation",
            json!({"deposit": 100, "free_cancel_minutes": 5, "late_cancel_fee": 101, "no_show_fee": 100}),
            "reservation.late_cancel_fee",
            "0 to the deposit, 100",
        ),
        ("/valid_from", json!(1_800_000_000_000_i64), "", ""),
    ] {
        let found = found(member, value.clone());
        if path.is_empty() {
            assert!(found.is_empty(), "{member}={value}: {found:?}");
            continue;
        }
        let good = found.first().is_some_and(|e| e.starts_with(&format!("{path}: ")) && e.contains(holds));
        assert!(good, "{member}={value}: {found:?}");
    }
}

#[test]
fn a_forgotten_price_is_below_the_least() {
    let mut tariff = plain();
    tariff["slices"][0]["electricity"] = json!(0);
    tariff["slices"][0]["service"] = json!(0);
    let found = check(&read(tariff), &BOUNDS);
    assert_eq!((found.len(), found[0].path.as_str()), (1, "slices[0].electricity"), "{found:?}");
}

#[test]
fn bounds_and_validity_must_be_in_order() {
    let mut tariff = read(plain());
    tariff.minimum.before_tax = Some(Price(20));
    tariff.maximum.before_tax = Some(Price(10));
    (tariff.valid_from, tariff.valid_to) = (Some(Timestamp(5)), Some(Timestamp(5)));
    let paths: Vec<_> = check(&tariff, &BOUNDS).into_iter().map(|e| e.path).collect();
    assert_eq!(paths, ["valid_to", "maximum.before_tax"]);
}

#[test]
fn unknown_members_and_bad_forms_are_refused_when_read() {
    for (member, value) in
        [("/price", json!(1)), ("/slices/0/from", json!("8:00")), ("/slices/0/weekdays", json!(["x"]))]
    {
        let mut tariff = plain();
        let (parent, name) = member.rsplit_once('/').unwrap();
        tariff.pointer_mut(parent).unwrap()[name] = value;
        assert!(serde_json::from_value::<Tariff>(tariff).is_err(), "{member}");
    }
}

#[test]
fn a_long_hostile_tariff_is_told_in_bounded_words() {
    let mut tariff = read(plain());
    let slice = tariff.slices[0].clone();
    tariff.slices = vec![slice; 2000];
    let found = check(&tariff, &BOUNDS);
    assert!(!found.is_empty() && found.len() <= 50, "{}", found.len());
}

/// A book after changes; each version of `t` costs its number in sharp.
struct Shelf(Book);

impl Shelf {
    fn publish(&mut self, id: &str, edit: impl FnOnce(&mut Tariff)) -> u32 {
        let mut tariff = read(plain());
        tariff.id = id.parse().unwrap();
        edit(&mut tariff);
        let (change, version) = self.0.publish(checked(tariff, &BOUNDS).unwrap()).unwrap();
        self.0.apply(&change);
        version
    }

    fn out(&mut self, id: &str, version: u32, sites: &[&str], from: i64, now: i64) -> Result<(), BookRefusal> {
        let change = self.0.roll_out(id.parse().unwrap(), version, scope(sites), Timestamp(from), Timestamp(now))?;
        self.0.apply(&change);
        Ok(())
    }

    fn back(&mut self, id: &str, sites: &[&str], now: i64) -> Result<(), BookRefusal> {
        let change = self.0.roll_back(id.parse().unwrap(), scope(sites), Timestamp(now))?;
        self.0.apply(&change);
        Ok(())
    }

    fn at(&self, site: &str, at: i64) -> Option<(String, u32)> {
        let site: SiteId = site.parse().unwrap();
        self.0.tariff_at(&site, Timestamp(at)).map(|tariff| (tariff.id.to_string(), tariff.version))
    }
}

fn scope(sites: &[&str]) -> Scope {
    if sites.is_empty() { Scope::Everywhere } else { Scope::Sites(sites.iter().map(|s| s.parse().unwrap()).collect()) }
}

fn is(id: &str, version: u32) -> Option<(String, u32)> {
    Some((id.to_owned(), version))
}

#[test]
fn a_version_goes_to_some_sites_first_then_to_all_and_back() {
    // MO-2.
    let mut shelf = Shelf(Book::default());
    assert_eq!((shelf.publish("t", |_| ()), shelf.publish("t", |_| ())), (1, 2));
    assert_eq!(shelf.at("A", 0), None);
    shelf.out("t", 1, &[], 10, 10).unwrap();
    assert_eq!((shelf.at("A", 9), shelf.at("A", 10), shelf.at("B", 10)), (None, is("t", 1), is("t", 1)));
    shelf.out("t", 2, &["A"], 20, 20).unwrap();
    assert_eq!((shelf.at("A", 20), shelf.at("B", 20)), (is("t", 2), is("t", 1)), "on trial at A");
    shelf.back("t", &["A"], 25).unwrap();
    assert_eq!((shelf.at("A", 24), shelf.at("A", 25)), (is("t", 2), is("t", 1)), "taken back at A");
    shelf.out("t", 2, &["A"], 30, 30).unwrap();
    shelf.out("t", 2, &[], 40, 40).unwrap();
    assert_eq!((shelf.at("A", 40), shelf.at("B", 40), shelf.at("B", 39)), (is("t", 2), is("t", 2), is("t", 1)));
    shelf.back("t", &[], 50).unwrap();
    assert_eq!((shelf.at("A", 50), shelf.at("B", 50)), (is("t", 1), is("t", 1)), "the trial goes back with all");
    assert_eq!((shelf.at("A", 45), shelf.at("B", 15)), (is("t", 2), is("t", 1)), "history stays");
}

#[test]
fn a_sites_own_other_tariff_stands_when_one_comes_to_everywhere() {
    let mut shelf = Shelf(Book::default());
    shelf.publish("own", |_| ());
    shelf.publish("t", |_| ());
    shelf.out("own", 1, &["A"], 10, 10).unwrap();
    shelf.out("t", 1, &[], 20, 20).unwrap();
    assert_eq!((shelf.at("A", 30), shelf.at("B", 30)), (is("own", 1), is("t", 1)));
}

#[test]
fn a_planned_version_waits_for_its_time_and_may_be_taken_back_before() {
    let mut shelf = Shelf(Book::default());
    shelf.publish("t", |_| ());
    shelf.publish("t", |_| ());
    shelf.out("t", 1, &[], 10, 10).unwrap();
    shelf.out("t", 2, &[], 100, 20).unwrap();
    assert_eq!((shelf.at("A", 99), shelf.at("A", 100)), (is("t", 1), is("t", 2)));
    shelf.back("t", &[], 50).unwrap();
    assert_eq!((shelf.at("A", 60), shelf.at("A", 200)), (is("t", 1), is("t", 1)));
}

#[test]
fn a_version_counts_only_within_its_validity() {
    let mut shelf = Shelf(Book::default());
    shelf.publish("t", |_| ());
    shelf.publish("t", |tariff| (tariff.valid_from, tariff.valid_to) = (Some(Timestamp(50)), Some(Timestamp(80))));
    shelf.out("t", 1, &[], 10, 10).unwrap();
    shelf.out("t", 2, &[], 20, 20).unwrap();
    let got: Vec<_> = [30, 49, 50, 79, 80].map(|at| shelf.at("A", at).unwrap().1).into();
    assert_eq!(got, [1, 1, 2, 2, 1]);
    assert_eq!(shelf.out("t", 2, &[], 80, 70), Err(BookRefusal::Over));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut shelf = Shelf(Book::default());
    shelf.publish("t", |_| ());
    assert_eq!(shelf.out("t", 2, &[], 10, 10), Err(BookRefusal::Unknown));
    assert_eq!(shelf.out("u", 1, &[], 10, 10), Err(BookRefusal::Unknown));
    assert_eq!(shelf.out("t", 1, &[], 9, 10), Err(BookRefusal::Past));
    assert_eq!(shelf.back("t", &[], 10), Err(BookRefusal::NotThere));
    shelf.out("t", 1, &["A"], 10, 10).unwrap();
    assert_eq!(shelf.back("t", &["A", "B"], 10), Err(BookRefusal::NotThere));
    let none = shelf.0.roll_out("t".parse().unwrap(), 1, Scope::Sites(Vec::new()), Timestamp(10), Timestamp(10));
    assert_eq!(none, Err(BookRefusal::Sites));
    let stale = Tariff { version: 1, ..read(plain()) };
    assert_eq!(shelf.0.publish(checked(stale, &BOUNDS).unwrap()), Err(BookRefusal::Stale));
}

#[test]
fn a_book_reads_back_as_it_was_written() {
    let mut shelf = Shelf(Book::default());
    shelf.publish("t", |tariff| tariff.name = "Ünïcode".into());
    shelf.out("t", 1, &["A"], 10, 10).unwrap();
    let text = serde_json::to_string(&shelf.0).unwrap();
    assert_eq!(serde_json::from_str::<Book>(&text).unwrap(), shelf.0);
    assert_eq!(serde_json::from_str::<Book>("{}").unwrap(), Book::default());
}
