//! Freezing, capturing, releasing, debts, refunds, and that a cause is booked once.

use super::*;

#[test]
fn a_capture_takes_from_the_hold_then_the_balance_then_credit_and_the_rest_is_debt() {
    // MO-4: balance, credit limit, frozen, bill; taken, debt, released; available, frozen, debt after. Worked by hand.
    for (balance, credit, frozen, bill, (taken, debt, released), after) in [
        (10_000, 0, 5_000, 3_000, (3_000, 0, 2_000), [7_000, 0, 0]),
        (10_000, 0, 5_000, 5_000, (5_000, 0, 0), [5_000, 0, 0]),
        (10_000, 0, 5_000, 8_000, (8_000, 0, 0), [2_000, 0, 0]),
        (10_000, 0, 5_000, 12_000, (10_000, 2_000, 0), [0, 0, 2_000]),
        (10_000, 1_500, 5_000, 12_000, (11_500, 500, 0), [-1_500, 0, 500]),
        (10_000, 5_000, 12_000, 12_000, (12_000, 0, 0), [-2_000, 0, 0]),
        (10_000, 0, 5_000, 0, (0, 0, 5_000), [10_000, 0, 0]),
    ] {
        let mut world = World::with(balance);
        world.ask("credit", Action::SetCreditLimit { limit: yuan(credit), by: "ada".into() }).unwrap();
        assert_eq!(world.ask("f", freeze("s1", frozen)), Ok(Outcome::Frozen { frozen: yuan(frozen) }));
        assert_eq!(world.ask("c", capture("s1", bill)), captured(taken, debt, 0, released, 0), "{bill}");
        assert_eq!(world.books(), after, "{bill}");
        let earned = [LedgerAccount::RevenueEnergy, LedgerAccount::RevenueService].map(|it| world.gained(it));
        assert_eq!(earned, [bill - bill / 10, bill / 10]);
        assert!(world.verified().sound(), "{:?}", world.verified());
    }
}

#[test]
fn a_freeze_is_refused_while_there_is_too_little_an_unpaid_order_or_a_block_and_may_be_tried_again() {
    let mut world = World::with(1_000);
    let short = Outcome::InsufficientFunds { available: yuan(1_000), needed: yuan(1_001) };
    assert_eq!(world.ask("f1", freeze("s1", 1_001)), Ok(short));
    assert_eq!(world.ask("d", charge("s0", 1_500)), captured(1_000, 500, 0, 0, 0));
    let unpaid = Outcome::UnpaidOrder { order: order("s0"), debt: yuan(500) };
    assert_eq!(world.ask("f1", freeze("s1", 1_001)), Ok(unpaid));
    world.pay_in("T1", 3_000);
    assert_eq!(world.books(), [2_500, 0, 0], "the top-up has paid the debt (MO-3)");
    world.ask("b", Action::Block { reason: "fraud".into(), by: "ada".into() }).unwrap();
    let blocked = Outcome::Blocked { rule: risk::Rule::Blacklist, told: risk::Rule::Blacklist.told() };
    assert_eq!(world.ask("f1", freeze("s1", 1_001)), Ok(blocked));
    world.ask("l", Action::Lift { rule: risk::Rule::Blacklist, by: "bob".into() }).unwrap();
    assert_eq!(world.ask("f1", freeze("s1", 1_001)), Ok(Outcome::Frozen { frozen: yuan(1_001) }));
    assert_eq!(world.books(), [1_499, 1_001, 0]);
}

#[test]
fn a_repeat_gives_the_recorded_outcome_and_books_nothing() {
    let mut world = World::with(10_000);
    let script = [
        ("f", freeze("s1", 5_000)),
        ("e", Action::Extend { hold: hold("s1"), amount: yuan(500) }),
        ("c", capture("s1", 4_000)),
        ("g", charge("s1", 7_000)),
        ("r", Action::Refund { order: order("s1"), amount: yuan(3_000) }),
        ("x", Action::Release { hold: hold("s9") }),
    ];
    let first: Vec<_> = script.iter().map(|(cause, action)| world.ask(cause, action.clone())).collect();
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    let (books, entries) = (world.account.trial.clone(), world.account.entries);
    for _ in 0..3 {
        let again: Vec<_> = script.iter().map(|(cause, action)| world.ask(cause, action.clone())).collect();
        assert_eq!(again, first);
    }
    assert_eq!((world.account.trial.clone(), world.account.entries), (books, entries));
}

