//! The T/CEC 102 face over real sockets: every interface that is ours, in two dialects; who is refused, and with which `Ret`.

use super::fake::Fault;
use super::*;
use crate::api::catalogue::Code;
use crate::api::port::{Relation, TcecPort as _};
use crate::domain::delivery::{Dialect, Numbers, Sealed, SealedSet, SequenceCheck, Spelling, Stations, Tcec as Agreed};
use crate::protocol::tcec::{Codec, Reply, Secrets};
use serde_json::json;

const OPERATOR: &str = "123456789";
const SEQ: &str = "123456789202601020304050001";

fn dialects() -> [Dialect; 2] {
    let other = Dialect {
        spelling: Spelling::Corrected,
        numbers: Numbers::Text,
        sequences: SequenceCheck::Strict,
        wrap_base64: true,
        ..Dialect::default()
    };
    [Dialect::default(), other]
}

/// A platform that calls.
struct Caller<'a> {
    rig: &'a Rig,
    secrets: Secrets,
    dialect: Dialect,
    token: String,
    operator: &'static str,
}

fn agree(world: &World, partner: &str, operator: &str, dialect: &Dialect, seed: u8) -> Secrets {
    let set = || SealedSet { secrets: Sealed(String::new()), created: Timestamp(0), expires: None };
    let secrets = Secrets::make(&[seed; 56]);
    let tcec = Agreed {
        operator_id: operator.into(),
        own_id: "987654321".into(),
        inbound: vec![set()],
        outbound: set(),
        dialect: dialect.clone(),
        stations: Stations::default(),
    };
    let partner: crate::ids::PartnerId = partner.parse().unwrap();
    let relation = Relation {
        partner: partner.clone(),
        tcec,
        inbound: vec![(secrets.clone(), None)],
        outbound: Secrets::make(&[77; 56]),
    };
    world.runtime.relations.lock().unwrap().insert(partner, Arc::new(relation));
    secrets
}

impl<'a> Caller<'a> {
    async fn new(world: &World, rig: &'a Rig, dialect: Dialect) -> Self {
        let secrets = agree(world, "p1", OPERATOR, &dialect, 1);
        let mut caller = Caller { rig, secrets, dialect, token: String::new(), operator: OPERATOR };
        caller.log_in().await;
        caller
    }

    async fn log_in(&mut self) {
        use secrecy::ExposeSecret as _;
        let secret = self.secrets.operator_secret.expose_secret().to_owned();
        let answer = self.ok("query_token", json!({"OperatorID": self.operator, "OperatorSecret": secret})).await;
        assert_eq!((&answer["SuccStat"], &answer["TokenAvailableTime"]), (&json!(0), &json!(7200)));
        self.token = answer["AccessToken"].as_str().unwrap().to_owned();
        assert_eq!(self.token.len(), 64);
    }

    fn codec(&self) -> Codec<'_> {
        Codec { secrets: &self.secrets, dialect: &self.dialect }
    }

    async fn post(&self, interface: &str, body: Vec<u8>) -> Vec<u8> {
        let url = format!("{}/evcs/v20160701/{interface}", self.rig.url);
        let request = self.rig.http.post(url).bearer_auth(&self.token).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap().to_vec()
    }

    async fn call(&self, interface: &str, data: Value) -> Reply {
        let body = self.codec().request(self.operator, self.rig.clock.now(), 1, &data);
        self.codec().reply(&self.post(interface, body).await).unwrap()
    }

    async fn ok(&self, interface: &str, data: Value) -> Value {
        let reply = self.call(interface, data).await;
        assert_eq!((reply.ret, reply.msg.as_str()), (0, ""), "{interface}");
        reply.data.unwrap()
    }
}

fn tariff() -> crate::domain::tariff::Tariff {
    serde_json::from_value(json!({
        "id": "T1", "version": 1, "currency": "CNY", "time_zone": "Asia/Shanghai",
        "slices": [
            {"name": "valley", "from": "00:00", "to": "08:00", "electricity": 3500, "service": 6500},
            {"name": "peak", "from": "08:00", "to": "24:00", "electricity": 12345, "service": 6500}
        ]
    }))
    .unwrap()
}

