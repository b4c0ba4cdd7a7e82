//! Tables of what follows from a try, a replay, a pause.

use super::*;
use crate::domain::delivery::testkit::{Partition, entry, http, tried};
use crate::domain::delivery::{Alert, AlertKind, Answer, PartnerEffect, PartnerRejection, PartnerReply, QueueId, rows};

const MINUTE: i64 = 60_000;

fn report(attempts: Vec<Attempt>) -> Report {
    Report { attempts, ..Report::default() }
}

fn alerts(effects: Vec<PartnerEffect>) -> Vec<AlertKind> {
    let alert = |effect| match effect {
        PartnerEffect::Alert(Alert { kind, .. }) => Some(kind),
        PartnerEffect::DirectoryChanged | PartnerEffect::QueueChanged(_) => None,
    };
    effects.into_iter().filter_map(alert).collect()
}

/// Tries the event until it is dead, each time when it is due.
fn bury(partition: &mut Partition, position: u64) -> Vec<i64> {
    let event = entry(position, "session/a");
    let mut now = Timestamp(0);
    let mut due_times = Vec::new();
    loop {
        let verdict = partition.report(report(vec![tried(&event, now, http(500))]), now).verdicts[0].1;
        match verdict {
            Verdict::Retry { due, .. } => now = due,
            Verdict::Dead => return due_times,
            Verdict::Held | Verdict::Settled => panic!("{verdict:?}"),
        }
        due_times.push(now.0 / MINUTE);
    }
}

#[test]
fn nine_tries_on_the_schedule_and_then_a_dead_letter_an_alert_and_a_ticket() {
    let mut partition = Partition::new();
    let due = bury(&mut partition, 7);
    assert_eq!(due, [1, 6, 21, 81, 261, 621, 1341, 2781]);
    let queue = partition.queue();
    assert_eq!((queue.dead, queue.open.len(), queue.is_settled(7)), (1, 0, true));
    let row = &partition.rows[&(rows::DEAD, rows::dead_key("acme", QueueId::MAIN, 7))];
    let dead: Dead = serde_json::from_slice(row).unwrap();
    assert_eq!((dead.attempts, dead.answer, dead.entry), (9, http(500), entry(7, "session/a")));
    let ticket = &partition.rows[&(rows::TICKET, "webhook-dead/acme/0".to_owned())];
    let ticket: rows::Ticket = serde_json::from_slice(ticket).unwrap();
    assert_eq!((ticket.state.as_str(), ticket.count, ticket.last_event_id.as_deref()), ("open", 1, Some("evt_7")));
}

#[test]
fn the_alert_of_a_dead_letter_names_the_event() {
    let mut partition = Partition::new();
    let missing = report(vec![tried(&entry(3, "k"), Timestamp(5), Answer::Missing)]);
    let stepped = partition.ask(QueueCommand::Report(missing), Timestamp(5)).unwrap();
    assert_eq!(alerts(stepped.effects), [AlertKind::DeadLetter { event_id: "evt_3".into() }]);
}

#[test]
fn a_success_settles_and_clears_what_was_outstanding() {
    let mut partition = Partition::new();
    let event = entry(7, "k");
    partition.report(report(vec![tried(&event, Timestamp(0), Answer::TimedOut)]), Timestamp(0));
    assert_eq!(partition.queue().open[&7].failures, 1);
    let reported = partition.report(report(vec![tried(&event, Timestamp(MINUTE), http(204))]), Timestamp(MINUTE));
    assert_eq!(reported.verdicts, []);
    let queue = partition.queue();
    assert!(queue.open.is_empty() && queue.ahead.contains(&7));
    // Told twice, nothing changes.
    let again = partition.report(report(vec![tried(&event, Timestamp(MINUTE), http(500))]), Timestamp(MINUTE));
    assert_eq!(again.verdicts, [(7, Verdict::Settled)]);
    assert_eq!(partition.queue(), queue);
}

#[test]
fn retry_after_moves_the_journaled_due_time() {
    for (seconds, due) in [(5, 60), (600, 600), (10_000_000, 86_400)] {
        let mut partition = Partition::new();
        let answer = Answer::Status { code: 429, retry_after_ms: Some(seconds * 1000), excerpt: String::new() };
        partition.report(report(vec![tried(&entry(1, "k"), Timestamp(0), answer)]), Timestamp(0));
        assert_eq!(partition.queue().open[&1].due, Timestamp(due * 1000), "{seconds}");
    }
}

