//! The tools on the journal of a server that has stopped (RT-11), and the refusal of a second server.

use crate::rig::{CHARGER, Rig, texts};
use serde_json::Value;

/// A stopped server whose journal holds a session that has ended.
async fn with_history() -> (Rig, String) {
    let mut rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-start-1", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    charger.stop(transaction, 1700).await;
    rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;
    rig.stop().await;
    (rig, session_id)
}

/// What a command said on standard output and error; it succeeds.
fn done(rig: &Rig, arguments: &[&str]) -> (String, String) {
    let output = rig.run(arguments);
    let said = texts(&output);
    assert!(output.status.success(), "{arguments:?}: {said:?}");
    said
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[tokio::test]
async fn verify_inspect_export_and_stats_tell_what_is_there() {
    let (rig, session_id) = with_history().await;
    let (verified, _) = done(&rig, &["journal", "verify"]);
    let line = last_line(&verified);
    assert!(line.starts_with("verify: ") && line.ends_with(": 0 faults"), "{verified}");
    let (exported, closing) = done(&rig, &["journal", "export"]);
    let records: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(last_line(&closing), format!("export: {} records", records.len()));
    assert!(exported.contains(&session_id), "the session is in the export");
    let stream = records.iter().map(|r| r["stream"].as_str().unwrap()).find(|s| s.ends_with(CHARGER)).unwrap();
    let (inspected, _) = done(&rig, &["journal", "inspect", stream]);
    let line = last_line(&inspected);
    assert!(line.starts_with(&format!("inspect: {stream} has ")) && line.contains("records and "), "{line}");
    assert!(inspected.contains("StartTransaction") || inspected.contains(&session_id), "{inspected}");
    let (stats, _) = done(&rig, &["journal", "stats"]);
    let stats: Value = serde_json::from_str(last_line(&stats)).unwrap();
    assert!(stats["log_blocks"].as_u64().unwrap() > 0, "{stats}");
    let missing = rig.run(&["journal", "inspect", "charging/NOBODY"]);
    assert!(!missing.status.success(), "{:?}", texts(&missing));
}

#[tokio::test]
async fn a_compacted_and_a_restored_journal_serve_as_before() {
    let (mut rig, session_id) = with_history().await;
    let backup = rig.path("backup").display().to_string();
    let (said, _) = done(&rig, &["journal", "backup", &backup]);
    assert!(last_line(&said).starts_with("backup: ") && last_line(&said).ends_with(": 0 faults"), "{said}");
    let (said, _) = done(&rig, &["journal", "compact"]);
    assert!(last_line(&said).starts_with("compact: ") && last_line(&said).ends_with(": 0 faults"), "{said}");
    rig.again().await;
    rig.session(&session_id, "it is there after compaction", |session| session.energy_wh == 700).await;
    rig.stop().await;
    let refused = rig.run(&["journal", "restore", &backup]);
    assert!(!refused.status.success(), "not over a journal that is there: {:?}", texts(&refused));
    let (said, _) = done(&rig, &["journal", "restore", &backup, "--replace"]);
    assert!(last_line(&said).starts_with("restore: ") && last_line(&said).ends_with(": 0 faults"), "{said}");
    rig.again().await;
    let old = rig.session(&session_id, "it is there after restoring", |session| session.energy_wh == 700).await;
    let mut charger = rig.charger().await;
    rig.started("it-after", 2).await;
    let (transaction, _) = charger.begin(2, 0).await;
    let past = old.transaction_id.unwrap() + 1_000_000;
    assert!(transaction > past, "{transaction}: ids given after the backup are not given again, so beyond {past}");
    let first = rig.ask_start("it-start-1", 1).await;
    let again = loadtest::partner::Outcome::Accepted { session_id };
    assert_eq!(first, again, "and its request id is bound");
}

#[test]
fn a_port_that_is_taken_is_named_and_nothing_panics() {
    let rig = Rig::stopped();
    for (key, port) in [
        ("gateway.listen", rig.server.ports().ocpp),
        ("api.partner_listen", rig.server.ports().partner),
        ("telemetry.metrics_listen", rig.server.ports().metrics),
    ] {
        let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let output = rig.run(&["serve"]);
        let (_, said) = texts(&output);
        assert!(output.status.code() == Some(1) && said.contains(key), "{key}: {said}");
        assert!(!said.contains("panicked"), "{key}: {said}");
    }
}

#[tokio::test]
async fn a_second_server_and_the_tools_are_refused_while_the_journal_is_in_use() {
    let rig = Rig::start().await;
    for arguments in [["serve"].as_slice(), &["journal", "verify"], &["journal", "compact"]] {
        let output = rig.run(arguments);
        let (_, said) = texts(&output);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains("another process has the journal"), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert_eq!(rig.get(rig.server.ports().operator, "/readyz").await.0, 200, "the first goes on");
}
