//! A gateway without a network: the same admission, sockets, frames and links as [`super::listener`], over bytes in memory.
//! For simulations on virtual time; only the reading of an HTTP head and passwords are left out.

use super::credentials::Matched;
use super::listener::{Ports, Shared};
use super::profile::{Channel, judge};
use super::socket::{SocketStart, Start};
use super::stream::{Line, Stream};
use crate::config::gateway::Gateway as Settings;
use crate::ids::ChargerId;
use arc_swap::ArcSwap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::DuplexStream;

/// Bytes under way in each direction before the writer has to wait.
const WINDOW: usize = 65_536;

/// A gateway that chargers of the same process connect to.
#[derive(Debug)]
pub struct MemoryGateway(Arc<Shared>);

impl MemoryGateway {
    /// A gateway that listens nowhere.
    pub fn new(settings: Arc<ArcSwap<Settings>>, ports: Ports) -> Self {
        MemoryGateway(Arc::new(Shared::new(settings, ports)))
    }

    /// A charger comes in that need not prove anything. Gives the charger's end, on which it speaks WebSocket at once; `None`
    /// where a real one would be refused.
    pub fn connect(&self, charger: &ChargerId) -> Option<DuplexStream> {
        let standing = self.0.ports.register.standing(charger)?;
        let proof = judge(Some(&standing), Channel::Plain, Some(Matched::Open)).ok()?;
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (handshake, connection) = self.0.admission.admit(from, self.0.settings().connections_max, false).ok()?;
        let (ours, theirs) = tokio::io::duplex(WINDOW);
        let start = Start {
            shared: self.0.clone(),
            charger: charger.clone(),
            generation: self.0.connections.next_generation(),
            remote: SocketAddr::new(from, 1),
            subprotocol: "ocpp1.6",
            proof,
            stream: Stream::Plain(Line::Memory(ours)),
            response: Vec::new(),
            rest: Vec::new(),
            handshake,
            connection,
        };
        self.0.ports.placement.place(SocketStart(Box::new(start))).ok()?;
        Some(theirs)
    }
}
