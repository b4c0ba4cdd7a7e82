//! OP-3, OP-2 over real HTTP: roles of every route, tokens, names, bans, the audit trail, second persons.

use super::*;
use crate::api::operator::permissions::TABLE;
use crate::api::operator::routes;
use crate::domain::operator::Role;
use serde_json::json;

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn an_operator_of_each_role_opens_the_routes_of_that_role_and_no_other() {
    // Control 40: the whole matrix.
    let world = World::new();
    let tokens: Vec<_> =
        Role::ALL.into_iter().map(|role| (role, world.runtime.admit(role.as_str(), &[role]))).collect();
    let nobody = world.runtime.admit("nobody", &[]);
    let rig = world.serve().await;
    let (mut opened, mut refused) = (0, 0);
    for (method, path, _) in routes() {
        let (_, _, roles) = TABLE.iter().find(|(verb, of, _)| (*verb, *of) == (method, path)).unwrap();
        let target = format!("/ops/v1{}", path.replace(['{', '}'], ""));
        for (role, token) in &tokens {
            let allowed = *role == Role::Administrator || roles.contains(role);
            let answer = rig.ops_as(&bearer(token), None, method, &target, Value::Null).await;
            assert_eq!(answer.code() != "operator_role", allowed, "{role}: {method} {path}: {}", answer.text);
            if allowed {
                assert_ne!(answer.status, 401, "{role}: {method} {path}");
                opened += 1;
            } else {
                assert_eq!(answer.status, 403);
                let said = answer.json["error"]["details"][0]["allowed"].as_str().unwrap().to_owned();
                let expected: Vec<_> = roles.iter().chain([&Role::Administrator]).map(|role| role.as_str()).collect();
                assert_eq!(said, expected.join(", "), "{method} {path}");
                refused += 1;
            }
        }
        let answer = rig.ops_as(&bearer(&nobody), None, method, &target, Value::Null).await;
        assert_eq!(answer.told(), (403, "operator_role"), "nobody: {method} {path}");
    }
    assert!(opened > 150 && refused > 100, "{opened} opened, {refused} refused");
}

