//! A small day whose books are right, and everything that can be wrong with it.

use super::*;
use crate::money::{Amount, Bill, Entry};

fn amount(minor: i64) -> Amount {
    Amount { minor }
}

fn entry(cause: &str, available: i64, frozen: i64) -> Entry {
    Entry { cause: cause.into(), available: amount(available), frozen: amount(frozen), debt: amount(0) }
}

fn record(it: MoneyRecord) -> Stamped<MoneyRecord> {
    Stamped { at_ms: 0, it }
}

fn asked(ask: Ask, request_id: &str, id: &str) -> [Stamped<MoneyRecord>; 2] {
    let (request_id, user) = (request_id.to_owned(), "u".to_owned());
    let answered =
        MoneyRecord::Answered { ask, request_id: request_id.clone(), http: 202, id: Some(id.into()), code: None };
    [record(MoneyRecord::Asked { ask, request_id, user }), record(answered)]
}

fn paid(transaction: &str, second: bool) -> [Stamped<MoneyRecord>; 2] {
    let (user, top_up_id, transaction) = ("u".to_owned(), "t1".to_owned(), transaction.to_owned());
    let callback = MoneyRecord::Callback { transaction: transaction.clone(), acknowledged: true, http: Some(200) };
    [record(MoneyRecord::Paid { user, top_up_id, transaction, minor: 1_000, second, silent: false }), record(callback)]
}

struct Day {
    records: Vec<Stamped<MoneyRecord>>,
    books: Books,
    sessions: Vec<Session>,
}

/// 1,000 fen come in, twice, and once go back; an order takes 80; a reservation takes 20, another becomes the session.
fn day() -> Day {
    let records = [
        asked(Ask::TopUp, "q1", "t1"),
        paid("T1", false),
        paid("T2", true),
        asked(Ask::Reserve, "q2", "r1"),
        asked(Ask::Reserve, "q3", "r2"),
        asked(Ask::Arrive, "q4", "s1"),
    ];
    let entries = vec![
        entry("payment/T1", 1_000, 0),
        entry("payment/T2", 0, 0),
        entry("order/s1/freeze", -400, 400),
        entry("order/s1/capture", 320, -400),
        entry("reservation/r1/deposit", -100, 100),
        entry("reservation/r1/settle", 80, -100),
    ];
    let account = Account { available: amount(900), frozen: amount(0), debt: amount(0), entries };
    let order = Order {
        order_id: "s1".into(),
        kind: "charging".into(),
        status: "Paid".into(),
        session_id: "s1".into(),
        user_id: "u".into(),
        reservation_id: Some("r2".into()),
        bill: Some(Bill { total: amount(80) }),
        total: Some(amount(80)),
        taken: amount(80),
        ..Order::default()
    };
    let reservation = |id: &str, status: &str, from: u32| Reservation {
        reservation_id: id.into(),
        request_id: Some(format!("for {id}")),
        charger_id: "CP-1".into(),
        connector_id: 1,
        user_id: "u".into(),
        status: status.into(),
        created_at: format!("2026-01-01T00:0{from}:00Z"),
        ended_at: Some(format!("2026-01-01T00:0{}:00Z", from + 1)),
        ..Reservation::default()
    };
    let session = Session {
        session_id: "s1".into(),
        charger_id: "CP-1".into(),
        connector_id: 1,
        status: "Ended".into(),
        transaction_id: Some(1),
        started_at: Some("2026-01-01T00:05:00Z".into()),
        ended_at: Some("2026-01-01T00:06:00Z".into()),
        ..Session::default()
    };
    let books = Books {
        accounts: [("u".to_owned(), account)].into(),
        orders: vec![order],
        reservations: vec![
            Reservation { fee: Some(amount(20)), ..reservation("r1", "NoShow", 1) },
            Reservation { session_id: Some("s1".into()), ..reservation("r2", "Fulfilled", 2) },
        ],
        refunded: ["T2".to_owned()].into(),
    };
    Day { records: records.into_iter().flatten().collect(), books, sessions: vec![session] }
}

