//! A TCP proxy between chargers and server that fails on command: one direction thrown away, both held back as if the other side
//! had vanished (no FIN, no RST), or all connections cut.

use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Pass,
    /// Read and thrown away.
    Discard,
    /// Not read: they pile up where they are.
    Hold,
}

#[derive(Debug, Clone, Copy)]
struct Mode {
    to_server: Flow,
    to_client: Flow,
    /// Connections of an earlier generation are cut.
    generation: u64,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
    discarded: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Relays to this port of the loopback.
    pub(crate) async fn before(target: u16) -> Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let first = Mode { to_server: Flow::Pass, to_client: Flow::Pass, generation: 0 };
        let (mode, seen) = watch::channel(first);
        let discarded = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&discarded);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, target, seen.clone(), Arc::clone(&count)));
            }
        });
        Ok(Proxy { port, mode, discarded, task })
    }

    /// What happens from now on.
    pub(crate) fn set(&self, to_server: Flow, to_client: Flow) {
        self.mode.send_modify(|mode| (mode.to_server, mode.to_client) = (to_server, to_client));
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.mode.send_modify(|mode| mode.generation += 1);
    }

    /// Bytes thrown away so far.
    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Relaxed)
    }
}

async fn relay(client: TcpStream, target: u16, mode: watch::Receiver<Mode>, discarded: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    // Nagle's delay is not the fault that is tried.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let born = mode.borrow().generation;
    let mut cut = mode.clone();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let up = pump(from_client, to_server, mode.clone(), |mode| mode.to_server, &discarded);
    let down = pump(from_server, to_client, mode, |mode| mode.to_client, &discarded);
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = cut.wait_for(|mode| mode.generation > born) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    flow: fn(&Mode) -> Flow,
    discarded: &AtomicU64,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        // The sender lives as long as the proxy.
        if mode.wait_for(|mode| flow(mode) != Flow::Hold).await.is_err() {
            return;
        }
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            return;
        }
        let now = flow(&mode.borrow());
        match now {
            Flow::Discard => drop(discarded.fetch_add(read as u64, Ordering::Relaxed)),
            Flow::Hold | Flow::Pass => {
                if mode.wait_for(|mode| flow(mode) != Flow::Hold).await.is_err() {
                    return;
                }
                if to.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