#[test]
fn gone_disables_the_endpoint_keeps_the_event_and_alerts_once() {
    let mut partition = Partition::new();
    let now = Timestamp(100);
    let both = vec![tried(&entry(1, "a"), now, http(410)), tried(&entry(2, "b"), now, http(410))];
    let stepped = partition.ask(QueueCommand::Report(report(both)), now).unwrap();
    assert!(stepped.effects.contains(&PartnerEffect::QueueChanged(QueueId::MAIN)));
    assert_eq!(alerts(stepped.effects), [AlertKind::EndpointGone]);
    let queue = partition.queue();
    assert!(!queue.is_running() && queue.disabled.is_some());
    assert_eq!(queue.open.values().map(|o| (o.failures, o.due)).collect::<Vec<_>>(), [(0, now), (0, now)]);
    // One more that was under way.
    let third = report(vec![tried(&entry(3, "c"), now, http(410))]);
    let stepped = partition.ask(QueueCommand::Report(third), now).unwrap();
    assert_eq!(alerts(stepped.effects), []);
    partition.ask(QueueCommand::Enable, now).unwrap();
    assert_eq!((partition.queue().open.len(), partition.queue().is_running()), (3, true));
}

#[test]
fn health_comes_from_every_try_and_alerts_at_its_levels() {
    let mut partition = Partition::new();
    let mut seen = Vec::new();
    let mut position = 0;
    let mut run = |codes: &[u16], seen: &mut Vec<AlertKind>| {
        for code in codes {
            position += 1;
            let attempts = report(vec![tried(&entry(position, "k"), Timestamp(0), http(*code))]);
            seen.extend(alerts(partition.ask(QueueCommand::Report(attempts), Timestamp(0)).unwrap().effects));
        }
    };
    run(&[200, 200, 200, 200, 500, 500, 500], &mut seen);
    assert_eq!(seen, []);
    run(&[500], &mut seen);
    assert_eq!(seen, [AlertKind::Failing { percent: 50 }]);
    run(&[500; 40], &mut seen);
    assert_eq!(seen[1..], [AlertKind::Failing { percent: 70 }, AlertKind::Failing { percent: 90 }]);
    run(&[200; 64], &mut seen);
    assert_eq!(seen.last(), Some(&AlertKind::Recovered));
    assert_eq!(partition.queue().health.failing_percent(64), 0);
}

#[test]
fn the_mark_moves_with_the_laggards_listed() {
    let mut partition = Partition::new();
    let attempts: Vec<_> = [2, 3, 5].iter().map(|p| tried(&entry(*p, "k"), Timestamp(9), http(200))).collect();
    let listed = vec![entry(1, "slow")];
    partition.report(Report { attempts, dropped: vec![4], low_water: 4, listed }, Timestamp(9));
    let queue = partition.queue();
    assert_eq!((queue.low_water, queue.ahead.clone()), (4, [5].into()));
    let open: Vec<_> = queue.open.iter().map(|(p, o)| (*p, o.failures, o.due)).collect();
    assert_eq!(open, [(1, 0, Timestamp(9))]);
    let settled: Vec<_> = (1..=6).map(|p| queue.is_settled(p)).collect();
    assert_eq!(settled, [false, true, true, true, true, false]);
    assert_eq!(PartnerFamilyStanding::of(&partition), (true, false));
}

/// Whether the queue is open, before and after what is listed is delivered.
struct PartnerFamilyStanding;

impl PartnerFamilyStanding {
    fn of(partition: &Partition) -> (bool, bool) {
        use crate::domain::delivery::{PartnerFamily, PartnerKey};
        use crate::domain::entity::{Family, Standing};
        let open = |partition: &Partition| {
            PartnerFamily::standing(&partition.states[&PartnerKey::Queue(QueueId::MAIN)]) == Standing::Open
        };
        let mut after = partition.clone();
        after.report(report(vec![tried(&entry(1, "slow"), Timestamp(9), http(200))]), Timestamp(9));
        (open(partition), open(&after))
    }
}

