//! Resets as the first remedy, maintenance by itself and its end (CH-9).

use crate::config::faults::ResetKind;
use crate::domain::charger::{Call, Command, ErrorCode, Outcome, Status, Verdict};
use crate::domain::charging::Rejection;
use crate::domain::charging::testkit::*;
use std::time::Duration;

fn with_resets() -> World {
    let mut world = World::ready();
    world.policy().faults.reset = ResetKind::Soft;
    world
}

fn resets(world: &World) -> usize {
    world.calls().iter().filter(|call| matches!(call, Call::Reset { hard: false })).count()
}

fn faulted(world: &mut World) {
    world.fault(1, Status::Faulted, ErrorCode::InternalError, "");
    world.pass(1);
}

fn result(world: &World) -> Option<Box<str>> {
    world.charger().care.as_ref().unwrap().last.as_ref().unwrap().result.clone()
}

#[test]
fn a_fault_whose_remedy_is_a_reset_is_reset_once_and_then_a_ticket() {
    let mut world = with_resets();
    faulted(&mut world);
    assert_eq!(resets(&world), 1);
    assert!(!world.rows.keys().any(|(table, _)| *table == "ticket"), "first the reset");
    assert_eq!(world.open(1, 2), Err(Rejection::ChargerUnavailable), "what began now would be torn down");
    let id = world.outstanding().unwrap().0;
    assert_eq!(world.row("command", &format!("CP1/{id}"))["by"], "system");
    world.answer(accepted());
    assert_eq!(world.row("command-result", &format!("CP1/{id}"))["state"], "Accepted");
    assert_eq!(result(&world).as_deref(), Some("Accepted"));
    assert!(world.cases().contains(&"charger_reset"));
    world.status(1, Status::Available);
    world.pass(60);
    faulted(&mut world);
    assert_eq!(resets(&world), 1, "it is back right after the reset");
    world.case("ticket", "connector_faulted");
}

#[test]
fn without_leave_elsewhere_or_past_the_days_number_there_is_no_reset() {
    let mut off = World::ready();
    faulted(&mut off);
    assert_eq!(resets(&off), 0);
    let mut elsewhere = with_resets();
    elsewhere.policy().faults.reset_sites = vec!["S2".parse().unwrap()];
    faulted(&mut elsewhere);
    assert_eq!(resets(&elsewhere), 0);
    let mut world = with_resets();
    world.policy().faults.reset_sites = vec!["S1".parse().unwrap()];
    world.policy().charger.flapping_count = 16;
    for n in 1..=4 {
        faulted(&mut world);
        world.answer_all();
        world.status(1, Status::Available);
        assert_eq!(resets(&world), n.min(2));
        world.pass(3600);
    }
    world.pass(86_400);
    faulted(&mut world);
    assert_eq!(resets(&world), 3, "another day");
}

#[test]
fn a_reset_waits_for_the_end_of_every_session_and_is_dropped_when_the_fault_goes() {
    let (mut world, _, transaction) = World::charging();
    world.policy().faults.reset = ResetKind::Soft;
    world.fault(2, Status::Faulted, ErrorCode::InternalError, "");
    world.pass(600);
    assert_eq!(resets(&world), 0);
    world.stop(transaction, 1500, None, "m9");
    world.pass(1);
    assert_eq!(resets(&world), 1);
    let (mut world, _, transaction) = World::charging();
    world.policy().faults.reset = ResetKind::Soft;
    world.fault(2, Status::Faulted, ErrorCode::InternalError, "");
    world.status(2, Status::Available);
    world.stop(transaction, 1500, None, "m9");
    world.pass(1);
    assert_eq!(resets(&world), 0);
}

#[test]
fn a_reset_that_has_not_left_gives_way_to_whoever_begins_to_charge() {
    let mut world = with_resets();
    world.fault(1, Status::Faulted, ErrorCode::InternalError, "");
    assert_eq!(resets(&world), 0, "the charger reads our answer first");
    let transaction = world.start(2, token(Verdict::Accepted), 0, "m1");
    world.pass(60);
    assert_eq!((resets(&world), result(&world).as_deref()), (0, Some("Moot")));
    world.stop(transaction, 100, None, "m2");
    world.pass(1);
    assert_eq!(resets(&world), 1);
}

#[test]
fn a_refused_reset_is_a_ticket_and_one_whose_answer_the_restart_swallowed_is_not() {
    for (outcome, code) in [
        (refused(), "charger_reset_failed"),
        (Outcome::TimedOut, "charger_reset_failed"),
        (Outcome::LinkLost, "charger_reset"),
    ] {
        let mut world = with_resets();
        faulted(&mut world);
        world.answer(outcome.clone());
        assert!(world.cases().contains(&code), "{outcome:?}: {:?}", world.cases());
    }
}

