//! A rule that panics, in the whole server (RT-2): its entity alone is rebuilt, then left alone, told to people, and
//! released by one; everybody else works on. The server runs in this process, because only here its rules can be poisoned.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[path = "it/charger.rs"]
#[allow(dead_code, reason = "the tests of the binary use the rest")]
mod charger;

use chargeline::config::load::{Sources, from_text};
use chargeline::domain::charging::Key;
use chargeline::ids::ChargerId;
use chargeline::runtime::{Served, serve};
use charger::Charger;
use loadtest::history::History;
use loadtest::operator::Operator;
use loadtest::partner::{Outcome, PartnerClient, StartCall};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PASSWORD: &str = "quarantine-password-1";

fn settings(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        r#"[gateway]
listen = "127.0.0.1:0"
[api]
partner_listen = "127.0.0.1:0"
operator_listen = "127.0.0.1:0"
operator_token_file = "{directory}/operator.token"
[journal]
path = "{directory}/journal"
key_file = "{directory}/journal.key"
reserve_bytes = 1048576
full_floor_bytes = 1048576
[message_log]
path = "{directory}/messages"
[telemetry]
metrics_listen = "127.0.0.1:0"
[webhook]
ports = []
allow_cidrs = ["127.0.0.0/8"]
allow_http = true
[charger]
first_call_delay = "0ms"
first_call_spread = "0ms"
answer_lead = "0ms"
configure = false
"#
    )
}

struct World {
    served: Served,
    operator: Operator,
    partner: PartnerClient,
}

impl World {
    async fn start(directory: &Path) -> World {
        let text = settings(directory);
        let loaded = from_text(Some(("test", &text)), &[]).unwrap();
        let served = serve(loaded.config, Sources { file: None, environment: Vec::new() }, None).await.unwrap();
        let token = std::fs::read_to_string(directory.join("operator.token")).unwrap();
        let operator = Operator::new(&format!("http://{}", served.addresses.operator), token.trim()).unwrap();
        operator.put_site("site", "Site").await.unwrap();
        for id in ["CP-sick", "CP-well"] {
            operator.put_charger(id, "site", 2, PASSWORD).await.unwrap();
        }
        operator.put_partner("partner", "http://127.0.0.1:9/").await.unwrap();
        let key = operator.make_key("partner").await.unwrap();
        let base = format!("http://{}/api/v1", served.addresses.partner);
        let partner = PartnerClient::new(&base, key, History::off(), Arc::default(), Duration::from_secs(10)).unwrap();
        World { served, operator, partner }
    }

    async fn charger(&self, id: &str) -> Charger {
        let mut charger = Charger::connect(self.served.addresses.ocpp.port(), id, PASSWORD).await.unwrap();
        charger.boot(2).await;
        charger
    }

    async fn ask_start(&self, charger_id: &str, connector_id: u16) -> Outcome {
        let (request_id, user_id) = (format!("start-{charger_id}-{connector_id}"), "user".to_owned());
        self.partner.start(&StartCall { request_id, charger_id: charger_id.to_owned(), connector_id, user_id }).await
    }

    async fn begin(&self, charger: &mut Charger, charger_id: &str, connector_id: u16) -> (String, i64) {
        let Outcome::Accepted { session_id } = self.ask_start(charger_id, connector_id).await else {
            panic!("{charger_id} {connector_id} is refused")
        };
        let (transaction, _) = charger.begin(connector_id, 1000).await;
        (session_id, transaction)
    }

    async fn poison(&self, key: Key) -> Option<String> {
        let sick: ChargerId = "CP-sick".parse().unwrap();
        self.served.runtime.poison(&sick, key).await
    }

    async fn status(&self, session_id: &str) -> String {
        self.partner.session(session_id).await.unwrap().unwrap().status
    }

    async fn ops(&self, path: &str) -> String {
        self.operator.call(http::Method::GET, path, None).await.unwrap().to_string()
    }

    async fn metric(&self, line: &str) -> bool {
        let url = format!("http://{}/metrics", self.served.addresses.metrics);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        text.lines().any(|of| of == line)
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_rule_that_panics_costs_its_session_alone_and_a_person_releases_it() {
    actix_rt::System::new().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let world = World::start(directory.path()).await;
        let (mut sick, mut well) = (world.charger("CP-sick").await, world.charger("CP-well").await);
        let (poisoned, transaction) = world.begin(&mut sick, "CP-sick", 1).await;
        let (beside, beside_transaction) = world.begin(&mut sick, "CP-sick", 2).await;
        let key = Key::Session(poisoned.parse().unwrap());

        // Three times within a minute: the session is rebuilt from the journal each time, and goes on.
        for _ in 0..3 {
            assert_eq!(world.poison(key).await.as_deref(), Some("the command failed inside and changed nothing"));
        }
        sick.meter(1, transaction, 1200).await;
        let session = world.partner.session(&poisoned).await.unwrap().unwrap();
        assert_eq!((session.status.as_str(), session.energy_wh), ("Charging", 200));
        assert_eq!(world.ops("/ops/v1/quarantine").await, r#"{"items":[]}"#);

        // Once more: it is left alone, and people are told.
        world.poison(key).await;
        assert!(world.ops("/ops/v1/quarantine").await.contains(&poisoned));
        until("an alert", async || {
            let alerts = world.ops("/ops/v1/alerts").await;
            alerts.contains("\"quarantined\"") && alerts.contains(&poisoned)
        })
        .await;
        assert!(world.metric(r#"chargeline_engine_quarantined{family="charger"} 1"#).await, "the metric");

        // The other session of the same charger, and the other charger, work on.
        sick.stop(beside_transaction, 1100).await;
        until("the session beside it ends", async || world.status(&beside).await == "Ended").await;
        let (third, third_transaction) = world.begin(&mut well, "CP-well", 1).await;
        well.stop(third_transaction, 1100).await;
        until("the other charger's session ends", async || world.status(&third).await == "Ended").await;

        // A person looks at it and releases it: it goes on from where it was.
        let entity = format!("charger/CP-sick session/{poisoned}");
        let listed = world.ops("/ops/v1/quarantine").await;
        assert!(listed.contains(&entity), "{listed}");
        let release = Some(json!({"entity": entity}));
        world.operator.call(http::Method::POST, "/ops/v1/quarantine/release", release).await.unwrap();
        assert_eq!(world.ops("/ops/v1/quarantine").await, r#"{"items":[]}"#);
        assert!(world.metric(r#"chargeline_engine_quarantined{family="charger"} 0"#).await, "the metric");
        sick.stop(transaction, 1300).await;
        until("the released session ends", async || world.status(&poisoned).await == "Ended").await;
        assert_eq!(world.partner.session(&poisoned).await.unwrap().unwrap().energy_wh, 300);
    });
}
