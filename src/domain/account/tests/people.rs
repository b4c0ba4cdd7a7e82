//! Coupons, adjustments, blocks and reviews.

use super::*;
use crate::ids::AdjustmentId;

fn coupon(id: &str, discount: Discount) -> Coupon {
    let from = Timestamp(1_600_000_000_000);
    Coupon { id: id.parse().unwrap(), discount, from, until: Timestamp(1_800_000_000_000), least: None }
}

fn grant(id: &str, minor: i64) -> Action {
    Action::GrantCoupon { coupon: coupon(id, Discount::Amount(yuan(minor))), by: "ada".into() }
}

fn with_coupon(name: &str, minor: i64, id: &str) -> Action {
    let coupon = Some(id.parse().unwrap());
    Action::Capture { hold: hold(name), amount: yuan(minor), lines: lines(minor), coupon, keep: None }
}

#[test]
fn a_coupon_pays_its_part_once_and_is_a_leg_of_the_posting() {
    let mut world = World::with(10_000);
    world.ask("g", grant("C1", 500)).unwrap();
    assert_eq!(world.ask("g2", grant("C1", 500)), Err(Rejection::CouponExists("C1".parse().unwrap())));
    for (name, discount, coupon) in [("s1", 500, CouponUse::Used), ("s2", 0, CouponUse::Unknown)] {
        world.ask(&format!("f{name}"), freeze(name, 2_000)).unwrap();
        let Ok(Outcome::Captured { taken, discount: off, coupon: used, .. }) =
            world.ask(&format!("c{name}"), with_coupon(name, 2_000, "C1"))
        else {
            panic!("not captured")
        };
        assert_eq!((taken, off, used), (yuan(2_000 - discount), yuan(discount), Some(coupon)));
    }
    assert_eq!((world.books(), world.gained(LedgerAccount::Coupons)), ([6_500, 0, 0], -500));
    assert!(world.verified().sound());
}

#[test]
fn the_coupon_that_takes_most_off_is_picked_and_of_equal_ones_the_one_that_ends_first() {
    let until = |id: &str, minor: i64, until: i64| {
        let mut it = coupon(id, Discount::Amount(yuan(minor)));
        it.until = Timestamp(it.until.0 - until);
        Action::GrantCoupon { coupon: it, by: "ada".into() }
    };
    let mut world = World::with(10_000);
    for (id, minor, sooner) in [("A", 100, 0), ("B", 300, 0), ("C", 300, 1), ("D", 299, 2)] {
        world.ask(&format!("g{id}"), until(id, minor, sooner)).unwrap();
    }
    for (name, bill, wanted) in [("s1", 2_000, Some("C")), ("s2", 250, Some("D")), ("s3", 0, None)] {
        world.ask(&format!("f{name}"), freeze(name, 2_000)).unwrap();
        let capture = Action::Capture {
            hold: hold(name),
            amount: yuan(bill),
            lines: lines(bill),
            coupon: Some(CouponPick::Best),
            keep: None,
        };
        let Ok(Outcome::Captured { used, .. }) = world.ask(&format!("c{name}"), capture) else { panic!("{name}") };
        assert_eq!(used.as_ref().map(|id| id.as_str()), wanted, "{name}");
    }
}

