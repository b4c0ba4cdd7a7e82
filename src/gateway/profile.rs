//! Whether what a connection proves is enough for its charger (CH-3, controls 1, 2, 9, 11). Owns the rule alone; never a
//! socket, a password or a certificate.
//!
//! Invariant: nobody comes in below the charger's least profile, whatever else is right.

use super::credentials::{Access, Matched};
use crate::domain::charger::SecurityProfile;

/// What is registered of a charger, as far as coming in goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How it proves who it is.
    pub access: Access,
    /// Below this it does not come in.
    pub least: SecurityProfile,
    /// A certificate of the client CA proves its identity: it is registered for profile 3, or on its way there.
    pub certificate: bool,
}

/// What the connection itself shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// No TLS.
    Plain,
    /// TLS; the charger showed no certificate.
    Tls,
    /// TLS, and a certificate that is valid under the client CA.
    Certified {
        /// It is for the identity in the path, of our organisation.
        own: bool,
    },
}

/// What a charger has proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// How its connection is secured.
    pub profile: SecurityProfile,
    /// Which of its passwords it used (see [`super::credentials::PasswordTag::print`]); `None`: none.
    pub key: Option<u64>,
}

/// Why a connection is refused. All look alike from outside (control 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// A wrong password, none, or an unknown charger.
    Wrong,
    /// A certificate for another identity, or of another organisation.
    Foreign,
    /// No certificate where one is required.
    NoCertificate,
    /// The password is right, and the connection is secured worse than the charger's least profile.
    Downgrade,
}

impl Denied {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Denied::Wrong => "wrong",
            Denied::Foreign => "foreign_certificate",
            Denied::NoCertificate => "no_certificate",
            Denied::Downgrade => "downgrade",
        }
    }
}

/// The rule. `matched` is what the login proved, compared in every case.
///
/// # Errors
/// Why not.
pub fn judge(standing: Option<&Standing>, channel: Channel, matched: Option<Matched>) -> Result<Proof, Denied> {
    let Some(standing) = standing else { return Err(Denied::Wrong) };
    if channel == (Channel::Certified { own: false }) {
        return Err(Denied::Foreign);
    }
    if channel == (Channel::Certified { own: true }) && standing.certificate {
        return Ok(Proof { profile: SecurityProfile::Mutual, key: None });
    }
    let proof = match (matched, channel) {
        // A certificate is all that such a charger has.
        (None, _) if standing.access == Access::Certificate => return Err(Denied::NoCertificate),
        (None, _) => return Err(Denied::Wrong),
        // TLS without a password proves nothing of the charger.
        (Some(Matched::Open), _) => Proof { profile: SecurityProfile::Open, key: None },
        (Some(Matched::Password(key)), Channel::Plain) => Proof { profile: SecurityProfile::Basic, key: Some(key) },
        (Some(Matched::Password(key)), Channel::Tls | Channel::Certified { .. }) => {
            Proof { profile: SecurityProfile::Tls, key: Some(key) }
        }
    };
    if proof.profile < standing.least { Err(Denied::Downgrade) } else { Ok(proof) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SecurityProfile::{Basic, Mutual, Open, Tls};
    use smallvec::SmallVec;

    const OWN: Channel = Channel::Certified { own: true };
    const FOREIGN: Channel = Channel::Certified { own: false };
    const KEY: Option<Matched> = Some(Matched::Password(7));

    fn standing(access: Access, least: SecurityProfile) -> Standing {
        Standing { access, least, certificate: least == Mutual }
    }

    #[test]
    fn a_connection_must_prove_at_least_the_registered_profile() {
        let password = |least| standing(Access::Password(SmallVec::new()), least);
        let open = standing(Access::Open, Open);
        let only_certificate = standing(Access::Certificate, Mutual);
        let raising = Standing { certificate: true, ..password(Tls) };
        let cases = [
            (&open, Channel::Plain, Some(Matched::Open), Ok(Open)),
            (&open, Channel::Tls, Some(Matched::Open), Ok(Open)),
            (&open, Channel::Plain, None, Err(Denied::Wrong)),
            (&password(Basic), Channel::Plain, KEY, Ok(Basic)),
            (&password(Basic), Channel::Tls, KEY, Ok(Tls)),
            (&password(Basic), Channel::Plain, None, Err(Denied::Wrong)),
            // A certificate counts only where it is registered; the password beside it does.
            (&password(Basic), OWN, None, Err(Denied::Wrong)),
            (&password(Basic), OWN, KEY, Ok(Tls)),
            (&password(Basic), FOREIGN, KEY, Err(Denied::Foreign)),
            (&password(Tls), Channel::Plain, KEY, Err(Denied::Downgrade)),
            (&password(Tls), Channel::Plain, None, Err(Denied::Wrong)),
            (&password(Tls), Channel::Tls, KEY, Ok(Tls)),
            (&raising, OWN, None, Ok(Mutual)),
            (&raising, Channel::Tls, KEY, Ok(Tls)),
            (&password(Mutual), Channel::Plain, KEY, Err(Denied::Downgrade)),
            (&password(Mutual), Channel::Tls, KEY, Err(Denied::Downgrade)),
            (&password(Mutual), OWN, None, Ok(Mutual)),
            (&password(Mutual), FOREIGN, KEY, Err(Denied::Foreign)),
            (&only_certificate, Channel::Plain, None, Err(Denied::NoCertificate)),
            (&only_certificate, Channel::Tls, None, Err(Denied::NoCertificate)),
            (&only_certificate, OWN, None, Ok(Mutual)),
        ];
        for (standing, channel, matched, expected) in cases {
            let got = judge(Some(standing), channel, matched).map(|proof| proof.profile);
            assert_eq!(got, expected, "{standing:?} {channel:?} {matched:?}");
        }
    }

    #[test]
    fn nobody_comes_in_under_an_unknown_identity() {
        for channel in [Channel::Plain, Channel::Tls, OWN, FOREIGN] {
            for matched in [None, Some(Matched::Open), KEY] {
                assert_eq!(judge(None, channel, matched), Err(Denied::Wrong));
            }
        }
    }
}
