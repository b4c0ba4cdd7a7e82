//! A good run that verifies, and every violation planted into it.

use super::*;
use crate::history::{FactKind, WriteKind};

fn at<T>(it: T) -> Stamped<T> {
    Stamped { at_ms: 0, it }
}

fn fact(local: u64, kind: FactKind, meter_wh: i64) -> Stamped<ChargerRecord> {
    let (id_tag, reason) = (None, None);
    at(ChargerRecord::Fact { charger: "CP-1".into(), connector: 1, local, kind, meter_wh, id_tag, reason })
}

fn acked(local: u64, kind: FactKind, transaction_id: i64) -> Stamped<ChargerRecord> {
    let token_status = Some("Accepted".into());
    at(ChargerRecord::Acked { charger: "CP-1".into(), local, kind, transaction_id, token_status })
}

fn idle() -> Stamped<ChargerRecord> {
    at(ChargerRecord::Final { charger: "CP-1".into(), running: vec![], queued: 0 })
}

fn ok(request_id: &str, kind: WriteKind) -> Stamped<PartnerRecord> {
    let (request_id, session_id) = (request_id.to_owned(), "s1".to_owned());
    at(PartnerRecord::Ok { request_id, kind, session_id, latency_us: 1, attempts: 1 })
}

fn delivery(event_id: &str, event_type: &str, sequence: u64, arrival: u64) -> Stamped<SinkRecord> {
    at(SinkRecord::Delivery {
        event_id: event_id.into(),
        event_type: event_type.into(),
        order_key: "session/s1".into(),
        sequence: Some(sequence),
        session_id: Some("s1".into()),
        attempt: 1,
        verified: true,
        answer: 204,
        arrival,
        answered: arrival + 1,
        created_ms: 0,
        arrived_ms: 0,
    })
}

fn event(id: &str, event_type: &str, sequence: u64) -> Event {
    Event {
        id: id.into(),
        event_type: event_type.into(),
        timestamp: String::new(),
        order_key: Some("session/s1".into()),
        sequence: Some(sequence),
        data: serde_json::json!({"session_id": "s1"}),
    }
}

fn session() -> Session {
    Session {
        session_id: "s1".into(),
        request_id: Some("r1".into()),
        charger_id: "CP-1".into(),
        connector_id: 1,
        status: "Ended".into(),
        transaction_id: Some(7),
        energy_wh: 250,
        ..Session::default()
    }
}

fn operation(request_id: &str, kind: &str) -> Operation {
    let (request_id, kind, status) = (request_id.to_owned(), kind.to_owned(), "Succeeded".to_owned());
    Operation { request_id, kind, status, session_id: Some("s1".into()) }
}

/// One session, started and stopped by the partner, told in two events.
fn good() -> (Histories, ServerAnswers) {
    let histories = Histories {
        chargers: vec![
            fact(1, FactKind::Start, 1_000),
            acked(1, FactKind::Start, 7),
            fact(1, FactKind::Stop, 1_250),
            acked(1, FactKind::Stop, 7),
            idle(),
        ],
        partner: vec![ok("r1", WriteKind::Start), ok("r2", WriteKind::Stop)],
        sink: vec![delivery("e1", "session.started", 1, 1), delivery("e2", "session.ended", 2, 3)],
    };
    let server = ServerAnswers {
        sessions: vec![session()],
        operations: vec![operation("r1", "start"), operation("r2", "stop")],
        events: vec![event("e1", "session.started", 1), event("e2", "session.ended", 2)],
    };
    (histories, server)
}

/// What the checker finds after `plant` has spoiled the good run.
fn found(plant: impl FnOnce(&mut Histories, &mut ServerAnswers)) -> Vec<Kind> {
    let (mut histories, mut server) = good();
    plant(&mut histories, &mut server);
    let verdict = check(&histories, &server);
    let mut kinds: Vec<_> = verdict.violations.iter().map(|v| v.kind).collect();
    kinds.dedup();
    kinds
}

#[test]
fn a_good_run_verifies_with_its_counts() {
    let (histories, server) = good();
    let verdict = check(&histories, &server);
    assert!(verdict.holds(), "{:?}", verdict.violations);
    let f = verdict.figures;
    assert_eq!((f.starts_acknowledged, f.starts_found, f.stops_acknowledged, f.stops_found), (1, 1, 1, 1));
    assert_eq!((f.transactions_found, f.transaction_stops_found, f.energies_compared, f.events_received), (1, 1, 1, 2));
    assert!(verdict.line().starts_with("verified: starts 1/1"));
}