#[tokio::test]
async fn every_interface_answers_in_both_dialects() {
    for dialect in dialects() {
        let world = World::new();
        *world.runtime.tariff.lock().unwrap() = Some(Arc::new(tariff()));
        let rig = world.serve().await;
        rig.ops("PUT", "/ops/v1/sites/S1", json!({"name": "充电站"})).await;
        let caller = Caller::new(&world, &rig, dialect.clone()).await;
        let stations =
            caller.ok("query_stations_info", json!({"LastQueryTime": "", "PageNo": "1", "PageSize": 10})).await;
        assert_eq!((&stations["ItemSize"], &stations["PageCount"]), (&json!(1), &json!(1)));
        let station = &stations["StationInfos"][0];
        assert_eq!((&station["StationID"], &station["OperatorID"]), (&json!("S1"), &json!("987654321")));
        let status = caller.ok("query_station_status", json!({"StationIDs": ["S1", "S9"]})).await;
        assert_eq!(status["Total"], 1, "what is not seen does not exist");
        let stats = json!({"StationID": "S1", "StartTime": "2026-01-01", "EndTime": "2026-01-02"});
        let stats = caller.ok("query_station_stats", stats).await;
        assert_eq!(stats["StationStats"]["StationID"], "S1");
        let auth = caller.ok("query_equip_auth", json!({"EquipAuthSeq": SEQ, "ConnectorID": "CP101"})).await;
        assert_eq!((&auth["SuccStat"], &auth["FailReason"]), (&json!(1), &json!(1)), "nothing is plugged in");
        let policy =
            caller.ok("query_equip_business_policy", json!({"EquipBizSeq": SEQ, "ConnectorID": "CP101"})).await;
        let (first, second) = (&policy["PolicyInfos"][0], &policy["PolicyInfos"][1]);
        assert_eq!(
            (&policy["SumPeriod"], &first["StartTime"], &second["StartTime"]),
            (&json!(2), &json!("000000"), &json!("080000"))
        );
        let told = match dialect.numbers {
            Numbers::Number => json!(1.2345),
            Numbers::Text => json!("1.2345"),
        };
        assert_eq!(second["ElecPrice"], told);
        let start = json!({"StartChargeSeq": SEQ, "ConnectorID": "CP101", "QRCode": "", "Balance": "50.00"});
        let started = caller.ok("query_start_charge", start).await;
        assert_eq!((&started["SuccStat"], &started["StartChargeSeqStat"]), (&json!(0), &json!(1)));
        let now = caller.ok("query_equip_charge_status", json!({"StartChargeSeq": SEQ})).await;
        assert_eq!((&now["StartChargeSeqStat"], &now["ConnectorID"]), (&json!(1), &json!("CP101")));
        let stop = json!({"StartChargeSeq": SEQ, "ConnectorID": "CP101"});
        let stopped = caller.ok("query_stop_charge", stop).await;
        assert_eq!((&stopped["SuccStat"], &stopped["StartChargeSeqStat"]), (&json!(0), &json!(3)));
    }
}

#[tokio::test]
async fn a_start_sent_a_hundred_times_begins_one_session_and_tells_its_state() {
    let world = World::new();
    let rig = world.serve().await;
    let caller = Caller::new(&world, &rig, Dialect::default()).await;
    let start = || json!({"StartChargeSeq": SEQ, "ConnectorID": "CP101", "QRCode": ""});
    let answers = futures_util::future::join_all((0..20).map(|_| caller.ok("query_start_charge", start()))).await;
    assert!(answers.iter().all(|answer| answer["SuccStat"] == 0 && answer["StartChargeSeqStat"] == 1));
    assert_eq!(world.runtime.session_count(), 1);
    let other = json!({"StartChargeSeq": SEQ, "ConnectorID": "CP102"});
    let other = caller.ok("query_start_charge", other).await;
    assert_eq!((&other["SuccStat"], &other["FailReason"]), (&json!(1), &json!(10)), "the same name for something else");
    caller.ok("query_stop_charge", json!({"StartChargeSeq": SEQ})).await;
    let again = caller.ok("query_start_charge", start()).await;
    assert_eq!((&again["SuccStat"], &again["StartChargeSeqStat"]), (&json!(0), &json!(3)), "the present state");
    assert_eq!(world.runtime.session_count(), 1);
}

