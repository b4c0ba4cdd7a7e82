//! What people bring into an order: coupons (MO-8), refunds by two persons (MO-6), failed starts (OP-1); and what comes late and is
//! given back by itself.

use super::*;
use crate::domain::charging::testkit::refused;
use crate::domain::order::Charge;
use crate::domain::pricing::Bill;

/// A paid order of 20.00 yuan: 20 kWh at one yuan.
fn paid(bank: &mut Bank) -> (World, OrderId) {
    let (mut world, session, transaction) = World::flowing(bank);
    world.ends_at(bank, transaction, 21_000);
    (world, order_of(session))
}

#[test]
fn a_coupon_pays_its_part_and_is_shown_in_the_order_and_its_push() {
    // Worked by hand: balance, coupons, energy in Wh (one fen per 10 Wh), then: state, taken, discount, debt, left over.
    for (balance, coupons, wh, status, taken, discount, debt, left) in [
        (10_000, vec![("C5", 500)], 20_000, Status::Paid, 1_500, 500, 0, 8_500),
        (10_000, vec![("C5", 500), ("C9", 900)], 20_000, Status::Paid, 1_100, 900, 0, 8_900),
        (10_000, vec![("ALL", 9_999)], 20_000, Status::Paid, 0, 2_000, 0, 10_000),
        (5_000, vec![("C5", 500)], 80_000, Status::AwaitingPayment, 5_000, 500, 2_500, 0),
        (5_000, vec![("C5", 3_000)], 80_000, Status::Paid, 5_000, 3_000, 0, 0),
        (10_000, vec![], 20_000, Status::Paid, 2_000, 0, 0, 8_000),
    ] {
        let mut bank = Bank::with(balance);
        coupons.iter().for_each(|(id, minor)| bank.grant(id, *minor, crate::clock::Timestamp(0)));
        let (mut world, session, transaction) = World::flowing(&mut bank);
        world.ends_at(&mut bank, transaction, 1_000 + wh);
        let order = world.order(order_of(session));
        let found = (order.status, order.taken, order.discount, order.debt, bank.account.available());
        assert_eq!(found, (Some(status), taken, discount, debt, left), "{coupons:?} {wh}");
        assert_eq!(order.charge, Some(taken + discount + debt), "a bill is taken, given off, or owed");
        assert_eq!(bank.account.frozen(), 0);
        let kind = if debt > 0 { "order.awaiting_payment" } else { "order.paid" };
        let told = world.last(kind);
        let most = coupons.iter().max_by_key(|(_, minor)| *minor).map(|(id, _)| *id);
        assert_eq!((told["discount"]["minor"].as_i64(), told["coupon_id"].as_str()), (most.and(Some(discount)), most));
        assert_eq!(bank.account.coupons.len(), coupons.len().saturating_sub(1), "one is used, once");
    }
}

/// The order's bill with another total.
fn with_total(world: &World, order: OrderId, minor: i64) -> Charge {
    let mut bill: Bill = (**world.order(order).bill.as_ref().unwrap()).clone();
    bill.total.minor = minor;
    Charge { bill: Some(Box::new(bill)), doubts: Vec::new(), evidence: "late".into() }
}

#[test]
fn a_bill_that_falls_after_it_was_taken_is_refunded_by_itself_and_never_twice() {
    let mut bank = Bank::with(10_000);
    let (mut world, order) = paid(&mut bank);
    assert_eq!(bank.account.available(), 8_000);
    // The new bill, what was given back in all, what the user then has, whether a person must look.
    for (total, refunded, available, doubted) in [
        (1_500, 500, 8_500, false),
        (1_500, 500, 8_500, false),
        (1_200, 800, 8_800, false),
        (0, 2_000, 10_000, false),
        (2_000, 2_000, 10_000, true),
    ] {
        let charge = with_total(&world, order, total);
        world.tell_order(order, Command::Charged(charge)).unwrap();
        world.bank(&mut bank);
        let now = world.order(order);
        assert_eq!((now.refunded, bank.account.available()), (refunded, available), "{total}");
        assert_eq!((now.status, now.doubts.is_empty()), (Some(Status::Paid), !doubted), "{total}");
    }
    assert_eq!(world.last("order.refunded")["refunded"]["minor"], 2_000);
    assert!(world.cases().contains(&"order_changed_afterwards"));
}

