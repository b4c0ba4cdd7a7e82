//! One try towards a partner, against a partner in a script: every call in two dialects, tokens, and what each answer means.

use super::super::sender::exchange::Exchanged;
use super::*;
use crate::actors::alerts;
use crate::clock::WallClock;
use crate::domain::delivery::{Dialect, Numbers, Sealed, SealedSet, Spelling, Stations, StatusForm, Tcec};
use crate::domain::entity::Notice;
use crate::persistence::MemoryJournal;
use crate::protocol::tcec::{Request, Secrets};
use async_trait::async_trait;
use serde_json::json;
use std::sync::Mutex;

const BASE: &str = "https://p.example/evcs/v1";
const SEQ: &str = "123456789202601020304050001";
const SESSION: &str = "0198c0de-0000-7000-8000-000000000001";

/// A partner: its secrets, what it was told, what it says next.
struct Partner {
    secrets: Secrets,
    dialect: Dialect,
    told: Mutex<Vec<(String, Option<String>, Value)>>,
    /// Raw bodies that come before its own answers.
    says: Mutex<Vec<(u16, Vec<u8>)>>,
    tokens: AtomicU16,
}

impl Partner {
    fn codec(&self) -> Codec<'_> {
        Codec { secrets: &self.secrets, dialect: &self.dialect }
    }

    fn says(&self, answer: Result<Value, crate::protocol::tcec::Refused>) {
        self.says.lock().unwrap().insert(0, (200, self.codec().answer(answer)));
    }

    fn told(&self) -> Vec<(String, Option<String>, Value)> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

#[async_trait]
impl Exchange for Partner {
    async fn exchange(&self, post: Post) -> Result<Exchanged, Answer> {
        let request = Request::read(&post.body).unwrap();
        assert!(request.is_signed(&self.secrets) && request.operator_id == "987654321");
        let data: Value = self.codec().open(&request).unwrap();
        let name = post.url.rsplit('/').next().unwrap().to_owned();
        self.told.lock().unwrap().push((name.clone(), post.bearer, data));
        let answer = match name.as_str() {
            "query_token" => {
                let n = self.tokens.fetch_add(1, Ordering::Relaxed);
                json!({"OperatorID": "987654321", "SuccStat": 0, "AccessToken": format!("token-{n}"), "TokenAvailableTime": 7200, "FailReason": 0})
            }
            "notification_stationStatus" => json!({"Status": "0"}),
            "notification_charge_order_info" => {
                json!({"StartChargeSeq": SEQ, "ConnectorID": "CP101", "ConfirmResult": 0})
            }
            "check_charge_orders" => json!({"CheckOrderSeq": "x", "TotalDisputeOrder": 0, "DisputeOrders": []}),
            _ => json!({"StartChargeSeq": SEQ, "SuccStat": 0, "FailReason": 0}),
        };
        let next = if name == "query_token" { None } else { self.says.lock().unwrap().pop() };
        let (code, body) = next.unwrap_or_else(|| (200, self.codec().answer(Ok(answer))));
        Ok(Exchanged { code, retry_after_ms: None, body })
    }
}

struct Rig {
    partner: Arc<Partner>,
    face: TcecFace,
    waiting: alerts::Waiting,
}

fn rig(dialect: Dialect) -> Rig {
    let set = || SealedSet { secrets: Sealed(String::new()), created: Timestamp(0), expires: None };
    let secrets = Secrets::make(&[5; 56]);
    let partner = Arc::new(Partner {
        secrets: secrets.clone(),
        dialect: dialect.clone(),
        told: Mutex::default(),
        says: Mutex::default(),
        tokens: AtomicU16::new(1),
    });
    let tcec = Tcec {
        operator_id: "123456789".into(),
        own_id: "987654321".into(),
        inbound: vec![set()],
        outbound: set(),
        dialect,
        stations: Stations::default(),
    };
    let relation = Relation { partner: "p1".parse().unwrap(), tcec, inbound: vec![], outbound: secrets };
    let clock: crate::clock::SharedClock = Arc::new(WallClock);
    let (alerts, waiting) = alerts::channel();
    let caller = TcecCaller::new(partner.clone(), MemoryJournal::new(&clock), alerts);
    let face = TcecFace { relation: Arc::new(relation), base: BASE.into(), caller: Arc::new(caller) };
    Rig { partner, face, waiting }
}

