//! The machine without its socket, against tables of moments.

use super::*;
use crate::history::{ChargerRecord, FactKind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const T0: i64 = 1_767_323_045_000;

/// A device on the table, with a clock of its own.
struct Bench {
    device: Device,
    now: i64,
    records: Vec<ChargerRecord>,
    saves: usize,
}

impl Bench {
    fn new(script: Behaviour, change: impl FnOnce(&mut Profile)) -> Self {
        let mut profile = Profile::towards("ws://127.0.0.1:1/ocpp");
        change(&mut profile);
        let spec = ChargerSpec { scripts: vec![script], ..ChargerSpec::normal("CP-1", None, 1, 9) };
        let device = Device::new(spec, Arc::new(profile), ChargerState::new(1, 5_000.0, T0));
        Bench { device, now: T0, records: Vec::new(), saves: 0 }
    }

    fn booted(script: Behaviour, change: impl FnOnce(&mut Profile)) -> Self {
        let mut bench = Bench::new(script, change);
        bench.device.connected(T0);
        let boot = bench.expect("BootNotification");
        bench.answer(&boot, json!({"status": "Accepted", "interval": 600, "currentTime": "2026-01-02T03:04:05Z"}));
        for _ in 0..2 {
            let status = bench.expect("StatusNotification");
            bench.answer(&status, json!({}));
        }
        assert_eq!(bench.frames(), Vec::<Value>::new());
        bench
    }

    fn frames(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        for out in self.device.take_out() {
            match out {
                Out::Frame { text, .. } => frames.push(serde_json::from_str(&text).unwrap()),
                Out::Record(record) => self.records.push(record),
                Out::Save => self.saves += 1,
                Out::Cut => self.device.disconnected("cut", self.now),
                Out::Answered(_) | Out::Refused | Out::TimedOut | Out::Booted | Out::Whole => {}
            }
        }
        frames
    }

    /// The one CALL that must be going out now.
    fn expect(&mut self, action: &str) -> Value {
        let frames = self.frames();
        assert_eq!(frames.len(), 1, "{frames:?}");
        assert_eq!(frames[0][2], action);
        frames[0].clone()
    }

    fn answer(&mut self, call: &Value, payload: Value) {
        self.device.frame(&json!([3, call[1], payload]).to_string(), self.now);
    }

    fn after(&mut self, ms: i64) {
        let end = self.now + ms;
        while self.device.next_due_ms(self.now) <= end {
            self.now = self.device.next_due_ms(self.now).max(self.now + 1);
            self.device.tick(self.now);
        }
        self.now = end;
        self.device.tick(end);
    }

    /// Confirms every call that goes out within `ms`; gives back all calls.
    fn serve(&mut self, ms: i64) -> Vec<Value> {
        let end = self.now + ms;
        let mut calls = self.confirm_all();
        while self.now < end {
            self.now = self.device.next_due_ms(self.now).clamp(self.now + 1, end);
            self.device.tick(self.now);
            calls.extend(self.confirm_all());
        }
        calls
    }

    fn confirm_all(&mut self) -> Vec<Value> {
        let mut calls = Vec::new();
        loop {
            let frames: Vec<_> = self.frames().into_iter().filter(|f| f[0] == 2).collect();
            if frames.is_empty() {
                return calls;
            }
            for frame in frames {
                let payload = match frame[2].as_str().unwrap() {
                    "StartTransaction" => json!({"transactionId": 77, "idTagInfo": {"status": "Accepted"}}),
                    "Authorize" => json!({"idTagInfo": {"status": "Accepted"}}),
                    _ => json!({}),
                };
                self.answer(&frame, payload);
                calls.push(frame);
            }
        }
    }

    fn server_calls(&mut self, action: &str, payload: Value) -> Vec<Value> {
        self.device.frame(&json!([2, "srv-1", action, payload]).to_string(), self.now);
        self.frames()
    }

    fn remote_start(&mut self) -> Vec<Value> {
        let mut frames = self.server_calls("RemoteStartTransaction", json!({"connectorId": 1, "idTag": "R1"}));
        for status in frames.extract_if(.., |f| f[0] == 2) {
            assert_eq!(status[2], "StatusNotification");
            self.answer(&status, json!({}));
        }
        frames
    }

    fn running(&self) -> bool {
        self.device.state().connectors[0].running.is_some()
    }
}

fn actions(calls: &[Value]) -> Vec<&str> {
    calls.iter().map(|c| c[2].as_str().unwrap()).collect()
}

#[test]
fn a_pending_boot_is_repeated_after_its_interval_and_nothing_else_is_sent() {
    let mut bench = Bench::new(Behaviour::Normal, |_| {});
    bench.device.connected(T0);
    let boot = bench.expect("BootNotification");
    bench.answer(&boot, json!({"status": "Pending", "interval": 30}));
    bench.after(29_000);
    assert!(bench.frames().is_empty());
    bench.after(1_000);
    let boot = bench.expect("BootNotification");
    bench.answer(&boot, json!({"status": "Rejected", "interval": 5}));
    bench.after(4_000);
    assert!(bench.frames().is_empty());
    bench.after(1_000);
    bench.expect("BootNotification");
}

#[test]
fn heartbeats_come_at_the_interval_given() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    let calls = bench.serve(1_801_000);
    assert_eq!(actions(&calls), ["Heartbeat"; 3]);
}

