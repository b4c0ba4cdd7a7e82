//! The listener. Owns the accept loop and what all connections share; never reads from a socket itself.

use super::admission::{Admission, Refused};
use super::attempts::Attempts;
use super::connections::Connections;
use super::credentials::Pepper;
use super::guard::Budget;
use super::handshake::{shake, turn_away};
use super::head;
use super::ports::{ChargerRegister, CloseReason, FrameLog, Placement};
use super::tls::Door;
use crate::clock::SharedClock;
use crate::config::gateway::Gateway as Settings;
use crate::domain::overload::{Demand, MemoryGauge, crowded, sheds};
use crate::telemetry::metrics::gateway as metric;
use arc_swap::ArcSwap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// Connections that wait in the kernel: a storm must not overflow it, or SYN retries put the herd in step.
const BACKLOG: u32 = 4096;

/// Refusals that are answered at once, if there is room; beyond them a connection is closed without a word.
pub(crate) const REFUSALS_MAX: usize = 256;

/// Wait after accept failed, as when descriptors run out: trying at once would burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often limiters give memory back.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// Sockets that are told to close at a time on shutdown, and the pause between: 20,000 in two seconds.
const DRAIN_SLICE: usize = 500;
const DRAIN_PAUSE: Duration = Duration::from_millis(50);

/// What the gateway needs from the rest.
pub struct Ports {
    /// Who may connect.
    pub register: Arc<dyn ChargerRegister>,
    /// Where connections live.
    pub placement: Arc<dyn Placement>,
    /// Who keeps the frames.
    pub frames: Arc<dyn FrameLog>,
    /// The time.
    pub clock: SharedClock,
    /// The key of the passwords.
    pub pepper: Arc<Pepper>,
    /// The memory. Asked for every stranger, and when one who is in wakes (OP-10).
    pub memory: MemoryGauge,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}

/// Counters of the hot path, kept because looking one up costs more than counting.
pub(crate) struct HotCounters {
    pub(crate) messages_in: metrics::Counter,
    pub(crate) messages_out: metrics::Counter,
    pub(crate) bytes_in: metrics::Counter,
    pub(crate) bytes_out: metrics::Counter,
    pub(crate) heartbeats: metrics::Counter,
}

/// What all connections share.
pub(crate) struct Shared {
    settings: Arc<ArcSwap<Settings>>,
    pub(crate) ports: Ports,
    pub(crate) admission: Arc<Admission>,
    pub(crate) attempts: Attempts,
    pub(crate) connections: Connections,
    budget: Arc<Budget>,
    pub(crate) hot: HotCounters,
    refusals: AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("connections", &self.connections.len()).finish_non_exhaustive()
    }
}

impl Shared {
    /// What connections with these settings share; nothing is bound.
    pub(crate) fn new(settings: Arc<ArcSwap<Settings>>, ports: Ports) -> Self {
        let now = settings.load_full();
        // Seen from the start: none is a figure, too.
        metric::CONNECTIONS.shift(0.0, []);
        let hot = HotCounters {
            messages_in: metric::FRAMES.counter(["in"]),
            messages_out: metric::FRAMES.counter(["out"]),
            bytes_in: metric::BYTES.counter(["in"]),
            bytes_out: metric::BYTES.counter(["out"]),
            heartbeats: metric::HEARTBEATS.counter([]),
        };
        Shared {
            settings,
            ports,
            admission: Arc::new(Admission::new(&now)),
            attempts: Attempts::new(&now),
            connections: Connections::default(),
            budget: Arc::new(Budget::new(now.large_message_bytes_total)),
            hot,
            refusals: AtomicUsize::new(0),
        }
    }

    /// The settings of this moment, cheaply: not to be held over an await.
    pub(crate) fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// The settings of this moment, to be kept.
    pub(crate) fn settings_kept(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// What large messages share: as many bytes as settings and memory allow at this moment.
    pub(crate) fn budget(&self) -> Arc<Budget> {
        self.budget.resize((self.ports.memory)().of_large_messages(self.settings().large_message_bytes_total));
        self.budget.clone()
    }

    /// A random `Retry-After`, so that those who are turned away together do not come back together.
    pub(crate) fn retry_after(&self) -> String {
        let settings = self.settings();
        let (min, max) = (settings.retry_after_min.as_secs(), settings.retry_after_max.as_secs());
        format!("Retry-After: {}\r\n", rand::random_range(min..=max.max(min)))
    }
}

/// Where TLS is spoken, and with what: read anew for every connection.
#[derive(Debug, Clone)]
pub struct TlsPort {
    /// The address.
    pub listen: SocketAddr,
    /// The certificates of this moment.
    pub door: Arc<ArcSwap<Door>>,
}

/// Sockets that chargers may take, whatever the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Chargers that are connected or shake hands.
    pub connections: usize,
    /// Chargers that are being turned away.
    pub refusals: usize,
}

/// The bound listeners, before they run.
#[derive(Debug)]
pub struct Gateway {
    room: Room,
    listener: TcpListener,
    tls: Option<(TcpListener, Arc<ArcSwap<Door>>)>,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// The running gateway, as the rest sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GatewayHandle {
    shared: Arc<Shared>,
    stop: CancellationToken,
    local: SocketAddr,
    local_tls: Option<SocketAddr>,
}

