//! The places at which the server's process can be held (`chargeline::testing::holds`). Owns the folder of their names.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) struct Holds(PathBuf);

impl Holds {
    pub(crate) fn new(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Holds(folder.to_owned()))
    }

    pub(crate) fn folder(&self) -> String {
        self.0.display().to_string()
    }

    /// The journal believes sled's flush, from the next start on.
    pub(crate) fn trust_flush(&self) -> std::io::Result<()> {
        File::create(self.0.join("flush.trusted")).map(drop)
    }

    /// The process stops at `place` when it next comes there.
    pub(crate) fn arm(&self, place: &str) -> std::io::Result<()> {
        let _ = std::fs::remove_file(self.0.join(format!("{place}.reached")));
        File::create(self.0.join(format!("{place}.hold"))).map(drop)
    }

    /// Whether it has come there within `limit`.
    pub(crate) async fn reached(&self, place: &str, limit: Duration) -> bool {
        let (file, begun) = (self.0.join(format!("{place}.reached")), Instant::now());
        while begun.elapsed() < limit {
            if file.exists() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// It goes on.
    pub(crate) fn release(&self, place: &str) {
        let _ = std::fs::remove_file(self.0.join(format!("{place}.hold")));
    }
}
