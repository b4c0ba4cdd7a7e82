//! Registers, gaps, missed samples, bounds (SE-9, SE-12, SE-14, CH-7).

use crate::clock::Timestamp;
use crate::domain::charger::{self, MeterFact, Sample, Status as ConnectorStatus};
use crate::domain::charging::testkit::*;
use crate::domain::session::Flag;
use crate::ids::{ConnectorId, TransactionId};
use std::time::Duration;

fn read(world: &mut World, transaction: TransactionId, samples: Vec<Sample>) {
    let fact = MeterFact { connector: ConnectorId(1), transaction: Some(transaction), samples };
    world.tell(charger::Command::MeterValues(fact));
}

#[test]
fn a_register_only_rises_and_what_is_odd_is_flagged() {
    let cases: [(&str, i64, u64, Option<Flag>); 8] = [
        ("rises", 1500, 500, None),
        ("stands", 1000, 0, None),
        ("goes back", 900, 0, Some(Flag::MeterBackwards)),
        ("is negative", -1, 0, Some(Flag::MeterBackwards)),
        ("restarts at nothing", 0, 0, Some(Flag::MeterBackwards)),
        ("leaps beyond any power", 1_000_000_000, 0, Some(Flag::EnergyImplausible)),
        ("is the largest number", i64::MAX, 0, Some(Flag::EnergyImplausible)),
        ("is the smallest", i64::MIN, 0, Some(Flag::MeterBackwards)),
    ];
    for (what, register, energy, flag) in cases {
        let (mut world, session, transaction) = World::charging();
        world.pass(60);
        world.meter(transaction, register);
        assert_eq!(world.session(session).energy_wh(), energy, "{what}");
        assert_eq!(world.session(session).flags.list(), flag.into_iter().collect::<Vec<_>>(), "{what}");
        world.pass(60);
        world.meter(transaction, 1600);
        assert_eq!(world.session(session).energy_wh(), 600, "{what}: the next good one counts");
    }
}

#[test]
fn the_longest_of_three_views_of_the_time_between_two_readings_counts() {
    let hour = 3_600;
    // What happened, how far our clock and the charger's went on between the readings, s, and whether 20 kWh are believed.
    let cases = [
        ("both go on", 600, 600, true),
        ("ours jumped back", -hour, 600, true),
        ("ours stands", 0, 600, true),
        ("the charger's stands", 600, 0, true),
        ("the charger's was set back", 600, -hour, true),
        ("both stand", 0, 0, false),
        ("ours jumped back, the charger's stands", -hour, 0, false),
        ("both jumped back", -hour, -hour, false),
        ("ours stands, the charger's goes on a little", 0, 20, false),
        ("ours stands, the charger's was set on by a year", 0, 365 * 24 * hour, false),
        ("ours jumped back by a day, the charger's goes on", -24 * hour, 600, true),
    ];
    for (what, ours, theirs, believed) in cases {
        let (mut world, session, transaction) = World::charging();
        world.pass(60);
        world.meter(transaction, 1100);
        let told = world.now;
        world.now = Timestamp(world.now.0 + ours * 1000);
        read(&mut world, transaction, vec![sample(Timestamp(told.0 + theirs * 1000), 21_100)]);
        let expected = if believed { 20_100 } else { 100 };
        let session = world.session(session);
        assert_eq!(session.energy_wh(), expected, "{what}");
        assert_eq!(session.flags.has(Flag::EnergyImplausible), !believed, "{what}");
    }
}

#[test]
fn a_backlog_of_a_charger_whose_clock_was_never_right_is_believed_by_its_own_clock() {
    let (mut world, session, transaction) = World::charging();
    world.pass(60);
    let backlog = (0..10).map(|n| sample(Timestamp(86_400_000 + n * 600_000), 1000 + n * 20_000)).collect();
    read(&mut world, transaction, backlog);
    let session = world.session(session);
    assert_eq!((session.energy_wh(), session.flags.has(Flag::EnergyImplausible)), (180_000, false));
    assert!(session.flags.has(Flag::ClockImplausible));
}

#[test]
fn a_reading_that_is_no_number_is_flagged_and_its_neighbours_count() {
    let (mut world, session, transaction) = World::charging();
    world.pass(60);
    let bad =
        Sample { energy_wh: None, power_w: None, soc_percent: Some(200), unreadable: true, ..sample(world.now, 0) };
    let good = sample(world.now, 1200);
    read(&mut world, transaction, vec![bad, good]);
    let session = world.session(session);
    assert_eq!((session.energy_wh(), session.soc_percent, session.power_w), (200, Some(50), Some(7000)));
    assert_eq!(session.flags.list(), [Flag::ReadingUnreadable]);
}

#[test]
fn progress_is_told_at_most_once_a_minute() {
    let (mut world, _, transaction) = World::charging();
    for n in 0..60 {
        world.pass(10);
        world.meter(transaction, 1000 + n);
    }
    assert_eq!(world.told(), ["session.progress"; 10]);
    let progress = world.last("session.progress");
    assert_eq!((&progress["power_w"], &progress["soc_percent"]), (&7000.into(), &50.into()));
    assert_eq!(progress["duration_s"], 600);
}

