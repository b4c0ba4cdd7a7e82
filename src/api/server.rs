//! Sockets of HTTP: accept, bound, time out, drain. Owns connections; never what a request means.
//!
//! Invariants: connections are bounded in all and for each address; a head that does not arrive in time closes its
//! connection, idle ones too; at shutdown nothing new is accepted and what is under way may finish within a limit (RT-9).
//! HTTP/1.1 only: callers are servers with few connections, and every further protocol is attack surface.

use super::operator::OperatorApi;
use super::partner::PartnerApi;
use crate::config::live::LiveConfig;
use crate::telemetry::metrics::api as metrics;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use dashmap::DashMap;
use http::HeaderMap;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Open connections of the operator listener: people and one command line, not machines.
pub(crate) const OPERATOR_CONNECTIONS_MAX: usize = 256;

/// Open connections of the metrics listener, and those from one address: a scraper that hangs has one, and the next one too.
const METRICS_CONNECTIONS_MAX: usize = 32;
const METRICS_CONNECTIONS_PER_ADDRESS: usize = 8;

/// How often memory that is no longer needed is given back.
const PRUNE_EVERY: Duration = Duration::from_secs(30);

/// How long the loop waits after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Most header bytes of a request; ours have under 1 KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The bounds of one listener.
struct Bounds {
    listener: &'static str,
    connections: usize,
    per_address: usize,
    header_timeout: Duration,
    drain_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
}

/// Serves the partner API until `shutdown`, then drains. `room`: connections that there can be, whatever is configured.
pub async fn serve_partner(
    listener: TcpListener,
    api: PartnerApi,
    config: Arc<LiveConfig>,
    room: usize,
    shutdown: CancellationToken,
) {
    let settings = config.current();
    let bounds = Bounds {
        listener: "partner",
        connections: settings.api.connections_max.min(room),
        per_address: settings.api.connections_per_address,
        header_timeout: settings.api.header_timeout,
        drain_timeout: settings.api.drain_timeout,
        trusted_proxies: settings.api.trusted_proxies.clone(),
    };
    let router = api.router.clone();
    let served = serve(listener, router, bounds, shutdown);
    let pruning = async move {
        loop {
            tokio::time::sleep(PRUNE_EVERY).await;
            api.prune();
        }
    };
    tokio::select! {
        () = served => {}
        () = pruning => {}
    }
}

/// Serves the operator API until `shutdown`, then drains. `room`: as [`serve_partner`] has it.
pub async fn serve_operator(
    listener: TcpListener,
    api: OperatorApi,
    config: Arc<LiveConfig>,
    room: usize,
    shutdown: CancellationToken,
) {
    let settings = config.current();
    let bounds = Bounds {
        listener: "operator",
        connections: OPERATOR_CONNECTIONS_MAX.min(room),
        per_address: OPERATOR_CONNECTIONS_MAX,
        header_timeout: settings.api.header_timeout,
        drain_timeout: settings.api.drain_timeout,
        trusted_proxies: Vec::new(),
    };
    serve(listener, api.router, bounds, shutdown).await;
}

/// Serves the metrics until `shutdown`.
pub async fn serve_metrics(
    listener: TcpListener,
    router: Router,
    config: Arc<LiveConfig>,
    shutdown: CancellationToken,
) {
    let settings = config.current();
    let bounds = Bounds {
        listener: "metrics",
        connections: METRICS_CONNECTIONS_MAX,
        per_address: METRICS_CONNECTIONS_PER_ADDRESS,
        header_timeout: settings.api.header_timeout,
        drain_timeout: settings.api.drain_timeout,
        trusted_proxies: Vec::new(),
    };
    serve(listener, router, bounds, shutdown).await;
}

/// What all connections of a listener share.
struct Shared {
    router: Router,
    bounds: Bounds,
    addresses: DashMap<IpAddr, usize>,
    shutdown: CancellationToken,
}

