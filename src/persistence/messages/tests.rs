//! The message log on real files.

use super::*;
use std::time::Duration;

fn settings(directory: &std::path::Path) -> Settings {
    Settings {
        enabled: true,
        path: directory.join("messages"),
        retention: Duration::from_secs(3600),
        max_bytes: 16 << 20,
        frame_bytes_max: 2048,
        queue_bytes: 4 << 20,
    }
}

fn charger(n: u32) -> ChargerId {
    format!("CP-{n}").parse().unwrap()
}

fn call(at: i64, id: u32, action: &str) -> Frame {
    Frame::new(Timestamp(at), Direction::In, &format!(r#"[2,"{id}","{action}",{{}}]"#))
}

fn answer(at: i64, id: u32) -> Frame {
    Frame::new(Timestamp(at), Direction::Out, &format!(r#"[3,"{id}",{{}}]"#))
}

fn all(charger: ChargerId) -> Search {
    Search {
        charger,
        from: Timestamp(i64::MIN),
        to: Timestamp(i64::MAX),
        action: None,
        text: None,
        order: Order::OldestFirst,
        limit: 100,
        cursor: None,
    }
}

fn texts(found: &Found) -> Vec<String> {
    found.frames.iter().map(|frame| frame.text.to_string()).collect()
}

#[test]
fn frames_are_found_by_charger_time_action_and_text_in_both_orders() {
    let directory = tempfile::tempdir().unwrap();
    let log = MessageLog::open(&settings(directory.path()), 0).unwrap();
    for n in 0..3_u32 {
        let at = i64::from(n) * 1000;
        log.keep(&charger(1), call(at, n, if n == 1 { "BootNotification" } else { "Heartbeat" }));
        log.keep(&charger(1), answer(at + 1, n));
        log.keep(&charger(2), call(at, n, "StatusNotification"));
    }
    log.keep(&charger(1), Frame::heartbeats(Timestamp(4000), Timestamp(9000), 6));
    let found = log.search(&all(charger(1))).unwrap();
    assert_eq!(found.frames.len(), 7);
    assert_eq!(found.frames[0], call(0, 0, "Heartbeat"));
    assert_eq!(found.frames[6].heartbeats, Some((6, 9000)));
    assert_eq!(log.search(&all(charger(2))).unwrap().frames.len(), 3, "only its own");

    let newest = Search { order: Order::NewestFirst, ..all(charger(1)) };
    let mut backwards = log.search(&newest).unwrap().frames;
    backwards.reverse();
    assert_eq!(backwards, found.frames);

    let by_action = Search { action: Some("BootNotification".into()), ..all(charger(1)) };
    let boot = log.search(&by_action).unwrap();
    assert_eq!(texts(&boot), [r#"[2,"1","BootNotification",{}]"#, r#"[3,"1",{}]"#], "the call and its answer");
    let by_text = Search { text: Some("bootnot".into()), ..all(charger(1)) };
    assert_eq!(log.search(&by_text).unwrap().frames.len(), 1);
    let by_time = Search { from: Timestamp(1000), to: Timestamp(1999), ..all(charger(1)) };
    assert_eq!(log.search(&by_time).unwrap().frames.len(), 2);
    let run = Search { from: Timestamp(8000), to: Timestamp(8500), ..all(charger(1)) };
    assert_eq!(log.search(&run).unwrap().frames.len(), 1, "a run of heartbeats lasts");
}

#[test]
fn pages_follow_one_another_without_gap_or_overlap_over_rows_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let log = MessageLog::open(&settings(directory.path()), 0).unwrap();
    for n in 0..40_u32 {
        // A file covers a sixteenth of the hour that is kept.
        log.keep(&charger(1), call(i64::from(n) * 60_000, n, "StatusNotification"));
        if n % 3 == 0 {
            log.flush();
        }
    }
    let whole: Vec<Frame> = (0..40).map(|n| call(i64::from(n) * 60_000, n, "StatusNotification")).collect();
    assert!(segments::list(&settings(directory.path()).path).unwrap().len() > 3);
    for (order, limit) in
        [(Order::OldestFirst, 7), (Order::NewestFirst, 7), (Order::OldestFirst, 1), (Order::NewestFirst, 1)]
    {
        let (mut gathered, mut cursor) = (Vec::new(), None);
        loop {
            let found = log.search(&Search { order, limit, cursor, ..all(charger(1)) }).unwrap();
            assert!(found.frames.len() <= limit);
            gathered.extend(found.frames);
            cursor = found.next;
            if cursor.is_none() {
                break;
            }
        }
        if order == Order::NewestFirst {
            gathered.reverse();
        }
        assert_eq!(gathered, whole, "{order:?} {limit}");
    }
}

#[test]
fn what_is_too_old_goes_and_what_is_too_much_goes_and_a_restart_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let log = MessageLog::open(&settings, 0).unwrap();
    log.keep(&charger(1), call(0, 0, "BootNotification"));
    log.close();
    log.keep(&charger(1), call(1, 1, "Lost"));
    drop(log);
    let log = MessageLog::open(&settings, 0).unwrap();
    log.keep(&charger(1), call(60_000, 1, "StatusNotification"));
    assert_eq!(log.search(&all(charger(1))).unwrap().frames.len(), 2);
    assert_eq!(segments::list(&settings.path).unwrap().len(), 1, "the file goes on after a restart");
    // More than an hour later, in steps, as files are begun.
    for minutes in (10..120).step_by(10) {
        log.keep(&charger(1), call(minutes * 60_000, 2, "StatusNotification"));
        log.flush();
    }
    let oldest = log.search(&all(charger(1))).unwrap().frames[0].at;
    assert!((20 * 60_000..=60 * 60_000).contains(&oldest), "{oldest}: an hour is kept, and little more");
    // 32 MiB of frames where 16 are allowed.
    let text = format!(r#"[2,"1","DataTransfer",{{"vendorId":"{}"}}]"#, "x".repeat(1900));
    for n in 0..16_000_i64 {
        log.keep(&charger(2), Frame::new(Timestamp(120 * 60_000 + n), Direction::In, &text));
        if n % 500 == 0 {
            log.flush();
        }
    }
    log.flush();
    let files = segments::list(&settings.path).unwrap();
    let bytes: u64 = files.iter().map(|(_, path)| std::fs::metadata(path).unwrap().len()).sum();
    assert!(bytes <= settings.max_bytes, "{bytes}");
    assert!(bytes >= settings.max_bytes / 2, "{bytes}: what may be kept is kept");
    let newest = Search { order: Order::NewestFirst, limit: 1, ..all(charger(2)) };
    assert_eq!(log.search(&newest).unwrap().frames[0].at, 120 * 60_000 + 15_999, "the newest stay");
}

#[test]
fn a_frame_is_struck_out_then_cut() {
    let directory = tempfile::tempdir().unwrap();
    let log = MessageLog::open(&settings(directory.path()), 0).unwrap();
    let key = r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"6f70656e"}]"#;
    log.keep(&charger(1), Frame::new(Timestamp(1), Direction::Out, key));
    log.keep(&charger(1), Frame::new(Timestamp(2), Direction::In, &"ü".repeat(2000)));
    let found = log.search(&all(charger(1))).unwrap().frames;
    assert!(found[0].redacted && !found[0].text.contains("6f70656e"), "{:?}", found[0]);
    assert!(found[1].cut && found[1].text.len() == 2048 && !found[1].redacted);
    log.close();
    for entry in std::fs::read_dir(directory.path().join("messages")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"6f70656e"), "no byte of a secret is in a file");
    }
}

#[test]
fn without_room_frames_are_dropped_and_a_log_that_is_off_keeps_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = MessageLog::open(&settings(directory.path()), u64::MAX / 2).unwrap();
    log.keep(&charger(1), call(1, 1, "Heartbeat"));
    assert_eq!(log.search(&all(charger(1))).unwrap(), Found::default(), "the journal comes first");
    let off = Settings { enabled: false, path: directory.path().join("none"), ..settings(directory.path()) };
    let log = MessageLog::open(&off, 0).unwrap();
    log.keep(&charger(1), call(1, 1, "Heartbeat"));
    assert_eq!(log.search(&all(charger(1))).unwrap(), Found::default());
    assert!(!off.path.exists());
}

