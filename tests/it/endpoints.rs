//! A partner's webhook endpoints from outside (EM-8, EM-9): several by type and by site, one dead beside one that is well, a URL
//! that nobody vouches for, one that is taken away; each over a kill.

use crate::charger::Charger;
use crate::rig::{CHARGER, PARTNER, PASSWORD, Rig};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chargeline::clock::{Clock as _, Timestamp, WallClock};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Waits that fit a test: tries of a second, and a challenge every half of one.
const WAITS: &str = "timeout = \"1s\"\nconnect_timeout = \"1s\"\nprobe_after = 0\n\
                     challenge_schedule = [\"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\"]\n";

fn quick(text: &str) -> String {
    crate::open::unlimited(&text.replace("[webhook]\n", &format!("[webhook]\n{WAITS}")))
}

/// How an ear answers challenges and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// As it should.
    Well,
    /// 200 to everything, and gives no challenge back.
    Deaf,
    /// It takes the connection and never answers an event.
    Dead,
}

struct Heard {
    mood: Mood,
    secret: Option<String>,
    /// Bodies with the moment they came, ms since 1970.
    came: Vec<(i64, Value)>,
    /// Of those, how many had no good signature.
    forged: usize,
}

/// A receiver.
#[derive(Clone)]
struct Ear {
    heard: Arc<Mutex<Heard>>,
    url: String,
}

impl Ear {
    async fn open(mood: Mood) -> Ear {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let heard = Heard { mood, secret: None, came: Vec::new(), forged: 0 };
        let ear = Ear { heard: Arc::new(Mutex::new(heard)), url };
        let taker = ear.clone();
        let app = Router::new().fallback(move |headers: HeaderMap, body: Bytes| taker.take(headers, body));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        ear
    }

    async fn take(self, headers: HeaderMap, body: Bytes) -> Response {
        let event: Value = serde_json::from_slice(&body).unwrap();
        let mood = {
            let mut heard = self.heard.lock().unwrap();
            let secret = heard.secret.clone();
            let good =
                |secret: String| standardwebhooks::Webhook::new(&secret).unwrap().verify(&body, &headers).is_ok();
            heard.forged += usize::from(secret.is_some_and(|secret| !good(secret)));
            heard.came.push((WallClock.now().0, event.clone()));
            heard.mood
        };
        match (mood, event["type"] == "webhook.verification") {
            (Mood::Well | Mood::Dead, true) => event["data"]["challenge"].as_str().unwrap().to_owned().into_response(),
            (Mood::Dead, false) => std::future::pending().await,
            (Mood::Well, false) | (Mood::Deaf, _) => StatusCode::OK.into_response(),
        }
    }

    fn knows(&self, secret: &Value) {
        self.heard.lock().unwrap().secret = Some(secret.as_str().unwrap().to_owned());
    }

    fn mood(&self, mood: Mood) {
        self.heard.lock().unwrap().mood = mood;
    }

    /// What came but challenges, each id once, with when it came first.
    fn events(&self) -> Vec<(i64, Value)> {
        let heard = self.heard.lock().unwrap();
        let mut seen = BTreeSet::new();
        let first = |(_, event): &&(i64, Value)| {
            event["type"] != "webhook.verification" && seen.insert(event["id"].as_str().unwrap().to_owned())
        };
        heard.came.iter().filter(first).cloned().collect()
    }

    fn challenges(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let challenge = |(_, event): &(i64, Value)| event["data"]["challenge"].as_str().map(str::to_owned);
        heard.came.iter().filter_map(challenge).collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.events().iter().map(|(_, event)| event["type"].as_str().unwrap().to_owned()).collect()
    }

    fn forged(&self) -> usize {
        self.heard.lock().unwrap().forged
    }
}

async fn until(rig: &Rig, what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}\n{}", rig.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The partner makes an endpoint itself.
async fn made(rig: &Rig, name: &str, ear: &Ear, more: Value) {
    let mut body = json!({"request_id": format!("make-{name}"), "name": name, "url": ear.url});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = rig.partner().post("/webhooks/endpoints", &body).await.unwrap();
    assert_eq!(status, 201, "{answer}");
    ear.knows(&answer["secret"]);
}

async fn seen(rig: &Rig, name: &str) -> Value {
    rig.partner().get(&format!("/webhooks/endpoints/{name}")).await.unwrap().unwrap()
}

async fn verified(rig: &Rig, name: &str) {
    until(rig, &format!("{name} is verified"), async || seen(rig, name).await["unverified"].is_null()).await;
}

