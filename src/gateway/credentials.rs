//! Passwords of chargers (controls 1 to 5). Owns how one is stored, presented and compared; never who may try.
//!
//! Invariants: a password is stored only as its HMAC under a pepper that lives elsewhere; comparing takes the same work
//! and time for an unknown charger, a wrong password and a right one; nothing here shows a secret in `Debug`.
//!
//! An HMAC, not Argon2: an AuthorizationKey has 16 to 20 random bytes, which no one can try out, and a reconnect storm
//! must not be bounded by a slow hash.

use crate::ids::ChargerId;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use smallvec::SmallVec;
use std::fmt;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// Shortest and longest password in bytes (OCPP 1.6 security white paper A00.FR.205; 40 for keys kept as hex text).
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 16..=40;

/// The longest `Authorization` value that is looked at.
const HEADER_MAX: usize = 512;

/// How a charger proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// It need not: security profile 0, explicitly allowed for this one (control 1).
    Open,
    /// By one of these passwords: the present one, and while it is being changed the next one. At most two count.
    Password(SmallVec<[PasswordTag; 2]>),
    /// By a certificate alone (profile 3).
    Certificate,
}

/// What a login proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched {
    /// Nothing was to be proved.
    Open,
    /// A password, by its [`PasswordTag::print`].
    Password(u64),
}

/// A password as it is stored: HMAC-SHA-256 of charger id and password under the pepper.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordTag([u8; 32]);

impl PasswordTag {
    /// Tells tags apart in records and messages. Says nothing of the password to one without the pepper.
    pub fn print(&self) -> u64 {
        self.0.iter().take(8).fold(0, |print, byte| print << 8 | u64::from(*byte))
    }
}

impl fmt::Debug for PasswordTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordTag(…)")
    }
}

impl Serialize for PasswordTag {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for PasswordTag {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&*text, &mut bytes).map_err(|_| serde::de::Error::custom("not a password tag"))?;
        Ok(PasswordTag(bytes))
    }
}

/// The key under which passwords are tagged. Kept outside the data directory's journal and backups (control 4).
pub struct Pepper(SecretBox<[u8; 32]>);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

impl Pepper {
    /// A pepper of 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Pepper(SecretBox::new(Box::new(bytes)))
    }

    /// The tag under which a password is stored. Every byte counts, zero and high ones too (control 3).
    pub fn tag(&self, id: &ChargerId, password: &[u8]) -> PasswordTag {
        self.tag_of(id.as_str().as_bytes(), password)
    }

    fn tag_of(&self, id: &[u8], password: &[u8]) -> PasswordTag {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("a key of any length");
        mac.update(id);
        // No charger id holds a zero byte, so id and password cannot run into each other.
        mac.update(&[0]);
        mac.update(password);
        PasswordTag(mac.finalize().into_bytes().into())
    }

    /// What the login proves for a charger with this `access` (`None`: there is no such charger); `None` if it is wrong. The
    /// same work is done in every case in which a password is presented.
    pub fn verify(&self, id: &ChargerId, access: Option<&Access>, login: Option<&Login>) -> Option<Matched> {
        let Some(login) = login else { return matches!(access, Some(Access::Open)).then_some(Matched::Open) };
        let same_name = login.user.as_bytes().ct_eq(id.as_str().as_bytes());
        let plain = self.tag(id, login.password.expose_secret());
        let decoded = self.tag(id, &unhex(login.password.expose_secret()));
        let nobody = SmallVec::new();
        let (tags, open) = match access {
            None | Some(Access::Certificate) => (&nobody, Choice::from(0)),
            Some(Access::Open) => (&nobody, Choice::from(1)),
            Some(Access::Password(tags)) => (tags, Choice::from(0)),
        };
        let (mut right, mut print) = (open, 0);
        for n in 0..2 {
            let none = PasswordTag([0; 32]);
            let tag = tags.get(n).unwrap_or(&none);
            let counts = Choice::from(u8::from(n < tags.len()));
            let this = counts & (tag.0.ct_eq(&plain.0) | tag.0.ct_eq(&decoded.0));
            print.conditional_assign(&tag.print(), this);
            right |= this;
        }
        let matched = if bool::from(open) { Matched::Open } else { Matched::Password(print) };
        bool::from(right & same_name).then_some(matched)
    }
}

/// A charger whose key was set as hex digits may present the digits or the bytes: the bytes of the digits, or nothing.
fn unhex(password: &[u8]) -> Vec<u8> {
    hex::decode(password).unwrap_or_default()
}

/// What a charger presents.
pub struct Login {
    user: String,
    password: SecretBox<Vec<u8>>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// Chargers pad or do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Login {
    /// Stands for a header that could not be read: right for nobody, and compared like any other.
    pub fn unreadable() -> Login {
        Login { user: String::new(), password: SecretBox::new(Box::default()) }
    }