#[tokio::test]
async fn refusals_of_the_business_have_their_reason_and_the_rest_a_ret() {
    let world = World::new();
    let rig = world.serve().await;
    let caller = Caller::new(&world, &rig, Dialect::default()).await;
    let start = |seq: &str, connector: &str| json!({"StartChargeSeq": seq, "ConnectorID": connector});
    for (connector, reason) in [("CP909", 1), ("rubbish", 1), ("", 1), ("CP109", 1)] {
        let answer = caller.ok("query_start_charge", start(&format!("seq-{reason}-{connector}"), connector)).await;
        assert_eq!((&answer["SuccStat"], &answer["FailReason"]), (&json!(1), &json!(reason)), "{connector}");
    }
    world.runtime.set_online("CP1", false);
    let offline = caller.ok("query_start_charge", start("seq-offline", "CP101")).await;
    assert_eq!(offline["FailReason"], 2);
    world.runtime.next_fault(Fault::Refuse(Code::Unavailable));
    assert_eq!(caller.call("query_start_charge", start("seq-busy", "CP201")).await.ret, -1);
    world.runtime.next_fault(Fault::LoseAnswer);
    assert_eq!(caller.call("query_start_charge", start("seq-lost", "CP201")).await.ret, -1, "the same again finds out");
    assert_eq!(caller.ok("query_start_charge", start("seq-lost", "CP201")).await["SuccStat"], 0);
    for (interface, data, said) in [
        ("query_start_charge", start("no good!", "CP101"), "StartChargeSeq"),
        ("query_start_charge", json!({"ConnectorID": "CP101"}), "StartChargeSeq"),
        ("query_start_charge", json!({"StartChargeSeq": "s", "ConnectorID": "CP101", "Balance": 0}), "Balance"),
        ("query_equip_charge_status", json!({"StartChargeSeq": "never"}), "StartChargeSeq"),
        ("query_station_status", json!({"StationIDs": vec!["S"; 51]}), "StationIDs"),
        ("query_stations_info", json!({"PageNo": -1}), "PageNo"),
        ("query_station_stats", json!({"StationID": "S1", "StartTime": "x", "EndTime": "2026-01-01"}), "StartTime"),
        ("check_charge_orders", json!({}), "interface"),
    ] {
        let reply = caller.call(interface, data).await;
        assert!(reply.ret == 4004 && reply.msg.contains(said), "{interface}: {} {}", reply.ret, reply.msg);
    }
    let unknown = caller.ok("query_stop_charge", json!({"StartChargeSeq": "never"})).await;
    assert_eq!((&unknown["SuccStat"], &unknown["FailReason"]), (&json!(1), &json!(4)));
}

#[tokio::test]
async fn a_dialect_may_ask_for_whole_sequence_numbers() {
    let world = World::new();
    let rig = world.serve().await;
    let dialect = Dialect { sequences: SequenceCheck::Strict, ..Dialect::default() };
    let caller = Caller::new(&world, &rig, dialect).await;
    for (seq, ret) in [(SEQ, 0), ("999999999202601020304050001", 4004), ("12345678920260102030405000", 4004)] {
        assert_eq!(
            caller.call("query_start_charge", json!({"StartChargeSeq": seq, "ConnectorID": "CP101"})).await.ret,
            ret
        );
    }
}

