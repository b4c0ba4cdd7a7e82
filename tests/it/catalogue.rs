//! The catalogue from outside (EM-6): a partner keeps a mirror of it by delta while an operator changes things and the server
//! is killed; statuses, prices and codes of connectors; imports.

use crate::open::unlimited;
use crate::rig::{CHARGER, PARTNER, PASSWORD, Rig};
use loadtest::partner::Key;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A partner's copy of the catalogue, kept as the document says.
#[derive(Default)]
struct Mirror {
    sites: BTreeMap<String, Value>,
    cursor: Option<String>,
    resets: usize,
    removed: usize,
}

impl Mirror {
    /// One page more; whether there is more still.
    async fn pull(&mut self, rig: &Rig, key: &Key, limit: usize) -> bool {
        let cursor = self.cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path = format!("/catalogue?limit={limit}{cursor}");
        let (status, page) = rig.signed(key, "GET", &path, &Value::Null).await;
        assert_eq!(status, 200, "{page}");
        if page["reset"] == true {
            self.resets += 1;
            self.sites.clear();
        }
        for gone in page["removed"].as_array().unwrap() {
            self.removed += usize::from(self.sites.remove(gone.as_str().unwrap()).is_some());
        }
        for site in page["items"].as_array().unwrap() {
            assert!(site["updated_at"].is_string(), "{site}");
            self.sites.insert(site["site_id"].as_str().unwrap().to_owned(), site.clone());
        }
        self.cursor = Some(page["next"].as_str().unwrap().to_owned());
        page["more"] == true
    }

    async fn pull_all(&mut self, rig: &Rig, key: &Key) {
        while self.pull(rig, key, 4).await {}
    }
}

fn plug(dice: &mut Dice) -> Value {
    json!({"standard": "GBT_DC", "format": "CABLE", "power_type": "DC", "max_voltage": 200 + dice.below(800),
        "max_amperage": 1 + dice.below(300)})
}

/// One change by an operator.
async fn change(rig: &Rig, dice: &mut Dice, round: u64) {
    let site = format!("site-{}", dice.below(12));
    match dice.below(6) {
        0 | 1 => {
            let hours = json!({"regular_hours": [{"weekday": 1 + dice.below(7), "period_begin": "08:00",
                "period_end": format!("{:02}:30", 9 + dice.below(14))}]});
            let body = json!({"name": format!("Name {round}"), "time_zone": "Asia/Shanghai", "hours": hours});
            rig.order("ada", "PUT", &format!("/sites/{site}"), &body).await;
        }
        2 | 3 => {
            let plugs: Vec<_> = (0..=dice.below(2)).map(|_| plug(dice)).collect();
            let body = json!({"site_id": site, "connectors": plugs, "auth": "none"});
            rig.order("ada", "PUT", &format!("/chargers/CP-{}", dice.below(8)), &body).await;
        }
        4 => {
            let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 5000 + round});
            let tariff = json!({"id": "t", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
            rig.order("ada", "PUT", "/tariffs/t", &tariff).await;
            let versions = rig.ops("/ops/v1/tariffs/t").await;
            let newest = versions["versions"].as_array().map_or(1, Vec::len).max(1);
            let order = json!({"version": newest, "sites": [site]});
            rig.order("ada", "POST", "/tariffs/t/roll-out", &order).await;
        }
        _ => grant(rig, dice).await,
    }
}

/// Other sites for the partner than before, often.
async fn grant(rig: &Rig, dice: &mut Dice) {
    let some: Vec<_> = (0..12).filter(|_| dice.below(3) > 0).map(|n| format!("site-{n}")).collect();
    let sites = if dice.below(4) == 0 { json!("all") } else { json!(some) };
    rig.order("ada", "PUT", &format!("/partners/{PARTNER}"), &json!({"name": "It", "sites": sites})).await;
}

