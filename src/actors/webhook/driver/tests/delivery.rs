//! What a partner sees, and what is left after crashes.

use super::world::target_with;
use super::*;

const QUICK: Duration = Duration::from_millis(5);

virtual_test!(events_are_delivered_in_order_and_settled, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    for n in 0..500 {
        world.session(n % 7);
    }
    seconds(5).await;
    let seen = world.seen();
    assert_eq!(seen.len(), 500);
    for key in 0..7 {
        let of_key: Vec<u32> = seen.iter().map(|id| id[1..].parse().unwrap()).filter(|p| (p - 1) % 7 == key).collect();
        assert!(of_key.is_sorted(), "{of_key:?}");
    }
    let queue = world.queue();
    assert_eq!((queue.low_water, queue.open.len(), queue.ahead.len()), (500, 0, 0));
    // Successes are journaled in batches.
    assert!(*world.engine.reports.borrow() < 60, "{}", world.engine.reports.borrow());
    let view = world.board.view(&world.id, QueueId::MAIN).unwrap();
    assert_eq!((view.depth, view.in_flight, view.oldest), (0, 0, None));
});

virtual_test!(the_retry_schedule_is_exact, async {
    let world = World::new(|_, _| (Duration::ZERO, http(500)));
    let id = world.session(1);
    minutes(4000).await;
    let expected: Vec<i64> = [0, 1, 6, 21, 81, 261, 621, 1341, 2781].iter().map(|m| m * 60).collect();
    assert_eq!(world.times(&id), expected);
    assert_eq!(world.queue().dead, 1);
    assert_eq!(world.board.view(&world.id, QueueId::MAIN).unwrap().dead, 1);
});

virtual_test!(the_schedule_survives_crashes_and_what_fell_due_meanwhile_goes_at_once, async {
    let mut world = World::new(|_, _| (Duration::ZERO, http(500)));
    let id = world.session(1);
    minutes(2).await;
    world.crash().await;
    minutes(2).await;
    world.start();
    minutes(3).await;
    world.crash().await;
    minutes(30).await;
    world.start();
    minutes(1).await;
    // 1 m, 5 m after that, and the third one overdue: at the start.
    assert_eq!(world.times(&id), [0, 60, 360, 37 * 60]);
});

virtual_test!(each_try_has_its_own_time_and_the_same_id, async {
    let world = World::new(|_, times| (Duration::ZERO, http(if times < 3 { 500 } else { 200 })));
    world.session(1);
    minutes(10).await;
    assert_eq!(world.seen(), ["e1", "e1", "e1"]);
    let signatures = world.partner.signatures.lock().unwrap().clone();
    assert_eq!(signatures.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 60, 360]);
    assert!(signatures[0].1.starts_with("v1,") && signatures[0].1 != signatures[1].1);
});

virtual_test!(a_stuck_session_holds_no_other_back, async {
    let world = World::new(|id, _| (QUICK, http(if id == "e1" { 500 } else { 200 })));
    for n in 0..30 {
        world.session(n % 3);
    }
    seconds(10).await;
    let seen = world.seen();
    assert_eq!(seen.iter().filter(|id| *id == "e1").count(), 1);
    assert_eq!(seen.len(), 21, "{seen:?}");
    // Nothing of session 0 overtook its first event.
    assert!(!seen.contains(&"e4".to_owned()));
});

