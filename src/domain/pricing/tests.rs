//! Tests of pricing: properties over random tariffs, sessions, gaps and clock changes. The worked bills are in `tests/bills.rs`.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::*;
use crate::domain::pricing::stay::{Outcome, reservation};
use crate::domain::tariff::{Limit, Minute, Occupancy, Reservation, Slice, Steps, Vat, Weekdays};
use proptest::prelude::*;

const ZONES: [&str; 8] = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
];
const HOUR: i64 = 3_600_000;
/// 2026-01-01T00:00Z.
const BASE: i64 = 1_767_225_600_000;

fn slice(from: u16, to: u16, weekdays: Weekdays, price: (i64, i64, i64, i64)) -> Slice {
    Slice {
        name: SliceName::Flat,
        from: Minute::new(from),
        to: Minute::new(to),
        weekdays,
        seasons: Vec::new(),
        dates: None,
        electricity: Price(price.0),
        service: Price(price.1),
        time: Price(price.2),
        parking: Price(price.3),
        start_fee: None,
        vat: None,
        steps: Steps::default(),
    }
}

fn tariff_of(zone: &str, slices: Vec<Slice>) -> Tariff {
    Tariff {
        id: "t".parse().unwrap(),
        version: 1,
        name: String::new(),
        currency: Currency::CNY,
        time_zone: zone.to_owned(),
        valid_from: None,
        valid_to: None,
        slices,
        start_fee: Price(0),
        minimum: Limit::default(),
        maximum: Limit::default(),
        vat: Vat::default(),
        occupancy: None,
        reservation: None,
    }
}

prop_compose! {
    /// A week of workdays and a week-end, each cut at random minutes, in a random zone.
    fn tariffs()(
        zone in 0..ZONES.len(),
        cuts in prop::collection::btree_set(1u16..1440, 0..23),
        rest in prop::collection::btree_set(1u16..1440, 0..5),
        prices in prop::collection::vec((0i64..30_000, 0i64..20_000, 0i64..100_000, 0i64..100_000), 30),
        start_fee in prop_oneof![Just(0i64), 1i64..100_000],
        maximum in prop::option::of(0i64..2_000_000),
        minimum in prop::option::of(0i64..200_000),
        vat in prop::option::of(0u32..10_000),
    ) -> Tariff {
        let work = (0..5).fold(Weekdays::NONE, Weekdays::with);
        let mut slices = Vec::new();
        for (days, cuts) in [(work, cuts), (Weekdays::NONE.with(5).with(6), rest)] {
            let borders: Vec<u16> = [0].into_iter().chain(cuts).chain([1440]).collect();
            slices.extend(borders.windows(2).enumerate().map(|(n, pair)| slice(pair[0], pair[1], days, prices[n % 30])));
        }
        let minimum = minimum.map(|least| least.min(maximum.unwrap_or(least)));
        Tariff {
            start_fee: Price(start_fee),
            maximum: Limit { before_tax: maximum.map(Price), with_tax: None },
            minimum: Limit { before_tax: minimum.map(Price), with_tax: None },
            vat: Vat { energy: vat, time: vat, parking: None, start_fee: vat },
            ..tariff_of(ZONES[zone], slices)
        }
    }
}

