//! The deposit of a user with an account: first, asked again until it is answered, settled at the end (RS-1, MO-4).

use super::super::deposit::{freeze_cause, settle_cause};
use super::*;
use crate::domain::charging::Effect;
use crate::domain::charging::purse::{AccountOutcome, AccountRequest, Income};

impl World {
    /// What accounts were asked so far.
    fn asked(&self) -> Vec<&AccountRequest> {
        let asked = self.effects.iter().filter_map(|effect| match effect {
            Effect::AskAccount { account, request } => {
                assert_eq!((account.partner.as_str(), &*account.user), ("acme", "u1"));
                Some(request)
            }
            _ => None,
        });
        asked.collect()
    }

    fn account_answers(&mut self, cause: Box<str>, outcome: AccountOutcome) {
        self.ask(Key::Reservation(id(1)), Command::AccountAnswered { cause, outcome }).unwrap();
    }

    /// Held, its deposit being asked for.
    fn unpaid() -> Self {
        let mut world = World::ready();
        world.reserve(Booking { account: true, ..booking(1, 1) }).unwrap();
        world
    }

    fn paid() -> Self {
        let mut world = World::unpaid();
        world.account_answers(freeze_cause(id(1)), AccountOutcome::Done);
        world.answer_all();
        world.clear();
        world
    }
}

fn freeze() -> AccountRequest {
    AccountRequest::Freeze { cause: freeze_cause(id(1)), amount: yuan(2000) }
}

fn release() -> AccountRequest {
    AccountRequest::Release { cause: settle_cause(id(1)), freeze: freeze_cause(id(1)) }
}

fn capture(minor: i64) -> AccountRequest {
    let (lines, amount) = (vec![(Income::Reservation, yuan(minor))], yuan(minor));
    let (cause, freeze) = (settle_cause(id(1)), freeze_cause(id(1)));
    AccountRequest::Capture { cause, freeze, amount, lines, keep: None, coupon: false }
}

#[test]
fn the_deposit_comes_first_and_the_connector_is_held_meanwhile() {
    let mut world = World::unpaid();
    assert_eq!(world.reservation(1).unwrap().status, Some(Status::PendingPayment));
    assert_eq!(world.asked(), [&freeze()]);
    assert_eq!((world.told().contains(&"reservation.reserved"), world.reserve_calls()), (false, vec![]));
    assert_eq!(world.open_for(5, 1, "u2", None), Err(Rejection::ConnectorReserved));
    assert_eq!(world.open_for(5, 1, "u1", Some(1)), Err(Rejection::ReservationUnpaid));
    world.account_answers(freeze_cause(id(1)), AccountOutcome::Done);
    assert_eq!(world.reservation(1).unwrap().status, Some(Status::Reserved));
    assert_eq!(world.last("reservation.reserved")["terms"]["deposit"]["minor"], 2000);
    assert_eq!(world.reserve_calls(), ["ReserveNow"]);
}

#[test]
fn a_refused_or_missing_deposit_fails_it_and_frees_the_connector() {
    let mut refused = World::unpaid();
    refused.account_answers(freeze_cause(id(1)), AccountOutcome::Refused("balance_too_low".into()));
    assert_eq!(
        (&refused.ended(1)["status"], &refused.ended(1)["end_cause"]),
        (&"Failed".into(), &"deposit_refused".into())
    );
    assert!(refused.charger().holds.is_empty());
    assert_eq!(
        refused.asked().last(),
        Some(&&release()),
        "it may have been asked twice, and be granted the second time"
    );
    refused.account_answers(settle_cause(id(1)), AccountOutcome::Done);
    assert!(refused.reservation(1).is_none());

    let mut late = World::unpaid();
    late.pass(300);
    assert_eq!((&late.ended(1)["status"], &late.ended(1)["end_cause"]), (&"Failed".into(), &"deposit_late".into()));
    assert_eq!(late.asked().last(), Some(&&release()), "what may have been set aside is given back");
    assert!(late.charger().holds.is_empty());
    // The freeze's own answer comes late: it changes nothing. The release's does.
    late.account_answers(freeze_cause(id(1)), AccountOutcome::Done);
    assert_eq!(late.reservation(1).unwrap().status, Some(Status::Failed));
    late.account_answers(settle_cause(id(1)), AccountOutcome::Done);
    assert!(late.reservation(1).is_none());
}