#[tokio::test]
async fn a_mirror_kept_by_delta_is_equal_after_changes_kills_and_withdrawn_grants() {
    let mut rig = Rig::start_with("http://127.0.0.1:9/", unlimited).await;
    let key = rig.operator().make_key(PARTNER).await.unwrap();
    for n in 0..12 {
        let body = json!({"name": format!("Site {n}"), "time_zone": "Asia/Shanghai"});
        rig.order("ada", "PUT", &format!("/sites/site-{n}"), &body).await;
    }
    let (mut dice, mut mirror) = (Dice(6), Mirror::default());
    for round in 1..=90 {
        change(&rig, &mut dice, round).await;
        // The partner is always somewhere in the middle of its pull.
        mirror.pull(&rig, &key, 2).await;
        if round % 30 == 0 {
            rig.server.kill().await.unwrap();
            rig.again().await;
        }
        if round % 15 == 0 {
            mirror.pull_all(&rig, &key).await;
            let mut fresh = Mirror::default();
            fresh.pull_all(&rig, &key).await;
            assert_eq!(mirror.sites, fresh.sites, "round {round}");
        }
    }
    assert_eq!(mirror.resets, 0, "cursors hold over kills");
    assert!(mirror.removed > 5, "withdrawn sites were told: {}", mirror.removed);
    rig.order("ada", "PUT", &format!("/partners/{PARTNER}"), &json!({"name": "It", "sites": "all"})).await;
    mirror.pull_all(&rig, &key).await;
    let truth = rig.ops("/ops/v1/sites?limit=100").await;
    for site in truth["items"].as_array().unwrap() {
        let own = &mirror.sites[site["site_id"].as_str().unwrap()];
        for member in ["name", "hours", "tariff", "time_zone"] {
            assert_eq!(own[member], site[member], "{member} of {own}");
        }
        let ids =
            |of: &Value| of["chargers"].as_array().unwrap().iter().map(|c| c["charger_id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(own), ids(site));
    }
    assert_eq!(mirror.sites.len(), 13, "site-it too");
    let nothing = mirror.cursor.clone();
    assert!(!mirror.pull(&rig, &key, 4).await && mirror.cursor == nothing, "at rest nothing comes");
}

#[tokio::test]
async fn what_was_there_throughout_is_not_missed_while_everything_else_changes() {
    let rig = Rig::start_with("http://127.0.0.1:9/", unlimited).await;
    let key = rig.operator().make_key(PARTNER).await.unwrap();
    let site = async |n: u64, name: String| {
        rig.order("ada", "PUT", &format!("/sites/s{n:02}"), &json!({"name": name})).await;
    };
    for n in 0..30 {
        site(n, format!("Site {n}")).await;
    }
    let mut mirror = Mirror::default();
    let mut dice = Dice(11);
    let changes = async {
        // Those below ten are changed all the time, and so move about in the feed.
        for round in 0..120 {
            site(dice.below(10), format!("Round {round}")).await;
        }
    };
    let pulls = async {
        for _ in 0..40 {
            mirror.pull(&rig, &key, 1).await;
        }
    };
    tokio::join!(changes, pulls);
    mirror.pull_all(&rig, &key).await;
    let mut fresh = Mirror::default();
    fresh.pull_all(&rig, &key).await;
    assert_eq!((mirror.sites.len(), &mirror.sites), (31, &fresh.sites));
    let since = fresh.sites["s00"]["updated_at"].as_str().unwrap().to_owned();
    let (_, page) = rig.signed(&key, "GET", &format!("/catalogue?updated_since={since}"), &Value::Null).await;
    let changed: Vec<_> = page["items"].as_array().unwrap().iter().map(|site| site["site_id"].clone()).collect();
    assert!(changed.contains(&json!("s00")) && changed.len() < 12, "{changed:?}");
}

/// A site with hours, a tariff and a charger of which all is known.
async fn furnished(rig: &Rig) {
    let always = json!({"twentyfourseven": true, "exceptional_closings": [
        {"period_begin": "2020-01-01", "period_end": "2020-01-02"}]});
    let site = json!({"name": "Site", "time_zone": "Asia/Shanghai", "position": {"lat": 31.2304, "lon": 121.4737},
        "address": "1 Road", "hours": always, "facilities": ["CAFE", "WIFI"]});
    rig.order("ada", "PUT", "/sites/site-it", &site).await;
    let dc = json!({"standard": "GBT_DC", "format": "CABLE", "power_type": "DC", "max_voltage": 750,
        "max_amperage": 250, "max_electric_power": 120_000, "number": "0012345", "parking": "B 17"});
    let ac = json!({"standard": "GBT_AC", "format": "SOCKET", "power_type": "AC_1_PHASE", "max_voltage": 220,
        "max_amperage": 32});
    let charger = json!({"site_id": "site-it", "connectors": [dc, ac], "auth": "basic", "password": PASSWORD});
    rig.order("ada", "PUT", &format!("/chargers/{CHARGER}"), &charger).await;
    let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 8000, "service": 3000});
    let tariff = json!({"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
    rig.order("ada", "PUT", "/tariffs/flat", &tariff).await;
    rig.order("ada", "POST", "/tariffs/flat/roll-out", &json!({"version": 1})).await;
}

#[tokio::test]
async fn a_code_resolves_to_connector_power_price_and_status_also_after_a_kill() {
    let mut rig = Rig::start().await;
    furnished(&rig).await;
    let _charger = rig.charger().await;
    let key = rig.operator().make_key(PARTNER).await.unwrap();
    let get = async |rig: &Rig, path: &str| rig.signed(&key, "GET", path, &Value::Null).await;
    for _ in 0..2 {
        for code in
            ["0012345", "CP-it*1", "CP-it%2F1", "hlht%3A%2F%2FCP-it01.987654321%2F", "https%3A%2F%2Fx.cn%2Fc%2F0012345"]
        {
            let (status, found) = get(&rig, &format!("/resolve?code={code}")).await;
            assert_eq!(status, 200, "{code}: {found}");
            assert_eq!((&found["charger_id"], &found["connector_id"]), (&json!(CHARGER), &json!(1)));
            assert_eq!((&found["power_w"], &found["facts"]["standard"]), (&json!(120_000), &json!("GBT_DC")));
            let price = &found["price"];
            assert_eq!((&price["electricity"], &price["service"]), (&json!(8000), &json!(3000)), "{price}");
            assert_eq!((&price["tariff_id"], &price["href"]), (&json!("flat"), &json!("/api/v1/sites/site-it/tariff")));
            assert!(found["status_at"].is_string() && found["open_now"] == true, "{found}");
        }
        let (_, one) = get(&rig, "/chargers/CP-it/connectors/2").await;
        assert_eq!((&one["power_w"], &one["facts"]["format"]), (&json!(7_040), &json!("SOCKET")));
        for (path, code) in [
            ("/resolve?code=999", "code_unknown"),
            ("/resolve?code=CP-it", "code_unknown"),
            ("/resolve", "invalid_field"),
            ("/chargers/CP-it/connectors/3", "connector_unknown"),
            ("/statuses?site_id=none", "site_unknown"),
            ("/statuses?connectors=CP-it", "invalid_field"),
            ("/catalogue?cursor=x", "invalid_field"),
        ] {
            assert_eq!(get(&rig, path).await.1["error"]["code"], code, "{path}");
        }
        let (_, named) = get(&rig, "/statuses?connectors=CP-it/2,CP-it/1,CP-none/1,CP-it/9").await;
        assert_eq!(named["unknown"], json!(["CP-none/1", "CP-it/9"]));
        assert_eq!((&named["items"][0]["connector_id"], &named["items"][1]["site_id"]), (&json!(2), &json!("site-it")));
        for path in ["/statuses?site_id=site-it", "/statuses"] {
            let (_, all) = get(&rig, path).await;
            assert_eq!(all["items"].as_array().unwrap().len(), 2, "{all}");
            assert!(all["items"][0]["status_at"].is_string() && all["items"][0]["online"].is_boolean(), "{all}");
        }
        let (_, page) = get(&rig, "/catalogue").await;
        let site = &page["items"][0];
        assert_eq!((&site["facilities"], &site["tariff"]["version"]), (&json!(["CAFE", "WIFI"]), &json!(1)), "{page}");
        assert_eq!(site["chargers"][0]["connectors"][0]["facts"]["parking"], "B 17");
        rig.server.kill().await.unwrap();
        rig.again().await;
    }
}

#[tokio::test]
async fn an_import_is_checked_whole_and_a_number_belongs_to_one_connector() {
    let rig = Rig::start().await;
    furnished(&rig).await;
    let post = async |body: Value| {
        let url = format!("http://127.0.0.1:{}/ops/v1/import", rig.server.ports().operator);
        let http = loadtest::partner::http_client(std::time::Duration::from_secs(10)).unwrap();
        let call = http.post(url).bearer_auth(rig.server.token().unwrap()).header("x-chargeline-operator", "ada");
        let answer = call.body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    let mut dice = Dice(3);
    let chargers: Vec<_> = (0..40)
        .map(|n| json!({"charger_id": format!("IM-{n}"), "site_id": format!("im-{}", n % 8), "connectors": [plug(&mut dice)]}))
        .collect();
    let sites: Vec<_> =
        (0..8).map(|n| json!({"site_id": format!("im-{n}"), "name": format!("Imported {n}")})).collect();
    let mut bad = json!({"sites": sites, "chargers": chargers});
    bad["sites"][3]["time_zone"] = json!("Mars/Base");
    bad["chargers"][7]["connectors"][0]["power_type"] = json!("AC_3_PHASE");
    bad["chargers"][9]["connectors"][0]["colour"] = json!("red");
    let (status, answer) = post(bad).await;
    let fields: Vec<_> = answer["error"]["details"].as_array().unwrap().iter().map(|d| d["field"].clone()).collect();
    assert_eq!(status, 400);
    assert_eq!(fields[..2], [json!("sites[3].time_zone"), json!("chargers[7].connectors[0].power_type")], "{answer}");
    assert!(fields[2].as_str().unwrap().starts_with("chargers[9]"), "{answer}");
    let good = json!({"sites": sites, "chargers": chargers});
    let mut only_checked = good.clone();
    only_checked["check"] = json!(true);
    assert_eq!(post(only_checked).await.1["passwords"], json!({}));
    assert_eq!(rig.ops("/ops/v1/sites").await["items"].as_array().unwrap().len(), 1, "nothing was done");
    let (status, done) = post(good.clone()).await;
    assert_eq!((status, &done["sites"], &done["chargers"]), (200, &json!(8), &json!(40)), "{done}");
    assert_eq!(done["passwords"].as_object().unwrap().len(), 40);
    assert_eq!(post(good).await.1["passwords"], json!({}), "once more: nothing new");
    let mut mirror = Mirror::default();
    let key = rig.operator().make_key(PARTNER).await.unwrap();
    mirror.pull_all(&rig, &key).await;
    assert_eq!(mirror.sites.values().flat_map(|site| site["chargers"].as_array().unwrap()).count(), 41);
    let twice = json!({"chargers": [{"charger_id": "IM-1", "site_id": "im-1", "connectors": [{"standard": "GBT_DC",
        "format": "CABLE", "power_type": "DC", "max_voltage": 750, "max_amperage": 250, "number": "0012345"}]}]});
    let (status, answer) = post(twice).await;
    assert_eq!((status, &answer["error"]["details"][0]["field"]), (400, &json!("connectors[0].number")), "{answer}");
}
