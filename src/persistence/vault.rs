//! The vault (OP-9): what must not be readable by who steals the data. Owns the keys; never what is sealed with them.
//!
//! * The **master key** lies in a file outside the data directory, made at first start. Everything else is derived from
//!   it by labels, or wrapped by it; the master key itself encrypts nothing.
//! * **Personal fields** are sealed under a key of the user's own, stored wrapped in the journal. To erase a user is to
//!   destroy that key: the books keep their records, and nobody can read the fields again.
//! * **Credentials** of chargers are kept as keyed hashes only. **Secrets** that must be read back (API and webhook
//!   secrets of partners) are sealed under one derived key.
//!
//! Invariants: secrets are of `secrecy` types with a redacted `Debug`; a key file that does not belong to the journal is
//! refused, never replaced; comparisons take the same time whatever differs.
//!
//! sled may keep a destroyed key's bytes in its file until that segment is written anew; `chargeline journal compact`
//! removes them at once. Backups made before keep the key: their retention bounds the erasure.

mod keys;
mod users;

pub use keys::MasterKey;

use super::journal::{CreateOnce, JournalError, SharedJournal};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keys::{Derived, Label};
use secrecy::SecretSlice;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use users::Users;

/// A user without a name: what records, rows and logs call them. The same text in the same scope is the same user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserRef(String);

impl UserRef {
    /// 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UserRef {
    /// A pseudonym as it was journaled.
    fn from(pseudonym: &str) -> Self {
        UserRef(pseudonym.to_owned())
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A personal field, encrypted: base64url of version, key number, nonce and ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

/// Why the vault cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The user's key was destroyed (OP-9).
    #[error("erased")]
    Erased,
    /// The text was not sealed by this vault, or was changed.
    #[error("not sealed by this vault, or damaged")]
    Damaged,
    /// The key file cannot be used; says why and what to do.
    #[error("key file {path}: {why}")]
    KeyFile {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The journal, where the users' keys are, has failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Journal key of the proof that a key file belongs to a journal.
const CHECK: &str = "vault/check";

/// User keys and the check do not expire: a hundred years.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The vault.
pub struct Vault {
    pseudonyms: Derived,
    pepper: Derived,
    secrets: Derived,
    users: Users,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(redacted)")
    }
}

impl Vault {
    /// Opens the vault of a journal with the master key in `key_file`; makes the key if neither file nor vault exist.
    ///
    /// # Errors
    /// When the file is missing though the journal has a vault, belongs to another journal, or others may read it.
    pub async fn open(key_file: &Path, journal: SharedJournal) -> Result<Self, VaultError> {
        let known = journal.lookup_once(CHECK).await?;
        let master = match known {
            Some(_) => MasterKey::read(key_file)?,
            None => MasterKey::read_or_make(key_file)?,
        };
        let check = master.derive(Label::Check).mac(&[CHECK.as_bytes()]);
        let there = match journal.create_once(CHECK, check.as_slice(), FOR_EVER).await? {
            CreateOnce::Created => check.to_vec(),
            CreateOnce::Exists(first) => first,
        };
        if !keys::equal(check.as_slice(), &there) {
            let why = "it does not belong to this journal: bring back the file that does".into();
            return Err(VaultError::KeyFile { path: key_file.display().to_string(), why });
        }
        Ok(Vault {
            pseudonyms: master.derive(Label::Pseudonym),
            pepper: master.derive(Label::Credential),
            secrets: master.derive(Label::Secret),
            users: Users::new(master.derive(Label::UserKey), journal),
        })
    }

    /// The reference of the user whom `scope` (a partner, `rfid`) knows as `text`. Not reversible without the master key.
    pub fn pseudonym(&self, scope: &str, text: &str) -> UserRef {
        let mac = self.pseudonyms.mac(&[scope.as_bytes(), b"\0", text.as_bytes()]);
        UserRef(hex::encode(&mac[..16]))
    }

    /// Encrypts a personal field under the user's own key, which is made if there is none.
    ///
    /// # Errors
    /// When the user's key cannot be stored or read.
    pub async fn seal(&self, user: &UserRef, plaintext: &str) -> Result<Sealed, VaultError> {
        let key = self.users.key_or_make(user).await?;
        let mut bytes = key.number.to_vec();
        bytes.extend(key.derived.seal(user.as_str().as_bytes(), plaintext.as_bytes()));
        Ok(Sealed(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Decrypts a personal field.
    ///
    /// # Errors
    /// [`VaultError::Erased`] once the user was forgotten.
    pub async fn unseal(&self, user: &UserRef, sealed: &Sealed) -> Result<String, VaultError> {
        let bytes = URL_SAFE_NO_PAD.decode(&sealed.0).map_err(|_| VaultError::Damaged)?;
        let (number, rest) = bytes.split_at_checked(users::NUMBER).ok_or(VaultError::Damaged)?;
        let key = self.users.key(user).await?.ok_or(VaultError::Erased)?;
        // A key made after the user was forgotten opens nothing from before.
        if key.number != number {
            return Err(VaultError::Erased);
        }
        let plain = key.derived.unseal(user.as_str().as_bytes(), rest).ok_or(VaultError::Damaged)?;
        String::from_utf8(plain).map_err(|_| VaultError::Damaged)
    }

    /// Destroys the user's key: everything sealed for them is [`VaultError::Erased`] from now on.
    ///
    /// # Errors
    /// When that could not be made durable.
    pub async fn forget(&self, user: &UserRef) -> Result<(), VaultError> {
        self.users.forget(user).await
    }

    /// The key under which the gateway tags chargers' passwords: derived, so that it lives where the master key does.
    pub fn charger_pepper(&self) -> [u8; 32] {
        *self.pepper.mac(&[b"charger passwords"])
    }

    /// The key under which request bodies are digested (EM-5): a digest of personal data is personal without it.
    pub fn digest_key(&self) -> [u8; 32] {
        *self.pepper.mac(&[b"request digests"])
    }

    /// What is kept of a credential instead of itself. A keyed hash without a slow function: a charger's key is 16 to 20
    /// random bytes (OCPP security white paper), which nobody guesses, and the pepper is not among the data; a slow hash
    /// would only make reconnect storms (CH-5) expensive. Not for passwords that people choose.
    pub fn hash_credential(&self, credential: &[u8]) -> String {
        format!("h1:{}", hex::encode(self.pepper.mac(&[credential])))
    }

    /// Whether the credential is the one that was hashed; in the same time, whatever differs.
    pub fn verify_credential(&self, credential: &[u8], hash: &str) -> bool {
        keys::equal(self.hash_credential(credential).as_bytes(), hash.as_bytes())
    }

    /// Encrypts a secret that must be read back. `purpose` (`partner/p1/api`) must be given again to read it.
    pub fn seal_secret(&self, purpose: &str, secret: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.secrets.seal(purpose.as_bytes(), secret))
    }

    /// Decrypts a secret.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] if it was not sealed for this purpose by this vault.
    pub fn unseal_secret(&self, purpose: &str, sealed: &str) -> Result<SecretSlice<u8>, VaultError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| VaultError::Damaged)?;
        let plain = self.secrets.unseal(purpose.as_bytes(), &bytes).ok_or(VaultError::Damaged)?;
        Ok(plain.into())
    }
}

#[cfg(test)]
mod tests;
