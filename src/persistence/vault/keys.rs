//! The master key and what is derived from it. Owns the cryptography: HMAC-SHA256 to derive, to name and to compare,
//! XChaCha20-Poly1305 to seal (its nonce is long enough to be drawn at random for ever).

use super::VaultError;
use crate::persistence::private;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Version of a sealed text.
const VERSION: u8 = 1;
const NONCE: usize = 24;

/// What a derived key is for. Each label gives an unrelated key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Check,
    Pseudonym,
    UserKey,
    Credential,
    Secret,
}

impl Label {
    fn text(self) -> &'static [u8] {
        match self {
            Label::Check => b"chargeline/1/check",
            Label::Pseudonym => b"chargeline/1/pseudonym",
            Label::UserKey => b"chargeline/1/user-key",
            Label::Credential => b"chargeline/1/credential",
            Label::Secret => b"chargeline/1/secret",
        }
    }
}

/// The key in the key file.
#[derive(Debug)]
pub struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    /// Reads the key file, or makes one with a random key and mode 0600.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn read_or_make(path: &Path) -> Result<Self, VaultError> {
        if path.exists() {
            return Self::read(path);
        }
        make(path).map_err(|error| bad(path, format!("cannot be made: {error}")))?;
        Self::read(path)
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// When it is missing, is not 32 bytes in hexadecimal, or others than its owner may read it.
    pub fn read(path: &Path) -> Result<Self, VaultError> {
        let missing = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                bad(path, "missing, but the journal needs it: bring it back from its own backup".into())
            }
            _ => bad(path, error.to_string()),
        };
        let mode = fs::metadata(path).map_err(missing)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(bad(path, format!("mode {:o} lets others read it: 600 is allowed", mode & 0o777)));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(missing)?);
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut_slice())
            .map_err(|_| bad(path, "64 hexadecimal digits are allowed".into()))?;
        Ok(MasterKey(SecretBox::new(Box::new(*key))))
    }

    pub(super) fn derive(&self, label: Label) -> Derived {
        let mac = mac(self.0.expose_secret(), &[label.text()]);
        Derived::new(&mac)
    }
}

fn bad(path: &Path, why: String) -> VaultError {
    VaultError::KeyFile { path: path.display().to_string(), why }
}

/// A key that is lost is lost with all it sealed: it is on the disk before it is used.
fn make(path: &Path) -> io::Result<()> {
    let text = Zeroizing::new(hex::encode(Zeroizing::new(rand::random::<[u8; 32]>()).as_slice()));
    private::make(path, &text)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    // HMAC takes keys of any length: this cannot fail.
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) else { return Zeroizing::new([0; 32]) };
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Compares in constant time.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A key for one purpose.
#[derive(Debug)]
pub(super) struct Derived(SecretBox<[u8; 32]>);

impl Derived {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Derived(SecretBox::new(Box::new(*key)))
    }

    pub(super) fn mac(&self, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        mac(self.0.expose_secret(), parts)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose_secret().into())
    }

    /// Version, nonce and ciphertext. `about` must be the same to unseal.
    pub(super) fn seal(&self, about: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: plaintext, aad: about };
        // Fails for texts beyond 256 GiB only.
        let ciphertext = self.cipher().encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        [&[VERSION], &nonce[..], &ciphertext].concat()
    }

    pub(super) fn unseal(&self, about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE)?;
        if *version != VERSION {
            return None;
        }
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        self.cipher().decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: about }).ok()
    }
}