prop_compose! {
    /// Sessions of up to three days around a year that has every change of the clock, with gaps, late and odd readings.
    fn usages()(
        start in 0i64..366 * 24 * HOUR,
        length in prop_oneof![Just(0i64), 0i64..12 * HOUR, 0i64..72 * HOUR],
        start_wh in 0i64..1_000_000,
        told in prop::collection::vec((0i64..=1_000, 0i64..120_000, any::<bool>()), 0..60),
        odd in prop::collection::vec((-HOUR..80 * HOUR, -5_000i64..200_000), 0..4),
        parked in prop::collection::vec((0i64..=1_000, 0i64..=1_000), 0..4),
        gap_after_ms in prop_oneof![Just(180_000i64), Just(HOUR)],
    ) -> Usage {
        let start = BASE + start;
        let at = |part: i64| Timestamp(start + length * part / 1_000);
        let mut parts: Vec<i64> = told.iter().map(|(part, _, _)| *part).collect();
        parts.sort_unstable();
        let mut wh = start_wh;
        let mut readings: Vec<Register> = parts.iter().zip(&told).map(|(part, (_, more, late))| {
            wh += more;
            Register { at: at(*part), wh, late: *late }
        }).collect();
        let end_wh = wh + told.len() as i64;
        readings.extend(odd.iter().map(|(when, wh)| Register { at: Timestamp(start + when), wh: start_wh + wh, late: true }));
        let parked = parked.iter().map(|(a, b)| Span { from: at(*a.min(b)), to: at(*a.max(b)) }).collect();
        Usage { start: Timestamp(start), end: Timestamp(start + length), start_wh, end_wh, readings, parked, gap_after_ms, estimated: false }
    }
}

/// The register at a moment, on the line of the readings that count.
fn cut_at(usage: &Usage, at: Timestamp) -> i64 {
    let mut before = (usage.start, usage.start_wh);
    for reading in counted(usage) {
        if reading.0 > at {
            return running::between(before, reading, at);
        }
        before = reading;
    }
    before.1
}

/// The readings that count, in order, the end last.
fn counted(usage: &Usage) -> Vec<(Timestamp, i64)> {
    let mut sorted = usage.readings.clone();
    sorted.sort_by_key(|reading| (reading.at, reading.wh));
    let mut last = (usage.start, usage.start_wh);
    let mut found = Vec::new();
    for reading in sorted {
        let fits =
            (usage.start..=usage.end).contains(&reading.at) && (usage.start_wh..=usage.end_wh).contains(&reading.wh);
        if fits && reading.at >= last.0 && reading.wh >= last.1 {
            last = (reading.at, reading.wh);
            found.push(last);
        }
    }
    found.push((usage.end, usage.end_wh));
    found
}

