//! OCPP sockets. Owns accept, admission, handshake, authentication, frame limits, reader and writer; never what a
//! message means.
//!
//! The way of a connection: [`listener`] accepts and admits it ([`admission`]), [`handshake`] reads its head
//! ([`head`]) and checks who it is ([`credentials`], [`attempts`]), [`ports::Placement`] carries it to its charger's
//! arbiter, where [`socket`] completes the upgrade and then reads and writes until it ends. [`connections`] knows the one
//! connection that counts for each identity.
//!
//! Invariants: no state is made for a stranger before its password is right; one connection an identity is the current
//! one, the newest authenticated; calls of one socket are answered in order, one at a time.

pub mod admission;
pub mod attempts;
pub mod connections;
pub mod credentials;
pub mod guard;
pub mod handshake;
pub mod head;
pub mod link;
pub mod listener;
pub mod ports;
pub mod socket;
#[cfg(test)]
mod tests;

pub use credentials::{Access, PasswordTag, Pepper};
pub use link::{LinkError, LinkHandle};
pub use listener::{Gateway, GatewayHandle};
pub use ports::{
    CallAnswer, CallOutcome, ChargerPort, ChargerRegister, CloseReason, FrameLog, Generation, InboundCall, Outcome,
    Passed, Placement,
};
pub use socket::SocketStart;
