//! Carries a connection to its charger's arbiter, so that a frame crosses no thread on its way (architecture §5).

use super::connection::{Connection, ConnectionParts};
use crate::actors::engine::HostAddr;
use crate::actors::engine::host::place;
use crate::actors::pulse::Pulse;
use crate::domain::charging::ChargingFamily;
use crate::gateway::{Placement, SocketStart};
use crate::persistence::SharedJournal;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Where connections live.
pub struct ArbiterPlacement {
    /// The chargers' arbiters.
    pub chargers: HostAddr<ChargingFamily>,
    /// What connections work with.
    pub parts: Arc<ConnectionParts>,
    /// Asked whether facts can be stored at all.
    pub journal: SharedJournal,
    /// Recovery is over and shutdown has not begun.
    pub open: Arc<AtomicBool>,
    /// How late the arbiters are.
    pub pulse: Arc<Pulse>,
}

impl Placement for ArbiterPlacement {
    fn place(&self, start: SocketStart) -> Result<(), SocketStart> {
        if !self.open.load(Ordering::Acquire) {
            return Err(start);
        }
        let index = place(start.charger().as_str(), self.chargers.arbiters());
        let parts = Arc::clone(&self.parts);
        // The work is dropped if the arbiter is too busy: the start stays here to be given back.
        let slot = Arc::new(Mutex::new(Some(start)));
        let theirs = Arc::clone(&slot);
        let sent = self.chargers.send_to(index, move |core| {
            let start = theirs.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(start) = start {
                let port = Rc::new(Connection::new(core, parts, start.charger().clone()));
                actix_rt::spawn(start.run(port));
            }
        });
        match sent {
            Ok(()) => Ok(()),
            Err(_) => slot.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err),
        }
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn late(&self) -> Duration {
        self.pulse.late()
    }
}
