//! EM-5 and SE-1 over real HTTP: writes, their repeats, and what is refused before it is taken.

use super::*;
use crate::api::catalogue::Code;
use fake::Fault;
use serde_json::json;

#[tokio::test]
async fn a_start_is_taken_shown_stopped_and_followed_by_its_request_id() {
    let rig = World::new().serve().await;
    let started = rig.post("/sessions", &start_body("r1", 1)).await;
    assert_eq!(started.status, 202, "{}", started.text);
    assert_eq!((&started.json["request_id"], &started.json["status"]), (&json!("r1"), &json!("Starting")));
    let id = started.json["session_id"].as_str().unwrap();
    let shown = rig.get(&format!("/sessions/{id}")).await;
    assert_eq!((shown.status, &shown.json["user_id"], &shown.json["partner_id"]), (200, &json!("u1"), &Value::Null));
    let operation = rig.get("/operations/r1").await.json;
    assert_eq!(operation["kind"], "start");
    assert_eq!((&operation["status"], &operation["session_id"]), (&json!("Pending"), &json!(id)));
    let stopped = rig.post(&format!("/sessions/{id}/stop"), &json!({"request_id": "s1"})).await;
    assert_eq!((stopped.status, &stopped.json["status"]), (202, &json!("StopPending")), "{}", stopped.text);
    let found = rig.get("/sessions?user_id=u1&open=true").await;
    assert_eq!(found.json["items"][0]["session_id"], json!(id), "{}", found.text);
}

#[tokio::test]
async fn a_hundred_identical_starts_at_once_make_one_session_and_one_answer() {
    let world = World::with(Api { write_burst: 1000, in_flight_per_partner: 1000, ..config() });
    let rig = world.serve().await;
    let body = start_body("r1", 1);
    let answers = futures_util::future::join_all((0..100).map(|_| rig.post("/sessions", &body))).await;
    assert!(answers.iter().all(|answer| answer.status == 202), "{:?}", answers.iter().map(Answer::told).max());
    assert!(answers.iter().all(|answer| answer.json == answers[0].json));
    assert_eq!(world.runtime.session_count(), 1);
}

#[tokio::test]
async fn the_order_of_members_and_blanks_do_not_make_another_body() {
    let rig = World::new().serve().await;
    let one = r#"{"request_id":"r1","charger_id":"CP1","connector_id":1,"user":{"id":"u1"}}"#;
    let two = "{ \"user\": {\"id\": \"u1\"},\n \"connector_id\": 1, \"charger_id\": \"CP1\", \"request_id\": \"r1\" }";
    let first = rig.send(&rig.call("POST", "/sessions", one)).await;
    let again = rig.send(&rig.call("POST", "/sessions", two)).await;
    assert_eq!((again.status, again.json), (202, first.json));
}

#[tokio::test]
async fn the_first_answer_is_given_again_after_a_restart_and_another_body_is_a_conflict() {
    let world = World::new();
    let rig = world.serve().await;
    let first = rig.post("/sessions", &start_body("r1", 1)).await;
    let occupied = rig.post("/sessions", &start_body("r2", 1)).await;
    assert_eq!(occupied.told(), (409, "connector_occupied"));
    assert_eq!(occupied.json["error"]["request_id"], "r2");
    drop(rig);
    world.runtime.finish(first.json["session_id"].as_str().unwrap().parse().unwrap());
    let rig = world.serve().await;
    let again = rig.post("/sessions", &start_body("r1", 1)).await;
    assert_eq!((again.status, &again.json), (202, &first.json), "though the session is over by now");
    assert_eq!(rig.post("/sessions", &start_body("r2", 1)).await.told(), (409, "connector_occupied"));
    assert_eq!(rig.post("/sessions", &start_body("r1", 2)).await.told(), (409, "request_id_conflict"));
    let operation = rig.get("/operations/r2").await.json;
    assert_eq!((&operation["status"], &operation["error"]["code"]), (&json!("Failed"), &json!("connector_occupied")));
    let other = rig.as_p2("POST", "/sessions", &start_body("r1", 2).to_string()).await;
    assert_eq!(other.status, 202, "another partner's ids are its own: {}", other.text);
}

#[tokio::test]
async fn a_lost_answer_is_found_by_repeating_the_request() {
    let world = World::new();
    let rig = world.serve().await;
    world.runtime.next_fault(Fault::LoseAnswer);
    assert_eq!(rig.post("/sessions", &start_body("r1", 1)).await.told(), (504, "outcome_unknown"));
    assert_eq!(rig.post("/sessions", &start_body("r1", 1)).await.status, 202);
    assert_eq!(world.runtime.session_count(), 1);
}

