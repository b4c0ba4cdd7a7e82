//! What partners were told goes once it is old enough, and what is still to be told stays for as long as it takes (EM-8): a
//! store that forgot nothing would grow for ever.

use crate::rig::{PARTNER, Rig};
use loadtest::history::History;
use loadtest::partner::{Sink, SinkMode};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is to happen happens within this time.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn delivered_events_go_when_they_are_old_and_waiting_ones_stay() {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), 1, History::off(), Arc::default()).await.unwrap();
    let short = "[journal]\noutbox_retention = \"0ms\"\nupkeep_interval = \"100ms\"";
    let again = "[webhook]\nschedule = [\"1s\", \"1s\", \"2s\", \"2s\", \"5s\", \"5s\", \"10s\", \"30s\"]";
    let change = |text: &str| text.replace("[journal]", short).replace("[webhook]", again);
    let mut rig = Rig::start_with(&sink.url(), change).await;
    sink.set_secrets(vec![rig.operator().make_webhook_secret(PARTNER).await.unwrap()]);
    sink.set_mode(SinkMode::Fail(500));
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-outbox", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    charger.stop(transaction, 3000).await;
    rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;
    let begun = Instant::now();
    // From a third try on two seconds have passed, and the journal has looked for what may go twenty times.
    while sink.recent().iter().all(|received| received.attempt < 3) {
        assert!(begun.elapsed() < PATIENCE, "{:#?}", sink.recent());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let kind = |kind: &str, events: &[loadtest::partner::Event]| events.iter().any(|event| event.event_type == kind);
    let events = rig.partner().events().await.unwrap();
    assert!(kind("session.ended", &events), "it waits: {events:?}");
    // Also over a kill: nobody has told the new process what may go.
    rig.server.kill().await.unwrap();
    rig.again().await;
    let events = rig.partner().events().await.unwrap();
    assert!(kind("session.ended", &events), "it waits: {events:?}");
    sink.set_mode(SinkMode::Accept);
    let begun = Instant::now();
    loop {
        let events = rig.partner().events().await.unwrap();
        if events.is_empty() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "all is delivered, and still there: {events:#?}\n{}", rig.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(sink.recent().iter().any(|received| received.event_type == "session.ended" && received.answer == 204));
}
