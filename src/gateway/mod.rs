//! OCPP sockets. Owns accept, admission, handshake, authentication, frame limits, reader and writer; never what a
//! message means.
//!
//! The way of a connection: [`listener`] accepts and admits it ([`admission`]), [`handshake`] speaks TLS ([`tls`]), reads its head
//! ([`head`]) and checks who it is ([`credentials`], [`attempts`], [`profile`]), [`ports::Placement`] carries it to its charger's
//! arbiter, where [`socket`] completes the upgrade and then reads and writes until it ends. [`connections`] knows the one
//! connection that counts for each identity.
//!
//! Invariants: no state is made for a stranger before its password is right; one connection an identity is the current
//! one, the newest authenticated; calls of one socket are answered in order, one at a time.

pub mod admission;
pub mod attempts;
pub mod authority;
pub mod connections;
pub mod credentials;
pub mod guard;
pub mod handshake;
pub mod head;
pub mod link;
pub mod listener;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod ports;
pub mod profile;
pub mod socket;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub mod tls;

pub use credentials::{Access, PasswordTag, Pepper};
pub use link::{LinkError, LinkHandle};
pub use listener::{Gateway, GatewayHandle};
pub use ports::{
    CallAnswer, CallOutcome, ChargerPort, ChargerRegister, CloseReason, FrameLog, Generation, InboundCall, Outcome,
    Passed, Placement,
};
pub use profile::{Proof, Standing};
pub use socket::SocketStart;
