//! How orders end: paid, failed, reviewed, owed, paid later, corrected, given back.

use super::*;
use crate::domain::charging::testkit::refused;
use crate::domain::order::{Doubt, Hold};
use crate::domain::session::Status as SessionStatus;
use std::time::Duration;

#[test]
fn a_paid_order_takes_the_bill_and_gives_the_rest_back() {
    let mut bank = Bank::with(10_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    assert_eq!((bank.account.available(), bank.account.frozen()), (5_000, 5_000));
    world.ends_at(&mut bank, transaction, 21_000);
    let order = world.order(order_of(session));
    assert_eq!((order.status, order.taken, order.debt, order.hold), (Some(Status::Paid), 2_000, 0, Hold::Closed));
    assert_eq!((bank.account.available(), bank.account.frozen(), bank.account.debt()), (8_000, 0, 0));
    let ended = world.last("session.ended");
    assert_eq!((&ended["bill"]["total"]["minor"], &ended["bill"]["tariff"]), (&2_000.into(), &"flat".into()));
    assert_eq!(world.last("order.paid")["total"]["minor"], 2_000);
    assert_eq!(world.row("order", &session.to_string())["status"], "Paid");
    world.pass(3600);
    assert!(!world.states.contains_key(&Key::Order(order_of(session))), "it leaves memory");
}

/// MO-2: the version that was in force, and shown, at the start.
#[test]
fn a_tariff_that_is_rolled_out_meanwhile_changes_no_session_that_runs() {
    let mut bank = Bank::with(10_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    let dearer: Tariff = serde_json::from_value(serde_json::json!({"id": "flat", "version": 2, "currency": "CNY",
        "time_zone": "Asia/Shanghai", "slices": [{"name": "flat", "from": "00:00", "to": "24:00", "electricity": 30_000}]}))
    .unwrap();
    world.ambient.tariffs = Some(book(dearer));
    world.restart(std::time::Duration::from_secs(60));
    world.link_up();
    world.ends_at(&mut bank, transaction, 21_000);
    let ended = world.last("session.ended");
    assert_eq!((&ended["bill"]["version"], &ended["bill"]["total"]["minor"]), (&1.into(), &2_000.into()));
    assert_eq!(world.order(order_of(session)).taken, 2_000);
    let next = world.open(2, 1).unwrap();
    assert_eq!(world.order(order_of(next)).placed.as_ref().map(|placed| placed.version), Some(2), "but the next one");
}

#[test]
fn a_start_that_fails_gives_everything_back_at_once() {
    let mut bank = Bank::with(10_000);
    let mut world = World::paying();
    let session = world.open(1, 1).unwrap();
    world.bank(&mut bank);
    assert_eq!(bank.account.frozen(), 5_000);
    world.answer(refused());
    world.bank(&mut bank);
    assert_eq!(world.order_status(session), Some(Status::Failed));
    assert_eq!((bank.account.available(), bank.account.frozen()), (10_000, 0));
    assert!(world.told().contains(&"order.failed") && world.told().contains(&"session.failed"));
}

#[test]
fn a_start_that_fails_before_the_account_has_answered_leaves_nothing_frozen() {
    let mut bank = Bank::with(10_000);
    let mut world = World::paying();
    let session = world.open(1, 1).unwrap();
    let asked = world.take_asked();
    let (cause, freeze) = asked.into_iter().next().unwrap();
    assert!(matches!(world.ask_stop(session, "s1"), Ok(Reply::StopTaken { .. })));
    assert_eq!(world.session(session).status, Some(SessionStatus::Failed));
    world.bank(&mut bank);
    // The freeze comes to the account after its release, and its answer after all.
    let outcome = bank.ask(freeze, world.now);
    world.answer_account(&cause, outcome);
    world.bank(&mut bank);
    assert_eq!((bank.account.available(), bank.account.frozen()), (10_000, 0));
    assert_eq!(world.order_status(session), Some(Status::Failed));
    assert!(world.calls().is_empty(), "the charger was never told");
}

#[test]
fn a_large_order_waits_for_a_person() {
    for (settled, taken) in [(None, 30_000), (Some(12_300), 12_300), (Some(0), 0)] {
        let mut bank = Bank::with(100_000);
        let (mut world, session, transaction) = World::flowing(&mut bank);
        world.ends_at(&mut bank, transaction, 301_000);
        let order = order_of(session);
        assert_eq!(world.order_status(session), Some(Status::UnderReview));
        assert_eq!(world.order(order).doubts, [Doubt::Large]);
        assert_eq!(world.row("order-review", &session.to_string())["doubts"][0], "large");
        assert_eq!(bank.account.frozen(), 5_000, "nothing is taken yet");
        assert!(world.case("ticket", "order_under_review")["evidence"].as_str().unwrap().contains("last_readings"));
        world.tell_order(order, Command::Settle { minor: settled, by: "zhang".into() }).unwrap();
        world.bank(&mut bank);
        assert_eq!((world.order_status(session), bank.account.available()), (Some(Status::Paid), 100_000 - taken));
        let again = world.tell_order(order, Command::Settle { minor: settled, by: "zhang".into() });
        assert_eq!(again, Err(Rejection::OrderNotUnderReview));
    }
}

#[test]
fn implausible_figures_never_reach_a_bill_unseen() {
    // What the charger tells, and what is doubted: SE-14.
    let table: [(&str, i64, i64, Doubt); 3] = [
        ("backwards", 5_000, 2_000, Doubt::MeterBackwards),
        ("jump", 5_000, 90_000_000, Doubt::ImpossiblePower),
        ("below the start", 1_000, 500, Doubt::MeterBackwards),
    ];
    for (name, reading, stop, doubt) in table {
        let mut bank = Bank::with(10_000);
        let (mut world, session, transaction) = World::flowing(&mut bank);
        world.pass(600);
        world.meter(transaction, reading);
        world.ends_at(&mut bank, transaction, stop);
        assert_eq!(world.order_status(session), Some(Status::UnderReview), "{name}");
        assert!(world.order(order_of(session)).doubts.contains(&doubt), "{name}");
    }
    let mut bank = Bank::with(10_000);
    let mut world = World::paying();
    let free: Tariff = serde_json::from_value(serde_json::json!({"id": "free", "version": 1, "currency": "CNY",
        "time_zone": "Asia/Shanghai", "slices": [{"name": "flat", "from": "00:00", "to": "24:00", "electricity": 0}]}))
    .unwrap();
    world.ambient.tariffs = Some(book(free));
    let session = world.open(1, 1).unwrap();
    world.bank(&mut bank);
    world.answer(accepted());
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 0, "m1");
    world.ends_at(&mut bank, transaction, 9_000);
    assert_eq!(world.order(order_of(session)).doubts, [Doubt::EnergyWithoutFee]);
}

#[test]
fn what_is_missing_is_debt_at_once_asked_for_and_at_last_unpaid() {
    let mut bank = Bank::with(5_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    let order = order_of(session);
    world.ends_at(&mut bank, transaction, 81_000);
    assert_eq!(world.order_status(session), Some(Status::AwaitingPayment));
    assert_eq!((bank.account.available(), bank.account.debt()), (0, 3_000));
    assert!(world.told().contains(&"order.awaiting_payment"));
    // MO-4: no new start meanwhile.
    let second = world.open(2, 1).unwrap();
    world.bank(&mut bank);
    assert_eq!(world.session(second).failure.as_ref().map(|failure| &*failure.code), Some("unpaid_order"));
    assert_eq!(world.order_status(second), Some(Status::Failed));
    world.clear();
    world.pass(700);
    assert_eq!(world.last("user.notice")["code"], "payment_reminder");
    world.tell_order(order, Command::Pay).unwrap();
    world.bank(&mut bank);
    assert_eq!(world.last("user.notice")["code"], "payment_refused");
    world.pass(1200);
    assert_eq!(world.order_status(session), Some(Status::Unpaid));
    bank.top_up(4_000, world.now);
    world.tell_order(order, Command::Pay).unwrap();
    world.bank(&mut bank);
    assert_eq!((world.order_status(session), bank.account.available()), (Some(Status::Paid), 1_000));
    assert_eq!((world.order(order).taken, world.order(order).debt), (8_000, 0));
    assert_eq!(world.tell_order(order, Command::Pay), Ok(Status::Paid), "twice is harmless");
}

#[test]
fn without_a_window_what_is_missing_is_unpaid_at_once_and_a_top_up_pays_it() {
    let mut bank = Bank::with(5_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    world.policy().order.payment_window = Duration::ZERO;
    world.ends_at(&mut bank, transaction, 81_000);
    assert_eq!(world.order_status(session), Some(Status::Unpaid));
    assert_eq!(world.tell_order(order_of(session), Command::DebtSettled), Ok(Status::Paid));
}

#[test]
fn a_partner_without_accounts_gets_the_priced_bill_and_settles() {
    let mut world = World::priced();
    let session = world.open(1, 1).unwrap();
    assert_eq!(world.calls().len(), 1, "the charger is told at once");
    world.answer(accepted());
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 1000, "m1");
    world.ends_at(&mut Bank::default(), transaction, 11_000);
    assert!(world.take_asked().is_empty());
    assert_eq!(world.order_status(session), Some(Status::Paid));
    assert_eq!(world.last("session.ended")["bill"]["total"]["minor"], 1_000);
    assert_eq!((&world.last("order.paid")["payer"], world.order(order_of(session)).taken), (&"partner".into(), 0));
}

#[test]
fn what_comes_late_is_never_taken_without_a_person() {
    // The register told late, what is then taken in all, and whether a person must look.
    for (late, left, doubted) in [(6_000, 9_000, true), (11_000, 9_000, false), (31_000, 9_000, true)] {
        let mut bank = Bank::with(10_000);
        let (mut world, session, transaction) = World::flowing(&mut bank);
        world.pass(600);
        world.meter(transaction, 11_000);
        world.link_down(true);
        world.pass(13 * 3600);
        world.bank(&mut bank);
        assert_eq!((world.order_status(session), bank.account.available()), (Some(Status::Paid), 9_000));
        world.link_up();
        world.stop(transaction, late, Some(StopReason::Local), "m9");
        world.bank(&mut bank);
        assert_eq!((bank.account.available(), bank.account.frozen()), (left, 0), "{late}");
        let order = world.order(order_of(session));
        assert_eq!(order.doubts.contains(&Doubt::ChangedAfterwards), doubted, "{late}");
        assert_eq!(order.status, Some(Status::Paid));
        assert_eq!(world.cases().contains(&"order_changed_afterwards"), doubted, "{late}");
    }
}

#[test]
fn a_person_gives_back_up_to_what_was_taken_even_after_it_has_left_memory() {
    let mut bank = Bank::with(10_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    let order = order_of(session);
    world.ends_at(&mut bank, transaction, 21_000);
    let refund = |minor| Command::Refund { minor, by: "li".into() };
    assert_eq!(world.tell_order(order, refund(2_001)), Err(Rejection::OrderAmount));
    world.tell_order(order, refund(500)).unwrap();
    world.bank(&mut bank);
    assert_eq!((bank.account.available(), world.order(order).refunded), (8_500, 500));
    assert_eq!(world.tell_order(order, Command::Contest { text: "too dear".into() }), Ok(Status::Paid));
    assert!(world.case("ticket", "order_contested")["evidence"].as_str().unwrap().contains("too dear"));
    world.pass(3600);
    let kept = world.row("order", &session.to_string())["kept"].clone();
    world.ask(Key::Order(order), Command::Recall(serde_json::from_value(kept).unwrap())).unwrap();
    assert_eq!(world.tell_order(order, refund(1_501)), Err(Rejection::OrderAmount));
    world.tell_order(order, refund(1_500)).unwrap();
    world.bank(&mut bank);
    assert_eq!((bank.account.available(), world.order(order).refunded), (10_000, 2_000));
}

#[test]
fn an_account_that_is_silent_is_asked_again_and_a_person_hears_of_it() {
    let mut bank = Bank::with(10_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    world.pass(600);
    world.stop(transaction, 21_000, Some(StopReason::Local), "m9");
    world.pass(3600);
    let asked = world.take_asked();
    assert!(asked.len() > 10 && asked.iter().all(|one| *one == asked[0]), "{asked:?}");
    assert_eq!(world.cases().iter().filter(|code| **code == "account_silent").count(), 1);
    world.restart(Duration::from_secs(60));
    world.bank(&mut bank);
    assert_eq!((world.order_status(session), bank.account.available()), (Some(Status::Paid), 7_500));
    for (cause, request) in asked {
        let outcome = bank.ask(request, world.now);
        world.answer_account(&cause, outcome);
    }
    assert_eq!(bank.account.available(), 7_500, "nobody pays twice");
}

#[test]
fn without_a_tariff_an_account_user_cannot_start() {
    let mut world = World::paying();
    world.ambient.tariffs = None;
    assert_eq!(world.open(1, 1), Err(Rejection::TariffMissing));
}
