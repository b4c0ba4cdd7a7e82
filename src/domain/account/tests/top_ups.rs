//! Top-ups: callbacks, queries, expiry, double payments.

use super::*;
use crate::domain::ledger::PaymentId;
use crate::ids::TopUpId;

fn open(world: &mut World, minor: i64) -> TopUpId {
    match world.ask("top-up", Action::OpenTopUp { amount: yuan(minor) }) {
        Ok(Outcome::TopUpOpened { intent, .. }) => intent,
        other => panic!("{other:?}"),
    }
}

fn row(world: &World, intent: TopUpId) -> TopUp {
    let row = &world.rows[&(rows::TOP_UP, intent.to_string())];
    serde_json::from_slice::<rows::TopUpRow>(row).unwrap().top_up
}

/// Fires the one deadline there is, at its time.
fn fire(world: &mut World) {
    let due = AccountFamily::timers(&world.account);
    assert_eq!(due.len(), 1, "{due:?}");
    world.now = world.now.max(due[0].due);
    world.step(Command::Due(due[0].timer.clone())).unwrap();
}

#[test]
fn a_payment_is_credited_once_however_often_it_is_told() {
    let mut world = World::default();
    let intent = open(&mut world, 5_000);
    for _ in 0..3 {
        assert_eq!(world.paid("T1", intent, 5_000), Ok(Outcome::Credited { amount: yuan(5_000), late: false }));
    }
    assert_eq!((world.books(), world.gained(LedgerAccount::GatewayClearing)), ([5_000, 0, 0], -5_000));
    assert_eq!(row(&world, intent).state, TopUpState::Paid { payment: "T1".parse().unwrap() });
    assert!(AccountFamily::timers(&world.account).is_empty());
}

#[test]
fn a_second_payment_of_an_intent_goes_back_by_itself_until_the_gateway_has_it() {
    let mut world = World::with(1);
    let intent = open(&mut world, 5_000);
    world.paid("T1", intent, 5_000).unwrap();
    for _ in 0..2 {
        assert_eq!(world.paid("T2", intent, 5_000), Ok(Outcome::DoublePayment { refund: yuan(5_000) }));
    }
    assert_eq!((world.account.available(), world.gained(LedgerAccount::GatewayRefunds)), (5_001, 5_000));
    let payment: PaymentId = "T2".parse().unwrap();
    let asked = Effect::Refund { payment: payment.clone(), intent, amount: yuan(5_000) };
    for _ in 0..3 {
        fire(&mut world);
        assert_eq!(world.effects.last(), Some(&asked));
        world.step(Command::RefundAnswered(payment.clone(), RefundAnswer::Silent)).unwrap();
    }
    for _ in 0..2 {
        world.step(Command::RefundAnswered(payment.clone(), RefundAnswer::Done)).unwrap();
    }
    let gateway = [LedgerAccount::GatewayRefunds, LedgerAccount::GatewayClearing].map(|it| world.gained(it));
    assert_eq!((gateway, world.account.available()), ([0, -5_001], 5_001));
    assert!(AccountFamily::timers(&world.account).is_empty() && world.verified().sound());
}

#[test]
fn the_gateway_is_asked_with_growing_waits_then_a_last_time_and_then_the_intent_expires() {
    let mut world = World::default();
    let began = world.now;
    let intent = open(&mut world, 5_000);
    let mut asked_at = Vec::new();
    while row(&world, intent).state.is_open() {
        let before = world.effects.len();
        fire(&mut world);
        if world.effects[before..].contains(&Effect::Query(intent)) {
            asked_at.push(world.now.since(began).as_secs());
            world.step(Command::TopUpAnswered(intent, TopUpAnswer::Pending)).unwrap();
        }
    }
    assert_eq!(asked_at, [120, 360, 840, 1800]);
    assert_eq!(row(&world, intent).state, TopUpState::Expired);
    assert!(world.rows.keys().all(|(table, _)| *table != "ticket"), "the gateway has said so");
    let late = world.paid("T1", intent, 5_000);
    assert_eq!(late, Ok(Outcome::Credited { amount: yuan(5_000), late: true }), "the money is the user's all the same");
}