#[test]
fn an_adjustment_needs_a_second_person() {
    let mut world = World::with(1_000);
    let propose =
        |minor| Action::Propose { amount: yuan(minor), order: None, reason: "meter".into(), by: "ada".into() };
    let approve = |proposal, by: &str| Action::Approve { proposal, by: by.into() };
    // MO-6: amount, who approves, what comes of it, the balance after.
    for (n, (minor, by, fine, after)) in [
        (300, "bob", true, 1_300),
        (300, "ada", false, 1_300),
        (300, " ADA ", false, 1_300),
        (-1_301, "bob", false, 1_300),
        (-1_300, "bob", true, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let Ok(Outcome::Proposed { proposal }) = world.ask(&format!("p{n}"), propose(minor)) else { panic!() };
        assert_eq!(world.ask(&format!("a{n}"), approve(proposal, by)).is_ok(), fine, "{minor} {by}");
        assert_eq!(world.account.available(), after);
    }
    let unknown = AdjustmentId(uuid::Uuid::nil());
    assert_eq!(world.ask("a9", approve(unknown, "bob")), Err(Rejection::UnknownProposal(unknown)));
    let waiting = *world.account.proposals.keys().next().unwrap();
    world.ask("w", Action::Withdraw { proposal: waiting, by: "ada".into() }).unwrap();
    assert_eq!(world.ask("a10", approve(waiting, "bob")), Err(Rejection::UnknownProposal(waiting)));
}

#[test]
fn an_approved_adjustment_is_not_booked_again() {
    let mut world = World::with(1_000);
    let propose = Action::Propose { amount: yuan(5), order: None, reason: "x".into(), by: "ada".into() };
    let Ok(Outcome::Proposed { proposal }) = world.ask("p", propose) else { panic!() };
    let approve = Action::Approve { proposal, by: "bob".into() };
    assert_eq!(world.ask("a", approve.clone()), Ok(Outcome::Adjusted { amount: yuan(5) }));
    assert_eq!(world.ask("a", approve.clone()), Ok(Outcome::Adjusted { amount: yuan(5) }));
    assert_eq!(world.ask("a2", approve), Err(Rejection::UnknownProposal(proposal)));
    assert_eq!(world.account.available(), 1_005);
}

#[test]
fn too_many_failed_starts_block_until_a_person_lifts_it_with_a_ticket() {
    let mut world = World::with(1_000);
    let failed = |n: usize| Action::NoteFailedStart { order: order(&format!("s{n}")) };
    (0..9).for_each(|n| drop(world.ask(&format!("n{n}"), failed(n)).unwrap()));
    assert!(world.account.blocks.is_empty());
    world.ask("n9", failed(9)).unwrap();
    let rule = risk::Rule::FailedStarts;
    assert_eq!(world.ask("f", freeze("s", 1)), Ok(Outcome::Blocked { rule, told: rule.told() }));
    let tickets = |world: &World| world.rows.keys().filter(|(table, _)| *table == "ticket").count();
    assert_eq!(tickets(&world), 1);
    world.ask("n10", failed(10)).unwrap();
    assert_eq!(tickets(&world), 1, "one ticket until it is lifted");
    world.ask("l", Action::Lift { rule, by: "bob".into() }).unwrap();
    assert!(matches!(world.ask("f", freeze("s", 1)), Ok(Outcome::Frozen { .. })));
    world.ask("n11", failed(11)).unwrap();
    assert!(world.account.blocks.is_empty(), "what was counted is forgotten");
    assert_eq!(world.ask("l2", Action::Lift { rule, by: "bob".into() }), Err(Rejection::NothingToLift(rule)));
}

#[test]
fn many_coupons_and_rapid_top_ups_open_a_review_and_do_not_block() {
    let mut world = World::with(10_000);
    (1..6).for_each(|n| drop(world.pay_in(&format!("T{n}"), 100)));
    for n in 0..5 {
        world.ask(&format!("g{n}"), grant(&format!("C{n}"), 1)).unwrap();
        world.ask(&format!("f{n}"), freeze(&format!("s{n}"), 10)).unwrap();
        world.ask(&format!("c{n}"), with_coupon(&format!("s{n}"), 10, &format!("C{n}"))).unwrap();
    }
    let reviews: Vec<_> = world.account.reviews.keys().copied().collect();
    assert_eq!(reviews, [risk::Rule::RapidTopUps, risk::Rule::CouponAbuse]);
    assert!(matches!(world.ask("f", freeze("s", 1)), Ok(Outcome::Frozen { .. })));
}

#[test]
fn unpaid_orders_open_a_review_which_stays_closed_until_there_is_one_more() {
    let mut world = World::default();
    (0..3).for_each(|n| drop(world.ask(&format!("g{n}"), charge(&format!("s{n}"), 10)).unwrap()));
    let rule = risk::Rule::Debts;
    assert!(world.account.reviews.contains_key(&rule));
    world.ask("l", Action::Lift { rule, by: "bob".into() }).unwrap();
    world.ask("n", Action::NoteFailedStart { order: order("s9") }).unwrap();
    assert!(!world.account.reviews.contains_key(&rule));
    world.ask("g4", charge("s4", 10)).unwrap();
    assert!(world.account.reviews.contains_key(&rule));
}

#[test]
fn bounds_of_an_account_are_refusals_that_name_them() {
    let mut world = World::with(100_000);
    world.policy.holds_max = 2;
    world.policy.top_ups_max = 1;
    world.policy.proposals_max = 1;
    world.policy.coupons_max = 1;
    let propose = Action::Propose { amount: yuan(1), order: None, reason: "x".into(), by: "ada".into() };
    for (n, (action, what)) in [
        (freeze("a", 1), None),
        (freeze("b", 1), None),
        (freeze("c", 1), Some("open holds")),
        (Action::OpenTopUp { amount: yuan(1) }, None),
        (Action::OpenTopUp { amount: yuan(1) }, Some("open top-ups")),
        (propose.clone(), None),
        (propose, Some("undecided adjustments")),
        (grant("C1", 1), None),
        (grant("C2", 1), Some("unused coupons")),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = world.ask(&format!("c{n}"), action);
        let named = match &asked {
            Err(Rejection::Limit { what, .. }) => Some(*what),
            _ => None,
        };
        assert_eq!(named, what, "{n} {asked:?}");
    }
}
