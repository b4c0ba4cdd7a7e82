//! EM-6, EM-13 and controls 22, 30, 31 over real HTTP: what a partner may see, paging, ETags, and that the documents and
//! the routes are the same.

use super::*;
use serde_json::json;

#[tokio::test]
async fn another_partners_things_do_not_exist_by_any_route() {
    let world = World::new();
    let rig = world.serve().await;
    let id = rig.post("/sessions", &start_body("r1", 1)).await.json["session_id"].as_str().unwrap().to_owned();
    let document = serde_json::to_value(rig.partner.openapi()).unwrap();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap();
        if !["{session_id}", "{request_id}", "{reservation_id}"].iter().any(|named| path.contains(named)) {
            continue;
        }
        // Each call finds a reservation of its own: what ends one cannot be asked twice.
        let held = rig.post("/reservations", &reserve_body(&format!("h{tried}"), 1)).await.json;
        let held = held["reservation_id"].as_str().unwrap();
        let own = path.replace("{session_id}", &id).replace("{request_id}", "r1").replace("{reservation_id}", held);
        for method in item.as_object().unwrap().keys() {
            let (method, body) = match method.as_str() {
                "get" => ("GET", String::new()),
                _ if own.ends_with("/complaint") => ("POST", format!(r#"{{"request_id":"x{tried}","kind":"other"}}"#)),
                _ => ("POST", format!(r#"{{"request_id":"x{tried}"}}"#)),
            };
            let body = body.as_str();
            assert!(rig.send(&rig.call(method, &own, body)).await.status < 300, "{method} {own} works for its owner");
            let answer = rig.as_p2(method, &own, body).await;
            assert_eq!(answer.status, 404, "{method} {own}: {}", answer.text);
            let none = "00000000-0000-7000-8000-000000000000";
            let nothing = own.replace(&id, none).replace(held, none).replace("r1", "r9");
            let unknown = rig.as_p2(method, &nothing, &body.replace("\"x", "\"y")).await;
            assert_eq!(unknown.code(), answer.code(), "and looks like something that never was");
            tried += 1;
        }
    }
    assert_eq!(tried, 6);
    assert_eq!(rig.as_p2("GET", "/sessions", "").await.json, json!({"items": []}));
}

#[tokio::test]
async fn lists_are_paged_to_their_end() {
    let rig = World::new().serve().await;
    let first = rig.get("/chargers?limit=1").await.json;
    let next = first["next"].as_str().unwrap();
    let second = rig.get(&format!("/chargers?limit=1&cursor={next}")).await.json;
    assert_eq!((&first["items"][0]["charger_id"], &second["items"][0]["charger_id"]), (&json!("CP1"), &json!("CP2")));
    assert_eq!(second["next"], Value::Null);
    for bad in ["limit=501", "limit=0", "limit=x", "page=1", "limit=1&limit=1"] {
        assert_eq!(rig.get(&format!("/chargers?{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn events_are_read_on_from_where_one_stopped() {
    let world = World::new();
    let rig = world.serve().await;
    for n in 0..3 {
        world.runtime.add_event("p1", json!({"id": format!("evt_{n}")}));
        world.runtime.add_event("p2", json!({"id": "foreign"}));
    }
    let first = rig.get("/events?limit=2").await.json;
    let rest = rig.get(&format!("/events?after={}", first["next"].as_str().unwrap())).await.json;
    assert_eq!((first["items"].as_array().unwrap().len(), &rest["items"]), (2, &json!([{"id": "evt_2"}])));
    assert!(rest["next"].is_string(), "always, for there may be more later");
    assert_eq!(rig.get("/events?after=rubbish").await.told(), (400, "invalid_field"));
}

#[tokio::test]
async fn unchanged_master_data_costs_nothing_to_ask_for_again() {
    let world = World::new();
    let rig = world.serve().await;
    let first = rig.get("/chargers/CP1").await;
    let tag = first.header("etag").to_owned();
    let again =
        || Call { headers: vec![("if-none-match".into(), tag.clone())], ..rig.call("GET", "/chargers/CP1", "") };
    let same = rig.send(&again()).await;
    assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", tag.as_str()));
    world.runtime.set_online("CP1", false);
    assert_eq!(rig.send(&again()).await.status, 200);
}

#[tokio::test]
async fn the_catalogue_and_statuses_are_asked_for_in_one_way_at_a_time() {
    let rig = World::new().serve().await;
    for (path, wanted) in [
        ("/catalogue", "Beginning, 100"),
        ("/catalogue?limit=7&cursor=9-1", "Cursor(\"9-1\"), 7"),
        ("/catalogue?updated_since=1970-01-01T00:00:05Z", "Since(Moment(Timestamp(5000))), 100"),
    ] {
        assert_eq!(rig.get(path).await.json["next"], wanted, "{path}");
    }
    let many = vec!["CP1/1"; 101].join(",");
    for (path, status, code) in [
        ("/catalogue?cursor=9-1&updated_since=1970-01-01T00:00:05Z", 400, "invalid_field"),
        ("/catalogue?updated_since=yesterday", 400, "invalid_field"),
        ("/statuses?connectors=CP1/1&site_id=S1", 400, "invalid_field"),
        (&format!("/statuses?connectors={many}"), 400, "invalid_field"),
        ("/statuses?connectors=CP1", 400, "invalid_field"),
        ("/statuses?connectors=", 400, "invalid_field"),
        ("/statuses?site_id=..", 404, "site_unknown"),
        ("/chargers/CP1/connectors/x", 404, "connector_unknown"),
        ("/resolve", 400, "invalid_field"),
        ("/resolve?code=", 400, "invalid_field"),
        ("/resolve?code=none", 404, "code_unknown"),
    ] {
        assert_eq!(rig.get(path).await.told(), (status, code), "{path}");
    }
    let page = rig.get("/statuses?connectors=CP1/2,CP9/1").await;
    assert_eq!((&page.json["items"][0]["connector_id"], &page.json["unknown"]), (&json!(2), &json!(["CP9/1"])));
    let known = vec![("if-none-match".into(), page.header("etag").to_owned())];
    let same = rig.send(&Call { headers: known, ..rig.call("GET", "/statuses?connectors=CP1/2,CP9/1", "") }).await;
    assert_eq!(same.status, 304);
    assert_eq!(rig.get("/statuses").await.json["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn identifiers_that_cannot_be_are_unknown_and_reach_nobody() {
    let rig = World::new().serve().await;
    for path in
        ["/chargers/a.b", "/chargers/%2e%2e", "/chargers/a%00b", "/sites/%2F", "/sessions/none", "/operations/*"]
    {
        assert_eq!(rig.get(path).await.status, 404, "{path}");
    }
    for (method, path) in [("DELETE", "/sites"), ("PUT", "/sessions")] {
        let answer = rig.send(&rig.call(method, path, "")).await;
        assert_eq!(answer.told(), (405, "method_not_allowed"), "{method} {path}");
    }
    assert_eq!(rig.get("/nothing").await.told(), (404, "not_found"));
    let overridden = Call {
        headers: vec![("x-http-method-override".into(), "DELETE".into()), ("origin".into(), "https://a.b".into())],
        ..rig.call("GET", "/sites", "")
    };
    let answer = rig.send(&overridden).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn prices_are_those_in_force_at_a_site_and_are_not_sent_twice() {
    // EM-6.
    let rig = World::new().serve().await;
    rig.ops("PUT", "/ops/v1/sites/S1", json!({"name": "One", "time_zone": "Asia/Shanghai"})).await;
    assert_eq!(rig.get("/sites/S1/tariff").await.told(), (404, "tariff_unknown"));
    assert_eq!(rig.get("/sites/S9/tariff").await.told(), (404, "site_unknown"));
    let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 8000, "service": 4000});
    let tariff = json!({"id": "t1", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
    rig.ops("PUT", "/ops/v1/tariffs/t1", tariff).await;
    rig.ops("POST", "/ops/v1/tariffs/t1/roll-out", json!({"version": 1})).await;
    let shown = rig.get("/sites/S1/tariff").await;
    assert_eq!((shown.status, &shown.json["slices"][0]["electricity"]), (200, &json!(8000)), "{}", shown.text);
    let known = vec![("if-none-match".into(), shown.header("etag").to_owned())];
    let again = rig.send(&Call { headers: known, ..rig.call("GET", "/sites/S1/tariff", "") }).await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
}

/// What docs/partner-api.md promises: a route more or less is a change of the contract.
const PROMISED: &[&str] = &[
    "GET /applications/{application_id}",
    "GET /catalogue",
    "GET /chargers",
    "GET /chargers/{id}",
    "GET /chargers/{id}/connectors/{connector_id}",
    "GET /events",
    "GET /keys",
    "GET /operations/{request_id}",
    "GET /orders",
    "GET /orders/{order_id}",
    "GET /reservation-terms",
    "GET /reservations",
    "GET /reservations/{reservation_id}",
    "GET /resolve",
    "GET /sessions",
    "GET /sessions/{session_id}",
    "GET /sites",
    "GET /sites/{id}",
    "GET /sites/{id}/tariff",
    "GET /statements",
    "GET /statements/{statement_id}",
    "GET /statements/{statement_id}/csv",
    "GET /statements/{statement_id}/disputes",
    "GET /statements/{statement_id}/json",
    "GET /statements/{statement_id}/lines",
    "GET /statuses",
    "GET /users/{user_id}/account",
    "GET /users/{user_id}/entries",
    "GET /users/{user_id}/top-ups/{top_up_id}",
    "GET /webhook",
    "GET /webhook/deliveries",
    "GET /webhooks/endpoints",
    "GET /webhooks/endpoints/{name}",
    "GET /webhooks/endpoints/{name}/dead-letters",
    "GET /webhooks/endpoints/{name}/deliveries",
    "POST /applications",
    "POST /applications/{application_id}/credentials",
    "POST /applications/{application_id}/withdraw",
    "POST /keys",
    "POST /keys/{key_id}/networks",
    "POST /keys/{key_id}/revoke",
    "POST /keys/{key_id}/rotate",
    "POST /orders/{order_id}/contest",
    "POST /orders/{order_id}/extend",
    "POST /orders/{order_id}/pay",
    "POST /reservations",
    "POST /reservations/{reservation_id}/cancel",
    "POST /reservations/{reservation_id}/complaint",
    "POST /sessions",
    "POST /sessions/{session_id}/stop",
    "POST /statements/{statement_id}/confirm",
    "POST /statements/{statement_id}/orders/{order_id}/confirm",
    "POST /statements/{statement_id}/orders/{order_id}/dispute",
    "POST /statements/{statement_id}/papers",
    "POST /users/{user_id}/debts/pay",
    "POST /users/{user_id}/top-ups",
    "POST /webhook/pause",
    "POST /webhook/replay",
    "POST /webhook/resume",
    "POST /webhook/subscription",
    "POST /webhook/test",
    "POST /webhooks/endpoints",
    "POST /webhooks/endpoints/{name}",
    "POST /webhooks/endpoints/{name}/pause",
    "POST /webhooks/endpoints/{name}/remove",
    "POST /webhooks/endpoints/{name}/replay",
    "POST /webhooks/endpoints/{name}/resume",
    "POST /webhooks/endpoints/{name}/secret",
    "POST /webhooks/endpoints/{name}/test",
    "POST /webhooks/endpoints/{name}/verify",
    "PUT /applications/{application_id}",
];

#[tokio::test]
async fn every_documented_route_exists_and_is_signed_but_for_applications() {
    let rig = World::new().serve().await;
    let served = Answer::read(rig.http.get(format!("{}/openapi.json", rig.url)).send().await.unwrap()).await;
    let mut found = Vec::new();
    for (path, item) in served.json["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let target = path.replace(['{', '}'], "");
            let call = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let bare = Answer::read(rig.http.request(call, format!("{}{target}", rig.url)).send().await.unwrap()).await;
            // Who applies to become a partner has no key yet.
            let open = path.starts_with("/api/v1/applications");
            assert_eq!(bare.told() == (401, "missing_signature"), !open, "{method} {path}");
            assert!((400..500).contains(&bare.status), "{method} {path}");
            for status in ["400", "403", "429", "500", "503"] {
                assert!(operation["responses"][status].is_object(), "{method} {path} documents {status}");
            }
            assert_eq!(operation["responses"]["401"].is_object(), !open, "{method} {path} documents 401");
            assert!(operation["summary"].as_str().is_some_and(|s| s.len() > 5), "{method} {path} says what it does");
            found.push(format!("{} {}", method.to_uppercase(), path.trim_start_matches("/api/v1")));
        }
    }
    found.sort();
    assert_eq!(found, PROMISED);
}

#[tokio::test]
async fn the_docs_page_shows_every_route_and_needs_no_network() {
    let rig = World::new().serve().await;
    let page = Answer::read(rig.http.get(format!("{}/docs", rig.url)).send().await.unwrap()).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for part in ["/api/v1/sessions/{session_id}/stop", "X-Chargeline-Signature", "id=\"SessionView\"", "ErrorBody"] {
        assert!(page.text.contains(part), "{part}");
    }
    for outside in ["<script", "http://", "https://", "<link", "<img", "@import"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
}

#[tokio::test]
async fn every_code_that_partners_are_promised_is_in_the_catalogue_and_in_the_document() {
    let reference = crate::api::catalogue::reference::markdown();
    let rig = World::new().serve().await;
    let served = Answer::read(rig.http.get(format!("{}/openapi.json", rig.url)).send().await.unwrap()).await;
    let told = &served.json["x-errors"]["request_id_conflict"];
    assert_eq!((&told["status"], &told["fault"], &told["retry"]), (&409.into(), &"partner".into(), &"no".into()));
    assert_eq!(told["message_zh"], "请重试。");
    assert_eq!(served.json["x-errors"].as_object().unwrap().len(), crate::api::catalogue::Code::ALL.len());
    for code in ["connector_occupied", "charger_offline", "request_id_conflict", "not_plugged_in"] {
        assert!(reference.contains(&format!("| `{code}` |")), "{code}");
    }
}