#[tokio::test]
async fn a_busy_runtime_binds_nothing() {
    let world = World::new();
    let rig = world.serve().await;
    world.runtime.next_fault(Fault::Refuse(Code::JournalFull));
    let full = rig.post("/sessions", &start_body("r1", 1)).await;
    assert_eq!((full.told(), full.header("retry-after")), ((503, "journal_full"), "2"));
    assert_eq!(rig.get("/operations/r1").await.told(), (404, "not_found"));
    assert_eq!(rig.post("/sessions", &start_body("r1", 2)).await.status, 202, "even another body");
}

#[tokio::test]
async fn a_panic_is_our_fault_and_tells_nothing_of_the_inside() {
    let world = World::new();
    let rig = world.serve().await;
    world.runtime.next_fault(Fault::Panic);
    let write = rig.post("/sessions", &start_body("r1", 1)).await;
    assert_eq!(write.told(), (500, "internal"));
    world.runtime.next_fault(Fault::Panic);
    let read = rig.get("/sessions/00000000-0000-7000-8000-000000000000").await;
    assert_eq!(read.told(), (500, "internal"));
    assert!(!write.text.contains("injected") && !read.text.contains("injected"));
    assert_eq!(read.json["error"]["fault"], "platform");
    assert_eq!(rig.post("/sessions", &start_body("r1", 1)).await.status, 202, "the server and the id live on");
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_start_is_told_at_once_and_nothing_is_claimed() {
    let world = World::new();
    let rig = world.serve().await;
    let bad = json!({"request_id": "r1", "charger_id": "CP1", "connector_id": 0,
        "user": {"id": "", "plate": "x".repeat(17)}, "limits": {"energy_wh": 1, "duration_s": 90_000, "soc_percent": 5}});
    let answer = rig.post("/sessions", &bad).await;
    assert_eq!(answer.told(), (400, "invalid_field"));
    let details = answer.json["error"]["details"].as_array().unwrap();
    let fields: Vec<_> = details.iter().map(|detail| detail["field"].as_str().unwrap()).collect();
    assert_eq!(
        fields,
        ["connector_id", "user.id", "user.plate", "limits.energy_wh", "limits.duration_s", "limits.soc_percent"]
    );
    assert_eq!(rig.post("/sessions", &start_body("r1", 1)).await.status, 202);
}

#[tokio::test]
async fn members_that_nobody_asked_for_are_refused_by_name() {
    let rig = World::new().serve().await;
    for (field, path) in [("partner_id", "partner_id"), ("price", "price")] {
        let mut body = start_body("r1", 1);
        body[field] = json!("x");
        let answer = rig.post("/sessions", &body).await;
        assert_eq!(answer.told(), (400, "unknown_field"));
        assert_eq!(answer.json["error"]["details"][0]["field"], path);
    }
    let mut nested = start_body("r1", 1);
    nested["user"]["balance"] = json!(1);
    let answer = rig.post("/sessions", &nested).await;
    assert_eq!(answer.json["error"]["details"][0]["field"], "user.balance", "{}", answer.text);
    assert_eq!(rig.send(&rig.call("POST", "/sessions", "{")).await.told(), (400, "bad_json"));
    let hostile = json!({"request_id": "a/b", "charger_id": "CP1", "connector_id": 1, "user": {"id": "u"}});
    let answer = rig.post("/sessions", &hostile).await;
    assert_eq!(answer.json["error"]["details"][0]["field"], "request_id", "{}", answer.text);
}

#[tokio::test]
async fn a_replay_names_exactly_one_selection_and_is_done_once() {
    let world = World::new();
    let rig = world.serve().await;
    for bad in [
        json!({"request_id": "r"}),
        json!({"request_id": "r", "all_dead": true, "event_ids": ["evt_1"]}),
        json!({"request_id": "r", "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
        json!({"request_id": "r", "from": "yesterday"}),
        json!({"request_id": "r", "event_ids": vec!["evt"; 101]}),
    ] {
        assert_eq!(rig.post("/webhook/replay", &bad).await.told(), (400, "invalid_field"), "{bad}");
    }
    let good = json!({"request_id": "r", "event_ids": ["evt_1", "evt_2"]});
    for _ in 0..2 {
        let answer = rig.post("/webhook/replay", &good).await;
        assert_eq!((answer.status, &answer.json), (202, &json!({"replayed": 2})));
    }
    assert_eq!(world.runtime.replays.load(SeqCst), 1);
    assert_eq!(rig.get("/operations/r").await.json["status"], "Succeeded");
}
