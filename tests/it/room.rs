//! A disk that fills up under a server that works (RT-7). In memory-backed storage, so that nothing else fills it.

use crate::rig::Rig;
use loadtest::partner::Outcome;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// A file system of its own, in memory, on nearly every Linux.
const DISK: &str = "/dev/shm";

/// Free room at the start above the floor; what is filled is more.
const ROOM: u64 = 12 << 20;

async fn until(what: &str, rig: &Rig, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(15), "never: {what}\n{}", rig.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn readiness(rig: &Rig) -> (u16, String) {
    rig.get(rig.server.ports().operator, "/readyz").await
}

/// Takes `bytes` of the disk.
fn fill(disk: &Path, bytes: u64) {
    use fs4::FileExt as _;
    File::create(disk.join("ballast")).unwrap().allocate(bytes).unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_starts_keeps_stops_and_is_told() {
    let own = Path::new(DISK);
    let disk = tempfile::tempdir_in(if own.is_dir() { own.to_owned() } else { std::env::temp_dir() }).unwrap();
    let floor = fs4::available_space(disk.path()).unwrap().saturating_sub(ROOM);
    let place = disk.path().join("journal");
    let mut rig = Rig::start_with("http://127.0.0.1:9/", |text| {
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("path", path)) if path.ends_with("/journal\"") => format!("path = {:?}", place.display().to_string()),
            Some(("full_floor_bytes", _)) => format!("full_floor_bytes = {floor}"),
            Some(_) | None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    })
    .await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-before", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;

    fill(disk.path(), 2 * ROOM);
    until("not ready, and why", &rig, async || {
        let (status, text) = readiness(&rig).await;
        status == 503 && text.contains("the journal has no room for new work")
    })
    .await;
    rig.ask_once();
    let refused = rig.ask_start("it-full", 2).await;
    assert_eq!(refused, Outcome::Unknown { reason: "503 Service Unavailable: journal_full".into() });
    charger.meter(1, transaction, 1200).await;
    charger.stop(transaction, 1300).await;
    let ended = rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;
    assert_eq!(ended.energy_wh, 300, "readings and the stop are kept: {ended:?}");
    until("an alert", &rig, async || rig.ops("/ops/v1/alerts").await.to_string().contains("journal_full")).await;

    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    until("ready again by itself", &rig, async || readiness(&rig).await.0 == 200).await;
    charger.status(1, "Available").await;
    assert!(matches!(rig.ask_start("it-full", 2).await, Outcome::Accepted { .. }), "refused for a while, not for good");
    until("told", &rig, async || rig.ops("/ops/v1/alerts").await.to_string().contains("journal_has_room")).await;
}
