//! Operators through the whole server (OP-2, OP-3; controls 40 and 41): every role at every route, second persons, tokens, the audit
//! trail and the history of tickets over `kill -9`.

use crate::rig::{CHARGER, PARTNER, Rig, texts};
use chargeline::api::operator::reference::roles_of_routes;
use chargeline::domain::operator::Role;
use serde_json::{Value, json};

/// Every line of the trail, oldest first.
async fn lines(rig: &Rig) -> Vec<Value> {
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = rig.ops(&format!("/ops/v1/audit?limit=50{cursor}")).await;
        lines.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    lines.reverse();
    lines
}

fn count(lines: &[Value], actor: &str, status: u64) -> usize {
    lines.iter().filter(|line| line["actor"] == actor && line["status"] == status).count()
}

#[tokio::test]
async fn an_operator_of_each_role_tries_each_route_and_every_refusal_is_in_the_trail() {
    let rig = Rig::start().await;
    let (mut refused, mut opened) = (0, 0);
    for role in Role::ALL {
        let who = format!("a-{role}");
        let token = rig.enrol(&who, &[role.as_str()]).await;
        let mut mine = 0;
        for (method, path, roles) in roles_of_routes() {
            let allowed = role == Role::Administrator || roles.contains(&role);
            // What an administrator may do to the whole store and its settings is shown elsewhere.
            if allowed && (path.starts_with("/journal/") || method == "PUT") {
                continue;
            }
            let target = path.replace(['{', '}'], "");
            let (status, answer) = rig.with_token(&token, method, &target, &json!({"nonsense": 1})).await;
            let by_role = answer["error"]["code"] == "operator_role";
            assert_eq!(by_role, !allowed, "{role}: {method} {path}: {status} {answer}");
            assert!(status < 500, "{role}: {method} {path}: {status} {answer}");
            if by_role {
                mine += 1;
            } else {
                opened += 1;
            }
        }
        let lines = lines(&rig).await;
        assert_eq!(count(&lines, &who, 403), mine, "{role}: one line a refusal");
        refused += mine;
    }
    assert!(refused > 100 && opened > 100, "{refused} refused, {opened} opened");
    assert_eq!(rig.ops("/ops/v1/audit/verify").await["sound"], true);
}

#[tokio::test]
async fn an_act_waits_for_another_operator_and_a_kill_changes_nothing() {
    let mut rig = Rig::start().await;
    let (ada, bob) = (rig.enrol("ada", &["support"]).await, rig.enrol("bob", &["support"]).await);
    let erase = format!("/partners/{PARTNER}/users/erase");
    let (status, waits) = rig.with_token(&ada, "POST", &erase, &json!({"user_id": "user-it"})).await;
    assert_eq!((status, &waits["status"]), (202, &json!("waiting")), "{waits}");
    let path = format!("/approvals/{}", waits["approval_id"].as_str().unwrap());
    rig.server.kill().await.unwrap();
    rig.again().await;
    let listed = rig.ops("/ops/v1/approvals").await;
    assert_eq!((&listed["items"][0]["proposed_by"], &listed["items"][0]["act"]), (&json!("ada"), &json!("erase_user")));
    assert!(!listed.to_string().contains("user-it"), "a user's name is personal: {listed}");
    let approve = format!("{path}/approve");
    let none = json!({});
    for (token, told) in [(&ada, (409, "second_person")), (&rig.server.token().unwrap(), (403, "operator_account"))] {
        let (status, answer) = rig.with_token(token, "POST", &approve, &none).await;
        assert_eq!((status, answer["error"]["code"].as_str().unwrap()), told, "{answer}");
    }
    let (status, done) = rig.with_token(&bob, "POST", &approve, &none).await;
    assert_eq!((status, &done["outcome"]["erased"]), (200, &json!(true)), "{done}");
    assert_eq!(rig.with_token(&bob, "POST", &approve, &none).await.0, 404, "once");
    let shown = rig.ops(&format!("/ops/v1{path}")).await;
    assert_eq!((&shown["status"], &shown["decided_by"]), (&json!("done"), &json!("bob")), "{shown}");
    assert_eq!(rig.ops("/ops/v1/approvals").await["items"], json!([]));
}

