//! The amount set aside: asked for before the charger is told, warned of, extended, never exceeded (SE-3, SE-11, SE-12).

use super::*;
use crate::domain::charger::Call;
use crate::domain::session::Status as SessionStatus;

fn extend(minor: i64, request: &str) -> Command {
    Command::Extend { minor, request: request.parse().unwrap() }
}

#[test]
fn the_charger_is_told_only_when_the_money_is_set_aside() {
    let mut bank = Bank::with(10_000);
    let mut world = World::paying();
    let session = world.open(1, 1).unwrap();
    world.pass(3);
    assert!(world.calls().is_empty());
    assert_eq!(world.open(2, 1), Err(Rejection::ConnectorOccupied), "the connector is taken already");
    world.bank(&mut bank);
    assert!(matches!(world.calls()[..], [Call::RemoteStart { .. }]), "{:?}", world.calls());
    assert_eq!(world.session(session).set_aside(), Some(yuan(5_000)));
}

#[test]
fn too_little_a_block_or_silence_ends_the_session_with_a_reason() {
    let mut world = World::paying();
    let session = world.open(1, 1).unwrap();
    world.bank(&mut Bank::with(4_999));
    let failed = world.last("session.failed");
    assert_eq!((&failed["failure"]["code"], &failed["status"]), (&"insufficient_funds".into(), &"Failed".into()));
    assert_eq!(world.last("order.failed")["failure"], "insufficient_funds");
    assert_eq!(world.session(session).status, Some(SessionStatus::Failed));
    assert!(world.charger().live.is_empty(), "the connector is free again");
    let silent = world.open(2, 1).unwrap();
    world.pass(61);
    assert_eq!(world.session(silent).failure.as_ref().map(|failure| &*failure.code), Some("no_confirmation"));
    assert_eq!(world.order_status(silent), Some(Status::Failed));
}

#[test]
fn a_charger_that_goes_offline_meanwhile_fails_the_start() {
    let mut bank = Bank::with(10_000);
    let mut world = World::paying();
    let session = world.open(1, 1).unwrap();
    world.link_down(false);
    world.bank(&mut bank);
    assert_eq!(world.order_status(session), Some(Status::Failed));
    assert_eq!((bank.account.available(), bank.account.frozen()), (10_000, 0));
}

#[test]
fn charging_is_warned_of_and_stopped_before_the_amount_is_used_up() {
    let mut bank = Bank::with(10_000);
    let limits = Limits { amount: Some(1_000), ..Limits::default() };
    let (mut world, session, transaction) = World::flowing_with(&mut bank, limits);
    assert_eq!(bank.account.frozen(), 1_000);
    // 10 kWh are set aside; at 30 kW the last kWh take two minutes.
    let (mut meter, mut warned_at, mut stopped_at) = (1_000, None, None);
    for _ in 0..30 {
        world.pass(60);
        meter += 500;
        world.meter(transaction, meter);
        let told = world.told().contains(&"user.notice");
        warned_at = warned_at.or(told.then_some(meter));
        stopped_at = stopped_at.or(world.session(session).stop.as_ref().map(|_| meter));
        if stopped_at.is_some() {
            break;
        }
    }
    // Ten minutes and 90 seconds before 11,000 Wh: 5.75 kWh; 90 seconds before: 0.75 kWh.
    assert_eq!((warned_at, stopped_at), (Some(5_500), Some(10_500)));
    assert_eq!(world.last("user.notice")["notice"], "funds_low");
    world.ends_at(&mut bank, transaction, 10_900);
    assert_eq!(world.last("session.ended")["end_reason"], "plug_pulled");
    assert_eq!((world.order_status(session), bank.account.available()), (Some(Status::Paid), 9_010));
}

#[test]
fn an_extension_lets_it_go_on_and_a_refused_one_is_told() {
    let mut bank = Bank::with(1_500);
    let limits = Limits { amount: Some(1_000), ..Limits::default() };
    let (mut world, session, transaction) = World::flowing_with(&mut bank, limits);
    let order = order_of(session);
    world.to_order(order, extend(600, "e1")).unwrap();
    assert_eq!(world.to_order(order, extend(100, "e2")), Err(Rejection::OrderBusy));
    world.bank(&mut bank);
    assert_eq!(world.last("user.notice")["notice"], "extension_refused");
    world.to_order(order, extend(500, "e3")).unwrap();
    world.bank(&mut bank);
    assert_eq!(world.to_order(order, extend(500, "e3")), Ok(Status::Open), "the same again is harmless");
    world.bank(&mut bank);
    assert_eq!((world.order(order).frozen, bank.account.frozen()), (1_500, 1_500));
    assert_eq!(world.session(session).set_aside(), Some(yuan(1_500)));
    assert_eq!(world.to_order(order, extend(0, "e4")), Err(Rejection::OrderAmount));
    world.ends_at(&mut bank, transaction, 5_000);
    assert_eq!(world.to_order(order, extend(1, "e5")), Err(Rejection::OrderNotOpen));
}

#[test]
fn the_amount_so_far_is_in_the_progress() {
    let mut bank = Bank::with(10_000);
    let (mut world, _, transaction) = World::flowing(&mut bank);
    world.pass(300);
    world.meter(transaction, 3_500);
    let progress = world.last("session.progress");
    assert_eq!((&progress["amount_so_far"]["minor"], &progress["frozen"]["minor"]), (&250.into(), &5_000.into()));
}

#[test]
fn a_card_at_the_charger_is_frozen_for_afterwards_and_stopped_without_money() {
    use crate::domain::charger::Verdict;
    use crate::domain::charging::testkit::token;
    for (balance, stopped) in [(6_000, false), (100, true)] {
        let mut bank = Bank::with(balance);
        let mut world = World::paying();
        let transaction = world.start(1, token(Verdict::Accepted), 1_000, "m1");
        let session = world.transactions[&transaction];
        assert_eq!(world.order_status(session), Some(Status::Open));
        world.bank(&mut bank);
        assert_eq!(world.session(session).stop.is_some(), stopped, "{balance}");
        world.pass(60);
        world.stop(transaction, 1_500, Some(StopReason::Remote), "m2");
        world.status(1, ConnectorStatus::Available);
        world.bank(&mut bank);
        assert_eq!(world.order_status(session), Some(Status::Paid));
        assert_eq!((bank.account.available(), bank.account.frozen()), (balance - 50, 0));
    }
}