#[tokio::test]
async fn each_layer_of_the_envelope_has_its_ret() {
    let world = World::new();
    let rig = world.serve().await;
    let mut caller = Caller::new(&world, &rig, Dialect::default()).await;
    let ret = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["Ret"].as_i64().unwrap();
    assert_eq!(ret(&caller.post("query_stations_info", b"rubbish".to_vec()).await), 4003);
    assert_eq!(ret(&caller.post("query_stations_info", vec![b' '; 400_000]).await), 4003);
    let good = || caller.codec().request(OPERATOR, rig.clock.now(), 1, &json!({}));
    let changed = String::from_utf8(good()).unwrap().replace("\"Seq\":\"0001\"", "\"Seq\":\"0002\"");
    assert_eq!(ret(&caller.post("query_stations_info", changed.into_bytes()).await), 4001);
    let stranger = String::from_utf8(good()).unwrap().replace(OPERATOR, "111111111");
    assert_eq!(ret(&caller.post("query_stations_info", stranger.into_bytes()).await), 4001);
    let token = std::mem::replace(&mut caller.token, "x".repeat(64));
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, 4002);
    let wrong = caller.ok("query_token", json!({"OperatorID": OPERATOR, "OperatorSecret": "guess"})).await;
    assert_eq!((&wrong["SuccStat"], &wrong["FailReason"], &wrong["AccessToken"]), (&json!(1), &json!(2), &json!("")));
    let other = caller.ok("query_token", json!({"OperatorID": "111111111", "OperatorSecret": "x"})).await;
    assert_eq!(other["FailReason"], 1);
    caller.token = token;
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, 0);
    let nowhere = rig.http.post(format!("{}/evcs/v1/query_everything", rig.url)).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
}

#[tokio::test]
async fn a_token_lives_two_hours_whatever_is_asked_later_and_over_a_restart() {
    let world = World::new();
    let rig = world.serve().await;
    let mut caller = Caller::new(&world, &rig, Dialect::default()).await;
    let first = caller.token.clone();
    rig.clock.forward(7000);
    caller.log_in().await;
    assert_ne!(caller.token, first);
    let second = std::mem::replace(&mut caller.token, first.clone());
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, 0, "the older one is not broken");
    let again = world.serve().await;
    let mut caller =
        Caller { rig: &again, secrets: caller.secrets, dialect: caller.dialect, token: first, operator: OPERATOR };
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, 0, "over a restart");
    again.clock.forward(201);
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, 4002, "it is over");
    caller.token = second;
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, 0);
}

#[tokio::test]
async fn a_rotated_set_overlaps_and_then_ends_with_its_tokens() {
    let world = World::new();
    let rig = world.serve().await;
    let old = Caller::new(&world, &rig, Dialect::default()).await;
    let made = world.runtime.rotate_tcec(&"p1".parse().unwrap(), std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(old.call("query_stations_info", json!({})).await.ret, 0);
    let mut new =
        Caller { rig: &rig, secrets: made, dialect: Dialect::default(), token: old.token.clone(), operator: OPERATOR };
    assert_eq!(new.call("query_stations_info", json!({})).await.ret, 0, "its token counts while the set does");
    let beyond = Timestamp(1_767_322_995_000).0 + 61_000 - rig.clock.now().0;
    rig.clock.forward(beyond.max(0) / 1000 + 1);
    let body = old.codec().request(OPERATOR, rig.clock.now(), 1, &json!({}));
    let refused: Value = serde_json::from_slice(&old.post("query_stations_info", body).await).unwrap();
    assert_eq!(refused["Ret"], 4001);
    assert_eq!(new.call("query_stations_info", json!({})).await.ret, 4002, "the old set's token ended with it");
    new.log_in().await;
    assert_eq!(new.call("query_stations_info", json!({})).await.ret, 0);
}

#[tokio::test]
async fn a_stranger_sees_and_touches_nothing_of_another_partners() {
    let world = World::new();
    let rig = world.serve().await;
    let one = Caller::new(&world, &rig, Dialect::default()).await;
    one.ok("query_start_charge", json!({"StartChargeSeq": SEQ, "ConnectorID": "CP101"})).await;
    let secrets = agree(&world, "p2", "222222222", &Dialect::default(), 2);
    let mut two =
        Caller { rig: &rig, secrets, dialect: Dialect::default(), token: one.token.clone(), operator: "222222222" };
    assert_eq!(two.call("query_stations_info", json!({})).await.ret, 4002, "another's token");
    two.log_in().await;
    assert_eq!(two.call("query_equip_charge_status", json!({"StartChargeSeq": SEQ})).await.ret, 4004);
    assert_eq!(two.ok("query_stop_charge", json!({"StartChargeSeq": SEQ})).await["FailReason"], 4);
    let stolen = one.codec().request("222222222", rig.clock.now(), 1, &json!({}));
    let refused: Value = serde_json::from_slice(&two.post("query_stations_info", stolen).await).unwrap();
    assert_eq!(refused["Ret"], 4001, "another's secrets");
}

#[tokio::test]
async fn failures_in_a_row_ban_the_operator_here_and_too_many_calls_are_slowed_down() {
    let world = World::new();
    let rig = world.serve().await;
    let caller = Caller::new(&world, &rig, Dialect::default()).await;
    let bad = String::from_utf8(caller.codec().request(OPERATOR, rig.clock.now(), 1, &json!({}))).unwrap();
    let bad = bad.replace("\"Sig\":\"", "\"Sig\":\"00");
    for _ in 0..config().failures_before_ban {
        caller.post("query_stations_info", bad.clone().into_bytes()).await;
    }
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, -1);
    assert_eq!(world.alerts.lock().unwrap().len(), 1, "a real partner's: operators hear of it");
    let world = World::with(Api { read_rate: 1, read_burst: 2, ..config() });
    let rig = world.serve().await;
    let caller = Caller::new(&world, &rig, Dialect::default()).await;
    assert_eq!(caller.call("query_stations_info", json!({})).await.ret, 0);
    let slowed = caller.call("query_stations_info", json!({})).await;
    assert!(slowed.ret == -1 && slowed.msg.contains("more calls"), "{}", slowed.msg);
}