#[test]
fn more_than_the_queue_takes_is_dropped_and_the_sender_never_waits() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { queue_bytes: 65_536, ..settings(directory.path()) };
    let log = MessageLog::open(&settings, 0).unwrap();
    let text = "x".repeat(2000);
    for n in 0..1000 {
        log.keep(&charger(1), Frame::new(Timestamp(n), Direction::In, &text));
    }
    log.flush();
    let kept = log.search(&Search { limit: 10_000, ..all(charger(1)) }).unwrap().frames;
    assert!(!kept.is_empty() && kept.len() < 1000, "{}", kept.len());
    log.keep(&charger(1), Frame::new(Timestamp(5000), Direction::In, "later"));
    let later = Search { text: Some("later".into()), ..all(charger(1)) };
    assert_eq!(log.search(&later).unwrap().frames.len(), 1, "there is room again");
}

#[test]
fn a_cursor_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let log = MessageLog::open(&settings(directory.path()), 0).unwrap();
    for cursor in ["", "x", "1.2.3", "1.2.3.4.5", "1.2.3.-4"] {
        let search = Search { cursor: Some(cursor.into()), ..all(charger(1)) };
        assert!(matches!(log.search(&search), Err(MessageLogError::Cursor)), "{cursor}");
    }
}

#[tokio::test]
async fn searches_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let log = MessageLog::open(&settings(directory.path()), 0).unwrap();
    log.keep(&charger(1), call(0, 0, "Heartbeat"));
    let under_way = log.0.as_ref().unwrap().searches.acquire_many(2).await.unwrap();
    let mut third = std::pin::pin!(log.find(all(charger(1))));
    assert!(futures_util::poll!(&mut third).is_pending());
    assert_eq!(log.0.as_ref().unwrap().searches.available_permits(), 0);
    drop(under_way);
    assert_eq!(third.await.unwrap().frames.len(), 1);
}