fn row(kind: &str, data: Value) -> OutboxEntry {
    let notice = Notice {
        partner: "p1".parse().unwrap(),
        kind: kind.into(),
        order_key: "session/1".into(),
        sequence: None,
        at: Timestamp(1_700_000_000_000),
        data,
    };
    OutboxEntry { position: 1, id: "evt_1".into(), notice }
}

fn session(status: &str) -> Value {
    json!({
        "session_id": SESSION, "request_id": SEQ, "charger_id": "CP1", "connector_id": 1, "status": status,
        "created_at": "2026-01-02T03:04:05.000Z", "started_at": "2026-01-02T03:04:10.000Z", "energy_wh": 12_345,
        "soc_percent": 80, "duration_s": 60, "flags": [], "end_reason": "user_stop",
        "amount_so_far": {"minor": 2356, "currency": "CNY"}
    })
}

const NOW: Timestamp = Timestamp(1_767_400_000_000);

async fn tell(rig: &Rig, kind: &str, data: Value) -> (String, Value) {
    let answer = rig.face.send(&row(kind, data), NOW).await;
    assert!(matches!(answer, Answer::Status { code: 200, .. }), "{kind}: {answer:?}");
    let (name, bearer, data) = rig.partner.told().pop().unwrap();
    assert!(bearer.is_some_and(|token| token.starts_with("token-")), "{kind}");
    (name, data)
}

#[tokio::test]
async fn each_event_is_its_call_in_both_dialects() {
    let other = Dialect {
        spelling: Spelling::Corrected,
        numbers: Numbers::Text,
        status_form: StatusForm::PluralArray,
        ..Dialect::default()
    };
    for (dialect, power, status) in
        [(Dialect::default(), json!(12.35), "/ConnectorStatusInfo"), (other, json!("12.35"), "/ConnectorStatusInfos/0")]
    {
        let rig = rig(dialect);
        let connector = json!({"charger_id": "CP1", "connector_id": 1, "status": "SuspendedEV", "status_at": "2026-01-02T03:04:05Z"});
        let (name, data) = tell(&rig, "connector.status", connector).await;
        let info = data.pointer(status).unwrap();
        assert_eq!(
            (name.as_str(), &info["ConnectorID"], &info["Status"]),
            ("notification_stationStatus", &json!("CP101"), &json!(3))
        );
        let (name, data) = tell(&rig, "session.started", session("Charging")).await;
        assert_eq!((name.as_str(), &data["StartChargeSeqStat"]), ("notification_start_charge_result", &json!(2)));
        assert_eq!(data["StartTime"], "2026-01-02 11:04:10", "China's time");
        let mut failed = session("Failed");
        failed["failure"] = json!({"code": "plug_not_connected", "message": "m"});
        let (_, data) = tell(&rig, "session.failed", failed).await;
        assert_eq!((&data["StartChargeSeqStat"], &data["FailReason"]), (&json!(4), &json!(3)));
        let (name, data) = tell(&rig, pushes::STATUS_KIND, session("Charging")).await;
        assert_eq!((name.as_str(), &data["TotalPower"]), ("notification_equip_charge_status", &power));
        let (name, data) = tell(&rig, "session.ended", session("Ended")).await;
        assert_eq!((name.as_str(), &data["StartChargeSeqStat"]), ("notification_stop_charge_result", &json!(4)));
        let day = json!({"from": "2026-01-01T16:00:00Z", "to": "2026-01-02T16:00:00Z", "orders": [[SEQ, 12_345, 2356], ["b", 0, 10]]});
        let (name, data) = tell(&rig, pushes::CHECK_KIND, day).await;
        assert_eq!(
            (name.as_str(), &data["CheckOrderSeq"]),
            ("check_charge_orders", &json!("987654321000000000020260102"))
        );
        assert_eq!((&data["OrderCount"], &data["EndTime"]), (&json!(2), &json!("2026-01-02 23:59:59")));
        assert_eq!(data["TotalOrderPower"], power);
    }
}