#[test]
fn a_lost_start_is_found() {
    let lost = found(|_, s| s.sessions.clear());
    assert_eq!(lost, [Kind::WriteLost, Kind::FactLost]);
    assert_eq!(found(|_, s| s.operations.truncate(1)), [Kind::WriteLost]);
}

#[test]
fn a_double_start_is_found() {
    let twin = || Session { session_id: "s2".into(), transaction_id: None, status: "Failed".into(), ..session() };
    assert_eq!(found(|_, s| s.sessions.push(twin())), [Kind::WriteDoubled]);
    let other_answer = |h: &mut Histories, s: &mut ServerAnswers| {
        s.sessions.push(Session { request_id: Some("r1".into()), ..twin() });
        s.sessions.retain(|x| x.session_id == "s2" || x.session_id == "s1");
        h.partner.push(at(PartnerRecord::Ok {
            request_id: "r1".into(),
            kind: WriteKind::Start,
            session_id: "s2".into(),
            latency_us: 1,
            attempts: 1,
        }));
    };
    assert!(found(other_answer).contains(&Kind::WriteDoubled));
}

#[test]
fn a_refused_start_that_happened_is_found_but_a_conflict_is_none() {
    let fail = |http| {
        move |h: &mut Histories, _: &mut ServerAnswers| {
            h.partner[0] = at(PartnerRecord::Fail {
                request_id: "r1".into(),
                kind: WriteKind::Start,
                http,
                code: "charger_offline".into(),
            });
        }
    };
    assert_eq!(found(fail(422)), [Kind::RefusedYetDone]);
    assert_eq!(found(fail(409)), []);
}

#[test]
fn an_unknown_start_may_have_happened_or_not() {
    let unknown = |h: &mut Histories| {
        h.partner[0] =
            at(PartnerRecord::Unknown { request_id: "r1".into(), kind: WriteKind::Start, reason: "timed out".into() });
    };
    assert_eq!(found(|h, _| unknown(h)), []);
    let (mut histories, server) = good();
    unknown(&mut histories);
    assert_eq!(check(&histories, &server).figures.writes_unknown, 1);
    let never = found(|h, s| {
        unknown(h);
        *s = ServerAnswers::default();
        h.partner.truncate(1);
        h.chargers.clear();
        h.sink.clear();
    });
    assert_eq!(never, []);
}

#[test]
fn an_operation_without_outcome_is_found() {
    assert_eq!(found(|_, s| s.operations[1].status = "Pending".into()), [Kind::OperationHangs]);
}

#[test]
fn a_double_transaction_is_found() {
    assert_eq!(found(|h, _| h.chargers.push(acked(1, FactKind::Start, 8))), [Kind::FactDoubled]);
    let shared_id = found(|h, _| {
        h.chargers.push(fact(2, FactKind::Start, 1_250));
        h.chargers.push(acked(2, FactKind::Start, 7));
    });
    assert_eq!(shared_id, [Kind::FactDoubled]);
    let two_sessions = found(|_, s| {
        s.sessions.push(Session { session_id: "s2".into(), request_id: None, ..session() });
    });
    assert_eq!(two_sessions, [Kind::FactDoubled]);
}

#[test]
fn a_discarded_fact_is_found() {
    let discarded = ChargerRecord::Discarded { charger: "CP-1".into(), local: 1, kind: FactKind::Stop };
    assert_eq!(found(|h, _| h.chargers.push(at(discarded))), [Kind::FactDiscarded]);
}

#[test]
fn a_lost_stop_and_a_hanging_session_are_found() {
    let open = found(|_, s| s.sessions[0].status = "Charging".into());
    assert_eq!(open, [Kind::StopLost, Kind::SessionHangs]);
    let starting = |_: &mut Histories, s: &mut ServerAnswers| {
        let (session_id, request_id) = ("s2".into(), None);
        s.sessions.push(Session {
            session_id,
            request_id,
            transaction_id: None,
            status: "Starting".into(),
            ..session()
        });
    };
    assert_eq!(found(starting), [Kind::SessionHangs]);
}

#[test]
fn a_session_that_its_charger_still_runs_does_not_hang() {
    let running = found(|h, s| {
        h.chargers.truncate(2);
        h.chargers.push(at(ChargerRecord::Final { charger: "CP-1".into(), running: vec![1], queued: 0 }));
        s.sessions[0].status = "Charging".into();
    });
    assert_eq!(running, []);
}

#[test]
fn two_open_sessions_at_one_connector_are_found() {
    let two = found(|h, s| {
        h.chargers.pop();
        let open = Session { status: "Starting".into(), transaction_id: None, request_id: None, ..session() };
        s.sessions.push(Session { session_id: "s2".into(), ..open.clone() });
        s.sessions.push(Session { session_id: "s3".into(), ..open });
    });
    assert_eq!(two, [Kind::ConnectorDoubled]);
}

