//! The published vectors of T/CEC 102 and the shapes of every interface, there and back, in two dialects.

use super::charging::*;
use super::crypto::{decrypt, encrypt, sign, verify};
use super::envelope::{Codec, Request, members, to_value};
use super::order::*;
use super::secrets::tests::published;
use super::station::*;
use super::token::{TokenAnswer, TokenRequest};
use super::values::ChinaTime;
use crate::clock::Timestamp;
use crate::domain::delivery::{Dialect, Numbers, Spelling};
use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

struct Vector {
    timestamp: &'static str,
    data: &'static str,
    sig: &'static str,
    plain: &'static str,
}

/// Requests V1 (annex C of 102.4-2016), V2, V4, V5: OperatorID 123456789, Seq 0001.
const REQUESTS: [Vector; 4] = [
    Vector {
        timestamp: "20160729142400",
        data: "il7B0BSEjFdzpyKzfOFpvg/Se1CP802RItKYFPfSLRxJ3jf0bVl9hvYOEktPAYW2nd7S8MBcyHYyacHKbISq5iTmDzG+ivnR+SZJv3USNTYVMz9rCQVSxd0cLlqsJauko79NnwQJbzDTyLooYoIwz75qBOH2/xOMirpeEqRJrF/EQjWekJmGk9RtboXePu2rka+Xm51syBPhiXJAq0GfbfaFu9tNqs/e2Vjja/ltE1M0lqvxfXQ6da6HrThsm5id4ClZFIi0acRfrsPLRixS/IQYtksxghvJwbqOsbIsITail9Ayy4tKcogeEZiOO+4Ed264NSKmk7l3wKwJLAFjCFogBx8GE3OBz4pqcAn/ydA=",
        sig: "745166E8C43C84D37FFEC0F529C4136F",
        plain: r#"{"total":1,"stationStatusInfo":{"operationID":"123456789","stationID":"111111111111111","connectorStatusInfos":{"connectorID":1,"equipmentID":"10000000000000000000001","status":4,"currentA":0,"currentB":0,"currentC":0,"voltageA":0,"voltageB":0,"voltageC":0,"soc":10,}}}"#,
    },
    Vector {
        timestamp: "20180120165755",
        data: "mYvffpNoFf4E/ZTC1tOw41TC5OlkEobfAYCm5N8hEusaLUaUIqOrXtdbMrSck0DSmfM7mRuOGMoCQzH0nWPGuw==",
        sig: "D2D584A14F3F284445DF85D0E8C0697C",
        plain: "{\"OperatorID\":\"123456789\",\n\"OperatorSecret\":\"1234567890abcdef\"}",
    },
    Vector {
        timestamp: "20180508162919",
        data: "C3z0fu4xW72dJMOsgcVyPrbHOqzQcIwSexeW7b4wPcAV8qQvECycER60lBJpW5v7+Ex6pAYvDgrImQh3fhqEujP4AICBew296s71WAwpOBM=",
        sig: "92A192D753BBEF609136620FFA7E9069",
        plain: "{\n\"EquipBizSeq\":\"123456789201805081628123456\",\n\"ConnectorID\":\"3702120244401\"\n}\n",
    },
    Vector {
        timestamp: "20180228173314",
        data: "X9a+F3ql9vfyO5tcQV4srGaZm116ly2hAhG1fc0n+TMshLTw1Ax/8AT0NpZRvEhzXPqLeD1n3cVywfU+WScy7a6M9flwrOkJC5QIsp2RlFE=",
        sig: "407FED90C92965C8E456535A72B83F80",
        plain: "{\n\"LastQueryTime\":\"2016-1-2 12:12:12\",\n\"PageNo\":2,\n\"PageSize\":1\n}",
    },
];

const TOKEN_DATA: &str = "uxeKP0ezR5yL8xSg4/ZCDh/N91/u86NXFxd2DrwZVW8zCPYcpl59Twz/yQZ3RaO4rDDrGmkvQignmNEJ+k4PGxdmIC+4fpJ8rU6osSobY+AeA0uueuQ5+eQiWBL6p6v5XMMm91brtK8yfFELYUWQzVcxABnAwK/+dyxtUhqLIxUpkwTEU/4ktN40df9IzzlLO5uvUknPGYu9yL0pp5w9vdRxmA1RiiTDNCysz6klr9bunGV3VJa2qpLcgeZMf/oG";
const TOKEN_SIG: &str = "58E52010C7DEE87FE183B0AFA5B2BE30";
const TOKEN: &str = "kVnStIRknCCOBdXgJrmu8rb3pcccifKW2NcQrysKKIzb7iQBxkkjeq3WoGdjgrIL";

