//! Reservations from outside: every end of one through the API with its pushes, arrival in each way, strangers, a kill in
//! between, and many who want the same connectors at once (RS-1 … RS-6, SE-15, I4).

use crate::charger::now;
use crate::rig::{CHARGER, PARTNER, PASSWORD, Rig, texts};
use loadtest::history::History;
use loadtest::partner::{Event, Outcome, Sink, SinkMode, StartCall};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the partner is told within this time.
const TOLD_MAX: Duration = Duration::from_secs(15);

impl Rig {
    /// `POST /reservations` for a user; status and answer.
    async fn ask_reserve(&self, name: &str, charger: &str, connector: u16, user: &str) -> (u16, Value) {
        let body = json!({"request_id": name, "charger_id": charger, "connector_id": connector, "user": {"id": user}});
        self.partner().post("/reservations", &body).await.unwrap()
    }

    /// The same at the charger of these tests, taken; the reservation's id.
    async fn reserved(&self, name: &str, connector: u16, user: &str) -> String {
        let (status, answer) = self.ask_reserve(name, CHARGER, connector, user).await;
        assert_eq!((status, &answer["status"]), (202, &"Reserved".into()), "{answer}");
        answer["reservation_id"].as_str().unwrap().to_owned()
    }

    async fn reservation(&self, id: &str) -> Value {
        self.partner().get(&format!("/reservations/{id}")).await.unwrap().unwrap()
    }