#[test]
fn wrong_energy_is_found() {
    assert_eq!(found(|_, s| s.sessions[0].energy_wh = 251), [Kind::EnergyWrong]);
}

#[test]
fn a_lost_event_is_found_even_if_the_server_forgot_it() {
    assert_eq!(found(|h, _| h.sink.truncate(1)), [Kind::EventLost]);
    let forgotten = found(|h, s| {
        h.sink.truncate(1);
        s.events.truncate(1);
    });
    assert_eq!(forgotten, [Kind::EventLost]);
    let refused = found(|h, _| {
        let SinkRecord::Delivery { answer, .. } = &mut h.sink[1].it;
        *answer = 500;
    });
    assert_eq!(refused, [Kind::EventLost], "an attempt answered 500 is no delivery");
}

#[test]
fn a_reordered_event_is_found_and_a_late_repetition_is_by_design() {
    let overtaken = found(|h, _| {
        h.sink = vec![delivery("e2", "session.ended", 2, 1), delivery("e1", "session.started", 1, 3)];
    });
    assert_eq!(overtaken, [Kind::EventReordered]);
    let (mut histories, server) = good();
    histories.sink.push(delivery("e1", "session.started", 1, 5));
    let verdict = check(&histories, &server);
    assert!(verdict.holds());
    assert_eq!(verdict.figures.duplicate_deliveries, 1);
}

#[test]
fn an_event_sent_before_its_predecessor_was_accepted_is_found() {
    let overlapping = found(|h, _| {
        let SinkRecord::Delivery { answered, .. } = &mut h.sink[0].it;
        *answered = 4; // the second arrived at 3
    });
    assert_eq!(overlapping, [Kind::EventReordered]);
}

#[test]
fn a_gap_and_two_events_at_one_place_are_found() {
    let gap = found(|h, s| {
        h.sink[1] = delivery("e2", "session.ended", 3, 3);
        s.events[1].sequence = Some(3);
    });
    assert_eq!(gap, [Kind::EventGap]);
    let doubled = found(|h, s| {
        h.sink.push(delivery("e3", "session.ended", 2, 5));
        s.events.push(event("e3", "session.ended", 2));
    });
    assert_eq!(doubled, [Kind::EventDoubled]);
    assert_eq!(found(|h, _| h.sink.push(delivery("e2", "session.ended", 3, 5))), [Kind::EventDoubled]);
}

#[test]
fn an_event_that_the_server_never_kept_is_found() {
    assert_eq!(found(|h, _| h.sink.push(delivery("e3", "session.updated", 3, 5))), [Kind::EventUnfounded]);
}

#[test]
fn of_states_the_newest_has_to_arrive_and_older_ones_need_not() {
    let state = |id: &str| Event { sequence: None, order_key: Some("connector/CP-1/1".into()), ..event(id, "x", 0) };
    assert_eq!(found(|_, s| s.events.push(state("c1"))), [Kind::EventLost]);
    let newer = found(|h, s| {
        s.events.extend([state("c1"), state("c2")]);
        let mut arrived = delivery("c2", "connector.status", 0, 7);
        let SinkRecord::Delivery { order_key, sequence, .. } = &mut arrived.it;
        (*order_key, *sequence) = ("connector/CP-1/1".into(), None);
        h.sink.push(arrived);
    });
    assert_eq!(newer, []);
}

#[test]
fn a_wrong_signature_is_found() {
    let forged = found(|h, _| {
        let SinkRecord::Delivery { verified, .. } = &mut h.sink[0].it;
        *verified = false;
    });
    assert_eq!(forged, [Kind::SignatureWrong]);
}

#[test]
fn a_kept_run_is_loaded_and_judged_the_same() {
    let dir = std::env::temp_dir().join(format!("run-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&dir).unwrap();
    let (histories, server) = good();
    let lines = |name: &str, lines: Vec<String>| std::fs::write(dir.join(name), lines.join("\n")).unwrap();
    lines("chargers.jsonl", histories.chargers.iter().map(|r| serde_json::to_string(r).unwrap()).collect());
    lines("partner.jsonl", histories.partner.iter().map(|r| serde_json::to_string(r).unwrap()).collect());
    lines("sink.jsonl", histories.sink.iter().map(|r| serde_json::to_string(r).unwrap()).collect());
    store(&dir, &server).unwrap();
    let (histories, server) = load(&dir).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(check(&histories, &server.unwrap()).holds());
}