fn request(vector: &Vector) -> Request {
    let body = json!({"OperatorID": "123456789", "Data": vector.data, "TimeStamp": vector.timestamp, "Seq": "0001", "Sig": vector.sig});
    Request::read(body.to_string().as_bytes()).unwrap()
}

#[test]
fn the_published_requests_are_proven_decrypted_and_made_again() {
    let secrets = published();
    for vector in &REQUESTS {
        assert!(request(vector).is_signed(&secrets), "{}", vector.timestamp);
        assert_eq!(sign(&secrets, &["123456789", vector.data, vector.timestamp, "0001"]), vector.sig);
        assert_eq!(decrypt(&secrets, vector.data).unwrap(), vector.plain.as_bytes());
        assert_eq!(encrypt(&secrets, vector.plain.as_bytes(), false), vector.data);
    }
}

#[test]
fn a_copy_with_a_mis_scanned_character_fails() {
    let secrets = published();
    let data = REQUESTS[0].data.replacen("jf0bVl9h", "jfObV19h", 1);
    assert_ne!(data, REQUESTS[0].data);
    assert!(!verify(&secrets, &["123456789", &data, "20160729142400", "0001"], REQUESTS[0].sig));
}

#[test]
fn what_the_published_requests_hold_is_read() {
    let (secrets, dialect) = (published(), Dialect::default());
    let codec = Codec { secrets: &secrets, dialect: &dialect };
    let token: TokenRequest = codec.open(&request(&REQUESTS[1])).unwrap();
    assert_eq!((token.operator_id.as_str(), token.operator_secret.as_str()), ("123456789", "1234567890abcdef"));
    let policy: PolicyQuery = codec.open(&request(&REQUESTS[2])).unwrap();
    assert_eq!(policy.equip_biz_seq.len(), 27);
    let stations: StationsQuery = codec.open(&request(&REQUESTS[3])).unwrap();
    assert_eq!((stations.page_no, stations.page_size), (2, 1));
    assert_eq!(stations.last_query_time.unwrap().to_compact(), "20160102121212");
    // Annex C's text has a comma too many: no JSON, and refused as such.
    assert!(codec.open::<Value>(&request(&REQUESTS[0])).is_err());
}

#[test]
fn the_published_answer_is_proven_and_read() {
    let (secrets, dialect) = (published(), Dialect::default());
    let codec = Codec { secrets: &secrets, dialect: &dialect };
    assert_eq!(sign(&secrets, &["0", "", TOKEN_DATA]), TOKEN_SIG);
    let body = json!({"Ret": 0, "Msg": "", "Data": TOKEN_DATA, "Sig": TOKEN_SIG}).to_string();
    let reply = codec.reply(body.as_bytes()).unwrap();
    let answer: TokenAnswer = members(reply.data.unwrap()).unwrap();
    assert_eq!((answer.access_token.as_str(), answer.token_available_time), (TOKEN, 7200));
}

#[test]
fn the_published_primitive_is_ours() {
    assert_eq!(encrypt(&published(), b"hello world!", false), "cmljobIKHDAcF9uf3mgs/w==");
    for rubbish in ["", "x", "cmljobIKHDAcF9uf3mgs", "AAAAAAAAAAAAAAAAAAAAAA=="] {
        assert_eq!(decrypt(&published(), rubbish), None, "{rubbish}");
    }
}

fn dialects() -> [Dialect; 2] {
    let other = Dialect {
        spelling: Spelling::Corrected,
        numbers: Numbers::Text,
        energy_decimals: 3,
        wrap_base64: true,
        names: [("StationTel".to_owned(), "StationPhone".to_owned())].into(),
        ..Dialect::default()
    };
    [Dialect::default(), other]
}

/// As a request and as an answer, in each dialect: the same comes back.
fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(sample: &T) {
    let secrets = published();
    for dialect in dialects() {
        let codec = Codec { secrets: &secrets, dialect: &dialect };
        let body = codec.request("123456789", Timestamp(1_700_000_000_000), 1, sample);
        let request = Request::read(&body).unwrap();
        assert!(request.is_signed(&secrets));
        assert_eq!(codec.open::<T>(&request).unwrap(), *sample, "{dialect:?}");
        let reply = codec.reply(&codec.answer(Ok(to_value(sample)))).unwrap();
        assert_eq!(members::<T>(reply.data.unwrap()).unwrap(), *sample, "{dialect:?}");
    }
}

const SEQ: &str = "123456789202601020304050001";

fn at(seconds: i64) -> ChinaTime {
    ChinaTime(Timestamp(1_700_000_000_000 + seconds * 1000))
}

