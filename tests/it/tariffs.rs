//! Tariffs through the command line and the operator API, over a kill (MO-2).

use crate::rig::{Rig, texts};
use serde_json::json;
use std::path::Path;

/// Runs `chargeline admin tariff …` against the rig's server; its last line.
fn tariff(rig: &Rig, words: &[&str]) -> (bool, String) {
    let url = format!("http://127.0.0.1:{}", rig.server.ports().operator);
    let token = rig.path("operator.token").display().to_string();
    let arguments: Vec<&str> =
        ["--url", &url, "--token-file", &token, "tariff"].into_iter().chain(words.iter().copied()).collect();
    let output = rig.admin(&arguments);
    let (said, failed) = texts(&output);
    let text = if output.status.success() { said } else { failed };
    (output.status.success(), text.lines().last().unwrap_or_default().to_owned())
}

fn write(path: &Path, electricity: i64, to: &str) {
    let slice = json!({"name": "flat", "from": "00:00", "to": to, "electricity": electricity, "service": 4000});
    let tariff = json!({"id": "t1", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
    std::fs::write(path, tariff.to_string()).unwrap();
}

#[tokio::test]
async fn what_was_rolled_out_is_in_force_after_a_kill_and_can_be_taken_back() {
    let mut rig = Rig::start().await;
    let file = rig.path("tariff.json");
    let name = file.display().to_string();
    write(&file, 8_000, "20:00");
    let (good, said) = tariff(&rig, &["publish", "t1", &name]);
    assert!(!good && said.contains("tariff_invalid"), "{said}");
    for price in [8_000, 9_000] {
        write(&file, price, "24:00");
        assert!(tariff(&rig, &["publish", "t1", &name]).0);
    }
    assert!(tariff(&rig, &["roll-out", "t1", "1"]).0);
    assert!(tariff(&rig, &["roll-out", "t1", "2", "--site", "site-it"]).0);
    rig.server.kill().await.unwrap();
    rig.again().await;
    let shown = rig.ops("/ops/v1/sites/site-it/tariff").await;
    assert_eq!((&shown["version"], &shown["slices"][0]["electricity"]), (&json!(2), &json!(9_000)), "{shown}");
    assert_eq!(rig.ops("/ops/v1/sites/elsewhere/tariff").await["version"], 1);
    assert_eq!(tariff(&rig, &["roll-back", "t1", "--site", "site-it"]), (true, "tariff t1 rolled back".into()));
    assert_eq!(rig.ops("/ops/v1/sites/site-it/tariff").await["version"], 1);
    // Bounds come from the configuration.
    write(&file, 800_000, "24:00");
    let (good, said) = tariff(&rig, &["check", "t1", &name]);
    assert!(!good && said.contains("tariff_invalid"), "{said}");
}
