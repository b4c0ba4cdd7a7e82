//! Odd transactions that no other table has: `docs/odd-transactions.md` cites them (CH-7, SE-5, SE-8, SE-9).

use crate::domain::charger::{Command, MeterFact, Sample, StartFact, Status, StopFact, Verdict};
use crate::domain::charging::Rejection;
use crate::domain::charging::testkit::*;
use crate::domain::session::{EndReason, Flag, Status as SessionStatus};
use crate::ids::{ConnectorId, TransactionId};
use std::time::Duration;

#[test]
fn a_start_told_twice_at_two_registers_is_one_transaction_and_the_first_register_counts() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    let fact = start_fact(1, world.tag(session), 1000, time(world.now), "m1");
    let first = world.begin(fact.clone());
    let doubled = StartFact { meter_start_wh: 1200, message_id: "m2".into(), ..fact.clone() };
    assert_eq!(world.begin(doubled.clone()), first);
    assert_eq!(world.cases(), ["start_contradicted"]);
    let ticket = world.case("ticket", "start_contradicted")["text"].to_string();
    assert!(ticket.contains("1000 Wh") && ticket.contains("1200 Wh"), "{ticket}");
    let (steps, start_again) = (world.journal.len(), fact.clone());
    assert_eq!((world.begin(doubled), world.begin(fact)), (first, first));
    assert_eq!(world.journal.len(), steps, "said once");
    world.stop(first.0, 1500, None, "m3");
    let later = StartFact { meter_start_wh: 1200, message_id: "m9".into(), ..start_again };
    assert_eq!(world.begin(later), first, "after its stop too");
    let ended = world.session(session);
    assert_eq!((ended.status, ended.energy_wh()), (Some(SessionStatus::Ended), 500));
    assert!(ended.flags.has(Flag::StartContradicted));
    assert_eq!(world.transactions.len(), 1);
}

#[test]
fn a_start_at_another_moment_or_by_a_clock_that_stands_still_is_another_start() {
    let (mut world, first, _) = World::charging();
    world.pass(5);
    let second = world.start(1, token(Verdict::Accepted), 1200, "m2");
    assert_eq!(world.session(first).end.unwrap().reason, EndReason::Superseded);
    let dead = |meter| start_fact(2, token(Verdict::Accepted), meter, time(crate::clock::Timestamp(0)), "m");
    let (one, two) = (world.begin(dead(10)).0, world.begin(dead(20)).0);
    assert!(one != two && one != second);
}

#[test]
fn a_replaced_board_that_counts_everything_from_zero_is_believed_in_its_present() {
    let mut world = World::ready();
    let old = world.start(1, token(Verdict::Accepted), 900_000, "1");
    world.pass(600);
    world.stop(old, 904_000, None, "2");
    assert_eq!(world.last("session.ended")["energy_wh"], 4000);
    // The new board knows no transaction, its register and its message ids begin anew.
    world.tell(Command::Boot(boot()));
    world.pass(600);
    let stray = stop_fact(TransactionId(1), Some(0), time(world.now), None, "1");
    world.tell(Command::TransactionStop(stray));
    assert!(world.cases().contains(&"stop_of_unknown_transaction"), "its own numbers are nobody's");
    let new = world.start(1, token(Verdict::Accepted), 0, "2");
    assert!(new > old, "ids are ours and never start again");
    world.pass(60);
    world.meter(new, 1500);
    world.pass(60);
    world.stop(new, 2500, None, "3");
    let session = world.session(world.transactions[&new]);
    assert_eq!((session.energy_wh(), session.status), (2500, Some(SessionStatus::Ended)));
    assert_eq!(session.flags.list(), [Flag::MessageIdReused]);
}

