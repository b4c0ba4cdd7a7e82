//! What is served besides the calls themselves (OP-6, EM-13).

use crate::rig::{Rig, texts};
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// The names in the generated table of metrics. Histograms have no series before their first observation.
fn documented() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(file).unwrap();
    let rows = text.lines().filter(|line| !line.contains("| histogram |"));
    let cells = rows.filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.filter(|name| name.starts_with("chargeline_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn health_metrics_and_documents_are_served() {
    let rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-start-1", 1).await;
    charger.begin(1, 1000).await;
    rig.session(&session_id, "it charges", |session| session.status == "Charging").await;
    let ports = rig.server.ports();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(rig.get(ports.operator, path).await.0, 200, "{path}");
    }
    let (status, openapi) = rig.get(ports.partner, "/openapi.json").await;
    let openapi: serde_json::Value = serde_json::from_str(&openapi).unwrap();
    assert_eq!(status, 200);
    assert!(openapi["paths"].as_object().unwrap().contains_key("/api/v1/sessions"), "{openapi}");
    let (status, docs) = rig.get(ports.partner, "/docs").await;
    assert!(status == 200 && docs.contains("<html"), "{status} {docs}");
}

#[tokio::test]
async fn every_documented_metric_is_served() {
    let rig = Rig::start().await;
    let names = documented();
    assert!(names.len() > 30, "{names:?}");
    let begun = Instant::now();
    loop {
        let (status, text) = rig.get(rig.server.ports().metrics, "/metrics").await;
        assert_eq!(status, 200);
        let served: HashSet<_> = text.lines().filter_map(|line| line.split([' ', '{']).next()).collect();
        let missing: Vec<_> = names.iter().filter(|name| !served.contains(name.as_str())).collect();
        if missing.is_empty() {
            return;
        }
        // Some gauges are set by what looks every second or two.
        assert!(begun.elapsed() < Duration::from_secs(8), "documented and not served: {missing:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_erased_user_is_named_nowhere_and_the_session_stays() {
    let mut rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-start-1", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    charger.stop(transaction, 1200).await;
    rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;
    let path = format!("/ops/v1/sessions/{session_id}");
    assert_eq!(rig.ops(&path).await["user_id"], "user-it");
    let token = rig.path("operator.token").display().to_string();
    let url = format!("http://127.0.0.1:{}", rig.server.ports().operator);
    let erase = ["partner", "erase-user", crate::rig::PARTNER, "user-it", "--url", &url, "--token-file", &token];
    let erased = async |rig: &Rig| {
        let said = texts(&rig.admin(&erase)).0;
        let id =
            said.split("approval approve ").nth(1).unwrap_or_else(|| panic!("{said}")).trim_end().trim_end_matches('`');
        rig.order("second", "POST", &format!("/approvals/{id}/approve"), &serde_json::json!({})).await
    };
    assert_eq!(erased(&rig).await["outcome"]["erased"], true);
    rig.stop().await;
    rig.again().await;
    let session = rig.ops(&path).await;
    assert_eq!((&session["energy_wh"], &session["user_id"]), (&200.into(), &serde_json::Value::Null), "{session}");
    assert_eq!(erased(&rig).await["outcome"]["erased"], true, "as often as one likes");
    let _charger = rig.charger().await;
    let next = rig.started("it-start-2", 1).await;
    assert_eq!(rig.ops(&format!("/ops/v1/sessions/{next}")).await["user_id"], "user-it", "a new key for what is new");
    assert_eq!(rig.ops(&path).await["user_id"], serde_json::Value::Null, "which does not open what was before");
}

#[tokio::test]
async fn the_operator_api_refuses_who_has_no_token() {
    let rig = Rig::start().await;
    let http = loadtest::partner::http_client(std::time::Duration::from_secs(10)).unwrap();
    let url = format!("http://127.0.0.1:{}/ops/v1/chargers", rig.server.ports().operator);
    assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(http.get(&url).bearer_auth("co_wrong").send().await.unwrap().status(), 401);
    assert!(rig.ops("/ops/v1/chargers").await.to_string().contains(crate::rig::CHARGER));
}