#[test]
fn a_remote_start_is_accepted_and_charges_until_the_car_is_full() {
    let mut bench = Bench::booted(Behaviour::Normal, |p| p.driver.wants_wh = (500, 500));
    let answer = bench.remote_start();
    assert_eq!(answer[0], json!([3, "srv-1", {"status": "Accepted"}]), "the answer precedes what it sets off");
    let calls = bench.serve(180_000);
    let start = calls.iter().find(|c| c[2] == "StartTransaction").unwrap();
    assert_eq!((&start[3]["idTag"], &start[3]["meterStart"]), (&json!("R1"), &json!(5_000)));
    let stop = calls.iter().find(|c| c[2] == "StopTransaction").unwrap();
    assert_eq!(stop[3]["transactionId"], 77);
    assert_eq!(stop[3]["reason"], "EVDisconnected");
    let energy = stop[3]["meterStop"].as_i64().unwrap() - 5_000;
    assert!((499..=500).contains(&energy), "{energy}");
    let meters: Vec<_> = calls.iter().filter(|c| c[2] == "MeterValues").collect();
    assert!(meters.len() >= 3 && meters.iter().all(|m| m[3]["transactionId"] == 77), "{calls:?}");
    assert!(!bench.running());
    assert_eq!(bench.device.state().connectors[0].status(), Status::Available, "the driver has left");
}

#[test]
fn a_remote_stop_ends_the_transaction_with_its_reason() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    bench.remote_start();
    bench.serve(5_000);
    assert!(bench.running());
    let wrong = bench.server_calls("RemoteStopTransaction", json!({"transactionId": 5}));
    assert_eq!(wrong[0][2]["status"], "Rejected");
    let right = bench.server_calls("RemoteStopTransaction", json!({"transactionId": 77}));
    assert_eq!(right[0][2]["status"], "Accepted");
    assert_eq!(right[1][2], "StatusNotification");
    bench.answer(&right[1].clone(), json!({}));
    let stop = bench.expect("StopTransaction");
    assert_eq!(stop[3]["reason"], "Remote");
}

