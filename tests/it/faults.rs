//! Faults, parking locks, a reset as the first remedy and odd transactions at the real binary: what a charger says is seen by
//! partner, operator and webhook (CH-7 … CH-10).

use crate::charger::{Charger, now};
use crate::rig::{CHARGER, PARTNER, Rig};
use loadtest::history::History;
use loadtest::partner::{Sink, SinkMode};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the operator has configured.
const SETTINGS: &str = r#"
[faults]
reset = "soft"
lock_timeout = "5s"

[[faults.vendor_codes]]
code = "E021"
vendor = "IT"
cause = "emergency_stop"
severity = "critical"
remedy = "ticket"
out_of_offer = true
zh = "急停按钮被按下，请复位后再使用。"
en = "The emergency stop was pressed. It has to be released first."
"#;

const ZH: &str = "急停按钮被按下，请复位后再使用。";
const EN: &str = "The emergency stop was pressed. It has to be released first.";

async fn started() -> (Rig, Sink, Charger) {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), 1, History::off(), Arc::default()).await.unwrap();
    sink.set_mode(SinkMode::Accept);
    let rig = Rig::start_with(&sink.url(), |text| format!("{text}{SETTINGS}")).await;
    sink.set_secrets(vec![rig.operator().make_webhook_secret(PARTNER).await.unwrap()]);
    let charger = rig.charger().await;
    (rig, sink, charger)
}

