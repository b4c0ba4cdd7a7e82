//! Files that hold a secret: made whole or not at all. Owns how one is made; never what is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Makes the file `path` with `text` and a line's end, for its owner alone (mode 0600). Whenever the process or the power goes,
/// afterwards it is there whole or not there at all; it is on the disk when this returns. The caller has seen that there is
/// none and is the only one to make it.
///
/// # Errors
/// When it cannot be written.
pub fn make(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    match fs::remove_file(&beside) {
        // What a crash left of an earlier try.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Where it is written before it counts.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_a_crash_left_of_a_secret_is_not_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(beside(&path), "0123").unwrap();
        assert!(!path.exists(), "only a whole one has the name");
        make(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!beside(&path).exists());
    }
}