#[test]
fn transaction_messages_wait_while_offline_and_come_in_order_with_the_same_content() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    bench.remote_start();
    bench.after(300);
    let status = bench.expect("StatusNotification"); // Charging
    bench.answer(&status, json!({}));
    bench.expect("StartTransaction");
    bench.device.disconnected("cut", bench.now);
    bench.after(25_000);
    bench.device.at_charger(AtCharger::StopButton { connector: 1 }, bench.now);
    assert!(bench.frames().is_empty());
    let queue = bench.device.state().queue.clone();
    assert_eq!(queue.len(), 4, "start, two samples, stop");
    bench.device.connected(bench.now);
    let calls = bench.serve(1_000);
    let facts: Vec<_> = calls.iter().filter(|c| c[2] != "StatusNotification").collect();
    assert_eq!(
        facts.iter().map(|c| c[2].as_str().unwrap()).collect::<Vec<_>>(),
        ["StartTransaction", "MeterValues", "MeterValues", "StopTransaction"]
    );
    assert_eq!(facts[0][3], queue[0].payload, "same content");
    assert_eq!(facts[0][1], json!(queue[0].message_id), "same message id by default");
    assert_eq!(facts[3][3]["transactionId"], 77, "the id that the late answer gave");
    assert!(bench.device.state().queue.is_empty());
}

#[test]
fn an_unanswered_start_is_sent_again_with_a_new_id_if_so_configured() {
    let mut bench = Bench::booted(Behaviour::Normal, |p| p.resend_id = ResendId::New);
    bench.remote_start();
    let mut starts = Vec::new();
    for _ in 0..200 {
        bench.after(500);
        for frame in bench.frames() {
            match frame[2].as_str() {
                Some("StartTransaction") => starts.push(frame),
                Some(_) => bench.answer(&frame, json!({})),
                None => {}
            }
        }
        if starts.len() == 2 {
            break;
        }
    }
    assert_eq!(starts[0][3], starts[1][3]);
    assert_ne!(starts[0][1], starts[1][1]);
}

#[test]
fn a_fact_is_saved_before_its_first_frame() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    bench.remote_start();
    bench.after(300);
    let mut saved = false;
    for _ in 0..4 {
        for out in bench.device.take_out() {
            match out {
                Out::Save => saved = true,
                Out::Frame { text, .. } if text.contains("StartTransaction") => assert!(saved),
                Out::Frame { text, .. } => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    bench.answer(&frame, json!({}));
                }
                Out::Answered(_)
                | Out::Refused
                | Out::TimedOut
                | Out::Record(_)
                | Out::Booted
                | Out::Whole
                | Out::Cut => {}
            }
        }
    }
    assert!(saved && bench.running());
}

#[test]
fn a_fact_refused_too_often_is_discarded_and_its_stop_says_minus_one() {
    let mut bench = Bench::booted(Behaviour::Normal, |p| p.transaction_attempts = 2);
    bench.remote_start();
    for _ in 0..40 {
        bench.after(1_000);
        for frame in bench.frames().into_iter().filter(|f| f[0] == 2) {
            if frame[2] == "StartTransaction" {
                bench.device.frame(&json!([4, frame[1], "InternalError", "", {}]).to_string(), bench.now);
            } else {
                bench.answer(&frame, json!({}));
            }
        }
    }
    let discarded = ChargerRecord::Discarded { charger: "CP-1".into(), local: 1, kind: FactKind::Start };
    assert!(bench.records.contains(&discarded), "{:?}", bench.records);
    bench.device.at_charger(AtCharger::StopButton { connector: 1 }, bench.now);
    let calls = bench.serve(100);
    let stop = calls.iter().find(|c| c[2] == "StopTransaction").unwrap();
    assert_eq!(stop[3]["transactionId"], -1);
}

#[test]
fn a_token_found_invalid_ends_the_transaction() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    bench.remote_start();
    let mut reasons = Vec::new();
    for _ in 0..10 {
        bench.after(200);
        for frame in bench.frames().into_iter().filter(|f| f[0] == 2) {
            if frame[2] == "StopTransaction" {
                reasons.push(frame[3]["reason"].clone());
            }
            let info = json!({"transactionId": 5, "idTagInfo": {"status": "Invalid"}});
            bench.answer(&frame, if frame[2] == "StartTransaction" { info } else { json!({}) });
        }
    }
    assert_eq!(reasons, ["DeAuthorized"]);
}