    /// The reservation, once it is in that state.
    async fn until(&self, id: &str, status: &str) -> Value {
        let begun = Instant::now();
        loop {
            let held = self.reservation(id).await;
            if held["status"] == status {
                return held;
            }
            assert!(begun.elapsed() < TOLD_MAX, "never {status}: {held}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A start for a user, maybe with a reservation.
    async fn begin_with(&self, name: &str, connector: u16, user: &str, id: Option<&str>) -> (u16, Value) {
        let mut body = json!({"request_id": name, "charger_id": CHARGER, "connector_id": connector,
                              "user": {"id": user}});
        if let Some(id) = id {
            body["reservation_id"] = id.into();
        }
        self.partner().post("/sessions", &body).await.unwrap()
    }

    /// The reservation's events, once the last is of that kind: numbered from 1 without gaps.
    async fn told(&self, id: &str, last: &str) -> Vec<Event> {
        let begun = Instant::now();
        loop {
            let key = format!("reservation/{id}");
            let events = self.partner().events().await.unwrap();
            let events: Vec<_> = events.into_iter().filter(|event| event.order_key.as_ref() == Some(&key)).collect();
            if events.last().is_some_and(|event| event.event_type == last) {
                let numbers: Vec<_> = events.iter().filter_map(|event| event.sequence).collect();
                assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
                assert_eq!(events[0].event_type, "reservation.reserved");
                return events;
            }
            assert!(begun.elapsed() < TOLD_MAX, "never told {last}: {events:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A rig whose partner listens, and whose key may ask as often as it likes.
async fn listening(change: impl Fn(&str) -> String) -> (Rig, Sink) {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), 1, History::off(), Arc::default()).await.unwrap();
    sink.set_mode(SinkMode::Accept);
    let rates = "[api]\nread_rate = 100000\nwrite_rate = 100000\nevents_rate = 100000\nread_burst = 100000\n\
                 write_burst = 100000\nevents_burst = 100000\nin_flight_per_partner = 10000\n";
    let rig = Rig::start_with(&sink.url(), |text| change(&text.replace("[api]\n", rates))).await;
    sink.set_secrets(vec![rig.operator().make_webhook_secret(PARTNER).await.unwrap()]);
    (rig, sink)
}

/// Waits until an event of that kind was pushed.
async fn pushed(sink: &Sink, kind: &str) {
    let begun = Instant::now();
    while !sink.recent().iter().any(|received| received.event_type == kind) {
        assert!(begun.elapsed() < TOLD_MAX, "{kind} was never pushed: {:?}", sink.recent());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sink.counts().1, 0, "an unsigned push");
}

#[tokio::test]
async fn arrival_by_the_partner_fulfils_the_reservation_and_links_the_two_orders() {
    let (rig, sink) = listening(str::to_owned).await;
    let mut charger = rig.charger().await;
    let quote = rig.partner().get(&format!("/reservation-terms?charger_id={CHARGER}")).await.unwrap().unwrap();
    let id = rig.reserved("r-1", 1, "user-a").await;
    let held = rig.reservation(&id).await;
    assert_eq!(held["terms"]["late_cancel_fee"], quote["terms"]["late_cancel_fee"], "as it was shown");
    assert_eq!((&held["user_id"], &held["connector_id"]), (&"user-a".into(), &1.into()));
    let reserve = charger.asked("ReserveNow").await;
    assert_eq!(reserve["idTag"], reserve["parentIdTag"]);
    charger.status(1, "Reserved").await;
    for (name, connector, user, named, code) in [
        ("s-1", 1, "user-b", None, "connector_reserved"),
        ("s-2", 1, "user-b", Some(id.as_str()), "reservation_of_another"),
        ("s-3", 2, "user-a", Some(id.as_str()), "not_reserved_connector"),
    ] {
        let (status, answer) = rig.begin_with(name, connector, user, named).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &code.into()), "{answer}");
    }
    let (status, answer) = rig.begin_with("s-4", 1, "user-a", Some(&id)).await;
    assert_eq!(status, 202, "{answer}");
    let start = charger.asked("RemoteStartTransaction").await;
    assert_eq!(start["idTag"], reserve["idTag"], "the reservation's own tag (SE-16)");
    let payload = json!({"connectorId": 1, "idTag": start["idTag"], "meterStart": 1000,
                         "reservationId": reserve["reservationId"], "timestamp": now()});
    let transaction = charger.start(&payload).await;
    let over = rig.until(&id, "Fulfilled").await;
    assert_eq!((&over["session_id"], &over["arrival"]), (&answer["session_id"], &"partner".into()));
    let path = format!("/sessions/{}", answer["session_id"].as_str().unwrap());
    let session = rig.partner().get(&path).await.unwrap().unwrap();
    assert_eq!((&session["reservation_id"], &session["status"]), (&id.clone().into(), &"Charging".into()));
    let told = rig.told(&id, "reservation.fulfilled").await;
    assert_eq!(told.len(), 2);
    pushed(&sink, "reservation.fulfilled").await;
    charger.stop(transaction, 2000).await;
    let (status, answer) = rig.begin_with("s-5", 1, "user-a", Some(&id)).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &"reservation_ended".into()), "{answer}");
}

#[tokio::test]
async fn every_other_end_is_reached_and_pushed() {
    let (rig, sink) = listening(str::to_owned).await;
    let mut charger = rig.charger().await;

    let id = rig.reserved("r-1", 1, "user-a").await;
    let cancel = |name: &str| json!({"request_id": name});
    let path = format!("/reservations/{id}/cancel");
    let first = rig.partner().post(&path, &cancel("c-1")).await.unwrap();
    assert_eq!((first.0, &first.1["status"]), (202, &"Cancelled".into()), "{}", first.1);
    assert_eq!(rig.partner().post(&path, &cancel("c-1")).await.unwrap(), first, "the same request, the same answer");
    let again = rig.partner().post(&path, &cancel("c-2")).await.unwrap();
    assert_eq!((again.0, &again.1["error"]["code"]), (409, &"reservation_ended".into()));
    let told = rig.told(&id, "reservation.cancelled").await;
    assert_eq!(told[1].data["end_cause"], "cancelled_in_time");
    pushed(&sink, "reservation.cancelled").await;
    charger.asked("CancelReservation").await;

    let id = rig.reserved("r-2", 1, "user-a").await;
    let complaint = json!({"request_id": "k-1", "kind": "occupied", "text": "a van stands there"});
    let answer = rig.partner().post(&format!("/reservations/{id}/complaint"), &complaint).await.unwrap();
    assert_eq!((answer.0, &answer.1["status"]), (202, &"Disputed".into()), "{}", answer.1);
    rig.told(&id, "reservation.disputed").await;
    pushed(&sink, "reservation.disputed").await;
    let tickets = rig.ops("/ops/v1/tickets").await;
    let ticket = tickets["items"].as_array().unwrap().iter().find(|ticket| ticket["code"] == "reservation_disputed");
    let ticket = rig.ops(&format!("/ops/v1/tickets/{}", ticket.unwrap()["id"].as_str().unwrap())).await;
    assert!(ticket["evidence"].as_str().unwrap().contains("a van stands there"), "{ticket}");

    let id = rig.reserved("r-3", 1, "user-a").await;
    charger.status(1, "Faulted").await;
    let told = rig.told(&id, "reservation.cancelled").await;
    assert_eq!(told[1].data["end_cause"], "connector_faulted");
    let other = json!([{"charger_id": CHARGER, "connector_id": 2}]);
    assert_eq!((&told[1].data["alternatives"], &rig.reservation(&id).await["alternatives"]), (&other, &other));
    charger.status(1, "Available").await;

    let id = rig.reserved("r-4", 1, "user-a").await;
    let (url, token) = (format!("http://127.0.0.1:{}", rig.server.ports().operator), rig.path("operator.token"));
    let reach = ["--url", &url, "--token-file", &token.display().to_string()].map(str::to_owned);
    let admin = |arguments: &[&str]| {
        let reach = reach.iter().map(String::as_str);
        rig.admin(&["reservation"].into_iter().chain(arguments.iter().copied()).chain(reach).collect::<Vec<_>>())
    };
    let listed = texts(&admin(&["list", "--open", "true"])).0;
    assert!(listed.contains(&id) && listed.contains("1 reservations"), "{listed}");
    let output = admin(&["cancel", &id]);
    assert!(output.status.success(), "{:?}", texts(&output));
    assert_eq!(rig.until(&id, "Cancelled").await["end_cause"], "cancelled_by_operator");
    let shown = texts(&admin(&["show", &id])).0;
    assert!(shown.contains("reservation is Cancelled") && shown.contains(PARTNER), "{shown}");
}

#[tokio::test]
async fn nobody_came_and_the_connector_is_free_again() {
    let short = |text: &str| format!("{text}\n[reservation]\nhold = \"1s\"\n");
    let (rig, sink) = listening(short).await;
    let _charger = rig.charger().await;
    let id = rig.reserved("r-1", 1, "user-a").await;
    let over = rig.until(&id, "NoShow").await;
    assert_eq!((&over["end_cause"], &over["fee"]["minor"]), (&"no_show".into(), &1000.into()));
    rig.told(&id, "reservation.no_show").await;
    pushed(&sink, "reservation.no_show").await;
    rig.reserved("r-2", 1, "user-b").await;
}

#[tokio::test]
async fn a_card_arrives_and_a_strangers_card_is_refused() {
    let (rig, _sink) = listening(str::to_owned).await;
    let operator = rig.operator();
    for tag in ["CARD-A", "CARD-B"] {
        operator.put_token(tag, "Accepted", PARTNER).await.unwrap();
    }
    let mut charger = rig.charger().await;
    let id = rig.reserved("r-1", 1, "user-CARD-A").await;
    let reserve = charger.asked("ReserveNow").await;
    let own = charger.call("Authorize", json!({"idTag": "CARD-A"})).await;
    assert_eq!(own["idTagInfo"], json!({"status": "Accepted", "parentIdTag": reserve["idTag"]}));
    let other = charger.call("Authorize", json!({"idTag": "CARD-B"})).await;
    assert_eq!(other["idTagInfo"], json!({"status": "Accepted"}), "connector 2 is free");
    let start = |tag: &str| json!({"connectorId": 1, "idTag": tag, "meterStart": 10, "timestamp": now()});
    let refused = charger.call("StartTransaction", start("CARD-B")).await;
    assert_eq!(refused["idTagInfo"]["status"], "Invalid");
    charger.asked("RemoteStopTransaction").await;
    charger.stop(refused["transactionId"].as_i64().unwrap(), 10).await;
    assert_eq!(rig.reservation(&id).await["status"], "Reserved", "it stands");
    let mut mine = start("CARD-A");
    mine["reservationId"] = reserve["reservationId"].clone();
    let accepted = charger.call("StartTransaction", mine).await;
    assert_eq!(accepted["idTagInfo"]["status"], "Accepted");
    let over = rig.until(&id, "Fulfilled").await;
    assert_eq!(over["arrival"], "charger");
}

#[tokio::test]
async fn a_kill_between_reservation_and_arrival_loses_nothing() {
    let (mut rig, _sink) = listening(str::to_owned).await;
    let mut charger = rig.charger().await;
    let id = rig.reserved("r-1", 1, "user-a").await;
    let reserve = charger.asked("ReserveNow").await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    assert_eq!(rig.reservation(&id).await["status"], "Reserved");
    assert_eq!(rig.ask_reserve("r-1", CHARGER, 1, "user-a").await.1["reservation_id"], id, "the same request");
    let mut charger = rig.charger().await;
    let again = charger.asked("ReserveNow").await;
    assert_eq!(again["reservationId"], reserve["reservationId"], "it was told again after its boot");
    let (status, answer) = rig.begin_with("s-1", 1, "user-b", None).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &"connector_reserved".into()));
    let (status, answer) = rig.begin_with("s-2", 1, "user-a", Some(&id)).await;
    assert_eq!(status, 202, "{answer}");
    let start = charger.asked("RemoteStartTransaction").await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    let mut charger = rig.charger().await;
    let payload = json!({"connectorId": 1, "idTag": start["idTag"], "meterStart": 0, "timestamp": now()});
    charger.start(&payload).await;
    assert_eq!(rig.until(&id, "Fulfilled").await["session_id"], answer["session_id"]);
    rig.told(&id, "reservation.fulfilled").await;
}

