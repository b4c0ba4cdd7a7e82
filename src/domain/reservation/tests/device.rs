//! What the device is told of a reservation, and that the platform holds where the device does not (RS-1).

use super::*;
use crate::domain::charger::{HoldDevice, Outcome, Told};
use crate::domain::charging::testkit::{accepted, boot};
use crate::ids::CommandId;

fn answered(word: &str) -> (Outcome, Told) {
    let outcome =
        Outcome::Answered { accepted: word == "Accepted", payload: format!("{{\"status\":\"{word}\"}}").into() };
    (outcome, Told::Status(word.into()))
}

impl World {
    /// The charger tells its settings.
    fn configured(&mut self, settings: charger::configuration::Told) {
        let (command_id, call) = (CommandId(uuid::Uuid::from_u128(99)), Call::GetConfiguration { keys: Vec::new() });
        self.ask(Key::Charger, charger::Command::Enqueue { command_id, call, by: "op".into() }).unwrap();
        self.answer_with(accepted(), Told::Configuration(Box::new(settings)));
        self.answer_all();
    }
}

#[test]
fn what_the_device_answers_decides_who_holds() {
    let call_error = || Outcome::CallError { code: "NotSupported".into(), description: "".into() };
    let cases = [
        (answered("Accepted"), Some(HoldDevice::Holds), ""),
        (answered("Rejected"), Some(HoldDevice::Declined), ""),
        ((call_error(), Told::Nothing), Some(HoldDevice::Declined), ""),
        ((Outcome::TimedOut, Told::Nothing), Some(HoldDevice::Declined), ""),
        (answered("Occupied"), None, "connector_occupied"),
        (answered("Faulted"), None, "connector_faulted"),
        (answered("Unavailable"), None, "connector_unavailable"),
    ];
    for ((outcome, told), device, cause) in cases {
        let mut world = World::ready();
        world.reserve(booking(1, 1)).unwrap();
        let shown = format!("{outcome:?}");
        let call = world.answer_with(outcome, told);
        let Call::ReserveNow { connector, expires, tag, .. } = call else { panic!("{call:?}") };
        assert_eq!((connector, expires.since(world.now).as_secs()), (ConnectorId(1), 1800));
        match device {
            Some(device) => {
                assert_eq!((world.hold(1).device, tag), (device, Some(world.hold(1).id_tag.clone())), "{shown}");
                let stranger = world.open_for(5, 1, "u2", None);
                assert_eq!(stranger, Err(Rejection::ConnectorReserved), "held either way: {shown}");
            }
            None => assert_eq!(world.ended(1)["end_cause"], cause, "{shown}"),
        }
    }
}

#[test]
fn a_device_that_says_it_knows_no_reservations_is_not_asked() {
    let mut world = World::ready();
    let told = charger::configuration::Told {
        keys: vec![charger::configuration::Key {
            key: "SupportedFeatureProfiles".into(),
            value: Some("Core,RemoteTrigger".into()),
            readonly: true,
        }],
        unknown: Vec::new(),
    };
    world.configured(told);
    world.clear();
    world.reserve(booking(1, 1)).unwrap();
    assert_eq!((world.hold(1).device, world.reserve_calls()), (HoldDevice::Declined, vec![]));
    assert_eq!(world.open_for(5, 1, "u2", None), Err(Rejection::ConnectorReserved));
    world.cancel(1, CancelBy::Partner).unwrap();
    assert_eq!(world.reserve_calls(), Vec::<&str>::new());
}

#[test]
fn the_device_is_told_of_the_end_and_again_after_a_boot() {
    let mut world = World::held();
    assert_eq!(world.hold(1).device, HoldDevice::Holds);
    world.clear();
    world.tell(charger::Command::Boot(boot()));
    world.pass(2);
    world.answer_all();
    assert_eq!(world.reserve_calls(), ["ReserveNow"], "its memory is lost");
    world.clear();
    world.cancel(1, CancelBy::Partner).unwrap();
    world.answer_all();
    assert_eq!(world.reserve_calls(), ["CancelReservation"]);
}

#[test]
fn a_device_that_was_away_is_told_when_it_is_back() {
    let mut world = World::ready();
    world.reserve(booking(1, 1)).unwrap();
    world.link_down(false);
    world.pass(10);
    assert_eq!(world.hold(1).device, HoldDevice::Untold);
    world.link_up();
    world.pass(5);
    world.answer_all();
    assert_eq!(world.hold(1).device, HoldDevice::Holds);
}

#[test]
fn one_that_ended_before_the_device_was_asked_leaves_nothing_behind() {
    let mut world = World::ready();
    let other = Booking { user: "u2".into(), ..booking(2, 2) };
    world.reserve(booking(1, 1)).unwrap();
    world.reserve(other).unwrap();
    // The first ReserveNow is on its way, the second waits.
    world.cancel(2, CancelBy::Partner).unwrap();
    world.answer(accepted());
    world.answer_all();
    assert_eq!(world.reserve_calls().iter().filter(|call| **call == "ReserveNow").count(), 1);
}