#[test]
fn two_corrections_before_the_account_answers_give_back_both_differences() {
    let mut bank = Bank::with(10_000);
    let (mut world, order) = paid(&mut bank);
    for total in [1_900, 1_700, 1_600] {
        let charge = with_total(&world, order, total);
        world.tell_order(order, Command::Charged(charge)).unwrap();
    }
    world.bank(&mut bank);
    assert_eq!((world.order(order).refunded, bank.account.available()), (400, 8_400));
}

#[test]
fn what_a_person_settled_or_gave_back_is_not_corrected_by_itself() {
    let mut bank = Bank::with(10_000);
    let (mut world, order) = paid(&mut bank);
    world.tell_order(order, Command::Refund { minor: 100, by: "li".into() }).unwrap();
    world.bank(&mut bank);
    let charge = with_total(&world, order, 1_500);
    world.tell_order(order, Command::Charged(charge)).unwrap();
    world.bank(&mut bank);
    assert_eq!((world.order(order).refunded, bank.account.available()), (100, 8_100));
    assert!(!world.order(order).doubts.is_empty(), "a person looks");
}

#[test]
fn a_large_refund_needs_a_second_person() {
    let mut bank = Bank::with(10_000);
    let (mut world, order) = paid(&mut bank);
    world.policy().order.refund_alone_max = 1_000;
    let refund = |minor| Command::Refund { minor, by: "Li".into() };
    let approve = |by: &str| Command::ApproveRefund { by: by.into() };
    world.tell_order(order, refund(1_000)).unwrap();
    world.bank(&mut bank);
    assert_eq!(bank.account.available(), 9_000, "the bound itself needs one");
    world.policy().order.refund_alone_max = 500;
    assert_eq!(world.tell_order(order, approve("wu")), Err(Rejection::RefundUnknown));
    world.tell_order(order, refund(501)).unwrap();
    world.bank(&mut bank);
    assert_eq!(bank.account.available(), 9_000, "nothing moves yet");
    assert_eq!(world.row("order", &order.to_string())["refund_proposed"]["by"], "Li");
    assert!(world.case("ticket", "refund_proposed")["text"].as_str().unwrap().contains("another person"));
    assert_eq!(world.tell_order(order, approve(" li ")), Err(Rejection::SamePerson));
    world.tell_order(order, Command::WithdrawRefund { by: "li".into() }).unwrap();
    assert_eq!(world.tell_order(order, approve("wu")), Err(Rejection::RefundUnknown));
    world.tell_order(order, refund(1_000)).unwrap();
    world.tell_order(order, approve("wu")).unwrap();
    world.bank(&mut bank);
    assert_eq!((bank.account.available(), world.order(order).refunded), (10_000, 2_000));
    assert_eq!(world.order(order).settled_by.as_deref(), Some("Li, wu"));
    assert_eq!(world.tell_order(order, approve("wu")), Err(Rejection::RefundUnknown), "once");
}

#[test]
fn a_failed_start_is_counted_and_enough_of_them_block_the_user() {
    let mut bank = Bank::with(20_000);
    bank.block_from(2);
    let mut world = World::paying();
    for number in 1..=2 {
        let session = world.open(number, 1).unwrap();
        world.bank(&mut bank);
        assert!(world.session(session).failure.is_none());
        world.answer(refused());
        world.bank(&mut bank);
        assert_eq!(bank.account.frozen(), 0);
        assert!(!world.order(order_of(session)).note_failure, "told");
    }
    assert!(bank.account.blocks.contains_key(&crate::domain::account::risk::Rule::FailedStarts));
    let third = world.open(3, 1).unwrap();
    world.bank(&mut bank);
    assert_eq!(world.session(third).failure.as_ref().map(|failure| &*failure.code), Some("user_blocked"));
    assert!(!world.order(order_of(third)).note_failure, "a refusal of the account's own is not counted");
}

#[test]
fn a_start_that_never_reached_the_charger_is_not_counted() {
    let mut bank = Bank::with(20_000);
    bank.block_from(1);
    let mut world = World::paying();
    let session = world.open(1, 1).unwrap();
    assert!(matches!(world.ask_stop(session, "s1"), Ok(Reply::StopTaken { .. })));
    world.bank(&mut bank);
    assert_eq!((world.order_status(session), bank.account.blocks.len()), (Some(Status::Failed), 0));
}