/// Ten connectors at two chargers, 500 users who each reserve one and start at another at once: each connector has one
/// holder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_a_connector_at_once_one_has_it() {
    const EACH: u16 = 5;
    let (rig, _sink) = listening(str::to_owned).await;
    let operator = rig.operator();
    let chargers = ["CP-many-1", "CP-many-2"];
    let mut sockets = Vec::new();
    for id in chargers {
        operator.put_charger(id, "site-it", usize::from(EACH), PASSWORD).await.unwrap();
        let port = rig.server.ports().ocpp;
        let mut socket = crate::charger::Charger::connect(port, id, PASSWORD).await.unwrap();
        socket.boot(EACH).await;
        sockets.push(socket);
    }
    let rig = Arc::new(rig);
    let mut asked = tokio::task::JoinSet::new();
    for user in 0..500u16 {
        for n in 0..2u16 {
            let rig = Arc::clone(&rig);
            let (charger, connector) = (chargers[usize::from((user + n) % 2)], (user / 2 + n) % EACH + 1);
            asked.spawn(async move {
                let (name, user) = (format!("m-{user}-{n}"), format!("user-{user}"));
                let at = format!("{charger}/{connector}");
                match n % 2 {
                    0 => {
                        let (status, answer) = rig.ask_reserve(&name, charger, connector, &user).await;
                        let code = answer["error"]["code"].as_str().unwrap_or_default().to_owned();
                        (at, user, "reservation", status == 202, code)
                    }
                    _ => {
                        let (request_id, charger_id) = (name, charger.to_owned());
                        let call = StartCall { request_id, charger_id, connector_id: connector, user_id: user.clone() };
                        match rig.partner().start(&call).await {
                            Outcome::Accepted { .. } => (at, user, "session", true, String::new()),
                            Outcome::Refused { code, .. } => (at, user, "session", false, code),
                            Outcome::Unknown { reason } => panic!("{reason}"),
                        }
                    }
                }
            });
        }
    }
    let (mut holders, mut reserving, mut refused) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    while let Some(outcome) = asked.join_next().await {
        let (at, user, kind, taken, code) = outcome.unwrap();
        if !taken {
            *refused.entry(code).or_insert(0) += 1;
            continue;
        }
        // A user who has reserved it may start there: then the session is the reservation's own.
        holders.entry(at).or_insert_with(Vec::new).push((user.clone(), kind));
        if kind == "reservation" {
            *reserving.entry(user).or_insert(0) += 1;
        }
    }
    assert_eq!(holders.len(), usize::from(EACH) * 2, "each connector is taken: {holders:?}");
    for (at, list) in &holders {
        let one = list.iter().all(|(user, _)| *user == list[0].0) && list.len() <= 2;
        let kinds = list.iter().filter(|(_, kind)| *kind == "session").count();
        assert!(one && kinds <= 1, "{at} has more than one holder: {list:?}");
    }
    assert!(reserving.values().all(|count| *count == 1), "a user has two reservations: {reserving:?}");
    let known = ["connector_occupied", "connector_reserved", "reservation_exists", "not_reserved_connector"];
    assert!(refused.keys().all(|code| known.contains(&code.as_str())), "{refused:?}");
    let open = rig.ops("/ops/v1/reservations?open=true&limit=100").await;
    assert_eq!(open["items"].as_array().unwrap().len(), reserving.len(), "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_asks_for_all_connectors_at_once_gets_one_and_another_only_after_it() {
    let (rig, _sink) = listening(str::to_owned).await;
    let operator = rig.operator();
    let mut sockets = Vec::new();
    for n in 0..4u16 {
        let id = format!("CP-one-{n}");
        operator.put_charger(&id, "site-it", 5, PASSWORD).await.unwrap();
        let mut socket = crate::charger::Charger::connect(rig.server.ports().ocpp, &id, PASSWORD).await.unwrap();
        socket.boot(5).await;
        sockets.push(socket);
    }
    let rig = Arc::new(rig);
    let all = |round: u16| {
        let mut asked = tokio::task::JoinSet::new();
        for n in 0..20u16 {
            let rig = Arc::clone(&rig);
            asked.spawn(async move {
                let name = format!("one-{round}-{n}");
                rig.ask_reserve(&name, &format!("CP-one-{}", n % 4), n / 4 + 1, "user-one").await
            });
        }
        asked.join_all()
    };
    for round in 0..3u16 {
        let answers = all(round).await;
        let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, _)| *status == 202);
        assert_eq!(taken.len(), 1, "round {round}: {taken:?}");
        assert!(
            refused
                .iter()
                .all(|(status, answer)| { *status == 409 && answer["error"]["code"] == "reservation_exists" }),
            "{refused:?}"
        );
        let id = taken[0].1["reservation_id"].as_str().unwrap();
        let path = format!("/reservations/{id}/cancel");
        let gone = rig.partner().post(&path, &json!({"request_id": format!("c-{round}")})).await.unwrap();
        assert_eq!(gone.0, 202, "{}", gone.1);
    }
}

