//! `cargo xtask fuzz`: random input against reading and rules, unguided within the tests or guided by coverage (libFuzzer
//! by `cargo fuzz`, which needs a nightly toolchain). Owns the limits of a run and where what it grows is kept.

use crate::run::{cargo, program, status};
use crate::tools;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// The targets of `fuzz/`.
const TARGETS: [&str; 3] = ["frames", "sessions", "strangers"];

/// Where a guided run keeps what it grows; the useful minimum of it is in `fuzz/corpus`.
const GROWN: &str = "target/fuzz/grown";

/// A find; those that were faults are kept in `fuzz/finds`, mended, and replayed by every `cargo test`.
const FINDS: &str = "target/fuzz/finds";

/// Random input without guidance (`src/fuzz/runs.rs`), so long for each target, one after the other: no more of a shared
/// machine than one core.
pub(crate) fn random(seconds: u64) -> Result<bool> {
    let mut targets = cargo();
    let run = ["test", "--package", "chargeline", "--lib", "fuzz::", "--", "--nocapture", "--test-threads=1"];
    targets.args(run).env("FUZZ_SECONDS", seconds.to_string());
    Ok(status(&mut targets)?.success())
}

/// Guided by coverage, so long for each target, one after the other. With `minimise` what was grown is afterwards reduced to
/// the inputs that reach something of their own, into `fuzz/corpus`.
pub(crate) fn guided(seconds: u64, minimise: bool) -> Result<bool> {
    ensure!(
        has_nightly(),
        "guided fuzzing needs a nightly toolchain: `rustup toolchain install nightly --profile minimal`"
    );
    let tool = tools::cargo_fuzz()?;
    let mut good = true;
    for target in TARGETS {
        let (grown, finds) = (format!("{GROWN}/{target}"), format!("{FINDS}/{target}/"));
        let kept = format!("fuzz/corpus/{target}");
        for folder in [&grown, &finds, &kept] {
            std::fs::create_dir_all(folder).with_context(|| folder.clone())?;
        }
        let limits = [
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={finds}"),
            "-dict=fuzz/ocpp.dict".to_owned(),
            "-rss_limit_mb=1024".to_owned(),
            "-malloc_limit_mb=512".to_owned(),
            "-timeout=20".to_owned(),
            "-max_len=4096".to_owned(),
            "-print_final_stats=1".to_owned(),
        ];
        let mut run = cargo_fuzz(&tool, "run", target);
        run.args([&grown, &kept]).arg("--").args(limits);
        if !status(&mut run)?.success() {
            println!("fuzz {target}: a find, in {finds}; `cargo fuzz tmin` makes it small");
            good = false;
        } else if minimise {
            let mut merge = cargo_fuzz(&tool, "run", target);
            let fresh = format!("{GROWN}/{target}.least");
            std::fs::create_dir_all(&fresh)?;
            merge.args([&fresh, &grown, &kept]).args(["--", "-set_cover_merge=1", "-use_counters=0", "-max_len=1024"]);
            good &= status(&mut merge)?.success() && replace(Path::new(&fresh), Path::new(&kept)).is_ok();
        }
    }
    Ok(good)
}

/// No sanitizer: our code has no `unsafe`, so one would find nothing and slow everything down.
fn cargo_fuzz(tool: &Path, verb: &str, target: &str) -> Command {
    let mut command =
        program(tool, &[verb, "--fuzz-dir", "fuzz", "--target-dir", "target/fuzz", "--sanitizer", "none", target]);
    command.env("RUSTUP_TOOLCHAIN", "nightly");
    command
}

fn has_nightly() -> bool {
    let mut ask = program("rustc", &["+nightly", "--version"]);
    ask.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Puts the files of one folder in the place of another's.
fn replace(fresh: &Path, old: &Path) -> Result<()> {
    std::fs::remove_dir_all(old)?;
    std::fs::rename(fresh, old)?;
    Ok(())
}
