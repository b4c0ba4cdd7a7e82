//! Several endpoints of one partner, the challenge to a new URL, and an endpoint that is dead for days; on virtual time.

use super::world::target_of;
use super::*;
use crate::domain::delivery::{Queue, Stopped};

fn well(_: &str, _: u32) -> (Duration, Answer) {
    (Duration::from_millis(5), http(200))
}

fn dead(_: &str, _: u32) -> (Duration, Answer) {
    (Duration::from_secs(60), http(200))
}

fn at_sites(sites: &[&str]) -> Wants {
    let sites = Sites::Only(sites.iter().map(|site| site.parse().unwrap()).collect());
    Wants { events: Subscriptions::All, sites }
}

fn settings() -> Webhook {
    let mut table: toml::Table = crate::config::DEFAULTS.parse().unwrap();
    table.remove("webhook").unwrap().try_into().unwrap()
}

virtual_test!(endpoints_get_what_they_take_by_type_and_by_site_each_once, async {
    let mut all = World::at_rest(well);
    *all.directory.0.borrow_mut() = Some(target_of("default", Wants::default(), 3));
    let mut west = all.beside(QueueId(1), target_of("west", at_sites(&["W"]), 3), well);
    let ended = Wants::kinds(["session.ended".to_owned()].into());
    let mut ends = all.beside(QueueId(2), target_of("ends", ended, 3), well);
    [&mut all, &mut west, &mut ends].into_iter().for_each(World::start);
    let started = all.publish_at("session.started", "session/1", Some("W"));
    let ended = all.publish_at("session.ended", "session/1", Some("W"));
    let east = all.publish_at("session.ended", "session/2", Some("E"));
    let statement = all.publish("statement.ready", "statement/1");
    [&west, &ends].into_iter().for_each(|other| other.handle.nudge());
    seconds(5).await;
    let sorted = |world: &World| {
        let mut seen = world.seen();
        seen.sort();
        seen
    };
    assert_eq!(sorted(&all), [&started, &ended, &east, &statement].map(String::clone));
    assert_eq!(sorted(&west), [&started, &ended, &statement].map(String::clone));
    assert_eq!(sorted(&ends), [&ended, &east].map(String::clone));
    // What an endpoint does not take is settled for it.
    let marks = [&all, &west, &ends].map(|world| (world.queue().low_water, world.queue().open.len()));
    assert_eq!(marks, [(4, 0), (4, 0), (4, 0)]);
});

virtual_test!(a_dead_endpoint_delays_no_other_of_its_partner_over_crashes, async {
    let mut alive = World::at_rest(well);
    *alive.directory.0.borrow_mut() = Some(target_of("default", Wants::default(), 2));
    let mut stuck = alive.beside(QueueId(1), target_of("stuck", Wants::default(), 2), dead);
    [&mut alive, &mut stuck].into_iter().for_each(World::start);
    let mut sent = Vec::new();
    for n in 0..300 {
        sent.push((alive.clock.now().0, alive.session(n % 20)));
        stuck.handle.nudge();
        if n % 100 == 50 {
            alive.crash().await;
            stuck.crash().await;
            [&mut alive, &mut stuck].into_iter().for_each(World::start);
        }
        sleep(Duration::from_millis(100)).await;
    }
    minutes(2).await;
    let seen = alive.partner.seen.lock().unwrap().clone();
    let late = sent.iter().map(|(at, id)| seen.iter().find(|(_, seen)| seen == id).unwrap().0 - at).max();
    assert!(late.unwrap() < 100, "{late:?} ms");
    assert_eq!(alive.queue().open.len(), 0);
    // The other has all of it before it still, in its own queue, with its own health.
    assert!(stuck.queue().low_water < sent.len() as u64);
    assert_eq!((alive.queue().health.failing_percent(64), stuck.queue().health.failing_percent(64)), (0, 100));
    assert!(stuck.partner.seen.lock().unwrap().len() < 60, "it is not hammered");
});

virtual_test!(what_a_partner_may_use_is_divided_among_its_endpoints, async {
    let config = Webhook { window: 1000, in_flight: 9, rate_per_s: 100, burst: 10, read_ahead: 64, ..settings() };
    for (share, window, in_flight, rate, burst, read_ahead) in
        [(1, 1000, 9, 100, 10, 64), (3, 333, 3, 33, 3, 21), (20, 50, 1, 5, 1, 3)]
    {
        let Tuning { pace, read_ahead: ahead, .. } = Tuning::of(&config, share);
        let had = (pace.window, pace.in_flight, pace.rate_per_s, pace.burst, ahead);
        assert_eq!(had, (window, in_flight, rate, burst, read_ahead), "{share}");
    }
    assert_eq!(Tuning::of(&Webhook { rate_per_s: 0, ..settings() }, 3).pace.rate_per_s, 0);
    assert_eq!(Tuning::of(&Webhook { rate_per_s: 2, ..settings() }, 3).pace.rate_per_s, 1);
    // A driver follows: of 8 at a time it is 2 with four endpoints.
    let mut world = World::at_rest(|_, _| (Duration::from_secs(10), http(200)));
    *world.directory.0.borrow_mut() = Some(target_of("default", Wants::default(), 4));
    world.start();
    for n in 0..50 {
        world.session(n);
    }
    seconds(1).await;
    assert_eq!(world.board.view(&world.id, QueueId::MAIN).unwrap().in_flight, 2);
});

