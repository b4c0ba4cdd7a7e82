//! Tables of statements, and what holds of any lines.

use super::days::{Days, Open};
use super::file::{COLUMNS, File, Format, Made, Making, safe};
use super::line::{self, Figures, Line};
use super::shares::{BadRule, Rule, Share, split};
use super::totals::{Balance, Totals};
use crate::clock::Timestamp;
use crate::domain::money::Currency;
use crate::domain::order::Kind;
use crate::domain::tariff::Minute;
use crate::ids::{ConnectorId, OrderId, PartnerId, SessionId};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn acme() -> PartnerId {
    "acme".parse().unwrap()
}

/// A line of an order with that number, so many minor units in all, half of it electricity.
pub(crate) fn a_line(order: u128, number: u32, at: Timestamp, total: i64) -> Line {
    let electricity = total / 2;
    Line {
        order: OrderId(Uuid::from_u128(order)),
        number: number.to_string().into(),
        corrects: number > 1,
        at,
        first_at: at,
        session: SessionId(Uuid::from_u128(order)),
        charger: "CP1".into(),
        connector: ConnectorId(1),
        site: Some("site-1".parse().unwrap()),
        kind: Kind::Charging,
        account: false,
        started: at,
        ended: at,
        figures: Figures { energy_wh: 1000, electricity, service: total - electricity, other: 0, total },
        currency: Currency::CNY,
        tariff: "flat".parse().unwrap(),
        version: 1,
        note: None,
    }
}

fn an_open() -> Open {
    let days = Days::of("Asia/Shanghai", Minute::new(60)).unwrap();
    days.open(moment("2026-11-20T00:00:00+08:00"), None)
}

fn make(lines: &[Line], rules: &[Rule], piece: usize) -> Made {
    let mut making = Making::begin(&acme(), &an_open()).unwrap();
    for piece in lines.chunks(piece) {
        making.lines(piece, rules).unwrap();
    }
    making.end().unwrap()
}

fn bytes(format: Format, lines: &[Line], piece: usize) -> (Vec<u8>, super::file::Sum) {
    let (mut file, mut all) = File::begin(format, &acme(), &an_open()).unwrap();
    for piece in lines.chunks(piece) {
        all.extend(file.lines(piece).unwrap());
    }
    let (last, sum) = file.end().unwrap();
    all.extend(last);
    (all, sum)
}

/// A statement as its partner is told of it, for the catalogue of events.
pub(crate) fn a_view() -> serde_json::Value {
    let open = an_open();
    let lines = [a_line(1, 1, open.from, 1234), a_line(2, 1, open.from, 5600)];
    let made = make(&lines, &[rule(0, None, &[("site-owner", 300)], "acme")], 10);
    let made_at = open.due;
    let period = super::period::Period {
        status: Some(super::period::Status::Stated),
        open: Some(open),
        made,
        made_at,
        ..Default::default()
    };
    super::view::value(&acme(), &period)
}

#[test]
fn a_local_day_is_what_the_zone_says_and_its_statement_is_made_the_day_after() {
    // zone, from, until, due, id
    let table = [
        (
            "Asia/Shanghai",
            "2026-11-20T00:00:00+08:00",
            "2026-11-21T00:00:00+08:00",
            "2026-11-21T01:00:00+08:00",
            "2026-11-20",
        ),
        (
            "Asia/Shanghai",
            "2026-11-20T15:30:00+08:00",
            "2026-11-21T00:00:00+08:00",
            "2026-11-21T01:00:00+08:00",
            "2026-11-20",
        ),
        // 23 hours and 25 hours.
        (
            "Europe/Berlin",
            "2026-03-29T00:00:00+01:00",
            "2026-03-30T00:00:00+02:00",
            "2026-03-30T01:00:00+02:00",
            "2026-03-29",
        ),
        (
            "Europe/Berlin",
            "2026-10-25T00:00:00+02:00",
            "2026-10-26T00:00:00+01:00",
            "2026-10-26T01:00:00+01:00",
            "2026-10-25",
        ),
        // Midnight is skipped: the day begins at one.
        (
            "America/Santiago",
            "2026-09-05T00:00:00-04:00",
            "2026-09-06T01:00:00-03:00",
            "2026-09-06T01:00:00-03:00",
            "2026-09-05",
        ),
    ];
    for (zone, from, until, due, id) in table {
        let open = Days::of(zone, Minute::new(60)).unwrap().open(moment(from), None);
        assert_eq!((open.until, open.due), (moment(until), moment(due)), "{zone} {from}");
        assert_eq!(open.id.as_str(), id);
    }
    assert!(Days::of("Mars/Olympus", Minute::new(60)).is_err());
}

#[test]
fn stretches_follow_each_other_whatever_the_zone_is() {
    let mut open = an_open();
    for (zone, id) in
        [("Asia/Shanghai", "2026-11-21"), ("America/New_York", "2026-11-21-2"), ("America/New_York", "2026-11-22")]
    {
        let cut = if id == "2026-11-21-2" {
            Open { until: moment("2026-11-21T20:00:00+08:00"), ..open.clone() }
        } else {
            open.clone()
        };
        let next = Days::of(zone, Minute::new(60)).unwrap().open(cut.until, Some(&cut));
        assert_eq!((next.id.as_str(), next.from), (id, cut.until));
        open = next;
    }
}

