//! The bare accept and WebSocket handshake: what a storm would take if a server did nothing else. Only a thing to measure
//! against; a process of its own, because one process may not hold both ends of 15,000 connections.

use crate::charger::{ChargerSpec, Profile, dial};
use crate::net::Sources;
use anyhow::Context;
use futures_util::StreamExt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Connections that wait in the kernel, as many as the product lets wait.
const BACKLOG: u32 = 4_096;
/// How long all may take.
const LONGEST: Duration = Duration::from_secs(300);

/// Accepts and shakes hands for ever; the first line of its output is the address.
///
/// # Errors
/// When no port can be had.
pub async fn serve() -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(crate::fleet::ANY_PORT)?;
    let listener = socket.listen(BACKLOG)?;
    println!("{}", listener.local_addr()?);
    loop {
        // A client that is gone again is no reason to end.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(connection(stream));
    }
}

#[allow(clippy::result_large_err, reason = "the library's own signature")]
async fn connection(stream: TcpStream) {
    let config = WebSocketConfig::default().read_buffer_size(1_024).write_buffer_size(0);
    let protocol = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
        Ok(response)
    };
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let shaken = tokio_tungstenite::accept_hdr_async_with_config(stream, protocol, Some(config)).await;
    let Ok(mut socket) = shaken else { return };
    while let Some(Ok(_)) = socket.next().await {}
}

/// Starts an acceptor (`program` is this one) and connects `count` clients to it at once, each trying until it is in; how long until all are.
///
/// # Errors
/// When the acceptor cannot be started, or not all come in.
pub async fn measure(program: &Path, count: usize) -> anyhow::Result<Duration> {
    let mut child = Command::new(program)
        .arg("bare")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the bare acceptor")?;
    let out = child.stdout.take().context("no output")?;
    let line = BufReader::new(out).lines().next_line().await?.context("the bare acceptor ended at once")?;
    let at: SocketAddr = line.parse().with_context(|| line.clone())?;
    let mut profile = Profile::towards(&format!("ws://{at}/ocpp"));
    profile.sources = Some(Sources::new(u64::from(std::process::id()) + 1));
    let (profile, inside) = (Arc::new(profile), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let clients: Vec<_> = (0..count)
        .map(|n| {
            let (profile, inside) = (profile.clone(), inside.clone());
            tokio::spawn(async move {
                let spec = ChargerSpec::normal(&format!("bare-{n:05}"), Some("password-0123456789".into()), 1, 0);
                loop {
                    if let Ok(socket) = dial(profile.clone(), spec.clone()).await {
                        inside.fetch_add(1, Ordering::Relaxed);
                        return socket;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
        })
        .collect();
    let mut sockets = Vec::with_capacity(count);
    for client in clients {
        let left = LONGEST.saturating_sub(begun.elapsed());
        let socket = tokio::time::timeout(left, client).await;
        let came = inside.load(Ordering::Relaxed);
        sockets.push(socket.with_context(|| format!("only {came} of {count} bare handshakes"))??);
    }
    let took = begun.elapsed();
    drop(sockets);
    child.kill().await?;
    Ok(took)
}