fn energy_of(bill: &Bill) -> i64 {
    bill.lines.iter().filter(|line| line.kind == LineKind::Electricity).map(|line| line.count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn lines_add_up_to_the_total_and_to_the_register_and_none_is_negative(tariff in tariffs(), usage in usages()) {
        let bill = price(&tariff, &usage).unwrap();
        prop_assert_eq!(bill.lines.iter().map(|line| line.amount.minor).sum::<i64>(), bill.total.minor);
        prop_assert!(bill.lines.iter().all(|line| line.amount.minor >= 0 && line.count >= 0), "{bill:?}");
        prop_assert_eq!(bill.energy_wh, usage.end_wh - usage.start_wh);
        prop_assert_eq!(energy_of(&bill), bill.energy_wh);
        if let Some(most) = tariff.maximum.before_tax {
            let net: i64 = bill.lines.iter().filter(|line| line.kind != LineKind::Tax).map(|line| line.amount.minor).sum();
            prop_assert!(net <= most.of(1, 1, tariff.currency).unwrap().minor);
        }
        // Lines of energy follow each other without hole or overlap, in time and on the register.
        let lines: Vec<_> = bill.lines.iter().filter(|line| line.kind == LineKind::Electricity).collect();
        for pair in lines.windows(2) {
            prop_assert!(pair[0].to <= pair[1].from);
            prop_assert_eq!(pair[0].evidence.unwrap().to_wh, pair[1].evidence.unwrap().from_wh);
        }
    }

    #[test]
    fn the_second_path_agrees(tariff in tariffs(), usage in usages()) {
        // MO-9.
        let bill = price(&tariff, &usage).unwrap();
        prop_assert_eq!(again::compare(&tariff, &usage, &bill).unwrap(), vec![]);
    }

    #[test]
    fn a_session_cut_in_two_costs_the_same_but_for_rounding(tariff in tariffs(), usage in usages(), part in 0i64..=1_000) {
        // What is charged once, bounded or taxed on sums is not the matter here.
        let tariff = Tariff { start_fee: Price(0), minimum: Limit::default(), maximum: Limit::default(), vat: Vat::default(), ..tariff };
        let cut = Timestamp(usage.start.0 + (usage.end.0 - usage.start.0) * part / 1_000);
        let wh = cut_at(&usage, cut);
        let knots = counted(&usage);
        let reading = |(at, wh): (Timestamp, i64)| Register { at, wh, late: false };
        let pick = |first: bool| knots.iter().copied().filter(|(at, reads)| if first { *at <= cut && *reads <= wh } else { *at > cut }).map(reading).collect();
        let one = Usage { end: cut, end_wh: wh, readings: pick(true), ..usage.clone() };
        let two = Usage { start: cut, start_wh: wh, readings: pick(false), ..usage.clone() };
        let (whole, one, two) = (price(&tariff, &usage).unwrap(), price(&tariff, &one).unwrap(), price(&tariff, &two).unwrap());
        prop_assert_eq!(one.energy_wh + two.energy_wh, whole.energy_wh);
        // Half a minor unit a line, and the whole Wh to which a register on a border is rounded.
        let lines = whole.lines.len() + one.lines.len() + two.lines.len();
        let dearest = tariff.slices.iter().map(|slice| slice.electricity.0 + slice.service.0).max().unwrap();
        let allowed = lines as i64 / 2 + 1 + dearest * 2 * lines as i64 / 100_000;
        let off = (one.total.minor + two.total.minor - whole.total.minor).abs();
        prop_assert!(off <= allowed, "{} + {} is not {}, {} allowed", one.total, two.total, whole.total, allowed);
    }

    #[test]
    fn the_running_price_is_the_bill_of_what_was_read_so_far(tariff in tariffs(), usage in usages()) {
        // SE-11.
        let tariff = Tariff { minimum: Limit::default(), ..tariff };
        let mut running = Running::begin(&tariff, usage.start, usage.start_wh, usage.gap_after_ms).unwrap();
        let mut before = so_far(&tariff, &running).unwrap();
        for (n, (at, wh)) in counted(&usage).into_iter().enumerate() {
            let counts = running.read(&tariff, Register { at, wh, late: false }).unwrap();
            prop_assert!(counts);
            let now = so_far(&tariff, &running).unwrap();
            prop_assert!(now.minor >= before.minor, "it fell from {before} to {now}");
            before = now;
            if n % 16 == 0 {
                let told = serde_json::to_string(&running).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Running>(&told).unwrap(), &running);
            }
        }
        let whole = price(&tariff, &Usage { parked: Vec::new(), ..usage }).unwrap();
        prop_assert_eq!(before, whole.total);
    }

    #[test]
    fn more_energy_never_costs_less(tariff in tariffs(), usage in usages(), more in 0i64..50_000) {
        let tariff = Tariff { minimum: Limit::default(), ..tariff };
        let less = Usage { readings: Vec::new(), ..usage };
        let dearer = Usage { end_wh: less.end_wh + more, ..less.clone() };
        let (less, dearer) = (price(&tariff, &less).unwrap(), price(&tariff, &dearer).unwrap());
        // Each border rounds the register to a whole Wh, each line its amount.
        let rounding = less.lines.len() as i64 * 2;
        prop_assert!(dearer.total.minor + rounding >= less.total.minor, "{} < {}", dearer.total, less.total);
    }

    #[test]
    fn readings_may_come_in_any_order(tariff in tariffs(), usage in usages(), seed in any::<u64>()) {
        // SE-8.
        let mut mixed = usage.clone();
        let count = mixed.readings.len() as u64;
        for n in 0..mixed.readings.len() {
            let other = usize::try_from((seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n as u64)) % count.max(1)).unwrap();
            mixed.readings.swap(n, other);
        }
        let (straight, mixed) = (price(&tariff, &usage).unwrap(), price(&tariff, &mixed).unwrap());
        prop_assert_eq!(straight.total, mixed.total);
    }
}