virtual_test!(nothing_but_challenges_goes_to_a_new_url_until_one_comes_back_also_over_crashes, async {
    let right = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&right);
    let mut world = World::at_rest(move |id: &str, _| {
        let answer = match id {
            "challenge" if answers.load(Ordering::Acquire) => http(200),
            "challenge" => Answer::NotEchoed { code: 200 },
            _ => http(204),
        };
        (Duration::from_millis(5), answer)
    });
    world.challenge();
    world.start();
    let events: Vec<String> = (0..5).map(|n| world.session(n)).collect();
    for _ in 0..3 {
        seconds(20).await;
        world.crash().await;
        world.start();
    }
    minutes(20).await;
    let asked = world.partner.challenges.lock().unwrap().clone();
    assert!(asked.iter().all(Option::is_some) && (4..9).contains(&asked.len()), "{}", asked.len());
    let texts: std::collections::BTreeSet<_> = asked.iter().flatten().collect();
    assert_eq!(texts.len(), asked.len(), "each challenge is another");
    let bodies = world.partner.bodies.lock().unwrap().clone();
    for (body, asked) in bodies.iter().zip(&asked) {
        assert_eq!(body["type"], "webhook.verification");
        assert_eq!(body["data"]["challenge"].as_str(), asked.as_deref());
    }
    let view = world.board.view(&world.id, QueueId::MAIN).unwrap();
    let error = view.unverified.as_ref().unwrap().last_error.clone().unwrap();
    assert!(view.is_stopped() && error.starts_with("not_echoed"), "{error}");
    // Somebody has put it right, and asks for another.
    right.store(true, Ordering::Release);
    world.operate(QueueCommand::Verify).await;
    seconds(5).await;
    let mut seen = world.seen();
    seen.retain(|id| id.starts_with('e'));
    assert_eq!(seen, events);
    assert_eq!(world.board.view(&world.id, QueueId::MAIN).unwrap().unverified, None);
});

virtual_test!(a_challenge_that_nobody_answers_ends_and_its_endpoint_costs_nothing_more, async {
    let mut world = World::at_rest(|_, _| (Duration::from_millis(5), http(404)));
    world.challenge();
    world.start();
    minutes(60 * 24 * 3).await;
    assert_eq!(world.partner.challenges.lock().unwrap().len(), 8);
    let unverified = world.queue().unverified.unwrap();
    assert_eq!((unverified.due, unverified.failures), (None, 8));
});

virtual_test!(a_dead_endpoint_is_disabled_probed_by_one_small_request_and_comes_back_with_all_it_missed, async {
    let up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&up);
    let mut world = World::at_rest(move |_, _| {
        (Duration::from_millis(5), if answers.load(Ordering::Acquire) { http(204) } else { http(502) })
    });
    world.start();
    let mut events = Vec::new();
    for n in 0..30 {
        events.push(world.session(n));
        minutes(60).await;
    }
    assert_eq!(world.queue().disabled.expect("after a day").by, Stopped::Failing);
    let before = world.seen().len();
    events.push(world.session(99));
    minutes(60 * 5).await;
    let probes = world.partner.bodies.lock().unwrap()[before..].to_vec();
    assert!((19..=21).contains(&probes.len()), "{}", probes.len());
    assert!(probes.iter().all(|body| body["type"] == "webhook.verification"));
    world.crash().await;
    world.start();
    up.store(true, Ordering::Release);
    minutes(20).await;
    assert_eq!(world.queue().disabled, None);
    // Each comes when it was due next anyway.
    minutes(60 * 24).await;
    let Queue { disabled, open, dead, .. } = world.queue();
    assert_eq!((disabled, open.len(), dead), (None, 0, 0));
    let seen = world.seen();
    assert!(events.iter().all(|event| seen[before..].contains(event)));
});

virtual_test!(a_driver_whose_endpoint_is_gone_ends_when_told_and_reports_what_was_under_way, async {
    let mut world = World::new(|_, _| (Duration::from_secs(3), http(200)));
    let event = world.session(1);
    seconds(1).await;
    *world.directory.0.borrow_mut() = None;
    world.handle.stop();
    world.ended().await.unwrap();
    assert_eq!((world.seen(), world.queue().is_settled(1)), (vec![event], true));
    assert_eq!(world.board.view(&world.id, QueueId::MAIN), None);
});
