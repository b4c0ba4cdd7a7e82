//! How long a statement of 100,000 orders takes and what it needs, on the real store (RC-3).

use crate::actors::statement::reading::file;
use crate::actors::statement::shell::made;
use crate::clock::{SharedClock, Timestamp, WallClock};
use crate::domain::entity::Row;
use crate::domain::statement::days::Days;
use crate::domain::statement::file::Format;
use crate::domain::statement::line;
use crate::domain::statement::tests::{a_line, acme};
use crate::domain::tariff::Minute;
use crate::persistence::{Append, NewRecord, SharedJournal, SledJournal, StreamName};
use futures_util::TryStreamExt as _;
use std::sync::Arc;
use std::time::Instant;

/// Memory of the process now and at most so far, KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
    };
    (of("VmRSS:"), of("VmHWM:"))
}

async fn fill(journal: &SharedJournal, from: Timestamp, orders: u32) {
    for charger in 0..100u32 {
        let token = journal.claim(&StreamName::new("charger", &format!("CP{charger}"))).await.unwrap().token;
        let per = orders / 100;
        let one = |n: u32| {
            let number = charger * per + n;
            // Through the day, chargers interleaved.
            let at = Timestamp(from.0 + i64::from(n) * 86_000_000 / i64::from(per) + i64::from(charger));
            line::rows(&acme(), &a_line(u128::from(number), 1, at, 1_234))
        };
        let rows: Vec<Row> = (0..per).flat_map(one).collect();
        for (sequence, rows) in (0u64..).zip(rows.chunks(200)) {
            let id = (u128::from(charger) << 64) | u128::from(sequence) << 8 | 1;
            let record = NewRecord { at: from, id, body: vec![0], notices: Vec::new() };
            let append = Append { after: sequence, records: vec![record], rows: rows.to_vec() };
            journal.append(&token, append).await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "a measurement: cargo test --release --lib statement::tests::large -- --ignored --nocapture"]
async fn a_statement_of_a_hundred_thousand_orders_on_the_real_store() {
    let (directory, clock): (_, SharedClock) = (tempfile::tempdir().unwrap(), Arc::new(WallClock));
    let mut config = crate::config::load::from_text(None, &[]).unwrap().config.journal;
    config.path = directory.path().join("data");
    let journal: SharedJournal = SledJournal::open(&config, &clock).unwrap();
    let days = Days::of("Asia/Shanghai", Minute::new(60)).unwrap();
    let open = days.open(days.midnight_before(Timestamp(1_795_000_000_000)), None);
    let begun = Instant::now();
    fill(&journal, open.from, 100_000).await;
    println!("stored in {:?}, memory {:?} KiB (now, most)", begun.elapsed(), memory());
    let begun = Instant::now();
    let first = made(journal.clone(), &acme(), &open, &[]).await.unwrap();
    println!("made in {:?}, memory {:?} KiB", begun.elapsed(), memory());
    assert_eq!((first.lines, first.totals.0[0].figures.total), (100_000, 123_400_000));
    assert_eq!(made(journal.clone(), &acme(), &open, &[]).await.unwrap(), first);
    for (format, stated) in [(Format::Csv, first.csv), (Format::Json, first.json)] {
        let begun = Instant::now();
        let (bytes, mut largest) = (stated.bytes, 0);
        let mut pieces = file(journal.clone(), acme(), open.clone(), format, stated);
        while let Some(piece) = pieces.try_next().await.unwrap() {
            largest = largest.max(piece.len());
        }
        println!(
            "{format:?}: {bytes} bytes sent in {:?}, largest piece {largest}, memory {:?} KiB",
            begun.elapsed(),
            memory()
        );
    }
}