#[test]
fn the_bytes_of_a_file_are_these() {
    let at = moment("2026-11-20T08:00:00Z");
    let mut odd = a_line(1, 2, at, -50);
    odd.note = Some("=cmd|' /C calc'!A0, \"quoted\"".into());
    odd.tariff = "-flat".parse().unwrap();
    let (csv, sum) = bytes(Format::Csv, &[a_line(1, 1, at, 151), odd.clone()], 1);
    let csv = String::from_utf8(csv).unwrap();
    let expected = format!(
        "{}\r\n\
         00000000-0000-0000-0000-000000000001,1,false,2026-11-20T08:00:00.000Z,00000000-0000-0000-0000-000000000001,CP1,1,\
         site-1,charging,partner,2026-11-20T08:00:00.000Z,2026-11-20T08:00:00.000Z,1000,75,76,0,151,CNY,flat,1,\
         2026-11-20T08:00:00.000Z,\r\n\
         00000000-0000-0000-0000-000000000001,2,true,2026-11-20T08:00:00.000Z,00000000-0000-0000-0000-000000000001,CP1,1,\
         site-1,charging,partner,2026-11-20T08:00:00.000Z,2026-11-20T08:00:00.000Z,1000,-25,-25,0,-50,CNY,'-flat,1,\
         2026-11-20T08:00:00.000Z,\"'=cmd|' /C calc'!A0, \"\"quoted\"\"\"\r\n",
        COLUMNS.join(",")
    );
    assert_eq!(csv, expected);
    assert_eq!(*sum.sha256, *hex::encode(Sha256::digest(csv.as_bytes())));
    let (json, _) = bytes(Format::Json, &[a_line(1, 1, at, 151), odd], 5);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((&json["statement_id"], &json["lines"][1]["total_minor"]), (&"2026-11-20".into(), &(-50).into()));
    assert_eq!((&json["totals"][0]["total"], &json["totals"][0]["corrections"]), (&101.into(), &1.into()));
    let (none, _) = bytes(Format::Json, &[], 5);
    let none: serde_json::Value = serde_json::from_slice(&none).unwrap();
    assert_eq!((none["lines"].as_array().unwrap().len(), none["totals"].as_array().unwrap().len()), (0, 0));
}

#[test]
fn no_text_is_a_formula_and_numbers_stay_numbers() {
    for (text, cell) in [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("CP-1", "CP-1"),
        ("", ""),
        ("充电", "充电"),
    ] {
        assert_eq!(safe(text), cell);
    }
}

#[test]
fn lines_are_where_their_time_says_and_their_orders_point_at_them() {
    let (early, late) = (a_line(1, 1, Timestamp(999), 1), a_line(1, 2, Timestamp(1_700_000_000_000), 1));
    assert!(line::key(&acme(), &early) < line::border(&acme(), Timestamp(1000)));
    assert!(line::key(&acme(), &early) > line::border(&acme(), Timestamp(999)), "a border is before its own moment");
    assert!(line::key(&acme(), &early) < line::key(&acme(), &late));
    let (at, key) = line::key_of_pointer(&acme(), &line::order_key(&late)).unwrap();
    assert_eq!((at, key), (late.at, line::key(&acme(), &late)));
}

fn rule(from: i64, site: Option<&str>, shares: &[(&str, u32)], remainder: &str) -> Rule {
    let share = |(party, share): &(&str, u32)| Share { party: party.parse().unwrap(), share: *share };
    Rule {
        from: Timestamp(from),
        site: site.map(|site| site.parse().unwrap()),
        shares: shares.iter().map(share).collect(),
        remainder: remainder.parse().unwrap(),
        by: "ada".into(),
    }
}

#[test]
fn the_newest_rule_of_the_place_shares_and_the_last_party_gets_what_is_left() {
    let rules = [
        rule(0, None, &[("acme", 1_000)], "us"),
        rule(0, Some("site-1"), &[("landlord", 333), ("acme", 333)], "us"),
        rule(100, None, &[("acme", 5_000)], "us"),
    ];
    let of = |site: Option<&str>, at: i64, total: i64| {
        let mut line = a_line(1, 1, Timestamp(at), total);
        line.site = site.map(|site| site.parse().unwrap());
        split(&rules, &line).into_iter().map(|part| (part.party.to_string(), part.minor)).collect::<Vec<_>>()
    };
    let parts =
        |parts: &[(&str, i64)]| parts.iter().map(|(party, minor)| ((*party).to_owned(), *minor)).collect::<Vec<_>>();
    assert_eq!(of(None, 5, 1_005), parts(&[("acme", 101), ("us", 904)]), "100.5 is rounded away from zero");
    assert_eq!(of(None, 5, -1_005), parts(&[("acme", -101), ("us", -904)]));
    assert_eq!(of(None, 100, 1_000), parts(&[("acme", 500), ("us", 500)]));
    assert_eq!(
        of(Some("site-1"), 500, 100),
        parts(&[("landlord", 3), ("acme", 3), ("us", 94)]),
        "the place goes first"
    );
    assert_eq!(of(Some("site-2"), 50, 10), parts(&[("acme", 1), ("us", 9)]));
    assert_eq!(of(None, -1, 10), parts(&[]), "no rule held then");
}

