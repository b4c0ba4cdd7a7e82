//! Tests of idempotency against a store in memory: repeats, conflicts, crashes between the steps, what binds and what not.

use super::*;
use crate::api::tests::TestClock;
use crate::api::tests::fake::MemoryOnce;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const DAYS_7: Duration = Duration::from_secs(7 * 86_400);

fn on(store: &Arc<MemoryOnce>) -> Arc<Idempotency> {
    let store: Arc<dyn OnceStore> = store.clone();
    Arc::new(Idempotency::new(store, TestClock::shared(), [7; 32], DAYS_7))
}

fn session(n: u128) -> SessionId {
    SessionId(uuid::Uuid::from_u128(n))
}

fn write(partner: &str, id: &str, kind: OperationKind, body: &str, chosen: u128) -> Write {
    Write {
        partner: partner.parse().unwrap(),
        request_id: id.parse().unwrap(),
        kind,
        canonical: body.as_bytes().to_vec(),
        session_id: Some(session(chosen)),
        reservation_id: None,
        charger_id: None,
    }
}

fn start(id: &str, body: &str, chosen: u128) -> Write {
    write("p1", id, OperationKind::Start, body, chosen)
}

async fn taken(claim: Claim) -> Result<Value, Refusal> {
    Ok(json!(claim.session_id.unwrap().to_string()))
}

fn code(result: Result<Value, ApiError>) -> Result<Value, Code> {
    result.map_err(|error| error.refusal.code)
}

#[tokio::test]
async fn a_repeat_is_driven_with_the_session_that_was_chosen_first() {
    let store = Arc::default();
    let first = on(&store).run(start("r", "body", 1), taken).await.unwrap();
    let again = on(&store).run(start("r", "body", 2), taken).await.unwrap();
    assert_eq!((first, again), (json!(session(1).to_string()), json!(session(1).to_string())));
}

#[tokio::test]
async fn another_body_call_or_session_under_the_same_id_is_a_conflict() {
    let ids = on(&Arc::default());
    ids.run(start("r", "body", 1), taken).await.unwrap();
    let conflict = Err(Code::RequestIdConflict);
    assert_eq!(code(ids.run(start("r", "other", 1), taken).await), conflict);
    assert_eq!(code(ids.run(write("p1", "r", OperationKind::Stop, "body", 1), taken).await), conflict);
    ids.run(write("p1", "s", OperationKind::Stop, "body", 1), taken).await.unwrap();
    assert_eq!(code(ids.run(write("p1", "s", OperationKind::Stop, "body", 2), taken).await), conflict);
}

#[tokio::test]
async fn another_partner_may_use_the_same_id() {
    let ids = on(&Arc::default());
    ids.run(write("p1", "r", OperationKind::Start, "a", 1), taken).await.unwrap();
    let other = ids.run(write("p2", "r", OperationKind::Start, "b", 2), taken).await;
    assert_eq!(code(other), Ok(json!(session(2).to_string())));
}

#[tokio::test]
async fn a_refusal_is_the_first_answer_and_lasts_over_a_restart() {
    let store = Arc::default();
    let refuse = |_: Claim| async { Err::<Value, Refusal>(Code::ConnectorOccupied.into()) };
    assert_eq!(code(on(&store).run(start("r", "b", 1), refuse).await), Err(Code::ConnectorOccupied));
    assert_eq!(code(on(&store).run(start("r", "b", 1), taken).await), Err(Code::ConnectorOccupied));
}

#[tokio::test]
async fn the_first_answer_to_a_stop_is_given_again_though_the_state_has_moved_on() {
    let store = Arc::default();
    let answer = |text: &'static str| move |_: Claim| async move { Ok::<_, Refusal>(json!(text)) };
    let stop = || write("p1", "s", OperationKind::Stop, "b", 1);
    assert_eq!(code(on(&store).run(stop(), answer("Charging")).await), Ok(json!("Charging")));
    assert_eq!(code(on(&store).run(stop(), answer("Ended")).await), Ok(json!("Charging")));
}

#[tokio::test]
async fn busy_answers_bind_nothing() {
    let ids = on(&Arc::default());
    for busy in [Code::Busy, Code::RateLimited, Code::JournalFull, Code::Unavailable, Code::QueueFull] {
        let refuse = move |_: Claim| async move { Err::<Value, Refusal>(busy.into()) };
        assert_eq!(code(ids.run(start("r", "one", 1), refuse).await), Err(busy));
    }
    // The id is free: even for another body.
    assert_eq!(code(ids.run(start("r", "two", 2), taken).await), Ok(json!(session(2).to_string())));
}

