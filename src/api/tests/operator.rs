//! The operator API over real HTTP: its door, its routes, secrets shown once, health.

use super::*;
use serde_json::json;

#[tokio::test]
async fn no_route_opens_without_the_token_and_partners_cannot_use_theirs() {
    // A stranger who is banned is told so: here each is let fail as often as there are routes.
    let mut api = config();
    api.failures_before_ban = 1000;
    let rig = World::with(api).serve().await;
    for (method, path, _) in crate::api::operator::routes() {
        let target = format!("{}/ops/v1{}", rig.ops, path.replace(['{', '}'], ""));
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let plain = rig.http.request(method.clone(), &target);
        let wrong = rig.http.request(method.clone(), &target).bearer_auth("co_wrong");
        let mut signed = rig.http.request(method.clone(), &target);
        for (name, value) in rig.call("GET", "/x", "").sign() {
            signed = signed.header(name, value);
        }
        for request in [plain, wrong, signed] {
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(answer.told(), (401, "unauthorized"), "{method} {path}");
        }
    }
}

#[test]
fn the_routes_are_those_of_the_document() {
    let document = include_str!("../../../docs/operator-api.md");
    for (method, path, _) in crate::api::operator::routes() {
        let line = format!("`{method} /ops/v1{path}`");
        assert!(document.contains(&line), "docs/operator-api.md should list {line}");
    }
    let listed = document.matches("/ops/v1/").count();
    assert_eq!(listed, crate::api::operator::routes().len(), "and nothing else");
}

#[test]
fn every_command_is_in_the_document() {
    let document = include_str!("../../../docs/operator-api.md");
    let table = document.split("## Commands to chargers").nth(1).unwrap();
    for kind in <crate::api::port::CommandKind as clap::ValueEnum>::value_variants() {
        assert!(table.contains(&format!("{kind:?}")), "docs/operator-api.md should list {kind:?}");
    }
}

