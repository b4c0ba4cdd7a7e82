//! The users' own keys: wrapped in the journal, open in a bounded cache. Owns both.

use super::keys::Derived;
use super::{FOR_EVER, UserRef, VaultError};
use crate::persistence::journal::{CreateOnce, SharedJournal};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Bytes of a key's number: it tells a key from the one that was destroyed before it.
pub(super) const NUMBER: usize = 8;

/// Open keys held: about 2 MB. Users with a session under way are far fewer on one server.
const CACHED: NonZeroUsize = NonZeroUsize::new(16_384).expect("a constant above zero");

/// A user's key, open.
#[derive(Debug)]
pub(super) struct UserKey {
    pub(super) number: [u8; NUMBER],
    pub(super) derived: Derived,
}

pub(super) struct Users {
    wrap: Derived,
    journal: SharedJournal,
    cache: Mutex<LruCache<UserRef, Arc<UserKey>>>,
}

fn place(user: &UserRef) -> String {
    format!("userkey/{user}")
}

impl Users {
    pub(super) fn new(wrap: Derived, journal: SharedJournal) -> Self {
        Users { wrap, journal, cache: Mutex::new(LruCache::new(CACHED)) }
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<UserRef, Arc<UserKey>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn key(&self, user: &UserRef) -> Result<Option<Arc<UserKey>>, VaultError> {
        if let Some(key) = self.cache().get(user) {
            return Ok(Some(Arc::clone(key)));
        }
        match self.journal.lookup_once(&place(user)).await? {
            Some(wrapped) => self.unwrap(user, &wrapped).map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn key_or_make(&self, user: &UserRef) -> Result<Arc<UserKey>, VaultError> {
        if let Some(key) = self.key(user).await? {
            return Ok(key);
        }
        let fresh = Zeroizing::new(rand::random::<[u8; NUMBER + 32]>());
        let wrapped = self.wrap.seal(user.as_str().as_bytes(), fresh.as_slice());
        let first = match self.journal.create_once(&place(user), &wrapped, FOR_EVER).await? {
            CreateOnce::Created => wrapped,
            CreateOnce::Exists(first) => first,
        };
        self.unwrap(user, &first)
    }

    pub(super) async fn forget(&self, user: &UserRef) -> Result<(), VaultError> {
        self.journal.remove_once(&place(user)).await?;
        self.cache().pop(user);
        Ok(())
    }

    fn unwrap(&self, user: &UserRef, wrapped: &[u8]) -> Result<Arc<UserKey>, VaultError> {
        let open =
            self.wrap.unseal(user.as_str().as_bytes(), wrapped).map(Zeroizing::new).ok_or(VaultError::Damaged)?;
        let (number, key) = open.split_at_checked(NUMBER).ok_or(VaultError::Damaged)?;
        let number = number.try_into().map_err(|_| VaultError::Damaged)?;
        let key = Zeroizing::new(<[u8; 32]>::try_from(key).map_err(|_| VaultError::Damaged)?);
        let key = Arc::new(UserKey { number, derived: Derived::new(&key) });
        self.cache().put(user.clone(), Arc::clone(&key));
        Ok(key)
    }
}
