//! Sockets over real HTTP: slow senders, too many connections, draining, and the audit log.

use super::*;
use crate::telemetry::heard::Heard;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_head_that_dribbles_and_a_silent_connection_are_closed() {
    let rig = World::with(Api { header_timeout: Duration::from_millis(150), ..config() }).serve().await;
    for first in ["", "GET /docs HTTP/1.1\r\nhost: x\r\n"] {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(first.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{first:?} was left open");
    }
}

#[tokio::test]
async fn a_body_that_dribbles_is_cut_off_by_the_deadline() {
    let rig = World::with(Api { request_deadline: Duration::from_millis(150), ..config() }).serve().await;
    let call = rig.call("POST", "/sessions", "");
    let mut head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n", call.target);
    for (name, value) in call.sign() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    socket.write_all(format!("{head}\r\n{{").as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(5), socket.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 504");
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let rig = World::with(Api { connections_per_address: 2, ..config() }).serve().await;
    let ask = b"GET /docs HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(ask).await.unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        open.push(socket);
    }
    let mut third = TcpStream::connect(rig.address).await.unwrap();
    let _ = third.write_all(ask).await;
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), third.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    drop(open);
    let mut status = 0;
    while status != 200 {
        status = rig.http.get(format!("{}/docs", rig.url)).send().await.map_or(0, |answer| answer.status().as_u16());
    }
}

#[tokio::test]
async fn at_shutdown_a_call_under_way_is_answered_and_nothing_new_is_taken() {
    let world = World::new();
    let mut rig = world.serve().await;
    let call = rig.call("POST", "/sessions", start_body("r1", 1).to_string());
    let mut head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", call.target, call.body.len());
    for (name, value) in call.sign() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    let (early, late) = call.body.split_at(10);
    socket.write_all(&[format!("{head}\r\n").as_bytes(), early].concat()).await.unwrap();
    // Taken once the head has been read: the server is asked something else in between.
    rig.get("/sites").await;
    rig.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(rig.address).await.is_err(), "nothing new");
    socket.write_all(late).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer));
    tokio::time::timeout(Duration::from_secs(5), &mut rig.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn every_call_is_audited_without_secrets_and_personal_data() {
    let world = World::new();
    let rig = world.serve().await;
    let heard = Heard::once(" audit: ", async || drop(rig.get("/sites").await)).await;
    rig.post("/sessions", &start_body("r1", 1)).await;
    rig.get("/sessions?user_id=u-personal").await;
    let wrong = Call { secret: "cs_wrong".into(), ..rig.call("GET", "/sites", "") };
    rig.send(&wrong).await;
    rig.ops("PUT", "/ops/v1/tokens/04DEADBEEF", serde_json::json!({"status": "Blocked"})).await;
    rig.ops("PUT", "/ops/v1/partners/p1", serde_json::json!({"name": "One"})).await;
    let key = rig.ops("POST", "/ops/v1/partners/p1/keys", Value::Null).await;
    let text = heard.text();
    let audit: Vec<_> = text.lines().filter(|line| line.contains(" audit: ")).collect();
    assert_eq!(audit.len(), 6, "{text}");
    let has = |n: usize, parts: &[&str]| {
        for part in parts {
            assert!(audit[n].contains(part), "{part}: {}", audit[n]);
        }
    };
    has(
        0,
        &["actor=p1", "key_id=ck_1", "POST /api/v1/sessions", "target_of=CP1/1", "request_id=r1", "outcome=\"done\""],
    );
    has(2, &["actor= ", "key_id=ck_1", "outcome=\"bad_signature\"", "status=401"]);
    has(3, &["actor=root", "PUT /ops/v1/tokens/{id_tag}", "outcome=\"done\""]);
    let secret = key.json["secret"].as_str().unwrap();
    let bearer = rig.bearer.strip_prefix("Bearer ").unwrap();
    for hidden in [SECRET, secret, bearer, "13800138000", "u-personal", "04DEADBEEF"] {
        let leak = text.lines().find(|line| line.contains(hidden) && !line.contains(" hyper"));
        assert_eq!(leak, None, "{hidden}");
    }
}