#[tokio::test]
async fn after_an_unknown_outcome_the_same_request_finds_out() {
    let ids = on(&Arc::default());
    let lost = |_: Claim| async { Err::<Value, Refusal>(Code::OutcomeUnknown.into()) };
    assert_eq!(code(ids.run(start("r", "b", 1), lost).await), Err(Code::OutcomeUnknown));
    assert_eq!(code(ids.run(start("r", "b", 2), taken).await), Ok(json!(session(1).to_string())));
}

#[tokio::test]
async fn a_busy_answer_to_a_repeat_does_not_free_an_id_that_may_have_done_something() {
    let store = Arc::default();
    let lost = |_: Claim| async { Err::<Value, Refusal>(Code::OutcomeUnknown.into()) };
    let busy = |_: Claim| async { Err::<Value, Refusal>(Code::Busy.into()) };
    let ids = on(&store);
    assert_eq!(code(ids.run(start("r", "b", 1), lost).await), Err(Code::OutcomeUnknown));
    assert_eq!(code(ids.run(start("r", "b", 2), busy).await), Err(Code::Busy));
    assert_eq!(code(ids.run(start("r", "b", 3), taken).await), Ok(json!(session(1).to_string())));
}

#[tokio::test]
async fn a_crash_between_claim_and_drive_is_made_good_by_the_next_repeat() {
    let store = Arc::default();
    let died = on(&store);
    let hung = tokio::spawn(async move {
        let never = |_: Claim| std::future::pending::<Result<Value, Refusal>>();
        died.run(start("r", "b", 1), never).await
    });
    while store.values.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    // The process is gone; the claim is there, and no answer.
    hung.abort();
    assert_eq!(code(on(&store).run(start("r", "b", 2), taken).await), Ok(json!(session(1).to_string())));
}

#[tokio::test]
async fn a_hundred_identical_calls_at_once_drive_one_after_another_with_one_session() {
    let ids = on(&Arc::default());
    let (under_way, most, driven) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls = (0..100u128).map(|n| {
        let (ids, under_way, most, driven) = (ids.clone(), under_way.clone(), most.clone(), driven.clone());
        tokio::spawn(async move {
            let drive = move |claim: Claim| async move {
                most.fetch_max(under_way.fetch_add(1, SeqCst) + 1, SeqCst);
                driven.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
                under_way.fetch_sub(1, SeqCst);
                taken(claim).await
            };
            ids.run(start("r", "b", n), drive).await.unwrap()
        })
    });
    let answers = futures_util::future::join_all(calls.collect::<Vec<_>>()).await;
    let first = answers[0].as_ref().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == first));
    assert_eq!(most.load(SeqCst), 1, "one at a time");
    assert!(driven.load(SeqCst) >= 1);
    assert!(ids.under_way.is_empty(), "and nothing is left behind");
}

#[tokio::test]
async fn of_identical_refused_calls_at_once_only_the_first_is_driven() {
    let ids = on(&Arc::default());
    let driven = Arc::new(AtomicUsize::new(0));
    let calls = (0..20).map(|_| {
        let (ids, driven) = (ids.clone(), driven.clone());
        async move {
            let drive = move |_: Claim| async move {
                driven.fetch_add(1, SeqCst);
                Err::<Value, Refusal>(Code::ChargerOffline.into())
            };
            code(ids.run(start("r", "b", 1), drive).await)
        }
    });
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| *answer == Err(Code::ChargerOffline)));
    assert_eq!(driven.load(SeqCst), 1);
}

#[tokio::test]
async fn a_panic_of_the_runtime_is_our_fault_and_the_id_can_be_repeated() {
    let ids = on(&Arc::default());
    let panics = |_: Claim| async { panic!("injected") };
    assert_eq!(code(ids.run(start("r", "b", 1), panics).await), Err(Code::Internal));
    assert_eq!(code(ids.run(start("r", "b", 2), taken).await), Ok(json!(session(1).to_string())));
}

#[tokio::test]
async fn a_caller_who_leaves_stops_nothing_half_way() {
    let ids = on(&Arc::default());
    let done = Arc::new(AtomicUsize::new(0));
    let seen = done.clone();
    let drive = move |claim: Claim| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        seen.fetch_add(1, SeqCst);
        taken(claim).await
    };
    let left = tokio::time::timeout(Duration::from_millis(1), ids.run(start("r", "b", 1), drive)).await;
    assert!(left.is_err());
    while done.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_cannot_be_stored_is_never_said() {
    let store: Arc<MemoryOnce> = Arc::default();
    let ids = on(&store);
    store.failing.store(1, SeqCst);
    assert_eq!(code(ids.run(start("r", "b", 1), taken).await), Err(Code::Unavailable), "no claim, no drive");
    let breaks = store.clone();
    let refuse = move |_: Claim| async move {
        breaks.failing.store(1, SeqCst);
        Err::<Value, Refusal>(Code::ConnectorOccupied.into())
    };
    assert_eq!(code(ids.run(start("r", "b", 1), refuse).await), Err(Code::OutcomeUnknown));
}
