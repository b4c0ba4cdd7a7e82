//! fake
use crate::api::port::OnceStore;
use crate::persistence::{CreateOnce, JournalError};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// An [`OnceStore`] in memory that outlives the API built on it. Never forgets.
#[derive(Debug, Default)]
pub(crate) struct MemoryOnce {
    values: Mutex<HashMap<String, Vec<u8>>>,
    /// The next so many calls fail.
    pub(crate) failing: std::sync::atomic::AtomicUsize,
}

impl MemoryOnce {
    fn check(&self) -> Result<(), JournalError> {
        use std::sync::atomic::Ordering::SeqCst;
        match self.failing.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)) {
            Ok(_) => Err(JournalError::Unavailable("injected".into())),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl OnceStore for MemoryOnce {
    async fn create_once(&self, key: &str, value: &[u8], _: Duration) -> Result<CreateOnce, JournalError> {
        self.check()?;
        // A store takes its time: others run in between.
        tokio::task::yield_now().await;
        let mut values = self.values.lock().unwrap();
        if let Some(first) = values.get(key) {
            return Ok(CreateOnce::Exists(first.clone()));
        }
        values.insert(key.to_owned(), value.to_vec());
        Ok(CreateOnce::Created)
    }

    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.check()?;
        tokio::task::yield_now().await;
        Ok(self.values.lock().unwrap().get(key).cloned())
    }

    async fn remove_once(&self, key: &str) -> Result<(), JournalError> {
        self.check()?;
        self.values.lock().unwrap().remove(key);
        Ok(())
    }
}
