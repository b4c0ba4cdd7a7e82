//! What of an order counts towards its partner's statement: one line when it is settled, then only differences (RC-3).

use super::*;
use crate::domain::statement::line::{Figures, Line};

impl World {
    /// All lines so far, in order of their keys, with what they say together.
    fn lines(&self) -> (Vec<Line>, Figures) {
        let rows = self.rows.iter().filter(|((table, _), _)| *table == "settled");
        let lines: Vec<Line> = rows.map(|(_, value)| serde_json::from_slice(value).unwrap()).collect();
        let sum = lines.iter().fold(Figures::default(), |sum, line| sum.plus(line.figures));
        (lines, sum)
    }
}

fn figures(energy_wh: i64, electricity: i64, service: i64, other: i64) -> Figures {
    Figures { energy_wh, electricity, service, other, total: electricity + service + other }
}

#[test]
fn an_order_that_the_partner_settles_is_one_line_and_what_comes_late_another() {
    let mut world = World::priced();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 1000, "m1");
    world.pass(600);
    world.meter(transaction, 11_000);
    world.link_down(true);
    // Once it is settled without its stop, it stays in memory for what comes late.
    while world.order_status(session) != Some(Status::Paid) {
        world.pass(300);
    }
    let (lines, sum) = world.lines();
    assert_eq!((lines.len(), sum), (1, figures(10_000, 500, 500, 0)));
    let first = lines[0].clone();
    assert_eq!((first.corrects, first.account, &*first.number, first.at), (false, false, "1", first.first_at));
    assert_eq!(
        first.site.as_ref().map(|site| site.as_str()),
        world.charger().registration.as_ref().map(|it| it.site.as_str())
    );
    world.link_up();
    world.stop(transaction, 21_000, Some(StopReason::Local), "m9");
    let (lines, sum) = world.lines();
    assert_eq!((lines.len(), sum), (2, figures(20_000, 1_000, 1_000, 0)));
    assert_eq!(lines[0], first, "what was written stays");
    assert_eq!(
        (lines[1].corrects, lines[1].figures, lines[1].first_at),
        (true, figures(10_000, 500, 500, 0), first.at)
    );
    assert_eq!(world.order(order_of(session)).charge, Some(2_000));
    assert!(world.cases().contains(&"order_changed_afterwards"));
    assert_eq!(world.replay()[&Key::Order(order_of(session))].order(), Some(world.order(order_of(session))));
}

#[test]
fn what_is_given_back_is_a_line_of_its_own_even_after_the_order_has_left_memory() {
    let mut bank = Bank::with(10_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    world.ends_at(&mut bank, transaction, 21_000);
    let order = order_of(session);
    assert_eq!(world.lines().1, figures(20_000, 1_000, 1_000, 0));
    let kept: Order = serde_json::from_value(world.row("order", &session.to_string())["kept"].clone()).unwrap();
    world.pass(3600);
    world.tell_order(order, Command::Recall(Box::new(kept))).unwrap();
    world.tell_order(order, Command::Refund { minor: 300, by: "zhang".into() }).unwrap();
    world.bank(&mut bank);
    let (lines, sum) = world.lines();
    assert_eq!((lines.len(), sum), (2, figures(20_000, 1_000, 1_000, -300)));
    assert_eq!((&*lines[1].number, lines[1].account), ("2", true));
    assert!(!serde_json::to_string(&lines).unwrap().contains("user"), "nobody's name");
}

#[test]
fn what_is_not_settled_is_not_stated() {
    let mut bank = Bank::with(5_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    world.ends_at(&mut bank, transaction, 81_000);
    assert_eq!((world.order_status(session), world.lines().0.len()), (Some(Status::AwaitingPayment), 0));
    bank.top_up(4_000, world.now);
    world.tell_order(order_of(session), Command::Pay).unwrap();
    world.bank(&mut bank);
    assert_eq!((world.order_status(session), world.lines().1), (Some(Status::Paid), figures(80_000, 4_000, 4_000, 0)));
}

#[test]
fn an_order_that_is_closed_without_payment_says_so_by_its_other_amount() {
    let mut bank = Bank::with(100_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    world.ends_at(&mut bank, transaction, 301_000);
    world.tell_order(order_of(session), Command::Settle { minor: Some(0), by: "zhang".into() }).unwrap();
    world.bank(&mut bank);
    assert_eq!(world.lines().1, figures(300_000, 15_000, 15_000, -30_000));
}
