//! One request followed through the log: the partner's call, the charger, the webhook (OP-7).

use crate::rig::{PARTNER, Rig};
use loadtest::history::History;
use loadtest::partner::{Sink, SinkMode};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a line says, if it is about `request`: in its own fields or in those of the spans around it.
fn about(line: &Value, request: &str) -> Option<String> {
    let own = line["request_id"] == request;
    let around = line["spans"].as_array().is_some_and(|spans| spans.iter().any(|span| span["request_id"] == request));
    let kind = line["kind"].as_str().or(line["action"].as_str()).map(|kind| format!(" {kind}")).unwrap_or_default();
    (own || around).then(|| format!("{}{kind}", line["message"].as_str().unwrap_or_default()))
}

/// The lines about a request so far, and the whole log.
fn trail(rig: &Rig, request: &str) -> (Vec<String>, String) {
    let log = rig.log();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    (lines.filter_map(|line| about(&line, request)).collect(), log)
}

#[tokio::test]
async fn one_request_can_be_followed_from_the_partner_to_the_charger_and_back_to_the_webhook() {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), 1, History::off(), Arc::default()).await.unwrap();
    sink.set_mode(SinkMode::Accept);
    let json = |text: &str| text.replace("[telemetry]", "[telemetry]\nlog_format = \"json\"");
    let rig = Rig::start_with(&sink.url(), json).await;
    sink.set_secrets(vec![rig.operator().make_webhook_secret(PARTNER).await.unwrap()]);
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-trail", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    charger.stop(transaction, 3000).await;
    rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;
    let expected = [
        "session placed",
        "call sent to the charger RemoteStartTransaction",
        "the charger has answered",
        "session began",
        "session ended",
        "webhook sent session.ended",
    ];
    let begun = Instant::now();
    let (lines, log) = loop {
        let (lines, log) = trail(&rig, "it-trail");
        if expected.iter().all(|expected| lines.iter().any(|line| line == expected)) {
            break (lines, log);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{lines:#?}\n{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let place = |what: &str| lines.iter().position(|line| line == what).unwrap();
    let places: Vec<_> = expected.iter().map(|what| place(what)).collect();
    assert!(places.is_sorted(), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line == "call POST /api/v1/sessions"),
        "the call itself is audited under the same name: {lines:#?}"
    );
    assert!(!log.contains("user-it"), "the partner's name of its user is personal");
}