#[test]
fn an_order_is_its_bill_and_its_details_add_up() {
    let rig = rig(Dialect::default());
    let line = |kind: &str, from: &str, to: &str, wh: i64, price: i64, minor: i64| {
        let ms = |text: &str| Timestamp::parse(text).unwrap().0;
        json!({"kind": kind, "from": ms(from), "to": ms(to), "count": wh, "price": price, "amount": {"minor": minor, "currency": "CNY"}})
    };
    let (a, b, c) = ("2026-01-02T03:04:10Z", "2026-01-02T04:00:00Z", "2026-01-02T05:00:00Z");
    let ms = |text: &str| Timestamp::parse(text).unwrap().0;
    let bill = json!({
        "tariff": "T1", "version": 1, "from": ms(a), "to": ms(c), "energy_wh": 12_345,
        "lines": [
            line("electricity", a, b, 6173, 12_345, 762), line("service", a, b, 6173, 6500, 401),
            line("electricity", b, c, 6172, 3500, 216), line("service", b, c, 6172, 6500, 401),
            line("start_fee", a, a, 1, 10_000, 100)
        ],
        "total": {"minor": 1880, "currency": "CNY"}
    });
    let order =
        json!({"kind": "charging", "session_id": SESSION, "bill": bill, "total": {"minor": 1880, "currency": "CNY"}});
    // As the table has it: with readings by the rules' own names.
    let mut row = session("Ended");
    row["readings"] = json!([{"at": "2026-01-02T03:05:00.000Z", "energy_wh": 13_000}]);
    let push = pushes::push("order.paid", &order, Some(&row), &rig.face.relation.tcec, NOW).unwrap().unwrap();
    let info: crate::protocol::tcec::order::OrderInfo = members(push.data).unwrap();
    assert_eq!((info.stop_reason, info.sum_period), (1, 2));
    assert_eq!(info.total_elec_money + info.total_sevice_money, info.total_money);
    let money: rust_decimal::Decimal =
        info.charge_details.iter().filter_map(|d| Some(d.detail_elec_money? + d.detail_sevice_money?)).sum();
    assert_eq!(money, info.total_money);
    let power: rust_decimal::Decimal = info.charge_details.iter().map(|d| d.detail_power).sum();
    assert_eq!(power, crate::protocol::tcec::dialect::rounded(info.total_power, 2));
    let occupancy = json!({"kind": "occupancy", "session_id": SESSION, "bill": order["bill"]});
    assert_eq!(pushes::push("order.paid", &occupancy, Some(&session("Ended")), &rig.face.relation.tcec, NOW), Ok(None));
    assert!(pushes::push("order.paid", &order, None, &rig.face.relation.tcec, NOW).is_err(), "a lost row is seen");
}

#[test]
fn a_refused_stop_is_told_and_an_accepted_one_waits_for_its_end() {
    let rig = rig(Dialect { stop_result_always: false, ..Dialect::default() });
    let tcec = &rig.face.relation.tcec;
    let row = json!({"session_id": SESSION, "charger_id": "CP1", "connector_id": 1, "request_id": SEQ, "open": true});
    let told = |accepted: bool, code: &str| {
        let data = json!({"session_id": SESSION, "request_id": "r", "accepted": accepted, "code": code});
        assert!(pushes::row_needed("session.stop_result", &data).is_some());
        pushes::push("session.stop_result", &data, Some(&row), tcec, NOW).unwrap()
    };
    assert_eq!(told(true, ""), None);
    let refused = told(false, "charger_refused").unwrap().data;
    assert_eq!(
        (&refused["StartChargeSeq"], &refused["FailReason"], &refused["SuccStat"]),
        (&json!(SEQ), &json!(5), &json!(1))
    );
    assert_eq!(told(false, "charger_offline").unwrap().data["FailReason"], 2);
    let mut local = session("Ended");
    local["end_reason"] = json!("local_stop");
    assert_eq!(pushes::push("session.ended", &local, None, tcec, NOW), Ok(None), "only its own stops, in this dialect");
    assert!(matches!(pushes::push("session.ended", &session("Ended"), None, tcec, NOW), Ok(Some(_))));
}