virtual_test!(a_slow_partner_delays_no_other_partner, async {
    let slow = World::new(|_, _| (Duration::from_secs(20), http(200)));
    let quick = World::new(|_, _| (QUICK, http(200)));
    for n in 0..200 {
        slow.session(n);
    }
    let begun = Instant::now();
    for n in 0..100 {
        let id = quick.session(n);
        while !quick.seen().contains(&id) {
            sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // And the slow one is tried four at a time, each cut off after 15 s.
    seconds(40).await;
    assert_eq!(slow.seen().len(), 12);
});

virtual_test!(a_crash_repeats_at_most_what_was_in_flight_or_not_yet_reported, async {
    for crash_at in [3, 17, 55, 120, 333, 790] {
        let mut world = World::new(|_, _| (Duration::from_millis(7), http(200)));
        for n in 0..400 {
            world.session(n % 40);
        }
        sleep(Duration::from_millis(crash_at)).await;
        world.crash().await;
        let before = world.seen();
        let settled = (1..=400).filter(|p| world.queue().is_settled(*p)).count();
        world.start();
        seconds(10).await;
        let seen = world.seen();
        let unique: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!(unique.len(), 400, "lost some at {crash_at} ms");
        let repeated = seen.len() - 400;
        // Eight in flight, and what 50 ms bring at 7 ms a try.
        assert!(repeated <= before.len() - settled && repeated <= 8 + 8 * 9, "{repeated} at {crash_at} ms");
        assert_eq!(world.queue().low_water, 400);
    }
});

virtual_test!(gone_stops_the_queue_until_it_is_enabled, async {
    let world = World::new(|id, times| (QUICK, http(if id == "e2" && times == 1 { 410 } else { 200 })));
    world.session(1);
    seconds(1).await;
    world.session(2);
    seconds(1).await;
    for n in 3..20 {
        world.session(n);
    }
    minutes(600).await;
    assert_eq!(world.seen(), ["e1", "e2"]);
    assert!(world.board.view(&world.id, QueueId::MAIN).unwrap().disabled.is_some());
    world.operate(QueueCommand::Enable).await;
    seconds(2).await;
    assert_eq!(world.seen().len(), 2 + 18);
    assert_eq!(world.times("e2").len(), 2);
});

virtual_test!(a_429_slows_the_whole_queue_and_its_retry_after_is_honoured, async {
    let answer = Answer::Status { code: 429, retry_after_ms: Some(90_000), excerpt: String::new() };
    let world = World::new(move |id, times| (QUICK, if id == "e1" && times == 1 { answer.clone() } else { http(200) }));
    world.session(1);
    seconds(1).await;
    world.session(2);
    minutes(5).await;
    assert_eq!((world.times("e1"), world.times("e2")), (vec![0, 90], vec![90]));
});

virtual_test!(a_backlog_of_statuses_comes_down_to_the_newest_of_each_connector, async {
    let world = World::at_rest(|_, _| (QUICK, http(200)));
    for n in 0..300 {
        world.publish("connector.status", &format!("connector/CP1/{}", n % 3));
        world.session(n % 5);
    }
    let mut world = world;
    world.start();
    seconds(10).await;
    let seen = world.seen();
    // Read in two turns, so that the newest of the first turn is sent too.
    assert!((303..=306).contains(&seen.len()), "{}", seen.len());
    for newest in ["e595", "e597", "e599"] {
        assert!(seen.contains(&newest.to_owned()), "{newest}");
    }
    assert_eq!(world.queue().low_water, 600);
});

virtual_test!(a_type_that_is_not_subscribed_is_settled_unsent, async {
    let world = World::at_rest(|_, _| (QUICK, http(200)));
    let only = Subscriptions::Only(["session.ended".to_owned()].into());
    *world.directory.0.borrow_mut() = Some(world::target(only));
    let mut world = world;
    world.start();
    world.session(1);
    world.publish("session.ended", "session/1");
    world.publish("webhook.test", "webhook.test/1");
    seconds(1).await;
    assert_eq!(world.seen(), ["e2", "e3"]);
    assert_eq!(world.queue().low_water, 3);
});

virtual_test!(without_an_endpoint_everything_is_parked_and_goes_once_there_is_one, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    let target = world.directory.0.borrow_mut().take();
    world.handle.look_again();
    for n in 0..10 {
        world.session(n);
    }
    minutes(10).await;
    assert_eq!(world.seen().len(), 0);
    assert!(world.board.view(&world.id, QueueId::MAIN).unwrap().no_endpoint);
    *world.directory.0.borrow_mut() = target;
    world.handle.look_again();
    seconds(1).await;
    assert_eq!(world.seen().len(), 10);
});

virtual_test!(the_window_bounds_memory_while_a_partner_is_down_and_all_comes_in_the_end, async {
    let down = Arc::new(Mutex::new(true));
    let state = down.clone();
    let world = World::at_rest(move |_, _| (QUICK, http(if *state.lock().unwrap() { 503 } else { 200 })));
    world.edit(|settings| settings.window = 100);
    let mut world = world;
    for n in 0..5000 {
        world.session(n);
    }
    world.start();
    minutes(3).await;
    let view = world.board.view(&world.id, QueueId::MAIN).unwrap();
    assert_eq!((view.depth, view.more, view.failing_percent), (100, true, 100));
    assert!(world.queue().open.len() <= 100);
    assert!(*world.store.largest_read.lock().unwrap() <= 100);
    *down.lock().unwrap() = false;
    minutes(60).await;
    assert_eq!(world.seen().iter().collect::<std::collections::HashSet<_>>().len(), 5000);
    assert_eq!(world.queue().low_water, 5000);
});

virtual_test!(a_backlog_is_read_by_the_page_and_not_again_for_every_event, async {
    // Eight at a time: 500 a second.
    let mut world = World::at_rest(|_, _| (Duration::from_millis(16), http(200)));
    let target = world.directory.0.borrow_mut().take();
    world.start();
    for n in 0..1000 {
        world.session(n);
    }
    seconds(1).await;
    *world.directory.0.borrow_mut() = target;
    world.handle.look_again();
    // New ones come as fast as old ones go, one by one.
    for n in 1000..3000 {
        world.session(n);
        sleep(Duration::from_millis(2)).await;
    }
    let behind = 3000 - world.seen().len();
    assert!(behind > 500, "there is a backlog all the while: {behind}");
    minutes(1).await;
    assert_eq!(world.queue().low_water, 3000);
    // As they arrive, and once more by 16 those whose payload found no room then.
    let reads = *world.store.reads.lock().unwrap();
    assert!(reads <= 1000 / 64 + 2000 + 3000 / 16 + 10, "{reads} reads for 3000 events");
});

virtual_test!(a_journal_that_takes_no_report_stops_new_tries_after_a_bound_and_loses_nothing, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    seconds(1).await;
    *world.engine.unavailable.borrow_mut() = 20;
    for n in 0..2000 {
        world.session(n);
    }
    seconds(10).await;
    let held = world.seen().len();
    assert!(held < 5 * 32 + 64, "{held}");
    seconds(60).await;
    assert_eq!((world.seen().len(), world.queue().low_water), (2000, 2000));
});