/// What a user with an account can spend and has frozen, once that is so.
async fn has(rig: &Rig, user: &str, wanted: (i64, i64)) {
    let begun = Instant::now();
    loop {
        let account = rig.partner().get(&format!("/users/{user}/account")).await.unwrap().unwrap();
        let minor = |name: &str| account[name]["minor"].as_i64().unwrap_or_else(|| panic!("{name}: {account}"));
        let found = (minor("available"), minor("frozen"));
        if found == wanted {
            return;
        }
        assert!(begun.elapsed() < TOLD_MAX, "{user} has {found:?}, not {wanted:?}\n{}", rig.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_user_with_an_account_pays_a_deposit_and_gets_back_what_is_not_due() {
    let short = |text: &str| format!("{text}\n[reservation]\nhold = \"3s\"\n");
    let (rig, sink) = listening(short).await;
    let partner = json!({"name": "App", "accounts": true, "webhook": {"url": sink.url()}, "sites": "all"});
    rig.order("ada", "PUT", &format!("/partners/{PARTNER}"), &partner).await;
    rig.fund("user-a", 5000).await;
    has(&rig, "user-a", (5000, 0)).await;
    let _charger = rig.charger().await;

    let reserve = |name: &'static str, user: &'static str| rig.ask_reserve(name, CHARGER, 1, user);
    let (status, answer) = reserve("r-1", "user-a").await;
    assert_eq!((status, &answer["status"]), (202, &"PendingPayment".into()), "{answer}");
    let id = answer["reservation_id"].as_str().unwrap();
    assert_eq!(rig.until(id, "Reserved").await["terms"]["deposit"]["minor"], 2000);
    has(&rig, "user-a", (3000, 2000)).await;
    let cancel = json!({"request_id": "c-1"});
    assert_eq!(rig.partner().post(&format!("/reservations/{id}/cancel"), &cancel).await.unwrap().0, 202);
    has(&rig, "user-a", (5000, 0)).await;

    // Nobody comes: ten yuan are taken.
    let (_, answer) = reserve("r-2", "user-a").await;
    let over = rig.until(answer["reservation_id"].as_str().unwrap(), "NoShow").await;
    assert_eq!((&over["fee"]["minor"], &over["returned"]["minor"]), (&1000.into(), &1000.into()));
    has(&rig, "user-a", (4000, 0)).await;

    // No money, no reservation.
    let (_, answer) = reserve("r-3", "user-poor").await;
    let over = rig.until(answer["reservation_id"].as_str().unwrap(), "Failed").await;
    assert_eq!(over["end_cause"], "deposit_refused");
    pushed(&sink, "reservation.failed").await;
}
