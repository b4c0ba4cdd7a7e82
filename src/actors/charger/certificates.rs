//! The door to whoever signs chargers' certificates (security white paper §4, use case A02). Owns the port; never a key.

use crate::ids::ChargerId;
use futures_util::future::BoxFuture;

/// Signs chargers' certificates. Without one a charger's request is answered `Rejected`, and operators are told.
///
/// The request is journaled before it is handed over. A crash between that and the answer loses the answer: chargers ask
/// again (their `CertSigningWaitMinimum`).
pub trait CertificateDesk: Send + Sync + 'static {
    /// The chain in PEM, the charger's certificate first, or why it gets none. The request's form and subject are the
    /// signer's to check: it is a stranger's text.
    fn sign<'a>(&'a self, charger: &'a ChargerId, csr: &'a str) -> BoxFuture<'a, Result<String, String>>;
}