fn detail() -> ChargeDetail {
    ChargeDetail {
        detail_start_time: at(0),
        detail_end_time: at(60),
        elec_price: Some(Decimal::new(12_345, 4)),
        sevice_price: Some(Decimal::new(6500, 4)),
        detail_power: Decimal::new(1250, 2),
        detail_elec_money: Some(Decimal::new(1543, 2)),
        detail_sevice_money: Some(Decimal::new(813, 2)),
    }
}

fn station() -> StationInfo {
    let connector = ConnectorInfo {
        connector_id: "CP101".into(),
        connector_name: Some("1号枪".into()),
        connector_type: 4,
        voltage_upper_limits: 750,
        voltage_lower_limits: 200,
        current: 250,
        power: Decimal::new(1200, 1),
        national_standard: 2,
    };
    let equipment = EquipmentInfo {
        equipment_id: "CP1".into(),
        manufacturer_name: None,
        equipment_model: Some("DC120".into()),
        equipment_type: 1,
        power: Decimal::new(1200, 1),
        connector_infos: vec![connector],
    };
    StationInfo {
        station_id: "S1".into(),
        operator_id: "123456789".into(),
        equipment_owner_id: "123456789".into(),
        station_name: "充电站".into(),
        country_code: "CN".into(),
        area_code: "110105".into(),
        address: "朝阳区".into(),
        station_tel: None,
        service_tel: "4008000000".into(),
        station_type: 1,
        station_status: 50,
        park_nums: 0,
        station_lng: Decimal::new(116_397_128, 6),
        station_lat: Decimal::new(39_916_527, 6),
        construction: 255,
        busine_hours: Some("00:00-24:00".into()),
        electricity_fee: None,
        service_fee: Some("0.65".into()),
        park_fee: None,
        payment: None,
        support_order: 1,
        remark: None,
        equipment_infos: vec![equipment],
    }
}

#[test]
fn tokens_stations_and_statuses_come_back_in_both_dialects() {
    there_and_back(&TokenRequest { operator_id: "123456789".into(), operator_secret: "s".into() });
    there_and_back(&TokenAnswer {
        operator_id: "123456789".into(),
        succ_stat: 0,
        access_token: TOKEN.into(),
        token_available_time: 7200,
        fail_reason: 0,
    });
    there_and_back(&StationsQuery { last_query_time: Some(at(0)), page_no: 2, page_size: 10 });
    there_and_back(&StationsPage { page_no: 1, page_count: 1, item_size: 1, station_infos: vec![station()] });
    there_and_back(&StatusQuery { station_ids: vec!["S1".into()] });
    let connector = ConnectorStatusInfo { connector_id: "CP101".into(), status: 3, park_status: 50, lock_status: 10 };
    let status = StationStatus {
        operator_id: "123456789".into(),
        station_id: "S1".into(),
        connector_status_infos: vec![connector],
    };
    there_and_back(&StatusAnswer { total: 1, station_status_infos: vec![status] });
    there_and_back(&StatusTaken { status: 1 });
    let query = StatsQuery { station_id: "S1".into(), start_time: "2026-01-01".into(), end_time: "2026-01-02".into() };
    there_and_back(&query);
    let connector = ConnectorStats { connector_id: "CP101".into(), connector_electricity: Decimal::new(125, 1) };
    let equipment = EquipmentStats {
        equipment_id: "CP1".into(),
        equipment_electricity: Decimal::new(125, 1),
        connector_stats_infos: vec![connector],
    };
    let station_stats = StationStats {
        station_id: "S1".into(),
        start_time: "2026-01-01".into(),
        end_time: "2026-01-02".into(),
        station_electricity: Decimal::new(125, 1),
        equipment_stats_infos: vec![equipment],
    };
    there_and_back(&StatsAnswer { station_stats });
}

#[test]
fn checks_and_starts_come_back_in_both_dialects() {
    there_and_back(&AuthQuery { equip_auth_seq: SEQ.into(), connector_id: "CP101".into() });
    there_and_back(&AuthAnswer {
        equip_auth_seq: SEQ.into(),
        connector_id: "CP101".into(),
        succ_stat: 1,
        fail_reason: 2,
    });
    there_and_back(&PolicyQuery { equip_biz_seq: SEQ.into(), connector_id: "CP101".into() });
    let policy = PolicyInfo {
        start_time: "000000".into(),
        elec_price: Decimal::new(1, 0),
        sevice_price: Some(Decimal::new(65, 2)),
    };
    there_and_back(&PolicyAnswer {
        equip_biz_seq: SEQ.into(),
        connector_id: "CP101".into(),
        succ_stat: 0,
        fail_reason: 0,
        sum_period: 1,
        policy_infos: vec![policy],
    });
    there_and_back(&StartCharge {
        start_charge_seq: SEQ.into(),
        connector_id: "CP101".into(),
        qr_code: String::new(),
        phone_num: "13800000000".into(),
        plate_num: "京A12345".into(),
        balance: Some(Decimal::new(5000, 2)),
    });
    there_and_back(&StartAnswer {
        start_charge_seq: SEQ.into(),
        start_charge_seq_stat: 1,
        connector_id: "CP101".into(),
        succ_stat: 0,
        fail_reason: 0,
    });
    there_and_back(&StartResult {
        start_charge_seq: SEQ.into(),
        start_charge_seq_stat: 2,
        connector_id: "CP101".into(),
        start_time: at(0),
        ident_code: String::new(),
        fail_reason: 0,
    });
}

