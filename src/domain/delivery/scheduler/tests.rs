//! Order, pace, coalescing and the mark of the scheduler.

use super::*;
use crate::domain::delivery::testkit::{entry, http, status, tried};
use crate::domain::delivery::{QueueFact, ReplayEntry};

fn pace() -> Pace {
    Pace {
        window: 1000,
        in_flight: 4,
        rate_per_s: 0,
        burst: 1,
        probe_after: 3,
        slow_min: Duration::from_secs(1),
        slow_max: Duration::from_secs(60),
    }
}

fn with(pace: Pace, entries: Vec<Entry>) -> Scheduler {
    let mut scheduler = Scheduler::new(pace, &Queue::default());
    scheduler.arrive(entries.into_iter().map(|entry| Arrival { entry, wanted: true }), Timestamp(0));
    scheduler
}

/// Everything that may begin now.
fn picked(scheduler: &mut Scheduler, now: i64) -> Vec<u64> {
    let mut picked = Vec::new();
    while let Next::Send(pick) = scheduler.next(Timestamp(now)) {
        picked.push(pick.entry.position);
    }
    picked
}

fn retry(scheduler: &mut Scheduler, position: u64, now: i64, wait_ms: u64) {
    scheduler.failed(position, Class::Failed, None, Timestamp(now));
    let wait = Duration::from_millis(wait_ms);
    let verdict = Verdict::Retry { failures: 1, due: Timestamp(now) + wait, wait };
    scheduler.judged(position, verdict, Timestamp(now));
}

#[test]
fn a_lane_sends_one_at_a_time_in_order_and_waits_for_nobody() {
    let mut scheduler = with(pace(), vec![entry(1, "a"), entry(2, "a"), entry(3, "b"), entry(4, "a")]);
    assert_eq!(picked(&mut scheduler, 0), [1, 3]);
    retry(&mut scheduler, 1, 10, 500);
    scheduler.delivered(3);
    assert_eq!(picked(&mut scheduler, 20), [] as [u64; 0]);
    assert_eq!(scheduler.next(Timestamp(20)), Next::Wait(Some(Timestamp(510))));
    assert_eq!(picked(&mut scheduler, 510), [1]);
    scheduler.delivered(1);
    assert_eq!(picked(&mut scheduler, 511), [2]);
    scheduler.delivered(2);
    assert_eq!(picked(&mut scheduler, 512), [4]);
}

#[test]
fn a_lane_waits_for_the_verdict_and_goes_on_behind_a_dead_letter() {
    let mut scheduler = with(pace(), vec![entry(1, "a"), entry(2, "a")]);
    assert_eq!(picked(&mut scheduler, 0), [1]);
    scheduler.failed(1, Class::Failed, None, Timestamp(0));
    assert_eq!(picked(&mut scheduler, 0), [] as [u64; 0]);
    scheduler.judged(1, Verdict::Dead, Timestamp(0));
    assert_eq!(picked(&mut scheduler, 0), [2]);
}

#[test]
fn no_more_than_the_cap_is_in_flight_and_a_failing_endpoint_is_probed_by_one() {
    let mut scheduler = with(pace(), (1..=20).map(|n| entry(n, &n.to_string())).collect());
    assert_eq!(picked(&mut scheduler, 0), [1, 2, 3, 4]);
    for position in 1..=4 {
        retry(&mut scheduler, position, 1, 60_000);
    }
    assert_eq!(picked(&mut scheduler, 101), [5]);
    retry(&mut scheduler, 5, 102, 60_000);
    assert_eq!(picked(&mut scheduler, 302), [6]);
    scheduler.delivered(6);
    assert_eq!(picked(&mut scheduler, 303), [7, 8, 9, 10]);
}

#[test]
fn an_endpoint_earns_its_cap_by_answering_and_loses_it_when_probed() {
    let mut scheduler = with(Pace { in_flight: 6, ..pace() }, (1..=40).map(|n| entry(n, &n.to_string())).collect());
    assert_eq!(picked(&mut scheduler, 0), [1, 2, 3, 4]);
    (1..=4).for_each(|position| scheduler.delivered(position));
    assert_eq!(picked(&mut scheduler, 1), [5, 6, 7, 8, 9, 10]);
    (5..=10).for_each(|position| retry(&mut scheduler, position, 2, 60_000));
    assert_eq!(picked(&mut scheduler, 402), [11]);
    scheduler.delivered(11);
    assert_eq!(picked(&mut scheduler, 403), [12, 13, 14, 15]);
}

