//! A socket at rest pings, and wakes by whatever else comes. A message longer than the read buffer sends it to rest at once.

use super::*;

const HEARTBEAT: &str = r#"[2,"beat","Heartbeat",{}]"#;

fn long() -> String {
    format!(r#"[2,"long","Heartbeat",{{"padding":"{}"}}]"#, "x".repeat(1100))
}

/// Connected, heard, and at rest as soon as its socket gets to it.
async fn resting(rig: &Rig, id: &str) -> Client {
    let mut charger = rig.charger(id).await;
    assert!(charger.ask(&long()).await.contains(r#""long""#));
    charger
}

#[tokio::test]
async fn messages_orders_and_the_end_wake_it() {
    let rig = rig(|_| {});
    let mut charger = resting(&rig, "CP-1").await;
    for _ in 0..3 {
        assert!(charger.ask(HEARTBEAT).await.starts_with(r#"[3,"beat",{"currentTime""#));
        assert!(charger.ask(&long()).await.contains(r#""long""#));
    }
    let link = rig.script.link(1).await;
    link.call("order", "ClearCache", "{}", PATIENCE).unwrap();
    assert_eq!(charger.next().await.unwrap(), r#"[2,"order","ClearCache",{}]"#);
    charger.send(&format!(r#"[3,"order",{{"status":"Accepted","padding":"{}"}}]"#, "x".repeat(1100))).await;
    rig.script.wait(|seen| matches!(seen, Seen::Answered(answer) if &*answer.id == "order").then_some(())).await;
    link.close(CloseReason::Shutdown);
    assert_eq!(charger.next().await, Err(CloseReason::Shutdown.code()));
    assert_eq!(rig.script.detached(1).await, CloseReason::Shutdown);

    drop(resting(&rig, "CP-2").await);
    assert_eq!(rig.script.detached(2).await, CloseReason::PeerGone);
}

#[tokio::test]
async fn it_pings_at_rest_and_what_breaks_a_limit_is_told() {
    let rig = rig(|settings| settings.ping_interval = Duration::from_millis(200));
    let mut charger = resting(&rig, "CP-1").await;
    for _ in 0..3 {
        let next = tokio::time::timeout(PATIENCE, charger.0.next()).await.unwrap();
        assert!(matches!(next, Some(Ok(Message::Ping(_)))), "{next:?}");
    }
    let mut stream = charger.0.into_inner();
    // Without a mask.
    stream.write_all(&[0x81, 5, b'h', b'e', b'l', b'l', b'o']).await.unwrap();
    assert_eq!(rig.script.detached(1).await, CloseReason::Protocol);
}

/// The next frame of the server: its first byte and what it carries.
async fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let read = async {
        let (first, length) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
        let length = if length == 126 { stream.read_u16().await.unwrap() } else { length.into() };
        let mut payload = vec![0; length.into()];
        stream.read_exact(&mut payload).await.unwrap();
        (first, payload)
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap()
}

#[tokio::test]
async fn answers_to_pings_keep_it_at_rest_and_silence_ends_it() {
    let rig = rig(|settings| settings.ping_interval = Duration::from_millis(200));
    let mut stream = rig.raw("CP-1").await;
    for calls in [vec![long()], vec![HEARTBEAT.to_owned(), long()]] {
        for call in calls {
            stream.write_all(&frame(0x81, call.as_bytes())).await.unwrap();
            while read_frame(&mut stream).await.0 != 0x81 {}
        }
        // More than the two intervals of silence that are allowed.
        for _ in 0..4 {
            assert_eq!(read_frame(&mut stream).await, (0x89, vec![]));
            stream.write_all(&frame(0x8a, b"")).await.unwrap();
        }
    }
    assert_eq!(close_code(stream).await, Some(1008));
    assert_eq!(rig.script.detached(1).await, CloseReason::Silent);
}

#[tokio::test]
async fn it_does_not_rest_within_a_message() {
    let rig = rig(|_| {});
    let mut stream = rig.raw("CP-1").await;
    let beat = frame(0x81, HEARTBEAT.as_bytes());
    for cut in [1, 3, 9] {
        stream.write_all(&[&frame(0x81, long().as_bytes()), &beat[..cut]].concat()).await.unwrap();
        let answer = |id: &'static str| {
            move |lines: &Vec<String>| lines.iter().filter(|line| line.starts_with("< ") && line.contains(id)).count()
        };
        let charger = "CP-1".parse::<ChargerId>().unwrap();
        while rig.script.frames.lock().unwrap().get(&charger).map_or(0, answer("long")) == 0 {
            tokio::task::yield_now().await;
        }
        rig.script.frames.lock().unwrap().clear();
        stream.write_all(&beat[cut..]).await.unwrap();
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains("currentTime") {
            bytes.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
    }
}
