//! The flash memory of a whole fleet in one small JSON file, so that a killed simulator goes on where it was.
//!
//! Owns the file. Invariant: it is replaced as a whole (written beside, then renamed); after `kill -9` it holds the
//! state before or after a save, never half of one. It does not survive a power cut, nor does it have to.

use super::state::ChargerState;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    states: BTreeMap<String, ChargerState>,
}

/// Shared by the fleet; cheap to clone.
#[derive(Debug, Clone)]
pub struct FleetStore {
    inner: Arc<Mutex<Inner>>,
}

impl FleetStore {
    /// Opens the file, or begins with an empty fleet if there is none.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let states = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| anyhow::anyhow!("{} is no fleet state: {e}", path.display()))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => anyhow::bail!("cannot read {}: {e}", path.display()),
        };
        Ok(FleetStore { inner: Arc::new(Mutex::new(Inner { path: path.to_owned(), states })) })
    }

    /// The state of one charger as it was last saved.
    pub fn get(&self, identity: &str) -> Option<ChargerState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).states.get(identity).cloned()
    }

    /// Keeps one charger's state; on the disk when it returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn save(&self, identity: &str, state: ChargerState) -> io::Result<()> {
        let (inner, identity) = (self.inner.clone(), identity.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.states.insert(identity, state);
            let bytes = serde_json::to_vec(&inner.states)?;
            replace(&inner.path, &bytes)
        });
        written.await.map_err(io::Error::other)?
    }
}

/// Writes a file beside and renames it into place.
///
/// # Errors
/// When either step fails.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_saved_charger_is_there_after_a_reopening() {
        let path = std::env::temp_dir().join(format!("fleet-{}.json", uuid::Uuid::new_v4()));
        let state = ChargerState { last_local: 7, ..ChargerState::new(2, 1_000.0, 5) };
        FleetStore::open(&path).unwrap().save("CP-1", state.clone()).await.unwrap();
        let back = FleetStore::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(back.get("CP-1"), Some(state));
        assert_eq!(back.get("CP-2"), None);
    }
}