/// A session from its start to its end; its id.
async fn charged(rig: &Rig, charger: &mut Charger, n: usize) -> String {
    let session = rig.started(&format!("it-ends-{n}"), 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    charger.stop(transaction, 3000).await;
    rig.session(&session, "it has ended", |session| session.status == "Ended").await;
    session
}

#[tokio::test]
async fn each_endpoint_is_sent_what_it_takes_by_type_and_by_site_and_all_of_it_over_a_kill() {
    let [all, here, ends] = [Ear::open(Mood::Well).await, Ear::open(Mood::Well).await, Ear::open(Mood::Well).await];
    let mut rig = Rig::start_with(&all.url, quick).await;
    rig.operator().put_site("site-far", "Far away").await.unwrap();
    rig.operator().put_charger("CP-far", "site-far", 1, PASSWORD).await.unwrap();
    made(&rig, "here", &here, json!({"sites": ["site-it"]})).await;
    made(&rig, "ends", &ends, json!({"events": ["session.ended"]})).await;
    for name in ["default", "here", "ends"] {
        verified(&rig, name).await;
    }
    let mut far = Charger::connect(rig.server.ports().ocpp, "CP-far", PASSWORD).await.unwrap();
    far.boot(1).await;
    let mut charger = rig.charger().await;
    charged(&rig, &mut charger, 1).await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    let mut charger = rig.connect().await;
    charged(&rig, &mut charger, 2).await;
    let test = json!({"request_id": "test-ends"});
    assert_eq!(rig.partner().post("/webhooks/endpoints/ends/test", &test).await.unwrap().0, 202);
    until(&rig, "both ends and the test came", async || ends.events().len() >= 3).await;
    until(&rig, "two ends came to the others", async || {
        [&all, &here].iter().all(|ear| ear.kinds().iter().filter(|kind| *kind == "session.ended").count() == 2)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let mut kinds = ends.kinds();
    kinds.sort();
    assert_eq!(kinds, ["session.ended", "session.ended", "webhook.test"]);
    let sites = |ear: &Ear| -> BTreeSet<String> {
        let site = |(_, event): &(i64, Value)| event["data"]["site_id"].as_str().unwrap_or("none").to_owned();
        ear.events().iter().map(site).collect()
    };
    assert_eq!(sites(&here), ["site-it".to_owned()].into());
    assert_eq!(sites(&all), ["site-far".to_owned(), "site-it".to_owned()].into(), "a test is its endpoint's alone");
    assert_eq!((here.forged(), ends.forged()), (0, 0), "each signs with its own secret");
    // The list of events is the partner's, and whole.
    let listed = rig.partner().events().await.unwrap();
    for ear in [&all, &here, &ends] {
        for (_, event) in ear.events() {
            assert!(listed.iter().any(|of| event["id"] == of.id.as_str()), "{event}");
        }
    }
    let log = rig.partner().get("/webhooks/endpoints/ends/deliveries").await.unwrap().unwrap();
    assert_eq!(log["items"].as_array().unwrap().len(), 3, "{log}");
}

#[tokio::test]
async fn a_dead_endpoint_takes_nothing_from_the_one_beside_it() {
    let (well, dead) = (Ear::open(Mood::Well).await, Ear::open(Mood::Dead).await);
    let mut rig = Rig::start_with(&well.url, quick).await;
    verified(&rig, "default").await;
    made(&rig, "dead", &dead, json!({})).await;
    verified(&rig, "dead").await;
    let mut charger = rig.charger().await;
    for n in 0..4 {
        charged(&rig, &mut charger, n).await;
        if n == 1 {
            rig.server.kill().await.unwrap();
            rig.again().await;
            charger = rig.connect().await;
        }
    }
    until(&rig, "the dead one is known as such", async || seen(&rig, "dead").await["failing_percent"] == 100).await;
    let ended = || well.kinds().iter().filter(|kind| *kind == "session.ended").count();
    until(&rig, "all came to the other", async || ended() == 4).await;
    let late = well.events().into_iter().map(|(at, event)| {
        let happened = Timestamp::parse(event["timestamp"].as_str().unwrap()).unwrap();
        at - happened.0
    });
    let mut late: Vec<i64> = late.collect();
    late.sort_unstable();
    // The kill costs what was on its way a restart; everything else came at once.
    assert!(late[late.len() * 3 / 4] < 500, "ms from event to arrival: {late:?}");
    let view = seen(&rig, "default").await;
    assert_eq!((&view["failing_percent"], &view["depth"]), (&json!(0), &json!(0)), "{view}");
    assert!(seen(&rig, "dead").await["depth"].as_u64().unwrap() > 3);
    // Taken away, it says what went with it; the events stay where they are.
    let before = rig.partner().events().await.unwrap().len();
    let (status, gone) =
        rig.partner().post("/webhooks/endpoints/dead/remove", &json!({"request_id": "rm"})).await.unwrap();
    assert!(status == 200 && gone["dropped"].as_u64().unwrap() > 3, "{gone}");
    assert!(rig.partner().events().await.unwrap().len() >= before);
    assert!(rig.partner().get("/webhooks/endpoints/dead").await.unwrap().is_none());
}

#[tokio::test]
async fn a_url_that_does_not_give_the_challenge_back_gets_nothing_else_until_it_does_also_over_a_kill() {
    let victim = Ear::open(Mood::Deaf).await;
    let mut rig = Rig::start_with("http://127.0.0.1:9/", quick).await;
    made(&rig, "west", &victim, json!({})).await;
    let mut charger = rig.charger().await;
    charged(&rig, &mut charger, 1).await;
    until(&rig, "it was asked twice", async || victim.challenges().len() >= 2).await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    let asked = victim.challenges().len();
    until(&rig, "it is asked again", async || victim.challenges().len() > asked).await;
    assert_eq!(victim.kinds(), [] as [&str; 0], "nothing but challenges");
    let challenges = victim.challenges();
    assert_eq!(challenges.iter().collect::<BTreeSet<_>>().len(), challenges.len(), "each is another");
    let view = seen(&rig, "west").await;
    let error = view["unverified"]["last_error"].as_str().unwrap();
    assert!(error.starts_with("not_echoed: 200"), "{view}");
    until(&rig, "no more are sent", async || seen(&rig, "west").await["unverified"]["next_at"].is_null()).await;
    let bound = victim.challenges().len();
    assert!(bound <= 12, "{bound} for a schedule of nine, over a kill");
    // Its owner puts it right, and asks for another.
    victim.mood(Mood::Well);
    let verify = json!({"request_id": "verify-1"});
    assert_eq!(rig.partner().post("/webhooks/endpoints/west/verify", &verify).await.unwrap().0, 202);
    verified(&rig, "west").await;
    until(&rig, "what was kept comes", async || victim.kinds().iter().any(|kind| kind == "session.ended")).await;
    assert_eq!((victim.challenges().len(), victim.forged()), (bound + 1, 0));
    // Moved to another URL it has to prove itself again, and an operator may vouch for it.
    let other = Ear::open(Mood::Deaf).await;
    let moved = json!({"request_id": "move-1", "url": other.url});
    assert_eq!(rig.partner().post("/webhooks/endpoints/west", &moved).await.unwrap().0, 200);
    until(&rig, "the new one is asked", async || !other.challenges().is_empty()).await;
    assert_eq!(other.kinds(), [] as [&str; 0]);
    rig.order("ada", "POST", &format!("/partners/{PARTNER}/webhooks/west/vouch"), &json!({})).await;
    verified(&rig, "west").await;
    let test = json!({"request_id": "test-west"});
    assert_eq!(rig.partner().post("/webhooks/endpoints/west/test", &test).await.unwrap().0, 202);
    until(&rig, "the test comes", async || other.kinds().contains(&"webhook.test".to_owned())).await;
}

#[tokio::test]
async fn what_an_operator_has_stopped_its_partner_does_not_start() {
    let ear = Ear::open(Mood::Well).await;
    let rig = Rig::start_with("http://127.0.0.1:9/", quick).await;
    let charger = rig.charger().await;
    made(&rig, "west", &ear, json!({})).await;
    verified(&rig, "west").await;
    let stop = format!("/partners/{PARTNER}/webhooks/west/disable");
    rig.order("ada", "POST", &stop, &json!({})).await;
    for (n, (path, more)) in [("verify", json!({})), ("", json!({"url": ear.url}))].into_iter().enumerate() {
        let mut body = json!({"request_id": format!("stopped-{n}")});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = format!("/webhooks/endpoints/west/{path}");
        let (status, answer) = rig.partner().post(path.trim_end_matches('/'), &body).await.unwrap();
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("webhook_disabled")), "{answer}");
    }
    assert_eq!(seen(&rig, "west").await["disabled_by"], "operator");
    // The partner reads of it, and its other endpoints are told.
    let told = rig.partner().events().await.unwrap();
    assert!(told.iter().any(|event| event.event_type == "webhook.disabled" && event.data["endpoint"] == "west"));
    rig.order("ada", "POST", &format!("/partners/{PARTNER}/webhooks/west/enable"), &json!({})).await;
    until(&rig, "it hears of both itself", async || {
        let kinds = ear.kinds();
        ["webhook.disabled", "webhook.enabled"].iter().all(|kind| kinds.contains(&(*kind).to_owned()))
    })
    .await;
    // More than there may be are refused, and names are told apart.
    for (n, expected) in [(1, 201), (2, 201), (3, 201), (4, 409)] {
        let body = json!({"request_id": format!("more-{n}"), "name": format!("e{n}"), "url": ear.url});
        let (status, answer) = rig.partner().post("/webhooks/endpoints", &body).await.unwrap();
        assert_eq!(status, expected, "{n}: {answer}");
    }
    let twice = json!({"request_id": "twice", "name": "west", "url": ear.url});
    let (status, answer) = rig.partner().post("/webhooks/endpoints", &twice).await.unwrap();
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("endpoint_exists")));
    let inside = json!({"request_id": "inside", "url": "https://169.254.169.254/"});
    let (status, answer) = rig.partner().post("/webhooks/endpoints/west", &inside).await.unwrap();
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("endpoint_refused")));
    let _ = (charger, CHARGER);
}