#[test]
fn statuses_of_charging_and_stops_come_back_in_both_dialects() {
    there_and_back(&ChargeStatusQuery { start_charge_seq: SEQ.into() });
    there_and_back(&ChargeStatus {
        start_charge_seq: SEQ.into(),
        start_charge_seq_stat: 2,
        connector_id: "CP101".into(),
        connector_status: 3,
        current_a: Decimal::new(1255, 1),
        voltage_a: Decimal::new(4000, 1),
        soc: Decimal::new(805, 1),
        start_time: at(0),
        end_time: at(50),
        total_power: Decimal::new(125, 2),
        elec_money: Some(Decimal::new(154, 2)),
        sevice_money: None,
        total_money: Some(Decimal::new(154, 2)),
        sum_period: 1,
        charge_details: vec![detail()],
    });
    there_and_back(&StopCharge { start_charge_seq: SEQ.into(), connector_id: "CP101".into() });
    there_and_back(&StopAnswer {
        start_charge_seq: SEQ.into(),
        start_charge_seq_stat: 3,
        succ_stat: 0,
        fail_reason: 0,
    });
    there_and_back(&StopResult {
        start_charge_seq: SEQ.into(),
        start_charge_seq_stat: 4,
        connector_id: "CP101".into(),
        succ_stat: 0,
        fail_reason: 0,
    });
    there_and_back(&Taken { start_charge_seq: SEQ.into(), succ_stat: 0, fail_reason: 0 });
}

#[test]
fn orders_and_reconciliations_come_back_in_both_dialects() {
    there_and_back(&OrderInfo {
        start_charge_seq: SEQ.into(),
        connector_id: "CP101".into(),
        start_time: at(0),
        end_time: at(60),
        total_power: Decimal::new(1250, 2),
        total_elec_money: Decimal::new(1543, 2),
        total_sevice_money: Decimal::new(813, 2),
        total_money: Decimal::new(2356, 2),
        stop_reason: 1,
        sum_period: 1,
        charge_details: vec![detail()],
    });
    there_and_back(&OrderTaken { start_charge_seq: SEQ.into(), connector_id: "CP101".into(), confirm_result: 0 });
    // V9: the captured reconciliation's figures.
    there_and_back(&CheckOrders {
        check_order_seq: "740415113000000000020180822".into(),
        start_time: ChinaTime::parse("2018-08-22 00:00:00").unwrap(),
        end_time: ChinaTime::parse("2018-08-22 23:59:59").unwrap(),
        order_count: 9,
        total_order_power: Decimal::new(9540, 2),
        total_order_money: Decimal::new(13_645, 2),
        charge_orders: vec![CheckedOrder {
            start_charge_seq: SEQ.into(),
            total_power: Decimal::new(9540, 2),
            total_money: Decimal::new(13_645, 2),
        }],
    });
    there_and_back(&CheckAnswer {
        check_order_seq: "740415113000000000020180822".into(),
        total_dispute_order: 1,
        total_dispute_power: Some(Decimal::ZERO),
        total_dispute_money: Some(Decimal::ZERO),
        dispute_orders: Some(vec![DisputedOrder {
            start_charge_seq: SEQ.into(),
            total_power: None,
            total_money: Some(Decimal::ONE),
            dispute_reason: 2,
        }]),
    });
}

#[test]
fn a_status_push_is_read_as_object_or_array_under_either_name() {
    let one = json!({"ConnectorID": 101, "Status": "3"});
    let expected = ConnectorStatusInfo { connector_id: "101".into(), status: 3, park_status: 0, lock_status: 0 };
    for told in [
        json!({"ConnectorStatusInfo": one}),
        json!({"ConnectorStatusInfo": [one]}),
        json!({"ConnectorStatusInfos": [one]}),
    ] {
        assert_eq!(pushed_statuses(&told).unwrap(), std::slice::from_ref(&expected));
    }
    assert!(pushed_statuses(&json!({"ConnectorStatusInfo": 1})).is_err());
}