#[test]
fn a_cause_with_another_wish_is_refused_and_says_both() {
    let mut world = World::with(10_000);
    world.ask("f", freeze("s1", 5_000)).unwrap();
    for other in [freeze("s1", 5_001), freeze("s2", 5_000), capture("s1", 5_000)] {
        let refused = world.ask("f", other).unwrap_err();
        let Rejection::CauseReused { booked, now, .. } = &refused else { panic!("{refused}") };
        assert_eq!(&**booked, "freeze 50.00 CNY as s1 for s1");
        assert_ne!(booked, now);
    }
    assert_eq!(world.books(), [5_000, 5_000, 0]);
}

#[test]
fn a_release_that_overtakes_its_freeze_keeps_it_from_standing_for_ever() {
    let mut world = World::with(10_000);
    assert_eq!(world.ask("r", Action::Release { hold: hold("s1") }), Ok(Outcome::Released { amount: yuan(0) }));
    assert_eq!(world.ask("f", freeze("s1", 100)), Err(Rejection::HoldClosed(hold("s1"))));
    assert_eq!(world.books(), [10_000, 0, 0]);
}

#[test]
fn a_closed_hold_is_closed_and_an_unknown_one_unknown() {
    let mut world = World::with(10_000);
    world.ask("f", freeze("s1", 100)).unwrap();
    assert_eq!(world.ask("f2", freeze("s1", 100)), Err(Rejection::HoldExists(hold("s1"))));
    world.ask("r", Action::Release { hold: hold("s1") }).unwrap();
    assert_eq!(world.ask("c", capture("s1", 50)), Err(Rejection::HoldClosed(hold("s1"))));
    assert_eq!(world.ask("c2", capture("s2", 50)), Err(Rejection::UnknownHold(hold("s2"))));
    let extend = |name| Action::Extend { hold: hold(name), amount: yuan(1) };
    assert_eq!(world.ask("e", extend("s1")), Err(Rejection::HoldClosed(hold("s1"))));
    assert_eq!(world.ask("r2", Action::Release { hold: hold("s1") }), Ok(Outcome::Released { amount: yuan(0) }));
}

#[test]
fn what_a_capture_keeps_is_a_hold_of_the_linked_order() {
    let keep = |minor| Some(Keep { hold: hold("s1-occ"), order: order("s1-occ"), amount: yuan(minor) });
    // SE-13: frozen, bill, wanted; released, kept.
    for (bill, wanted, released, kept) in [(3_000, 1_500, 500, 1_500), (4_000, 1_500, 0, 1_000), (5_000, 1_500, 0, 0)] {
        let mut world = World::with(10_000);
        world.ask("f", freeze("s1", 5_000)).unwrap();
        let capture = Action::Capture {
            hold: hold("s1"),
            amount: yuan(bill),
            lines: lines(bill),
            coupon: None,
            keep: keep(wanted),
        };
        assert_eq!(world.ask("c", capture), captured(bill, 0, 0, released, kept));
        assert_eq!(world.account.frozen(), kept);
        let known = world.account.holds.get(&hold("s1-occ")).map(|hold| (hold.minor, hold.order.clone()));
        assert_eq!(known, (kept > 0).then(|| (kept, order("s1-occ"))));
    }
}

#[test]
fn a_bill_whose_lines_do_not_make_it_is_refused() {
    let mut world = World::with(10_000);
    world.ask("f", freeze("s1", 5_000)).unwrap();
    let line = |account, minor| Line { account, amount: yuan(minor) };
    for lines in [
        vec![],
        vec![line(LedgerAccount::RevenueEnergy, 999)],
        vec![line(LedgerAccount::UserAvailable, 1_000)],
        vec![line(LedgerAccount::GatewayClearing, 1_000)],
        vec![line(LedgerAccount::RevenueEnergy, 1_001), line(LedgerAccount::RevenueService, -1)],
        vec![Line { account: LedgerAccount::RevenueEnergy, amount: Money::new(1_000, Currency::EUR) }],
    ] {
        let capture = Action::Capture { hold: hold("s1"), amount: yuan(1_000), lines, coupon: None, keep: None };
        let refused = world.ask("c", capture);
        let wrong =
            matches!(refused, Err(Rejection::Lines(_) | Rejection::Amount { .. } | Rejection::WrongCurrency { .. }));
        assert!(wrong, "{refused:?}");
    }
    for minor in [0, -5, 10_000_001] {
        assert!(matches!(world.ask("z", freeze("s2", minor)), Err(Rejection::Amount { .. })), "{minor}");
    }
    assert_eq!(world.books(), [5_000, 5_000, 0]);
}

