//! The security profiles of the OCPP 1.6 security white paper. Owns their order; never a secret.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a connection is secured, from the weakest to the strongest (white paper §3, table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum SecurityProfile {
    /// No password.
    Open,
    /// A password, without TLS.
    Basic,
    /// A password, through TLS.
    Tls,
    /// A certificate on either side.
    Mutual,
}

impl SecurityProfile {
    /// Every profile, in order.
    pub const ALL: [SecurityProfile; 4] =
        [SecurityProfile::Open, SecurityProfile::Basic, SecurityProfile::Tls, SecurityProfile::Mutual];

    /// The number that the white paper gives it; 0 is none of its own.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<SecurityProfile> for u8 {
    fn from(profile: SecurityProfile) -> u8 {
        profile.number()
    }
}

impl TryFrom<u8> for SecurityProfile {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::ALL.get(usize::from(number)).copied().ok_or("0 to 3 is allowed")
    }
}

impl fmt::Display for SecurityProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}
