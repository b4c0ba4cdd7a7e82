//! The connection: attached, gone, offline, alternating, flapping, our restart (CH-3, CH-4, CH-9, RT-3).

use crate::domain::charger::{BootPolicy, Call, Command, Link, Status};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Rejection, Timer};
use std::time::Duration;

fn offline(world: &World) -> bool {
    matches!(world.charger().link, Link::Down { offline_due: None, .. })
}

#[test]
fn sixty_seconds_without_a_socket_make_every_status_unknown() {
    let mut world = World::ready();
    world.link_down(false);
    assert_eq!(world.open(1, 1), Err(Rejection::ChargerOffline), "refused at once");
    world.pass(59);
    assert!(!offline(&world) && world.told().is_empty());
    world.pass(1);
    assert!(offline(&world));
    assert_eq!(world.told(), ["connector.status"; 2]);
    assert_eq!(world.last("connector.status")["status"], "Unknown");
    assert_eq!(world.cases(), ["charger_offline"]);
    assert_eq!(world.row("status", "CP1")["connectors"][0]["status"], "Unknown");
}

#[test]
fn a_charger_that_was_silent_is_offline_at_once() {
    let mut world = World::ready();
    world.link_down(true);
    assert!(offline(&world));
}

#[test]
fn a_short_loss_changes_no_status() {
    let mut world = World::ready();
    world.link_down(false);
    world.pass(30);
    world.link_up();
    world.pass(3600);
    assert!(world.told().is_empty(), "{:?}", world.told());
    assert!(world.open(1, 1).is_ok());
}

#[test]
fn back_online_the_statuses_are_asked_for_and_return_after_a_minute() {
    let mut world = World::ready();
    world.link_down(true);
    world.clear();
    world.link_up();
    assert_eq!(world.open(1, 1), Err(Rejection::ConnectorStatusUnknown));
    world.pass(5);
    let trigger = Call::Trigger { message: "StatusNotification".into(), connector: None };
    assert_eq!(world.answer(refused()), trigger);
    world.status(2, Status::Faulted);
    world.pass(55);
    let status = |world: &World, n: usize| world.charger().connectors[n].status;
    assert_eq!((status(&world, 0), status(&world, 1)), (Status::Available, Status::Faulted));
    assert!(world.open(1, 1).is_ok());
}

#[test]
fn the_end_of_an_old_socket_harms_nothing() {
    let mut world = World::ready();
    let old = world.ambient.generation;
    world.link_up();
    world.tell(Command::LinkDown { generation: old, reason: "closed".into(), silent: true });
    assert_eq!(world.charger().generation(), Some(old + 1));
    // A message of the older socket that was overtaken.
    world.tell(Command::LinkUp { generation: old, remote: "::1".into(), subprotocol: "ocpp1.6".into() });
    assert_eq!(world.charger().generation(), Some(old + 1));
}

#[test]
fn two_devices_under_one_identity_raise_an_alarm() {
    let mut world = World::ready();
    for _ in 0..3 {
        world.pass(30);
        world.link_up();
    }
    assert_eq!(world.cases(), ["connection_alternates"]);
    world.clear();
    for _ in 0..3 {
        world.link_down(false);
        world.link_up();
    }
    assert_eq!(world.cases(), [""; 0], "a charger that reconnects is no second device");
}

#[test]
fn five_troubles_in_a_day_put_a_charger_in_maintenance() {
    let mut world = World::ready();
    for n in 0..5 {
        assert!(world.charger().maintenance.is_none(), "after {n}");
        world.link_down(true);
        world.link_up();
        world.pass(3600);
    }
    assert_eq!(world.charger().maintenance.as_ref().unwrap().by, "system".into());
    assert!(world.cases().contains(&"charger_flapping"));
    assert_eq!(world.open(1, 1), Err(Rejection::ChargerMaintenance));
}

#[test]
fn five_troubles_in_a_week_do_not() {
    let mut world = World::ready();
    for _ in 0..5 {
        world.link_down(true);
        world.link_up();
        world.pass(30 * 3600);
    }
    assert!(world.charger().maintenance.is_none());
}

#[test]
fn after_our_restart_the_charger_has_a_minute_to_come_back() {
    let mut world = World::ready();
    world.restart(Duration::from_secs(3600));
    world.pass(59);
    assert!(!offline(&world));
    world.pass(1);
    assert!(offline(&world));
}

#[test]
fn our_downtime_does_not_count_as_the_chargers_silence() {
    let mut world = World::ready();
    world.link_down(false);
    world.pass(50);
    world.restart(Duration::from_secs(3600));
    world.pass(9);
    assert!(!offline(&world));
    world.pass(1);
    assert!(offline(&world));
}

#[test]
fn no_call_goes_to_a_fresh_connection_before_its_time() {
    let mut world = World::ready();
    world.link_down(false);
    world.link_up();
    let session = world.open(1, 1).unwrap();
    assert!(world.calls().is_empty(), "{:?}", world.calls());
    assert!(crate::domain::charger::timers(world.charger()).iter().any(|deadline| deadline.timer == Timer::Pump));
    world.pass(5);
    assert_eq!(world.calls().len(), 1);
    world.answer_all();
    assert!(world.calls().iter().any(|call| matches!(call, Call::RemoteStart { .. })), "{session}");
}

#[test]
fn a_charger_that_never_booted_is_asked_to() {
    let mut world = World::empty();
    world.tell(register(1, BootPolicy::Accepted));
    world.link_up();
    world.pass(5);
    assert!(matches!(world.calls()[..], [Call::Trigger { message, .. }] if **message == *"BootNotification"));
}

#[test]
fn a_charger_that_is_away_for_good_leaves_memory() {
    use crate::domain::entity::Standing;
    let mut world = World::ready();
    assert_eq!(crate::domain::charger::standing(world.charger()), Standing::Open);
    world.link_down(false);
    assert_eq!(crate::domain::charger::standing(world.charger()), Standing::Open);
    world.pass(60);
    assert_eq!(crate::domain::charger::standing(world.charger()), Standing::Idle);
}

#[test]
fn what_nobody_asked_for_is_spread_and_what_somebody_asked_for_is_not() {
    let mut world = World::ready();
    let mut policy = (*world.ambient.policy).clone();
    policy.charger.first_call_spread = Duration::from_secs(30);
    world.ambient.policy = std::sync::Arc::new(policy);
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..20 {
        world.link_down(false);
        world.link_up();
        let asked = world.charger().queue.iter().find(|pending| matches!(pending.call, Call::Trigger { .. })).unwrap();
        let wait = asked.not_before.since(world.now);
        assert!(wait < Duration::from_secs(30), "{wait:?}");
        waits.insert(wait);
        world.pass(40);
        world.answer_all();
    }
    assert!(waits.len() > 15, "{waits:?}");
    world.clear();
    world.link_down(false);
    world.link_up();
    world.open(1, 1).unwrap();
    world.pass(5);
    // One call at a time: what had drawn a short wait is answered first.
    world.answer_all();
    assert!(world.calls().iter().any(|call| matches!(call, Call::RemoteStart { .. })), "{:?}", world.calls());
}