#[test]
fn a_card_starts_after_authorize_and_the_same_card_stops() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    let card = || AtCharger::Card { connector: 1, id_tag: "CARD".into() };
    bench.device.at_charger(card(), bench.now);
    let calls = bench.serve(2_000);
    assert_eq!(actions(&calls)[0], "Authorize");
    assert!(bench.running());
    bench.device.at_charger(card(), bench.now);
    let calls = bench.serve(100);
    let stop = calls.iter().find(|c| c[2] == "StopTransaction").unwrap();
    assert_eq!((&stop[3]["reason"], &stop[3]["idTag"]), (&json!("Local"), &json!("CARD")));
}

#[test]
fn scripts_of_the_start_do_what_they_say() {
    for (script, answers, runs_after_2s, runs_after_80s) in [
        (Behaviour::RefusesStart, Some("Rejected"), false, false),
        (Behaviour::SilentOnStart, None, false, false),
        (Behaviour::NeverStarts, Some("Accepted"), false, false),
        (Behaviour::StartsLate(Duration::from_secs(70)), Some("Accepted"), false, true),
        (Behaviour::UnplugsInCharge { after: Duration::from_secs(10) }, Some("Accepted"), true, false),
        (Behaviour::FaultsInCharge { after: Duration::from_secs(10) }, Some("Accepted"), true, false),
    ] {
        let mut bench = Bench::booted(script, |_| {});
        let answer = bench.remote_start();
        let said = answer.iter().find(|f| f[0] == 3).map(|f| f[2]["status"].as_str().unwrap().to_owned());
        assert_eq!(said.as_deref(), answers, "{script:?}");
        bench.serve(2_000);
        assert_eq!(bench.running(), runs_after_2s, "{script:?}");
        bench.serve(78_000);
        assert_eq!(bench.running(), runs_after_80s, "{script:?}");
    }
}

#[test]
fn repeated_messages_go_out_twice_with_the_same_content() {
    let mut bench = Bench::booted(Behaviour::RepeatsMessages, |_| {});
    bench.remote_start();
    let calls = bench.serve(2_000);
    let starts: Vec<_> = calls.iter().filter(|c| c[2] == "StartTransaction").collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[0][3], starts[1][3]);
}

#[test]
fn a_lost_answer_cuts_the_line_and_the_start_comes_again() {
    let mut bench = Bench::booted(Behaviour::LosesAnswer, |_| {});
    bench.remote_start();
    bench.serve(2_000);
    let attempts = |b: &Bench| b.device.state().queue.front().map(|q| q.attempts);
    assert_eq!(attempts(&bench), Some(1), "its answer was lost with the line");
    bench.device.connected(bench.now);
    let calls = bench.serve(2_000);
    assert_eq!(calls.iter().filter(|c| c[2] == "StartTransaction").count(), 1);
    assert!(bench.running());
}

#[test]
fn a_soft_reset_stops_first_and_boots_afterwards() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    bench.remote_start();
    bench.serve(2_000);
    let frames = bench.server_calls("Reset", json!({"type": "Soft"}));
    assert_eq!(frames[0][2]["status"], "Accepted");
    bench.answer(&frames[1].clone(), json!({}));
    let calls = bench.serve(400);
    let stop = calls.iter().find(|c| c[2] == "StopTransaction").unwrap();
    assert_eq!(stop[3]["reason"], "SoftReset");
    bench.after(200);
    bench.frames();
    bench.device.connected(bench.now + 2_000);
    bench.expect("BootNotification");
}

