//! `kill -9`, and what is there afterwards (RT-4, RT-5, CH-7, EM-5).

use crate::rig::Rig;
use loadtest::partner::Outcome;

#[tokio::test]
async fn a_session_goes_on_over_a_kill_in_mid_charge() {
    let mut rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-start-1", 1).await;
    let (transaction, start) = charger.begin(1, 1000).await;
    charger.meter(1, transaction, 1500).await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    let session = rig.session(&session_id, "it is there", |_| true).await;
    assert_eq!((session.status.as_str(), session.energy_wh), ("Charging", 500), "as it was acknowledged");
    let mut charger = rig.charger().await;
    assert_eq!(charger.start(&start).await, transaction, "a repeated start gets the same transaction id");
    charger.meter(1, transaction, 2500).await;
    rig.session(&session_id, "it goes on", |session| session.energy_wh == 1500).await;
    charger.stop(transaction, 3000).await;
    let ended = rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;
    assert_eq!((ended.energy_wh, ended.transaction_id), (2000, Some(transaction)));
    assert_eq!(rig.partner().sessions().await.unwrap().len(), 1, "the repeated start made no second session");
}

#[tokio::test]
async fn a_start_acknowledged_before_a_kill_is_found_again() {
    let mut rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-start-1", 1).await;
    let command = charger.asked("RemoteStartTransaction").await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    let mut charger = rig.charger().await;
    let payload = serde_json::json!({"connectorId": 1, "idTag": command["idTag"], "meterStart": 0,
                                     "timestamp": crate::charger::now()});
    let transaction = charger.start(&payload).await;
    let session = rig.session(&session_id, "it charges", |session| session.status == "Charging").await;
    assert_eq!(session.transaction_id, Some(transaction));
    let operation = rig.partner().operation("it-start-1").await.unwrap().unwrap();
    assert_eq!((operation.status.as_str(), operation.session_id), ("Succeeded", Some(session_id)));
}

#[tokio::test]
async fn a_request_gets_its_first_answer_after_a_kill_and_another_body_is_a_conflict() {
    let mut rig = Rig::start().await;
    let _charger = rig.charger().await;
    let first = rig.ask_start("it-start-1", 1).await;
    assert!(matches!(first, Outcome::Accepted { .. }), "{first:?}");
    let refused = rig.ask_start("it-start-2", 7).await;
    assert_eq!(refused, Outcome::Refused { http: 404, code: "connector_unknown".into() });
    rig.server.kill().await.unwrap();
    rig.again().await;
    assert_eq!(rig.ask_start("it-start-1", 1).await, first);
    assert_eq!(rig.ask_start("it-start-2", 7).await, refused);
    let other = rig.ask_start("it-start-1", 2).await;
    assert_eq!(other, Outcome::Refused { http: 409, code: "request_id_conflict".into() });
    assert_eq!(rig.partner().sessions().await.unwrap().len(), 1);
}
