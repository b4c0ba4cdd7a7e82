//! Parking locks and barriers (CH-10).

use crate::domain::charger::lock::{ORDER, REPORT, VENDOR};
use crate::domain::charger::{Call, Command, LockAction, Outcome, Status, TransferStatus};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Rejection, Reply};
use crate::domain::fault::PARKING_LOCK;
use crate::ids::{CommandId, ConnectorId};
use std::time::Duration;

fn transfer(world: &mut World, message: Option<&str>, data: &str) -> Reply {
    let (message, data) = (message.map(Into::into), Some(data.into()));
    world.tell(Command::DataTransfer { vendor: VENDOR.into(), message, data })
}

fn report(world: &mut World, connector: u16, state: &str) {
    let data = format!("{{\"connectorId\":{connector},\"state\":\"{state}\"}}");
    let reply = transfer(world, Some(REPORT), &data);
    assert_eq!(reply, Reply::Transferred { status: TransferStatus::Accepted, data: None });
}

fn order(world: &mut World, connector: u16, action: LockAction) -> Result<Reply, Rejection> {
    let command_id = CommandId(uuid::Uuid::from_u128(77));
    let by = "op".into();
    world.ask(Key::Charger, Command::MoveLock { command_id, connector: ConnectorId(connector), action, by })
}

fn shown(world: &World, n: usize) -> serde_json::Value {
    world.row("status", "CP1")["connectors"][n]["lock"].clone()
}

fn sent(world: &World) -> usize {
    let ours = |call: &&&Call| matches!(call, Call::DataTransfer { message: Some(message), .. } if **message == *ORDER);
    world.calls().iter().filter(ours).count()
}

#[test]
fn a_report_is_kept_shown_told_and_a_repeat_is_not() {
    let mut world = World::ready();
    report(&mut world, 1, "raised");
    assert_eq!(shown(&world, 0)["state"], "raised");
    assert_eq!(shown(&world, 0)["kind"], "lock");
    assert!(shown(&world, 1).is_null());
    assert_eq!(world.last("connector.status")["lock"]["state"], "raised");
    let steps = world.journal.len();
    report(&mut world, 1, "raised");
    assert_eq!(world.journal.len(), steps);
}

#[test]
fn what_the_profile_does_not_know_is_refused_with_the_reason() {
    let mut world = World::ready();
    let cases = [
        (Some("MoveLock"), "{}", TransferStatus::UnknownMessage, "messageId LockStatus is known"),
        (None, "{}", TransferStatus::UnknownMessage, "messageId LockStatus is known"),
        (Some(REPORT), "", TransferStatus::Rejected, "data: EOF"),
        (Some(REPORT), "{\"connectorId\":1}", TransferStatus::Rejected, "missing field `state`"),
        (Some(REPORT), "{\"connectorId\":1,\"state\":\"up\"}", TransferStatus::Rejected, "`raised`, `lowered`"),
        (Some(REPORT), "{\"connectorId\":3,\"state\":\"raised\"}", TransferStatus::Rejected, "0 to 2 is allowed"),
    ];
    for (message, data, expected, why) in cases {
        let Reply::Transferred { status, data: said } = transfer(&mut world, message, data) else { panic!() };
        assert_eq!(status, expected, "{message:?} {data}");
        assert!(said.as_deref().unwrap().contains(why), "{said:?}");
    }
    let long = format!("{{\"connectorId\":1,\"state\":\"raised\",\"info\":\"{}\"}}", "x".repeat(3000));
    assert!(matches!(
        transfer(&mut world, Some(REPORT), &long),
        Reply::Transferred { status: TransferStatus::Rejected, .. }
    ));
    assert!(world.charger().care.is_none());
}

#[test]
fn a_lock_that_fails_takes_its_connector_out_of_offer_until_it_works_again() {
    let mut world = World::ready();
    report(&mut world, 1, "fault");
    let told = world.last("connector.status");
    assert_eq!((&told["status"], &told["error"]["cause"]), (&"Faulted".into(), &"parking_lock".into()));
    assert_eq!(told["error"]["message_zh"], PARKING_LOCK.zh);
    world.case("ticket", "parking_lock_faulted");
    assert_eq!(world.open(1, 1), Err(Rejection::ConnectorFaulted));
    report(&mut world, 1, "moving");
    assert_eq!(world.open(1, 1), Err(Rejection::ConnectorFaulted), "on its way it may still be stuck");
    report(&mut world, 1, "lowered");
    assert_eq!(world.last("connector.status")["status"], "Available");
    assert!(world.open(1, 1).is_ok());
}

#[test]
fn a_barrier_of_the_whole_charger_counts_for_every_connector() {
    let mut world = World::ready();
    let data =
        "{\"connectorId\":0,\"kind\":\"barrier\",\"state\":\"fault\",\"errorCode\":\"B7\",\"vehiclePresent\":true}";
    transfer(&mut world, Some(REPORT), data);
    assert_eq!(world.told(), ["connector.status"; 2]);
    for n in [0, 1] {
        assert_eq!(shown(&world, n)["kind"], "barrier");
        assert_eq!(shown(&world, n)["vehicle_present"], true);
    }
    assert_eq!(world.last("connector.status")["error"]["vendor_code"], "B7");
    assert_eq!(world.open(1, 2), Err(Rejection::ConnectorFaulted));
}

