//! The built-in authority behind the door that chargers' certificate requests come to (CH-3; security white paper A02).

use crate::actors::charger::certificates::CertificateDesk;
use crate::clock::SharedClock;
use crate::gateway::authority::Authority;
use crate::ids::ChargerId;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Signs with the built-in authority, on a thread that may be kept busy: signatures do not belong on the arbiters.
pub(super) struct Desk {
    pub(super) authority: Arc<Authority>,
    pub(super) clock: SharedClock,
}

impl CertificateDesk for Desk {
    fn sign<'a>(&'a self, charger: &'a ChargerId, csr: &'a str) -> BoxFuture<'a, Result<String, String>> {
        let (authority, now) = (Arc::clone(&self.authority), self.clock.now());
        let (charger, csr) = (charger.clone(), csr.to_owned());
        let signed = tokio::task::spawn_blocking(move || authority.sign(&csr, &charger, now));
        Box::pin(async move {
            let signed = signed.await.map_err(|_| "the authority has failed; see the log".to_owned())?;
            signed.map_err(|refusal| refusal.to_string())
        })
    }
}
