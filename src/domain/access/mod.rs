//! What a partner's key may do, and from where (EM-2, EM-4). Owns the closed list of scopes, the allow-list of addresses, and
//! what counts as a sharp change of a key's habits ([`watch`]); never the proof of a signature, never a socket.
//!
//! Invariants: a key made by a partner may never do more than the key that made it; an empty allow-list admits every address,
//! a filled one those it names and nobody else.

pub mod watch;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Networks in one allow-list: more are no list that a person keeps.
pub const NETWORKS_MAX: usize = 32;

/// What a key may do. Every call of the partner API names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read: sites, chargers, sessions, reservations, orders, events.
    Query,
    /// Act on chargers: start, stop, reserve, extend.
    Control,
    /// Payment results, disputes, statements.
    Settlement,
    /// Accounts of the partner's users.
    Accounts,
    /// The webhook: endpoint, log, test, replay, pause.
    Push,
    /// Keys themselves: make, rotate, revoke, allow-lists.
    Credentials,
}

impl Scope {
    /// All there are.
    pub const ALL: [Scope; 6] =
        [Scope::Query, Scope::Control, Scope::Settlement, Scope::Accounts, Scope::Push, Scope::Credentials];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Query => "query",
            Scope::Control => "control",
            Scope::Settlement => "settlement",
            Scope::Accounts => "accounts",
            Scope::Push => "push",
            Scope::Credentials => "credentials",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such scope: query, control, settlement, accounts, push, credentials are allowed")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(UnknownScope)
    }
}

/// What a key may do and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// From where; empty: from everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
}

impl Default for Grant {
    /// Everything, from everywhere: what a key may that was made without a word about it.
    fn default() -> Self {
        Grant { scopes: Scope::ALL.into_iter().collect(), networks: Vec::new() }
    }
}

impl Grant {
    /// Whether the key may make a call of this scope.
    pub fn permits(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether the key may be used at this address. An IPv4 address mapped into IPv6 is an IPv4 address.
    pub fn admits(&self, address: IpAddr) -> bool {
        admits(&self.networks, address)
    }

    /// Scopes that `wanted` has beyond this grant: who makes a key cannot give what it does not have.
    pub fn lacking(&self, wanted: &BTreeSet<Scope>) -> Vec<Scope> {
        wanted.difference(&self.scopes).copied().collect()
    }
}

/// Whether an allow-list admits an address.
pub fn admits(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.is_empty() || networks.iter().any(|network| network.contains(&address))
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a network.
    #[error("is neither an address nor a network")]
    Unreadable,
    /// An address inside a network with the network's length: one of the two is a mistake.
    #[error("has bits beyond its length; {0} is the network")]
    HostBits(IpNet),
    /// Everything: an empty list says so more clearly.
    #[error("admits every address")]
    Everything,
    /// IPv4 inside IPv6, which is looked at as IPv4.
    #[error("is an IPv4 address written as IPv6")]
    Mapped,
}

/// What is allowed where a network is read.
pub const NETWORK_FORM: &str = "CIDR or one address, such as 192.0.2.0/24, 2001:db8::/48, 192.0.2.7";

/// Reads one entry of an allow-list: a network in CIDR form, or one address.
///
/// # Errors
/// See [`NetworkError`].
pub fn network(text: &str) -> Result<IpNet, NetworkError> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| NetworkError::Unreadable)?,
    };
    if network.addr().to_canonical() != network.addr() {
        return Err(NetworkError::Mapped);
    }
    if network.prefix_len() == 0 {
        return Err(NetworkError::Everything);
    }
    let trunk = network.trunc();
    if trunk != network { Err(NetworkError::HostBits(trunk)) } else { Ok(network) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_allow_list_admits_what_it_names_and_an_empty_one_everybody() {
        let list = |texts: &[&str]| -> Vec<IpNet> { texts.iter().map(|text| network(text).unwrap()).collect() };
        for (networks, address, admitted) in [
            (&[][..], "203.0.113.9", true),
            (&[], "2001:db8::1", true),
            (&["192.0.2.0/24"], "192.0.2.255", true),
            (&["192.0.2.0/24"], "192.0.3.0", false),
            (&["192.0.2.0/24"], "::ffff:192.0.2.7", true),
            (&["192.0.2.0/24"], "2001:db8::1", false),
            (&["192.0.2.7"], "192.0.2.7", true),
            (&["192.0.2.7"], "192.0.2.8", false),
            (&["2001:db8::/48"], "2001:db8:0:ffff::1", true),
            (&["2001:db8::/48"], "2001:db8:1::1", false),
            (&["2001:db8::1"], "2001:db8::2", false),
            (&["198.51.100.0/25", "2001:db8::/32"], "2001:db8::1", true),
        ] {
            assert_eq!(admits(&list(networks), ip(address)), admitted, "{networks:?} {address}");
        }
    }

    #[test]
    fn each_mistake_in_a_network_is_told_apart() {
        for (text, error) in [
            ("192.0.2.0/33", NetworkError::Unreadable),
            ("example.com", NetworkError::Unreadable),
            ("", NetworkError::Unreadable),
            ("192.0.2.1/24", NetworkError::HostBits("192.0.2.0/24".parse().unwrap())),
            ("2001:db8::1/64", NetworkError::HostBits("2001:db8::/64".parse().unwrap())),
            ("0.0.0.0/0", NetworkError::Everything),
            ("::/0", NetworkError::Everything),
            ("::ffff:192.0.2.1", NetworkError::Mapped),
        ] {
            assert_eq!(network(text), Err(error), "{text}");
        }
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
    }

    #[test]
    fn a_grant_gives_no_more_than_it_has() {
        let of = |scopes: &[Scope]| scopes.iter().copied().collect::<BTreeSet<_>>();
        let own = Grant { scopes: of(&[Scope::Query, Scope::Credentials]), networks: Vec::new() };
        for (wanted, lacking) in [
            (&[][..], &[][..]),
            (&[Scope::Query], &[]),
            (&[Scope::Query, Scope::Control], &[Scope::Control]),
            (&Scope::ALL, &[Scope::Control, Scope::Settlement, Scope::Accounts, Scope::Push]),
        ] {
            assert_eq!(own.lacking(&of(wanted)), lacking, "{wanted:?}");
        }
        assert!(Grant::default().lacking(&own.scopes).is_empty() && !own.permits(Scope::Push));
    }

    #[test]
    fn every_scope_has_one_name_in_text_and_in_json() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
        assert_eq!("admin".parse::<Scope>(), Err(UnknownScope));
    }
}