#[test]
fn three_missed_samples_are_flagged_and_alerted_once_a_gap() {
    let (mut world, session, transaction) = World::charging();
    world.pass(100);
    world.meter(transaction, 1100);
    world.pass(179);
    assert_eq!(world.cases(), [""; 0]);
    world.pass(1000);
    assert_eq!(world.cases(), ["samples_missed"]);
    assert!(world.session(session).flags.has(Flag::SamplesMissed));
    world.meter(transaction, 1200);
    assert!(world.session(session).flags.has(Flag::ReadingGap));
    assert_eq!(world.session(session).energy_wh(), 200, "the cumulative register bridges the gap");
    world.pass(200);
    assert_eq!(world.cases(), ["samples_missed"; 2]);
}

#[test]
fn samples_that_we_missed_by_our_own_downtime_are_no_gap_of_the_charger() {
    let (mut world, session, _) = World::charging();
    world.pass(100);
    world.restart(Duration::from_secs(3600));
    world.link_up();
    world.pass(79);
    assert!(!world.session(session).flags.has(Flag::SamplesMissed));
    world.pass(2);
    assert!(world.session(session).flags.has(Flag::SamplesMissed));
}

#[test]
fn a_session_of_sixty_days_stays_small() {
    let (mut world, session, transaction) = World::charging();
    for n in 0..10_000 {
        // Each reading moves all its deadlines, so none fires.
        world.now = world.now + Duration::from_secs(60);
        world.meter(transaction, 1000 + n * 10);
    }
    let view = serde_json::to_vec(&world.session(session).view(session, "CP1", world.now)).unwrap().len();
    let kept = &world.session(session).readings;
    assert!(kept.len() <= 96 && kept.len() >= 40, "{}", kept.len());
    assert!(view < 12_000, "{view} bytes");
    assert_eq!(kept.last().unwrap().energy_wh, Some(1000 + 99_990), "the newest is kept");
    assert!(kept.is_sorted_by_key(|reading| reading.at));
    assert!(world.session(session).flags.has(Flag::ReadingsThinned));
}

#[test]
fn a_message_of_twenty_thousand_samples_is_thinned_evenly() {
    let (mut world, session, transaction) = World::charging();
    world.pass(7200);
    let from = world.now - Duration::from_secs(7000);
    let samples = (0..20_000).map(|n| sample(from + Duration::from_millis(n * 300), 1000 + n as i64)).collect();
    read(&mut world, transaction, samples);
    assert_eq!(world.session(session).energy_wh(), 19_999);
    let record = serde_json::to_vec(world.journal.last().unwrap()).unwrap().len();
    assert!(record < 40_000, "{record} bytes");
}

#[test]
fn readings_after_the_stop_are_kept_told_once_and_change_no_energy() {
    let (mut world, session, transaction) = World::charging();
    world.pass(60);
    world.stop(transaction, 1100, None, "m2");
    world.clear();
    for n in 0..3 {
        world.meter(transaction, 1200 + n);
    }
    assert_eq!(world.session(session).energy_wh(), 100);
    assert_eq!(world.told(), ["session.updated"]);
    assert!(world.session(session).flags.has(Flag::ReadingsAfterStop));
    assert_eq!(world.row("session", &session.to_string())["flags"], serde_json::json!(["readings_after_stop"]));
    assert!(serde_json::to_string(&world.journal).unwrap().contains("ReadLate"));
}

#[test]
fn readings_with_a_broken_clock_count_by_our_time_and_are_flagged() {
    let (mut world, session, transaction) = World::charging();
    world.pass(600);
    let dead = Sample { at: time(Timestamp(0)), ..sample(world.now, 1500) };
    read(&mut world, transaction, vec![dead]);
    let session = world.session(session);
    assert_eq!((session.energy_wh(), session.readings[0].at), (500, world.now));
    assert!(session.flags.has(Flag::ClockImplausible));
}

#[test]
fn suspension_and_faults_are_told_as_they_come() {
    let (mut world, session, _) = World::charging();
    let cases = [
        (ConnectorStatus::SuspendedEv, vec![Flag::SuspendedByVehicle]),
        (ConnectorStatus::SuspendedEvse, vec![Flag::SuspendedByCharger]),
        (ConnectorStatus::Charging, vec![]),
        (ConnectorStatus::Faulted, vec![]),
    ];
    for (status, flags) in cases {
        world.clear();
        world.status(1, status);
        assert_eq!(world.session(session).flags.list(), flags, "{status:?}");
        assert!(world.told().contains(&"session.updated"), "{status:?}");
        assert!(world.session(session).is_running(), "{status:?}: suspended, not lost");
    }
}

#[test]
fn what_a_stop_repeats_of_the_past_is_no_step_back() {
    let (mut world, session, transaction) = World::charging();
    let begun = world.now;
    for n in 1..=3 {
        world.pass(60);
        world.meter(transaction, 1000 + n * 100);
    }
    // `transactionData` with the first reading, one that was lost on the way, and the last, rounded another way.
    let minute = |n: u64, energy| sample(begun + Duration::from_secs(n), energy);
    let data = vec![minute(0, 1000), minute(90, 1150), minute(120, 1200), minute(180, 1299)];
    let fact = stop_fact(transaction, Some(1300), time(world.now), None, "m2");
    world.tell(charger::Command::TransactionStop(charger::StopFact { data, ..fact }));
    let session = world.session(session);
    assert_eq!((session.energy_wh(), session.flags.list()), (300, vec![]));
    let kept: Vec<_> = session.readings.iter().map(|reading| reading.energy_wh.unwrap()).collect();
    assert_eq!(kept, [1000, 1100, 1150, 1200, 1299]);
    assert!(session.readings.is_sorted_by_key(|reading| reading.at));
}