#[test]
fn a_register_that_rolls_over_never_becomes_energy_and_a_person_settles() {
    let mut world = World::ready();
    let transaction = world.start(1, token(Verdict::Accepted), 99_999_000, "m1");
    let id = world.transactions[&transaction];
    for register in [99_999_600, 200, 900] {
        world.pass(60);
        world.meter(transaction, register);
    }
    assert_eq!(world.session(id).energy_wh(), 600, "the last one before the turn stands");
    world.pass(60);
    world.stop(transaction, 1400, None, "m2");
    let session = world.session(id);
    assert_eq!((session.energy_wh(), session.meter_stop_wh), (600, Some(1400)));
    assert!(session.flags.has(Flag::MeterBackwards) && session.flags.has(Flag::Estimated));
    let ticket = world.case("ticket", "readings_implausible")["text"].to_string();
    assert!(ticket.contains("start 99999000 Wh, counted 99999600 Wh, told 1400"), "{ticket}");
}

#[test]
fn at_a_connector_that_says_reserved_no_partner_starts_and_a_card_is_taken_as_the_chargers_fact() {
    let mut world = World::ready();
    world.status(1, Status::Reserved);
    assert_eq!(world.open(1, 1), Err(Rejection::ConnectorReserved));
    let transaction = world.start(1, token(Verdict::Accepted), 100, "m1");
    world.stop(transaction, 300, None, "m2");
    assert_eq!(world.session(world.transactions[&transaction]).energy_wh(), 200);
}

fn signed(world: &World, records: &[&str]) -> Sample {
    Sample { signed: records.iter().map(|record| (*record).into()).collect(), ..sample(world.now, 1100) }
}

#[test]
fn signed_records_are_kept_as_received_the_first_and_the_newest_with_rows() {
    let (mut world, session, transaction) = World::charging();
    let read = |world: &mut World, record: &str| {
        let samples = vec![signed(world, &[record])];
        let fact = MeterFact { connector: ConnectorId(1), transaction: Some(transaction), samples };
        world.tell(Command::MeterValues(fact));
    };
    read(&mut world, "OCMF|begin");
    for n in 1..100 {
        world.pass(10);
        read(&mut world, &format!("OCMF|{n}"));
    }
    let fact = stop_fact(transaction, Some(1500), time(world.now), None, "m9");
    let data = vec![signed(&world, &["OCMF|end", "OCMF|too"])];
    world.tell(Command::TransactionStop(StopFact { data, ..fact }));
    read(&mut world, "OCMF|after");
    assert_eq!(world.session(session).signed, 103);
    let rows: Vec<serde_json::Value> = world
        .rows
        .iter()
        .filter(|((table, _), _)| *table == "signed-reading")
        .map(|(_, value)| serde_json::from_slice(value).unwrap())
        .collect();
    assert_eq!(rows.len(), 64);
    let kept = |data: &str| rows.iter().any(|row| row["data"] == data);
    for data in ["OCMF|begin", "OCMF|99", "OCMF|end", "OCMF|too", "OCMF|after"] {
        assert!(kept(data), "{data}");
    }
    assert!(!kept("OCMF|5"));
    let journal = serde_json::to_string(&world.journal).unwrap();
    assert!((1..100).all(|n| journal.contains(&format!("OCMF|{n}\""))), "all are in the journal");
}

#[test]
fn a_silent_day_of_the_meter_costs_no_energy_when_the_register_comes_back() {
    let (mut world, session, transaction) = World::charging();
    world.pass(60);
    world.meter(transaction, 1100);
    world.pass(3600);
    world.meter(transaction, 8000);
    let running = world.session(session);
    assert_eq!(running.energy_wh(), 7000, "the cumulative register tells what the gap hid");
    assert!(running.flags.has(Flag::ReadingGap) && running.flags.has(Flag::SamplesMissed));
    world.link_down(true);
    world.pass(13 * 3600);
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::ConnectionLost);
    world.link_up();
    world.tell(Command::TransactionStop(stop_fact(
        transaction,
        Some(9000),
        time(world.now - Duration::from_secs(12 * 3600)),
        None,
        "m9",
    )));
    assert_eq!(world.session(session).energy_wh(), 8000);
    assert!(world.session(session).flags.has(Flag::SettledLate));
}