#[test]
fn a_rule_that_cannot_be_followed_is_refused() {
    for (shares, wrong) in [
        (vec![("a", 10_000)], None),
        (vec![("a", 9_999), ("b", 2)], Some(BadRule::TooMuch)),
        (vec![("a", 1), ("a", 2)], Some(BadRule::Twice)),
        (vec![("us", 1)], Some(BadRule::Twice)),
        (
            vec![
                ("a", 1),
                ("b", 1),
                ("c", 1),
                ("d", 1),
                ("e", 1),
                ("f", 1),
                ("g", 1),
                ("h", 1),
                ("i", 1),
                ("j", 1),
                ("k", 1),
            ],
            Some(BadRule::TooMany),
        ),
    ] {
        assert_eq!(rule(0, None, &shares, "us").check().err(), wrong, "{shares:?}");
    }
}

#[test]
fn the_balance_is_what_the_partner_pays_less_its_shares() {
    let mut totals = Totals::default();
    let rules = [rule(0, None, &[("acme", 2_000)], "us")];
    let own = a_line(1, 1, Timestamp(5), 1_000);
    let ours = Line { account: true, ..a_line(2, 1, Timestamp(6), 500) };
    let euro = Line { currency: Currency::EUR, account: true, ..a_line(3, 1, Timestamp(7), 100) };
    [own, ours, euro].iter().for_each(|line| totals.add(line, &rules));
    let balance = |currency: &str, minor| Balance { currency: currency.into(), minor };
    assert_eq!(totals.balance(&acme()), [balance("CNY", 1_000 - 200 - 100), balance("EUR", -20)]);
    assert_eq!(totals.lines(), 3);
}

prop_compose! {
    fn any_line()(order in 0u128..50, number in 1u32..4, at in 0i64..1_000_000, first in 0i64..1_000_000,
        parts in proptest::array::uniform3(-1_000_000i64..1_000_000), account: bool, euro: bool, site in 0u8..3) -> Line {
        let [electricity, service, other] = parts;
        let figures = Figures { energy_wh: electricity, electricity, service, other, total: electricity + service + other };
        let currency = if euro { Currency::EUR } else { Currency::CNY };
        let site = (site > 0).then(|| format!("site-{site}").parse().unwrap());
        Line { figures, account, currency, site, first_at: Timestamp(first), ..a_line(order, number, Timestamp(at), 0) }
    }
}

proptest! {
    #[test]
    fn totals_are_the_sum_of_the_lines_and_two_makings_are_equal(
        lines in proptest::collection::vec(any_line(), 0..60), piece in 1usize..20, other in 1usize..20,
    ) {
        let rules = [rule(0, None, &[("acme", 3_333), ("landlord", 1)], "us"), rule(500_000, Some("site-1"), &[], "us")];
        let made = make(&lines, &rules, piece);
        prop_assert_eq!(&made, &make(&lines, &rules, other));
        prop_assert_eq!(made.lines, lines.len() as u64);
        for total in &made.totals.0 {
            let own = lines.iter().filter(|line| line.currency.code() == &*total.currency && line.payer() == &*total.payer);
            let sum = own.clone().fold(Figures::default(), |sum, line| sum.plus(line.figures));
            prop_assert_eq!(total.figures, sum);
            prop_assert_eq!(sum.electricity + sum.service + sum.other, sum.total);
            prop_assert_eq!(total.shares.iter().map(|part| part.minor).sum::<i64>(), sum.total);
            prop_assert_eq!(total.orders + total.corrections, own.count() as u64);
        }
        for (format, stated) in [(Format::Csv, &made.csv), (Format::Json, &made.json)] {
            let (all, sum) = bytes(format, &lines, other);
            prop_assert_eq!(&sum, stated);
            prop_assert_eq!(all.len() as u64, sum.bytes);
        }
    }

    #[test]
    fn shares_make_the_total_however_they_are_rounded(line in any_line(), shares in proptest::collection::vec(0u32..2_000, 0..5)) {
        let names = ["a", "b", "c", "d", "e"];
        let rule = rule(0, None, &names.into_iter().zip(shares).collect::<Vec<_>>(), "us");
        prop_assert_eq!(rule.check(), Ok(()));
        prop_assert_eq!(split(&[rule], &line).iter().map(|part| part.minor).sum::<i64>(), line.figures.total);
    }

    #[test]
    fn what_an_order_says_is_the_sum_of_what_changed(figures in proptest::collection::vec(any_line(), 1..8)) {
        let (mut known, mut sum) = (Figures::default(), Figures::default());
        for line in &figures {
            sum = sum.plus(line.figures.minus(known));
            known = line.figures;
        }
        prop_assert_eq!(sum, known);
    }
}
