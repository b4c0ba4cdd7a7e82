//! The supervision tree's trunk: arbiters, and a host an arbiter for each family. Owns threads; never a partition.
//!
//! ```text
//!  System ── arbiter 0 … n-1   Host<charger>: chargers, their sessions and sockets
//!         └─ back office       Host<partner>: partners and their queues, Host<platform>
//! ```

use super::engine::{Environment, Host, HostAddr, HostCore};
use super::pulse::Pulse;
use crate::domain::entity::Family;
use crate::telemetry::metrics::engine::ARBITER_LATE;
use actix::Addr;
use actix_rt::{Arbiter, ArbiterHandle};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Threads of a chargers' arbiter that read the store, at most. Each keeps memory of its own for what passes through it, so a storm
/// that has a thread for every charger leaves megabytes behind; the disk and the processors are busy with fewer.
const READERS: usize = 4;

/// Why the tree does not stand.
#[derive(Debug, thiserror::Error)]
#[error("an arbiter thread ended while it was being started")]
pub struct ArbiterGone;

/// The threads that run actors.
#[derive(Debug)]
pub struct Arbiters {
    chargers: Vec<Arbiter>,
    back_office: Arbiter,
    pulse: Arc<Pulse>,
}

impl Arbiters {
    /// Starts the threads: `n` for chargers (0: one a core), one for partners and the platform.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(n: usize) -> Result<Self, ArbiterGone> {
        let n = if n == 0 { std::thread::available_parallelism().map_or(1, usize::from) } else { n };
        let chargers = (0..n).map(|_| of_chargers()).collect::<Result<Vec<Arbiter>, ArbiterGone>>()?;
        let pulse = Pulse::new(n);
        for (index, arbiter) in chargers.iter().enumerate() {
            arbiter.spawn(pulse.clone().beat(index, &ARBITER_LATE));
        }
        // Names of partners' hosts are looked up on its threads, slow ones too: as many as `webhook.lookups` allows.
        Ok(Arbiters { chargers, back_office: Arbiter::new(), pulse })
    }

    /// The threads of chargers, in the order of [`super::engine::host::place`].
    pub fn chargers(&self) -> Vec<ArbiterHandle> {
        self.chargers.iter().map(Arbiter::handle).collect()
    }

    /// The thread of partners and the platform.
    pub fn back_office(&self) -> ArbiterHandle {
        self.back_office.handle()
    }

    /// How late the threads of chargers are.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Ends the threads and waits for them.
    pub fn stop(self) {
        for arbiter in self.chargers.into_iter().chain([self.back_office]) {
            arbiter.stop();
            // Its thread may have ended by a panic: there is nothing left to wait for then.
            let _ = arbiter.join();
        }
    }
}

fn of_chargers() -> Result<Arbiter, ArbiterGone> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(READERS).build();
    Arbiter::try_with_tokio_rt(runtime).map_err(|_| ArbiterGone)
}

/// Starts a host of family `F` on each of these arbiters.
///
/// # Errors
/// When a thread has ended.
pub async fn host<F: Family>(
    arbiters: &[ArbiterHandle],
    retry_after: Duration,
    environment: impl Fn() -> Environment<F> + Clone + Send + 'static,
) -> Result<HostAddr<F>, ArbiterGone> {
    let mut hosts: Vec<Addr<Host<F>>> = Vec::with_capacity(arbiters.len());
    for arbiter in arbiters {
        let (tell, told) = oneshot::channel();
        let environment = environment.clone();
        arbiter.spawn_fn(move || {
            let core = HostCore::new(environment());
            // The starter waits for it.
            let _ = tell.send(Host::start_for(core));
        });
        hosts.push(told.await.map_err(|_| ArbiterGone)?);
    }
    Ok(HostAddr::new(hosts, retry_after))
}