#[test]
fn a_resend_takes_all_but_what_is_asked_for_already() {
    let mut partition = Partition::new();
    bury(&mut partition, 2);
    let attempts = vec![tried(&entry(1, "k"), Timestamp(0), http(200)), tried(&entry(3, "l"), Timestamp(0), http(500))];
    partition.report(Report { attempts, low_water: 3, ..Report::default() }, Timestamp(0));
    let again = |position, dead| ReplayEntry { entry: entry(position, "k"), dead };
    let entries = vec![again(3, false), again(2, true), again(1, false), again(1, false), again(9, false)];
    let stepped = partition.ask(QueueCommand::Resend(entries), Timestamp(50)).unwrap();
    assert!(matches!(stepped.reply, PartnerReply::Queue(QueueReply::Replayed(4))), "{:?}", stepped.reply);
    assert_eq!(stepped.effects, [PartnerEffect::QueueChanged(QueueId::MAIN)]);
    let stepped = partition.ask(QueueCommand::Resend(vec![again(3, false)]), Timestamp(51)).unwrap();
    assert!(matches!(stepped.reply, PartnerReply::Queue(QueueReply::Replayed(0))), "{:?}", stepped.reply);
    let queue = partition.queue();
    let open: Vec<_> = queue.open.iter().map(|(p, o)| (*p, o.failures, o.replayed)).collect();
    assert_eq!(open, [(1, 0, true), (2, 0, true), (3, 1, true), (9, 0, true)]);
    assert_eq!((queue.dead, queue.dead_since), (0, None));
    assert!(!partition.rows.keys().any(|(table, _)| *table == rows::DEAD));
    let ticket = &partition.rows[&(rows::TICKET, "webhook-dead/acme/0".to_owned())];
    assert_eq!(serde_json::from_slice::<rows::Ticket>(ticket).unwrap().state, "closed");
}

#[test]
fn what_arrived_just_before_it_was_asked_for_again_is_sent_again() {
    let mut partition = Partition::new();
    let event = entry(4, "k");
    let entries = vec![ReplayEntry { entry: event.clone(), dead: false }];
    partition.ask(QueueCommand::Resend(entries), Timestamp(50)).unwrap();
    // It had arrived; the report was on its way. The mark passes it, as the scheduler knows it as settled.
    let late = Report { attempts: vec![tried(&event, Timestamp(49), http(200))], low_water: 4, ..Report::default() };
    let stepped = partition.ask(QueueCommand::Report(late), Timestamp(60)).unwrap();
    assert_eq!(stepped.effects, [PartnerEffect::QueueChanged(QueueId::MAIN)]);
    assert!(!partition.queue().is_settled(4));
    // Whatever the clock says: one that is put back must not have it sent for ever.
    let asked_for = Attempt { replayed: true, ..tried(&event, Timestamp(20), http(200)) };
    let stepped = partition.ask(QueueCommand::Report(report(vec![asked_for])), Timestamp(30)).unwrap();
    assert_eq!(stepped.effects, []);
    assert!(partition.queue().is_settled(4));
}

#[test]
fn what_was_dropped_just_before_it_was_asked_for_is_sent() {
    let mut partition = Partition::new();
    let entries = vec![ReplayEntry { entry: entry(4, "k"), dead: false }];
    partition.ask(QueueCommand::Resend(entries), Timestamp(50)).unwrap();
    let dropped = Report { dropped: vec![3, 4], low_water: 4, ..Report::default() };
    let stepped = partition.ask(QueueCommand::Report(dropped), Timestamp(60)).unwrap();
    assert_eq!(stepped.effects, [PartnerEffect::QueueChanged(QueueId::MAIN)]);
    assert_eq!((partition.queue().is_settled(3), partition.queue().is_settled(4)), (true, false));
}

#[test]
fn a_replay_goes_page_by_page_and_ends() {
    let mut partition = Partition::new();
    let attempts: Vec<_> = (1..=4).map(|p| tried(&entry(p, "k"), Timestamp(0), http(200))).collect();
    partition.report(Report { attempts, low_water: 4, ..Report::default() }, Timestamp(0));
    let selection = Selection::Positions { from: 2, to: 4 };
    let start = QueueCommand::StartReplay { selection, until: 4 };
    partition.ask(start.clone(), Timestamp(1)).unwrap();
    assert_eq!(partition.queue().replays[0].cursor, 1);
    let feed = |id, cursor, positions: &[u64], finished| QueueCommand::FeedReplay {
        id,
        cursor,
        entries: positions.iter().map(|p| ReplayEntry { entry: entry(*p, "k"), dead: false }).collect(),
        finished,
    };
    partition.ask(feed(1, 3, &[2, 3], false), Timestamp(2)).unwrap();
    let replay = partition.queue().replays[0].clone();
    assert_eq!((replay.cursor, replay.fed), (3, 2));
    let stale = partition.ask(feed(1, 1, &[2], false), Timestamp(2));
    assert_eq!(stale.unwrap_err(), PartnerRejection::UnknownReplay);
    partition.ask(feed(1, 4, &[4], true), Timestamp(3)).unwrap();
    assert_eq!((partition.queue().replays.len(), partition.queue().open.len()), (0, 3));
    assert_eq!(partition.ask(feed(1, 5, &[], true), Timestamp(3)).unwrap_err(), PartnerRejection::UnknownReplay);
    for _ in 0..partition.policy.replays_max {
        partition.ask(start.clone(), Timestamp(4)).unwrap();
    }
    assert_eq!(partition.ask(start, Timestamp(4)).unwrap_err(), PartnerRejection::TooManyReplays);
}

