//! Cases about what is found by key: create-once keys, rows, the outbox.

use super::{Subject, claim, notice, record, row, stream, turn};
use crate::persistence::{Append, CreateOnce};
use std::collections::HashSet;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// EM-5: over restarts, too.
pub async fn the_first_value_wins(subject: &mut dyn Subject) {
    let journal = subject.journal();
    assert_eq!(journal.lookup_once("p1/start/r1").await, Ok(None));
    assert_eq!(journal.create_once("p1/start/r1", b"one", DAY).await, Ok(CreateOnce::Created));
    assert_eq!(journal.create_once("p1/start/r1", b"two", DAY).await, Ok(CreateOnce::Exists(b"one".to_vec())));
    assert_eq!(journal.create_once("p1/start/r2", b"two", DAY).await, Ok(CreateOnce::Created));
    drop(journal);
    subject.reopen().await;
    let journal = subject.journal();
    assert_eq!(journal.create_once("p1/start/r1", b"three", DAY).await, Ok(CreateOnce::Exists(b"one".to_vec())));
    assert_eq!(journal.lookup_once("p1/start/r2").await, Ok(Some(b"two".to_vec())));
}

/// The same request from many connections at once (fault P1).
pub async fn one_of_many_at_once_creates(subject: &mut dyn Subject) {
    let journal = subject.journal();
    let tries = (0..100u8).map(|n| {
        let journal = journal.clone();
        tokio::spawn(async move { (n, journal.create_once("key", &[n], DAY).await.unwrap()) })
    });
    let mut created = Vec::new();
    let mut seen = HashSet::new();
    for outcome in tries.collect::<Vec<_>>() {
        match outcome.await.unwrap() {
            (n, CreateOnce::Created) => created.push(vec![n]),
            (_, CreateOnce::Exists(first)) => drop(seen.insert(first)),
        }
    }
    assert_eq!(created.len(), 1);
    assert_eq!(seen, HashSet::from([created.remove(0)]));
}

/// A key is free again once its time is over.
pub async fn a_value_expires_and_makes_room(subject: &mut dyn Subject) {
    let (journal, clock) = (subject.journal(), subject.clock());
    journal.create_once("key", b"one", Duration::from_secs(60)).await.unwrap();
    clock.advance(Duration::from_secs(59));
    assert_eq!(journal.lookup_once("key").await, Ok(Some(b"one".to_vec())));
    clock.advance(Duration::from_secs(1));
    assert_eq!(journal.lookup_once("key").await, Ok(None));
    assert_eq!(journal.create_once("key", b"two", DAY).await, Ok(CreateOnce::Created));
    assert_eq!(journal.lookup_once("key").await, Ok(Some(b"two".to_vec())));
}

/// An answer of 503 binds nothing (EM-5).
pub async fn a_removed_value_makes_room(subject: &mut dyn Subject) {
    let journal = subject.journal();
    journal.create_once("key", &[1; 10_000], DAY).await.unwrap();
    journal.remove_once("key").await.unwrap();
    journal.remove_once("never there").await.unwrap();
    assert_eq!(journal.lookup_once("key").await, Ok(None));
    drop(journal);
    subject.reopen().await;
    assert_eq!(subject.journal().create_once("key", b"two", DAY).await, Ok(CreateOnce::Created));
}

/// Pages of a list.
pub async fn rows_are_found_by_prefix_after_and_limit(subject: &mut dyn Subject) {
    let journal = subject.journal();
    let token = claim(subject, &stream("A")).await.token;
    let keys = ["u1/a", "u1/b", "u1/c", "u10/a", "u2/a"];
    let rows = keys.iter().map(|key| row(key, Some(key.as_bytes()))).collect();
    let other = crate::domain::entity::Row { table: "sess", key: "u1/z".into(), value: Some(vec![1]) };
    let mut append = Append { after: 0, records: vec![record(b"x")], rows };
    append.rows.push(other);
    journal.append(&token, append).await.unwrap();
    let listed = async |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let rows = journal.rows("session", prefix, after, limit).await.unwrap();
        rows.into_iter().inspect(|row| assert_eq!(row.key.as_bytes(), row.value)).map(|row| row.key).collect()
    };
    assert_eq!(listed("", None, 9).await, ["u1/a", "u1/b", "u1/c", "u10/a", "u2/a"]);
    assert_eq!(listed("u1/", None, 9).await, ["u1/a", "u1/b", "u1/c"]);
    assert_eq!(listed("u1/", None, 2).await, ["u1/a", "u1/b"]);
    assert_eq!(listed("u1/", Some("u1/b"), 9).await, ["u1/c"]);
    assert_eq!(listed("u1/", Some("u1/bb"), 9).await, ["u1/c"]);
    assert_eq!(listed("u1/", Some("a"), 1).await, ["u1/a"]);
    assert_eq!(listed("u1/", Some("u2/a"), 9).await, [""; 0]);
    let change = vec![row("u1/a", None), row("u1/b", Some(b"u1/b")), row("u1/d", Some(b"u1/d"))];
    journal.append(&token, Append { after: 1, records: vec![record(b"y")], rows: change }).await.unwrap();
    assert_eq!(listed("u1/", None, 9).await, ["u1/b", "u1/c", "u1/d"]);
    assert_eq!(journal.row("session", "u1/a").await, Ok(None));
    assert_eq!(journal.row("sess", "u1/z").await, Ok(Some(vec![1])));
}

