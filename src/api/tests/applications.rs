//! EM-1 over real HTTP: the form, the token, and how often strangers may ask. The life of an application is `domain::onboarding`'s.

use super::*;
use serde_json::json;

const TOKEN: &str = "Kd83jfhQ2mZx7Lp0VbN4sTy6WcR1gHua";

fn contact(role: &str) -> Value {
    json!({"role": role, "name": "Wang Li", "phone": "+86 139-1234-5678", "email": "ops@partner.example"})
}

fn body(request_id: &str, token: &str) -> Value {
    json!({"request_id": request_id, "access_token": token, "application": {
        "company": "Example Charging Ltd.", "credit_code": "91110000600037341L",
        "contacts": [contact("business"), contact("technical")], "webhook_url": "https://partner.example/hook",
    }})
}

struct Applicant<'a>(&'a Rig);

impl Applicant<'_> {
    async fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let method: reqwest::Method = method.parse().unwrap();
        let url = format!("{}/api/v1/applications{path}", self.0.url);
        let mut call = self.0.http.request(method.clone(), url).bearer_auth(token);
        if method != reqwest::Method::GET {
            call = call.json(body);
        }
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn apply(&self, body: &Value) -> (u16, Value) {
        self.ask("POST", "", "", body).await
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_form_is_told_at_once_and_counts_for_nothing() {
    let world = World::with(Api { applications_per_hour: 1, ..config() });
    let rig = world.serve().await;
    let applicant = Applicant(&rig);
    let mut bad = body("r-1", TOKEN);
    bad["application"] = json!({"company": "E", "credit_code": "91110000600037341M", "contacts": [
        {"role": "business", "name": "", "phone": "12ab", "email": "nobody"}], "note": "a\u{7}b"});
    let (status, told) = applicant.apply(&bad).await;
    let details = told["error"]["details"].as_array().unwrap();
    let named: Vec<_> = details.iter().map(|detail| detail["field"].as_str().unwrap()).collect();
    let expected = [
        "application.company",
        "application.credit_code",
        "application.note",
        "application.contacts",
        "application.contacts[0].name",
        "application.contacts[0].phone",
        "application.contacts[0].email",
    ];
    assert_eq!((status, named.as_slice()), (400, expected.as_slice()), "{told}");
    assert_eq!(details[1]["problem"], "has a wrong check character at its end");
    for token in ["", "short", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "blank in it blank in it blank in it"] {
        let (status, told) = applicant.apply(&body("r-1", token)).await;
        assert_eq!((status, &told["error"]["details"][0]["field"]), (400, &json!("access_token")), "{token}");
    }
    assert_eq!(applicant.apply(&body("r-1", TOKEN)).await.0, 201);
    let (status, told) = applicant.apply(&body("r-2", &TOKEN.replace('K', "k"))).await;
    assert_eq!((status, &told["error"]["code"]), (429, &json!("rate_limited")), "one an hour from one address");
}

#[tokio::test]
async fn an_application_is_opened_by_its_token_alone_and_guessing_is_banned() {
    let world = World::new();
    let rig = world.serve().await;
    let applicant = Applicant(&rig);
    let (_, first) = applicant.apply(&body("r-1", TOKEN)).await;
    let (status, again) = applicant.apply(&body("r-1", TOKEN)).await;
    assert_eq!((status, &again), (201, &first), "a lost answer costs nothing");
    let mut other = body("r-1", TOKEN);
    other["application"]["company"] = "Other".into();
    assert_eq!(applicant.apply(&other).await.1["error"]["code"], "request_id_conflict");
    other["request_id"] = "r-2".into();
    assert_eq!(applicant.apply(&other).await.1["error"]["code"], "application_exists");
    let path = format!("/{}", first["application_id"].as_str().unwrap());
    let (status, shown) = applicant.ask("GET", &path, TOKEN, &Value::Null).await;
    assert_eq!((status, &shown["contacts"][1]["role"]), (200, &json!("technical")));
    assert_eq!(shown["scopes"], json!(["query", "control", "settlement", "push", "credentials"]));
    let amended = json!({"request_id": "r-3", "application": other["application"]});
    assert_eq!(applicant.ask("PUT", &path, TOKEN, &amended).await.0, 200);
    assert_eq!(applicant.ask("GET", &path, TOKEN, &Value::Null).await.1["company"], "Other");
    let wrong = TOKEN.replace('K', "k");
    for (method, tail, body) in [
        ("GET", "", Value::Null),
        ("PUT", "", amended.clone()),
        ("POST", "/withdraw", json!({"request_id": "r-4"})),
        ("POST", "/credentials", json!({"request_id": "r-5"})),
        ("GET", "", Value::Null),
    ] {
        let (status, told) = applicant.ask(method, &format!("{path}{tail}"), &wrong, &body).await;
        assert_eq!((status, &told["error"]["code"]), (404, &json!("application_unknown")), "{method} {tail}");
    }
    let (status, told) = applicant.ask("GET", &path, TOKEN, &Value::Null).await;
    assert_eq!((status, &told["error"]["code"]), (403, &json!("banned")), "five failures in a row");
}

#[tokio::test]
async fn nobody_is_told_that_there_is_no_application_before_all_are_known() {
    let world = World::new();
    let rig = world.serve().await;
    let applicant = Applicant(&rig);
    let (_, made) = applicant.apply(&body("r-1", TOKEN)).await;
    let path = format!("/{}", made["application_id"].as_str().unwrap());
    world.runtime.not_ready.lock().unwrap().push("recovering from the journal".into());
    for _ in 0..6 {
        let (status, told) = applicant.ask("GET", &path, TOKEN, &Value::Null).await;
        assert_eq!((status, &told["error"]["code"]), (503, &json!("unavailable")));
    }
    world.runtime.not_ready.lock().unwrap().clear();
    assert_eq!(applicant.ask("GET", &path, TOKEN, &Value::Null).await.0, 200, "and it counted towards no ban");
}

#[tokio::test]
async fn where_operators_make_every_partner_nobody_applies() {
    let world = World::with(Api { applications: false, ..config() });
    let rig = world.serve().await;
    let (status, told) = Applicant(&rig).apply(&body("r-1", TOKEN)).await;
    assert_eq!((status, &told["error"]["code"]), (404, &json!("not_found")));
}