#[test]
fn an_order_is_a_command_and_done_when_the_lock_says_so() {
    let mut world = World::ready();
    assert_eq!(order(&mut world, 1, LockAction::Lower), Err(Rejection::LockUnknown));
    report(&mut world, 1, "raised");
    assert!(matches!(order(&mut world, 1, LockAction::Lower), Ok(Reply::Queued(_))));
    assert_eq!(shown(&world, 0)["order"]["result"], "Moving");
    let Call::DataTransfer { vendor, message, data } = world.answer(accepted()) else { panic!() };
    assert_eq!((&*vendor, message.as_deref()), (VENDOR, Some(ORDER)));
    assert_eq!(data.as_deref(), Some("{\"action\":\"lower\",\"connectorId\":1}"));
    report(&mut world, 1, "moving");
    assert_eq!(shown(&world, 0)["order"]["result"], "Moving");
    report(&mut world, 1, "lowered");
    assert_eq!(shown(&world, 0)["order"]["result"], "Done");
    assert_eq!(world.last("connector.status")["lock"], shown(&world, 0));
    world.pass(3600);
    assert_eq!(sent(&world), 1);
    assert_eq!(world.cases(), [""; 0]);
}

#[test]
fn a_lock_that_does_not_move_is_told_three_times_and_is_then_a_fault_and_a_ticket() {
    let mut world = World::ready();
    report(&mut world, 1, "raised");
    order(&mut world, 1, LockAction::Lower).unwrap();
    for attempt in 1..=3 {
        assert_eq!(sent(&world), attempt);
        assert_eq!(world.cases(), [""; 0]);
        world.answer(accepted());
        world.pass(30);
    }
    assert_eq!(sent(&world), 3);
    let lock = shown(&world, 0);
    assert_eq!((&lock["state"], &lock["order"]["result"]), (&"fault".into(), &"Stuck".into()));
    assert_eq!(world.last("connector.status")["lock"]["order"]["result"], "Stuck");
    let ticket = world.case("ticket", "parking_lock_faulted");
    assert!(ticket["text"].as_str().unwrap().contains("told 3 times to lower"), "{ticket}");
    assert_eq!(world.open(1, 1), Err(Rejection::ConnectorFaulted));
    report(&mut world, 1, "lowered");
    assert!(world.open(1, 1).is_ok());
}

#[test]
fn how_the_command_ends_decides_the_order() {
    let error = Outcome::CallError { code: "InternalError".into(), description: "".into() };
    for (outcome, sends, result) in [
        (refused(), 1, "Refused"),
        (error, 3, "Stuck"),
        (Outcome::TimedOut, 3, "Stuck"),
        (Outcome::LinkLost, 1, "Offline"),
    ] {
        let mut world = World::ready();
        report(&mut world, 1, "raised");
        order(&mut world, 1, LockAction::Lower).unwrap();
        for _ in 0..sends {
            world.answer(outcome.clone());
        }
        assert!(world.outstanding().is_none());
        assert_eq!((sent(&world), &shown(&world, 0)["order"]["result"]), (sends, &result.into()), "{outcome:?}");
        assert_eq!(world.last("connector.status")["lock"]["order"]["result"], result, "{outcome:?}");
    }
}

#[test]
fn the_newest_order_counts() {
    let mut world = World::ready();
    report(&mut world, 1, "raised");
    order(&mut world, 1, LockAction::Lower).unwrap();
    world.answer(accepted());
    order(&mut world, 1, LockAction::Raise).unwrap();
    world.answer(accepted());
    world.pass(20);
    assert_eq!(sent(&world), 2);
    report(&mut world, 1, "lowered");
    assert_eq!(shown(&world, 0)["order"]["result"], "Moving");
    report(&mut world, 1, "raised");
    assert_eq!(shown(&world, 0)["order"]["result"], "Done");
}

#[test]
fn offline_a_lock_is_unknown_and_takes_no_order() {
    let mut world = World::ready();
    report(&mut world, 1, "lowered");
    report(&mut world, 2, "fault");
    world.link_down(true);
    assert_eq!((&shown(&world, 0)["state"], &shown(&world, 1)["state"]), (&"unknown".into(), &"fault".into()));
    assert_eq!(order(&mut world, 1, LockAction::Raise), Err(Rejection::ChargerOffline));
    world.link_up();
    world.pass(5);
    world.answer_all();
    world.status(1, Status::Available);
    assert!(world.open(1, 1).is_ok(), "not to know how a lock stands keeps nobody out");
    report(&mut world, 1, "lowered");
    assert_eq!(shown(&world, 0)["state"], "lowered");
}

#[test]
fn an_order_survives_our_restart_as_what_it_came_to() {
    let mut world = World::ready();
    report(&mut world, 1, "raised");
    order(&mut world, 1, LockAction::Lower).unwrap();
    world.answer(accepted());
    world.restart(Duration::from_secs(5));
    world.link_up();
    assert_eq!(shown(&world, 0)["order"]["result"], "Moving");
    world.pass(600);
    assert_eq!(shown(&world, 0)["order"]["result"], "Stuck", "nobody answered");
    report(&mut world, 1, "lowered");
    assert_eq!(shown(&world, 0)["state"], "lowered");
}
