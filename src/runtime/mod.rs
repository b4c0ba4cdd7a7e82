//! Puts the rooms together. Owns the order of starting, recovering and stopping; never a rule of any room.
//!
//! Start: configuration → logs and metrics → journal → vault → threads and actors → register and directories → listeners
//! (they answer 503) → recovery → ready. Stop (RT-9): no new connections or calls → finish what is in flight → close
//! sockets → drain queues' reports → close the journal.

mod assemble;
pub mod demo;
mod descriptors;
mod desk;
mod http;
pub mod ledger;
mod memory;
mod payments;
mod recover;
pub mod sandbox;
mod serve;
mod stop;
mod tcec;
mod tls;

pub use serve::{ServeError, Served, serve};
#[cfg(feature = "testing")]
pub use serve::{serve_in_memory, serve_resolving};

use crate::actors::engine::HostAddr;
use crate::actors::service::{PhaseCell, Service};
use crate::actors::tree::Arbiters;
use crate::clock::SharedClock;
use crate::domain::charging::ChargingFamily;
use crate::domain::delivery::PartnerFamily;
use crate::domain::platform::PlatformFamily;
use crate::gateway::GatewayHandle;
use crate::persistence::SledJournal;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// A process at work.
pub struct Runtime {
    /// What HTTP asks.
    pub service: Arc<Service>,
    /// Where the process stands.
    pub phase: Arc<PhaseCell>,
    store: Arc<SledJournal>,
    clock: SharedClock,
    /// Taken when the process stops.
    threads: Mutex<Option<Threads>>,
    chargers: HostAddr<ChargingFamily>,
    partners: HostAddr<PartnerFamily>,
    platform: HostAddr<PlatformFamily>,
    /// Whether chargers may connect.
    open: Arc<AtomicBool>,
    gateway: Option<GatewayHandle>,
    shutdown: CancellationToken,
    /// Another way in: chargers of this process, without a network.
    #[cfg(feature = "testing")]
    pub memory: crate::gateway::memory::MemoryGateway,
}

#[cfg(feature = "testing")]
impl Runtime {
    /// The test-only poison: the next decision of `key` in this charger's partition panics (RT-2). What its sender is told.
    pub async fn poison(&self, charger: &crate::ids::ChargerId, key: crate::domain::charging::Key) -> Option<String> {
        let index = crate::actors::engine::host::place(charger.as_str(), self.chargers.arbiters());
        let id = charger.to_string();
        let work = move |core: std::rc::Rc<crate::actors::engine::HostCore<ChargingFamily>>| async move {
            let partition = core.partition(&id).await?;
            partition.poison(key).await.err().map(|refusal| refusal.to_string())
        };
        self.chargers.run_on(index, work).await.flatten()
    }

    /// Registers a charger as it is, at a site that need not exist: for fleets beyond what operators' calls make in a minute.
    ///
    /// # Errors
    /// What its partition says.
    pub async fn register(
        &self,
        charger: &crate::ids::ChargerId,
        registration: crate::domain::charger::Registration,
    ) -> Result<(), String> {
        let command = crate::domain::charger::Command::Register(registration);
        let asked = self.chargers.ask(charger.as_str(), crate::domain::charging::Key::Charger, command.into()).await;
        asked.map(drop).map_err(|refusal| refusal.to_string())
    }
}

/// The threads of the process besides the main one and the journal's.
struct Threads {
    arbiters: Arbiters,
    http: Workers,
    /// The thread of handshakes: what strangers cost there delays neither a charger nor a partner (CH-5).
    handshakes: Workers,
    /// The HTTP listeners, each of which ends once its calls under way have been answered.
    servers: Vec<tokio::task::JoinHandle<()>>,
}

/// The threads of HTTP. They end in the background when dropped, wherever that is: a start that fails halfway, on a port
/// that is taken say, has to end in its error.
struct Workers(Option<tokio::runtime::Runtime>);

impl Workers {
    /// Runs a task there; nothing once they have ended.
    fn spawn(&self, task: impl Future<Output: Send + 'static> + Send + 'static) -> tokio::task::JoinHandle<()> {
        let task = async move { drop(task.await) };
        match &self.0 {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(std::future::ready(())),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Where the process listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Chargers.
    pub ocpp: SocketAddr,
    /// Chargers with TLS, if they may.
    pub ocpp_tls: Option<SocketAddr>,
    /// Partners.
    pub partner: SocketAddr,
    /// Operators.
    pub operator: SocketAddr,
    /// Prometheus.
    pub metrics: SocketAddr,
}
