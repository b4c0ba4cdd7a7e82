//! StopTransaction: known, repeated, contradicting, unknown, before its start, unreadable (CH-7, CH-1).

use crate::domain::charger::{Command, StopFact, StopReason, Verdict};
use crate::domain::charging::Reply;
use crate::domain::charging::testkit::*;
use crate::domain::session::{Flag, Status};
use crate::ids::TransactionId;
use std::time::Duration;

fn stop(world: &mut World, fact: StopFact) -> Reply {
    world.tell(Command::TransactionStop(fact))
}

#[test]
fn a_stop_for_an_unknown_transaction_is_confirmed_kept_and_a_ticket() {
    for id in [77_777, 0, -1, i32::MAX, i32::MIN] {
        let mut world = World::ready();
        let fact = stop_fact(TransactionId(id), Some(500), time(world.now), None, "m1");
        assert_eq!(stop(&mut world, fact.clone()), Reply::TransactionStopped(None), "{id}");
        assert_eq!(world.cases(), ["stop_of_unknown_transaction"], "{id}");
        let ticket = world.rows.iter().find(|((table, _), _)| *table == "ticket").unwrap();
        assert!(String::from_utf8_lossy(ticket.1).contains("500 Wh"));
        let steps = world.journal.len();
        stop(&mut world, fact);
        assert_eq!(world.journal.len(), steps, "its repeat changes nothing");
    }
}

#[test]
fn a_repeated_stop_changes_nothing_and_another_one_is_a_case() {
    let (mut world, session, transaction) = World::charging();
    let fact = stop_fact(transaction, Some(1500), time(world.now), Some(StopReason::Local), "m2");
    stop(&mut world, fact.clone());
    let steps = world.journal.len();
    stop(&mut world, fact.clone());
    stop(&mut world, StopFact { message_id: "m3".into(), ..fact.clone() });
    world.restart(Duration::from_secs(10));
    let steps = steps + 1;
    stop(&mut world, fact.clone());
    assert_eq!(world.journal.len(), steps);
    stop(&mut world, StopFact { meter_stop_wh: Some(9999), ..fact });
    assert_eq!(world.session(session).energy_wh(), 500, "the first stands");
    assert!(world.cases().contains(&"stop_contradicts"));
}

#[test]
fn a_stop_without_an_id_means_the_one_transaction_that_it_fits() {
    let (mut world, session, _) = World::charging();
    let fact = stop_fact(TransactionId(-1), Some(1300), time(world.now), None, "m2");
    stop(&mut world, fact);
    let ended = world.session(session);
    assert_eq!((ended.status, ended.energy_wh()), (Some(Status::Ended), 300));
    assert!(ended.flags.has(Flag::TransactionIdMissing));
}

#[test]
fn a_stop_without_an_id_that_fits_two_transactions_or_none_is_nobodys() {
    let (mut world, _, _) = World::charging();
    let too_low = stop_fact(TransactionId(-1), Some(999), time(world.now), None, "m2");
    stop(&mut world, too_low);
    world.pass(1);
    world.start(2, token(Verdict::Accepted), 100, "m3");
    let either = stop_fact(TransactionId(-1), Some(2000), time(world.now), None, "m4");
    stop(&mut world, either);
    assert_eq!(world.cases(), ["stop_of_unknown_transaction"; 2]);
    assert_eq!(world.charger().live.len(), 2);
}

#[test]
fn a_stop_before_its_start_is_joined_when_the_start_comes() {
    let mut world = World::ready();
    let (started, ended) = (world.now - Duration::from_secs(7200), world.now - Duration::from_secs(3600));
    stop(&mut world, stop_fact(TransactionId(-1), Some(900), time(ended), Some(StopReason::Local), "m1"));
    let (transaction, _) = world.begin(start_fact(1, token(Verdict::Accepted), 100, time(started), "m2"));
    let session = world.session(world.transactions[&transaction]);
    assert_eq!((session.status, session.energy_wh()), (Some(Status::Ended), 800));
    assert_eq!((session.started_at, session.ended_at), (Some(started), Some(ended)));
    assert!(session.flags.has(Flag::StopBeforeStart));
    assert!(world.charger().live.is_empty() && world.charger().orphans.is_empty());
    assert_eq!(world.told(), ["session.started", "session.ended"]);
}

#[test]
fn the_transactions_own_stop_corrects_a_wrong_join() {
    let mut world = World::ready();
    let ago = |world: &World, seconds| time(world.now - Duration::from_secs(seconds));
    let strange = stop_fact(TransactionId(-1), Some(900), ago(&world, 3600), None, "m1");
    stop(&mut world, strange);
    let (transaction, _) = world.begin(start_fact(1, token(Verdict::Accepted), 100, ago(&world, 7200), "m2"));
    let own = stop_fact(transaction, Some(1500), ago(&world, 1800), Some(StopReason::Local), "m3");
    stop(&mut world, own.clone());
    let session = world.session(world.transactions[&transaction]);
    assert_eq!((session.energy_wh(), session.ended_at), (1400, own.at.at));
    assert!(session.flags.has(Flag::SettledLate));
    let steps = world.journal.len();
    stop(&mut world, own);
    assert_eq!(world.journal.len(), steps, "its repeat changes nothing");
}

#[test]
fn a_stop_of_the_past_is_not_joined_with_a_later_start() {
    let mut world = World::ready();
    let ended = world.now - Duration::from_secs(3600);
    stop(&mut world, stop_fact(TransactionId(5), Some(900), time(ended), None, "m1"));
    world.start(1, token(Verdict::Accepted), 100, "m2");
    assert_eq!(world.charger().live.len(), 1);
    assert_eq!(world.charger().orphans.len(), 1);
}

#[test]
fn the_token_of_a_stop_is_answered() {
    for verdict in [Verdict::Accepted, Verdict::Blocked] {
        let (mut world, _, transaction) = World::charging();
        let fact = stop_fact(transaction, Some(1100), time(world.now), None, "m2");
        let fact = StopFact { tag: Some(token(verdict)), ..fact };
        assert_eq!(stop(&mut world, fact), Reply::TransactionStopped(Some(verdict)));
    }
}

#[test]
fn an_unreadable_transaction_message_is_a_ticket_with_its_bytes() {
    let mut world = World::ready();
    let (action, bytes) = ("StopTransaction".into(), "[2,\"x\",{\"meterStop\":\"\u{1b}[31m\"}]".into());
    world.tell(Command::UnreadableTransactionMessage { action, bytes, why: "no transactionId".into() });
    assert_eq!(world.cases(), ["transaction_message_unreadable"]);
    let (_, ticket) = world.rows.iter().find(|((table, _), _)| *table == "ticket").unwrap();
    let ticket: serde_json::Value = serde_json::from_slice(ticket).unwrap();
    assert_eq!((&ticket["state"], ticket["evidence"].as_str().unwrap().contains("meterStop")), (&"open".into(), true));
}

#[test]
fn a_step_of_a_flood_of_stops_stays_small() {
    let mut world = World::ready();
    for n in 0..200 {
        let fact = stop_fact(TransactionId(n + 5), Some(1), time(world.now), None, &format!("m{n}"));
        stop(&mut world, fact);
    }
    assert_eq!(world.charger().orphans.len(), 4);
    assert_eq!(world.cases().len(), 200, "each one is a case");
}