#[test]
fn the_other_commands_are_answered_sensibly() {
    let table = [
        ("ClearCache", json!({}), json!({"status": "Accepted"})),
        ("UnlockConnector", json!({"connectorId": 1}), json!({"status": "Unlocked"})),
        ("UnlockConnector", json!({"connectorId": 9}), json!({"status": "NotSupported"})),
        ("ChangeConfiguration", json!({"key": "HeartbeatInterval", "value": "60"}), json!({"status": "Accepted"})),
        ("ChangeConfiguration", json!({"key": "HeartbeatInterval", "value": "x"}), json!({"status": "Rejected"})),
        ("ChangeConfiguration", json!({"key": "NumberOfConnectors", "value": "2"}), json!({"status": "Rejected"})),
        ("ChangeConfiguration", json!({"key": "Nope", "value": "2"}), json!({"status": "NotSupported"})),
        ("DataTransfer", json!({"vendorId": "Other"}), json!({"status": "UnknownVendorId"})),
        ("ChangeAvailability", json!({"connectorId": 0, "type": "Inoperative"}), json!({"status": "Accepted"})),
        ("RemoteStartTransaction", json!({"connectorId": 1, "idTag": "R"}), json!({"status": "Rejected"})),
    ];
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    for (action, payload, answer) in table {
        let frames = bench.server_calls(action, payload);
        assert_eq!(frames[0][2], answer, "{action}");
    }
    let keys = bench.server_calls("GetConfiguration", json!({"key": ["HeartbeatInterval", "Nope"]}));
    assert_eq!(keys[0][2]["configurationKey"][0]["value"], "60");
    assert_eq!(keys[0][2]["unknownKey"], json!(["Nope"]));
    let unknown = bench.server_calls("SetChargingProfile", json!({}));
    assert_eq!((&unknown[0][0], &unknown[0][2]), (&json!(4), &json!("NotImplemented")));
}

#[test]
fn a_state_saved_in_mid_charge_goes_on_where_it_was() {
    let mut bench = Bench::booted(Behaviour::Normal, |p| p.driver.wants_wh = (40_000, 40_000));
    bench.remote_start();
    bench.serve(30_000);
    let saved = serde_json::to_string(bench.device.state()).unwrap();
    let before = bench.device.state().connectors[0].power.reading_wh();
    let state: ChargerState = serde_json::from_str(&saved).unwrap();
    let (spec, profile) = (bench.device.spec().clone(), bench.device.profile.clone());
    let mut again =
        Bench { device: Device::new(spec, profile, state), now: bench.now + 60_000, records: vec![], saves: 0 };
    again.device.tick(again.now);
    again.device.connected(again.now);
    let calls = again.serve(100);
    assert!(!actions(&calls).contains(&"BootNotification"), "the charger itself was not restarted: {calls:?}");
    assert!(again.running());
    let gained = again.device.state().connectors[0].power.reading_wh() - before;
    assert!((500..=1_300).contains(&gained), "it went on charging meanwhile: {gained}");
    let stop = again.server_calls("RemoteStopTransaction", json!({"transactionId": 77}));
    assert_eq!(stop[0][2]["status"], "Accepted");
}

#[test]
fn new_firmware_is_told_stops_what_runs_restarts_and_is_told_again_after_the_boot() {
    let mut bench = Bench::booted(Behaviour::Normal, |_| {});
    bench.device.at_charger(AtCharger::Firmware { offline_ms: 20_000 }, T0);
    for stage in ["Downloading", "Downloaded", "Installing"] {
        let call = bench.expect("FirmwareStatusNotification");
        assert_eq!(call[3]["status"], stage);
        bench.answer(&call, json!({}));
    }
    bench.device.tick(T0 + 3_000);
    assert_eq!(bench.frames(), Vec::<Value>::new());
    assert!(bench.device.connects_from_ms() == T0 + 23_000 && !bench.device.state().booted);
    bench.device.connected(T0 + 23_000);
    let boot = bench.expect("BootNotification");
    bench.answer(&boot, json!({"status": "Accepted", "interval": 600, "currentTime": "2026-01-02T03:04:05Z"}));
    assert_eq!(bench.expect("FirmwareStatusNotification")[3]["status"], "Installed");
}
