//! Tables of what is asked of an endpoint, when, and what an answer leads to.

use super::*;
use crate::domain::delivery::testkit::{Partition, Stepped, entry, http, tried};
use crate::domain::delivery::{
    Alert, Health, PartnerEffect, PartnerOrder, Profile, Proof, QueueCommand, QueueId, Report, Sealed,
};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;

fn alerts(stepped: &Stepped) -> Vec<AlertKind> {
    let alert = |effect: &PartnerEffect| match effect {
        PartnerEffect::Alert(Alert { kind, .. }) => Some(kind.clone()),
        PartnerEffect::DirectoryChanged | PartnerEffect::QueueChanged(_) => None,
    };
    stepped.effects.iter().filter_map(alert).collect()
}

/// A partner with a default endpoint whose URL is new.
fn new() -> Partition {
    let mut partition = Partition::new();
    partition.order(PartnerOrder::Define(Profile::default()), 0).unwrap();
    let (name, url) = ("default".parse().unwrap(), "https://acme.example/".to_owned());
    let secret = Some(Sealed("s".into()));
    partition.order(PartnerOrder::SetEndpoint { name, url, secret, wants: None, from: 0, new: true }, 0).unwrap();
    partition
}

fn ask(partition: &mut Partition, command: QueueCommand, at: i64) -> Stepped {
    partition.ask(command, Timestamp(at)).unwrap()
}

/// Every try fails until the queue is disabled; when that was.
fn given_up(partition: &mut Partition) -> i64 {
    ask(partition, QueueCommand::Vouch, 0);
    for n in 0..100 {
        let at = n * HOUR;
        let attempts = vec![tried(&entry(u64::try_from(n).unwrap() + 1, "k"), Timestamp(at), http(500))];
        let stepped = ask(partition, QueueCommand::Report(Report { attempts, ..Report::default() }), at);
        if partition.queue().disabled.is_some() {
            assert!(alerts(&stepped).contains(&AlertKind::EndpointDisabled), "{:?}", stepped.effects);
            assert_eq!(stepped.notices[0].kind, "webhook.disabled");
            return at;
        }
    }
    panic!("never disabled")
}

#[test]
fn a_challenge_is_repeated_by_its_schedule_and_then_no_more() {
    let mut partition = new();
    let mut waits = Vec::new();
    let mut now = 0;
    let alerted = loop {
        let Some(knock) = partition.queue().knock() else { break now };
        assert!(knock.proof);
        waits.push((knock.due.0 - now) / SECOND);
        now = knock.due.0;
        let stepped = ask(&mut partition, QueueCommand::Knocked(http(404)), now);
        let last = partition.queue().unverified.unwrap().due.is_none();
        assert_eq!(alerts(&stepped) == [AlertKind::Unverified], last, "after {} tries", waits.len());
    };
    assert_eq!(waits, [0, 10, 60, 300, 1800, 7200, 21_600, 43_200]);
    let state = partition.queue().unverified.unwrap();
    assert_eq!((state.failures, state.due, state.last_error.as_deref()), (8, None, Some("status: 404")));
    assert!(!partition.queue().is_running());
    // Somebody asks for another.
    ask(&mut partition, QueueCommand::Verify, alerted + HOUR);
    assert_eq!(partition.queue().knock(), Some(Knock { due: Timestamp(alerted + HOUR), proof: true }));
    ask(&mut partition, QueueCommand::Knocked(http(200)), alerted + HOUR);
    assert!(partition.queue().is_running() && partition.queue().knock().is_none());
}

#[test]
fn every_answer_to_a_challenge_but_the_right_one_leaves_the_url_unverified() {
    for (answer, passes) in [
        (http(200), true),
        (http(204), true),
        (Answer::NotEchoed { code: 200 }, false),
        (http(301), false),
        (http(410), false),
        (http(500), false),
        (Answer::TimedOut, false),
        (Answer::Refused("private".into()), false),
    ] {
        let mut partition = new();
        ask(&mut partition, QueueCommand::Knocked(answer.clone()), SECOND);
        assert_eq!(partition.queue().is_running(), passes, "{answer:?}");
        assert!(partition.queue().disabled.is_none(), "{answer:?}");
    }
    // A 429 is waited for.
    let mut partition = new();
    let slow = Answer::Status { code: 429, retry_after_ms: Some(600_000), excerpt: String::new() };
    ask(&mut partition, QueueCommand::Knocked(slow), 0);
    assert_eq!(partition.queue().unverified.unwrap().due, Some(Timestamp(600 * SECOND)));
}