#[tokio::test]
async fn health_is_open_and_readiness_tells_its_reasons() {
    let world = World::new();
    let rig = world.serve().await;
    let get = |path: &str| rig.http.get(format!("{}{path}", rig.ops)).send();
    assert_eq!(get("/healthz").await.unwrap().status(), 200);
    assert_eq!(get("/readyz").await.unwrap().status(), 200);
    world.runtime.not_ready.lock().unwrap().push("recovering: 12 of 90 streams".into());
    let answer = Answer::read(get("/readyz").await.unwrap()).await;
    assert_eq!((answer.status, &answer.json["reasons"][0]), (503, &json!("recovering: 12 of 90 streams")));
    assert_eq!(get("/healthz").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_new_charger_gets_a_password_shown_once_and_a_known_one_keeps_its_own() {
    let rig = World::new().serve().await;
    let body = json!({"site_id": "S1", "connectors": 2, "boot": "Accepted", "auth": "basic"});
    let made = rig.ops("PUT", "/ops/v1/chargers/CP9", body.clone()).await;
    assert_eq!((made.status, made.json["password"].as_str().map(str::len)), (201, Some(40)), "{}", made.text);
    let again = rig.ops("PUT", "/ops/v1/chargers/CP9", body.clone()).await;
    assert_eq!((again.status, &again.json["password"]), (200, &Value::Null));
    let mut given = body;
    given["password"] = json!("short");
    assert_eq!(rig.ops("PUT", "/ops/v1/chargers/CP8", given).await.told(), (400, "invalid_field"));
    let open = json!({"site_id": "S1", "connectors": 1, "auth": "none"});
    assert_eq!(rig.ops("PUT", "/ops/v1/chargers/CP7", open).await.json["password"], Value::Null);
}

#[tokio::test]
async fn partners_keys_and_webhooks_are_managed_and_secrets_shown_once() {
    let rig = World::new().serve().await;
    let put = json!({"name": "One", "webhook": {"url": "https://example.com/hook"}, "sites": "all"});
    let made = rig.ops("PUT", "/ops/v1/partners/p1", put).await;
    assert_eq!(made.json["webhook_secret"], "whsec_shown-once", "{}", made.text);
    let key = rig.ops("POST", "/ops/v1/partners/p1/keys", Value::Null).await;
    let (id, secret) = (key.json["key_id"].as_str().unwrap(), key.json["secret"].as_str().unwrap());
    assert!(key.status == 201 && id.starts_with("ck_") && secret.starts_with("cs_") && secret.len() > 40);
    let shown = rig.ops("GET", "/ops/v1/partners/p1", Value::Null).await;
    assert!(shown.text.contains(id) && !shown.text.contains(secret) && !shown.text.contains("whsec"));
    let revoked = rig.ops("DELETE", &format!("/ops/v1/partners/p1/keys/{id}"), Value::Null).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(rig.ops("DELETE", "/ops/v1/partners/p1/keys/ck_x", Value::Null).await.told(), (404, "not_found"));
    let rotated = rig.ops("POST", "/ops/v1/partners/p1/webhook/secret", json!({"overlap_s": 60})).await;
    assert!(rotated.status == 201 && rotated.json["secret"].as_str().unwrap().starts_with("whsec_"));
    for (action, enabled) in [("disable", false), ("enable", true)] {
        let answer = rig.ops("POST", &format!("/ops/v1/partners/p1/webhook/{action}"), Value::Null).await;
        assert_eq!(answer.json["enabled"], enabled);
    }
    let inside = json!({"name": "One", "webhook": {"url": "http://169.254.169.254/"}});
    assert_eq!(rig.ops("PUT", "/ops/v1/partners/p1", inside).await.told(), (400, "endpoint_refused"));
    let unknown = rig.ops("POST", "/ops/v1/partners/nobody/keys", Value::Null).await;
    assert_eq!(unknown.told(), (404, "partner_unknown"));
}

#[tokio::test]
async fn configurations_are_applied_listed_rolled_back_and_refused_with_their_problems() {
    let rig = World::new().serve().await;
    for version in 1..=2 {
        let applied = rig.ops("PUT", "/ops/v1/config", json!({"toml": format!("[api]\n# {version}")})).await;
        assert_eq!(applied.json["version"], version);
    }
    assert_eq!(rig.ops("POST", "/ops/v1/config/rollback", json!({"version": 1})).await.json["version"], 3);
    assert_eq!(rig.ops("GET", "/ops/v1/config", Value::Null).await.json["current"], 3);
    let bad = rig.ops("PUT", "/ops/v1/config", json!({"toml": "bad"})).await;
    assert_eq!(
        (bad.told(), &bad.json["error"]["details"][0]["field"]),
        ((400, "config_invalid"), &json!("api.page_max"))
    );
}

#[tokio::test]
async fn the_rest_of_the_operators_calls_reach_the_runtime() {
    let world = World::new();
    let rig = world.serve().await;
    let command =
        rig.ops("POST", "/ops/v1/chargers/CP1/commands", json!({"kind": "Reset", "payload": {"type": "Soft"}})).await;
    let id = command.json["command_id"].as_str().unwrap().to_owned();
    assert_eq!(command.status, 202);
    let state = rig.ops("GET", &format!("/ops/v1/chargers/CP1/commands/{id}"), Value::Null).await;
    assert_eq!(state.json["kind"], "Reset");
    let unknown = rig.ops("POST", "/ops/v1/chargers/CP1/commands", json!({"kind": "Explode"})).await;
    assert_eq!(unknown.told(), (400, "invalid_field"));
    assert_eq!(
        rig.ops("POST", "/ops/v1/chargers/CP1/maintenance", json!({"on": true})).await.json["maintenance"],
        true
    );
    let session = rig.post("/sessions", &start_body("r1", 1)).await.json["session_id"].as_str().unwrap().to_owned();
    let stop = rig.ops("POST", &format!("/ops/v1/sessions/{session}/stop"), Value::Null).await;
    assert_eq!((stop.status, &stop.json["status"]), (202, &json!("StopPending")));
    let shown = rig.ops("GET", &format!("/ops/v1/sessions/{session}"), Value::Null).await;
    assert_eq!(shown.json["partner_id"], "p1", "operators see whose it is");
    let token = rig.ops("PUT", "/ops/v1/tokens/04A1B2C3", json!({"status": "Accepted"})).await;
    assert_eq!((token.status, world.runtime.token_count()), (200, 1));
    let erase = |user: &str| rig.ops("POST", "/ops/v1/partners/p1/users/erase", json!({"user_id": user}));
    assert_eq!([erase("u1").await.status, erase("").await.status], [202, 400]);
    assert!(world.runtime.erased().is_empty(), "it waits for a second person");
    world.runtime.quarantine("charger/CP2");
    assert_eq!(rig.ops("GET", "/ops/v1/quarantine", Value::Null).await.json["items"][0]["entity"], "charger/CP2");
    let release = |entity| rig.ops("POST", "/ops/v1/quarantine/release", json!({"entity": entity}));
    assert_eq!([release("charger/CP2").await.status, release("charger/CP2").await.status], [200, 404]);
    assert_eq!(
        rig.ops("POST", "/ops/v1/journal/backup", json!({"name": "../../etc"})).await.told(),
        (400, "invalid_field")
    );
    assert_eq!(rig.ops("POST", "/ops/v1/journal/backup", json!({"name": "monday"})).await.status, 200);
    for path in ["/sites", "/chargers", "/partners", "/sessions", "/tickets", "/alerts", "/journal/stats"] {
        assert_eq!(rig.ops("GET", &format!("/ops/v1{path}"), Value::Null).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_tariff_is_checked_published_rolled_out_and_taken_back() {
    // MO-2.
    let rig = World::new().serve().await;
    let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 8000, "service": 4000});
    let good = json!({"id": "t1", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
    let mut bad = good.clone();
    bad["slices"][0]["to"] = json!("20:00");
    let told = rig.ops("POST", "/ops/v1/tariffs/t1/check", bad).await;
    assert_eq!(told.told(), (400, "tariff_invalid"));
    let detail = &told.json["error"]["details"][0];
    assert_eq!(
        (&detail["field"], detail["problem"].as_str().map(|p| p.contains("20:00 to 24:00"))),
        (&json!("slices"), Some(true))
    );
    let checked = rig.ops("POST", "/ops/v1/tariffs/t1/check", good.clone()).await;
    assert_eq!((checked.status, &checked.json["version"]), (200, &json!(1)), "{}", checked.text);
    assert_eq!(rig.ops("GET", "/ops/v1/tariffs/t1", Value::Null).await.told(), (404, "tariff_unknown"));
    for version in [1, 2] {
        let made = rig.ops("PUT", "/ops/v1/tariffs/t1", good.clone()).await;
        assert_eq!(made.json["version"], version, "{}", made.text);
        let out = rig.ops("POST", "/ops/v1/tariffs/t1/roll-out", json!({"version": version})).await;
        assert_eq!(out.status, 200, "{}", out.text);
    }
    let at = || rig.ops("GET", "/ops/v1/sites/S1/tariff?at=2030-01-01T00:00:00Z", Value::Null);
    assert_eq!(at().await.json["version"], 2);
    assert_eq!(rig.ops("POST", "/ops/v1/tariffs/t1/roll-back", Value::Null).await.status, 200);
    assert_eq!(at().await.json["version"], 1);
    assert_eq!(rig.ops("PUT", "/ops/v1/tariffs/t2", good.clone()).await.told(), (400, "invalid_field"));
    let stale =
        json!({"id": "t1", "version": 2, "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": good["slices"]});
    assert_eq!(rig.ops("PUT", "/ops/v1/tariffs/t1", stale).await.told(), (409, "tariff_conflict"));
}

#[tokio::test]
async fn a_tariff_goes_out_as_ocpi_and_comes_in_again() {
    let rig = World::new().serve().await;
    let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 8000, "service": 4001});
    let tariff = json!({"id": "t1", "currency": "EUR", "time_zone": "Europe/Berlin", "slices": [slice]});
    assert_eq!(rig.ops("PUT", "/ops/v1/tariffs/t1", tariff).await.status, 200);
    let out = rig.ops("GET", "/ops/v1/tariffs/t1/ocpi?country_code=DE&party_id=ABC", Value::Null).await;
    assert!(out.text.contains(r#""price":1.2001"#), "{}", out.text);
    let back = rig.ops("POST", "/ops/v1/tariffs/t2/ocpi?time_zone=Europe/Berlin", out.json["tariff"].clone()).await;
    assert_eq!((back.status, &back.json["tariff"]["slices"][0]["electricity"]), (200, &json!(12001)), "{}", back.text);
    let zone = rig.ops("POST", "/ops/v1/tariffs/t2/ocpi", out.json["tariff"].clone()).await;
    assert_eq!(zone.told(), (400, "invalid_field"));
    let mut limited = out.json["tariff"].clone();
    limited["elements"][0]["restrictions"] = json!({"max_kwh": 5});
    let told = rig.ops("POST", "/ops/v1/tariffs/t2/ocpi?time_zone=Europe/Berlin", limited).await;
    assert_eq!(told.told(), (400, "tariff_invalid"));
    assert_eq!(told.json["error"]["details"][0]["field"], "elements[0].restrictions.max_kwh");
}