#[test]
fn pause_and_resume_are_idempotent_and_make_the_driver_look() {
    let mut partition = Partition::new();
    for (command, events, running) in [
        (QueueCommand::Resume, 0, true),
        (QueueCommand::Pause, 1, false),
        (QueueCommand::Pause, 0, false),
        (QueueCommand::Resume, 1, true),
    ] {
        let stepped = partition.ask(command, Timestamp(1)).unwrap();
        assert_eq!((stepped.events.len(), stepped.effects.len()), (events, events));
        assert_eq!(partition.queue().is_running(), running);
    }
}

#[test]
fn a_test_event_is_a_notice_with_a_key_of_its_own() {
    let mut partition = Partition::new();
    let first = partition.ask(QueueCommand::Test("default".parse().unwrap()), Timestamp(1)).unwrap();
    let second = partition.ask(QueueCommand::Test("default".parse().unwrap()), Timestamp(2)).unwrap();
    assert_eq!((first.notices[0].kind.as_str(), first.events.len()), ("webhook.test", 1));
    assert_ne!(first.notices[0].order_key, second.notices[0].order_key);
    assert_eq!(partition.queue(), Queue::default());
}

#[test]
fn what_only_this_partner_is_told_is_notices_and_changes_nothing() {
    let mut partition = Partition::new();
    let told =
        |kind: &str| Told { kind: kind.into(), order_key: format!("{kind}/1"), data: serde_json::json!({"a": 1}) };
    let stepped = partition.ask(QueueCommand::Tell(vec![told("a.status"), told("b")]), Timestamp(7)).unwrap();
    let notices: Vec<_> = stepped.notices.iter().map(|n| (n.kind.as_str(), n.order_key.as_str(), n.at.0)).collect();
    assert_eq!(notices, [("a.status", "a.status/1", 7), ("b", "b/1", 7)]);
    assert_eq!((stepped.events.len(), partition.queue()), (1, Queue::default()));
}

#[test]
fn a_partners_own_waits_are_kept_between_tries_of_its_event() {
    let mut partition = Partition::new();
    partition.policy.jitter = 0.0;
    let waits: Option<std::sync::Arc<[Duration]>> = Some([15, 30].map(Duration::from_secs).into());
    let failed = |at: i64| {
        let attempt = tried(&entry(1, "k"), Timestamp(at), Answer::Declined { ret: -1, excerpt: "later".into() });
        report(vec![Attempt { waits: waits.clone(), ..attempt }])
    };
    for (at, due) in [(0, Some(15_000)), (15_000, Some(45_000)), (45_000, None)] {
        partition.report(failed(at), Timestamp(at));
        assert_eq!(partition.queue().open.get(&1).map(|open| open.due.0), due);
    }
    assert_eq!(partition.queue().dead, 1);
}

#[test]
fn the_log_is_a_ring_of_pages_without_bodies_of_successes() {
    let mut partition = Partition::new();
    partition.policy.log_pages = 3;
    for position in 1..=5 {
        let answer = Answer::Status {
            code: if position == 5 { 500 } else { 200 },
            retry_after_ms: None,
            excerpt: "text".into(),
        };
        partition.report(report(vec![tried(&entry(position, "k"), Timestamp(0), answer)]), Timestamp(0));
    }
    let pages: Vec<rows::LogPage> = partition
        .rows
        .iter()
        .filter(|((table, _), _)| *table == rows::LOG)
        .map(|(_, value)| serde_json::from_slice(value).unwrap())
        .collect();
    assert_eq!(pages.iter().map(|page| page.page).collect::<Vec<_>>(), [3, 4, 2]);
    assert_eq!(pages[0].attempts[0].answer, http(200));
    assert_eq!(pages[1].attempts[0].outcome, Outcome::Retry(Timestamp(MINUTE)));
    assert!(matches!(&pages[1].attempts[0].answer, Answer::Status { excerpt, .. } if excerpt == "text"));
}
