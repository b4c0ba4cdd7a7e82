//! Registration, boot, configuration, maintenance (CH-3, CH-9, SE-16).

use crate::domain::charger::{self, BootPolicy, Call, Charger, Command, Registration, Verdict};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Effect, Rejection, Reply};

#[test]
fn a_boot_is_answered_by_the_policy_of_the_registration() {
    let cases = [(BootPolicy::Accepted, 300..=330), (BootPolicy::Pending, 60..=66), (BootPolicy::Rejected, 60..=66)];
    for (policy, interval) in cases {
        let mut world = World::empty();
        world.tell(register(1, policy));
        world.link_up();
        let Reply::Boot { status, interval: told, now } = world.tell(Command::Boot(boot())) else { panic!() };
        assert_eq!((status, now), (policy, world.now));
        assert!(interval.contains(&told.as_secs()), "{policy:?}: {told:?}");
    }
}

#[test]
fn an_unregistered_charger_has_no_boot() {
    let mut world = World::empty();
    assert_eq!(world.ask(crate::domain::charging::Key::Charger, Command::Boot(boot())), Err(Rejection::ChargerUnknown));
}

#[test]
fn a_pending_charger_may_be_configured_and_not_started() {
    let mut world = World::empty();
    world.tell(register(1, BootPolicy::Pending));
    world.link_up();
    world.tell(Command::Boot(boot()));
    assert_eq!(world.open(1, 1), Err(Rejection::ChargerNotAccepted));
    let mut enqueue = |n, call| {
        let command_id = crate::ids::CommandId(uuid::Uuid::from_u128(n));
        world.ask(crate::domain::charging::Key::Charger, Command::Enqueue { command_id, call, by: "op".into() })
    };
    assert!(enqueue(1, Call::GetConfiguration { keys: vec![] }).is_ok());
    let start = Call::RemoteStart { connector: None, id_tag: "x".into(), profile: None };
    assert_eq!(enqueue(2, start), Err(Rejection::ChargerNotAccepted));
}

#[test]
fn facts_of_transactions_are_taken_whatever_the_boot_policy() {
    for policy in [BootPolicy::Accepted, BootPolicy::Pending, BootPolicy::Rejected] {
        let mut world = World::empty();
        world.tell(register(1, policy));
        world.link_up();
        let transaction = world.start(1, token(Verdict::Accepted), 0, "m1");
        assert!(transaction.0 > 0, "{policy:?}");
        world.stop(transaction, 10, None, "m2");
        assert_eq!(world.last("session.ended")["energy_wh"], 10);
    }
}

#[test]
fn a_pending_charger_that_boots_every_minute_fills_no_journal() {
    let mut world = World::empty();
    world.tell(register(1, BootPolicy::Pending));
    world.link_up();
    world.tell(Command::Boot(boot()));
    let steps = world.journal.len();
    for _ in 0..10 {
        world.tell(Command::Boot(boot()));
    }
    assert_eq!(world.journal.len(), steps);
}

#[test]
fn a_refused_charger_that_is_accepted_later_is_asked_to_boot_again() {
    let mut world = World::empty();
    world.tell(register(1, BootPolicy::Rejected));
    world.link_up();
    world.tell(Command::Boot(boot()));
    world.pass(10);
    world.clear();
    world.tell(register(1, BootPolicy::Accepted));
    assert!(matches!(world.calls()[..], [Call::Trigger { message, .. }] if **message == *"BootNotification"));
    assert!(!world.charger().is_accepted(), "only its boot makes it so");
}

#[test]
fn in_maintenance_there_are_no_new_orders_and_running_ones_go_on() {
    let (mut world, session, transaction) = World::charging();
    world.tell(Command::SetMaintenance { on: true, by: "op".into(), note: None });
    assert_eq!(world.open(2, 2), Err(Rejection::ChargerMaintenance));
    assert_eq!(world.tell(Command::Authorize(token(Verdict::Accepted))), authorized(Verdict::Accepted));
    world.meter(transaction, 1200);
    world.stop(transaction, 1300, None, "m2");
    assert_eq!(world.session(session).energy_wh(), 300);
    assert_eq!(world.tell(Command::Authorize(token(Verdict::Accepted))), authorized(Verdict::Invalid));
    let fact = start_fact(1, token(Verdict::Accepted), 1300, time(world.now), "m3");
    assert_eq!(world.begin(fact).1, Verdict::Invalid);
    world.tell(Command::SetMaintenance { on: false, by: "op".into(), note: None });
    assert!(world.open(3, 2).is_ok());
}

#[test]
fn transaction_ids_rise_from_a_random_start_and_jump_in_another_journal() {
    let (mut first, mut second) = (World::empty(), World::empty());
    second.entropy = 99;
    for world in [&mut first, &mut second] {
        world.tell(register(1, BootPolicy::Accepted));
    }
    let starts = (first.charger().next_transaction, second.charger().next_transaction);
    assert!(starts.0 > 0 && starts.1 > 0 && starts.0 != starts.1, "{starts:?}");
    let mut world = first;
    let one = world.start(1, token(Verdict::Accepted), 0, "m1");
    world.pass(1);
    let two = world.start(1, token(Verdict::Accepted), 5, "m2");
    assert_eq!((one.0, two.0), (starts.0, starts.0 + 1));
    world.ambient.epoch = 7;
    world.pass(1);
    assert_eq!(world.start(1, token(Verdict::Accepted), 9, "m3").0, starts.0 + 2 + 1_000_000);
    world.tell(register(2, BootPolicy::Accepted));
    world.pass(1);
    assert_eq!(world.start(1, token(Verdict::Accepted), 12, "m4").0, starts.0 + 3 + 1_000_000, "keeps counting");
}

#[test]
fn an_idle_charger_is_small() {
    let world = World::ready();
    let snapshot = serde_json::to_vec(world.charger()).unwrap().len();
    let size = std::mem::size_of::<Charger>();
    assert!(size <= 640, "{size} bytes");
    assert!(snapshot <= 2048, "{snapshot} bytes as JSON");
    assert!(std::mem::size_of::<charger::Live>() <= 64);
}

#[test]
fn a_changed_authentication_closes_the_connection() {
    let mut world = World::ready();
    let Command::Register(same) = register(2, BootPolicy::Accepted) else { panic!() };
    world.tell(Command::Register(same.clone()));
    assert!(world.effects.is_empty());
    world.tell(Command::Register(Registration { auth: "{\"new\":1}".into(), ..same }));
    let generation = world.ambient.generation;
    assert!(matches!(world.effects[..], [Effect::CloseLink { generation: closed, .. }] if closed == generation));
}

#[test]
fn a_quarantined_session_does_not_keep_its_chargers_facts_out() {
    let (mut world, session, transaction) = World::charging();
    world.ambient.quarantined.push(session);
    let before = world.session(session).clone();
    let fact = stop_fact(transaction, Some(1500), time(world.now), None, "m2");
    let reply = world.without_checks(|world| world.tell(Command::TransactionStop(fact)));
    assert_eq!(reply, Reply::TransactionStopped(None));
    assert_eq!(world.session(session), &before, "it is left alone");
    assert_eq!(world.cases(), ["session_quarantined"]);
    let (_, ticket) = world.rows.iter().find(|((table, _), _)| *table == "ticket").unwrap();
    assert!(String::from_utf8_lossy(ticket).contains("1500"));
}
