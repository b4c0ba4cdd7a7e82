//! Where simulated endpoints are served: all of this process on one thread of their own, for a partner does not answer later
//! because thousands of simulated chargers have much to do.

use axum::Router;
use std::net::SocketAddr;
use std::sync::LazyLock;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An endpoint while it is up; ends when dropped.
#[derive(Debug)]
pub(super) struct Serving {
    down: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Answers until it is told to go down; then open connections that are idle close too.
    pub(super) fn start(listener: TcpListener, app: Router) -> anyhow::Result<Serving> {
        let (down, told) = oneshot::channel::<()>();
        let task = apart()?.spawn(async move {
            let serving = axum::serve(listener, app).with_graceful_shutdown(async {
                let _ = told.await;
            });
            if let Err(error) = serving.await {
                tracing::error!(%error, "the sink stopped");
            }
        });
        Ok(Serving { down: Some(down), task })
    }

    /// Refuses connections from now on; what is under way is still answered.
    pub(super) fn go_down(mut self) {
        // An error means that it has ended already.
        let _ = self.down.take().map(|down| down.send(()));
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.down.is_some() {
            self.task.abort();
        }
    }
}

/// Listens there; a connection belongs to the runtime in which it was bound.
pub(super) async fn bind(at: SocketAddr) -> anyhow::Result<TcpListener> {
    Ok(apart()?.spawn(TcpListener::bind(at)).await??)
}

fn apart() -> anyhow::Result<&'static Runtime> {
    static APART: LazyLock<std::io::Result<Runtime>> =
        LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).thread_name("sinks").enable_all().build());
    APART.as_ref().map_err(|error| anyhow::anyhow!("the sinks' runtime: {error}"))
}