#[test]
fn the_absence_of_a_charger_that_restarts_on_our_order_is_no_trouble() {
    let mut world = with_resets();
    faulted(&mut world);
    world.answer(accepted());
    let troubles = world.charger().troubles.len();
    world.link_down(false);
    world.pass(120);
    assert_eq!(world.charger().troubles.len(), troubles);
    world.link_up();
    world.pass(700);
    world.link_down(true);
    assert_eq!(world.charger().troubles.len(), troubles + 1);
}

#[test]
fn a_flapping_charger_is_reset_before_it_goes_into_maintenance() {
    let mut world = with_resets();
    for _ in 0..4 {
        world.link_down(true);
        world.link_up();
        world.pass(3600);
        world.answer_all();
    }
    assert_eq!(resets(&world), 0);
    world.link_down(true);
    assert!(world.charger().maintenance.is_none(), "a reset comes first");
    world.link_up();
    world.pass(10);
    world.answer_all();
    assert_eq!(resets(&world), 1);
    world.pass(3600);
    world.link_down(true);
    assert_eq!(&*world.charger().maintenance.as_ref().unwrap().by, "system");
    assert_eq!(resets(&world), 1);
    world.case("ticket", "charger_flapping");
}

#[test]
fn a_flapping_charger_where_somebody_charges_goes_into_maintenance_and_the_session_goes_on() {
    let (mut world, session, transaction) = World::charging();
    world.policy().faults.reset = ResetKind::Soft;
    for _ in 0..5 {
        world.fault(2, Status::Faulted, ErrorCode::OverVoltage, "");
        world.status(2, Status::Available);
        world.pass(60);
        world.meter(transaction, 1100);
    }
    assert!(world.charger().maintenance.is_some());
    assert_eq!((resets(&world), world.open(9, 2)), (0, Err(Rejection::ChargerMaintenance)));
    world.stop(transaction, 1500, None, "m9");
    assert_eq!(world.session(session).energy_wh(), 500);
}

fn in_maintenance(quiet: u64) -> World {
    let mut world = World::ready();
    world.policy().faults.release_after = Duration::from_secs(quiet);
    for _ in 0..5 {
        world.fault(1, Status::Faulted, ErrorCode::OverVoltage, "");
        world.status(1, Status::Available);
        world.pass(60);
    }
    assert!(world.charger().maintenance.is_some());
    world.clear();
    world
}

#[test]
fn maintenance_ends_by_a_person_or_after_a_quiet_time_where_that_is_configured() {
    let mut world = in_maintenance(0);
    world.pass(30 * 86_400);
    assert!(world.charger().maintenance.is_some(), "only a person releases it");
    world.tell(Command::SetMaintenance { on: false, by: "op".into(), note: None });
    assert!(world.open(1, 1).is_ok() && world.charger().troubles.is_empty());
    let mut world = in_maintenance(7200);
    world.pass(7000);
    assert!(world.charger().maintenance.is_some());
    world.pass(200);
    assert!(world.charger().maintenance.is_none());
    assert_eq!(world.cases(), ["charger_released"]);
    assert!(world.open(1, 1).is_ok());
}

#[test]
fn the_quiet_time_begins_anew_with_each_trouble_and_ends_for_no_broken_or_absent_charger() {
    let mut world = in_maintenance(7200);
    world.pass(7000);
    world.fault(1, Status::Faulted, ErrorCode::OverVoltage, "");
    world.pass(7300);
    assert!(world.charger().maintenance.is_some(), "it is faulted still");
    world.link_down(true);
    world.pass(86_400);
    assert!(world.charger().maintenance.is_some(), "nobody knows how it is");
    world.link_up();
    world.pass(10);
    world.status(1, Status::Available);
    world.pass(7000);
    assert!(world.charger().maintenance.is_some());
    world.pass(300);
    assert!(world.charger().maintenance.is_none());
}

#[test]
fn maintenance_that_a_person_ordered_never_ends_by_itself() {
    let mut world = World::ready();
    world.policy().faults.release_after = Duration::from_secs(3600);
    world.tell(Command::SetMaintenance { on: true, by: "op".into(), note: None });
    world.link_down(true);
    world.link_up();
    world.pass(86_400);
    assert!(world.charger().maintenance.is_some());
}

#[test]
fn a_restart_of_ours_neither_forgets_nor_repeats_a_reset() {
    let mut world = with_resets();
    faulted(&mut world);
    world.restart(Duration::from_secs(30));
    world.link_up();
    world.pass(60);
    assert_eq!(resets(&world), 1, "its delivery is uncertain, so it is not sent again");
    assert_eq!(result(&world).as_deref(), Some("LinkLost"));
}