#[test]
fn a_gateway_that_never_answers_leaves_a_ticket_when_the_intent_expires() {
    let mut world = World::default();
    let intent = open(&mut world, 5_000);
    while row(&world, intent).state.is_open() {
        fire(&mut world);
        world.step(Command::TopUpAnswered(intent, TopUpAnswer::Silent)).unwrap();
    }
    let codes: Vec<_> = world
        .rows
        .iter()
        .filter(|((table, _), _)| *table == "ticket")
        .map(|(_, row)| serde_json::from_slice::<serde_json::Value>(row).unwrap()["code"].clone())
        .collect();
    assert_eq!(codes, ["payment_unknown"]);
}

#[test]
fn a_failed_payment_ends_its_intent_and_one_that_comes_after_is_taken() {
    let mut world = World::default();
    let intent = open(&mut world, 5_000);
    let (payment, amount): (PaymentId, _) = ("T1".parse().unwrap(), yuan(5_000));
    let failed = Action::Payment { payment, intent, amount, succeeded: false };
    assert_eq!(world.ask("payment/T1", failed), Ok(Outcome::TopUpFailed));
    assert_eq!((row(&world, intent).state, world.books()), (TopUpState::Failed, [0, 0, 0]));
    assert_eq!(world.paid("T1", intent, 5_000), Ok(Outcome::Credited { amount, late: true }), "it succeeds after all");
    let failed = Action::Payment { payment: "T1".parse().unwrap(), intent, amount, succeeded: false };
    assert!(matches!(world.ask("payment/T1", failed), Err(Rejection::CauseReused { .. })), "and cannot fail then");
}

#[test]
fn what_came_is_credited_also_if_it_is_not_what_was_asked_for_and_a_person_looks() {
    let mut world = World::default();
    let intent = open(&mut world, 5_000);
    assert_eq!(world.paid("T1", intent, 4_000), Ok(Outcome::Credited { amount: yuan(4_000), late: false }));
    assert_eq!(world.rows.keys().filter(|(table, _)| *table == "ticket").count(), 1);
}

#[test]
fn a_payment_of_no_intent_or_under_another_cause_is_refused() {
    let mut world = World::default();
    let unknown = TopUpId(uuid::Uuid::nil());
    assert_eq!(world.paid("T1", unknown, 5), Err(Rejection::UnknownIntent(unknown)));
    let intent = open(&mut world, 5);
    let payment = Action::Payment { payment: "T1".parse().unwrap(), intent, amount: yuan(5), succeeded: true };
    assert_eq!(world.ask("payment/T2", payment), Err(Rejection::PaymentCause));
    assert!(matches!(world.ask("big", Action::OpenTopUp { amount: yuan(500_001) }), Err(Rejection::Amount { .. })));
}

#[test]
fn money_that_comes_in_pays_debts_oldest_first_as_far_as_it_goes() {
    let mut world = World::default();
    for (n, minor) in [(1, 300), (2, 500), (3, 100)] {
        world.now.0 += 1_000;
        assert_eq!(world.ask(&format!("g{n}"), charge(&format!("s{n}"), minor)), captured(0, minor, 0, 0, 0));
    }
    world.pay_in("T1", 600);
    let left: Vec<_> = world.account.debts.iter().map(|(order, debt)| (order.to_string(), debt.minor)).collect();
    assert_eq!(left, [("s2".to_owned(), 200), ("s3".to_owned(), 100)]);
    assert_eq!(world.books(), [0, 0, 300]);
}

#[test]
fn the_partner_whose_user_it_is_hears_of_it_and_nobody_else() {
    let mut world = World::with(1_000);
    assert!(world.notices.is_empty(), "it is not known whose account it is");
    let owner = Owner { partner: "app".parse().unwrap(), sealed: "…".into() };
    world.ask("open", Action::Open(owner.clone())).unwrap();
    let other = Owner { partner: "other".parse().unwrap(), sealed: "…".into() };
    world.ask("open2", Action::Open(other)).unwrap();
    assert_eq!(world.account.owner, Some(owner));
    world.pay_in("T1", 100);
    world.ask("g", charge("s1", 2_000)).unwrap();
    let told: Vec<_> = world.notices.iter().map(|notice| (notice.partner.as_str(), notice.kind.as_str())).collect();
    assert_eq!(told, [("app", "top_up.paid"), ("app", "account.debt")]);
    let numbers: Vec<_> = world.notices.iter().map(|notice| notice.sequence).collect();
    assert_eq!(numbers, [Some(1), Some(2)], "none may be left out for a newer one");
}
