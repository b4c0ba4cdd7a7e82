//! Orders from outside: every end of an order's life through the API with its pushes, money checked against the account, and a
//! kill in between (SE-3, SE-13, SE-14, SE-15, MO-4, MO-5, MO-7, MO-9).

use crate::charger::Charger;
use crate::rig::{CHARGER, PARTNER, PASSWORD, Rig, texts};
use loadtest::history::History;
use loadtest::partner::{Sink, SinkMode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is to happen happens within this time.
const PATIENCE: Duration = Duration::from_secs(15);

struct Town {
    rig: Rig,
    sink: Sink,
}

impl Town {
    /// A first-party partner that listens, one yuan a kWh, 50 yuan set aside, orders above 60 yuan reviewed.
    async fn start() -> Town {
        let sink = Sink::start(([127, 0, 0, 1], 0).into(), 1, History::off(), Arc::default()).await.unwrap();
        sink.set_mode(SinkMode::Accept);
        let order = "[order]\nreview_above = 6000\npayment_window = \"2s\"\nremind_every = \"10s\"\n\n[charger]\n";
        let power = "[session]\nmax_power_w = 10000000\n\n";
        let rig = Rig::start_with(&sink.url(), |text| power.to_owned() + &text.replace("[charger]\n", order)).await;
        sink.set_secrets(vec![rig.operator().make_webhook_secret(PARTNER).await.unwrap()]);
        let town = Town { rig, sink };
        town.admin("ada", &["partner", "add", PARTNER, "--name", "App", "--accounts", "true"]);
        let tariff = json!({"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [{"name": "flat",
            "from": "00:00", "to": "24:00", "electricity": 5000, "service": 5000}],
            "occupancy": {"grace_minutes": 0, "per_minute": 5000, "cap": 50_000}});
        town.rig.order("ada", "PUT", "/tariffs/flat", &tariff).await;
        town.rig.order("ada", "POST", "/tariffs/flat/roll-out", &json!({"version": 1})).await;
        town
    }

    fn admin(&self, operator: &str, arguments: &[&str]) -> String {
        let token = self.rig.path("operator.token").display().to_string();
        let url = format!("http://127.0.0.1:{}", self.rig.server.ports().operator);
        let reach = ["--operator", operator, "--url", &url, "--token-file", &token];
        let output = self.rig.admin(&[arguments, &reach].concat());
        let (out, error) = texts(&output);
        assert!(output.status.success(), "{arguments:?}: {out}{error}");
        out
    }

    async fn account(&self, user: &str) -> Value {
        self.rig.partner().get(&format!("/users/{user}/account")).await.unwrap().unwrap()
    }

    /// What the user can spend, has frozen, and owes.
    async fn money(&self, user: &str) -> (i64, i64, i64) {
        let account = self.account(user).await;
        let minor = |name: &str| account[name]["minor"].as_i64().unwrap_or_else(|| panic!("{name}: {account}"));
        (minor("available"), minor("frozen"), minor("debt"))
    }

    /// Until the user has that money: what is kept for staying goes back when the car has left.
    async fn has(&self, user: &str, wanted: (i64, i64, i64)) {
        let begun = Instant::now();
        while self.money(user).await != wanted {
            assert!(begun.elapsed() < PATIENCE, "not {wanted:?}: {}\n{}", self.account(user).await, self.rig.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn begin(&self, name: &str, user: &str) -> String {
        let body = json!({"request_id": name, "charger_id": CHARGER, "connector_id": 1, "user": {"id": user}});
        let (status, answer) = self.rig.partner().post("/sessions", &body).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        answer["session_id"].as_str().unwrap().to_owned()
    }

    async fn order(&self, id: &str) -> Value {
        self.rig.partner().get(&format!("/orders/{id}")).await.unwrap().unwrap_or_default()
    }

    /// The order, once it is in that state; and that it was pushed.
    async fn until(&self, id: &str, status: &str, kind: &str) -> Value {
        let begun = Instant::now();
        loop {
            let order = self.order(id).await;
            let pushed = self.sink.recent().iter().any(|event| event.event_type == kind);
            if order["status"] == status && pushed {
                return order;
            }
            assert!(begun.elapsed() < PATIENCE, "never {status} with {kind}: {order}\n{}", self.rig.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A whole session of so many Wh; its order's id.
    async fn charge(&self, charger: &mut Charger, name: &str, user: &str, wh: i64) -> String {
        let id = self.begin(name, user).await;
        let (transaction, _) = charger.begin(1, 1_000).await;
        charger.stop(transaction, 1_000 + wh).await;
        charger.status(1, "Available").await;
        id
    }
}

#[tokio::test]
async fn every_end_of_an_order_is_reached_and_pushed() {
    let mut town = Town::start().await;
    let mut charger = town.rig.charger().await;

    // Failed: too little.
    let id = town.begin("s-0", "poor").await;
    let failed = town.until(&id, "Failed", "order.failed").await;
    assert_eq!(failed["failure"], "insufficient_funds");
    assert_eq!(
        town.rig.partner().get(&format!("/sessions/{id}")).await.unwrap().unwrap()["failure"]["code"],
        "insufficient_funds"
    );

    // Paid: the bill, and every line of it.
    town.rig.fund("rich", 20_000).await;
    let id = town.charge(&mut charger, "s-1", "rich", 800).await;
    let paid = town.until(&id, "Paid", "order.paid").await;
    assert_eq!((&paid["taken"]["minor"], &paid["bill"]["total"]["minor"]), (&80.into(), &80.into()), "{paid}");
    let lines: i64 =
        paid["bill"]["lines"].as_array().unwrap().iter().map(|l| l["amount"]["minor"].as_i64().unwrap()).sum();
    assert_eq!(lines, 80);
    town.has("rich", (19_920, 0, 0)).await;
    let body = json!({"request_id": "c-1", "text": "too dear"});
    assert_eq!(town.rig.partner().post(&format!("/orders/{id}/contest"), &body).await.unwrap().0, 202);
    town.rig.order("ada", "POST", &format!("/orders/{id}/refund"), &json!({"amount": 30})).await;
    town.until(&id, "Paid", "order.refunded").await;
    town.has("rich", (19_950, 0, 0)).await;

    // Killed while the money is frozen: it goes on.
    let id = town.begin("s-2", "rich").await;
    let (transaction, _) = charger.begin(1, 1_000).await;
    town.rig.server.kill().await.unwrap();
    town.rig.again().await;
    town.has("rich", (14_950, 5_000, 0)).await;
    let mut charger = town.rig.charger().await;
    charger.stop(transaction, 1_500).await;
    charger.status(1, "Available").await;
    town.has("rich", (19_900, 0, 0)).await;
    assert_eq!(town.order(&id).await["status"], "Paid");

    // Under review: more than any power delivers.
    let id = town.charge(&mut charger, "s-3", "rich", 90_000_000).await;
    let order = town.until(&id, "UnderReview", "order.under_review").await;
    assert_eq!(order["doubts"][0], "impossible_power", "{order}");
    let reviews = town.rig.ops("/ops/v1/order-reviews").await;
    assert_eq!(reviews["items"][0]["order_id"], id.as_str(), "{reviews}");
    town.rig.order("ada", "POST", &format!("/orders/{id}/settle"), &json!({"amount": 100})).await;
    let begun = Instant::now();
    while town.order(&id).await["status"] != "Paid" {
        assert!(begun.elapsed() < PATIENCE, "{}", town.rig.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    town.has("rich", (19_800, 0, 0)).await;
    let reviews = town.rig.ops("/ops/v1/order-reviews").await;
    assert_eq!(reviews["items"], json!([]));
    let books = town.rig.ops("/ops/v1/ledger/verify").await;
    assert_eq!(books["wrong"], 0, "{books}");
}

#[tokio::test]
async fn what_is_missing_is_awaited_then_unpaid_then_paid() {
    let town = Town::start().await;
    let mut charger = town.rig.charger().await;
    town.rig.fund("u", 5_000).await;
    let id = town.begin("s-1", "u").await;
    let (transaction, _) = charger.begin(1, 1_000).await;
    let begun = Instant::now();
    // 55 kWh within the slack of a rounded register would be implausible: the clock tells them apart.
    tokio::time::sleep(Duration::from_millis(10)).await;
    for step in 1..=55 {
        charger.meter(1, transaction, 1_000 + step * 1_000).await;
    }
    charger.stop(transaction, 56_000).await;
    charger.status(1, "Available").await;
    let order = town.until(&id, "AwaitingPayment", "order.awaiting_payment").await;
    assert_eq!((&order["taken"]["minor"], &order["debt"]["minor"]), (&5_000.into(), &500.into()), "{order}");
    town.until(&id, "Unpaid", "order.unpaid").await;
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let second = town.begin("s-2", "u").await;
    assert_eq!(town.until(&second, "Failed", "order.failed").await["failure"], "unpaid_order");
    town.rig.fund("u", 1_000).await;
    let pay = json!({"request_id": "p-1"});
    assert_eq!(town.rig.partner().post(&format!("/orders/{id}/pay"), &pay).await.unwrap().0, 202);
    town.until(&id, "Paid", "order.paid").await;
    town.has("u", (500, 0, 0)).await;
}

#[tokio::test]
async fn staying_is_an_order_of_its_own() {
    let town = Town::start().await;
    let mut charger = town.rig.charger().await;
    town.rig.fund("u", 10_000).await;
    let id = town.begin("s-1", "u").await;
    let (transaction, _) = charger.begin(1, 1_000).await;
    charger.status(1, "Charging").await;
    charger.stop(transaction, 1_500).await;
    charger.status(1, "Finishing").await;
    let paid = town.until(&id, "Paid", "order.opened").await;
    let linked = paid["linked_order_id"].as_str().unwrap().to_owned();
    let stay = town.until(&linked, "Open", "order.opened").await;
    assert_eq!((&stay["kind"], &stay["linked_order_id"]), (&"occupancy".into(), &id.as_str().into()));
    town.has("u", (9_450, 500, 0)).await; // the cap stays frozen
    charger.status(1, "Available").await;
    town.until(&linked, "Paid", "order.paid").await;
    town.has("u", (9_950, 0, 0)).await; // no full minute
}

#[tokio::test]
async fn a_coupon_pays_its_part_and_a_large_refund_needs_two() {
    let town = Town::start().await;
    let mut charger = town.rig.charger().await;
    town.rig.fund("u", 10_000).await;
    let found = town.rig.ops(&format!("/ops/v1/accounts?partner_id={PARTNER}&user_id=u")).await;
    let account = found["items"][0]["account"].as_str().unwrap().to_owned();
    for (coupon, minor) in [("SMALL", 10), ("SPRING", 30)] {
        let grant = json!({"coupon_id": coupon, "amount": {"minor": minor, "currency": "CNY"},
            "from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"});
        town.rig.order("ada", "POST", &format!("/accounts/{account}/coupons"), &grant).await;
    }
    let id = town.charge(&mut charger, "s-1", "u", 800).await;
    let paid = town.until(&id, "Paid", "order.paid").await;
    assert_eq!((&paid["total"]["minor"], &paid["taken"]["minor"]), (&80.into(), &50.into()), "{paid}");
    assert_eq!((&paid["discount"]["minor"], &paid["coupon_id"]), (&30.into(), &"SPRING".into()), "{paid}");
    let pushed = town.sink.recent().into_iter().find(|event| event.event_type == "order.paid").unwrap().data;
    assert_eq!((&pushed["discount"]["minor"], &pushed["coupon_id"]), (&30.into(), &"SPRING".into()), "{pushed}");
    town.has("u", (9_950, 0, 0)).await;
    let left = town.account("u").await["coupons"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1, "one is used, once: {left}");

    // 55 yuan, of which one person alone may give back 50.
    let id = town.begin("s-2", "u").await;
    let (transaction, _) = charger.begin(1, 1_000).await;
    for step in 1..=55 {
        charger.meter(1, transaction, 1_000 + step * 1_000).await;
    }
    charger.stop(transaction, 56_000).await;
    charger.status(1, "Available").await;
    let begun = Instant::now();
    while town.order(&id).await["status"] != "Paid" {
        assert!(begun.elapsed() < PATIENCE, "{}\n{}", town.order(&id).await, town.rig.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    town.has("u", (4_460, 0, 0)).await; // the small coupon has paid its part
    town.rig.order("ada", "POST", &format!("/orders/{id}/refund"), &json!({"amount": 5_400})).await;
    let shown = town.rig.ops(&format!("/ops/v1/orders/{id}")).await;
    assert_eq!((&shown["refund_proposed"]["by"], &shown["refunded"]["minor"]), (&"ada".into(), &0.into()), "{shown}");
    assert!(town.order(&id).await.get("refund_proposed").is_none(), "not the partner's affair");
    let approve = format!("/orders/{id}/refund/approve");
    assert_eq!(town.rig.refused("ada", &approve).await, (409, "second_person".into()));
    town.rig.order("bob", "POST", &approve, &json!({})).await;
    town.has("u", (9_860, 0, 0)).await;
    assert_eq!(town.rig.refused("bob", &approve).await, (404, "refund_unknown".into()));
    let books = town.rig.ops("/ops/v1/ledger/verify").await;
    assert_eq!((&books["sound"], &books["totals"]["CNY"]["coupons"]), (&true.into(), &(-40).into()), "{books}");
}

#[tokio::test]
async fn too_many_failed_starts_block_the_user_who_is_told_why() {
    let mut town = Town::start().await;
    let text = std::fs::read_to_string(town.rig.server.config()).unwrap();
    std::fs::write(town.rig.server.config(), format!("{text}\n[accounts]\nfailed_starts = 2\n")).unwrap();
    town.rig.server.kill().await.unwrap();
    town.rig.again().await;
    let mut charger = town.rig.charger().await;
    town.rig.fund("u", 20_000).await;
    charger.refuses_starts();
    for name in ["s-1", "s-2"] {
        let id = town.begin(name, "u").await;
        charger.asked("RemoteStartTransaction").await;
        assert_eq!(town.until(&id, "Failed", "order.failed").await["failure"], "plug_not_connected");
        town.has("u", (20_000, 0, 0)).await;
    }
    let begun = Instant::now();
    while town.account("u").await["blocks"] == json!([]) {
        assert!(begun.elapsed() < PATIENCE, "never blocked\n{}", town.rig.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(town.account("u").await["blocks"][0]["rule"], "failed_starts");
    let id = town.begin("s-3", "u").await;
    assert_eq!(town.until(&id, "Failed", "account.blocked").await["failure"], "user_blocked");
}

#[tokio::test]
async fn settled_orders_are_priced_again_when_it_is_due() {
    let mut town = Town::start().await;
    let mut charger = town.rig.charger().await;
    town.rig.fund("u", 10_000).await;
    let id = town.charge(&mut charger, "s-1", "u", 800).await;
    town.until(&id, "Paid", "order.paid").await;
    // Due just after: whether before or after the process is back, it is done.
    let due = (loadtest::time::now_ms() / 1_000 + 2).rem_euclid(86_400);
    let text = std::fs::read_to_string(town.rig.server.config()).unwrap();
    let text = text.replace("[order]\n", &format!("[order]\ncheck_share = 10000\ncheck_after = \"{due}s\"\n"));
    std::fs::write(town.rig.server.config(), text).unwrap();
    town.rig.server.kill().await.unwrap();
    town.rig.again().await;
    let begun = Instant::now();
    loop {
        let (_, metrics) = town.rig.get(town.rig.server.ports().metrics, "/metrics").await;
        let figure = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let same = figure("chargeline_account_orders_checked_total{result=\"same\"}");
        let energy = figure("chargeline_account_balance_minor{account=\"revenue-energy\"}");
        if same == Some(1.0) && energy == Some(40.0) {
            assert_eq!(figure("chargeline_account_books_wrong"), Some(0.0));
            break;
        }
        assert!(begun.elapsed() < PATIENCE * 2, "{same:?} {energy:?}\n{}", town.rig.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A user with money for two who starts at ten connectors at once, each request sent ten times over: two charge, whichever they
/// are, and the account is at no moment spent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_spent_everywhere_at_once_is_never_over_spent() {
    const FUNDS: i64 = 12_000;
    let mut town = Town::start().await;
    town.rig.fund("u", FUNDS).await;
    let mut sockets = Vec::new();
    for id in ["CP-spend-1", "CP-spend-2"] {
        town.rig.operator().put_charger(id, "site-it", 5, PASSWORD).await.unwrap();
        let mut socket = Charger::connect(town.rig.server.ports().ocpp, id, PASSWORD).await.unwrap();
        socket.boot(5).await;
        sockets.push(socket);
    }
    let calls = (0..100).map(|n| {
        let (charger, connector) = (format!("CP-spend-{}", n % 10 / 5 + 1), n % 5 + 1);
        let body = json!({"request_id": format!("s-{}", n % 10), "charger_id": charger, "connector_id": connector,
            "user": {"id": "u"}});
        let partner = town.rig.partner().clone();
        async move { partner.post("/sessions", &body).await.unwrap() }
    });
    let watched = async {
        for _ in 0..50 {
            let (available, frozen, debt) = town.money("u").await;
            assert!(available >= 0 && available + frozen == FUNDS && debt == 0, "{available} {frozen} {debt}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(calls), watched);
    let mut sessions: Vec<String> = Vec::new();
    for (status, answer) in answers {
        assert_eq!(status, 202, "{answer}");
        sessions.push(answer["session_id"].as_str().unwrap().to_owned());
    }
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), 10, "a request is one session, however often it is sent");
    for round in 0..2 {
        town.has("u", (FUNDS - 10_000, 10_000, 0)).await;
        let begun = Instant::now();
        loop {
            let mut failed = 0;
            for id in &sessions {
                failed += usize::from(town.order(id).await["failure"] == "insufficient_funds");
            }
            if failed == 8 {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{failed} failed\n{}", town.rig.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if round == 0 {
            town.rig.server.kill().await.unwrap();
            town.rig.again().await;
        }
    }
    assert_eq!(town.rig.ops("/ops/v1/ledger/verify").await["sound"], true);
}