#[tokio::test]
async fn a_token_is_kept_and_replaced_once_when_it_is_refused() {
    let rig = rig(Dialect::default());
    tell(&rig, "session.started", session("Charging")).await;
    rig.face.send(&row("session.started", session("Charging")), NOW).await;
    let names: Vec<_> = rig.partner.told().into_iter().map(|(name, bearer, _)| (name, bearer)).collect();
    assert_eq!(names, [("notification_start_charge_result".to_owned(), Some("token-1".to_owned()))], "the kept one");
    let over = || Err(crate::protocol::tcec::Refused::new(Ret::Token, "over"));
    rig.partner.says(over());
    tell(&rig, "session.started", session("Charging")).await;
    rig.partner.says(over());
    rig.partner.says(over());
    let answer = rig.face.send(&row("session.started", session("Charging")), NOW).await;
    assert!(matches!(answer, Answer::Declined { ret: 4002, .. }), "not for ever: {answer:?}");
    rig.partner.told();
    let later = NOW + Duration::from_secs(7150);
    rig.face.send(&row("session.started", session("Charging")), later).await;
    assert_eq!(rig.partner.told()[0].0, "query_token", "before it ends");
}

#[tokio::test]
async fn what_an_answer_means_for_the_delivery() {
    use crate::protocol::tcec::Refused;
    let mut rig = rig(Dialect::default());
    let started = || row("session.started", session("Charging"));
    rig.partner.says(Err(Refused::new(Ret::Busy, "later")));
    assert!(matches!(rig.face.send(&started(), NOW).await, Answer::Declined { ret: -1, .. }));
    rig.partner.says.lock().unwrap().push((503, b"<html>".to_vec()));
    assert!(matches!(rig.face.send(&started(), NOW).await, Answer::Status { code: 503, .. }));
    rig.partner.says.lock().unwrap().push((200, br#"{"Ret":0,"Msg":"","Data":"x","Sig":""}"#.to_vec()));
    assert!(matches!(rig.face.send(&started(), NOW).await, Answer::Broken(_)), "an unsigned success is none");
    rig.partner.says(Ok(json!({"StartChargeSeq": SEQ, "SuccStat": 1, "FailReason": 1})));
    assert!(matches!(rig.face.send(&started(), NOW).await, Answer::Status { code: 200, .. }), "said once, not again");
    let unknown = json!({"charger_id": "CP1", "connector_id": 1, "status": "Charging", "session_id": SESSION});
    let mut card = session("Charging");
    card.as_object_mut().unwrap().remove("request_id");
    for event in [row("session.started", card), row("order.under_review", unknown)] {
        assert!(matches!(rig.face.send(&event, NOW).await, Answer::Status { code: 204, .. }), "no call for it");
    }
    let day = json!({"from": "2026-01-01T16:00:00Z", "to": "2026-01-02T16:00:00Z", "orders": []});
    rig.partner.says(Ok(json!({"CheckOrderSeq": "c", "TotalDisputeOrder": 1, "DisputeOrders": [{"StartChargeSeq": SEQ, "DisputeReason": 2}]})));
    assert!(matches!(rig.face.send(&row(pushes::CHECK_KIND, day), NOW).await, Answer::Status { code: 200, .. }));
    let alert = rig.waiting.next().unwrap();
    assert!(alert.ticket && alert.text.contains(SEQ), "{alert:?}");
}
