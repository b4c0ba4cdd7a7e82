//! Stopping (RT-9).

use super::{Runtime, Threads};
use crate::actors::service::Phase;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long queues may take to report what was under way. What they cannot is sent again after the start.
const QUEUES: Duration = Duration::from_secs(2);

impl Runtime {
    /// Finishes what is in flight and closes everything, within `limit` as far as peers allow it. `restart` tells chargers
    /// that we come back at once.
    pub(super) async fn stop(self: Arc<Self>, restart: bool, limit: Duration) {
        self.phase.set(Phase::Stopping);
        self.open.store(false, Ordering::Release);
        self.shutdown.cancel();
        // The threads stay where they are: a second signal drops this future, and their runtime may not be dropped here.
        let servers = match self.threads.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(threads) => std::mem::take(&mut threads.servers),
            None => Vec::new(),
        };
        let sockets = async {
            if let Some(gateway) = &self.gateway {
                gateway.close_all(restart, limit).await;
            }
        };
        tokio::join!(sockets, answered(servers, limit));
        self.service.directory.stop_queues();
        let idle = async {
            while !self.service.board.all().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(QUEUES, idle).await.is_err() {
            tracing::warn!("some webhook tries were cut off; they are made again after the start");
        }
        let messages = self.service.messages.clone();
        // Writing blocks. A frame lost here was served all the same.
        let _ = tokio::task::spawn_blocking(move || messages.close()).await;
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Threads { arbiters, http, handshakes, servers: _ }) = threads {
            drop((http, handshakes));
            // Joining blocks; a thread that panicked has told so by then.
            let _ = tokio::task::spawn_blocking(move || arbiters.stop()).await;
        }
        tracing::info!("stopped");
    }
}

/// Waits until the calls under way are answered. A caller that hears nothing would have to ask whether it was done.
async fn answered(servers: Vec<JoinHandle<()>>, limit: Duration) {
    let all = async {
        for server in servers {
            // A listener that panicked has told so; its calls are over either way.
            let _ = server.await;
        }
    };
    if tokio::time::timeout(limit, all).await.is_err() {
        tracing::warn!("some calls under way were cut off");
    }
}
