//! Accounts over real HTTP: the app's calls, the gateway's callback, operators' calls and their second person.

use super::*;
use serde_json::json;

const ACCOUNT: &str = "00000000000000000000000000000000";

#[tokio::test]
async fn the_app_sees_a_balance_tops_up_and_pays_debts() {
    let rig = World::new().serve().await;
    let balance = rig.send(&rig.call("GET", "/users/u-1/account", "")).await;
    assert_eq!((balance.status, &balance.json["available"]["minor"]), (200, &json!(5_000)), "{}", balance.text);
    let entries = rig.send(&rig.call("GET", "/users/u-1/entries?limit=5", "")).await;
    assert_eq!(entries.json["items"][0]["cause"], "payment/T1", "{}", entries.text);
    let wish =
        |id: &str, minor: i64| json!({"request_id": id, "amount": {"minor": minor, "currency": "CNY"}}).to_string();
    let opened = rig.send(&rig.call("POST", "/users/u-1/top-ups", &wish("t1", 100))).await;
    assert_eq!((opened.status, &opened.json["state"]), (202, &json!("pending")), "{}", opened.text);
    let again = rig.send(&rig.call("POST", "/users/u-1/top-ups", &wish("t1", 100))).await;
    assert_eq!(again.json, opened.json);
    for (path, body) in [("/users/u-1/top-ups", wish("t1", 200)), ("/users/u-2/top-ups", wish("t1", 100))] {
        assert_eq!(rig.send(&rig.call("POST", path, &body)).await.told(), (409, "request_id_conflict"), "{path}");
    }
    let id = opened.json["top_up_id"].as_str().unwrap();
    let shown = rig.send(&rig.call("GET", &format!("/users/u-1/top-ups/{id}"), "")).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let unknown = "/users/u-1/top-ups/00000000-0000-7000-8000-000000000000";
    assert_eq!(rig.send(&rig.call("GET", unknown, "")).await.told(), (404, "top_up_unknown"));
    let pay = json!({"request_id": "d1", "order_id": "session/1"}).to_string();
    let paid = rig.send(&rig.call("POST", "/users/u-1/debts/pay", &pay)).await;
    assert_eq!((paid.status, &paid.json["left"]["minor"]), (200, &json!(0)), "{}", paid.text);
    assert_eq!(rig.send(&rig.call("GET", "/users/stranger/account", "")).await.told(), (403, "accounts_off"));
}

#[tokio::test]
async fn bad_amounts_and_orders_are_refused_by_their_members() {
    let rig = World::new().serve().await;
    for (body, member) in [
        (json!({"request_id": "t1", "amount": {"minor": 1.5, "currency": "CNY"}}), "amount.minor"),
        (json!({"request_id": "t1", "amount": {"minor": 1, "currency": "XXQ"}}), "amount.currency"),
        (json!({"request_id": "t1"}), "amount"),
    ] {
        let answer = rig.send(&rig.call("POST", "/users/u-1/top-ups", &body.to_string())).await;
        assert_eq!(answer.told(), (400, "invalid_field"), "{body}");
        assert!(answer.text.contains(member), "{member}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_callback_needs_the_gateways_signature_and_no_partners() {
    let rig = World::new().serve().await;
    let url = format!("{}/payments/v1/callback", rig.url);
    let plain = rig.http.post(&url).body("{}").send().await.unwrap();
    assert_eq!(Answer::read(plain).await.told(), (401, "missing_signature"));
    let signed = rig.http.post(&url).header("payment-signature", "v1=00").body("{}").send().await.unwrap();
    assert_eq!(Answer::read(signed).await.json, json!({"received": true}));
    let large = rig.http.post(&url).body(vec![b' '; 20_000]).send().await.unwrap();
    assert_eq!(large.status(), 413);
}

#[tokio::test]
async fn operators_act_on_accounts_and_adjustments_need_a_name_and_a_second_person() {
    let rig = World::new().serve().await;
    let path = |tail: &str| format!("/ops/v1/accounts/{ACCOUNT}{tail}");
    assert_eq!(rig.ops("GET", "/ops/v1/accounts", Value::Null).await.json["items"][0]["account"], ACCOUNT);
    assert_eq!(rig.ops("GET", &path(""), Value::Null).await.json["account"], ACCOUNT);
    let money = json!({"minor": 5, "currency": "CNY"});
    let (from, until) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    for (method, tail, body, told) in [
        ("POST", "/block", json!({"reason": "fraud"}), 200),
        ("POST", "/block", json!({"reason": ""}), 400),
        ("POST", "/unblock", json!({}), 200),
        ("POST", "/unblock", json!({"rule": "x"}), 400),
        ("PUT", "/credit", json!({"limit": money}), 200),
        ("POST", "/coupons", json!({"coupon_id": "C1", "amount": money, "from": from, "until": until}), 200),
        ("POST", "/coupons", json!({"coupon_id": "C1", "from": from, "until": until}), 400),
        (
            "POST",
            "/coupons",
            json!({"coupon_id": "C1", "amount": money, "percent": 5, "from": from, "until": until}),
            400,
        ),
    ] {
        let answer = rig.ops(method, &path(tail), body.clone()).await;
        assert_eq!(answer.status, told, "{tail} {body}: {}", answer.text);
    }
    assert_eq!(rig.ops("GET", "/ops/v1/accounts/ada", Value::Null).await.told(), (404, "account_unknown"));
    let books = rig.ops("GET", "/ops/v1/ledger/verify", Value::Null).await;
    assert_eq!((&books.json["sound"], &books.json["entries"]), (&json!(true), &json!(2)));
}
