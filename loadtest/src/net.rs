//! Outgoing sockets of a large fleet. Owns the choice of source address; never speaks a protocol.
//!
//! Invariant: at most [`PER_SOURCE`] connections leave from one source address, and each is bound to a port that we choose
//! ourselves, so the kernel never searches for one: with more than a few thousand a source that search takes all the CPU
//! (20 times slower, measured).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// Connections from one 127.x.y.z address before the next is taken.
pub const PER_SOURCE: u64 = 4_000;
/// The first port used of a source address: above the kernel's own range's start, below its end.
const FIRST_PORT: u64 = 33_000;
/// Source addresses before the first is taken again: 127.2.0.1 to 127.2.0.250.
const SOURCES: u64 = 250;
/// Ports tried when one is taken already (by an earlier run that lives on).
const TRIES: u32 = 32;
/// How long a TCP connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Hands out source addresses; shared by the fleet. The salt keeps two processes apart.
#[derive(Debug, Default)]
pub struct Sources {
    next: AtomicU64,
    salt: u64,
}

impl Sources {
    /// A pool whose addresses begin at a place given by `salt` (the process id, say).
    pub fn new(salt: u64) -> Self {
        Sources { next: AtomicU64::new(0), salt }
    }

    /// The next source: an address of 127.2.0.0/16 and a port.
    pub fn take(&self) -> SocketAddr {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let host = (self.salt + n / PER_SOURCE) % SOURCES + 1;
        let high = (self.salt / SOURCES) % 250;
        let port = FIRST_PORT + (n + self.salt * 97) % (PER_SOURCE * 6);
        // Each value is below 251 or 60,000 by the remainders above.
        let ip = Ipv4Addr::new(127, 2, u8::try_from(high).unwrap_or(0), u8::try_from(host).unwrap_or(1));
        SocketAddr::new(IpAddr::V4(ip), u16::try_from(port).unwrap_or(33_000))
    }
}

/// Connects to a loopback or other address; with `sources` and a loopback target from a source of our own.
/// The socket resets on close (linger 0) so that no TIME_WAIT poisons the next run.
///
/// # Errors
/// When the connection is refused, times out, or no source port is free.
pub async fn connect(target: SocketAddr, sources: Option<&Sources>) -> io::Result<TcpStream> {
    let stream = match sources {
        Some(sources) if target.ip().is_loopback() && target.is_ipv4() => from_pool(target, sources).await?,
        Some(_) | None => timed(TcpStream::connect(target)).await?,
    };
    stream.set_nodelay(true)?;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    Ok(stream)
}

async fn from_pool(target: SocketAddr, sources: &Sources) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        if let Err(error) = socket.bind(sources.take()) {
            last = error;
            continue;
        }
        match timed(socket.connect(target)).await {
            Ok(stream) => return Ok(stream),
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {
                last = error;
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

async fn timed(connect: impl Future<Output = io::Result<TcpStream>>) -> io::Result<TcpStream> {
    match tokio::time::timeout(CONNECT_MAX, connect).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "connect timed out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_source_address_gets_more_than_its_share_and_no_pair_comes_twice() {
        let sources = Sources::new(77);
        let mut per_ip: HashMap<IpAddr, Vec<u16>> = HashMap::new();
        for _ in 0..15_000 {
            let source = sources.take();
            per_ip.entry(source.ip()).or_default().push(source.port());
        }
        assert_eq!(per_ip.len(), 4);
        for ports in per_ip.values_mut() {
            assert!(ports.len() as u64 <= PER_SOURCE);
            ports.sort_unstable();
            ports.windows(2).for_each(|w| assert_ne!(w[0], w[1]));
        }
    }

    #[tokio::test]
    async fn a_connection_leaves_from_a_source_of_the_pool() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let sources = Sources::new(u64::from(std::process::id()));
        let stream = connect(target, Some(&sources)).await.unwrap();
        assert!(stream.local_addr().unwrap().ip().to_string().starts_with("127.2."));
    }
}