fn judged(day: &Day) -> (Figures, Vec<Kind>) {
    let mut verdict = Verdict::default();
    let figures = check(&day.records, &day.books, &day.sessions, &mut verdict);
    let mut kinds: Vec<Kind> = verdict.violations.iter().map(|violation| violation.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    (figures, kinds)
}

#[test]
fn right_books_hold_and_are_counted() {
    let day = day();
    assert_eq!(on_its_way(&day.records, &day.books), None);
    let (figures, kinds) = judged(&day);
    assert_eq!(kinds, []);
    assert!(figures.is_enough(), "{figures:?}");
    let payments = (figures.payments_acknowledged, figures.payments_found, figures.payments_returned);
    assert_eq!((payments, figures.taken, figures.taken_found, figures.unknown), ((2, 2, 1), 3, 3, 0));
    assert_eq!((figures.paid_in, figures.taken_minor, figures.owed_minor), (1_000, 100, 0));
}

/// A change of the day, and what is found.
type Change = (&'static str, fn(&mut Day), &'static [Kind]);

#[test]
fn everything_that_is_wrong_is_found() {
    fn account(day: &mut Day) -> &mut Account {
        day.books.accounts.get_mut("u").unwrap()
    }
    let table: [Change; 17] = [
        ("a payment is lost", |day| drop(account(day).entries.remove(0)), &[Kind::PaymentLost, Kind::BalanceWrong]),
        (
            "a payment counts twice",
            |day| account(day).entries.push(entry("payment/T1", 1_000, 0)),
            &[Kind::PaymentDoubled, Kind::BalanceWrong],
        ),
        (
            "both payments of an intent count",
            |day| account(day).entries[1].available.minor = 1_000,
            &[Kind::PaymentDoubled, Kind::BalanceWrong],
        ),
        ("the second payment stays", |day| day.books.refunded.clear(), &[Kind::PaymentLost]),
        ("another balance", |day| account(day).available.minor = 901, &[Kind::BalanceWrong]),
        ("something is frozen", |day| account(day).frozen.minor = 1, &[Kind::BalanceWrong, Kind::MoneyFrozen]),
        ("a debt of nothing", |day| account(day).debt.minor = -5, &[Kind::BalanceWrong]),
        (
            "more is taken than billed",
            |day| day.books.orders[0].taken.minor = 81,
            &[Kind::BalanceWrong, Kind::OrderWrong],
        ),
        ("another bill", |day| day.books.orders[0].bill = None, &[Kind::OrderWrong]),
        ("an order stays open", |day| day.books.orders[0].status = "Open".into(), &[Kind::OrderHangs]),
        (
            "an order is gone",
            |day| day.books.orders.clear(),
            &[Kind::WriteLost, Kind::BalanceWrong, Kind::ReservationWrong],
        ),
        ("a session is gone", |day| day.sessions.clear(), &[Kind::WriteLost, Kind::ReservationWrong]),
        ("a reservation hangs", |day| day.books.reservations[0].status = "Reserved".into(), &[Kind::ReservationWrong]),
        ("a reservation is gone", |day| drop(day.books.reservations.remove(1)), &[Kind::WriteLost]),
        (
            "no show, and a session",
            |day| day.books.reservations[0].session_id = Some("s1".into()),
            &[Kind::ReservationWrong],
        ),
        (
            "two hold one connector",
            |day| day.books.reservations[1].created_at = "2026-01-01T00:01:59Z".into(),
            &[Kind::ConnectorDoubled],
        ),
        (
            "one request, two reservations",
            |day| day.books.reservations[1].request_id = Some("for r1".into()),
            &[Kind::WriteDoubled],
        ),
    ];
    for (what, change, wanted) in table {
        let mut day = day();
        change(&mut day);
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        assert_eq!(judged(&day).1, wanted, "{what}");
    }
}

#[test]
fn what_got_no_answer_is_unknown_and_no_violation() {
    let mut day = day();
    let [asked, _] = asked(Ask::Start, "q9", "s9");
    let [payment, _] = paid("T3", false);
    day.records.push(asked);
    day.records.push(record(MoneyRecord::Unknown { ask: Ask::Start, request_id: "q9".into(), reason: "reset".into() }));
    day.records.push(payment);
    let (figures, kinds) = judged(&day);
    assert_eq!((figures.unknown, kinds), (1, vec![]));
}

#[test]
fn money_on_its_way_is_seen() {
    type Spoil = (&'static str, fn(&mut Day));
    let table: [Spoil; 5] = [
        ("order s1", |day| day.books.orders[0].status = "AwaitingPayment".into()),
        ("reservation r2", |day| day.books.reservations[1].status = "Reserved".into()),
        ("u has", |day| day.books.accounts.get_mut("u").unwrap().frozen.minor = 7),
        ("no payment", |day| drop(day.books.accounts.get_mut("u").unwrap().entries.remove(0))),
        ("T2 is not", |day| day.books.refunded.clear()),
    ];
    for (word, change) in table {
        let mut day = day();
        change(&mut day);
        let found = on_its_way(&day.records, &day.books).unwrap();
        assert!(found.contains(word), "{word}: {found}");
    }
}
