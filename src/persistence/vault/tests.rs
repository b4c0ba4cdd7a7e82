//! The vault over a memory journal.

use super::{UserRef, Vault, VaultError};
use crate::persistence::contract::ManualClock;
use crate::persistence::{Journal, MemoryJournal};
use secrecy::ExposeSecret;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct Place {
    directory: TempDir,
    journal: Arc<MemoryJournal>,
}

impl Place {
    fn new() -> Self {
        let journal = MemoryJournal::new(&ManualClock::default().shared());
        Place { directory: tempfile::tempdir().unwrap(), journal }
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("master.key")
    }

    async fn open(&self) -> Result<Vault, VaultError> {
        Vault::open(&self.key_file(), self.journal.clone()).await
    }
}

#[tokio::test]
async fn a_sealed_field_reads_back_after_a_restart() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let user = vault.pseudonym("p1", "driver-7");
    let sealed = vault.seal(&user, "张三").await.unwrap();
    assert!(!sealed.0.contains("张三"));
    assert_ne!(vault.seal(&user, "张三").await.unwrap(), sealed, "equal fields must not look equal");
    let again = place.open().await.unwrap();
    assert_eq!(again.pseudonym("p1", "driver-7"), user);
    assert_eq!(again.unseal(&user, &sealed).await.unwrap(), "张三");
}

#[tokio::test]
async fn a_forgotten_user_stays_erased_even_with_a_new_key() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let (user, other) = (vault.pseudonym("p1", "a"), vault.pseudonym("p1", "b"));
    let sealed = vault.seal(&user, "name").await.unwrap();
    let kept = vault.seal(&other, "other").await.unwrap();
    vault.forget(&user).await.unwrap();
    assert!(matches!(vault.unseal(&user, &sealed).await, Err(VaultError::Erased)));
    let anew = vault.seal(&user, "back again").await.unwrap();
    assert!(matches!(vault.unseal(&user, &sealed).await, Err(VaultError::Erased)));
    assert_eq!(vault.unseal(&user, &anew).await.unwrap(), "back again");
    assert_eq!(vault.unseal(&other, &kept).await.unwrap(), "other");
}

#[tokio::test]
async fn a_field_opens_for_its_own_user_only() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let (user, other) = (vault.pseudonym("p1", "a"), vault.pseudonym("p1", "b"));
    let sealed = vault.seal(&user, "name").await.unwrap();
    vault.seal(&other, "x").await.unwrap();
    assert!(vault.unseal(&other, &sealed).await.is_err());
    let mut changed = sealed.clone();
    let last = changed.0.pop().unwrap();
    changed.0.push(if last == 'A' { 'Q' } else { 'A' });
    assert!(matches!(vault.unseal(&user, &changed).await, Err(VaultError::Damaged)));
}

#[tokio::test]
async fn pseudonyms_depend_on_scope_text_and_master_key() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let user = vault.pseudonym("p1", "a");
    assert!(user.as_str().len() == 32 && user.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
    assert_ne!(vault.pseudonym("p2", "a"), user);
    assert_ne!(vault.pseudonym("p1", "b"), user);
    assert_ne!(Place::new().open().await.unwrap().pseudonym("p1", "a"), user);
}

#[tokio::test]
async fn credentials_verify_without_being_kept() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let key = [0u8, 255, b':', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
    let hash = vault.hash_credential(&key);
    assert!(!hash.contains(&hex::encode(key)));
    assert!(vault.verify_credential(&key, &hash));
    assert!(!vault.verify_credential(&key[1..], &hash));
    assert!(!vault.verify_credential(&key, ""));
    assert!(!Place::new().open().await.unwrap().verify_credential(&key, &hash), "the pepper counts");
}

#[tokio::test]
async fn a_secret_reads_back_for_its_purpose_only() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let sealed = vault.seal_secret("partner/p1/api", b"s3cret");
    assert_eq!(vault.unseal_secret("partner/p1/api", &sealed).unwrap().expose_secret(), b"s3cret");
    assert!(vault.unseal_secret("partner/p2/api", &sealed).is_err());
    assert!(vault.unseal_secret("partner/p1/api", "AAAA").is_err());
    let shown = format!("{:?} {vault:?}", vault.unseal_secret("partner/p1/api", &sealed).unwrap());
    assert!(!shown.contains("s3cret") && shown.contains("REDACTED"), "{shown}");
}

#[tokio::test]
async fn the_key_file_is_private_and_belongs_to_its_journal() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let file = place.key_file();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = place.journal.lookup_once("vault/check").await.unwrap().unwrap();
    let key = hex::decode(std::fs::read_to_string(&file).unwrap().trim()).unwrap();
    assert_ne!(stored, key, "the master key must not lie in the journal");
    drop(vault);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(place.open().await, Err(VaultError::KeyFile { why, .. }) if why.contains("600 is allowed")));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(place.open().await, Err(VaultError::KeyFile { why, .. }) if why.contains("missing")));
    assert!(!file.exists(), "a lost key is never replaced silently");
    super::MasterKey::read_or_make(&file).unwrap();
    assert!(matches!(place.open().await, Err(VaultError::KeyFile { why, .. }) if why.contains("does not belong")));
}

#[tokio::test]
async fn user_keys_lie_wrapped_in_the_journal() {
    let place = Place::new();
    let vault = place.open().await.unwrap();
    let user: UserRef = vault.pseudonym("p1", "a");
    vault.seal(&user, "name").await.unwrap();
    let wrapped = place.journal.lookup_once(&format!("userkey/{user}")).await.unwrap().unwrap();
    // Version, nonce, then number and key with their tag.
    assert_eq!(wrapped.len(), 1 + 24 + 8 + 32 + 16);
}