    /// Reads the value of an `Authorization` header: basic authentication (RFC 7617). `None` if it is none. The user's name
    /// ends at the first colon; a password may hold colons.
    pub fn read(header: &[u8]) -> Option<Login> {
        let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= HEADER_MAX)?;
        let (scheme, value) = text.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut decoded = BASE64.decode(value.trim()).ok()?;
        let colon = decoded.iter().position(|b| *b == b':')?;
        let password = decoded.split_off(colon + 1);
        decoded.truncate(colon);
        Some(Login { user: String::from_utf8(decoded).ok()?, password: SecretBox::new(Box::new(password)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper() -> Pepper {
        Pepper::new([7; 32])
    }

    fn id() -> ChargerId {
        "CP-1".parse().unwrap()
    }

    fn login(user: &str, password: &[u8]) -> Option<Login> {
        let pair = [user.as_bytes(), b":", password].concat();
        Login::read(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)).as_bytes())
    }

    fn with(password: &[u8]) -> Access {
        Access::Password(SmallVec::from_iter([pepper().tag(&id(), password)]))
    }

    #[test]
    fn any_bytes_make_a_password() {
        for password in [
            &b"0123456789abcdef"[..],
            b"with:colon:inside:it",
            &[0; 16],
            &[0xff; 20],
            b"\x00\x01\x7f\x80\xfe\xff::\r\n\t \x00zzz",
            b"deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
        ] {
            let access = with(password);
            assert!(pepper().verify(&id(), Some(&access), login("CP-1", password).as_ref()).is_some(), "{password:?}");
            assert!(pepper().verify(&id(), Some(&access), login("CP-1", &password[1..]).as_ref()).is_none());
            assert!(pepper().verify(&id(), Some(&access), login("cp-1", password).as_ref()).is_none(), "case");
            assert!(pepper().verify(&id(), Some(&access), login("", password).as_ref()).is_none(), "no user");
            assert!(pepper().verify(&id(), None, login("CP-1", password).as_ref()).is_none(), "unknown");
        }
    }

    #[test]
    fn a_key_registered_as_bytes_may_be_presented_as_hex_digits() {
        let access = with(&[0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let digits = login("CP-1", b"DEADBEEF0102030405060708090a0b0c");
        assert!(pepper().verify(&id(), Some(&access), digits.as_ref()).is_some());
    }

    #[test]
    fn both_passwords_count_while_one_is_being_changed() {
        let tags = [b"aaaaaaaaaaaaaaaa", b"bbbbbbbbbbbbbbbb"].map(|p| pepper().tag(&id(), p));
        let access = Access::Password(SmallVec::from_iter(tags));
        for (password, right) in
            [(b"aaaaaaaaaaaaaaaa", true), (b"bbbbbbbbbbbbbbbb", true), (b"cccccccccccccccc", false)]
        {
            assert_eq!(pepper().verify(&id(), Some(&access), login("CP-1", password).as_ref()).is_some(), right);
        }
        let none = Access::Password(SmallVec::new());
        assert!(pepper().verify(&id(), Some(&none), login("CP-1", &[]).as_ref()).is_none(), "no password registered");
    }

    #[test]
    fn only_an_open_charger_comes_in_without_a_login() {
        assert!(pepper().verify(&id(), Some(&Access::Open), None).is_some());
        assert!(pepper().verify(&id(), Some(&Access::Open), login("CP-1", b"whatever").as_ref()).is_some());
        assert!(pepper().verify(&id(), Some(&Access::Open), login("CP-2", b"whatever").as_ref()).is_none());
        assert!(pepper().verify(&id(), Some(&with(b"0123456789abcdef")), None).is_none());
        assert!(pepper().verify(&id(), None, None).is_none());
    }

    #[test]
    fn what_is_no_basic_login_is_none() {
        for header in ["", "Basic", "Basic !!", "Bearer QTpC", "Basic QUJD", &format!("Basic {}", "A".repeat(600))] {
            assert!(Login::read(header.as_bytes()).is_none(), "{header:?}");
        }
        assert!(Login::read(b"basic QTpC").is_some_and(|l| l.user == "A"));
        assert!(Login::read(b"Basic QTo").is_some(), "padding may be missing");
    }

    #[test]
    fn no_secret_is_shown_by_debug_and_a_tag_survives_storage() {
        let tag = pepper().tag(&id(), b"planted-secret-1");
        let login = login("CP-1", b"planted-secret-1").unwrap();
        let shown = format!("{tag:?} {login:?} {:?}", pepper());
        assert!(!shown.contains("planted") && !shown.contains(&hex::encode(tag.0)), "{shown}");
        let stored = serde_json::to_string(&tag).unwrap();
        assert_eq!(serde_json::from_str::<PasswordTag>(&stored).unwrap(), tag);
    }
}
