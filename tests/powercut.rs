//! The power-cut rig (RT-4, RT-7; faults J2 to J4, J9, J10): what was acknowledged is there after the power went.
//!
//! Everything that counts lies on an ext4 image on a loop mount. At its moment the file system is shut down without flushing
//! its log, as a power cut would leave it; the process is killed, the image mounted again, and it must come up by itself.
//! First the journal alone, written to by a child process, then the **whole server** under the load of simulated chargers,
//! users and a signed partner with webhooks, judged by the crash test's checker (`loadtest::crash`). Both rigs prove
//! themselves: a journal that trusts sled's `flush` alone must be caught losing what it acknowledged.
//!
//! `ROUNDS=200 cargo test --test powercut` (`cargo xtask powercut --rounds 200`) is the real thing; without `ROUNDS` it is a quick
//! look. `SEED` decides what is drawn, `KIND="torn tail"` makes all rounds of one kind, `POWERCUT_LOG=info` tells more. It needs root, loop devices and mkfs.ext4. Where they are missing it says `powercut:
//! SKIPPED` and, when `ROUNDS` asked for it, ends with status 77. It is optimistic about the caches of real devices: nothing
//! here drops those.

#![allow(unsafe_code, reason = "the ioctl that shuts a file system down has no safe wrapper")]
#![allow(clippy::expect_used, reason = "this is a test")]

#[path = "powercut/child.rs"]
mod child;
#[path = "powercut/damage.rs"]
mod damage;
#[path = "powercut/disk.rs"]
mod disk;
#[path = "powercut/fresh.rs"]
mod fresh;
#[path = "powercut/full.rs"]
mod full;
#[path = "powercut/journal.rs"]
mod journal;
#[path = "powercut/kinds.rs"]
mod kinds;
#[path = "powercut/power.rs"]
mod power;
#[path = "powercut/whole.rs"]
mod whole;

use std::path::Path;
use std::process::ExitCode;

/// Rounds of the journal alone: in a quick look, and when rounds of the whole server were asked for.
const JOURNAL_ROUNDS: (u32, u32) = (4, 20);

fn main() -> ExitCode {
    if let Some(data) = std::env::var_os("POWERCUT_CHILD") {
        return child::run(Path::new(&data), std::env::var_os("POWERCUT_WITHOUT_SYNC").is_some());
    }
    if let Ok(filter) = std::env::var("POWERCUT_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).init();
    }
    let asked = std::env::var("ROUNDS").ok();
    let rounds = asked.as_deref().and_then(|rounds| rounds.parse().ok());
    if let Err(why) = disk::available() {
        println!("powercut: SKIPPED: {why}");
        return if asked.is_some() { ExitCode::from(77) } else { ExitCode::SUCCESS };
    }
    match rig(rounds) {
        Ok(line) => {
            println!("powercut: {line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("powercut: FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}

fn rig(rounds: Option<u32>) -> Result<String, String> {
    let (quick, asked) = JOURNAL_ROUNDS;
    let journal = journal::rounds(rounds.map_or(quick, |rounds| rounds.min(asked)))?;
    println!("powercut: {journal}");
    println!("powercut: {}", full::run().map_err(|why| format!("full disk: {why}"))?);
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    let whole = runtime.block_on(whole::run(rounds, seed)).map_err(|why| format!("{why:#} (seed {seed})"))?;
    Ok(format!("{journal}; {whole}"))
}
