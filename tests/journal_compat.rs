//! Journals recorded by every format version, read by this build (RT-6).
//!
//! `cargo test --test journal_compat -- --ignored` records the present version anew under `tests/journal_compat/`: done
//! once a format, then committed and never changed. The files are an export of the raw keys and values, not a sled
//! directory, which would be some megabytes of preallocated pages.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use chargeline::config::{DEFAULTS, journal::Journal as Config};
use chargeline::domain::account::AccountFamily;
use chargeline::domain::charging::ChargingFamily;
use chargeline::domain::entity::Family;
use chargeline::domain::operator::OperatorFamily;
use chargeline::persistence::contract::{ManualClock, notice, record, row, turn};
use chargeline::persistence::envelope::FORMAT;
use chargeline::persistence::sled::{Tool, load_raw, store_raw};
use chargeline::persistence::{Append, Journal, SledJournal, Snapshot, StreamName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn recorded(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/journal_compat/v{version}/journal.hex"))
}

fn config(path: &Path) -> Config {
    #[derive(serde::Deserialize)]
    struct Sections {
        journal: Config,
    }
    let mut config = toml::from_str::<Sections>(DEFAULTS).unwrap().journal;
    config.path = path.to_owned();
    (config.reserve_bytes, config.full_floor_bytes, config.cache_bytes) = (0, 0, 8 << 20);
    config
}

fn stream(id: &str) -> StreamName {
    StreamName::new("charger", id)
}

/// One of everything: plain and large records, turns of several, rows, notices, snapshots, create-once keys.
#[tokio::test]
#[ignore = "records the journal of the present format version"]
async fn record_the_present_format() {
    let place = recorded(u32::from(FORMAT));
    assert!(!place.exists(), "a recorded journal is never changed: {}", place.display());
    let directory = tempfile::tempdir().unwrap();
    let journal = SledJournal::open(&config(directory.path()), &ManualClock::default().shared()).unwrap();
    let a = journal.claim(&stream("A")).await.unwrap().token;
    let mut first =
        Append { after: 0, records: vec![record(b"one"), record(b"two")], rows: vec![row("a", Some(b"row"))] };
    first.records[1].notices = vec![notice("p1", 1), notice("p2", 1)];
    journal.append(&a, first).await.unwrap();
    journal.append(&a, turn(2, &[b'L'; 9000])).await.unwrap();
    let b = journal.claim(&stream("B")).await.unwrap().token;
    let mut large = turn(0, b"only");
    large.rows = vec![row("large", Some(&[b'R'; 9000]))];
    journal.append(&b, large).await.unwrap();
    journal.snapshot(&b, Snapshot { sequence: 1, state: vec![b'S'; 5000] }, true).await.unwrap();
    journal.create_once("once", b"value", Duration::from_secs(100 * 365 * 86_400)).await.unwrap();
    drop(journal);
    let mut text = String::new();
    store_raw(directory.path(), &mut text).unwrap();
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(place, text).unwrap();
}

#[tokio::test]
async fn a_journal_of_format_version_1_is_read() {
    let directory = tempfile::tempdir().unwrap();
    load_raw(&std::fs::read_to_string(recorded(1)).unwrap(), directory.path()).unwrap();
    let findings = Tool::open(directory.path()).unwrap().verify();
    assert!(findings.sound(), "{:?}", findings.problems);
    assert_eq!((findings.records, findings.rows, findings.notices, findings.once_keys), (4, 2, 2, 1));

    let journal = SledJournal::open(&config(directory.path()), &ManualClock::default().shared()).unwrap();
    let a = journal.claim(&stream("A")).await.unwrap();
    let bodies: Vec<&[u8]> = a.records.iter().map(|record| record.body.as_slice()).collect();
    assert_eq!(bodies, [b"one".as_slice(), b"two", &[b'L'; 9000]]);
    let b = journal.claim(&stream("B")).await.unwrap();
    assert_eq!((b.sequence, b.records.len()), (1, 0));
    assert_eq!(b.snapshot, Some(Snapshot { sequence: 1, state: vec![b'S'; 5000] }));
    assert!(journal.streams("charger").await.unwrap().iter().all(|summary| summary.live));
    assert_eq!(journal.row("session", "large").await.unwrap(), Some(vec![b'R'; 9000]));
    assert_eq!(journal.lookup_once("once").await.unwrap(), Some(b"value".to_vec()));
    let told = journal.outbox(&"p1".parse().unwrap(), 0, 9).await.unwrap();
    assert_eq!(told.len(), 1);
    assert!(told[0].id.ends_with("-charger-A-2-0"), "{}", told[0].id);
    assert_eq!(told[0].notice, notice("p1", 1));
    journal.append(&a.token, turn(3, b"new")).await.unwrap();
}

/// A recorded day: every step is read, written again as it was, and folds to the states that the recording build had.
fn replayed<F: Family>(name: &str)
where
    F::Key: serde::Serialize + serde::de::DeserializeOwned + Ord + Clone,
    F::State: PartialEq + std::fmt::Debug + serde::de::DeserializeOwned,
{
    #[derive(serde::Deserialize)]
    struct Written<T> {
        v: u16,
        b: T,
    }
    type Step<F> = Vec<(<F as Family>::Key, Vec<<F as Family>::Event>)>;
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal_compat/v1");
    let steps = std::fs::read_to_string(place.join(format!("{name}.jsonl"))).unwrap();
    let mut states: BTreeMap<F::Key, F::State> = BTreeMap::new();
    for (n, line) in steps.lines().enumerate() {
        let step: Written<Step<F>> =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("line {}: {error}", n + 1));
        let again = serde_json::json!({"v": step.v, "b": serde_json::to_value(&step.b).unwrap()});
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(line).unwrap(), "line {}", n + 1);
        for (key, events) in step.b {
            let state = states.entry(key.clone()).or_insert_with(|| F::birth(&key));
            events.iter().for_each(|event| F::apply(state, event));
        }
    }
    let recorded = std::fs::read_to_string(place.join(format!("{name}.states.json"))).unwrap();
    let recorded: Written<Vec<(F::Key, F::State)>> = serde_json::from_str(&recorded).unwrap();
    assert_eq!(states.into_iter().collect::<Vec<_>>(), recorded.b);
}