#[test]
fn times_beyond_any_calendar_have_a_bill() {
    let tariff = tariff_of("Europe/Berlin", vec![slice(0, 1440, Weekdays::ALL, (5_000, 0, 10_000, 0))]);
    let far = |start: i64, end: i64| Usage {
        start: Timestamp(start),
        end: Timestamp(end),
        start_wh: i64::MIN / 4,
        end_wh: i64::MIN / 4 + 1_000,
        readings: vec![Register { at: Timestamp(i64::MAX), wh: i64::MAX, late: false }],
        parked: vec![Span { from: Timestamp(i64::MIN), to: Timestamp(i64::MAX) }],
        gap_after_ms: 1,
        estimated: false,
    };
    for (start, end) in [(0, i64::MAX), (i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MAX, i64::MAX), (BASE, 0)] {
        let bill = price(&tariff, &far(start, end)).unwrap();
        assert_eq!(bill.energy_wh, 1_000, "{start} {end}");
    }
}

#[test]
fn a_reservation_costs_by_the_rule_that_was_shown() {
    // RS-2, RS-4: rule of 20.00 deposit, 5 minutes free, 5.00 late, 10.00 not come.
    let rule = Reservation {
        deposit: Price(200_000),
        free_cancel_minutes: 5,
        late_cancel_fee: Price(50_000),
        no_show_fee: Price(100_000),
    };
    let mut tariff = tariff_of("Asia/Shanghai", vec![slice(0, 1440, Weekdays::ALL, (5_000, 0, 0, 0))]);
    let made = Timestamp(BASE);
    let after = |minutes: i64| Timestamp(BASE + minutes * 60_000);
    for (rule, outcome, taken, returned) in [
        (Some(rule), Outcome::Free, 0, 2_000),
        (Some(rule), Outcome::Cancelled(after(4)), 0, 2_000),
        (Some(rule), Outcome::Cancelled(after(5)), 0, 2_000),
        (Some(rule), Outcome::Cancelled(Timestamp(after(5).0 + 1)), 500, 1_500),
        (Some(rule), Outcome::NoShow(after(30)), 1_000, 1_000),
        (Some(Reservation { no_show_fee: Price(300_000), ..rule }), Outcome::NoShow(after(30)), 2_000, 0),
        (None, Outcome::NoShow(after(30)), 0, 0),
    ] {
        tariff.reservation = rule;
        let settled = reservation(&tariff, made, outcome).unwrap();
        assert_eq!((settled.bill.total.minor, settled.returned.minor), (taken, returned), "{outcome:?}");
        assert_eq!(settled.bill.lines.iter().map(|line| line.amount.minor).sum::<i64>(), taken);
    }
}

#[test]
fn the_cap_of_a_stay_is_what_stays_frozen() {
    // SE-13.
    let mut tariff = tariff_of("Asia/Shanghai", vec![slice(0, 1440, Weekdays::ALL, (5_000, 0, 0, 0))]);
    assert_eq!(stay::occupancy_cap(&tariff).unwrap().minor, 0);
    tariff.occupancy = Some(Occupancy { grace_minutes: 15, per_minute: Price(5_000), cap: Price(300_000) });
    assert_eq!(stay::occupancy_cap(&tariff).unwrap().minor, 3_000);
}

#[test]
fn a_bill_reads_back_as_it_was_written() {
    let tariff = tariff_of("Europe/Berlin", vec![slice(0, 1440, Weekdays::ALL, (5_000, 3_000, 10_000, 0))]);
    let usage = Usage {
        start: Timestamp(BASE),
        end: Timestamp(BASE + HOUR),
        start_wh: 5,
        end_wh: 7_005,
        readings: Vec::new(),
        parked: Vec::new(),
        gap_after_ms: 180_000,
        estimated: true,
    };
    let bill = price(&tariff, &usage).unwrap();
    assert_eq!(bill.flags, [BillFlag::Estimated]);
    assert_eq!(serde_json::from_str::<Bill>(&serde_json::to_string(&bill).unwrap()).unwrap(), bill);
}
