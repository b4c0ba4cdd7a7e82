//! Named places at which a test holds the process until it lets go, or cuts its power. In a release build they are not there.
//!
//! `CHARGELINE_HOLDS` names a folder. While a file `NAME.hold` is in it, the process stops at the place `NAME`, once it has
//! written `NAME.reached` there, and goes on when the first file is gone. The file `flush.trusted` makes the journal believe
//! sled's flush, without a sync of its own: what the rig must be able to see.

use std::fs::File;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

/// The variable that names the folder.
pub const VARIABLE: &str = "CHARGELINE_HOLDS";

/// Between two looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(1);

static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os(VARIABLE).map(PathBuf::from));

/// The process is at this place. Blocks for as long as a test holds it there.
pub fn at(place: &str) {
    let Some(folder) = &*FOLDER else { return };
    let hold = folder.join(format!("{place}.hold"));
    if hold.exists() {
        // A rig whose folder cannot be written sees that nothing is reached.
        let _ = File::create(folder.join(format!("{place}.reached")));
        while hold.exists() {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether the journal is to go without its own sync.
pub fn trusts_flush() -> bool {
    FOLDER.as_ref().is_some_and(|folder| folder.join("flush.trusted").exists())
}
