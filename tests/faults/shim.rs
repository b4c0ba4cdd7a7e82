//! The library between the server and the C library, from this side: compiled once with `cc`, told what to do and asked what it
//! did through a page that both map (`shim.c` has the same places).

use anyhow::{Context as _, Result, ensure};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const OFFSET_NS: u64 = 0;
const FAIL: u64 = 1;
const DELAY_MS: u64 = 2;
// Place 3 counts all syncs.
const FAILED: u64 = 4;
const DELAYED: u64 = 5;
const SHIFTED: u64 = 6;
const STEPS: u64 = 7;
const FALL_AT: u64 = 8;
const MIDST: u64 = 9;

pub(crate) struct Shim {
    library: PathBuf,
    control: PathBuf,
    page: File,
}

/// Whether there is a compiler to make it with.
pub(crate) fn available() -> Result<(), String> {
    let found = Command::new("cc").arg("--version").output().is_ok_and(|output| output.status.success());
    if found { Ok(()) } else { Err("needs a C compiler (`cc`)".to_owned()) }
}

impl Shim {
    pub(crate) fn make(folder: &Path) -> Result<Shim> {
        let library = folder.join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let mut compiler = Command::new("cc");
        let output = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").output()?;
        ensure!(output.status.success(), "shim.c: {}", String::from_utf8_lossy(&output.stderr));
        let control = folder.join("shim.page");
        let page = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&control)?;
        page.set_len(4096)?;
        Ok(Shim { library, control, page })
    }

    pub(crate) fn library(&self) -> &Path {
        &self.library
    }

    pub(crate) fn control(&self) -> &Path {
        &self.control
    }

    fn set(&self, place: u64, value: i64) -> Result<()> {
        self.page.write_all_at(&value.to_ne_bytes(), place * 8).context("the shim's page")
    }

    fn get(&self, place: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.page.read_exact_at(&mut bytes, place * 8).context("the shim's page")?;
        Ok(u64::try_from(i64::from_ne_bytes(bytes)).unwrap_or(0))
    }

    /// The wall clock says this much more (or less).
    pub(crate) fn shift_clock(&self, seconds: i64) -> Result<()> {
        self.set(OFFSET_NS, seconds * 1_000_000_000)
    }

    /// The next so many syncs of the journal's store fail with EIO.
    pub(crate) fn fail_syncs(&self, count: i64) -> Result<()> {
        self.set(FAIL, count)
    }

    /// Every sync of the journal's store takes this long.
    pub(crate) fn delay_syncs(&self, by: Duration) -> Result<()> {
        self.set(DELAY_MS, i64::try_from(by.as_millis())?)
    }

    /// From now on calls that change the journal's files are counted, and before the so manieth the process is killed; if that is a write
    /// and `midst`, when half of it is done.
    pub(crate) fn fall_at(&self, step: Option<u64>, midst: bool) -> Result<()> {
        self.set(STEPS, 0)?;
        self.set(MIDST, i64::from(midst))?;
        self.set(FALL_AT, step.map_or(Ok(-1), i64::try_from)?)
    }

    /// No call is counted any more.
    pub(crate) fn stands(&self) -> Result<()> {
        self.set(FALL_AT, 0)
    }

    /// Calls that changed the journal's files since [`Shim::fall_at`].
    pub(crate) fn steps(&self) -> Result<u64> {
        self.get(STEPS)
    }

    pub(crate) fn failed(&self) -> Result<u64> {
        self.get(FAILED)
    }

    pub(crate) fn delayed(&self) -> Result<u64> {
        self.get(DELAYED)
    }

    /// Readings of the wall clock that were shifted.
    pub(crate) fn shifted(&self) -> Result<u64> {
        self.get(SHIFTED)
    }
}