/// The first value that is there and `holds`.
async fn until(rig: &Rig, what: &str, look: impl AsyncFn() -> Value, holds: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let found = look().await;
        if holds(&found) {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never: {what}: {found:#}\n{}", rig.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The data of the newest webhook of that kind that `holds`.
async fn webhook(rig: &Rig, sink: &Sink, kind: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let look = async || {
        // Newest first.
        let mut of_kind = sink.recent().into_iter().filter(|received| received.event_type == kind);
        of_kind
            .find(|received| received.verified && holds(&received.data))
            .map_or(Value::Null, |received| received.data)
    };
    until(rig, kind, look, |data| !data.is_null()).await
}

async fn fault(charger: &mut Charger, status: &str, code: &str, vendor: &str) {
    let payload = json!({"connectorId": 1, "errorCode": code, "status": status, "timestamp": now(), "vendorId": "it",
                         "vendorErrorCode": vendor, "info": "button"});
    charger.call("StatusNotification", payload).await;
}

async fn connector(rig: &Rig) -> Value {
    rig.ops(&format!("/ops/v1/chargers/{CHARGER}")).await["connectors"][0].clone()
}

#[tokio::test]
async fn a_fault_with_a_vendor_code_is_told_in_both_languages_everywhere() {
    let (rig, sink, mut charger) = started().await;
    let session_id = rig.started("it-fault", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    charger.status(1, "Charging").await;
    fault(&mut charger, "Faulted", "OtherError", "e021").await;
    let expected = json!({"code": "OtherError", "cause": "emergency_stop", "severity": "critical", "message_en": EN,
                          "message_zh": ZH, "vendor_code": "e021", "info": "button"});
    let told = webhook(&rig, &sink, "connector.status", |data| data["status"] == "Faulted").await;
    assert_eq!(told["error"], expected);
    assert_eq!(connector(&rig).await["error"], expected);
    let shown = rig.partner().get(&format!("/chargers/{CHARGER}")).await.unwrap().unwrap();
    assert_eq!(shown["connectors"][0]["error"], expected);
    let session = rig.ops(&format!("/ops/v1/sessions/{session_id}")).await;
    assert_eq!((&session["status"], &session["error"]), (&"Charging".into(), &expected), "only the charger ends it");
    let ticket = rig.ops("/ops/v1/tickets").await;
    let text = ticket["items"][0]["text"].as_str().unwrap();
    assert!(text.contains(ZH) && text.contains(EN), "{ticket}");
    let payload = json!({"transactionId": transaction, "meterStop": 1500, "timestamp": now(), "reason": "Other"});
    charger.call("StopTransaction", payload).await;
    let ended = webhook(&rig, &sink, "session.ended", |_| true).await;
    assert_eq!((&ended["end_reason"], &ended["error"]), (&"emergency_stop".into(), &expected));
    assert_eq!((&ended["end_reason_inferred"], &ended["energy_wh"]), (&true.into(), &500.into()));
}

#[tokio::test]
async fn a_reset_is_tried_first_and_its_result_is_seen() {
    let (rig, _sink, mut charger) = started().await;
    fault(&mut charger, "Faulted", "InternalError", "").await;
    assert_eq!(charger.asked("Reset").await, json!({"type": "Soft"}));
    let look = async || rig.ops(&format!("/ops/v1/chargers/{CHARGER}")).await["flags"].clone();
    let flags = until(&rig, "the reset's result", look, |flags| flags.to_string().contains("Accepted")).await;
    let flag = flags[0].as_str().unwrap();
    assert!(flag.starts_with("reset as the first remedy at") && flag.contains("internal"), "{flag}");
    let command = flag.rsplit("command ").next().unwrap();
    let seen = rig.ops(&format!("/ops/v1/chargers/{CHARGER}/commands/{command}")).await;
    assert_eq!((&seen["kind"], &seen["state"]), (&"Reset".into(), &"Accepted".into()));
}

async fn lock(charger: &mut Charger, data: Value) -> Value {
    let payload = json!({"vendorId": "org.chargeline.parking", "messageId": "LockStatus", "data": data.to_string()});
    charger.call("DataTransfer", payload).await
}

#[tokio::test]
async fn a_parking_lock_is_shown_moved_and_its_fault_takes_the_space_out_of_offer() {
    let (rig, sink, mut charger) = started().await;
    let unknown = charger.call("DataTransfer", json!({"vendorId": "com.example"})).await;
    assert_eq!(unknown["status"], "UnknownVendorId");
    let bad = lock(&mut charger, json!({"connectorId": 7, "state": "raised"})).await;
    assert_eq!((&bad["status"], bad["data"].as_str().unwrap().contains("0 to 2")), (&"Rejected".into(), true));
    let order = async |action: &str| {
        let body = json!({"connector_id": 1, "action": action});
        rig.operator().call(Method::POST, &format!("/ops/v1/chargers/{CHARGER}/lock"), Some(body)).await
    };
    assert!(order("lower").await.unwrap_err().to_string().contains("lock_unknown"));
    let said = lock(&mut charger, json!({"connectorId": 1, "state": "raised", "vehiclePresent": false})).await;
    assert_eq!(said, json!({"status": "Accepted"}));
    let url = format!("http://127.0.0.1:{}", rig.server.ports().operator);
    let token = rig.path("operator.token").display().to_string();
    let told = rig.admin(&["charger", "lock", CHARGER, "1", "lower", "--json", "--url", &url, "--token-file", &token]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let command = told["command_id"].as_str().unwrap().to_owned();
    let asked = charger.asked("DataTransfer").await;
    assert_eq!((&asked["vendorId"], &asked["messageId"]), (&"org.chargeline.parking".into(), &"MoveLock".into()));
    assert_eq!(asked["data"], "{\"action\":\"lower\",\"connectorId\":1}");
    let state = async || rig.ops(&format!("/ops/v1/chargers/{CHARGER}/commands/{command}")).await;
    until(&rig, "the command's answer", state, |command| command["state"] == "Accepted").await;
    lock(&mut charger, json!({"connectorId": 1, "state": "lowered"})).await;
    let shown = connector(&rig).await["lock"].clone();
    assert_eq!((&shown["state"], &shown["order"]["result"]), (&"lowered".into(), &"Done".into()));
    let told = webhook(&rig, &sink, "connector.status", |data| data["lock"]["order"]["result"] == "Done").await;
    assert_eq!(told["lock"]["state"], "lowered");
    lock(&mut charger, json!({"connectorId": 1, "state": "fault", "errorCode": "L3"})).await;
    let told = webhook(&rig, &sink, "connector.status", |data| data["lock"]["state"] == "fault").await;
    assert_eq!((&told["status"], &told["error"]["vendor_code"]), (&"Faulted".into(), &"L3".into()));
    assert!(told["error"]["message_zh"].as_str().unwrap().contains("地锁"), "{told}");
    assert!(format!("{:?}", rig.ask_start("it-lock", 1).await).contains("connector_faulted"));
}

#[tokio::test]
async fn a_start_told_twice_at_two_registers_and_signed_data_at_the_real_binary() {
    let (rig, _sink, mut charger) = started().await;
    let session_id = rig.started("it-odd", 1).await;
    let (transaction, mut start) = charger.begin(1, 1000).await;
    start["meterStart"] = 1200.into();
    assert_eq!(charger.start(&start).await, transaction, "one transaction");
    let record = "OCMF|{\"FV\":\"1.0\"}|{\"SD\":\"30\"}";
    let sampled = json!([{"value": record, "format": "SignedData", "context": "Transaction.End"},
                         {"value": "1.5", "unit": "kWh"}]);
    let payload = json!({"transactionId": transaction, "meterStop": 1500, "timestamp": now(), "reason": "Local",
                         "transactionData": [{"timestamp": now(), "sampledValue": sampled}]});
    charger.call("StopTransaction", payload).await;
    let session = rig.ops(&format!("/ops/v1/sessions/{session_id}")).await;
    assert_eq!((&session["energy_wh"], &session["status"]), (&500.into(), &"Ended".into()), "{session}");
    assert!(session["flags"].as_array().unwrap().contains(&"start_contradicted".into()), "{session}");
    let signed = rig.ops(&format!("/ops/v1/sessions/{session_id}/signed")).await;
    assert_eq!((&signed["items"][0]["data"], &signed["items"][0]["number"]), (&record.into(), &0.into()), "{signed}");
}

#[tokio::test]
async fn what_a_vendor_code_means_changes_while_running_and_a_bad_entry_is_refused() {
    let (mut rig, _sink, mut charger) = started().await;
    fault(&mut charger, "Faulted", "OtherError", "E055").await;
    assert_eq!(connector(&rig).await["error"]["cause"], "other");
    let entry = SETTINGS.split("[[").nth(1).unwrap().replace("E021", "E055").replace("emergency_stop", "enclosure");
    rig.add(&format!("[[{entry}"));
    rig.reload("the configuration was read again").await;
    fault(&mut charger, "Faulted", "OtherError", "E055").await;
    let error = connector(&rig).await["error"].clone();
    assert_eq!((&error["cause"], &error["message_zh"]), (&"enclosure".into(), &ZH.into()));
    rig.server.kill().await.unwrap();
    rig.again().await;
    assert_eq!(connector(&rig).await["error"], error, "kept over a crash, as it was told");
    rig.add(&format!("[[{}", entry.replace("enclosure", "ghosts")));
    rig.reload("the configuration stays as it was").await;
    let checked = rig.run(&["check-config"]);
    let (out, err) = crate::rig::texts(&checked);
    let said = format!("{out}{err}");
    assert!(!checked.status.success() && said.contains("entry 3 (code \"E055\")"), "{said}");
    assert!(said.contains("ghosts") && said.contains("emergency_stop"), "what is wrong and what is allowed: {said}");
}
