//! The guard against requests to where webhooks must not go (SSRF; controls 32 to 34 of the security table, EM-9). Owns which URLs
//! and addresses are allowed; never connects.
//!
//! Invariants: a URL is checked when it is set and before each try; a name is checked by **every** address that it resolves to,
//! at the moment of connecting, and the connection goes to exactly those addresses; plain HTTP only into allow-listed
//! networks; an allow-listed network opens nothing but itself.

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::sync::Semaphore;
use url::{Host, Url};

/// The longest URL, in bytes: a common limit of servers and proxies.
const URL_MAX: usize = 2048;

/// Why a URL cannot be a webhook's target. The texts are shown to partners.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// Not a URL.
    #[error("not a URL: {0}")]
    Malformed(String),
    /// Longer than any that is needed.
    #[error("a webhook URL has at most 2048 bytes")]
    TooLong,
    /// Not https.
    #[error("the scheme must be https")]
    Scheme,
    /// A password in the URL.
    #[error("a webhook URL carries no user name or password")]
    Credentials,
    /// `#…`
    #[error("a webhook URL has no fragment")]
    Fragment,
    /// No host.
    #[error("a webhook URL names a host")]
    Host,
    /// A port outside the list.
    #[error("port {0} is not allowed")]
    Port(u16),
    /// A literal address that is not public.
    #[error("the address {0} is not allowed")]
    Address(IpAddr),
}

/// A name resolved to an address that is not allowed; the type is found again in the HTTP client's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} resolves to {address}, which is not allowed")]
pub struct AddressRefused {
    /// The name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
}

/// A name did not resolve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} does not resolve: {why}")]
pub struct NameUnknown {
    /// The name.
    pub name: String,
    /// What the resolver said.
    pub why: String,
}

/// Which targets are allowed (keys `ports`, `allow_cidrs`, `allow_http` of `[webhook]`).
#[derive(Debug, Clone, Default)]
pub struct TargetPolicy {
    /// Allowed ports; empty for any.
    pub ports: Vec<u16>,
    /// Networks allowed besides the public ones.
    pub allow: Vec<IpNet>,
    /// Plain HTTP into those networks.
    pub http: bool,
}

/// Which of the two kinds of request an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Any public address, and allow-listed networks.
    Https,
    /// Allow-listed networks only.
    Http,
}

impl TargetPolicy {
    /// Reads and checks a URL. What a name resolves to is checked when connecting.
    ///
    /// # Errors
    /// See [`UrlRefused`].
    pub fn check_url(&self, text: &str) -> Result<(Url, Scheme), UrlRefused> {
        if text.len() > URL_MAX {
            return Err(UrlRefused::TooLong);
        }
        // This parser also turns `127.1`, `0x7f.1` and `2130706433` into the addresses that they mean.
        let url = Url::parse(text).map_err(|e| UrlRefused::Malformed(e.to_string()))?;
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" if self.http => Scheme::Http,
            _ => return Err(UrlRefused::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefused::Credentials);
        }
        if url.fragment().is_some() {
            return Err(UrlRefused::Fragment);
        }
        let port = url.port_or_known_default().ok_or(UrlRefused::Host)?;
        if !self.ports.is_empty() && !self.ports.contains(&port) {
            return Err(UrlRefused::Port(port));
        }
        let literal = match url.host() {
            None => return Err(UrlRefused::Host),
            Some(Host::Domain(name)) if name.is_empty() || name == "." => return Err(UrlRefused::Host),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        match literal {
            Some(address) if !self.allows(address, scheme) => Err(UrlRefused::Address(address)),
            Some(_) | None => Ok((url, scheme)),
        }
    }

    /// Whether a connection to this address is allowed.
    pub fn allows(&self, address: IpAddr, scheme: Scheme) -> bool {
        let canonical = address.to_canonical();
        let listed = self.allow.iter().any(|net| net.contains(&canonical));
        match scheme {
            Scheme::Https => listed || is_public(canonical),
            Scheme::Http => listed,
        }
    }
}

/// Whether an address belongs to the public internet. Unknown and special ranges do not.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4_is_public(v4),
        IpAddr::V6(v6) => v6_is_public(v6),
    }
}

/// IANA's special-purpose registry for IPv4 (RFC 6890 and later), and multicast and reserved space.
fn v4_is_public(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)            // this network, private, loopback
            | (100, 64..=127, _)        // carrier-grade NAT, and a cloud's metadata address
            | (169, 254, _)             // link-local, metadata
            | (172, 16..=31, _)         // private
            | (192, 0, 0 | 2)           // protocol assignments, documentation
            | (192, 88, 99)             // 6to4 relays
            | (192, 168, _)             // private
            | (198, 18 | 19, _)         // benchmarks
            | (198, 51, 100)            // documentation
            | (203, 0, 113)             // documentation
            | (224..=255, _, _) // multicast, reserved, broadcast
    );
    !special
}

/// Only global unicast space is public, without its special parts; an address that embeds an IPv4 one (mapped, compatible,
/// NAT64, 6to4, Teredo) is not: a public target has an ordinary address too.
fn v6_is_public(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return v4_is_public(v4);
    }
    let [a, b, ..] = address.segments();
    let global_unicast = (a & 0xe000) == 0x2000;
    let special = match a {
        // Protocol assignments (Teredo, ORCHID, benchmarks …) and documentation.
        0x2001 => b < 0x0200 || b == 0x0db8,
        // 6to4.
        0x2002 => true,
        // Documentation.
        0x3fff => b < 0x1000,
        _ => false,
    };
    global_unicast && !special
}

/// Resolves names. The system's resolver in the product, a table in tests.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a name.
    fn lookup(&self, name: &str) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The resolver that the HTTP client connects by: what it returns has been checked.
pub(super) struct GuardedResolver {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) policy: Arc<TargetPolicy>,
    pub(super) scheme: Scheme,
    /// Bounds the threads that a slow resolver ties up.
    pub(super) permits: Arc<Semaphore>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let (lookup, policy, scheme) = (self.lookup.clone(), self.policy.clone(), self.scheme);
        let permits = self.permits.clone();
        Box::pin(async move {
            let _permit = permits.acquire().await?;
            let unknown = |why: String| NameUnknown { name: name.clone(), why };
            let found = lookup.lookup(&name).await.map_err(|e| unknown(e.to_string()))?;
            if found.is_empty() {
                return Err(unknown("no address".to_owned()).into());
            }
            if let Some(address) = found.iter().copied().find(|address| !policy.allows(*address, scheme)) {
                return Err(AddressRefused { name, address }.into());
            }
            // Port 0 is replaced by the URL's own.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests;