virtual_test!(an_outbox_that_cannot_be_read_is_read_again, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    seconds(1).await;
    *world.store.failing_reads.lock().unwrap() = 3;
    let id = world.session(1);
    seconds(10).await;
    assert_eq!(world.times(&id).len(), 1);
});

virtual_test!(the_rate_is_kept_and_can_change_while_running, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    world.edit(|settings| (settings.rate_per_s, settings.burst) = (10, 1));
    world.handle.nudge();
    seconds(1).await;
    for n in 0..1000 {
        world.session(n);
    }
    seconds(10).await;
    assert!((100..=102).contains(&world.seen().len()), "{}", world.seen().len());
    world.edit(|settings| settings.rate_per_s = 0);
    world.handle.nudge();
    seconds(10).await;
    assert_eq!(world.seen().len(), 1000);
});

virtual_test!(a_rotated_secret_signs_at_once, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    world.session(1);
    seconds(1).await;
    let [old, new] = ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]
        .map(|text| SigningSecret::parse(&format!("whsec_{text}")).unwrap());
    let expires = Some(Timestamp(10_000));
    let secrets = vec![(new, None), (old, expires)];
    let target = target_with("default", Wants::default(), 1, secrets);
    *world.directory.0.borrow_mut() = Some(Arc::new(target));
    world.session(2);
    seconds(20).await;
    world.session(3);
    seconds(1).await;
    let signatures = world.partner.signatures.lock().unwrap();
    let count: Vec<_> = signatures.iter().map(|(_, signature)| signature.split(' ').count()).collect();
    assert_eq!(count, [1, 2, 1]);
});