#[tokio::test]
async fn a_timestamp_is_looked_at_only_where_the_dialect_says_so() {
    let world = World::new();
    let rig = world.serve().await;
    for (window, ret) in [(None, 0), (Some(300), 4003)] {
        let dialect = Dialect { timestamp_window_s: window, ..Dialect::default() };
        let caller = Caller::new(&world, &rig, dialect).await;
        let late = Timestamp(rig.clock.now().0 - 301_000);
        let body = caller.codec().request(OPERATOR, late, 1, &json!({}));
        let reply = caller.codec().reply(&caller.post("query_stations_info", body).await).unwrap();
        assert_eq!(reply.ret, ret);
    }
}

#[tokio::test]
async fn operators_set_what_is_agreed_and_see_no_secret_twice() {
    let world = World::new();
    let rig = world.serve().await;
    rig.ops("PUT", "/ops/v1/partners/p1", json!({"name": "One"})).await;
    let outbound = json!({
        "operator_secret": "s", "data_secret": "1234567890abcdef", "data_secret_iv": "1234567890abcdef", "sig_secret": "g"
    });
    let body = json!({
        "operator_id": OPERATOR, "own_id": "987654321", "base_url": "https://p.example/evcs/v1", "outbound": outbound,
        "dialect": {"spelling": "corrected", "order_retry_s": [15, 15, 30]}
    });
    let set = rig.ops("PUT", "/ops/v1/partners/p1/tcec", body.clone()).await;
    assert_eq!(set.status, 200);
    assert_eq!(set.json["inbound"]["data_secret"].as_str().unwrap().len(), 16);
    let shown = rig.ops("GET", "/ops/v1/partners/p1/tcec", Value::Null).await;
    assert_eq!(
        (&shown.json["dialect"]["spelling"], &shown.json["operator_id"]),
        (&json!("corrected"), &json!(OPERATOR))
    );
    assert!(!shown.json.to_string().contains("data_secret"));
    let rotated = rig.ops("POST", "/ops/v1/partners/p1/tcec/secrets", json!({"overlap_s": 60})).await;
    assert_eq!((rotated.status, &rotated.json["overlap_s"]), (201, &json!(60)));
    let mut bad = body.clone();
    bad["dialect"] = json!({"energy_decimals": 9});
    let refused = rig.ops("PUT", "/ops/v1/partners/p1/tcec", bad).await;
    assert_eq!(refused.told(), (400, "invalid_field"));
    assert_eq!(rig.ops("GET", "/ops/v1/partners/p9/tcec", Value::Null).await.status, 404);
}