#[tokio::test]
async fn a_token_is_shown_once_and_opens_nothing_once_it_is_revoked() {
    let rig = World::new().serve().await;
    let body = json!({"name": "Ada", "roles": ["support"]});
    assert_eq!(rig.ops("PUT", "/ops/v1/operators/ada", body.clone()).await.status, 201);
    assert_eq!(rig.ops("PUT", "/ops/v1/operators/ada", body).await.status, 200);
    let made = rig.ops("POST", "/ops/v1/operators/ada/tokens", json!({"label": "laptop"})).await;
    let (id, token) = (made.json["token_id"].as_str().unwrap(), made.json["token"].as_str().unwrap());
    assert!(
        made.status == 201 && token.starts_with(&format!("co_{id}_")) && token.len() == 3 + 12 + 1 + 64,
        "{}",
        made.text
    );
    let own = bearer(token);
    assert_eq!(rig.ops_as(&own, None, "GET", "/ops/v1/sites", Value::Null).await.status, 200);
    let wrong = format!("Bearer co_{id}_{}", "0".repeat(64));
    assert_eq!(rig.ops_as(&wrong, None, "GET", "/ops/v1/sites", Value::Null).await.told(), (401, "unauthorized"));
    let revoked = rig.ops("DELETE", &format!("/ops/v1/operators/ada/tokens/{id}"), Value::Null).await;
    assert_eq!(revoked.status, 200);
    assert_eq!(rig.ops_as(&own, None, "GET", "/ops/v1/sites", Value::Null).await.told(), (401, "unauthorized"));
    for (method, path, body, told) in [
        ("PUT", "/operators/root", json!({"name": "R", "roles": ["support"]}), (400, "invalid_field")),
        ("PUT", "/operators/a.b", json!({"name": "R", "roles": ["support"]}), (400, "invalid_field")),
        ("PUT", "/operators/bob", json!({"name": "R", "roles": []}), (400, "invalid_field")),
        ("PUT", "/operators/bob", json!({"name": "R", "roles": ["boss"]}), (400, "invalid_field")),
        ("POST", "/operators/bob/tokens", json!({"label": "x"}), (404, "operator_unknown")),
        ("POST", "/operators/ada/tokens", json!({"label": "x", "valid_s": 0}), (400, "invalid_field")),
        ("POST", "/operators/ada/suspend", json!({"reason": ""}), (400, "invalid_field")),
        ("GET", "/audit?from=yesterday", Value::Null, (400, "invalid_field")),
        ("GET", "/tickets?open=maybe", Value::Null, (400, "invalid_field")),
        ("GET", "/tickets/t9", Value::Null, (404, "ticket_unknown")),
        ("POST", "/tickets/t1/note", json!({"text": "a\u{7}"}), (400, "invalid_field")),
        ("GET", "/approvals/a9", Value::Null, (404, "approval_unknown")),
    ] {
        let answer = rig.ops(method, &format!("/ops/v1{path}"), body).await;
        assert_eq!(answer.told(), told, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn with_ones_own_token_one_cannot_say_another_name() {
    let world = World::new();
    let token = bearer(&world.runtime.admit("ada", &[Role::Operations]));
    let rig = world.serve().await;
    let put = |named: Option<&'static str>, bearer: &str| {
        let bearer = bearer.to_owned();
        let rig = &rig;
        async move { rig.ops_as(&bearer, named, "PUT", "/ops/v1/sites/S1", json!({"name": "x"})).await.status }
    };
    assert_eq!(
        [put(None, &token).await, put(Some("ada"), &token).await, put(Some("ADA"), &token).await],
        [200, 200, 200]
    );
    let other = rig.ops_as(&token, Some("bob"), "PUT", "/ops/v1/sites/S1", json!({"name": "x"})).await;
    assert_eq!(other.told(), (403, "operator_name"));
    assert_eq!([put(None, &rig.bearer).await, put(Some("bob"), &rig.bearer).await], [200, 200]);
    let by: Vec<_> = world.runtime.lines().iter().map(|line| (line.actor.to_string(), line.status)).collect();
    let ada = || "ada".to_owned();
    let expected =
        [(ada(), 200), (ada(), 200), (ada(), 200), (ada(), 403), ("root".into(), 200), ("root/bob".into(), 200)];
    assert_eq!(by, expected);
}

#[tokio::test]
async fn failed_tokens_bring_a_ban_and_the_installations_token_still_opens() {
    let world = World::new();
    let token = world.runtime.admit("ada", &[Role::Support]);
    let rig = world.serve().await;
    let (right, wrong) = (bearer(&token), bearer(&format!("{}{}", &token[..16], "0".repeat(64))));
    let get = async |bearer: &str| rig.ops_as(bearer, None, "GET", "/ops/v1/sites", Value::Null).await;
    assert_eq!(get(&right).await.status, 200);
    for _ in 0..world.api.failures_before_ban {
        assert_eq!(get(&wrong).await.told(), (401, "unauthorized"));
    }
    let banned = get(&right).await;
    assert_eq!((banned.told(), banned.header("retry-after")), ((403, "banned"), "300"));
    assert_eq!(get(&rig.bearer).await.status, 200, "the emergency way in");
    let lines = world.runtime.lines();
    let told: Vec<_> = lines.iter().map(|line| (&*line.actor, line.token.as_deref(), line.status)).collect();
    assert_eq!(told, vec![("", Some(&token[3..15]), 401); 5], "each failure has a line, the ban's refusals have none");
    rig.clock.forward(301);
    assert_eq!(get(&right).await.status, 200);
}

#[tokio::test]
async fn every_write_and_every_refusal_leaves_a_line_and_no_look_does() {
    let world = World::new();
    let token = world.runtime.admit("ada", &[Role::Operations]);
    let rig = world.serve().await;
    let own = bearer(&token);
    rig.ops_as(&own, None, "GET", "/ops/v1/sites", Value::Null).await;
    assert!(world.runtime.lines().is_empty(), "who looks leaves none");
    let done = rig.ops_as(&own, None, "PUT", "/ops/v1/sites/S7", json!({"name": "Harbour"})).await;
    let bad = rig.ops_as(&own, None, "PUT", "/ops/v1/sites/S8", json!({"nome": "Harbour"})).await;
    let tag = rig.ops_as(&own, None, "PUT", "/ops/v1/tokens/04A1B2C3", json!({"status": "Accepted"})).await;
    let role = rig.ops_as(&own, None, "GET", "/ops/v1/audit", Value::Null).await;
    let named = json!({"reason": "fraud", "request_id": "r-7"});
    let asked = rig.ops("POST", &format!("/ops/v1/accounts/{}/block", "0".repeat(32)), named).await;
    let lines = world.runtime.lines();
    let told: Vec<_> =
        lines.iter().map(|line| (&*line.actor, &*line.action, line.status, line.code.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("ada", "PUT /ops/v1/sites/{site_id}", 200, None),
            ("ada", "PUT /ops/v1/sites/{site_id}", 400, Some("unknown_field")),
            ("ada", "PUT /ops/v1/tokens/{id_tag}", 200, None),
            ("ada", "GET /ops/v1/audit", 403, Some("operator_role")),
            ("root", "POST /ops/v1/accounts/{account}/block", 200, None),
        ]
    );
    for (line, answer) in lines.iter().zip([&done, &bad, &tag, &role, &asked]) {
        assert_eq!((&*line.trace_id, &*line.address), (answer.header("x-trace-id"), "127.0.0.1"));
    }
    assert_eq!((&*lines[0].target, lines[0].token.as_deref()), ("/ops/v1/sites/S7", Some(&token[3..15])));
    assert_eq!(lines[4].request_id.as_deref(), Some("r-7"));
    let all = serde_json::to_string(&lines).unwrap();
    for hidden in ["Harbour", "04A1B2C3", "fraud", &token] {
        assert!(!all.contains(hidden), "{hidden} is in {all}");
    }
    let page = rig.ops("GET", "/ops/v1/audit?actor=ada&limit=2", Value::Null).await;
    assert_eq!(page.json["items"].as_array().map(Vec::len), Some(2), "{}", page.text);
    assert_eq!(rig.ops("GET", "/ops/v1/audit/verify", Value::Null).await.json["sound"], true);
    world.runtime.break_trail();
    let still = rig.ops_as(&own, None, "PUT", "/ops/v1/sites/S9", json!({"name": "x"})).await;
    assert_eq!(still.status, 200, "what was done is told as done; the log and a metric have the line");
}

#[tokio::test]
async fn a_dangerous_act_waits_for_another_operator_who_may_do_it() {
    let world = World::new();
    let of = |id: &str, roles: &[Role]| bearer(&world.runtime.admit(id, roles));
    let (ada, bob, fin) = (of("ada", &[Role::Support]), of("bob", &[Role::Support]), of("fin", &[Role::Finance]));
    let rig = world.serve().await;
    let body = json!({"user_id": "u1"});
    let waits = rig.ops_as(&ada, None, "POST", "/ops/v1/partners/p1/users/erase", body.clone()).await;
    assert_eq!((waits.status, &waits.json["status"]), (202, &json!("waiting")), "{}", waits.text);
    let id = waits.json["approval_id"].as_str().unwrap().to_owned();
    let path = format!("/ops/v1/approvals/{id}");
    let listed = rig.ops_as(&bob, None, "GET", "/ops/v1/approvals", Value::Null).await;
    assert_eq!(listed.json["items"][0]["proposed_by"], "ada", "{}", listed.text);
    let approve =
        async |bearer: &str, named| rig.ops_as(bearer, named, "POST", &format!("{path}/approve"), Value::Null).await;
    assert_eq!(approve(&ada, None).await.told(), (409, "second_person"));
    assert_eq!(approve(&rig.bearer, Some("bob")).await.told(), (403, "operator_account"));
    assert_eq!(approve(&fin, None).await.told(), (403, "operator_role"));
    assert!(world.runtime.erased().is_empty());
    let done = approve(&bob, None).await;
    assert_eq!((done.status, &done.json["outcome"]["erased"]), (200, &json!(true)), "{}", done.text);
    assert_eq!(world.runtime.erased(), ["u1"]);
    assert_eq!(approve(&bob, None).await.told(), (404, "approval_unknown"));
    // Whoever wanted it may drop it, and so may who may do it; nobody else.
    let again = rig.ops_as(&rig.bearer, Some("ada"), "POST", "/ops/v1/partners/p1/users/erase", body).await;
    let path = format!("/ops/v1/approvals/{}/withdraw", again.json["approval_id"].as_str().unwrap());
    assert_eq!(rig.ops_as(&fin, None, "POST", &path, Value::Null).await.told(), (403, "operator_role"));
    assert_eq!(rig.ops_as(&bob, None, "POST", &path, Value::Null).await.status, 200);
    // Adjustments and refunds: the installation's token is no second person, whatever name it says.
    for path in [
        format!("/ops/v1/accounts/{}/adjustments/{}/approve", "0".repeat(32), uuid::Uuid::nil()),
        format!("/ops/v1/orders/{}/refund/approve", uuid::Uuid::nil()),
    ] {
        let answer = rig.ops_as(&rig.bearer, Some("bob"), "POST", &path, Value::Null).await;
        assert_eq!(answer.told(), (403, "operator_account"), "{path}");
    }
}