virtual_test!(without_a_live_secret_nothing_is_sent, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let secrets = vec![(secret, Some(Timestamp(0)))];
    let target = target_with("default", Wants::default(), 1, secrets);
    *world.directory.0.borrow_mut() = Some(Arc::new(target));
    world.session(1);
    seconds(10).await;
    assert_eq!(world.seen().len(), 0);
    assert!(world.board.view(&world.id, QueueId::MAIN).unwrap().no_endpoint);
});

virtual_test!(stopping_waits_for_what_is_under_way_and_reports_it, async {
    let mut world = World::new(|_, _| (Duration::from_secs(3), http(200)));
    for n in 0..20 {
        world.session(n);
    }
    seconds(1).await;
    world.handle.stop();
    world.ended().await.unwrap();
    assert_eq!(world.seen().len(), 4);
    assert_eq!((world.queue().low_water, world.clock.now().0 / 1000), (4, 3));
    assert_eq!(world.board.view(&world.id, QueueId::MAIN), None);
});

virtual_test!(dead_letters_are_listed_counted_and_replayed_in_order_with_their_ids, async {
    let well = Arc::new(Mutex::new(false));
    let state = well.clone();
    let world = World::new(move |_, _| (QUICK, http(if *state.lock().unwrap() { 200 } else { 500 })));
    // Otherwise it would be disabled before the second event of a key is given up.
    world.engine.partition.borrow_mut().policy.disable_after = Duration::ZERO;
    for n in 0..600 {
        world.session(n % 300);
    }
    // Two to a key: the second begins its own nine tries when the first is given up.
    minutes(3000 * 2).await;
    let service = world.service();
    assert_eq!(world.queue().dead, 600);
    let first = service.dead_letters(&world.id, QueueId::MAIN, None, 400).await.unwrap();
    let rest = service.dead_letters(&world.id, QueueId::MAIN, first.next.as_deref(), 400).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (400, 200, None));
    *well.lock().unwrap() = true;
    let tried = world.seen().len();
    let count = ReplayRequest { all_dead: true, dry_run: true, ..ReplayRequest::default() };
    let answer = service.replay(&*world.engine, &world.id, QueueId::MAIN, &count, &|_| true).await.unwrap();
    assert_eq!((answer.selected, answer.replay, world.queue().dead), (600, None, 600));
    let replay = ReplayRequest { dry_run: false, ..count };
    let answer = service.replay(&*world.engine, &world.id, QueueId::MAIN, &replay, &|_| true).await.unwrap();
    assert_eq!((answer.selected, answer.replay), (600, Some(1)));
    world.handle.look_again();
    minutes(1).await;
    assert_eq!(world.seen().len() - tried, 600);
    let queue = world.queue();
    assert_eq!((queue.dead, queue.open.len(), queue.replays.len()), (0, 0, 0));
    assert!(!world.store.rows.lock().unwrap().keys().any(|(table, _)| *table == rows::DEAD));
});

virtual_test!(a_range_and_single_events_are_replayed, async {
    let mut world = World::new(|_, _| (QUICK, http(200)));
    for n in 0..1000 {
        world.session(n);
        if n % 100 == 99 {
            seconds(10).await;
        }
    }
    seconds(5).await;
    let service = world.service();
    let range = ReplayRequest { from: Some(Timestamp(20_000)), to: Some(Timestamp(50_000)), ..Default::default() };
    let answer = service.replay(&*world.engine, &world.id, QueueId::MAIN, &range, &|_| true).await.unwrap();
    assert_eq!(answer.selected, 400);
    world.handle.look_again();
    // A crash in the middle changes nothing.
    sleep(Duration::from_millis(30)).await;
    world.crash().await;
    world.start();
    minutes(1).await;
    let again: std::collections::BTreeSet<_> = world.seen()[1000..].iter().cloned().collect();
    assert_eq!(again.len(), 400);
    assert!(again.contains("e201") && again.contains("e600") && !again.contains("e601"));
    let some = ReplayRequest { event_ids: vec!["e7".into(), "e900".into()], ..Default::default() };
    let answer = service.replay(&*world.engine, &world.id, QueueId::MAIN, &some, &|_| true).await.unwrap();
    assert_eq!(answer.selected, 2);
    world.handle.look_again();
    seconds(1).await;
    assert_eq!(world.times("e7").len(), 2);
});

