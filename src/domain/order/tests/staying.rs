//! Staying after the end (SE-13): grace, warning, minutes, cap, what is not known, what stays frozen.

use super::*;
use crate::domain::order::Kind;
use std::time::Duration;

/// Charged for 1 yuan; the vehicle is still there.
fn stays(bank: &mut Bank) -> (World, OrderId) {
    let (mut world, session, transaction) = World::flowing(bank);
    world.pass(3600);
    world.stop(transaction, 2_000, Some(StopReason::Local), "m9");
    world.status(1, ConnectorStatus::Finishing);
    world.bank(bank);
    assert_eq!(world.order_status(session), Some(Status::Paid));
    let order = world.order(order_of(session)).linked.unwrap();
    world.clear();
    (world, order)
}

#[test]
fn leaving_within_the_grace_time_costs_nothing_and_frees_the_money() {
    let mut bank = Bank::with(10_000);
    let (mut world, order) = stays(&mut bank);
    assert_eq!((bank.account.available(), bank.account.frozen()), (9_400, 500), "the cap stays frozen");
    assert_eq!(world.order(order).kind(), Kind::Occupancy);
    world.pass(540);
    assert_eq!(world.last("user.notice")["code"], "occupancy_soon");
    world.status(1, ConnectorStatus::Available);
    world.bank(&mut bank);
    assert_eq!((bank.account.available(), bank.account.frozen()), (9_900, 0));
    assert_eq!(world.order(order).status, Some(Status::Failed));
    assert!(!world.told().iter().any(|kind| kind.starts_with("order.")), "{:?}", world.told());
}

#[test]
fn minutes_after_the_grace_time_are_charged_up_to_the_cap() {
    // Minutes stayed, and what they cost.
    for (minutes, fee) in [(10, 0), (11, 50), (15, 250), (19, 450), (20, 500), (90, 500)] {
        let mut bank = Bank::with(10_000);
        let (mut world, order) = stays(&mut bank);
        world.pass(minutes * 60 + 1);
        world.bank(&mut bank);
        world.status(1, ConnectorStatus::Available);
        world.bank(&mut bank);
        let known = world.order(order);
        assert_eq!((known.status, known.taken), (Some(Status::Paid), fee), "{minutes} min");
        assert_eq!((bank.account.available(), bank.account.frozen()), (9_900 - fee, 0), "{minutes} min");
        assert!(world.charger().stays.is_empty());
    }
}

#[test]
fn minutes_of_which_nobody_knows_are_free() {
    let mut bank = Bank::with(10_000);
    let (mut world, order) = stays(&mut bank);
    world.pass(12 * 60 + 1);
    world.link_down(false);
    world.pass(600);
    world.link_up();
    world.pass(60);
    world.restart(Duration::from_secs(3600));
    world.link_up();
    world.pass(60);
    world.status(1, ConnectorStatus::Available);
    world.bank(&mut bank);
    // Two minutes before; none between, where the status was not told again yet; one after.
    assert_eq!(world.order(order).taken, 150);
}

#[test]
fn the_next_vehicle_is_not_the_same_one() {
    let mut bank = Bank::with(10_000);
    let (mut world, order) = stays(&mut bank);
    world.pass(13 * 60 + 1);
    world.open(2, 1).unwrap_err();
    world.status(1, ConnectorStatus::Preparing);
    let second = world.open(2, 1).unwrap();
    world.bank(&mut bank);
    assert_eq!((world.order(order).status, world.order(order).taken), (Some(Status::Paid), 150));
    assert_eq!(world.order_status(second), Some(Status::Placed));
}

#[test]
fn a_partner_is_told_what_staying_costs() {
    let mut world = World::priced();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 1000, "m1");
    world.status(1, ConnectorStatus::Charging);
    world.stop(transaction, 2_000, Some(StopReason::Local), "m9");
    world.status(1, ConnectorStatus::Finishing);
    world.pass(12 * 60 + 1);
    world.status(1, ConnectorStatus::Available);
    let paid = world.last("order.paid");
    assert_eq!((&paid["kind"], &paid["total"]["minor"]), (&"occupancy".into(), &100.into()));
    assert_eq!(paid["linked_order_id"], session.to_string());
    assert!(world.take_asked().is_empty());
}
