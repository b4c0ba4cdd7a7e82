//! The message log through the real binary: found by charger and by session, exported, struck out (OP-4, OP-9).

use crate::rig::{CHARGER, Rig, texts};

#[tokio::test]
async fn support_finds_every_frame_of_a_charger_and_of_a_session() {
    let mut rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-messages", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    charger.call("Authorize", serde_json::json!({"idTag": "04A1B2C3D4E5"})).await;
    charger.stop(transaction, 1200).await;
    rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;

    let of_session = rig.ops(&format!("/ops/v1/sessions/{session_id}/messages?limit=100")).await;
    let actions: Vec<_> = of_session["items"].as_array().unwrap().iter().filter_map(|m| m["action"].as_str()).collect();
    for action in ["RemoteStartTransaction", "StartTransaction", "StopTransaction"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    let start = rig.ops(&format!("/ops/v1/chargers/{CHARGER}/messages?action=StartTransaction")).await;
    let items = start["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "the call and its answer: {items:?}");
    assert_eq!((&items[1]["direction"], &items[1]["action"]), (&"in".into(), &"StartTransaction".into()));
    assert_eq!(items[0]["frame"][2]["transactionId"], transaction);
    let authorize = rig.ops(&format!("/ops/v1/chargers/{CHARGER}/messages?text=authorize")).await.to_string();
    assert!(authorize.contains("…D4E5") && !authorize.contains("04A1B2C3D4E5"), "{authorize}");

    let file = rig.path("frames.jsonl");
    let token = rig.path("operator.token").display().to_string();
    let url = format!("http://127.0.0.1:{}", rig.server.ports().operator);
    let name = file.display().to_string();
    let said = rig.admin(&["charger", "messages", CHARGER, "--file", &name, "--url", &url, "--token-file", &token]);
    assert!(said.status.success() && texts(&said).0.contains("items written to"), "{:?}", texts(&said));
    let exported = std::fs::read_to_string(&file).unwrap();
    assert!(exported.lines().count() > 10 && exported.lines().all(|line| line.starts_with('{')), "{exported}");

    rig.stop().await;
    rig.again().await;
    let after = rig.ops(&format!("/ops/v1/chargers/{CHARGER}/messages?order=oldest&limit=1")).await;
    assert!(after["items"][0]["text"].as_str().unwrap().starts_with("connected from 127.0.0.1"), "{after}");
    let (status, text) = rig.get(rig.server.ports().operator, "/ops/v1/chargers/NOBODY/messages").await;
    assert!(status == 404 && text.contains("charger_unknown"), "{status} {text}");
    let wrong = format!("/ops/v1/chargers/{CHARGER}/messages?from=yesterday");
    let (status, text) = rig.get(rig.server.ports().operator, &wrong).await;
    assert!(status == 400 && text.contains("RFC 3339"), "{status} {text}");
}