virtual_test!(a_driver_that_panics_ends_alone_with_an_error, async {
    let mut world = World::new(|_, _| panic!("poison"));
    world.session(1);
    let error = world.ended().await.unwrap_err();
    assert!(matches!(&error, DriverError::Panicked(text) if text.contains("poison")), "{error}");
    assert_eq!(world.board.view(&world.id, QueueId::MAIN), None);
    world.store.outbox.lock().unwrap().clear();
    world.start();
    seconds(1).await;
    assert!(world.board.view(&world.id, QueueId::MAIN).is_some());
});

virtual_test!(the_log_and_the_events_are_paged_with_cursors, async {
    let world = World::new(|id, times| (QUICK, http(if id == "e5" && times == 1 { 500 } else { 200 })));
    for n in 0..10 {
        world.session(n);
        seconds(1).await;
    }
    minutes(2).await;
    let service = world.service();
    let mut log = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = service.deliveries(&world.id, QueueId::MAIN, cursor.as_deref(), 4).await.unwrap();
        log.extend(page.items.iter().map(|tried| (tried.event_id.to_string(), tried.attempt)));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let ids: Vec<_> = log.iter().map(|(id, attempt)| format!("{id}/{attempt}")).collect();
    let newest_first = ["e5/2", "e10/1", "e9/1", "e8/1", "e7/1", "e6/1", "e5/1", "e4/1", "e3/1", "e2/1", "e1/1"];
    assert_eq!(ids, newest_first);
    let first = service.events(&world.id, None, 7).await.unwrap();
    let rest = service.events(&world.id, first.next.as_deref(), 7).await.unwrap();
    let end = service.events(&world.id, rest.next.as_deref(), 7).await.unwrap();
    let ids: Vec<_> = first.items.iter().chain(&rest.items).map(|event| event["id"].clone()).collect();
    assert_eq!((ids.len(), ids[9].as_str(), end.items.len()), (10, Some("e10"), 0));
    assert_eq!(end.next, rest.next);
    let other = "other".parse().unwrap();
    assert!(matches!(service.events(&other, first.next.as_deref(), 7).await, Err(ServiceError::Cursor(_))));
});

virtual_test!(a_replay_that_makes_no_sense_is_refused, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    world.session(1);
    seconds(1).await;
    let service = world.service();
    let ask = async |request: ReplayRequest| {
        service.replay(&*world.engine, &world.id, QueueId::MAIN, &request, &|_| true).await
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let nothing = ReplayRequest::default();
    let two = ReplayRequest { event_ids: ids(&["e1"]), all_dead: true, ..ReplayRequest::default() };
    for request in [nothing, two] {
        assert!(matches!(ask(request).await, Err(ServiceError::Selection)));
    }
    let unknown = ReplayRequest { event_ids: ids(&["e1", "e2"]), ..ReplayRequest::default() };
    assert!(matches!(ask(unknown).await, Err(ServiceError::UnknownEvent(id)) if id == "e2"));
    let many = ReplayRequest { event_ids: (0..101).map(|n| n.to_string()).collect(), ..ReplayRequest::default() };
    assert!(matches!(ask(many).await, Err(ServiceError::TooManyIds)));
    let none_dead = ReplayRequest { all_dead: true, ..ReplayRequest::default() };
    assert_eq!(ask(none_dead).await.unwrap().selected, 0);
    assert_eq!(world.seen().len(), 1);
});

virtual_test!(what_is_stored_sealed_is_opened_before_it_is_signed_or_not_sent_at_all, async {
    let world = World::new(|_, _| (QUICK, http(200)));
    world.wardrobe.locked.store(true, Ordering::Release);
    let id = world.session(1);
    seconds(30).await;
    assert_eq!((world.seen().len(), world.queue().open[&1].failures), (0, 1));
    world.wardrobe.locked.store(false, Ordering::Release);
    seconds(60).await;
    assert_eq!(world.times(&id), [60]);
    let bodies = world.partner.bodies.lock().unwrap();
    assert_eq!(bodies[0]["data"], serde_json::json!({"n": 1, "user_id": "u1"}));
});