#[test]
fn the_pause_between_probes_grows_to_a_second_and_a_success_ends_it() {
    let pace = Pace { in_flight: 1, ..pace() };
    let mut scheduler = with(pace, (1..=40).map(|n| entry(n, &n.to_string())).collect());
    let mut now = 0;
    let mut pauses = Vec::new();
    for position in 1..=10 {
        assert_eq!(picked(&mut scheduler, now), [position]);
        retry(&mut scheduler, position, now, 3_600_000);
        let next = match scheduler.next(Timestamp(now)) {
            Next::Throttled(until) => until.0,
            Next::Send(pick) => {
                scheduler.put_back(pick.entry.position);
                now
            }
            Next::Wait(_) => panic!("something is due"),
        };
        pauses.push(next - now);
        now = next;
    }
    assert_eq!(pauses, [0, 0, 50, 100, 200, 400, 800, 1000, 1000, 1000]);
    assert_eq!(picked(&mut scheduler, now), [11]);
    scheduler.delivered(11);
    assert_eq!(picked(&mut scheduler, now), [12]);
}

#[test]
fn a_429_holds_the_whole_queue_back_within_bounds() {
    for (asked, pause) in [(None, 1), (Some(20), 20), (Some(3600), 60)] {
        let mut scheduler = with(pace(), vec![entry(1, "a"), entry(2, "b"), entry(3, "c")]);
        assert!(matches!(scheduler.next(Timestamp(0)), Next::Send(_)));
        scheduler.failed(1, Class::SlowDown, asked.map(Duration::from_secs), Timestamp(0));
        assert_eq!(scheduler.next(Timestamp(0)), Next::Throttled(Timestamp(pause * 1000)), "{asked:?}");
        assert_eq!(picked(&mut scheduler, pause * 1000), [2, 3]);
    }
}

#[test]
fn the_rate_throttles_and_says_until_when() {
    let pace = Pace { rate_per_s: 10, burst: 2, ..pace() };
    let mut scheduler = with(pace, (1..=5).map(|n| entry(n, &n.to_string())).collect());
    assert_eq!(picked(&mut scheduler, 0), [1, 2]);
    assert_eq!(scheduler.next(Timestamp(0)), Next::Throttled(Timestamp(100)));
    assert_eq!(picked(&mut scheduler, 100), [3]);
}

#[test]
fn only_the_newest_status_of_a_connector_is_sent_under_backlog() {
    let mut scheduler =
        with(pace(), vec![status(1, "c/1"), status(2, "c/2"), status(3, "c/1"), status(4, "c/1"), entry(5, "c/1")]);
    assert_eq!(scheduler.take_coalesced(), 2);
    assert_eq!(picked(&mut scheduler, 0), [2, 4]);
    let more = [status(6, "c/1"), status(7, "c/1"), entry(8, "c/1")];
    scheduler.arrive(more.map(|entry| Arrival { entry, wanted: true }), Timestamp(1));
    // 4 is on its way and stays; 5 and 8 are of a session.
    scheduler.delivered(4);
    for expected in [5, 7, 8] {
        assert_eq!(picked(&mut scheduler, 2), [expected]);
        scheduler.delivered(expected);
    }
    assert_eq!(scheduler.report(vec![]).dropped, [1, 3, 6]);
}

#[test]
fn a_failed_status_gives_way_to_the_newer_one_which_keeps_its_due_time() {
    let mut scheduler = with(pace(), vec![status(1, "c/1")]);
    assert_eq!(picked(&mut scheduler, 0), [1]);
    scheduler.arrive([Arrival { entry: status(2, "c/1"), wanted: true }], Timestamp(1));
    retry(&mut scheduler, 1, 2, 1000);
    assert_eq!(scheduler.depth(), 1);
    assert_eq!(scheduler.next(Timestamp(3)), Next::Wait(Some(Timestamp(1002))));
    scheduler.arrive([Arrival { entry: status(3, "c/1"), wanted: true }], Timestamp(4));
    // 2 had not failed itself.
    assert_eq!(scheduler.depth(), 1);
    let dropped = scheduler.report(vec![]).dropped;
    assert_eq!(dropped, [1, 2]);
}

#[test]
fn what_is_not_subscribed_is_settled_and_never_sent() {
    let mut scheduler = Scheduler::new(pace(), &Queue::default());
    scheduler.arrive([Arrival { entry: entry(1, "a"), wanted: false }], Timestamp(0));
    assert_eq!(picked(&mut scheduler, 0), [] as [u64; 0]);
    let report = scheduler.report(vec![]);
    assert_eq!((report.dropped, report.low_water), (vec![1], 1));
}