#[test]
fn a_refund_lowers_the_debt_first_and_is_never_more_than_was_taken() {
    let mut world = World::with(1_000);
    assert_eq!(world.ask("g", charge("s1", 1_500)), captured(1_000, 500, 0, 0, 0));
    let refund = |minor| Action::Refund { order: order("s1"), amount: yuan(minor) };
    let refused = Rejection::RefundTooLarge { order: order("s1"), left: yuan(1_500), asked: yuan(1_501) };
    assert_eq!(world.ask("r0", refund(1_501)), Err(refused));
    let given = |to_balance, off_debt| Ok(Outcome::Refunded { to_balance: yuan(to_balance), off_debt: yuan(off_debt) });
    assert_eq!(world.ask("r1", refund(200)), given(0, 200));
    assert_eq!(world.ask("r2", refund(400)), given(100, 300));
    assert_eq!(world.ask("r3", refund(900)), given(900, 0));
    assert!(matches!(world.ask("r4", refund(1)), Err(Rejection::RefundTooLarge { .. })));
    assert_eq!((world.books(), world.gained(LedgerAccount::Refunds)), ([1_000, 0, 0], -1_500));
    let unknown = Action::Refund { order: order("s2"), amount: yuan(1) };
    assert!(matches!(world.ask("r5", unknown), Err(Rejection::RefundTooLarge { .. })));
}

#[test]
fn a_debt_is_paid_from_the_balance_not_from_credit_and_its_owner_hears_until_it_has() {
    let mut world = World::default();
    world.policy.debts_from_top_ups = false;
    world.ask("credit", Action::SetCreditLimit { limit: yuan(100), by: "ada".into() }).unwrap();
    assert_eq!(world.ask("g", charge("s1", 500)), captured(100, 400, 0, 0, 0));
    let pay = |minor| Action::PayDebt { order: order("s1"), amount: yuan(minor) };
    let short = Outcome::InsufficientFunds { available: yuan(0), needed: yuan(400) };
    assert_eq!(world.ask("p", pay(9_999)), Ok(short));
    world.pay_in("T1", 1_000);
    let paid = |paid, left| Ok(Outcome::DebtPaid { paid: yuan(paid), left: yuan(left) });
    assert_eq!(world.ask("p1", pay(150)), paid(150, 250));
    assert_eq!(world.ask("p", pay(9_999)), paid(250, 0));
    assert_eq!(world.ask("p2", pay(1)), Err(Rejection::NoDebt(order("s1"))));
    let due = AccountFamily::timers(&world.account);
    assert_eq!(due.len(), 1);
    for _ in 0..2 {
        world.step(Command::Due(due[0].timer.clone())).unwrap();
        assert_eq!(world.effects.last(), Some(&Effect::TellSettled(order("s1"))));
    }
    world.step(Command::SettledHeard(order("s1"))).unwrap();
    assert!(AccountFamily::timers(&world.account).is_empty());
}

#[test]
fn causes_that_left_the_state_are_still_known() {
    let mut world = World::with(100_000);
    world.policy.memos = (8, 4096);
    let cycle = |world: &mut World, n: u32| {
        let name = format!("s{n}");
        let steps = [freeze(&name, 100), capture(&name, 60)];
        steps.map(|action| world.ask(&format!("{name}/{}", u8::from(matches!(action, Action::Capture { .. }))), action))
    };
    let first: Vec<_> = (0..40)
        .map(|n| {
            world.now.0 += 3_600_001;
            cycle(&mut world, n)
        })
        .collect();
    assert!(world.account.memos.len() <= 24, "{}", world.account.memos.len());
    let books = world.account.trial.clone();
    let again: Vec<_> = (0..40).map(|n| cycle(&mut world, n)).collect();
    assert_eq!(again, first);
    assert_eq!(world.account.trial, books, "nothing was booked twice");
    assert_eq!(world.ask("late", freeze("s0", 1)), Err(Rejection::HoldClosed(hold("s0"))));
    let too_much = Action::Refund { order: order("s0"), amount: yuan(61) };
    assert!(matches!(world.ask("refund", too_much), Err(Rejection::RefundTooLarge { .. })));
    let whole = Action::Refund { order: order("s0"), amount: yuan(60) };
    assert!(matches!(world.ask("refund", whole), Ok(Outcome::Refunded { .. })));
}
