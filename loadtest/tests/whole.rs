//! The whole load test against a platform in miniature: a run that verifies, storms, broken promises found, a demo that
//! goes on after its process was gone.

mod mini;

use loadtest::check::Kind;
use loadtest::demo::{DemoFleet, DemoOptions, Snapshot};
use loadtest::scenario::{
    Behaviours, Fleet, LoadPart, Report, RunKind, Scenario, Setting, Span, StormPart, run, storm,
};
use mini::Breaks;
use std::path::PathBuf;
use std::time::Duration;

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Scratch(std::env::temp_dir().join(format!("whole-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scenario() -> Scenario {
    Scenario {
        seed: 3,
        fleet: Fleet {
            chargers: 64,
            ramp_per_s: 2_000,
            meter_interval: Span(Duration::from_millis(300)),
            ..Fleet::default()
        },
        load: LoadPart {
            duration: Span::secs(4),
            starts_per_s: 40.0,
            length: (Span::secs(1), Span::secs(3)),
            settle_max: Span::secs(40),
            ..LoadPart::default()
        },
        behaviours: Behaviours::MIXED,
        ..Scenario::default()
    }
}

fn setting(dir: &Scratch) -> Setting {
    Setting { dir: dir.0.clone(), command: "a test".into(), ..Setting::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_with_mishaps_against_a_sound_platform_verifies() {
    let (dir, endpoints) = (Scratch::new(), mini::start(Breaks::Nothing).await);
    let report = run(&endpoints, &scenario(), &setting(&dir)).await.unwrap();
    assert!(report.holds(), "{}\n{:#?}", report.line(), report.ending.verdict.violations);
    let page = std::fs::read_to_string(dir.0.join("report.html")).unwrap();
    let samples = std::fs::read_to_string(dir.0.join("samples.jsonl")).unwrap();
    assert!(page.contains("Everything holds.") && page.contains("<svg") && samples.lines().count() > 3);
    let f = report.ending.verdict.figures;
    assert!(f.starts_found > 20 && f.transactions_found > 20 && f.energies_compared > 20, "{}", report.line());
    assert!(f.repeated_facts > 0, "some answers were lost and some messages repeated: {}", report.line());
    let (histories, kept) = loadtest::check::load(&dir.0).unwrap();
    assert!(loadtest::check::check(&histories, &kept.unwrap()).holds(), "the kept run verifies offline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_brings_everyone_back() {
    let (dir, endpoints) = (Scratch::new(), mini::start(Breaks::Nothing).await);
    // A few dozen handshakes take next to nothing.
    let part = StormPart { rounds: 2, ratio_max: 10_000.0, partner_p99_max: Span::secs(5) };
    let scenario = Scenario { kind: RunKind::Storm, behaviours: Behaviours::default(), storm: part, ..scenario() };
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_loadtest"));
    let report = storm(&endpoints, &scenario, &setting(&dir), program).await.unwrap();
    assert!(report.holds(), "{}\n{:#?}", report.line(), report.ending.verdict.violations);
    assert_eq!((report.rounds.len(), report.sessions), (2, 64));
    assert!(report.rounds.iter().all(|round| round.connected_ms <= round.whole_ms));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_promises_are_found_over_the_wire() {
    for (breaks, kind) in
        [(Breaks::EveryFifthEventIsLost, Kind::EventLost), (Breaks::RepeatedStartsGetNewIds, Kind::FactDoubled)]
    {
        let (dir, endpoints) = (Scratch::new(), mini::start(breaks).await);
        let mut short = scenario();
        short.load.settle_max = Span::secs(6);
        short.behaviours = Behaviours { loses_answer: 100, repeats_messages: 200, ..Behaviours::default() };
        let report = run(&endpoints, &short, &setting(&dir)).await.unwrap();
        assert!(!report.ending.verdict.holds());
        assert!(
            report.ending.verdict.violations.iter().any(|v| v.kind == kind),
            "{breaks:?}: {}",
            report.ending.verdict.line()
        );
    }
}

async fn eventually(demo: &DemoFleet, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
    for _ in 0..150 {
        let snapshot = demo.snapshot().await;
        if holds(&snapshot) {
            return snapshot;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("never: {what}\n{:#?}", demo.snapshot().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_started_again_goes_on_where_its_chargers_were() {
    let (dir, endpoints) = (Scratch::new(), mini::start(Breaks::Nothing).await);
    let options = || DemoOptions { sink_listen: "127.0.0.1:0".parse().unwrap(), ..DemoOptions::in_dir(dir.0.clone()) };
    let mut demo = DemoFleet::open(options()).await.unwrap();
    demo.start(&endpoints).await.unwrap();
    let charges = |s: &Snapshot| s.sessions.iter().any(|x| x.display_wh > 20) && !s.pushes.is_empty();
    let before = eventually(&demo, "a session that charges", charges).await;
    assert!(loadtest::demo::render(&before).contains("Charging"));
    let session = before.sessions.into_iter().find(|x| x.display_wh > 20).unwrap();
    demo.shut_down().await;

    let mut again = DemoFleet::open(options()).await.unwrap();
    again.start(&endpoints).await.unwrap();
    let same = |s: &Snapshot| {
        s.sessions.iter().any(|x| x.session_id == session.session_id && x.display_wh >= session.display_wh)
    };
    eventually(&again, &format!("the same session goes on: {session:#?}"), same).await;
    again.shut_down().await;
}