#[test]
fn the_mark_stops_below_what_is_unsettled_and_laggards_are_listed_only_when_much_is_ahead() {
    let mut scheduler =
        with(Pace { in_flight: 10_000, ..pace() }, (1..=900).map(|n| entry(n, &n.to_string())).collect());
    assert_eq!(picked(&mut scheduler, 0), [1, 2, 3, 4]);
    for position in 3..=200 {
        scheduler.delivered(position);
        picked(&mut scheduler, 0);
    }
    let report = scheduler.report(vec![]);
    assert_eq!((report.low_water, report.listed.len()), (0, 0));
    for position in 201..=600 {
        scheduler.delivered(position);
        picked(&mut scheduler, 0);
    }
    let report = scheduler.report(vec![]);
    let listed: Vec<_> = report.listed.iter().map(|e| e.position).collect();
    assert_eq!(listed[..2], [1, 2]);
    assert_eq!(listed.len(), LISTED_MAX);
    assert_eq!(report.low_water, 600 + LISTED_MAX as u64 - 2);
    let next = scheduler.report(vec![]);
    assert_eq!((next.low_water, next.listed.len()), (report.low_water, 0));
}

#[test]
fn after_a_crash_only_the_unsettled_comes_again() {
    let mut before = with(pace(), (1..=4).map(|n| entry(n, &n.to_string())).collect());
    assert_eq!(picked(&mut before, 0), [1, 2, 3, 4]);
    for position in [2, 4] {
        before.delivered(position);
    }
    let attempts = [2, 4].map(|p| tried(&entry(p, "x"), Timestamp(0), http(200))).to_vec();
    let report = before.report(attempts);
    let mut queue = Queue::default();
    queue.apply(&QueueFact::Settled { positions: vec![2, 4] });
    queue.apply(&QueueFact::Advanced { to: report.low_water, listed: vec![], at: Timestamp(0) });
    let mut after = Scheduler::new(pace(), &queue);
    assert_eq!(after.tail(), 0);
    after.arrive((1..=5).map(|n| Arrival { entry: entry(n, &n.to_string()), wanted: true }), Timestamp(9));
    assert_eq!(picked(&mut after, 9), [1, 3, 5]);
}

#[test]
fn the_window_bounds_what_is_held_and_stopping_stops() {
    let mut scheduler = with(Pace { window: 3, ..pace() }, (1..=3).map(|n| entry(n, &n.to_string())).collect());
    assert_eq!((scheduler.room(), scheduler.depth(), scheduler.oldest()), (0, 3, Some(Timestamp(1))));
    let stopped = Queue { paused: true, ..Queue::default() };
    scheduler.sync(&stopped);
    assert_eq!(scheduler.next(Timestamp(0)), Next::Wait(None));
    scheduler.sync(&Queue::default());
    assert_eq!(picked(&mut scheduler, 0), [1, 2, 3]);
    scheduler.put_back(1);
    assert_eq!(picked(&mut scheduler, 0), [1]);
}

fn replayed(entries: impl IntoIterator<Item = Entry>) -> Queue {
    let entries = entries.into_iter().map(|entry| ReplayEntry { entry, dead: false }).collect();
    let mut queue = Queue::default();
    queue.apply(&QueueFact::Replayed { entries, at: Timestamp(0) });
    queue
}

#[test]
fn what_is_asked_for_while_it_is_held_is_told_by_its_next_try() {
    let mut scheduler = with(pace(), vec![entry(1, "a"), entry(2, "a")]);
    let Next::Send(before) = scheduler.next(Timestamp(0)) else { panic!("1 is due") };
    scheduler.sync(&replayed([entry(1, "a"), entry(2, "a")]));
    // The one under way began before it was asked for.
    assert!(!before.replayed);
    scheduler.delivered(1);
    let Next::Send(next) = scheduler.next(Timestamp(1)) else { panic!("2 is due") };
    assert_eq!((next.entry.position, next.replayed), (2, true));
    // The journal has heard of the first, and it is still asked for.
    scheduler.reported([1]);
    scheduler.sync(&replayed([entry(1, "a")]));
    scheduler.delivered(2);
    let Next::Send(again) = scheduler.next(Timestamp(2)) else { panic!("1 is asked for") };
    assert_eq!((again.entry.position, again.replayed), (1, true));
}

#[test]
fn what_is_asked_for_before_it_is_read_overtakes_nothing() {
    let mut scheduler = with(pace(), vec![]);
    scheduler.sync(&replayed([status(2, "a")]));
    assert_eq!(picked(&mut scheduler, 0), [] as [u64; 0]);
    // Also if its type is not subscribed.
    let arrivals = [(status(1, "a"), true), (status(2, "a"), false), (entry(3, "b"), true)];
    scheduler.arrive(arrivals.map(|(entry, wanted)| Arrival { entry, wanted }), Timestamp(0));
    assert_eq!(picked(&mut scheduler, 0), [1, 3]);
    scheduler.delivered(1);
    let Next::Send(asked) = scheduler.next(Timestamp(1)) else { panic!("2 is asked for") };
    assert_eq!((asked.entry.position, asked.replayed), (2, true));
}
