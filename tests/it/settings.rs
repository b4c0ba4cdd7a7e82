//! The configuration file: checked, read again, refused (RT-10).

use crate::rig::{Rig, texts};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

impl Rig {
    pub(crate) fn add(&self, text: &str) {
        let before = std::fs::read_to_string(self.server.config()).unwrap();
        std::fs::write(self.server.config(), format!("{before}{text}")).unwrap();
    }

    /// SIGHUP; waits until the log says `what`.
    pub(crate) async fn reload(&self, what: &str) {
        let seen = self.log().matches(what).count();
        self.signal("HUP");
        let begun = Instant::now();
        while self.log().matches(what).count() == seen {
            assert!(begun.elapsed() < Duration::from_secs(10), "never: {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn versions(&self) -> Value {
        self.ops("/ops/v1/config").await
    }
}

#[tokio::test]
async fn a_live_key_changes_on_sighup_without_dropping_a_connection() {
    let rig = Rig::start().await;
    let mut charger = rig.charger().await;
    assert_eq!(rig.versions().await["current"], 1);
    rig.add("heartbeat = \"1h\"\ninterval_spread_percent = 0\n");
    rig.reload("the configuration was read again").await;
    let versions = rig.versions().await;
    assert_eq!(versions["current"], 2, "{versions}");
    assert_eq!(versions["items"][0]["changed"], json!(["charger.heartbeat", "charger.interval_spread_percent"]));
    let boot = charger.call("BootNotification", json!({"chargePointVendor": "it", "chargePointModel": "it"})).await;
    assert_eq!(boot["interval"], 3600, "on the old connection, by the new value");
}

#[tokio::test]
async fn a_key_that_is_not_live_or_a_bad_file_is_refused_and_the_old_stays() {
    let rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let good = std::fs::read_to_string(rig.server.config()).unwrap();
    let bad = [
        "heartbeat = \"1h\"\n[engine]\nmailbox = 65\n",
        "heartbeat = \"1s\"\n",
        "heartbeat = \"1h\"\nno_such_key = 1\n",
        "heartbeat = [",
    ];
    for text in bad {
        rig.add(text);
        rig.reload("the configuration stays as it was").await;
        assert_eq!(rig.versions().await["current"], 1, "{text}");
        std::fs::write(rig.server.config(), &good).unwrap();
    }
    assert!(rig.log().contains("engine.mailbox"), "the key is named\n{}", rig.log());
    charger.call("Heartbeat", json!({})).await;
}

#[tokio::test]
async fn versions_are_kept_over_a_restart() {
    let mut rig = Rig::start().await;
    rig.add("heartbeat = \"1h\"\n");
    rig.reload("the configuration was read again").await;
    rig.server.kill().await.unwrap();
    rig.again().await;
    let versions = rig.versions().await;
    assert_eq!(versions["current"], 2, "{versions}");
    assert_eq!(versions["items"].as_array().unwrap().len(), 2, "{versions}");
}

#[test]
fn check_config_names_key_value_and_what_is_allowed() {
    let rig = Rig::stopped();
    let good = rig.run(&["check-config"]);
    assert!(good.status.success(), "{:?}", texts(&good));
    rig.add("heartbeat = \"1s\"\n");
    let bad = rig.run(&["check-config"]);
    let (said, _) = texts(&bad);
    assert!(!bad.status.success(), "{said}");
    for part in ["charger.heartbeat", "1s", "1 problems"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let line = said.lines().next().unwrap();
    assert!(line.contains("1m to 1h"), "what is allowed: {line}");
    let (_, refused) = texts(&rig.run(&["serve"]));
    assert!(refused.contains("charger.heartbeat"), "it does not start either: {refused}");
}
