//! A recorded day of sessions, orders, reservations and a user's account, for `tests/journal_compat`: written once for each form of
//! records, then committed and never changed. `cargo test --lib record_the_present_records -- --ignored` writes it anew where
//! there is none.

use super::*;
use crate::domain::account::{Account, AccountFamily};
use crate::domain::charger;
use crate::domain::charging::testkit::refused;
use crate::domain::charging::{ChargingFamily, Event as FamilyEvent};
use crate::domain::entity::Family;
use crate::domain::money::Money;
use crate::domain::reservation::{self, Booking, CancelBy, Rule};
use crate::ids::{ConnectorId, ReservationId};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const RESERVATION: ReservationId = ReservationId(uuid::Uuid::from_u128(77));

fn booking() -> Booking {
    let yuan = |minor| Money::new(minor, Currency::CNY);
    let (deposit, late_cancel_fee, no_show_fee) = (yuan(2_000), yuan(500), yuan(1_000));
    Booking {
        reservation: RESERVATION,
        request: "b77".parse().unwrap(),
        partner: "acme".parse().unwrap(),
        connector: ConnectorId(1),
        user: "u1".into(),
        sealed: Some("sealed".into()),
        ahead: Duration::ZERO,
        length: None,
        account: true,
        rule: Rule { deposit, free_cancel: Duration::from_secs(300), late_cancel_fee, no_show_fee },
    }
}

/// A start that fails; a session with a coupon, an extension and a shortfall that is paid later; a refund by two; a reservation
/// given up late.
fn day() -> (World, Bank) {
    let mut bank = Bank::with(5_000);
    bank.grant("C5", 500, crate::clock::Timestamp(0));
    let mut world = World::paying();
    world.open(9, 2).unwrap();
    world.bank(&mut bank);
    world.answer(refused());
    world.bank(&mut bank);
    let limits = Limits { amount: Some(3_000), ..Limits::default() };
    let session = world.open_with(1, 1, limits, None).unwrap();
    world.bank(&mut bank);
    world.answer(accepted());
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 1_000, "m1");
    let order = order_of(session);
    world.tell_order(order, Command::Extend { minor: 500, request: "x1".parse().unwrap() }).unwrap();
    world.bank(&mut bank);
    world.pass(600);
    world.meter(transaction, 9_000);
    world.ends_at(&mut bank, transaction, 71_000);
    bank.top_up(6_000, world.now);
    world.tell_order(order, Command::Pay).unwrap();
    world.bank(&mut bank);
    world.policy().order.refund_alone_max = 100;
    world.tell_order(order, Command::Refund { minor: 700, by: "li".into() }).unwrap();
    world.tell_order(order, Command::ApproveRefund { by: "wu".into() }).unwrap();
    world.bank(&mut bank);
    world.tell_order(order, Command::Contest { text: "too dear".into() }).unwrap();
    world.ask(Key::Charger, charger::Command::Reserve(Box::new(booking()))).unwrap();
    world.answer_reservation(&mut bank);
    world.pass(301);
    world.ask(Key::Reservation(RESERVATION), reservation::Command::Cancel(CancelBy::Partner)).unwrap();
    world.answer_reservation(&mut bank);
    (world, bank)
}

impl World {
    /// The bank answers what reservations have asked.
    fn answer_reservation(&mut self, bank: &mut Bank) {
        for (cause, request) in self.take_asked() {
            let outcome = bank.ask(request, self.now);
            let answered = FamilyCommand::AccountAnswered { cause: cause.into(), outcome };
            self.ask(Key::Reservation(RESERVATION), answered).unwrap();
        }
    }
}

/// Every state at its last record, whether it has left memory since or not.
fn folded(steps: &[Vec<(Key, Vec<FamilyEvent>)>]) -> Vec<(Key, State)> {
    let mut states: BTreeMap<Key, State> = BTreeMap::new();
    for (key, events) in steps.iter().flatten() {
        let state = states.entry(*key).or_insert_with(|| ChargingFamily::birth(key));
        events.iter().for_each(|event| ChargingFamily::apply(state, event));
    }
    states.into_iter().collect()
}

fn lines<T: serde::Serialize>(steps: impl IntoIterator<Item = T>) -> String {
    let line = |step| serde_json::json!({"v": 1, "b": step}).to_string() + "\n";
    steps.into_iter().map(|step| line(serde_json::to_value(step).unwrap())).collect()
}

#[test]
#[ignore = "records the present form of records"]
fn record_the_present_records() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal_compat/v1");
    let (world, bank) = day();
    let mut account = Account::default();
    bank.journal.iter().flatten().for_each(|(_, events)| {
        events.iter().for_each(|event| AccountFamily::apply(&mut account, event));
    });
    let accounts = [(crate::domain::account::Key, account)];
    for (name, text) in [
        ("charging.jsonl", lines(&world.journal)),
        ("charging.states.json", lines([folded(&world.journal)])),
        ("account.jsonl", lines(&bank.journal)),
        ("account.states.json", lines([accounts])),
    ] {
        let file = place.join(name);
        assert!(!file.exists(), "recorded records are never changed: {}", file.display());
        std::fs::write(file, text).unwrap();
    }
}

#[test]
fn the_recorded_day_has_something_of_everything() {
    let (world, bank) = day();
    let text = lines(&world.journal) + &lines(&bank.journal);
    for word in [
        "Froze",
        "Released",
        "FailureNoted",
        "ExtendWanted",
        "Captured",
        "discount",
        "Awaited",
        "DebtPaid",
        "RefundProposed",
        "RefundWanted",
        "Refunded",
        "Contested",
        "AccountAsked",
        "Confirmed",
        "Over",
        "Booked",
        "HoldSet",
        "HoldClosed",
        "DebtSet",
        "CouponGranted",
        "CouponGone",
        "Noted",
        "Remembered",
        "ProposalClosed",
    ] {
        assert!(text.contains(word), "{word} is not in the record");
    }
    assert_eq!(world.order(order_of(SessionId(uuid::Uuid::from_u128(1)))).status, Some(Status::Paid));
    assert_eq!((bank.account.frozen(), bank.account.debt()), (0, 0));
}