async fn serve(listener: TcpListener, router: Router, bounds: Bounds, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let shared = Arc::new(Shared { router, bounds, addresses: DashMap::new(), shutdown });
    let tasks = TaskTracker::new();
    while let Some((place, socket, peer)) = next(&listener, &places, &shared.shutdown).await {
        let Some(seat) = Seat::take(&shared, peer.ip(), place) else {
            metrics::LIMITED.add(1, ["connections"]);
            continue;
        };
        tasks.spawn(Arc::clone(&shared).connection(socket, peer, seat));
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(shared.bounds.drain_timeout, tasks.wait()).await.is_err() {
        tracing::warn!(listener = shared.bounds.listener, left = tasks.len(), "calls under way were cut off");
    }
}

/// The next connection, once there is a place for it; `None` at shutdown.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    loop {
        let accepted = async {
            // Never closed, so a place always comes.
            let place = Arc::clone(places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = shutdown.cancelled() => return None,
            accepted = accepted => accepted,
        };
        match (place, accepted) {
            (Some(place), Ok((socket, peer))) => return Some((place, socket, peer)),
            (None, _) => return None,
            (Some(_), Err(error)) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection's place in all counts, until dropped.
struct Seat {
    shared: Arc<Shared>,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    fn take(shared: &Arc<Shared>, address: IpAddr, place: OwnedSemaphorePermit) -> Option<Self> {
        let mut count = shared.addresses.entry(address).or_default();
        if *count >= shared.bounds.per_address {
            return None;
        }
        *count += 1;
        drop(count);
        metrics::CONNECTIONS.shift(1.0, [shared.bounds.listener]);
        Some(Seat { shared: Arc::clone(shared), address, _place: place })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::CONNECTIONS.shift(-1.0, [self.shared.bounds.listener]);
        if let Some(mut count) = self.shared.addresses.get_mut(&self.address) {
            *count -= 1;
        }
        self.shared.addresses.remove_if(&self.address, |_, count| *count == 0);
    }
}

impl Shared {
    async fn connection(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, seat: Seat) {
        // Answers are small and whole: waiting to fill a segment only delays them.
        let _ = socket.set_nodelay(true);
        let this = Arc::clone(&self);
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let this = Arc::clone(&this);
            async move { this.answer(request, peer).await }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.bounds.header_timeout);
        builder.max_buf_size(HEAD_BYTES_MAX);
        let connection = builder.serve_connection(TokioIo::new(socket), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "connection ended");
        }
        drop(seat);
    }

    async fn answer(
        &self,
        request: http::Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<axum::response::Response, std::convert::Infallible> {
        let origin = origin(peer, request.headers(), &self.bounds.trusted_proxies);
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(origin));
        self.router.clone().oneshot(request).await
    }
}

/// Where a request comes from: the peer, or what the nearest trusted proxy says (the last untrusted address of
/// `X-Forwarded-For`). Whatever a stranger writes into that header himself stands before it and is not believed.
fn origin(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> SocketAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address.to_canonical()));
    if !is_trusted(peer.ip()) {
        return peer;
    }
    let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut nearest = peer.ip();
    for hop in hops.into_iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    SocketAddr::new(nearest, peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxys_word_about_the_origin_is_believed() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        for (peer, forwarded, expected) in [
            ("192.0.2.1:5", "198.51.100.9", "192.0.2.1:5"),
            ("10.0.0.1:5", "198.51.100.9", "198.51.100.9:5"),
            ("10.0.0.1:5", "203.0.113.7, 198.51.100.9", "198.51.100.9:5"),
            ("10.0.0.1:5", "203.0.113.7, 198.51.100.9, 10.0.0.2", "198.51.100.9:5"),
            ("10.0.0.1:5", "203.0.113.7, rubbish", "10.0.0.1:5"),
            ("10.0.0.1:5", "", "10.0.0.1:5"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            assert_eq!(origin(peer.parse().unwrap(), &headers, &trusted).to_string(), expected, "{peer} {forwarded}");
        }
    }
}