/// A row may outgrow a page and come back.
pub async fn large_rows_grow_and_shrink(subject: &mut dyn Subject) {
    let mut token = claim(subject, &stream("A")).await.token;
    for (after, size) in (0..).zip([10usize, 30_000, 9_000, 0, 12_000, 5]) {
        let value = vec![after as u8; size];
        let rows = vec![row("big", Some(&value))];
        let append = Append { after, records: vec![record(b"x")], rows };
        subject.journal().append(&token, append).await.unwrap();
        assert_eq!(subject.journal().row("session", "big").await, Ok(Some(value.clone())));
        subject.reopen().await;
        assert_eq!(subject.journal().row("session", "big").await, Ok(Some(value)));
        token = claim(subject, &stream("A")).await.token;
    }
    let gone = Append { after: 6, records: vec![record(b"x")], rows: vec![row("big", None)] };
    subject.journal().append(&token, gone).await.unwrap();
    assert_eq!(subject.journal().rows("session", "", None, 9).await, Ok(vec![]));
}

/// EM-8: the queue reads on from where it was.
pub async fn the_outbox_keeps_commit_order(subject: &mut dyn Subject) {
    let partner = "p1".parse().unwrap();
    let mut sequence = 0;
    for id in ["A", "B", "A", "C"] {
        let claimed = claim(subject, &stream(id)).await;
        let mut append = turn(claimed.sequence, b"x");
        for n in 0..40 {
            sequence += 1;
            append.records[0].notices.push(notice(if n % 4 == 3 { "p10" } else { "p1" }, sequence));
        }
        if id == "B" {
            append.records[0].notices[0].data = serde_json::json!({ "large": "x".repeat(20_000) });
        }
        subject.journal().append(&claimed.token, append).await.unwrap();
        subject.reopen().await;
    }
    let journal = subject.journal();
    let all = journal.outbox(&partner, 0, 1000).await.unwrap();
    assert_eq!(all.len(), 120);
    assert!(all.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert!(all.windows(2).all(|pair| pair[0].notice.sequence < pair[1].notice.sequence));
    let (mut paged, mut position) = (Vec::new(), 0);
    loop {
        let page = journal.outbox(&partner, position, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        position = last.position;
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(journal.outbox(&"p10".parse().unwrap(), 0, 1000).await.unwrap().len(), 40);
    assert_eq!(journal.outbox(&"p2".parse().unwrap(), 0, 1000).await, Ok(vec![]));
}

/// The event id is built of epoch, stream, sequence and index.
pub async fn event_ids_are_unique_and_plain(subject: &mut dyn Subject) {
    let mut ids = HashSet::new();
    for id in ["A", "A-1", "B"] {
        let token = claim(subject, &stream(id)).await.token;
        let mut append = Append { after: 0, records: vec![record(b"x"), record(b"y")], rows: vec![] };
        for record in &mut append.records {
            record.notices = vec![notice("p1", 1), notice("p1", 2)];
        }
        subject.journal().append(&token, append).await.unwrap();
    }
    for entry in subject.journal().outbox(&"p1".parse().unwrap(), 0, 100).await.unwrap() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(entry.id.starts_with("evt_") && entry.id.chars().all(plain), "{}", entry.id);
        ids.insert(entry.id);
    }
    assert_eq!(ids.len(), 12);
}