impl Gateway {
    /// Binds the listener. `settings` is read anew for every connection, so that keys marked live take effect, as far as
    /// there is `room`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(settings: Arc<ArcSwap<Settings>>, ports: Ports, room: Room) -> io::Result<Gateway> {
        let listener = listen(settings.load().listen)?;
        let shared = Arc::new(Shared::new(settings, ports));
        Ok(Gateway { room, listener, tls: None, shared, stop: CancellationToken::new() })
    }

    /// Speaks TLS at one more address.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn with_tls(mut self, port: TlsPort) -> io::Result<Gateway> {
        self.tls = Some((listen(port.listen)?, port.door));
        Ok(self)
    }

    /// The handle for the rest of the process.
    ///
    /// # Errors
    /// When the operating system does not say which address was bound.
    pub fn handle(&self) -> io::Result<GatewayHandle> {
        let local_tls = self.tls.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
        let local = self.listener.local_addr()?;
        Ok(GatewayHandle { shared: self.shared.clone(), stop: self.stop.clone(), local, local_tls })
    }

    /// Accepts until [`GatewayHandle::stop_accepting`]. Handshakes run as tasks of the runtime that this runs on; sockets
    /// where [`Placement`] puts them.
    pub async fn run(self) {
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                _ = prune.tick() => {
                    self.shared.attempts.prune();
                    metric::CONNECTIONS_MOST.set(self.connections_max() as f64, []);
                }
                accepted = self.listener.accept() => self.accepted(accepted, None).await,
                (accepted, door) = accept_tls(self.tls.as_ref()) => self.accepted(accepted, Some(door)).await,
            }
        }
    }

    /// Connections at once, as of now.
    fn connections_max(&self) -> usize {
        self.shared.settings().connections_max.min(self.room.connections)
    }

    async fn accepted(&self, accepted: io::Result<(TcpStream, SocketAddr)>, door: Option<Arc<Door>>) {
        match accepted {
            Ok((stream, remote)) => self.welcome(stream, remote, door),
            Err(error) => {
                metric::REFUSED.add(1, ["accept_error"]);
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    fn welcome(&self, stream: TcpStream, remote: SocketAddr, door: Option<Arc<Door>>) {
        let (from, most, late_max) = (remote.ip(), self.connections_max(), self.shared.settings().late_max);
        let busy = sheds(Demand::Handshake, self.shared.ports.placement.late(), late_max, 1.0);
        let admitted = match &door {
            _ if crowded(Demand::Handshake, (self.shared.ports.memory)().full) => Err(Refused::Memory),
            None => self.shared.admission.admit(from, most, busy),
            Some(_) => self.shared.admission.admit_tls(from, most, busy, self.shared.attempts.judge_tls(from)),
        };
        match admitted {
            Ok(permits) => {
                tokio::spawn(shake(self.shared.clone(), stream, remote, door, permits));
            }
            // Who waits for TLS could not read an answer, and keys are not worth the work.
            Err(refused) if door.is_some() => metric::REFUSED.add(1, [refused.label()]),
            Err(refused) => self.refuse(stream, refused),
        }
    }

    fn refuse(&self, stream: TcpStream, refused: Refused) {
        metric::REFUSED.add(1, [refused.label()]);
        if self.shared.refusals.fetch_add(1, Ordering::Relaxed) >= self.room.refusals {
            self.shared.refusals.fetch_sub(1, Ordering::Relaxed);
            metric::REFUSED.add(1, ["silent"]);
            return;
        }
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let answer = head::refusal("503 Service Unavailable", &shared.retry_after());
            turn_away(stream, &answer).await;
            shared.refusals.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept_tls(
    tls: Option<&(TcpListener, Arc<ArcSwap<Door>>)>,
) -> (io::Result<(TcpStream, SocketAddr)>, Arc<Door>) {
    match tls {
        Some((listener, door)) => (listener.accept().await, door.load_full()),
        None => std::future::pending().await,
    }
}

impl GatewayHandle {
    /// The address where TLS is spoken, if anywhere.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.local_tls
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How many chargers are connected.
    pub fn connected(&self) -> usize {
        self.shared.connections.len()
    }

    /// The current connection of a charger.
    pub fn link(&self, charger: &crate::ids::ChargerId) -> Option<super::link::LinkHandle> {
        self.shared.connections.current(charger)
    }

    /// Accepts no more connections. Those that are open go on.
    pub fn stop_accepting(&self) {
        self.stop.cancel();
    }

    /// Ends all connections in good order, a slice at a time, and waits until they have ended or `limit` is over (RT-9).
    /// `restart`: the chargers are told that we will be back (1012 instead of 1001).
    pub async fn close_all(&self, restart: bool, limit: Duration) {
        self.stop_accepting();
        let reason = if restart { CloseReason::Restart } else { CloseReason::Shutdown };
        let closing = async {
            for slice in self.shared.connections.links().chunks(DRAIN_SLICE) {
                slice.iter().for_each(|link| link.close(reason));
                tokio::time::sleep(DRAIN_PAUSE).await;
            }
            // A connection counts until its closing handshake is over; handshakes of strangers are not waited for.
            let open = || {
                let (handshakes, connections) = self.shared.admission.present();
                connections > handshakes || !self.shared.connections.is_empty()
            };
            while open() {
                self.shared.connections.links().iter().for_each(|link| link.close(reason));
                tokio::time::sleep(DRAIN_PAUSE).await;
            }
        };
        if tokio::time::timeout(limit, closing).await.is_err() {
            tracing::warn!(left = self.connected(), "sockets still open at the end of the shutdown");
        }
    }

    #[cfg(test)]
    pub(crate) fn present(&self) -> (usize, usize) {
        self.shared.admission.present()
    }

    #[cfg(test)]
    pub(crate) fn budget_left(&self) -> usize {
        self.shared.budget().left()
    }
}
