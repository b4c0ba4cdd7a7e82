//! Cases about streams: durability, fences, idempotency, snapshots, corruption.

use super::{Subject, bodies, claim, notice, record, row, stream, turn, write};
use crate::persistence::{Append, AppendError, JournalError, Snapshot};
use std::time::Duration;

/// RT-4.
pub async fn what_is_acknowledged_is_there_after_a_restart(subject: &mut dyn Subject) {
    let name = stream("A");
    let claimed = claim(subject, &name).await;
    assert_eq!((claimed.sequence, claimed.records.len(), claimed.snapshot), (0, 0, None));
    write(subject, &claimed.token, 0, &[b"one", b"two"]).await;
    subject.reopen().await;
    let again = claim(subject, &name).await;
    assert_eq!(bodies(&again), [b"one", b"two"]);
    assert_eq!(again.sequence, 2);
    write(subject, &again.token, 2, &[b"three"]).await;
    subject.reopen().await;
    assert_eq!(bodies(&claim(subject, &name).await), [b"one".as_slice(), b"two", b"three"]);
}

/// Records of one turn and of several follow each other without gaps.
pub async fn sequences_are_contiguous_from_one(subject: &mut dyn Subject) {
    let name = stream("A");
    let token = claim(subject, &name).await.token;
    write(subject, &token, 0, &[b"a"]).await;
    let three = Append { after: 1, records: vec![record(b"b"), record(b"c"), record(b"d")], rows: vec![] };
    assert_eq!(subject.journal().append(&token, three).await.unwrap().sequence, 4);
    let claimed = claim(subject, &name).await;
    let sequences: Vec<u64> = claimed.records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
}

/// Law 2.
pub async fn a_newer_claim_fences_the_older(subject: &mut dyn Subject) {
    let name = stream("A");
    let old = claim(subject, &name).await.token;
    write(subject, &old, 0, &[b"a"]).await;
    let new = claim(subject, &name).await.token;
    assert_eq!(subject.journal().append(&old, turn(1, b"x")).await, Err(AppendError::Fenced));
    assert_eq!(subject.journal().resolve(&old, 1).await, Err(JournalError::Fenced));
    write(subject, &new, 1, &[b"b"]).await;
    subject.reopen().await;
    assert_eq!(
        subject.journal().append(&new, turn(2, b"x")).await,
        Err(AppendError::Fenced),
        "tokens end with a process"
    );
    assert_eq!(bodies(&claim(subject, &name).await), [b"a", b"b"]);
}

/// The expected sequence is the fence.
pub async fn a_writer_that_is_behind_is_fenced(subject: &mut dyn Subject) {
    let name = stream("A");
    let token = claim(subject, &name).await.token;
    write(subject, &token, 0, &[b"a", b"b"]).await;
    for after in [0, 1, 3] {
        assert_eq!(subject.journal().append(&token, turn(after, b"x")).await, Err(AppendError::Fenced), "{after}");
    }
    write(subject, &token, 2, &[b"c"]).await;
    assert_eq!(bodies(&claim(subject, &name).await), [b"a", b"b", b"c"]);
}

/// A retry of what got in answers the same and writes nothing.
pub async fn appending_the_same_records_again_writes_once(subject: &mut dyn Subject) {
    let name = stream("A");
    let token = claim(subject, &name).await.token;
    write(subject, &token, 0, &[b"a"]).await;
    let mut again = Append { after: 1, records: vec![record(b"b"), record(b"c")], rows: vec![row("k", Some(b"1"))] };
    again.records[1].notices.push(notice("p1", 1));
    for _ in 0..3 {
        assert_eq!(subject.journal().append(&token, again.clone()).await.unwrap().sequence, 3);
    }
    write(subject, &token, 3, &[b"d"]).await;
    assert_eq!(subject.journal().append(&token, again).await.unwrap().sequence, 3);
    assert_eq!(bodies(&claim(subject, &name).await), [b"a", b"b", b"c", b"d"]);
    assert_eq!(subject.journal().outbox(&"p1".parse().unwrap(), 0, 10).await.unwrap().len(), 1);
}

/// The third outcome of an append has an answer.
pub async fn resolve_tells_what_got_in(subject: &mut dyn Subject) {
    let token = claim(subject, &stream("A")).await.token;
    let there = turn(0, b"a");
    let id = there.records[0].id;
    subject.journal().append(&token, there).await.unwrap();
    assert_eq!(subject.journal().resolve(&token, id).await, Ok(true));
    assert_eq!(subject.journal().resolve(&token, record(b"").id).await, Ok(false));
}