#[test]
fn a_dead_endpoint_is_disabled_after_a_day_probed_every_quarter_of_an_hour_and_opened_by_a_success() {
    let mut partition = new();
    let at = given_up(&mut partition);
    assert_eq!(at, 24 * HOUR);
    let disabled = partition.queue().disabled.unwrap();
    assert_eq!((disabled.by, disabled.probe), (Stopped::Failing, Some(Timestamp(at + HOUR / 4))));
    assert!(disabled.reason.contains("1970-01-01T00:00:00"), "{}", disabled.reason);
    let knock = partition.queue().knock().unwrap();
    assert_eq!(knock, Knock { due: Timestamp(at + HOUR / 4), proof: false });
    ask(&mut partition, QueueCommand::Knocked(Answer::TimedOut), knock.due.0);
    assert_eq!(partition.queue().knock().unwrap().due, Timestamp(at + HOUR / 2));
    assert_eq!(partition.queue().disabled.unwrap().at, Timestamp(at));
    let back = ask(&mut partition, QueueCommand::Knocked(http(204)), at + HOUR / 2);
    assert_eq!((alerts(&back), back.notices[0].kind.as_str()), (vec![AlertKind::EndpointBack], "webhook.enabled"));
    assert!(partition.queue().is_running() && partition.partner().endpoints[&QueueId::MAIN].disabled.is_none());
    assert_eq!(partition.queue().health, Health::default());
    // An answer to a probe of before changes nothing any more.
    assert!(ask(&mut partition, QueueCommand::Knocked(Answer::TimedOut), at + HOUR).events.is_empty());
}

#[test]
fn what_was_stopped_by_whom_says_who_lets_it_go_on() {
    // (stopped by, probed by itself, `verify` is taken)
    for (by, probed, taken) in
        [(Stopped::Failing, true, true), (Stopped::Gone, false, true), (Stopped::Operator, false, false)]
    {
        let mut partition = new();
        match by {
            Stopped::Failing => drop(given_up(&mut partition)),
            Stopped::Gone => {
                ask(&mut partition, QueueCommand::Vouch, 0);
                let attempts = vec![tried(&entry(1, "k"), Timestamp(0), http(410))];
                ask(&mut partition, QueueCommand::Report(Report { attempts, ..Report::default() }), 0);
            }
            Stopped::Operator => {
                ask(&mut partition, QueueCommand::Vouch, 0);
                let order = PartnerOrder::DisableEndpoint { queue: QueueId::MAIN, reason: "x".into() };
                partition.order(order, 1).unwrap();
            }
        }
        assert_eq!(partition.queue().disabled.as_ref().map(|disabled| disabled.by), Some(by));
        assert_eq!(partition.queue().knock().is_some(), probed, "{by:?}");
        let verify = partition.ask(QueueCommand::Verify, Timestamp(30 * HOUR));
        assert_eq!(verify.map(drop), if taken { Ok(()) } else { Err(PartnerRejection::HeldByOperator) }, "{by:?}");
        assert_eq!(partition.queue().knock().map(|knock| knock.due.0), taken.then_some(30 * HOUR), "{by:?}");
        // An answer on its way opens nothing that an operator has shut.
        ask(&mut partition, QueueCommand::Knocked(http(200)), 31 * HOUR);
        assert_eq!(partition.queue().is_running(), taken, "{by:?}");
    }
}

#[test]
fn nothing_is_asked_while_a_person_holds_it_back_and_a_new_url_is_asked_though_it_was_gone() {
    let mut partition = new();
    ask(&mut partition, QueueCommand::Pause, 1);
    assert_eq!(partition.queue().knock(), None);
    ask(&mut partition, QueueCommand::Resume, 2);
    assert!(partition.queue().knock().is_some());
    for proof in [Proof::Spared, Proof::AsBefore, Proof::Needed] {
        let mut partition = new();
        ask(&mut partition, QueueCommand::Vouch, 1);
        let attempts = vec![tried(&entry(1, "k"), Timestamp(2), http(410))];
        ask(&mut partition, QueueCommand::Report(Report { attempts, ..Report::default() }), 2);
        ask(&mut partition, QueueCommand::Aim { from: None, proof }, 3);
        let queue = partition.queue();
        assert_eq!((queue.disabled, queue.unverified.is_some()), (None, proof == Proof::Needed), "{proof:?}");
    }
}