#[test]
fn recorded_sessions_orders_and_reservations_fold_as_they_did() {
    replayed::<ChargingFamily>("charging");
}

#[test]
fn recorded_accounts_fold_as_they_did() {
    replayed::<AccountFamily>("account");
}

/// Records of partners from when each had one webhook endpoint, and of those who have several: the first is called `default`, has
/// proved itself, and takes what the profile says.
#[test]
fn recorded_webhook_endpoints_fold_to_several() {
    use chargeline::domain::delivery::{
        Partner, PartnerFamily, PartnerKey, PartnerState, Queue, QueueId, Sites, Stopped, Subscriptions,
    };
    #[derive(serde::Deserialize)]
    struct Written {
        b: Vec<(PartnerKey, Vec<<PartnerFamily as Family>::Event>)>,
    }
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal_compat/v1/partner.jsonl");
    let mut states: BTreeMap<PartnerKey, PartnerState> = BTreeMap::new();
    for line in std::fs::read_to_string(place).unwrap().lines() {
        for (key, events) in serde_json::from_str::<Written>(line).unwrap_or_else(|e| panic!("{line}: {e}")).b {
            let state = states.entry(key).or_insert_with(|| PartnerFamily::birth(&key));
            events.iter().for_each(|event| PartnerFamily::apply(state, event));
        }
    }
    let queue = |n| -> Queue {
        match &states[&PartnerKey::Queue(QueueId(n))] {
            PartnerState::Queue(queue) => (**queue).clone(),
            other => panic!("{other:?}"),
        }
    };
    let partner: Partner = match &states[&PartnerKey::Partner] {
        PartnerState::Partner(partner) => (**partner).clone(),
        other => panic!("{other:?}"),
    };
    let names: Vec<_> = partner.endpoints.values().map(|endpoint| endpoint.name.to_string()).collect();
    assert_eq!((names, partner.next_queue), (vec!["default".to_owned(), "west".to_owned()], 3));
    let first = partner.wants(&partner.endpoints[&QueueId(0)]);
    assert_eq!(first.events, Subscriptions::Only(["session.ended".to_owned()].into()));
    assert!(matches!(partner.wants(&partner.endpoints[&QueueId(1)]).sites, Sites::Only(sites) if sites.len() == 1));
    assert_eq!((queue(0).is_running(), queue(0).open.len(), queue(0).low_water), (true, 1, 3));
    let stopped = queue(1).disabled.unwrap();
    assert_eq!((stopped.by, queue(1).low_water, queue(1).unverified), (Stopped::Failing, 9, None));
    assert!(queue(1).knock().is_some());
    assert_eq!((partner.removed[0].dropped, partner.removed[0].dead, queue(2).retired), (4, 1, true));
}

#[test]
fn recorded_operators_fold_as_they_did() {
    replayed::<OperatorFamily>("operator");
}