/// Law 3: records, rows and notices together.
pub async fn a_turn_is_stored_whole(subject: &mut dyn Subject) {
    let name = stream("A");
    let token = claim(subject, &name).await.token;
    let mut records = vec![record(b"a"), record(b"b")];
    records[0].notices = vec![notice("p1", 1), notice("p2", 1)];
    records[1].notices = vec![notice("p1", 2)];
    let append = Append { after: 0, records, rows: vec![row("s/1", Some(b"x")), row("s/2", Some(b"y"))] };
    subject.journal().append(&token, append).await.unwrap();
    subject.reopen().await;
    let journal = subject.journal();
    assert_eq!(bodies(&claim(subject, &name).await), [b"a", b"b"]);
    assert_eq!(journal.row("session", "s/2").await.unwrap(), Some(b"y".to_vec()));
    assert_eq!(journal.rows("session", "", None, 9).await.unwrap().len(), 2);
    let told = journal.outbox(&"p1".parse().unwrap(), 0, 9).await.unwrap();
    assert_eq!(told.iter().map(|entry| entry.notice.sequence).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(journal.outbox(&"p2".parse().unwrap(), 0, 9).await.unwrap().len(), 1);
}

/// Fenced means nothing of it is there.
pub async fn a_refused_turn_leaves_nothing(subject: &mut dyn Subject) {
    let token = claim(subject, &stream("A")).await.token;
    let mut refused = Append { after: 5, records: vec![record(b"a")], rows: vec![row("s/1", Some(b"x"))] };
    refused.records[0].notices.push(notice("p1", 1));
    assert_eq!(subject.journal().append(&token, refused).await, Err(AppendError::Fenced));
    subject.reopen().await;
    assert_eq!(claim(subject, &stream("A")).await.records, []);
    assert_eq!(subject.journal().row("session", "s/1").await, Ok(None));
    assert_eq!(subject.journal().outbox(&"p1".parse().unwrap(), 0, 9).await, Ok(vec![]));
}

/// RT-5.
pub async fn snapshot_and_tail_make_the_claim(subject: &mut dyn Subject) {
    let name = stream("A");
    let token = claim(subject, &name).await.token;
    write(subject, &token, 0, &[b"a", b"b", b"c"]).await;
    let snapshot = Snapshot { sequence: 2, state: b"a+b".to_vec() };
    subject.journal().snapshot(&token, snapshot.clone(), true).await.unwrap();
    for _ in 0..2 {
        let claimed = claim(subject, &name).await;
        assert_eq!(claimed.snapshot, Some(snapshot.clone()));
        assert_eq!((bodies(&claimed), claimed.sequence), (vec![b"c".as_slice()], 3));
        subject.reopen().await;
    }
    let token = claim(subject, &name).await.token;
    let all = Snapshot { sequence: 3, state: b"a+b+c".to_vec() };
    subject.journal().snapshot(&token, all.clone(), false).await.unwrap();
    subject.reopen().await;
    let claimed = claim(subject, &name).await;
    assert_eq!((claimed.snapshot, claimed.records, claimed.sequence), (Some(all), vec![], 3));
    write(subject, &claimed.token, 3, &[b"d"]).await;
    subject.reopen().await;
    assert_eq!(bodies(&claim(subject, &name).await), [b"d"]);
}

/// Also a shorter one after one of many pieces.
pub async fn a_later_snapshot_replaces_the_earlier(subject: &mut dyn Subject) {
    let name = stream("A");
    let mut token = claim(subject, &name).await.token;
    write(subject, &token, 0, &[b"a", b"b"]).await;
    for size in [50_000, 9_000, 100, 20_000] {
        let snapshot = Snapshot { sequence: 2, state: vec![7; size] };
        subject.journal().snapshot(&token, snapshot.clone(), false).await.unwrap();
        let claimed = claim(subject, &name).await;
        assert_eq!(claimed.snapshot, Some(snapshot));
        token = claimed.token;
    }
    let older = Snapshot { sequence: 1, state: vec![] };
    assert_eq!(subject.journal().snapshot(&token, older, false).await, Err(JournalError::Fenced));
    subject.reopen().await;
    assert_eq!(claim(subject, &name).await.snapshot.map(|snapshot| snapshot.state.len()), Some(20_000));
}

/// A writer that was taken over must not fold the new writer's history.
pub async fn a_snapshot_by_a_fenced_writer_is_refused(subject: &mut dyn Subject) {
    let name = stream("A");
    let old = claim(subject, &name).await.token;
    write(subject, &old, 0, &[b"a"]).await;
    let new = claim(subject, &name).await.token;
    let snapshot = Snapshot { sequence: 1, state: b"a".to_vec() };
    assert_eq!(subject.journal().snapshot(&old, snapshot.clone(), true).await, Err(JournalError::Fenced));
    let beyond = Snapshot { sequence: 2, state: b"?".to_vec() };
    assert_eq!(subject.journal().snapshot(&new, beyond, true).await, Err(JournalError::Fenced));
    subject.journal().snapshot(&new, snapshot, true).await.unwrap();
}

/// RT-5: recovery rebuilds what is open.
pub async fn streams_tell_the_live_ones(subject: &mut dyn Subject) {
    for (id, live) in [("idle", Some(false)), ("open", Some(true)), ("tail", None)] {
        let token = claim(subject, &stream(id)).await.token;
        write(subject, &token, 0, &[b"a"]).await;
        if let Some(live) = live {
            let snapshot = Snapshot { sequence: 1, state: b"s".to_vec() };
            subject.journal().snapshot(&token, snapshot, live).await.unwrap();
        }
    }
    let other = crate::persistence::StreamName::new("chargers", "X");
    let token = claim(subject, &other).await.token;
    write(subject, &token, 0, &[b"a"]).await;
    for _ in 0..2 {
        let found = subject.journal().streams("charger").await.unwrap();
        let found: Vec<(&str, bool)> = found.iter().map(|found| (found.stream.partition(), found.live)).collect();
        assert_eq!(found, [("idle", false), ("open", true), ("tail", true)]);
        subject.reopen().await;
    }
}

/// Larger than any page.
pub async fn a_large_record_survives(subject: &mut dyn Subject) {
    let name = stream("A");
    let token = claim(subject, &name).await.token;
    let large: Vec<u8> = (0..100 * 1024u32).map(|i| (i % 251) as u8).collect();
    write(subject, &token, 0, &[b"before", &large, b"after"]).await;
    subject.reopen().await;
    assert_eq!(bodies(&claim(subject, &name).await), [b"before".as_slice(), &large, b"after"]);
}

/// RT-6: never skipped.
pub async fn a_corrupt_record_is_reported_by_key(subject: &mut dyn Subject) {
    let name = stream("A");
    let token = claim(subject, &name).await.token;
    write(subject, &token, 0, &[b"a", b"b", b"c"]).await;
    subject.corrupt(&name, 2).await;
    match subject.journal().claim(&name).await {
        Err(JournalError::Corrupt { key, why }) => assert!(!key.is_empty() && !why.is_empty()),
        other => panic!("a corrupt record was not reported: {other:?}"),
    }
}

/// RT-5: recovery reads many streams together and gets of each what it would get alone.
pub async fn a_fleet_is_claimed_as_each_alone(subject: &mut dyn Subject) {
    let names: Vec<_> = (0..9).map(|n| stream(&format!("F{n}"))).collect();
    for (n, name) in names.iter().enumerate().skip(1) {
        let token = claim(subject, name).await.token;
        let written: Vec<Vec<u8>> = (0..n).map(|i| format!("{n}/{i}").into_bytes()).collect();
        write(subject, &token, 0, &written.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
        if n % 3 == 0 {
            let snapshot = Snapshot { sequence: 2, state: name.as_str().as_bytes().to_vec() };
            subject.journal().snapshot(&token, snapshot, true).await.unwrap();
        }
    }
    subject.reopen().await;
    let mut alone = Vec::new();
    for name in &names {
        alone.push(claim(subject, name).await);
    }
    let together = subject.journal().claim_all(&names).await.unwrap();
    for (one, other) in alone.iter().zip(&together) {
        let other = other.as_ref().unwrap();
        assert_eq!((&one.snapshot, &one.records, one.sequence), (&other.snapshot, &other.records, other.sequence));
        assert_eq!(one.token.stream, other.token.stream);
        let late = subject.journal().append(&one.token, turn(one.sequence, b"x")).await;
        assert_eq!(late, Err(AppendError::Fenced), "the later claim fences");
        write(subject, &other.token, other.sequence, &[b"y"]).await;
    }
    subject.corrupt(&names[8], 1).await;
    let torn = subject.journal().claim_all(&names[..1]).await.unwrap();
    assert!(torn[0].is_ok(), "a stream without a part in what is damaged: {torn:?}");
    let torn = subject.journal().claim_all(&names).await.unwrap();
    assert!(matches!(torn[8], Err(JournalError::Corrupt { .. })), "{:?}", torn[8]);
}

/// Group commit mixes up nothing.
pub async fn many_writers_at_once_all_get_in(subject: &mut dyn Subject) {
    let journal = subject.journal();
    let writers = (0..64).map(|n| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let name = stream(&format!("W{n}"));
            let token = journal.claim(&name).await.unwrap().token;
            for after in 0..20 {
                let body = format!("{n}/{after}").into_bytes();
                let appended = journal.append(&token, turn(after, &body)).await.unwrap();
                assert_eq!(appended.sequence, after + 1);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    drop(journal);
    subject.reopen().await;
    for n in 0..64 {
        let claimed = claim(subject, &stream(&format!("W{n}"))).await;
        let expected: Vec<Vec<u8>> = (0..20).map(|after| format!("{n}/{after}").into_bytes()).collect();
        assert_eq!(bodies(&claimed), expected);
    }
}

/// RT-3.
pub async fn the_time_without_a_process_is_told(subject: &mut dyn Subject) {
    let token = claim(subject, &stream("A")).await.token;
    write(subject, &token, 0, &[b"a"]).await;
    assert_eq!(subject.journal().downtime(), Duration::ZERO);
    subject.reopen_after(Duration::from_secs(600)).await;
    assert_eq!(subject.journal().downtime(), Duration::from_secs(600));
}