#[tokio::test]
async fn tokens_end_at_once_and_the_trail_survives_a_kill() {
    let mut rig = Rig::start().await;
    let file = rig.token_file("eve").await.display().to_string();
    let url = format!("http://127.0.0.1:{}", rig.server.ports().operator);
    let reach = ["--url", &url, "--token-file", &file];
    let admin = |words: &[&str]| texts(&rig.admin(&[words, &reach].concat()));
    let (said, error) = admin(&["operator", "add", "fin", "--name", "Fin", "--role", "finance"]);
    assert!(said.contains("operator fin set"), "{said}{error}");
    let (shown, error) = admin(&["operator", "token", "add", "fin", "--label", "laptop", "--json"]);
    let made: Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown}{error}"));
    let (token, id) = (made["token"].as_str().unwrap().to_owned(), made["token_id"].as_str().unwrap().to_owned());
    assert_eq!(rig.with_token(&token, "GET", "/ledger/verify", &Value::Null).await.0, 200);
    let seen = rig.ops("/ops/v1/operators/fin").await;
    assert!(seen["tokens"][0]["last_used_at"].is_string() && !seen.to_string().contains(&token), "{seen}");
    rig.server.kill().await.unwrap();
    rig.again().await;
    let admin = |words: &[&str]| texts(&rig.admin(&[words, &reach].concat()));
    assert_eq!(rig.with_token(&token, "GET", "/sites", &Value::Null).await.0, 200, "after the kill, too");
    assert!(admin(&["operator", "token", "revoke", "fin", &id]).0.contains("revoked"));
    assert_eq!(rig.with_token(&token, "GET", "/sites", &Value::Null).await.0, 401, "at once");
    let (other, _) = admin(&["operator", "token", "add", "fin", "--label", "other", "--json"]);
    let other: Value = serde_json::from_str(&other).unwrap();
    let other = other["token"].as_str().unwrap();
    assert!(admin(&["operator", "suspend", "fin", "--reason", "left"]).0.contains("suspended"));
    assert_eq!(rig.with_token(other, "GET", "/sites", &Value::Null).await.0, 401, "a suspended one, too");
    assert!(admin(&["operator", "suspend", "eve", "--reason", "x"]).1.contains("own_account"));
    // A line is there before its call is answered: killed right after an answer, it still is.
    for n in 0..5 {
        let site = format!("/sites/k-{n}");
        rig.order("eve", "PUT", &site, &json!({"name": "Site"})).await;
        rig.server.kill().await.unwrap();
        rig.again().await;
        let newest = lines(&rig).await.pop().unwrap();
        let told = (newest["actor"].as_str(), newest["target"].as_str(), newest["status"].as_u64());
        assert_eq!(told, (Some("eve"), Some(format!("/ops/v1{site}").as_str()), Some(200)), "{newest}");
    }
    let found = rig.ops("/ops/v1/audit?actor=eve&action=tokens&limit=10").await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(3), "made, revoked, made: {found}");
    let later = rig.ops("/ops/v1/audit?from=2100-01-01T00:00:00Z").await;
    assert_eq!(later["items"], json!([]));
    let verified = rig.ops("/ops/v1/audit/verify").await;
    assert_eq!((&verified["sound"], verified["lines"].as_u64()), (&json!(true), Some(lines(&rig).await.len() as u64)));
    let all = serde_json::to_string(&lines(&rig).await).unwrap();
    for hidden in [&token, other, rig.server.token().unwrap().as_str()] {
        assert!(!all.contains(hidden));
    }
}

#[tokio::test]
async fn a_tickets_history_survives_a_kill_and_it_opens_again_when_its_case_comes_again() {
    let mut rig = Rig::start().await;
    let ada = rig.enrol("ada", &["support"]).await;
    let mut charger = rig.charger().await;
    charger.stop(990_001, 1200).await;
    let subject = format!("charger/{CHARGER}");
    let of = format!("/ops/v1/tickets?open=true&code=stop_of_unknown_transaction&subject={subject}");
    let listed = rig.ops(&of).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/tickets/{id}");
    for (what, body) in [("assign", json!({"to": "ada"})), ("note", json!({"text": "called the site"}))] {
        let (status, answer) = rig.with_token(&ada, "POST", &format!("{path}/{what}"), &body).await;
        assert_eq!((status, &answer["assignee"]), (200, &json!("ada")), "{answer}");
    }
    assert_eq!(rig.with_token(&ada, "POST", &format!("{path}/assign"), &json!({"to": "nobody"})).await.0, 400);
    rig.server.kill().await.unwrap();
    rig.again().await;
    let close = json!({"reason": "an old meter"});
    let (status, closed) = rig.with_token(&ada, "POST", &format!("{path}/close"), &close).await;
    assert_eq!((status, &closed["state"], &closed["cause"]), (200, &json!("closed"), &json!("unknown")), "{closed}");
    assert_eq!(rig.with_token(&ada, "POST", &format!("{path}/close"), &close).await.0, 409, "once");
    assert_eq!(rig.ops(&of).await["items"], json!([]));
    // The same case comes again.
    let mut charger = rig.charger().await;
    charger.stop(990_002, 1300).await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    let shown = rig.ops(&format!("/ops/v1{path}")).await;
    assert_eq!(
        (&shown["state"], &shown["reopened"], &shown["assignee"]),
        (&json!("open"), &json!(true), &json!("ada"))
    );
    let history: Vec<_> =
        shown["history"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(history, ["raised", "assigned", "noted", "closed", "raised"], "{shown}");
    assert!(shown["evidence"].as_str().unwrap().contains("990002"), "{shown}");
    let listed = rig.ops("/ops/v1/tickets?assignee=ada").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "one ticket, not two: {listed}");
}