#[test]
fn each_end_takes_its_fee_and_gives_back_the_rest() {
    type Act = fn(&mut World);
    let cases: &[(&str, Act, AccountRequest, Option<i64>)] = &[
        ("in time", |w| assert!(w.cancel(1, CancelBy::Partner).is_ok()), release(), Some(2000)),
        (
            "late",
            |w| {
                w.pass(301);
                w.cancel(1, CancelBy::Partner).unwrap();
            },
            capture(500),
            Some(1500),
        ),
        ("no show", |w| w.pass(1800), capture(1000), Some(1000)),
        ("complaint", |w| assert!(w.complain(1).is_ok()), release(), Some(2000)),
        ("trouble", |w| w.status(1, ConnectorStatus::Faulted), release(), Some(2000)),
    ];
    for (title, act, request, returned) in cases {
        let mut world = World::paid();
        act(&mut world);
        assert_eq!(world.asked(), [request], "{title}");
        assert_eq!(world.ended(1)["returned"]["minor"].as_i64(), *returned, "{title}");
        assert!(world.reservation(1).is_some(), "{title}: not forgotten before the account has answered");
        world.account_answers(settle_cause(id(1)), AccountOutcome::Done);
        assert!(world.reservation(1).is_none(), "{title}");
    }
}

#[test]
fn arrival_gives_the_deposit_back() {
    let mut world = World::paid();
    let fact = crate::domain::charging::testkit::start_fact(
        1,
        card("u1"),
        1000,
        crate::domain::charging::testkit::time(world.now),
        "m1",
    );
    world.begin(fact);
    assert_eq!(world.asked(), [&release()]);
}

#[test]
fn an_account_that_does_not_answer_is_asked_again_after_a_crash_too() {
    let mut world = World::unpaid();
    world.clear();
    world.account_answers(freeze_cause(id(1)), AccountOutcome::Unavailable);
    world.pass(15);
    assert_eq!(world.asked(), [&freeze()]);
    world.clear();
    world.restart(Duration::from_secs(1));
    world.link_up();
    assert_eq!(world.asked(), [&freeze()], "at once");
    world.pass(15);
    assert_eq!(world.asked(), [&freeze(), &freeze()], "and in its time");

    let mut world = World::paid();
    world.pass(301);
    world.cancel(1, CancelBy::Partner).unwrap();
    world.clear();
    world.restart(Duration::ZERO);
    assert_eq!(world.asked(), [&capture(500)], "over and settling: at once too, however short we were away");
    world.pass(60);
    assert!(world.asked().len() >= 2 && world.asked().iter().all(|request| **request == capture(500)));
}

#[test]
fn a_settlement_that_is_refused_is_a_persons_affair() {
    let mut world = World::paid();
    world.cancel(1, CancelBy::Partner).unwrap();
    world.account_answers(settle_cause(id(1)), AccountOutcome::Refused("unknown_freeze".into()));
    assert!(world.cases().contains(&"deposit_unsettled"));
    assert!(world.reservation(1).is_none());
}

#[test]
fn giving_up_before_the_deposit_is_there_costs_nothing() {
    let mut world = World::unpaid();
    assert_eq!(world.cancel(1, CancelBy::Partner), Ok(Status::Failed));
    assert_eq!((&world.ended(1)["end_cause"], &world.ended(1)["fee"]["minor"]), (&"given_up_unpaid".into(), &0.into()));
    assert_eq!(world.complain(1), Err(Rejection::ReservationOver));
}
